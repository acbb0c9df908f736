-- Schema version 8: trunks, too, say more than the defaults in `routing`: how they hunt, how many calls they take.

CREATE TABLE routing_of_all (
    kind   TEXT NOT NULL CHECK (kind IN ('tenant', 'trunk', 'agent', 'queue')),
    tenant TEXT NOT NULL,
    name   TEXT NOT NULL,
    fields TEXT NOT NULL,
    PRIMARY KEY (kind, tenant, name)
) STRICT, WITHOUT ROWID;
INSERT INTO routing_of_all SELECT kind, tenant, name, fields FROM routing;
DROP TABLE routing;
ALTER TABLE routing_of_all RENAME TO routing;
