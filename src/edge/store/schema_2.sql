-- Schema version 2: when the process was last known to live, written with each commit and while calls are up. One row.

CREATE TABLE alive (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    at INTEGER NOT NULL
) STRICT;
