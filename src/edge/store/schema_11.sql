-- Schema version 11: sites, too, say more than the defaults in `routing`: which trunks lead to them.

CREATE TABLE routing_with_sites (
    kind   TEXT NOT NULL CHECK (kind IN ('tenant', 'site', 'trunk', 'agent', 'queue')),
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (kind, tenant, name)
) STRICT, WITHOUT ROWID;
INSERT INTO routing_with_sites SELECT kind, tenant, name, fields FROM routing;
DROP TABLE routing;
ALTER TABLE routing_with_sites RENAME TO routing;
