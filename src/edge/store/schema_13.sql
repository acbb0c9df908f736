-- Schema version 13: where agents have signed in who sit elsewhere than provisioned, as JSON.

CREATE TABLE agent_seat (
    tenant TEXT NOT NULL,
    agent  TEXT NOT NULL,
    seat   TEXT NOT NULL,
    PRIMARY KEY (tenant, agent)
) STRICT, WITHOUT ROWID;
