-- What parts of the house keep beside events: queues, expectations, how far a file was read. Each part has a drawer.
CREATE TABLE kept (
    drawer TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL, -- JSON
    PRIMARY KEY (drawer, name)
) STRICT, WITHOUT ROWID;
