"""Every bound in the house, with its reason. Sizes are bytes, times are seconds, unless the name says otherwise."""

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

# --- an event -------------------------------------------------------------------------------------------------------

ITEM_BYTES = 200_000
"""An event's encoded item. ejabberd refuses payloads over 250,000 bytes; the rest is room for the stanza around it."""

EVENT_BYTES = 256 * KIB
"""The JSON of one event as it is sent to a door; nothing larger can fit into an item."""

TYPE_CHARACTERS = 128
TYPE_FILE_BYTES = 240
"""An event's type is a node's name, which people type and servers index. Prosody's storage in files makes it a file's
name, in which all but letters and digits take three bytes, with up to 13 around it, and Linux has 255."""

NAME_CHARACTERS = 512
"""`id`, `source`, `subject` and `key`: they are looked up and shown, never read as prose."""

SUMMARY_CHARACTERS = 1_000
LINK_CHARACTERS = 2_048
"""One line for people, more than that is text; and what browsers and chat clients still open."""

TAGS = 32
TAG_CHARACTERS = 64
EXTENSIONS = 32
EXTENSION_NAME_CHARACTERS = 20
"""Tags become Atom categories, which a reader scans; CloudEvents 1.0 recommends names of at most 20 characters."""

DATA_DEPTH = 64
"""Nesting of JSON data; deeper than that is an attack on a recursive reader, not a report."""

HOPS = 16
"""How many analyzers may derive events from one another before it is called a loop."""

# --- the door -------------------------------------------------------------------------------------------------------

BATCH_EVENTS = 1_000
BATCHES_AHEAD = 4
"""Events in one `accept`: its commit stays under 0.1 s; batches of `publish --lines` accepted while more is read."""

NODES = 10_000
"""Places of one output. Each costs a node on the server and a few hundred bytes here."""

SPOOL_FILES = 100_000
SPOOL_LOOK_SECONDS = 30.0
"""What publishers may leave behind while the daemon is away, before the file system suffers from it; how often the
spool is looked at by itself, for what was left there while the daemon was just starting."""

# --- the journal ----------------------------------------------------------------------------------------------------

JOURNAL_GIB = 4
KEEP_DAYS = 30
"""Defaults of `journal.keep`: how much is kept of what has been settled."""

RESERVE_BYTES = 16 * MIB
RESERVE_MARGIN_BYTES = 4 * MIB
FULL_CHECK_SECONDS = 0.25
"""Preallocated beside the journal and given back when the disk is full, so that settling and draining go on; it is made
again when the margin is free beyond it, so that a full disk does not flap. A full disk is looked at so often: accepting
goes on within a second of space being there."""

NAMES = 10_000_000
NAME_BYTES = 80
"""Names kept beyond pruning: so long an id is unique. What one costs on disk; all may take a quarter of the bound."""

COMMIT_OPERATIONS = 512
COMMIT_PAGES = 4_000
PAGE_BYTES = 4 * KIB
"""In one group commit: bounds how long the first waits for the last, about 50 ms of work. A small event counts as one
of the database's pages, a large one as those that it fills: a commit is full with 16 MiB."""

FULL_PROBE_BYTES = 256 * KIB
"""A disk without so much is full: SQLite calls it an I/O error when the index of its log finds no room."""

BUSY_SECONDS = 5.0
LOG_READERS_SECONDS = 0.05
"""How long a commit waits for another program that holds the database, before senders are told to try again; and for
those who read a log that has become long, so that it starts anew: a step of reading takes some milliseconds."""

WRITER_CACHE_BYTES = 16 * MIB
READER_CACHE_BYTES = 8 * MIB
CHECKPOINT_CACHE_BYTES = 256 * KIB
WAL_BYTES = 16 * MIB
"""SQLite's page caches: enough for the upper pages of every index, little enough for a small machine; the thread that
copies the log goes by the log's own index. Beyond so much the log's pages are copied into the database."""

ROOM_SECONDS = 0.05
ROOM_PRUNE_SECONDS = 0.01
"""How often the journal's size is measured far from its bound; how long a commit at the bound looks for old entries."""

TALLY_ENTRIES = 10_000
"""Entries between two notes of how many there are: opening counts at most so many."""

PRUNE_EVENTS = 250
"""Entries forgotten in one commit: an append behind it waits some milliseconds at most."""

PRUNE_SECONDS = 60.0
PRUNE_PLACES_SECONDS = 3600.0
"""How often the retention is looked after, and how often every delivery is read to find places that nothing names any
more, once an output has many."""

SCAN_EVENTS = 4_000
READ_BYTES = 4 * MIB
CLAIM_BYTES = 8 * MIB
DELIVERY_BYTES = 256
"""Entries looked at and event data fetched in one step of pruning or reading, so that claims need not wait for it;
event data that one claim holds, over all its places, and that an output's runs hold before another claim, and what each
delivery of an event takes beside it."""

KEPT_IN_A_DRAWER = 10_000
KEPT_CHARACTERS = 65_536
"""What parts of the house keep beside events, such as queues: so many of a kind, and so much of each. All of a kind is
read at once."""

CONSUMERS = 10_000
READ_POSITIONS = 4_096
"""Named consumers: a client that invents a name for each visit must not fill the disk; and readers whose position
behind entries that do not concern them is remembered, so as not to look again."""

OUTCOME_CHARACTERS = 500
"""A server's words about a delivery, kept for people."""

BACKUP_PAGES = 1_024
BACKUP_PAUSE_SECONDS = 0.25
SPARE_BYTES = 64 * MIB
"""Copied at once by a backup, beside which commits go on: 4 MiB, then a pause as long as that took, but not longer than
the second. What a backup, a restore and a vacuum leave free on a disk: more than the reserve and its margin, so that
the daemon never meets a full disk because of them."""
assert SPARE_BYTES > 2 * (RESERVE_BYTES + RESERVE_MARGIN_BYTES)

RESTORE_GAP = 10_000_000_000
"""Sequences left out after a restore where nobody knows how many were given since the backup: at 15,000 events a second
they last for a week. JavaScript's numbers hold a million times as many."""

CHECKED_EVENTS = 1_000
"""Events that `journal check` reads in one step."""

# --- delivery -------------------------------------------------------------------------------------------------------

RUN_EVENTS = 512
RUN_BYTES = 2 * MIB
SETTLE_EVENTS = 128
SETTLE_SECONDS = 0.05
"""A run: long enough that its commit costs little for each event, short enough to hold in memory; outcomes written at
once while it goes on, which is what a crash may have to look up again; how long one waits for its neighbours."""

PLACES_AT_ONCE = 64
BATCH_PLACES = 1_000
BATCHES_AT_ONCE = 2
WINDOW_ITEMS = 64
"""Places of one output worked on at once; where they are worked in one go so many, and the next batch while the last is
settled; and publishes in flight on one node: beyond it nothing gets faster, and it is never above the node's
`max_items`."""

STREAM_IQS = 256
STREAM_BYTES = 4 * MIB
"""On one stream and not yet answered: slixmpp's cost of a reply grows with the IQs, and the bytes are what a server
that stops reading costs in memory."""

RETRY_FIRST_SECONDS = 0.5
RETRY_MOST_SECONDS = 60.0
RESTART_FIRST_SECONDS = 1.0
RESTART_MOST_SECONDS = 60.0
"""A stopped place is tried again, and an input that crashed is started again, with full jitter between nothing and a
bound that doubles from the first up to the most."""

ANALYZER_SECONDS = 60.0
ANALYZER_JOBS = 8
"""An analyzer that has not answered by then is a bug that stops its place; how many run side by side."""

GRACE_SECONDS = 5.0
ANSWER_GRACE_SECONDS = 10.0
"""When the house is left: what is in flight has this long to be answered, the rest is looked up at the next start; and
what is being answered may take so long to end."""

# --- queues ---------------------------------------------------------------------------------------------------------

QUEUE_NAME_CHARACTERS = 128
"""A queue's name is typed, and shown in a table."""

QUEUE_WINDOW = 256
QUEUE_WINDOW_BYTES = 2 * MIB
QUEUE_LATER = 10_000
"""What is held in memory of one queue, however much waits in it: read at once, and ready to be handed out; numbers of
those that were given back and wait for another try. Beyond these nothing is read until one of them is tried."""

QUEUE_PREFETCH = 1_000
"""Events that one consumer may have at once: they are in its memory and in ours."""

QUEUE_RETRY_FIRST_SECONDS = 1.0
QUEUE_RETRY_MOST_SECONDS = 300.0
"""An event that was given back is handed out again after a while, which doubles with each try, by chance shorter."""

QUEUE_RETURN_SECONDS = 2.0
QUEUE_RECONNECT_SECONDS = 0.5
"""What was in a queue when the daemon started may be in the hands of a command that ran meanwhile: its worker comes
back with it before another gets it. How long a worker waits at most between two looks whether the daemon is back."""
assert QUEUE_RETURN_SECONDS > 3 * QUEUE_RECONNECT_SECONDS

QUEUE_LEASE_SECONDS = 300.0
QUEUE_LEASE_LEAST_SECONDS = 1.0
QUEUE_LEASE_MOST_SECONDS = 86_400.0
"""How long a worker that says nothing has an event, unless it says otherwise; it says something three times as
often."""

QUEUE_EXPIRE_LEAST_SECONDS = 60.0
"""A queue that goes when nobody consumes it must outlive a restart of its worker; it is looked at as often as the
journal is pruned."""

QUEUE_LINE_BYTES = 64 * KIB
"""What a consumer says in one line: of one event, what became of it and why."""

WORK_JOBS = 256
WORK_ERROR_BYTES = 4 * KIB
WORK_GRACE_SECONDS = 5.0
WORK_VARIABLES = 64
WORK_VARIABLE_CHARACTERS = 4_096
"""Commands that one worker runs at once; what is kept of the end of a command's error output; how long a command that
is to end may take; fields of an event's data that become variables, and their length: Linux has 128 KiB for one, and a
few MiB for all, with the arguments."""

QUEUE_PURGE_EVENTS = 1_000
"""Forgotten in one commit, between which others go on."""

# --- people ---------------------------------------------------------------------------------------------------------

SUBSCRIPTIONS = 20_000
SUBSCRIPTIONS_OF_ONE = 100
PERSONS = 20_000
PEOPLE_PLACES = 20_000
INCIDENTS = 100_000
COPIES = 2_000_000
ESCALATIONS = 10_000
"""Kept on disk and (all but incidents and copies, which are 150 bytes each) in memory: twice the people that the bus is
measured with; more than a hundred of one owner is a program's. Beyond the others the oldest are forgotten, the resolved
first, and a chain of calls is not begun."""

ONWARD_SLICE = 2_000
WIDE_DELIVERIES = 100
LOOK_BACK_EVENTS = 50_000
TYPES_EVENTS = 500_000
TYPES_SECONDS = 3600.0
"""Deliveries that one commit makes or forgets for an event of many: an append behind it waits some 20 ms; an event of
more than a hundred is one. Entries looked at for
what a person asks, 50 ms of work; to count the types, once in so long, in slices; what came since is added."""

# --- XMPP -----------------------------------------------------------------------------------------------------------

CONNECT_FIRST_SECONDS = 0.5
CONNECT_MOST_SECONDS = 60.0
CONNECT_DEADLINE_SECONDS = 15.0
UNREACHABLE_MOST_SECONDS = 2.0
REFUSED_SECONDS = 5.0
"""The supervisor's backoff and one attempt's deadline. Where nobody listens an attempt costs nothing, so that a server
that is back is found soon; after a refused log-in the least pause makes twelve attempts a minute at most."""

IQ_SECONDS = 20.0
"""How long an answer may take before its outcome is unknown."""

NODE_CHECK_SECONDS = 600.0
"""How often a busy node is looked at again: somebody may have deleted it, and a server made another in its place."""

NODE_EXPIRE_LEAST_SECONDS = 3600.0
NODE_EXPIRE_DAYS = 3_650
NODE_EXPIRE_LOOK_SECONDS = 600.0
NODE_EXPIRE_AT_ONCE = 50
"""A profile's `expire`: at least so long, for what is known of a node's use after a restart is ten minutes less exact;
and at most. How often nodes that nobody uses are looked for, and how many of them a look asks about, with three
requests each, so that publishes go on."""
assert NODE_EXPIRE_LEAST_SECONDS > 3 * NODE_CHECK_SECONDS

PING_SECONDS = 10.0
PING_DEADLINE_SECONDS = 10.0
TCP_USER_TIMEOUT_SECONDS = 20.0
KEEPALIVE_SECONDS = 10
"""A black hole is noticed within 30 s: one interval and one deadline. The kernel gives up a connection whose data is
not acknowledged for so long; an idle one is probed."""

SESSION_LASTED_SECONDS = 2.0
SESSION_ANSWERS = 10
CLOSE_SECONDS = 2.0
"""A session that lasted so long, or in which so many requests were answered, was a good one: the backoff begins anew.
How long a server may take to close."""

SPLIT_SECONDS = 30.0
SPLIT_NONCES = 6
SPLIT_DEADLINE_SECONDS = 1.0
"""Nonces to our own address: a missing or a foreign one means two holders of one component. A server that shares
stanzas at random hides another holder once in 2**6 checks."""

CHECK_SECONDS = 45.0
CHECK_PUBLISH_SECONDS = 3.0
CHECK_PUBLISHES = 100
CHECK_NODES = 50
CHECK_DAEMON_SECONDS = 10.0
"""`check`: how long it may take in all, how long and with how many items it measures, how many nodes it compares, how
long it waits for a daemon to say how it is."""

CHECK_SLOW_PER_SECOND = 200
"""Publishes a second on a kept node. Below it, Prosody writes the whole node to disk for each; SQL takes over 400."""

# --- services, asked from the shell -----------------------------------------------------------------------------------

FORM_VALUES = 2_000
"""Fields, values, features or identities in one answer: the largest form of a server has 30. Of a larger one nothing is
shown or sent back, for a part of a form is another form."""

SERVICE_ITEMS = 10_000
PAGE_ITEMS = 100
PAGES = 200
"""Of a list that a service gives: nodes, items, subscriptions; how many are asked for at once where it pages
(XEP-0059), and how many pages, so that one that never ends is left."""
assert PAGE_ITEMS * PAGES >= SERVICE_ITEMS

TREE_DEPTH = 8
TREE_PLACES = 1_000
TREE_AT_ONCE = 8
TREE_SECONDS = 60.0
"""Of `disco --tree`: a service may name itself below itself. Questions at a time, and how long new ones are asked."""

REQUEST_BYTES = 200_000
"""A request: Prosody ends an account's stream at 256 KiB, and a daemon's is everybody's."""

FORM_FILE_BYTES = 1 * MIB
"""What `node config set --from` reads: the largest form as JSON."""

BOUNCE_SECONDS = 0.4
SESSION_SECONDS = 3.0
"""How long `message` waits for a message to come back, once the server has it: those of its own accounts do at once.
How long a command waits for a session of the daemon, which may have begun just now."""

# --- the bot on the stream ------------------------------------------------------------------------------------------

BODY_CHARACTERS = 10_000
HEARD_CHARACTERS = 16_000
"""A body that we send: a phone shows a few hundred characters at once, and with 5 bytes each (`&amp;`) it is far below
the 256 KiB at which servers end a client's stream. What is read of a body that is sent to us: no command is longer."""

REACTIONS = 16
EMOJI_CHARACTERS = 32
"""Reactions read of one message, and code points of one: a family with skin tones has eleven."""

TALK_BYTES = 1 * MIB
TALK_MOST_BYTES = 8 * MIB
EARLY_STANZAS = 1_000
"""Messages written and not yet known to be with the server: beyond the first a series waits (it is more than a server
can work off while the ping behind them is on its way), beyond the second nothing is written: what a server that stops
reading costs in memory. Stanzas kept that come before we know whether we are alone and may speak."""

LEDGER_SECONDS = 2.0
"""How long the ledger may be behind what clients have already: a reaction, or a receipt, to what it does not know yet
waits so long. A fence takes a few milliseconds, and much longer when a server is busy."""

AVATAR_BYTES = 8 * KIB
"""The bot's picture: it goes out with every vCard, in base64, and XEP-0153 §4 asks for no more."""

CONTACTS = 20_000
UNKNOWN_CONTACTS = 5_000
CONTACTS_SLICE = 200
CONTACT_REQUESTS = 1_000
RESOURCES = 32
STATUS_CHARACTERS = 200
"""People in the bot's contact list, some 300 bytes each, and how many there may be when somebody comes whom nobody
knows, so that strangers never fill it; so many are told of its presence before others have a turn (a millisecond);
wishes to be in it that wait to be written down; of one person the resources, and the characters of a status, that are
remembered."""

STANDING_SECONDS = 600.0
STANDING_LOOK_SECONDS = 2.0
"""How often the time of the last event in the bot's status text is brought up to date when no incident changes, as some
clients show each change as a line; and how often it is counted at most, in a house in which much happens."""

STATUS_SECONDS = 30.0
PROBE_SECONDS = 5.0
"""How often the bot's status text may change: it goes out to everybody who sees it. How long a person's server may take
to say whether he is there, before he is taken to be offline: some say nothing then."""

REQUESTS_AT_ONCE = 256
"""Requests of others that are being answered; more are told to wait."""

OMEMO_SECONDS = 5.0
OMEMO_AGAIN_SECONDS = 60.0
OMEMO_LIST_SECONDS = 3600.0
OMEMO_DEVICES = 32
OMEMO_BUNDLES = 1_000
OMEMO_LISTS = 20_000
OMEMO_AT_ONCE = 16
"""How long a message waits for the keys of one person; when what failed is tried again; when a device list is asked
for anew although nobody said that it changed; devices of one person; bundles and lists that are remembered; people
whose keys are fetched side by side."""

OMEMO_PEOPLE = 20_000
"""Of whom devices are kept, some 5 kB each, in memory too; for more nothing is encrypted, as if they had none. A server
could invent them."""
assert OMEMO_PEOPLE <= OMEMO_LISTS, "everybody's list is remembered"

OMEMO_FILE_BYTES = 16 * 1024 * 1024
"""Of the file of keys, beyond which what is outdated in it is dropped: every message to a device adds some 1 kB."""

LANE_WORK = 32
LANES_WORK = 1_000
"""Messages of one person, and of all, that wait to be encrypted or decrypted."""

# --- HTTP and the socket --------------------------------------------------------------------------------------------

HTTP_BODY_BYTES = 16 * MIB
HTTP_BODIES_BYTES = 64 * MIB
"""A batch; the events in it are bounded one by one. Unfinished bodies of all connections: what slow ones can cost."""

JSON_PARTS = EVENT_BYTES // 2
JSON_VALUES = 1_000_000
"""Lists and objects, and commas, in a large JSON body: 16 MiB of `[],` would keep the one thread that everybody waits
for busy for ten seconds, this many for half of one. No legal event has more: each takes two bytes at least."""

HTTP_HEADER_SECONDS = 10.0
HTTP_BODY_SECONDS = 10.0
HTTP_BODY_BYTES_PER_SECOND = 64 * KIB
"""aiohttp has no read timeouts: a slow-loris is closed within 15 s; a body at this rate has the time it needs."""

HTTP_IDLE_SECONDS = 75.0
HTTP_LINGER_SECONDS = 2.0
HTTP_WRITE_SECONDS = 10.0
HTTP_UNREAD_BYTES = 64 * KIB
"""A kept connection without a request: longer than proxies keep theirs (60 s), so that they close first. How long the
rest of a refused body is read, so that its sender can read why. A client that reads no answer for so long is cut off;
with so much unread, its next request waits."""

CONNECTIONS_PER_ADDRESS = 256
CONNECTIONS = 4_096
CONNECTIONS_WAITING = 1_024
HTTP_ADDRESSES = 65_536
"""Connections of the HTTP listener: open from one address, open in all, kept by the kernel while the loop is busy;
addresses whose rate of requests is remembered, about 100 bytes each."""

STATUS_KEPT_SECONDS = 1.0
"""How old the answer of GET /v1/status may be: a thousand pages that ask every few seconds cost one look a second."""

STREAMS = 2_048
STREAM_QUEUE_EVENTS = 2_000
STREAM_QUEUE_BYTES = 8 * MIB
STREAM_UNREAD_BYTES = 64 * KIB
STREAM_WRITE_BYTES = 64 * KIB
STREAM_SOCKET_BYTES = 128 * KIB
"""Displays that look on: half of the connections are left to others. The newest events, which are the queue of every
client and are kept once for all of them. What waits in this process for one that does not read, and what is written to
it in one go; what the kernel may keep for it, which would else be megabytes."""

STREAM_TICK_SECONDS = 0.05
STREAM_CLIENT_SECONDS = 0.000_05
STREAM_WRITES = 32
"""How long events are gathered before the next write to every client: nobody sees it, and a write costs as much for one
event as for ten. So much for each client, for few need no gathering. Writes before others have a turn, some 0.5 ms."""

STREAM_LOOK_SECONDS = 1.0
STREAM_KEEP_ALIVE_SECONDS = 15.0
STREAM_STUCK_SECONDS = 600.0
STREAM_GOODBYE_SECONDS = 1.0
"""How often the tokens of streams are looked at; how often something is said, for proxies end what is silent for 60 s;
how long one that does not read is kept (a suspended laptop comes back), and has for its last bytes when we end it."""

STREAM_PAGE_EVENTS = 256
STREAM_PAGES_BYTES = 8 * MIB
STREAM_PIECES = 64
STREAM_ANSWERS = 1_000
STREAM_LAST = 1_000
"""Entries read at once for those that are behind; pages, and what was made of them for a client, that are kept because
others stand there too; types (with a severity) of which a group of clients remembers whether it wants them; how many
events back a stream may begin."""

STREAM_SAID_BYTES = 1 * KIB
SESSION_DAYS = 30
"""What a WebSocket's client may say at once: it has nothing to say. How long a browser keeps the token in its cookie
after it was last at a page: a screen on a wall is always there."""

FRAME_BYTES = 1 * MIB
COMMAND_ARGUMENTS = 20_000
COMMAND_BYTES = 4 * MIB
"""One frame on the Unix socket: some of the largest events, and what each connection may cost in memory. One command
line; Linux itself allows about 2 MiB."""

SOCKET_EVENTS_AHEAD = 4 * BATCH_EVENTS
SOCKET_BYTES_OF_ONE = 8 * MIB
SOCKET_BYTES = 32 * MIB
SOCKET_READ_BYTES = 128 * KIB
"""Of one connection: events and their bytes being accepted, beyond which nothing more is read from it; the same bytes
of all connections (in memory an event weighs several times what was sent); input that a client sends at once, and what
is written to it before it has read on."""

SURE_LINES = 500
NAME_SECONDS = 2.0
"""A durable listener: lines on their way that are not confirmed as written; how long it waits for its name, whose last
holder may have been killed just now."""

LISTENER_EVENTS = 500
LISTENER_BYTES = 4 * MIB
"""Entries read at once for a listener, as far as the sizes of the last ones tell; the journal is its queue."""

DEAD_LISTED = 10_000
REPLAY_EVENTS = 1_000
"""Dead deliveries that one command takes on (it can be said again); entries of one slice of a replay."""

TOKENS = 1_000
"""In one tokens file; all of them are read when it changes."""

WEBHOOK_BODY_BYTES = 2 * MIB
"""What a service sends: a thousand alerts are a megabyte. It is read and turned over by the one thread that everybody
waits for, so it is less than a batch of events may have."""

WEBHOOK_READERS = 2
"""Bodies that presets of the config's own take apart at the same time, in threads: a path that looks everywhere takes
seconds for a body that is built for it."""

WEBHOOK_AGE_SECONDS = 300.0
WEBHOOK_SECRET_BYTES = 64 * KIB
WEBHOOKS = 100
"""How old, or how far ahead, the time of a signature may be: what Standard Webhooks and Slack recommend. A file of
secrets, and presets of the config's own: more is a mistake."""

WEBHOOK_MEMBERS = 200
WEBHOOK_NAME_CHARACTERS = 128
WEBHOOK_TEXT_CHARACTERS = 4_000
WEBHOOK_DEPTH = 3
"""What an event takes over from a body whose parts nobody has named: members, their names and texts, and levels that
are joined into one: an event is a report, and has a link to the rest."""

SOCKET_CONNECTIONS = 1_024
SOCKET_CONNECTIONS_OF_OTHERS = 768
SOCKET_CONNECTIONS_PER_USER = 256
OPEN_FILES = 16_384
"""Open connections of the Unix socket: in all, of all who are no administrators, and of one of those; and the files
that the daemon asks the kernel for: the usual 1,024 are fewer than its connections."""

CONFIRM_SECONDS = 30.0
"""How long `publish --confirm` waits unless it is told."""

# --- STOMP ----------------------------------------------------------------------------------------------------------

STOMP_HEADERS = 64
STOMP_LINE_BYTES = 8 * KIB
STOMP_HEADER_BYTES = 32 * KIB
STOMP_BODY_BYTES = EVENT_BYTES
"""Of one frame: each field of an event, the longest of them escaped, and as many headers of users again; and a body,
which is one event or its data."""

STOMP_SUBSCRIPTIONS = 100
STOMP_PREFETCH = 32
STOMP_TRANSACTIONS = 16
STOMP_TRANSACTION_BYTES = 1 * MIB
"""Of one connection: subscriptions, and events of one that are sent and not acknowledged, unless it says how many (then
as a queue's); transactions that are open, and what one may hold in memory (its frames are at most a batch)."""

STOMP_CONNECTIONS = 1_024
STOMP_CONNECTIONS_PER_ADDRESS = 512
STOMP_HELD_BYTES = 64 * MIB
STOMP_AHEAD_BYTES = 512 * KIB
"""Open in all and from one address (all programs of this machine have the same): beyond it, one that does nothing gives
its place. What all of them have sent that is not dealt with, and so much of one, beyond which it is read no further."""

STOMP_PAGE_BYTES = 512 * KIB
"""Read at once for a subscriber that is behind, who takes little more before it is another's turn."""

STOMP_CONNECT_SECONDS = 10.0
STOMP_FRAME_SECONDS = 10.0
STOMP_STUCK_SECONDS = 60.0
STOMP_IDLE_SECONDS = 3600.0
STOMP_GOODBYE_SECONDS = 2.0
STOMP_HEART_BEAT_MILLISECONDS = 1_000
"""How long CONNECT may take, and the rest of a frame (large ones longer, as HTTP's bodies); a client may read nothing,
while it keeps events from others; one without a subscription or heart-beats may be silent; and may take to read why we
end it. The shortest interval of heart-beats that we promise and ask for."""
assert STOMP_AHEAD_BYTES >= STOMP_BODY_BYTES + STOMP_HEADER_BYTES, "every legal frame becomes whole"

# --- people ---------------------------------------------------------------------------------------------------------

ROOMS = 1_000
ROOM_PING_SECONDS = 300.0
ROOM_JOINS_AT_ONCE = 16
ROOM_JOIN_SECONDS = 30.0
"""Rooms that the bot is in: one that was silent for so long is asked whether it still holds us (XEP-0410). Joins that
wait for their answer, so that a thousand rooms are no storm, and how long each does."""

ROOM_NICKS = 5
ROOM_SOON_SECONDS = 2.0
ROOM_SOON_MOST_SECONDS = 120.0
ROOM_KICKED_SECONDS = 120.0
ROOM_REFUSED_SECONDS = 300.0
ROOM_MOST_SECONDS = 3_600.0
ROOM_LASTED_SECONDS = 600.0
"""Nicks that are tried: `bot`, `bot_`, `bot__`... When a room is tried again that could not be reached, that put us
out, or that does not let us in; up to so long, and from the beginning once we have been in it for a while. The last
three wait for half of it at least: whoever put us out does not want us back at once."""

ROOM_OCCUPANTS = 2_000
OCCUPANTS = 50_000
"""Occupants that are known of one room, and of all, about 500 bytes each: an unknown one is anybody."""

ROOM_WINDOW = 4
ROOM_REFLECT_SECONDS = 20.0
ROOM_UNREFLECTED = 10_000
"""Messages to one room on their way: rooms limit rates, and what is refused must not be overtaken. How long a message
is waited for to come back; and how many are, in all rooms."""

INVITATIONS_PER_MINUTE = 10
ROOMS_LISTED = 100
ROOM_ANSWER_SECONDS = 10.0
"""Invitations that are dealt with; rooms that are told of one by one in `status` because we are not in them; how long
who says `join` waits to hear how that went, less than a command may take: it goes on by itself."""

FLAPPING_CHANGES = 5
FLAPPING_SECONDS = 600.0
"""An incident that opened or was resolved so often within so long is flapping: it stays one episode, which is said
once, until it has been calm for as long."""

INCIDENTS_IN_MEMORY = 10_000
"""Incidents that are remembered between events, about a kilobyte each; another one is read from the journal."""

MATCHED_TYPES = 10_000
"""Types (with a severity) for which it is remembered which subscriptions want them: as many as there may be nodes."""

BUDGETS = 50_000
"""JIDs whose budget of messages is remembered. One that is forgotten, having been told nothing for longest, has a full
budget again."""

MUTES_OF_ONE = 100
"""Mutes of one person: each is looked at for each event that they are to get."""

FOLD_SECONDS = 5.0
"""How long whoever waits for an event to be folded waits without any progress; then they tell what is known."""

FOLD_EVENTS = 128
ONWARD_TARGETS = 50_000
"""Events whose incidents are read and written in one go; and for how many people's deliveries a run of events may be
in memory before the rest of it waits for the next run: a few megabytes."""

MESSAGE_CHARACTERS = 4_000
LINE_CHARACTERS = 160
DIGEST_LINES = 20
LISTED = 5
"""A message about one event, before it is cut with a word on how to see the rest; one line of a digest, and how many
lines: a phone shows some ten lines of forty characters at once. Incidents named where one has to be chosen."""

FENCE_DELIVERIES = 500
FENCE_BYTES = 512 * KIB
FENCES_AHEAD = 1
"""Deliveries, or bytes, that are written to people before a ping behind them is to settle them, and how many such
pieces are on their way while the next is written: a piece costs a commit, and is made without a pause."""

HELD_SECONDS = 60.0
"""How often a place that is held is looked at although nothing has changed: what came since may be due sooner."""

HELD_EVENTS = 10_000
HELD_DAYS = 7
"""What is held for somebody who is away, and for how long, before it is told all the same, in digests: whatever waits
is kept in the journal, which must not be filled for somebody who never comes back."""

TURN_SECONDS = 5.0
"""How often a place is looked at whose JID another output is telling something, should nobody wake it."""

LAST_MESSAGES = 20_000
"""With an account: JIDs whose last message is remembered, as only that one can be corrected; 150 bytes each."""

HEARD_WAITING = 20_000
HEARD_AT_ONCE = 500
"""Receipts, markers and bounces that wait to be written down, beyond which they are dropped: one for each of as many
people as the bus is measured with, twice; and how many one commit takes."""

BOUNCES = 3
BOUNCE_ATTEMPTS = 30
BOUNCE_FIRST_SECONDS = 60.0
BOUNCE_MOST_SECONDS = 3600.0
SUSPENDED_SECONDS = 3600.0
"""Refusals in a row after which a person is sent nothing more; how often one whose messages came back for the moment is
tried again, and with what pauses: for a day, as a server may be down for a night, and a full offline storage is emptied
by a person; how often a place that is held because of a suspension is looked at, should nobody wake it."""

WAITING_LOOKED_AT = 100
"""Entries that wait for one person and are looked at, in one go, when they unsubscribe from some of it: each may be as
large as an event can be."""

# --- people's commands ----------------------------------------------------------------------------------------------

ANSWER_LINES = 25
ANSWER_CHARACTERS = 1_500
ANSWER_ROWS = 200
SHORT_ID_ENTRIES = 1_000
WISHES = 100
"""Of one page of an answer: two screens of a phone; `more` goes on, through so many rows. How many of the newest events
can be named by the beginning of their id; strangers who wait for an owner's yes: more than he would ever read."""

ASKERS = 10_000
EARLY_HEARD = 256
ASKED_WAITING = 8
ANSWERS_AT_ONCE = 256
ANSWERS_PER_MINUTE = 120
SAME_ANSWERS_PER_MINUTE = 10
SILENCE_SECONDS = 60.0
COMMAND_SECONDS = 30.0
"""People whose pages and pace are remembered; messages that are kept while the bot starts, and then answered; lines of
one that wait for their answer, and people answered side by side; answers (in all, and the same again) after which it
looks like two programs that talk to each other, and how long nothing is said then; how long a command may take."""

REMEMBERED_SECONDS = 600.0
ONE_TIME_WORD_SECONDS = 120.0
FORMS = 1_000
FORMS_OF_ONE = 8
FORM_FIELDS = 32
"""How long the rest of a long answer and an open form wait; a word that confirms: time to read twice, not to forget
what it was for. Open forms, of all and of one person; fields that are read of one."""

ESCALATION_DAYS = 30
ESCALATION_FOLD_SECONDS = 30.0
ESCALATION_AGAIN_SECONDS = 5.0
"""The longest `after`: as long as entries are kept. How long a step that is due waits to learn who has acknowledged;
then it is better to call once too often. When one that could not be written is tried again."""

INCIDENTS_LISTED = 1_000
"""Incidents in one answer of the command line or HTTP."""

# --- boards ---------------------------------------------------------------------------------------------------------

BOARDS = 100
PANELS = 40
BOARD_CELLS = 48
BOARD_WINDOW_SECONDS = 10
BOARD_WINDOW_DAYS = 3_660
"""Boards of one config; panels of one, and its columns and rows: more can't be read from where a screen is looked at.
The shortest and the longest window of a panel: below it nothing is seen, ten years are a trend."""

BOARD_BUCKETS = 120
BOARD_POINTS = 240
BOARD_SERIES = 12
BOARD_KEYS = 200
BOARD_FEED_EVENTS = 60
BOARD_TEXT_CHARACTERS = 300
"""What a panel holds, here and in the browser, however much happens in its window: parts of the window in which events
are counted, points of a line and lines of a chart, rows and lamps (more do not fit on a screen; those that were silent
for longest go), lines of a feed, and characters of any text of an event."""

BOARD_READ_EVENTS = 500_000
BOARD_LOOK_BACK_EVENTS = 4_000
BOARD_READ_SLICE = 500
"""Entries of the journal that are looked at to fill a panel, some seconds of work in slices; a panel whose window has
more says from when on it counts. Those that want the newest only look back so far first, and sixteen times as far where
that was not enough. Entries read at once."""

BOARD_FRESH_SECONDS = 1.0
BOARD_KEPT_SECONDS = 600.0
"""A board's values are computed anew at most so often, however many screens reload, from what came since; they are kept
for so long after somebody has asked for them, and then read from the journal again."""

# --- plots ----------------------------------------------------------------------------------------------------------

PLOT_POINTS = 400
PLOT_SERIES = 8
PLOT_DOTS = 60
"""Points of one curve, beyond which neighbours are drawn together: a picture has some two pixels for each. Curves of
one chart, as many as there are colours that can be told apart. Points that are still drawn as dots."""

PLOT_EVENTS = 500_000
PLOT_SERIES_SEEN = 1_000
PLOT_SLICE_EVENTS = 500
"""Values of one plot, 16 bytes each while it is made, and curves that are counted to find the greatest; entries that
are read between two turns of everybody else."""

PLOT_LEAST_PIXELS = 160
PLOT_MOST_PIXELS = 2_400
PLOT_UNIT_CHARACTERS = 16
PLOT_TITLE_CHARACTERS = 120
"""A picture's width and height: less can't be read, more is 50 MB while it is drawn. What stands behind each number
of an axis, and above all of it in one line."""

PLOTS_AT_ONCE = 2
PLOTS_WAITING = 16
PLOTS_KEPT = 16
PLOT_FRESH_SECONDS = 10
"""Of HTTP: plots for which the journal is read at once (each some seconds at the most), requests that wait for that,
pictures that are kept for the next who asks (100 kB each), and for how long who has one need not ask again."""

UPLOAD_SECONDS = 15.0
UPLOAD_HOSTS = 32
"""How long it may take to find our server's upload service, get a place there and put a picture (it and the drawing are
shorter than a command may take); hosts of the server that are asked whether they are it."""

DRAW_SECONDS = 10.0
BUNDLE_SECONDS = 60.0
DRAWINGS_WAITING = 8
DRAWING_BYTES = 16 * MIB
DRAWING_IDLE_SECONDS = 60.0
"""How long one picture may take, V8's start included (one second here), and the script for browsers, which is put
together once (two seconds, many more on a small machine that is busy); how many wait for their turn, each some tenths
of a second; a picture's size; after how long without one the process that draws is ended, and its 200 MB are free."""

# --- the board in a terminal ----------------------------------------------------------------------------------------

WATCH_BACK = 200
WATCH_LINES = 1_000
WATCH_LINE_CHARACTERS = 500
WATCH_INCIDENTS = 100
"""`xmppbus watch`: how far back it begins (a large screen shows a hundred lines), the lines of each severity that it
keeps, a line's characters, and incidents. Together some 5 MiB however long it runs."""

WATCH_INTERVALS = 60
WATCH_INTERVAL_SECONDS = 10
"""Its rate: as many columns as fit beside the rest of 80, together ten minutes."""

WATCH_STATUS_SECONDS = 3.0
WATCH_AGAIN_SECONDS = 1.0
WATCH_ANSWER_SECONDS = 30.0
WATCH_DRAW_SECONDS = 0.1
"""How often it asks how the house stands; tries a daemon that is away; waits for an answer; draws anew: nobody reads
faster, and a storm costs ten drawings a second."""

# --- mail -----------------------------------------------------------------------------------------------------------

MAIL_BYTES = 10 * MIB
SENDMAIL_BYTES = 512 * KIB
MAIL_CONTAINERS = 32
MAIL_PARTS = 200
"""One mail: a camera's picture fits, which is named and not kept. What is kept of one from a program on this machine,
of which many may come at once: its beginning, which is more than an event has room for. Parts that have parts, and all
parts: the standard library's reader compares each line with every boundary that is open, and calls itself for each."""

MAIL_HEADERS = 200
MAIL_HEADER_BYTES = 64 * KIB
MAIL_HEADER_CHARACTERS = 4_000
"""Header fields that are read, all of them for `sendmail -t`, and one: a subject is a line for people."""

MAIL_TEXT_BYTES = 48 * KIB
MAIL_READ_BYTES = 256 * KIB
MAIL_HTML_CHARACTERS = 64 * KIB
"""Text of an event: with each of its quotes escaped it still fits into an item. A part before it is decoded, and the
beginning of a page in HTML, whose reader may take time quadratic in its length."""

MAIL_ATTACHMENTS = 32
MAIL_RECIPIENTS = 100
MAIL_DATE_DAYS = 30
MAIL_DATE_AHEAD_SECONDS = 3_600
"""Attachments that are named; recipients of one mail (RFC 5321 §4.5.3.1.8), each of which may be an event; how far from
now the date of a mail may be: a mail may wait in a queue, and a device that lost its battery lives in 1970."""

SMTP_CONNECTIONS = 200
SMTP_EVICT_SECONDS = 1.0
SMTP_SECONDS = 60.0
SMTP_COMMANDS = 2_000
SMTP_BUFFER_BYTES = 64 * MIB
SMTP_READERS = 2
"""Connections. When there is one more, whoever has not finished a command for longest, and for so long, has to go. How
long one command (or one mail) may take; commands of a connection; bytes of all unfinished mails; mails that are read at
the same time, each in a thread."""

# --- the config -----------------------------------------------------------------------------------------------------

CONFIG_BYTES = 256 * KIB
CONFIG_VALUES = 50_000
CONFIG_DEPTH = 32
"""A config file (PyYAML reads about 300 KiB a second), values in it with aliases counted out, and their nesting: nine
lines of aliases can stand for a billion values."""

SETUP_FILES = 200
SETUP_CHECK_SECONDS = 30.0
"""Files of another server's config that `init` reads: one that includes itself would never end. How long `prosodyctl
check config` may take: it asks DNS of nothing."""

# --- jobs: `xmppbus exec` ---------------------------------------------------------------------------------------------

JOB_TAIL_BYTES = 65_536
JOB_TAIL_CHUNKS = 256
JOB_TAIL_CHARACTERS = 16_384
JOB_TAIL_LINES = 1_000
"""Of a job's output: what is held for its tail and for its progress, in how many pieces; what of it is published; and
the lines that may be asked for."""

JOB_PROGRESS_SECONDS = 10.0
JOB_PUBLISH_SECONDS = 5.0
JOB_ANSWER_SECONDS = 4.0
JOB_GRACE_SECONDS = 10.0
"""A job: between two events that say how far it is, and before the first. How long its end is held up by a daemon that
does not answer (one event may take the second); how long after SIGTERM one that took too long is killed."""

JOB_CHUNK_BYTES = 131_072
JOB_NAME_CHARACTERS = 100
JOB_OUTCOMES = 2_000
"""How much of its output is passed on at once (more than a pipe holds); what of a program's name is in its type; jobs
whose last outcome is remembered."""

# --- `monitor` --------------------------------------------------------------------------------------------------------

MONITOR_WAITING = 5_000
MONITOR_KNOWN = 10_000
"""Lines that wait for one terminal, a few hundred bytes each, before it is told of a gap; and events whose type is
remembered for when they go out, beyond which it is read from the journal."""

# --- D-Bus ------------------------------------------------------------------------------------------------------------

DBUS_RULES = 100
DBUS_WAITING = 2_000
DBUS_WAITING_BYTES = 8 * MIB
"""Match rules of one input, each of which the bus compares with every signal; signals that wait to be accepted, and
their bytes: a bus does not wait for us, so what is more is dropped, counted and said."""

DBUS_VALUES = 2_000
"""Values within the arguments of one signal or call, those in dictionaries and arrays counted."""

DBUS_CALLS = 64
DBUS_CALL_SECONDS = 10.0
"""Calls of Publish that are answered at once, and what is more is refused; how long somebody else may take to answer
ours, and the bus to let us in."""

DBUS_FIRST_SECONDS = 0.5
DBUS_MOST_SECONDS = 30.0
"""When a bus that went away is looked for again, later each time."""

DBUS_UNITS = 5_000
"""Units of systemd that have failed and are remembered: a machine has a few hundred units."""

# --- log files that are followed --------------------------------------------------------------------------------------

FOLLOW_FILES = 500
FOLLOW_OLD_FILES = 32
"""Files of one input `follow`, each with a descriptor; and of one file, rotated ones that are looked at."""

FOLLOW_POLL_SECONDS = 0.25
FOLLOW_LINGER_SECONDS = 5.0
"""How often they are looked at; and how long one that was rotated is read on after its last line, for a program that
has not opened the new one yet."""

FOLLOW_READ_BYTES = 256 * KIB
FOLLOW_LINE_BYTES = 32 * KIB
"""Read of one file at once; and of one line, the rest of which is left out: a log's lines are read by people, and a
pattern takes time in proportion to the line."""

FOLLOW_PATTERN_CHARACTERS = 4_096
"""Of a pattern: it is compiled for each line's sake, and somebody has to read it."""

# --- completion -----------------------------------------------------------------------------------------------------

COMPLETION_SECONDS = 0.5
COMPLETION_EVENTS = 1_000
COMPLETIONS = 200
"""Somebody has pressed TAB: how long the daemon may take to say what it knows, of how many events at the end of the
journal that is, and how much of it a screen can show."""

# --- what is expected -----------------------------------------------------------------------------------------------

EXPECT_LOOK_SECONDS = 5.0
EXPECT_GATHER_SECONDS = 0.5
EXPECT_KEEP_SECONDS = 60.0
EXPECT_START_SECONDS = 45.0
EXPECT_SHOWN = 20
"""A dead man's switch: how often it looks at the least, and at the most; how often it writes down when something came
last, which it can read again; for how long after the start nobody is missed, for the spool, and senders that try again,
have what they wanted to say; how many missed ones `status` names."""

EXPECT_SECONDS = (1.0, 366 * 86_400.0)
"""How often something may be expected: a look takes that long, and longer than a year is no expectation."""

# --- the log --------------------------------------------------------------------------------------------------------

LOG_CHARACTERS = 16_384
LOG_LINES = 100
LOG_SECONDS = 60.0
LOG_SORTS = 1_000
"""Of one text in the log: a traceback fits, and a datagram to systemd's journal stays below its socket's bound. Lines
of one sort (of one place in the program) in so many seconds; more are counted: strangers cause some of them, and a log
must not fill the disk. Sorts that are told apart; fewer places in the program say something."""

# --- other people's brokers -----------------------------------------------------------------------------------------

BROKER_AGAIN_FIRST_SECONDS = 0.2
BROKER_AGAIN_MOST_SECONDS = 10.0
BROKER_REFUSED_SECONDS = 5.0
BROKER_REFUSED_MOST_SECONDS = 60.0
BROKER_STEADY_SECONDS = 10.0
"""When AMQP or Redis is connected to again: soon after a restart, at least so much later where it said no to our
password, which only a person changes (12 tries in a minute); what lasted so long begins anew."""

BROKER_ANSWER_SECONDS = 10.0
BROKER_CLOSE_SECONDS = 2.0
"""How long a login or another question to a broker may take; and our leaving, which the broker only has to hear."""

AMQP_HEARTBEAT_SECONDS = 8
"""aio-pika calls a broker gone after three silent intervals and three seconds: a black hole is noticed within 30 s."""

AMQP_NAME_CHARACTERS = 255
"""A short string of AMQP 0-9-1 §4.2.5.3: names of queues and exchanges, routing keys. It is a bound in bytes."""

AMQP_PREFETCH = 100
AMQP_PREFETCH_MOST = 1_000
AMQP_QUEUES = 64
"""Messages that a broker hands us before we have said yes to any: they are in our memory, 100 small ones fill a commit,
and more than one `accept` takes make nothing faster. Queues of one input, each of which may hold as many."""

AMQP_CONFIRM_SECONDS = 30.0
"""A broker that has not confirmed a message by then is asked again over a new connection; RabbitMQ takes milliseconds,
and does not read at all while it is short of memory or disk."""

REDIS_STREAMS = 64
REDIS_ENTRIES = 100
REDIS_ENTRIES_MOST = 1_000
"""Streams, channels or patterns of one input; entries read at once, as many as one `accept` takes at the most."""

REDIS_BLOCK_SECONDS = 2.0
REDIS_CLAIM_SECONDS = 60
REDIS_CLAIMS = 100
"""How long one question for new entries waits in Redis; how long an entry must have been with another consumer, who may
still be at it, before it is taken from there; and steps in which that is done before new entries have their turn."""

# --- the demonstration's server -------------------------------------------------------------------------------------

SERVER_START_SECONDS = 20.0
SERVER_STOP_SECONDS = 5.0
"""Prosody takes 0.07 s to open its ports and 0.02 s to end; the rest is for a machine that is busy."""

DEMO_POLL_SECONDS = 0.05
DEMO_TRICKLE_SECONDS = 1.5
SUBSCRIBE_AGAIN_SECONDS = 0.2
PORT_TRIES = 200
"""The demonstration: how often it looks whether the bus is up, publishes, and asks for a node that is not there yet;
how many ports it tries before it says that none is free."""

DEMO_ORDER_SECONDS = 0.8
DEMO_DISK_SECONDS = 2.0
DEMO_AGAIN_SECONDS = 0.3
DEMO_ANSWER_SECONDS = 5.0
DEMO_ITEMS = 1_000
DEMO_SETTLE_SECONDS = 10.0
DEMO_DRAIN_SECONDS = 5.0
DEMO_STATUS_SECONDS = 2.0
DEMO_CHAOS_SECONDS = (3.0, 8.0)
DEMO_DOWN_SECONDS = (0.5, 3.0)
"""The topology: how often its publishers publish, try again, and wait for an answer. Items that its nodes keep, a
quarter of an hour of orders, for a display that was away. An event that has not come so long after a later one did is
counted as lost. How long it waits at its end for what is on the way; how often it asks the bus how it is; how long
chaos waits between two parts that it kills, and before it starts one again."""

assert JOB_ANSWER_SECONDS < JOB_PUBLISH_SECONDS, "a daemon that hangs is noticed before the job has to end"
assert FOLLOW_READ_BYTES > 2 * FOLLOW_LINE_BYTES, "a line is read at once, whole or up to its bound"
assert EXPECT_START_SECONDS > SPOOL_LOOK_SECONDS, "what waits in the spool is no silence"
assert ITEM_BYTES <= 250_000 - 16 * KIB, "ejabberd's ceiling, with room for the stanza"
assert WINDOW_ITEMS <= RUN_EVENTS, "a look-up covers what was in flight only if it was in one run"
assert WINDOW_ITEMS <= STREAM_IQS, "one busy node must not need more than the stream has"
assert RUN_BYTES >= ITEM_BYTES, "every legal event fits into a run"
assert STREAM_BYTES >= 2 * ITEM_BYTES, "every legal event fits into the stream's bound"
assert OPEN_FILES >= 2 * (CONNECTIONS + SOCKET_CONNECTIONS), "a durable listener has two"
assert FRAME_BYTES >= 2 * EVENT_BYTES, "every legal event fits into a frame, escaped as it may be"
assert FRAME_BYTES >= SOCKET_READ_BYTES, "a chunk of standard input fits into a frame"
assert TALK_MOST_BYTES >= 2 * TALK_BYTES, "answers still go out while a series waits"
assert ROOM_ANSWER_SECONDS < COMMAND_SECONDS, "who says `join` is told that it goes on"
assert DRAW_SECONDS + UPLOAD_SECONDS < COMMAND_SECONDS, "who says `plot` gets words when there is no picture"
assert 3 * (AMQP_HEARTBEAT_SECONDS + 1) <= 30, "a black hole is noticed within 30 s"
assert AMQP_PREFETCH_MOST <= BATCH_EVENTS >= REDIS_ENTRIES_MOST, "what a broker hands us fits into one `accept`"
assert PING_SECONDS + PING_DEADLINE_SECONDS <= 30, "a black hole is noticed within 30 s"
