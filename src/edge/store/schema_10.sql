-- Schema version 10: what was learned of tenants' calls on the trunks that they share, as JSON.

CREATE TABLE learned (
    tenant TEXT NOT NULL,
    trunk  TEXT NOT NULL,
    memory TEXT NOT NULL,
    PRIMARY KEY (tenant, trunk)
) STRICT, WITHOUT ROWID;
