-- Drawers.

-- name: all
SELECT coalesce(json_group_object(name, json(value)), '{}') FROM (
    SELECT name, value FROM kept WHERE drawer = ? ORDER BY name
);

-- name: room
SELECT (SELECT count(*) FROM kept WHERE drawer = :drawer),
    EXISTS (SELECT 1 FROM kept WHERE drawer = :drawer AND name = :name);

-- name: keep
INSERT INTO kept (drawer, name, value) VALUES (:drawer, :name, :value)
ON CONFLICT (drawer, name) DO UPDATE SET value = excluded.value;

-- name: drop
DELETE FROM kept WHERE drawer = ? AND name = ?;
