-- +goose Up
ALTER TABLE webhook_endpoints ADD COLUMN failing_since BIGINT NOT NULL DEFAULT 0; -- the first failed try since the last success; 0: none
ALTER TABLE webhook_endpoints ADD COLUMN told BIGINT NOT NULL DEFAULT 0;          -- events that were emitted about it
UPDATE webhook_endpoints SET told = 1 WHERE disabled_at <> 0;

ALTER TABLE webhook_deliveries ADD COLUMN request TEXT NOT NULL DEFAULT '';       -- JSON: URL and headers; empty: nothing was sent
ALTER TABLE webhook_deliveries ADD COLUMN test BIGINT NOT NULL DEFAULT 0;         -- 1: of a test event
ALTER TABLE webhook_deliveries ADD COLUMN redelivery TEXT NOT NULL DEFAULT '';    -- the bulk redelivery whose first try this is
CREATE INDEX webhook_deliveries_by_event ON webhook_deliveries (endpoint, event, id);
CREATE INDEX webhook_deliveries_by_redelivery ON webhook_deliveries (redelivery, status) WHERE redelivery <> '';

CREATE TABLE webhook_redeliveries (
    id         TEXT   NOT NULL PRIMARY KEY,
    account    TEXT   NOT NULL,
    mode       TEXT   NOT NULL,
    endpoint   TEXT   NOT NULL,
    status     TEXT   NOT NULL,            -- of the deliveries that are sent again
    event_type TEXT   NOT NULL,            -- empty: any
    since      BIGINT NOT NULL,            -- 0: from the first
    until      BIGINT NOT NULL,            -- 0: to the last
    state      TEXT   NOT NULL,
    reason     TEXT   NOT NULL,
    total      BIGINT NOT NULL,
    at_id      TEXT   NOT NULL,            -- the last delivery that it has dealt with
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL,
    revision   BIGINT NOT NULL
);
CREATE INDEX webhook_redeliveries_by_endpoint ON webhook_redeliveries (endpoint, id);
CREATE UNIQUE INDEX webhook_redeliveries_running ON webhook_redeliveries (endpoint) WHERE state = 'running';
CREATE INDEX webhook_redeliveries_by_time ON webhook_redeliveries (created_at);
