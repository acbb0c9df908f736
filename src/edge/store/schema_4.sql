-- Schema version 4: protection of media, where it is not the default, of a trunk (tenant empty) or an agent's phone.

CREATE TABLE srtp (
    kind TEXT NOT NULL CHECK (kind IN ('trunk', 'agent')),
    tenant TEXT NOT NULL,
    name TEXT NOT NULL,
    need TEXT NOT NULL,
    keys TEXT NOT NULL,
    PRIMARY KEY (kind, tenant, name)
) STRICT;
