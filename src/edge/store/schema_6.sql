-- Schema version 6: attributes, and what tenants, agents (of a tenant) and queues (of a tenant) say of routing beyond the
-- defaults, as an object of the provisioning's fields.

CREATE TABLE attribute (
    tenant   TEXT NOT NULL REFERENCES tenant (name),
    name     TEXT NOT NULL,
    position INTEGER NOT NULL,
    kind     TEXT NOT NULL CHECK (kind IN ('symbol', 'set', 'level')),
    symbols  TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE routing (
    kind   TEXT NOT NULL CHECK (kind IN ('tenant', 'agent', 'queue')),
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (kind, tenant, name)
) STRICT, WITHOUT ROWID;
