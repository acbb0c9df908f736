-- Schema version 3: how a trunk's calls are carried. `tls` is JSON; in `trunk_peer` port 0 and an empty transport mean
-- that none was given.

ALTER TABLE trunk ADD COLUMN tls TEXT;
ALTER TABLE trunk ADD COLUMN outbound_proxy TEXT;
ALTER TABLE trunk ADD COLUMN failover_s INTEGER NOT NULL DEFAULT 4;
