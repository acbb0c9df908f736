-- Schema version 7: work items, each with its whole record as JSON beside what is asked for.

CREATE TABLE work (
    id         TEXT PRIMARY KEY,
    tenant     TEXT NOT NULL,
    medium     TEXT NOT NULL,
    queue      TEXT NOT NULL,
    state      TEXT NOT NULL CHECK (state IN ('scheduled', 'waiting', 'offered', 'handled', 'ended')),
    client     TEXT,
    arrived_at INTEGER NOT NULL,
    ended_at   INTEGER,
    agent      TEXT,
    outcome    TEXT,
    body       TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- What a start puts back, and what a list of the latest shows.
CREATE INDEX work_open ON work (id) WHERE ended_at IS NULL;
CREATE INDEX work_ended ON work (tenant, ended_at, id) WHERE ended_at IS NOT NULL;
CREATE INDEX work_ended_all ON work (ended_at, id) WHERE ended_at IS NOT NULL;
