-- What looks after a journal asks: how it stands, whether it is whole, and what a restored one goes on from.

-- name: highest
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'entry'), 0),
    coalesce((SELECT max(sequence) FROM name), 0),
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'delivery'), 0);

-- name: newest_name
SELECT sequence, name FROM name WHERE length(content) = 16 ORDER BY sequence DESC LIMIT 1;

-- name: has_name
SELECT 1 FROM name WHERE sequence = ? AND name = ?;

-- A number that nobody has: what comes next is above it. Like other old names it is forgotten one day.
-- name: go_on_above
INSERT INTO name (sequence, name, content) VALUES (?, randomblob(16), X'');

-- name: deliveries_above
UPDATE sqlite_sequence SET seq = max(seq, ?) WHERE name = 'delivery';

-- name: deliveries_from
INSERT INTO sqlite_sequence (name, seq) SELECT 'delivery', ?
WHERE NOT EXISTS (SELECT 1 FROM sqlite_sequence WHERE name = 'delivery');

-- name: counts
SELECT (SELECT count(*) FROM entry), (SELECT count(*) FROM name), (SELECT count(*) FROM consumer),
    (SELECT count(*) FROM delivery WHERE state = 0), (SELECT count(*) FROM delivery WHERE state = 1),
    (SELECT count(*) FROM delivery WHERE state = 2);

-- name: ends
SELECT (SELECT json_array(sequence, accepted) FROM entry ORDER BY sequence LIMIT 1),
    (SELECT json_array(sequence, accepted) FROM entry ORDER BY sequence DESC LIMIT 1);

-- name: pages
SELECT page_count, freelist_count, page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size;

-- name: entries_after
SELECT entry.sequence, entry.item_id, entry.accepted, entry.checksum, entry.type, entry.severity, entry.event, name.name
FROM entry LEFT JOIN name ON name.sequence = entry.sequence
WHERE entry.sequence > ? ORDER BY entry.sequence LIMIT ?;

-- name: deliveries_without_entry
SELECT count(*), min(id) FROM delivery WHERE NOT EXISTS (SELECT 1 FROM entry WHERE entry.sequence = delivery.sequence);

-- name: deliveries_without_place
SELECT count(*), min(id) FROM delivery
WHERE state <> 1 AND NOT EXISTS (SELECT 1 FROM place WHERE place.id = delivery.place);

-- name: deliveries_in_no_state
SELECT count(*), min(id) FROM delivery WHERE state NOT IN (0, 1, 2);

-- name: deliveries_beyond
SELECT count(*), min(id) FROM delivery
WHERE id > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'delivery'), 0);

-- name: entries_beyond
SELECT count(*), min(sequence) FROM entry
WHERE sequence > coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'entry'), 0);
