"""`GET /metrics`: how the house is, for Prometheus. Nothing is counted here, only written out what its parts counted.

Who may read it: everybody where the listener needs no token; else a token with the scope `metrics` (docs/adr/0012).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from math import inf
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
    StateSetMetricFamily,
)
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from xmppbus.house import House
from xmppbus.people.model import Status
from xmppbus.running.counting import COMMAND, HOUSE, AcceptFigures
from xmppbus.running.measures import MEASURES, Kind, Measure
from xmppbus.stores.figures import Histogram, JournalFigures, OutputFigures
from xmppbus.stores.sqlite import SqliteJournal
from xmppbus.web import Answer, Request, Web
from xmppbus.xmpp.component import State

PATH, SCOPE = "/metrics", "metrics"
_OPENMETRICS = "application/openmetrics-text"
_FORMS: dict[bool, tuple[Callable[[CollectorRegistry], bytes], bytes]] = {
    True: (
        openmetrics.generate_latest,
        b"Content-Type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n",
    ),
    False: (generate_latest, b"Content-Type: %s\r\n" % CONTENT_TYPE_PLAIN_0_0_4.encode()),
}
HOUSE_STATES = ("up", "behind", "down", "refusing")


def open_metrics(house: House, web: Web, accepted: AcceptFigures, displays: Callable[[], Mapping[str, Any]]) -> None:
    """Add the route. `displays` says how many clients look on, how many of them have everything (`current`), and how
    often one was left behind.
    """
    web.route("GET", PATH, Metrics(house, web, accepted, displays).get, SCOPE)


class Sheet(Collector):
    """What one scrape says: a family for each measure, filled in one by one."""

    def __init__(self) -> None:
        self._families = {measure.name: _family(measure) for measure in MEASURES}
        self._kinds = {measure.name: measure.kind for measure in MEASURES}

    def set(self, name: str, value: Any, *labels: str) -> None:
        """A number; of a histogram its figures; of states the one that holds, among all of them."""
        family: Any = self._families[name]
        kind = self._kinds[name]
        if kind is Kind.HISTOGRAM:
            histogram: Histogram = value
            buckets = [("+Inf" if bound == inf else str(bound), count) for bound, count in histogram.buckets()]
            family.add_metric(labels, buckets, histogram.sum)
        else:
            family.add_metric(labels, value)

    def collect(self) -> Iterable[Metric]:
        """As prometheus-client says. What does not exist here has no series, and is left out."""
        return [family for family in self._families.values() if family.samples]


class Metrics:
    """Answers scrapes. Counters begin anew with the process, as Prometheus expects."""

    def __init__(
        self, house: House, web: Web, accepted: AcceptFigures, displays: Callable[[], Mapping[str, Any]]
    ) -> None:
        self._house = house
        self._web = web
        self._accepted = accepted
        self._displays = displays
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        PlatformCollector(registry=self._registry)
        GCCollector(registry=self._registry)

    async def get(self, request: Request) -> Answer:
        """The answer to a scrape."""
        sheet = await self.sheet()
        wanted = any(
            each.partition(";")[0].strip() == _OPENMETRICS for each in request.headers.get("Accept", "").split(",")
        )
        self._registry.register(sheet)
        try:
            write, headers = _FORMS[wanted]
            body = write(self._registry)
        finally:
            self._registry.unregister(sheet)
        return Answer(200, body, headers)

    async def sheet(self) -> Sheet:
        """Everything as of now."""
        sheet = Sheet()
        found = await self._house.status()
        sheet.set("xmppbus_build_info", 1, version("xmppbus"))
        sheet.set("xmppbus_state", _states(HOUSE_STATES, found["state"]))
        sheet.set("xmppbus_accepting", int(found["accepting"]))
        self._doors(sheet, found["inputs"])
        self._outputs(sheet, found)
        self._queues(sheet, found["queues"])
        self._journal(sheet, found["journal"])
        if found["xmpp"]:
            sheet.set("xmppbus_stream_state", _states([*map(str, State)], found["xmpp"]["state"]))
            sheet.set("xmppbus_stream_sessions", found["xmpp"]["sessions"])
            sheet.set("xmppbus_stream_in_flight", found["xmpp"]["in_flight"])
        await self._people(sheet)
        return sheet

    def _doors(self, sheet: Sheet, inputs: Mapping[str, Mapping[str, Any]]) -> None:
        accepted = self._accepted
        for name in sorted({COMMAND, HOUSE, *inputs}):
            sheet.set("xmppbus_events_accepted", accepted.new[name], name, "new")
            sheet.set("xmppbus_events_accepted", accepted.known[name], name, "known")
        for (name, code), times in sorted(accepted.refused.items()):
            sheet.set("xmppbus_events_refused", times, name, code)
        sheet.set("xmppbus_accept_seconds", accepted.seconds)
        for name, each in sorted(inputs.items()):
            sheet.set("xmppbus_input_up", int(each.get("state") == "up"), name)
        sheet.set("xmppbus_socket_connections", inputs.get("unix", {}).get("connections", 0))
        web = self._web.status()
        sheet.set("xmppbus_http_connections", web["connections"])
        sheet.set("xmppbus_http_connections_refused", web["connections_refused"])
        sheet.set("xmppbus_http_connections_late", web["connections_late"])
        displays = self._displays()
        sheet.set("xmppbus_display_clients", displays["clients"])
        sheet.set("xmppbus_display_clients_behind", displays["clients"] - displays["current"])
        sheet.set("xmppbus_display_gaps", displays["behind"])
        for status, times in sorted(self._web.answers.items()):
            sheet.set("xmppbus_http_answers", times, str(status))

    def _outputs(self, sheet: Sheet, found: Mapping[str, Any]) -> None:
        figures = _journal_of(self._house).figures.outputs
        stopped: dict[str, int] = {}
        for each in found["stopped"]:
            stopped[each["output"]] = stopped.get(each["output"], 0) + 1
        for name in sorted({*found["outputs"], *figures}):
            status = found["outputs"].get(name, {})
            one = figures.get(name) or OutputFigures()
            sheet.set("xmppbus_output_up", int(status.get("state", "up") == "up"), name)
            sheet.set("xmppbus_deliveries_delivered", one.delivered, name)
            sheet.set("xmppbus_deliveries_dead", one.dead, name)
            sheet.set("xmppbus_delivery_retries", one.retries, name)
            sheet.set("xmppbus_delivery_seconds", one.seconds, name)
            sheet.set("xmppbus_places_stopped", stopped.get(name, 0), name)
            sheet.set("xmppbus_deliveries_waiting", status.get("waiting", 0), name)
            sheet.set("xmppbus_deliveries_held", status.get("held", 0), name)
            sheet.set("xmppbus_deliveries_oldest_seconds", status.get("oldest_seconds") or 0.0, name)
            for condition, times in sorted(one.stops.items()):
                sheet.set("xmppbus_place_stops", times, name, condition)

    def _queues(self, sheet: Sheet, found: Sequence[Mapping[str, Any]]) -> None:
        """Those that were declared by name, all others together: no label may grow by what somebody sends."""
        for figure in ("waiting", "leased", "consumers"):
            others = sum(each[figure] for each in found if not each["declared"])
            for name, value in [
                *((each["name"], each[figure]) for each in found if each["declared"]),
                ("(others)", others),
            ]:
                sheet.set(f"xmppbus_queue_{figure}", value, name)

    def _journal(self, sheet: Sheet, status: Mapping[str, Any]) -> None:
        journal = _journal_of(self._house)
        figures: JournalFigures = journal.figures
        for name in ("bytes", "most_bytes", "entries", "waiting", "dead"):
            sheet.set(f"xmppbus_journal_{name}", status[name])
        sheet.set("xmppbus_journal_newest_sequence", status["newest"])
        sheet.set("xmppbus_journal_free_bytes", _free_bytes(journal.path.parent))
        sheet.set("xmppbus_journal_commit_seconds", figures.commit_seconds)
        sheet.set("xmppbus_journal_commit_operations", figures.commit_operations)

    async def _people(self, sheet: Sheet) -> None:
        if self._house.people is None:
            return
        tally = await self._house.people.tally()
        sheet.set("xmppbus_subscriptions", tally.subscriptions)
        sheet.set("xmppbus_people", tally.people)
        for status in Status:
            sheet.set("xmppbus_incidents", tally.incidents.get(status.value, 0), status.value)


def _journal_of(house: House) -> SqliteJournal:
    journal = house.journal
    assert isinstance(journal, SqliteJournal)  # noqa: S101  # for the type checker: app.py opens no other
    return journal


def _family(measure: Measure) -> Metric:
    name, text, labels = measure.name, measure.help, measure.labels
    if measure.kind is Kind.COUNTER:
        return CounterMetricFamily(name, text, labels=labels)
    if measure.kind is Kind.HISTOGRAM:
        return HistogramMetricFamily(name, text, labels=labels)
    if measure.kind is Kind.STATES:
        return StateSetMetricFamily(name, text, labels=labels)
    return GaugeMetricFamily(name, text, labels=labels)


def _states(names: Sequence[str], now: str) -> dict[str, bool]:
    return {name: name == now for name in names}


def _free_bytes(directory: Path) -> int:
    found = os.statvfs(directory)
    return found.f_bavail * found.f_frsize
