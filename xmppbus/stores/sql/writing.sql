-- What the writer thread does. One statement is one step, and each step lets go of the interpreter's lock once:
-- that is why rows go in many at a time and lists come as JSON.

-- name: known_name
SELECT sequence, content FROM name WHERE name = ?;

-- name: highest_place
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'place'), 0);

-- name: settle_delivered
UPDATE delivery SET state = 1, attempts = attempts + 1, condition = '', text = '', settled = :moment
WHERE place = :place AND state = 0 AND id BETWEEN :first AND :last;

-- name: settle_many
UPDATE delivery SET state = 1, attempts = attempts + 1, condition = '', text = '', settled = ?
WHERE id IN (SELECT value FROM json_each(?)) AND state = 0;

-- name: deliveries_there
SELECT id FROM delivery WHERE id IN (SELECT value FROM json_each(?)) AND state = 1;

-- name: settle_dead
UPDATE delivery SET state = 2, attempts = attempts + 1, condition = :condition, text = :text, settled = :moment
WHERE id = :id AND state = 0;

-- name: note_attempt
UPDATE delivery SET attempts = attempts + :attempts, condition = :condition, text = :text
WHERE id = :id AND state = 0;

-- name: deliveries_made
SELECT place FROM delivery WHERE id BETWEEN ? AND ?;

-- name: entry_exists
SELECT 1 FROM entry WHERE sequence = ?;

-- name: dead_places
SELECT id, place FROM delivery WHERE state = 2 AND id IN (SELECT value FROM json_each(?)) ORDER BY id;

-- name: wait_again
UPDATE delivery SET id = :new, state = 0, again = 1, settled = NULL WHERE id = :old;

-- name: note_highest_delivery
UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'delivery';

-- name: drop_deliveries
DELETE FROM delivery WHERE id IN (SELECT value FROM json_each(?));

-- name: deliveries_of
SELECT delivery.id, delivery.place, delivery.state, place.output, place.address
FROM delivery JOIN place ON place.id = delivery.place
WHERE delivery.sequence = ? ORDER BY delivery.id;

-- name: move_cursor
INSERT INTO consumer (name, sequence, moved) VALUES (:name, :sequence, :moment)
ON CONFLICT (name) DO UPDATE SET sequence = excluded.sequence, moved = excluded.moved
WHERE excluded.sequence > consumer.sequence;

-- name: consumer_room
SELECT (SELECT count(*) FROM consumer), EXISTS (SELECT 1 FROM consumer WHERE name = ?);

-- name: prune_entries
DELETE FROM entry WHERE sequence IN (SELECT value FROM json_each(:sequences))
AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.sequence = entry.sequence AND delivery.state <> 1)
AND NOT EXISTS (SELECT 1 FROM escalation WHERE escalation.sequence = entry.sequence AND escalation.due IS NOT NULL);

-- name: prune_deliveries
DELETE FROM delivery WHERE sequence IN (SELECT value FROM json_each(:sequences))
AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.sequence = delivery.sequence);

-- name: prune_messages
DELETE FROM message WHERE sequence IN (SELECT value FROM json_each(:sequences))
AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.sequence = message.sequence);

-- name: prune_escalations
DELETE FROM escalation WHERE sequence IN (SELECT value FROM json_each(:sequences))
AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.sequence = escalation.sequence);

-- name: narrow_deliveries
DELETE FROM delivery WHERE id IN (SELECT id FROM delivery WHERE sequence = :sequence AND state = 1 LIMIT :most);

-- name: narrow_messages
DELETE FROM message WHERE number IN (SELECT number FROM message WHERE sequence = :sequence LIMIT :most);

-- name: prune_names
DELETE FROM name WHERE sequence IN (
    SELECT sequence FROM name
    WHERE NOT EXISTS (SELECT 1 FROM entry WHERE entry.sequence = name.sequence)
    ORDER BY sequence LIMIT :most
);

-- name: prune_place
DELETE FROM place WHERE id = :place AND id NOT IN (SELECT place FROM delivery WHERE id > :newest)
AND NOT EXISTS (SELECT 1 FROM delivery WHERE place = :place AND state = 0);

-- name: make_lost_place
INSERT INTO place (id, output, address) VALUES (?, ?, ?);

-- name: kill_lost
UPDATE delivery SET state = 2, condition = 'gone', text = ? WHERE place = ? AND state = 0;

-- name: tally
UPDATE tally SET newest = :newest, entries = :entries, names = :names;

-- name: used_bytes
SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size;
