-- Schema version 5: trunks whose peers belong to the operator's trust domain (RFC 3325).

ALTER TABLE trunk ADD COLUMN trusted INTEGER NOT NULL DEFAULT 0;
