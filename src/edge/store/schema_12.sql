-- Schema version 12: what a call is known by on every appliance that it passes (RFC 7989).

ALTER TABLE cdr ADD COLUMN trace TEXT;
CREATE INDEX cdr_by_trace ON cdr (trace) WHERE trace IS NOT NULL;
