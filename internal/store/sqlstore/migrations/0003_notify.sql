-- +goose Up
CREATE TABLE webhook_endpoints (
    id              TEXT   NOT NULL PRIMARY KEY,
    account         TEXT   NOT NULL,
    mode            TEXT   NOT NULL,
    url             TEXT   NOT NULL,
    events          TEXT   NOT NULL,            -- JSON list of types
    secret          TEXT   NOT NULL,            -- sealed, base64
    previous_secret TEXT   NOT NULL DEFAULT '', -- sealed, base64; signs too until previous_until
    previous_until  BIGINT NOT NULL DEFAULT 0,
    disabled_at     BIGINT NOT NULL DEFAULT 0,
    disabled_reason TEXT   NOT NULL DEFAULT '',
    created_at      BIGINT NOT NULL,
    revision        BIGINT NOT NULL
);
CREATE INDEX webhook_endpoints_by_account ON webhook_endpoints (account, mode, id);

CREATE TABLE webhook_deliveries (
    id          TEXT   NOT NULL PRIMARY KEY,
    account     TEXT   NOT NULL,
    mode        TEXT   NOT NULL,
    endpoint    TEXT   NOT NULL,
    event       TEXT   NOT NULL,
    event_type  TEXT   NOT NULL,
    attempt     BIGINT NOT NULL,
    status      TEXT   NOT NULL,
    http_status BIGINT NOT NULL,
    answer      TEXT   NOT NULL,
    error       TEXT   NOT NULL,
    duration_ms BIGINT NOT NULL,
    at          BIGINT NOT NULL,
    next_at     BIGINT NOT NULL,
    body        TEXT   NOT NULL                 -- sealed, base64; empty: it had none
);
CREATE INDEX webhook_deliveries_by_endpoint ON webhook_deliveries (endpoint, id);
