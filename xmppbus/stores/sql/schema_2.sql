-- The chat plane: what people want to hear of, incidents, and what was sent to whom. What is only read back whole is
-- JSON. Times are milliseconds since 1970-01-01 in UTC.

CREATE TABLE subscription (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL,
    pattern TEXT NOT NULL,
    subscription TEXT NOT NULL,
    UNIQUE (owner, pattern)
) STRICT;

CREATE TABLE person (
    jid TEXT PRIMARY KEY,
    person TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE incident (
    key TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL, -- of the last event that is folded into it
    status TEXT NOT NULL,
    kept INTEGER NOT NULL,     -- when it was written last
    incident TEXT NOT NULL
) STRICT;
CREATE INDEX incident_status ON incident (status, sequence);

-- One message for each incident and JID.
CREATE TABLE copy (
    key TEXT NOT NULL,
    jid TEXT NOT NULL,
    episode TEXT NOT NULL,
    message_id TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    severity TEXT NOT NULL,
    PRIMARY KEY (key, jid)
) STRICT, WITHOUT ROWID;

-- The ledger. A digest is one message about several events: it has a row for each. Pruned with its entry.
CREATE TABLE message (
    number INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    sequence INTEGER NOT NULL,
    jid TEXT NOT NULL,
    revision INTEGER NOT NULL,
    key TEXT NOT NULL,
    sent INTEGER,
    received INTEGER,
    displayed INTEGER,
    bounced TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE UNIQUE INDEX message_id ON message (id, sequence);
CREATE INDEX message_sequence ON message (sequence);
-- What was seen is not in it, so that the next marker finds only what came since.
CREATE INDEX message_unseen ON message (jid, sent) WHERE displayed IS NULL;

CREATE TABLE escalation (
    route TEXT NOT NULL,
    episode TEXT NOT NULL,
    key TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    step INTEGER NOT NULL,
    due INTEGER, -- none: it has ended, and is kept as long as its entry, so that it does not begin again
    PRIMARY KEY (route, episode)
) STRICT, WITHOUT ROWID;
CREATE INDEX escalation_due ON escalation (due) WHERE due IS NOT NULL;
CREATE INDEX escalation_sequence ON escalation (sequence);
