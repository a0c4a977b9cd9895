"""docs/reference/metrics.md: every metric, from the table that the program writes them by."""

from __future__ import annotations

from xmppbus.errors import Code
from xmppbus.running.counting import COMMAND, HOUSE
from xmppbus.running.measures import FROM_THE_CLIENT, MEASURES, Kind
from xmppbus.stores.figures import COMMIT_SECONDS, DELIVERY_SECONDS, GROUP_OPERATIONS, OTHER

BEGIN = """# Metrics

Written by `python -m tests.reference`. `GET /metrics` answers in Prometheus' text format, and in OpenMetrics 1.0 to
whoever says `Accept: application/openmetrics-text`. [How to set it up, alerts, a dashboard](../howto/monitoring.md).

Where the listener needs no token everybody may read them; else a token with the scope `metrics`
([why](../adr/0012-figures-have-a-scope-of-their-own.md)).

Counters begin at 0 with the process. No label is ever an event's type, a JID or a place: those have no bound, and may
be private.

"""

LABELS = {
    "input": (
        f"the inputs of `xmppbus status`; `{COMMAND}` for the command line and bots in Python, `{HOUSE}` for what the "
        "bus itself tells"
    ),
    "output": "the outputs of `xmppbus status`; `via` is the stations of routes, `queue` what was consumed from queues",
    "result": "`new`, or `known`: sent before under the same name",
    "code": (
        "of `xmppbus_http_answers_total` the status; of `xmppbus_events_refused_total` that of a "
        f"[refusal](errors.md): {', '.join(f'`{code}`' for code in Code)}"
    ),
    "queue": "the [queues](../howto/queues.md) that were declared; `(others)` for all others together",
    "condition": (
        f"why a place was stopped, by the house's table ([errors](errors.md)); `{OTHER}` for one that only a server "
        "knows"
    ),
    "status": "of an incident: `firing`, `acknowledged`, `resolved`",
    "version": "of xmppbus",
}

BUCKETS = """
Bounds of the histograms, in seconds or requests:

* `xmppbus_accept_seconds` and `xmppbus_journal_commit_seconds` {commit};
* `xmppbus_delivery_seconds` {delivery};
* `xmppbus_journal_commit_operations` {group}.

Delivery is timed by the clock on the wall, so that it goes on over a restart: where that clock is set, a few values are
wrong.

## Of the process

As prometheus-client makes them: {client}.
"""


def page() -> str:
    """The whole page."""
    parts = [BEGIN, "| label | its values |\n|---|---|\n"]
    parts += [f"| `{label}` | {text} |\n" for label, text in LABELS.items()]
    parts.append("\n| metric | kind | labels | |\n|---|---|---|---|\n")
    for measure in MEASURES:
        name = measure.name + ("_total" if measure.kind is Kind.COUNTER else "")
        labels = measure.labels or ((measure.name,) if measure.kind is Kind.STATES else ())
        shown = ", ".join(f"`{label}`" for label in labels)
        parts.append(f"| `{name}` | {measure.kind} | {shown} | {measure.help} |\n")
    parts.append(
        BUCKETS.format(
            commit=_bounds(COMMIT_SECONDS),
            delivery=_bounds(DELIVERY_SECONDS),
            group=_bounds(GROUP_OPERATIONS),
            client=", ".join(f"`{name}`" for name in FROM_THE_CLIENT),
        )
    )
    return "".join(parts)


def _bounds(bounds: tuple[float, ...]) -> str:
    return ", ".join(f"{bound:g}" for bound in bounds)
