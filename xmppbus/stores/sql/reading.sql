-- What the reader thread asks. Many rows come as one value (`group_concat`, separated by U+001E, which JSON never
-- holds bare): each row fetched singly would let go of the interpreter's lock once more.

-- name: heads
SELECT '[' || coalesce(group_concat('[' || key || ',' || id || ',' || sequence || ',' || again || ',' || size || ','
    || accepted || ']'), '')
    || ']'
FROM (
    SELECT each.key, delivery.id, delivery.sequence, delivery.again, length(entry.event) AS size, entry.accepted
    FROM json_each(:places) AS each
    CROSS JOIN delivery ON delivery.id IN (
        SELECT id FROM delivery AS waiting WHERE waiting.place = each.value AND waiting.state = 0
        ORDER BY waiting.id LIMIT :run
    )
    CROSS JOIN entry ON entry.sequence = delivery.sequence
    ORDER BY each.key, delivery.id
    LIMIT :most
);

-- name: entries
SELECT CAST(group_concat(
    sequence || ' ' || hex(item_id) || ' ' || checksum || ' ' || CAST(event AS TEXT), char(30)) AS BLOB)
FROM entry WHERE sequence IN (SELECT value FROM json_each(?));

-- name: slice
WITH head AS MATERIALIZED (
    SELECT sequence, length(event) AS size, sum(length(event)) OVER (ORDER BY sequence ROWS UNBOUNDED PRECEDING) AS total
    FROM (SELECT sequence, event FROM entry WHERE sequence > :after AND sequence <= :until ORDER BY sequence LIMIT :limit)
    ORDER BY sequence
)
SELECT (SELECT count(*) FROM head), count(*), max(head.sequence), CAST(group_concat(
    head.sequence || ' ' || accepted || ' ' || hex(item_id) || ' ' || checksum || ' ' || type || ' ' || severity || ' '
    || CAST(event AS TEXT), char(30)) AS BLOB)
FROM head JOIN entry ON entry.sequence = head.sequence
WHERE head.total <= :bytes OR head.total = head.size;

-- name: find
SELECT CAST(
    sequence || ' ' || accepted || ' ' || hex(item_id) || ' ' || checksum || ' ' || type || ' ' || severity || ' '
    || CAST(event AS TEXT) AS BLOB)
FROM entry WHERE sequence = (SELECT sequence FROM name WHERE name = ?);

-- name: accepted_from
SELECT sequence, accepted FROM entry WHERE sequence >= ? ORDER BY sequence LIMIT 1;

-- name: fates
SELECT delivery.id, delivery.sequence, place.output, place.address, delivery.state, delivery.condition, delivery.text,
    delivery.settled, delivery.attempts
FROM delivery JOIN place ON place.id = delivery.place
WHERE delivery.sequence = ? ORDER BY delivery.id;

-- name: dead
SELECT delivery.id, delivery.sequence, place.output, place.address, delivery.state, delivery.condition, delivery.text,
    delivery.settled, delivery.attempts, CAST(
    entry.sequence || ' ' || accepted || ' ' || hex(item_id) || ' ' || checksum || ' ' || type || ' ' || severity || ' '
    || CAST(event AS TEXT) AS BLOB)
FROM delivery JOIN place ON place.id = delivery.place JOIN entry ON entry.sequence = delivery.sequence
WHERE delivery.state = 2 AND delivery.id < :before ORDER BY delivery.id DESC LIMIT :limit;

-- name: cursor
SELECT sequence FROM consumer WHERE name = ?;

-- name: oldest_waiting
SELECT group_concat(coalesce((
    SELECT entry.accepted FROM entry WHERE sequence = (
        SELECT sequence FROM delivery WHERE place = each.value AND state = 0 ORDER BY id LIMIT 1
    )), ''))
FROM json_each(?) AS each;

-- name: places_waiting
SELECT place, count(*) FROM delivery WHERE state = 0 GROUP BY place;

-- name: places
SELECT id, output, address FROM place;

-- name: places_used
SELECT group_concat(place), coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'delivery'), 0)
FROM (SELECT DISTINCT place FROM delivery);

-- name: places_lost
SELECT place FROM delivery WHERE state = 0 AND place NOT IN (SELECT id FROM place)
UNION SELECT place FROM delivery WHERE state = 2 AND place NOT IN (SELECT id FROM place);

-- name: dead_count
SELECT count(*) FROM delivery WHERE state = 2;

-- name: highest
SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'entry'), 0),
    coalesce((SELECT max(sequence) FROM name), 0),
    coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'delivery'), 0);

-- name: tally
SELECT newest, entries, names FROM tally;

-- name: count_entries
SELECT count(*) FROM entry WHERE sequence > ?;

-- name: count_names
SELECT count(*) FROM name WHERE sequence > ?;

-- name: prunable
SELECT count(*), max(sequence), min(accepted), group_concat(CASE WHEN accepted < :before AND NOT EXISTS (
    SELECT 1 FROM delivery WHERE delivery.sequence = slice.sequence AND delivery.state <> 1) THEN sequence END),
    group_concat(CASE WHEN accepted < :before AND (SELECT count(*) FROM (
        SELECT 1 FROM delivery WHERE delivery.sequence = slice.sequence LIMIT :many)) = :many THEN sequence END)
FROM (SELECT sequence, accepted FROM entry WHERE sequence > :after ORDER BY sequence LIMIT :limit) AS slice;

-- name: used_bytes
SELECT (page_count - freelist_count) * page_size FROM pragma_page_count, pragma_freelist_count, pragma_page_size;
