-- What was accepted, and what became of it. Times are milliseconds since 1970-01-01 in UTC.

-- Every name that was ever accepted, up to limits.NAMES; kept when its entry is pruned.
CREATE TABLE name (
    sequence INTEGER PRIMARY KEY,
    name BLOB NOT NULL UNIQUE, -- the item id: UUIDv5 of (source, id)
    content BLOB NOT NULL      -- hash of the fields as they were sent: tells a repeat from a conflict
) STRICT;

CREATE TABLE entry (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    item_id BLOB NOT NULL,
    accepted INTEGER NOT NULL,
    checksum INTEGER NOT NULL, -- CRC-32 of the event: a flipped bit is noticed, never delivered
    type TEXT NOT NULL,
    severity TEXT NOT NULL,
    event BLOB NOT NULL        -- CloudEvents JSON
) STRICT;

CREATE TABLE place (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    output TEXT NOT NULL,
    address TEXT NOT NULL,
    UNIQUE (output, address)
) STRICT;

-- Within a place, the order of ids is the order of delivery.
CREATE TABLE delivery (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    sequence INTEGER NOT NULL,
    place INTEGER NOT NULL,
    state INTEGER NOT NULL DEFAULT 0, -- 0 waiting, 1 delivered, 2 dead
    again INTEGER NOT NULL DEFAULT 0, -- 1 when a person put it back to waiting
    attempts INTEGER NOT NULL DEFAULT 0,
    condition TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '',
    settled INTEGER,
    UNIQUE (sequence, place)
) STRICT;

-- Only what waits is in it, so that what was delivered long ago costs a claim nothing.
CREATE INDEX delivery_waiting ON delivery (place, id) WHERE state = 0;
CREATE INDEX delivery_dead ON delivery (id) WHERE state = 2;

CREATE TABLE consumer (
    name TEXT PRIMARY KEY,
    sequence INTEGER NOT NULL,
    moved INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- Counts as of `newest`, so that opening counts only what came after.
CREATE TABLE tally (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    newest INTEGER NOT NULL,
    entries INTEGER NOT NULL,
    names INTEGER NOT NULL
) STRICT;
INSERT INTO tally VALUES (1, 0, 0, 0);
