-- The chat plane's statements. Answers of many rows come as one JSON array: see reading.sql.

-- name: subscriptions
SELECT json_group_array(json_array(id, json(subscription))) FROM (SELECT id, subscription FROM subscription ORDER BY id);

-- name: subscription_room
SELECT (SELECT count(*) FROM subscription), (SELECT count(*) FROM subscription WHERE owner = :owner),
    EXISTS (SELECT 1 FROM subscription WHERE owner = :owner AND pattern = :pattern);

-- name: subscribe
INSERT INTO subscription (owner, pattern, subscription) VALUES (:owner, :pattern, :subscription)
ON CONFLICT (owner, pattern) DO UPDATE SET subscription = excluded.subscription
RETURNING id;

-- name: unsubscribe
DELETE FROM subscription WHERE id IN (SELECT value FROM json_each(?));

-- name: persons
SELECT '[' || coalesce(group_concat(person), '') || ']' FROM person;

-- name: people_tally
SELECT (SELECT count(*) FROM subscription), (SELECT count(*) FROM person),
    (SELECT json_group_object(status, times) FROM (SELECT status, count(*) AS times FROM incident GROUP BY status));

-- name: person_room
SELECT (SELECT count(*) FROM person), EXISTS (SELECT 1 FROM person WHERE jid = ?);

-- name: keep_person
INSERT INTO person (jid, person) VALUES (?, ?) ON CONFLICT (jid) DO UPDATE SET person = excluded.person;

-- name: forget_person
DELETE FROM person WHERE jid = ?;

-- name: incident
SELECT incident FROM incident WHERE key = ?;

-- name: incidents
SELECT '[' || coalesce(group_concat(incident), '') || ']' FROM (
    SELECT incident FROM incident WHERE status IN (SELECT value FROM json_each(:statuses))
    ORDER BY sequence DESC LIMIT :limit
);

-- name: copies_of
SELECT json_group_array(json_array(key, jid, episode, message_id, sequence, severity)) FROM copy WHERE key = ?;

-- name: copies
SELECT json_group_array(json_array(copy.key, copy.jid, episode, message_id, sequence, severity))
FROM json_each(?) AS each
JOIN copy ON copy.key = json_extract(each.value, '$[0]') AND copy.jid = json_extract(each.value, '$[1]');

-- name: outdate
UPDATE copy SET sequence = 0
WHERE key = :key AND jid = :jid AND episode = :episode AND message_id = :message_id AND sequence = :sequence;

-- name: behind
SELECT json_group_array(sequence) FROM (
    SELECT incident.sequence AS sequence FROM incident CROSS JOIN copy ON copy.key = incident.key AND copy.jid = ?
    WHERE copy.message_id <> '' AND copy.sequence < incident.sequence
        AND copy.episode = json_extract(incident.incident, '$.episode')
    ORDER BY incident.sequence
);

-- name: message
SELECT json_group_array(json_array(
    lower(hex(id)), sequence, jid, revision, key, sent, received, displayed, bounced, text
)) FROM (SELECT * FROM message WHERE id = ? ORDER BY sequence LIMIT 1);

-- name: messages_of
SELECT json_group_array(json_array(
    lower(hex(id)), sequence, jid, revision, key, sent, received, displayed, bounced, text
)) FROM (SELECT * FROM message WHERE sequence = ? ORDER BY number);

-- name: told
SELECT sequence FROM message WHERE id = ? ORDER BY sequence;

-- name: seen_until
SELECT jid, max(sent), key FROM message WHERE id = ?;

-- name: displayed
UPDATE message SET displayed = :moment
WHERE jid = :jid AND sent <= :sent AND displayed IS NULL AND (bounced = '' OR id = :id);

-- Corrections have even revisions; who has received one of what he says he sees, sees it corrected.
-- name: displayed_corrected
UPDATE message SET displayed = :moment
WHERE jid = :jid AND sent > :sent AND displayed IS NULL AND bounced = '' AND received IS NOT NULL
    AND key = :key AND revision % 2 = 0
    AND EXISTS (SELECT 1 FROM copy WHERE copy.key = :key AND copy.jid = :jid AND copy.message_id = :message_id);

-- name: displayed_undated
UPDATE message SET displayed = :moment WHERE id = :id AND displayed IS NULL;

-- name: bounced
UPDATE message SET bounced = :condition, text = :text WHERE id = :id;

-- name: escalations
SELECT json_group_array(json_array(route, episode, key, sequence, step, due)) FROM (
    SELECT * FROM escalation WHERE due IS NOT NULL ORDER BY due, sequence
);

-- name: escalation_room
SELECT (SELECT count(*) FROM escalation WHERE due IS NOT NULL),
    EXISTS (SELECT 1 FROM escalation WHERE route = :route AND episode = :episode);

-- name: begin_escalation
INSERT OR IGNORE INTO escalation (route, episode, key, sequence, step, due)
VALUES (:route, :episode, :key, :sequence, :step, :due);

-- name: move_escalation
UPDATE escalation SET step = step + 1, due = :due
WHERE route = :route AND episode = :episode AND step = :step AND due IS NOT NULL;

-- name: somebody_has
SELECT EXISTS (SELECT 1 FROM incident WHERE key = :key AND status <> 'firing') OR EXISTS (
    SELECT 1 FROM (
        SELECT sequence FROM delivery WHERE place = :place AND state = 0 ORDER BY id LIMIT :most
    ) AS head JOIN entry ON entry.sequence = head.sequence
    WHERE json_extract(CAST(event AS TEXT), '$.key') = :key
        AND json_extract(CAST(event AS TEXT), '$.status') IN ('acknowledged', 'resolved')
);

-- name: end_escalations
UPDATE escalation SET due = NULL WHERE episode = ? AND due IS NOT NULL;

-- name: delivery_at
SELECT id, state FROM delivery WHERE sequence = ? AND place = ?;

-- name: drop_waiting
DELETE FROM delivery WHERE id IN (
    SELECT id FROM delivery WHERE place = :place AND state = 0 AND id > :after ORDER BY id LIMIT :most
) AND (:sequences IS NULL OR sequence IN (SELECT value FROM json_each(:sequences)));

-- name: drop_reach
SELECT count(*), max(id) FROM (
    SELECT id FROM delivery WHERE place = :place AND state = 0 AND id > :after ORDER BY id LIMIT :most
);

-- name: waiting
SELECT CAST(group_concat(
    entry.sequence || ' ' || accepted || ' ' || hex(item_id) || ' ' || checksum || ' ' || type || ' ' || severity || ' '
    || CAST(event AS TEXT), char(30)) AS BLOB)
FROM (SELECT sequence FROM delivery WHERE place = :place AND state = 0 ORDER BY id LIMIT :limit OFFSET :skip) AS head
JOIN entry ON entry.sequence = head.sequence;

-- name: slice_back
WITH head AS MATERIALIZED (
    SELECT sequence, length(event) AS size,
        sum(length(event)) OVER (ORDER BY sequence DESC ROWS UNBOUNDED PRECEDING) AS total
    FROM (SELECT sequence, event FROM entry WHERE sequence < :before ORDER BY sequence DESC LIMIT :limit)
    ORDER BY sequence DESC
)
SELECT count(*), min(head.sequence), CAST(group_concat(
    head.sequence || ' ' || accepted || ' ' || hex(item_id) || ' ' || checksum || ' ' || type || ' ' || severity || ' '
    || CAST(event AS TEXT), char(30)) AS BLOB)
FROM head JOIN entry ON entry.sequence = head.sequence
WHERE head.total <= :bytes OR head.total = head.size;

-- name: types
SELECT json_group_array(json_array(type, times, last)) FROM (
    SELECT type, count(*) AS times, max(accepted) AS last FROM entry
    WHERE sequence > ? AND sequence <= ?
        AND (instr(event, CAST('"queue":' AS BLOB)) = 0 OR json_extract(CAST(event AS TEXT), '$.queue') IS NULL)
    GROUP BY type
);

-- name: prune_messages
DELETE FROM message WHERE number IN (
    SELECT number FROM message WHERE sequence < (
        SELECT coalesce(min(entry.sequence), (SELECT seq FROM sqlite_sequence WHERE name = 'entry')) FROM entry
    ) LIMIT :most
);

-- name: incidents_prunable
SELECT json_group_array(key) FROM (
    SELECT key FROM incident WHERE status = 'resolved' AND kept < :before ORDER BY sequence LIMIT :most
);

-- name: incidents_excess
SELECT json_group_array(key) FROM (
    SELECT key FROM incident
    ORDER BY status <> 'resolved', sequence LIMIT max(0, (SELECT count(*) FROM incident) - :keep)
);

-- name: forget_copies
DELETE FROM copy WHERE key = :key AND jid IN (SELECT jid FROM copy WHERE key = :key LIMIT :most);

-- name: forget_incidents
DELETE FROM incident WHERE key IN (SELECT value FROM json_each(?));

-- name: copies_count
SELECT count(*) FROM copy;

-- name: oldest_copied
SELECT json_group_array(json_array(key, (SELECT count(*) FROM copy WHERE copy.key = oldest.key))) FROM (
    SELECT key FROM incident WHERE EXISTS (SELECT 1 FROM copy WHERE copy.key = incident.key) ORDER BY sequence LIMIT 100
) AS oldest;
