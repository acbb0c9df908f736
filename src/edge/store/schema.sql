-- Schema version 1. Times are milliseconds since 1970-01-01T00:00:00Z; sealed columns hold what secret.rs seals.

CREATE TABLE journal (
    seq   INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    kind  TEXT NOT NULL,
    body  TEXT NOT NULL
) STRICT;

CREATE TABLE cdr (
    call_id     TEXT PRIMARY KEY,
    tenant      TEXT NOT NULL,
    medium      TEXT NOT NULL,
    direction   TEXT NOT NULL,
    caller      TEXT NOT NULL,
    called      TEXT NOT NULL,
    started_at  INTEGER NOT NULL,
    answered_at INTEGER,
    ended_at    INTEGER,
    agent       TEXT,
    cause       TEXT,
    queued_ms   INTEGER NOT NULL,
    legs        TEXT NOT NULL,
    events      TEXT NOT NULL
) STRICT;
CREATE INDEX cdr_by_start ON cdr (started_at, call_id);
CREATE INDEX cdr_by_tenant ON cdr (tenant, started_at, call_id);
CREATE INDEX cdr_open ON cdr (call_id) WHERE ended_at IS NULL;

CREATE TABLE agent_state (
    tenant TEXT NOT NULL,
    agent  TEXT NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    at     INTEGER NOT NULL,
    PRIMARY KEY (tenant, agent)
) STRICT, WITHOUT ROWID;

CREATE TABLE registration (
    user       TEXT NOT NULL,
    contact    TEXT NOT NULL,
    via        TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (user, contact)
) STRICT, WITHOUT ROWID;

-- Provisioning. `position` is the order in which the operator wrote the entries.

CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE card (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    driver   TEXT NOT NULL,
    spans    INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE trunk (
    name         TEXT PRIMARY KEY,
    position     INTEGER NOT NULL,
    kind         TEXT NOT NULL,
    user         TEXT,
    password     BLOB,
    register     INTEGER NOT NULL,
    authenticate INTEGER NOT NULL,
    strip        INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE trunk_peer (
    trunk     TEXT NOT NULL REFERENCES trunk (name),
    position  INTEGER NOT NULL,
    address   TEXT NOT NULL,
    port      INTEGER NOT NULL,
    transport TEXT NOT NULL,
    priority  INTEGER NOT NULL,
    weight    INTEGER NOT NULL,
    options_s INTEGER NOT NULL,
    PRIMARY KEY (trunk, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE trunk_prefix (
    trunk    TEXT NOT NULL REFERENCES trunk (name),
    position INTEGER NOT NULL,
    prefix   TEXT NOT NULL,
    PRIMARY KEY (trunk, position)
) STRICT, WITHOUT ROWID;

CREATE TABLE span (
    name       TEXT PRIMARY KEY,
    position   INTEGER NOT NULL,
    card       TEXT NOT NULL REFERENCES card (name),
    span       INTEGER NOT NULL,
    signalling TEXT NOT NULL,
    trunk      TEXT NOT NULL REFERENCES trunk (name)
) STRICT, WITHOUT ROWID;

CREATE TABLE tenant (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    country  TEXT,
    timezone TEXT NOT NULL,
    language TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE site (
    name     TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    timezone TEXT NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE skill (
    tenant   TEXT NOT NULL REFERENCES tenant (name),
    name     TEXT NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE agent (
    tenant    TEXT NOT NULL REFERENCES tenant (name),
    name      TEXT NOT NULL,
    position  INTEGER NOT NULL,
    site      TEXT REFERENCES site (name),
    contact   TEXT,
    user      TEXT UNIQUE,
    password  BLOB,
    code      TEXT,
    pin       BLOB,
    signed_in INTEGER NOT NULL,
    ring_s    INTEGER NOT NULL,
    wrap_up_s INTEGER NOT NULL,
    PRIMARY KEY (tenant, name),
    UNIQUE (tenant, code)
) STRICT, WITHOUT ROWID;

CREATE TABLE agent_skill (
    tenant TEXT NOT NULL,
    agent  TEXT NOT NULL,
    skill  TEXT NOT NULL,
    level  REAL NOT NULL,
    PRIMARY KEY (tenant, agent, skill),
    FOREIGN KEY (tenant, agent) REFERENCES agent (tenant, name),
    FOREIGN KEY (tenant, skill) REFERENCES skill (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE queue (
    tenant           TEXT NOT NULL REFERENCES tenant (name),
    name             TEXT NOT NULL,
    position         INTEGER NOT NULL,
    treatment        TEXT NOT NULL,
    music            TEXT,
    announce_every_s INTEGER NOT NULL,
    target_s         INTEGER NOT NULL,
    overflow_after_s INTEGER NOT NULL,
    waiting_max      INTEGER NOT NULL,
    record           INTEGER NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE queue_skill (
    tenant TEXT NOT NULL,
    queue  TEXT NOT NULL,
    skill  TEXT NOT NULL,
    level  REAL NOT NULL,
    PRIMARY KEY (tenant, queue, skill),
    FOREIGN KEY (tenant, queue) REFERENCES queue (tenant, name),
    FOREIGN KEY (tenant, skill) REFERENCES skill (tenant, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE flow (
    tenant   TEXT NOT NULL REFERENCES tenant (name),
    name     TEXT NOT NULL,
    position INTEGER NOT NULL,
    text     TEXT NOT NULL,
    PRIMARY KEY (tenant, name)
) STRICT;

CREATE TABLE number (
    number   TEXT PRIMARY KEY,
    position INTEGER NOT NULL,
    tenant   TEXT NOT NULL,
    flow     TEXT NOT NULL,
    FOREIGN KEY (tenant, flow) REFERENCES flow (tenant, name)
) STRICT, WITHOUT ROWID;
