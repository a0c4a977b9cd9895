"""Every bound in the house, with its reason. Sizes are bytes, times are seconds, unless the name says otherwise."""

from __future__ import annotations

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# --- an event -------------------------------------------------------------------------------------------------------

ITEM_BYTES = 200_000
"""An event's encoded item. ejabberd refuses payloads over 250,000 bytes; the rest is room for the stanza around it."""

EVENT_BYTES = 256 * KIB
"""The JSON of one event as it is sent to a door; nothing larger can fit into an item."""

TYPE_CHARACTERS = 128
"""An event's type is a node's name, which people type and servers index."""

NAME_CHARACTERS = 512
"""`id`, `source`, `subject` and `key`: they are looked up and shown, never read as prose."""

SUMMARY_CHARACTERS = 1_000
"""One line for people; more than that is text."""

LINK_CHARACTERS = 2_048
"""What browsers and chat clients still open."""

TAGS = 32
TAG_CHARACTERS = 64
"""Tags become Atom categories; a reader scans them."""

EXTENSIONS = 32
EXTENSION_NAME_CHARACTERS = 20
"""CloudEvents 1.0 recommends names of at most 20 characters."""

DATA_DEPTH = 64
"""Nesting of JSON data; deeper than that is an attack on a recursive reader, not a report."""

HOPS = 16
"""How many analyzers may derive events from one another before it is called a loop."""

# --- the door -------------------------------------------------------------------------------------------------------

BATCH_EVENTS = 1_000
"""Events in one `accept`: one commit should stay well under a tenth of a second."""

NODES = 10_000
"""Places of one output. Each costs a node on the server and a few hundred bytes here."""

SPOOL_FILES = 100_000
"""What publishers may leave behind while the daemon is away, before the file system suffers from it."""

# --- the journal ----------------------------------------------------------------------------------------------------

JOURNAL_GIB = 4
KEEP_DAYS = 30
"""Defaults of `journal.keep`: how much is kept of what has been settled."""

RESERVE_BYTES = 16 * MIB
"""Preallocated beside the journal and given back when the disk is full, so that settling and draining go on."""

NAMES = 10_000_000
"""Names kept beyond pruning, about 80 bytes each: so long an id is unique."""

COMMIT_OPERATIONS = 512
"""Operations in one group commit: bounds how long the first of them waits for the last."""

# --- delivery -------------------------------------------------------------------------------------------------------

RUN_EVENTS = 512
RUN_BYTES = 2 * MIB
"""A run: long enough that its commit costs little for each event, short enough to hold in memory."""

SETTLE_EVENTS = 128
"""Outcomes written at once while a run is still going on: what a crash may have to look up again."""

PLACES_AT_ONCE = 64
"""Places that one output works on at the same time."""

WINDOW_ITEMS = 64
"""Publishes in flight on one node. Beyond it nothing gets faster; never above the node's `max_items`."""

STREAM_IQS = 256
"""IQs in flight on one stream: slixmpp's cost of a reply grows with them."""

STREAM_BYTES = 4 * MIB
"""Written to the stream and not yet answered: what a server that stops reading can cost in memory."""

RETRY_FIRST_SECONDS = 0.5
RETRY_MOST_SECONDS = 60.0
"""A stopped place is tried again with full jitter between nothing and a bound that doubles up to the most."""

ANALYZER_SECONDS = 300.0
ANALYZER_JOBS = 8
"""An analyzer that has not answered by then is a bug that stops its place; how many run side by side."""

GRACE_SECONDS = 5.0
"""What is in flight when the house is left has this long to be answered; the rest is looked up at the next start."""

RESTART_FIRST_SECONDS = 1.0
RESTART_MOST_SECONDS = 60.0
"""An input that crashed is started again with full jitter between these."""

PRUNE_SECONDS = 60.0
"""How often the retention is looked after."""

# --- XMPP -----------------------------------------------------------------------------------------------------------

CONNECT_FIRST_SECONDS = 0.5
CONNECT_MOST_SECONDS = 60.0
CONNECT_DEADLINE_SECONDS = 15.0
"""The supervisor's backoff (at most 12 attempts a minute with a wrong secret) and one attempt's deadline."""

IQ_SECONDS = 20.0
"""How long an answer may take before its outcome is unknown."""

PING_SECONDS = 10.0
PING_DEADLINE_SECONDS = 10.0
"""A black hole is noticed within 30 s: one interval and one deadline."""

SPLIT_SECONDS = 30.0
"""A nonce to our own address: a missing or a foreign one means two holders of one component."""

# --- HTTP and the socket --------------------------------------------------------------------------------------------

HTTP_BODY_BYTES = 16 * MIB
"""A batch; the events in it are bounded one by one."""

HTTP_HEADER_SECONDS = 10.0
HTTP_BODY_SECONDS = 10.0
"""aiohttp has no read timeouts of its own; a slow-loris is closed within 15 s."""

CONNECTIONS_PER_ADDRESS = 256
CONNECTIONS = 4_096
"""Open connections of the HTTP listener, from one address and in all."""

FRAME_BYTES = 16 * MIB
"""One frame on the Unix socket."""

SOCKET_CONNECTIONS = 1_024
"""Open connections of the Unix socket."""

LISTENER_EVENTS = 500
"""Entries read at once for a listener; the journal is its queue."""

CONFIRM_SECONDS = 30.0
"""How long `publish --confirm` waits unless it is told."""

assert ITEM_BYTES <= 250_000 - 16 * KIB, "ejabberd's ceiling, with room for the stanza"
assert WINDOW_ITEMS <= RUN_EVENTS, "a look-up covers what was in flight only if it was in one run"
assert WINDOW_ITEMS <= STREAM_IQS, "one busy node must not need more than the stream has"
assert RUN_BYTES >= ITEM_BYTES, "every legal event fits into a run"
assert STREAM_BYTES >= 2 * ITEM_BYTES, "every legal event fits into the stream's bound"
assert PING_SECONDS + PING_DEADLINE_SECONDS <= 30, "a black hole is noticed within 30 s"
