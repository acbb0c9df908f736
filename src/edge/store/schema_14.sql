-- Schema version 14: users, and what they have ordered. The trail is bounded: the oldest entries go.

CREATE TABLE user (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    role     TEXT NOT NULL,
    tenant   TEXT REFERENCES tenant (name),
    agent    TEXT,
    account  TEXT NOT NULL UNIQUE,
    FOREIGN KEY (tenant, agent) REFERENCES agent (tenant, name)
) STRICT, WITHOUT ROWID;

-- Not tied to users and tenants: it outlasts them.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    user    TEXT NOT NULL,
    account TEXT NOT NULL,
    role    TEXT NOT NULL,
    tenant  TEXT,
    did     TEXT NOT NULL
) STRICT;

CREATE INDEX audit_tenant ON audit (tenant, seq);
