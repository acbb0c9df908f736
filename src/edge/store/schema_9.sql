-- Schema version 9: whom clients met last, for queues that prefer the same agent. Bounded: the oldest go.

CREATE TABLE last_agent (
    tenant TEXT NOT NULL,
    client TEXT NOT NULL,
    agent  TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (tenant, client)
) STRICT, WITHOUT ROWID;

CREATE INDEX last_agent_at ON last_agent (at);
