-- What waits at a place whose deliveries are taken one by one.

-- name: after
SELECT json_group_array(json_array(id, sequence, again, accepted, attempts, size)) FROM (
    SELECT delivery.id, delivery.sequence, again, entry.accepted, attempts, length(entry.event) AS size
    FROM delivery CROSS JOIN entry ON entry.sequence = delivery.sequence
    WHERE delivery.id IN (
        SELECT id FROM delivery AS waiting WHERE waiting.place = :place AND waiting.state = 0 AND waiting.id > :after
        ORDER BY waiting.id LIMIT :most
    )
    ORDER BY delivery.id
);

-- name: these
SELECT json_group_array(json_array(id, sequence, again, accepted, attempts, size)) FROM (
    SELECT delivery.id, delivery.sequence, again, entry.accepted, attempts, length(entry.event) AS size
    FROM delivery CROSS JOIN entry ON entry.sequence = delivery.sequence
    WHERE delivery.id IN (SELECT value FROM json_each(:deliveries)) AND delivery.place = :place AND delivery.state = 0
    ORDER BY delivery.id
);

-- name: drop
DELETE FROM delivery WHERE id IN (
    SELECT id FROM delivery AS waiting WHERE waiting.place = :place AND waiting.state = 0
        AND waiting.id NOT IN (SELECT value FROM json_each(:without))
    ORDER BY waiting.id LIMIT :most
);
