"""Every metric of `GET /metrics`: its name, its kind, its labels and what it says; docs/reference/metrics.md.

No label ever has an event's type, a JID or a place as its value: those have no bound, and may be private.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class Kind(enum.StrEnum):
    """As OpenMetrics calls it."""

    COUNTER = "counter"  # since the process began
    GAUGE = "gauge"
    HISTOGRAM = "histogram"
    STATES = "stateset"  # one series a state, 1 for the one that holds; the label is called like the metric


class Measure(NamedTuple):
    """One metric. The name of a counter is without `_total`, which every one gets."""

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """The names that a query uses."""
        if self.kind is Kind.COUNTER:
            return (f"{self.name}_total",)
        if self.kind is Kind.HISTOGRAM:
            return (f"{self.name}_bucket", f"{self.name}_sum", f"{self.name}_count")
        return (self.name,)


_C, _G, _H, _S = Kind.COUNTER, Kind.GAUGE, Kind.HISTOGRAM, Kind.STATES

MEASURES = (
    Measure("xmppbus_build_info", _G, "Always 1; the version is a label.", ("version",)),
    Measure("xmppbus_state", _S, "How the house is, as `xmppbus status` says it: up, behind, down or refusing."),
    Measure("xmppbus_accepting", _G, "1 while events are accepted, 0 while they are refused."),
    # What comes in.
    Measure("xmppbus_events_accepted", _C, "Events accepted: new, or known already.", ("input", "result")),
    Measure("xmppbus_events_refused", _C, "Events refused at the door, by the code of the refusal.", ("input", "code")),
    Measure("xmppbus_accept_seconds", _H, "From an event's arrival at the door until it is on disk."),
    Measure("xmppbus_input_up", _G, "1 for an input that is up.", ("input",)),
    # What goes out.
    Measure("xmppbus_output_up", _G, "1 for an output that can deliver.", ("output",)),
    Measure("xmppbus_deliveries_delivered", _C, "Deliveries that the other side took.", ("output",)),
    Measure("xmppbus_deliveries_dead", _C, "Deliveries that died: refused because of the event.", ("output",)),
    Measure("xmppbus_delivery_retries", _C, "Attempts after which a delivery still waits.", ("output",)),
    Measure(
        "xmppbus_delivery_seconds", _H, "From an event's acceptance until it is settled as delivered.", ("output",)
    ),
    Measure("xmppbus_place_stops", _C, "Times that a place was stopped, by condition.", ("output", "condition")),
    Measure("xmppbus_places_stopped", _G, "Places that are stopped now and are tried again.", ("output",)),
    Measure("xmppbus_deliveries_waiting", _G, "Deliveries that wait, those that are held among them.", ("output",)),
    Measure("xmppbus_deliveries_held", _G, "Deliveries that wait for their time, such as quiet hours.", ("output",)),
    Measure(
        "xmppbus_deliveries_oldest_seconds", _G, "Age of the oldest that waits and is not held, or 0.", ("output",)
    ),
    # The journal.
    Measure("xmppbus_journal_bytes", _G, "What the journal holds; pages that are free again do not count."),
    Measure("xmppbus_journal_most_bytes", _G, "Its bound, `journal.keep.gib`."),
    Measure("xmppbus_journal_free_bytes", _G, "What is free on its disk, for the daemon's user."),
    Measure("xmppbus_journal_entries", _G, "Events that it holds."),
    Measure("xmppbus_journal_newest_sequence", _G, "The newest sequence."),
    Measure(
        "xmppbus_queue_waiting", _G, "Events in a queue, whoever has them; `(others)` were not declared.", ("queue",)
    ),
    Measure("xmppbus_queue_leased", _G, "Events of a queue that a consumer has.", ("queue",)),
    Measure("xmppbus_queue_consumers", _G, "Who consumes a queue.", ("queue",)),
    Measure("xmppbus_journal_waiting", _G, "Deliveries that wait, of all outputs."),
    Measure("xmppbus_journal_dead", _G, "Deliveries that are dead, until somebody retries or drops them."),
    Measure("xmppbus_journal_commit_seconds", _H, "Of one commit, with its fsync."),
    Measure("xmppbus_journal_commit_operations", _H, "Requests that one commit wrote."),
    # The stream.
    Measure("xmppbus_stream_state", _S, "Of the XMPP stream; absent where no server is configured."),
    Measure("xmppbus_stream_sessions", _C, "Sessions that were established; each beyond the first is a reconnection."),
    Measure("xmppbus_stream_in_flight", _G, "Publishes that the server has not answered yet."),
    # Doors and displays.
    Measure("xmppbus_http_connections", _G, "Open connections of the HTTP listener."),
    Measure("xmppbus_http_connections_refused", _C, "Connections turned away: too many from one address, or in all."),
    Measure("xmppbus_http_connections_late", _C, "Connections ended by a deadline."),
    Measure("xmppbus_http_answers", _C, "Answers over HTTP, by status.", ("code",)),
    Measure("xmppbus_socket_connections", _G, "Open connections of the Unix socket."),
    Measure("xmppbus_display_clients", _G, "Clients of `GET /v1/stream`."),
    Measure("xmppbus_display_clients_behind", _G, "Those of them that do not have everything yet."),
    Measure("xmppbus_display_gaps", _C, "Times that one of them did not keep up and went on from the journal."),
    # People.
    Measure("xmppbus_incidents", _G, "Incidents kept, by how they stand; absent without a bot.", ("status",)),
    Measure("xmppbus_subscriptions", _G, "Subscriptions of people and rooms; absent without a bot."),
    Measure("xmppbus_people", _G, "People whose settings are kept; absent without a bot."),
)

FROM_THE_CLIENT = (
    "process_cpu_seconds_total",
    "process_max_fds",
    "process_open_fds",
    "process_resident_memory_bytes",
    "process_start_time_seconds",
    "process_virtual_memory_bytes",
    "python_gc_collections_total",
    "python_gc_objects_collected_total",
    "python_gc_objects_uncollectable_total",
    "python_info",
)
"""Of the process and of Python's garbage collector, as prometheus-client makes them."""
