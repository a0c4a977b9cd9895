"""`GET /metrics`: everything that is documented is there, for Prometheus itself, and says what happened."""

from __future__ import annotations

import contextlib
import json
import textwrap
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families as read_text

from tests.support.daemon import Daemon, bot_without_a_server
from tests.support.missing import need
from tests.support.waiting import until
from xmppbus.running.measures import FROM_THE_CLIENT, MEASURES

FATES = """
from xmppbus.journal import DELIVERED, Outcome, Verdict

OUTCOMES = {
    "yes": DELIVERED,
    "dead": Outcome(Verdict.DEAD, "bad-request", "no"),
    "no": Outcome(Verdict.STOPPED, "forbidden", "no"),
    "odd": Outcome(Verdict.STOPPED, "a-name-of-the-servers-own", "no"),
}


class Fate:
    def __init__(self, house, options):
        pass

    async def __aenter__(self):
        return self

    async def __aexit__(self, *exc_info):
        pass

    async def ready(self):
        pass

    async def deliver_run(self, place, deliveries):
        for _ in deliveries:
            yield OUTCOMES[place]

    def status(self):
        return {"state": "up"}


def register(registry):
    registry.output("fate", Fate)
"""

Figures = dict[str, dict[tuple[tuple[str, str], ...], float]]


async def scraped(daemon: Daemon) -> Figures:
    """Every series, by name and labels."""
    status, body = await daemon.request("GET", "/metrics")
    assert status == 200
    found: Figures = defaultdict(dict)
    for family in read_text(body.decode()):
        for sample in family.samples:
            found[sample.name][tuple(sorted(sample.labels.items()))] = sample.value
    return found


def labels(**given: str) -> tuple[tuple[str, str], ...]:
    """As `scraped` has them."""
    return tuple(sorted(given.items()))


@contextlib.asynccontextmanager
async def fateful(directory: Path, **more: Any) -> AsyncIterator[Daemon]:
    """A daemon with a bot, no server, and an output that does as its place is called."""
    (directory / "fates.py").write_text(textwrap.dedent(FATES))
    config = {
        **bot_without_a_server(directory),
        "plugins": [str(directory / "fates.py")],
        "routes": [
            {"name": name, "match": {"type": f"{name}.#"}, "to": [f"fate:{name}"]}
            for name in ("yes", "dead", "no", "odd")
        ],
        **more,
    }
    async with Daemon(directory, config=config) as daemon:
        yield daemon


@pytest.fixture
async def daemon(tmp_path: Path) -> AsyncIterator[Daemon]:
    async with fateful(tmp_path) as started:
        yield started


async def test_every_documented_metric_is_there_and_says_what_happened(daemon: Daemon) -> None:
    """Accepted, refused, delivered, dead, stopped; and nothing is there that is not documented."""
    before = await scraped(daemon)
    assert before["xmppbus_events_accepted_total"][labels(input="command", result="new")] == 0
    assert before["xmppbus_deliveries_dead_total"][labels(output="fate")] == 0, "there from the start, for `increase`"
    for place in ("yes", "dead", "no", "odd"):
        status, _ = await daemon.request("POST", f"/v1/events/{place}.it", "hello")
        assert status == 202
    refused, _ = await daemon.request("POST", "/v1/events/not%20a%20type", "hello")
    assert refused == 400
    await daemon.command("publish", "yes.again", "hello", "--id", "1")
    await daemon.command("publish", "yes.again", "hello", "--id", "1")

    async def settled() -> bool:
        found = await scraped(daemon)
        stopped = sum(found["xmppbus_place_stops_total"].values())
        return found["xmppbus_deliveries_delivered_total"].get(labels(output="fate")) == 2 and stopped >= 2

    await until(settled, 10, "the outcomes to be counted")
    found = await scraped(daemon)
    accepted = found["xmppbus_events_accepted_total"]
    assert accepted[labels(input="events", result="new")] == 4
    assert accepted[labels(input="command", result="new")] == 1
    assert accepted[labels(input="command", result="known")] == 1
    assert found["xmppbus_events_refused_total"] == {labels(input="events", code="invalid-event"): 1}
    assert found["xmppbus_accept_seconds_count"][()] == 6
    assert found["xmppbus_deliveries_dead_total"][labels(output="fate")] == 1
    assert found["xmppbus_delivery_seconds_count"][labels(output="fate")] == 2
    stops = found["xmppbus_place_stops_total"]
    assert stops[labels(output="fate", condition="forbidden")] >= 1
    assert stops[labels(output="fate", condition="other")] >= 1, "a name that a server has made up is no label"
    assert found["xmppbus_delivery_retries_total"][labels(output="fate")] >= 2
    assert found["xmppbus_places_stopped"][labels(output="fate")] == 2
    assert found["xmppbus_deliveries_waiting"][labels(output="fate")] == 2
    assert found["xmppbus_journal_dead"][()] == 1
    assert found["xmppbus_journal_entries"][()] == 5
    assert found["xmppbus_state"][labels(xmppbus_state="down")] == 1
    assert found["xmppbus_stream_state"][labels(xmppbus_stream_state="up")] == 0
    assert found["xmppbus_http_answers_total"][labels(code="202")] == 4
    documented = {name for measure in MEASURES for name in measure.series} | set(FROM_THE_CLIENT)
    assert set(found) == documented


async def test_a_label_is_never_a_type_or_a_place_and_both_formats_can_be_read(daemon: Daemon) -> None:
    """However many there are of them, the number of series stays."""
    await daemon.request("POST", "/v1/events/yes.first", "hello")
    before = {name: len(series) for name, series in (await scraped(daemon)).items()}
    batch = [{"specversion": "1.0", "type": f"yes.t{n}", "source": f"s{n}", "id": "1"} for n in range(200)]
    headers = {"Content-Type": "application/cloudevents-batch+json"}
    await daemon.request("POST", "/v1/events", json.dumps(batch), headers)
    _, body = await daemon.request("GET", "/metrics")
    assert {name: len(series) for name, series in (await scraped(daemon)).items()} == before
    assert b"yes" not in body
    await check_formats(daemon)


async def check_formats(daemon: Daemon) -> None:
    """promtool finds nothing odd in the text, and the client's own parser reads OpenMetrics, had by `Accept`."""
    need("promtool")
    shown = await daemon.shell(f"curl -s {daemon.url}/metrics | promtool check metrics 2>&1")
    assert shown == ""
    accept = "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1"
    status, body = await daemon.request("GET", "/metrics", headers={"Accept": accept})
    assert status == 200
    read = read_openmetrics(body.decode())  # type: ignore[no-untyped-call]  # it has no annotations
    families = {family.name: family.type for family in read}
    assert {measure.name: measure.kind.value for measure in MEASURES}.items() >= {
        name: kind for name, kind in families.items() if name.startswith("xmppbus_")
    }.items()


async def test_with_tokens_the_scope_metrics_is_needed(tmp_path: Path) -> None:
    """`read:#` is another thing."""
    file = tmp_path / "tokens"
    config = {"http": {"listen": "127.0.0.1:0", "tokens_file": str(file)}}
    daemon = Daemon(tmp_path)
    config["http"]["listen"] = f"127.0.0.1:{daemon.http_port}"
    daemon.configure(None, config=config)
    made = [
        (await daemon.command("token", "add", name, scope, "--file", str(file))).out.strip()
        for name, scope in (("reader", "read:#"), ("prometheus", "metrics"))
    ]
    async with daemon:
        answers = [await daemon.request("GET", "/metrics")]
        answers += [
            await daemon.request("GET", "/metrics", headers={"Authorization": f"Bearer {each}"}) for each in made
        ]
        assert [status for status, _ in answers] == [401, 403, 200]
        assert b"no scope metrics" in answers[1][1]
