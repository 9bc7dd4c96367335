-- +goose Up
ALTER TABLE webhook_deliveries ADD COLUMN unresolved BIGINT NOT NULL DEFAULT 0; -- 1: parked, and nothing has dealt with it since
UPDATE webhook_deliveries SET unresolved = 1 WHERE status = 'parked';
CREATE INDEX webhook_deliveries_unresolved ON webhook_deliveries (event, endpoint) WHERE unresolved = 1;
CREATE INDEX webhook_deliveries_by_time ON webhook_deliveries (at);
CREATE INDEX sessions_by_expiry ON sessions (expires_at);
