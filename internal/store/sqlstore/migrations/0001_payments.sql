-- +goose Up
CREATE TABLE links (
    id           TEXT   NOT NULL PRIMARY KEY,
    account      TEXT   NOT NULL,
    mode         TEXT   NOT NULL,
    realm        TEXT   NOT NULL,
    reference    TEXT   NOT NULL,
    max_uses     BIGINT NOT NULL,            -- 0: unlimited
    uses         BIGINT NOT NULL DEFAULT 0,
    reserved     BIGINT NOT NULL DEFAULT 0,
    last_payment TEXT   NOT NULL DEFAULT '',
    expires_at   BIGINT NOT NULL,
    canceled_at  BIGINT NOT NULL DEFAULT 0,
    expired_at   BIGINT NOT NULL DEFAULT 0,
    paid_at      BIGINT NOT NULL DEFAULT 0,
    open         BIGINT NOT NULL DEFAULT 1,  -- 0 once paid, canceled or recorded as expired
    doc          TEXT   NOT NULL,
    doc_sum      BIGINT NOT NULL             -- CRC-32C of doc
);
CREATE INDEX links_by_account ON links (account, mode, id);
CREATE INDEX links_open ON links (expires_at) WHERE open = 1;

CREATE TABLE payments (
    id         TEXT   NOT NULL PRIMARY KEY,
    account    TEXT   NOT NULL,
    mode       TEXT   NOT NULL,
    link       TEXT   NOT NULL,
    status     TEXT   NOT NULL,              -- as callers see it
    currency   TEXT   NOT NULL,
    realm      TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    due_at     BIGINT,                       -- NULL: the sweep need not look
    revision   BIGINT NOT NULL,
    doc        TEXT   NOT NULL,
    doc_sum    BIGINT NOT NULL
);
CREATE INDEX payments_history ON payments (account, mode, created_at, id);
CREATE INDEX payments_due ON payments (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX payments_review ON payments (status) WHERE status = 'review';

CREATE TABLE events (
    position   INTEGER PRIMARY KEY,
    id         TEXT   NOT NULL,
    type       TEXT   NOT NULL,
    account    TEXT   NOT NULL,
    mode       TEXT   NOT NULL,
    object     TEXT   NOT NULL,
    seq        BIGINT NOT NULL,
    object_seq BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    data       TEXT   NOT NULL,
    transfers  TEXT   NOT NULL               -- JSON list; empty text: none
);
CREATE UNIQUE INDEX events_by_account ON events (account, mode, seq);

CREATE TABLE event_seqs (
    account TEXT   NOT NULL,
    mode    TEXT   NOT NULL,
    last    BIGINT NOT NULL,
    PRIMARY KEY (account, mode)
);

CREATE TABLE balances (
    account   TEXT   NOT NULL,
    mode      TEXT   NOT NULL,
    currency  TEXT   NOT NULL,
    available BIGINT NOT NULL,
    pending   BIGINT NOT NULL,
    PRIMARY KEY (account, mode, currency)
);

CREATE TABLE checkpoints (
    consumer TEXT   NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);

CREATE TABLE idempotency (
    scope       TEXT   NOT NULL,
    key         TEXT   NOT NULL,
    fingerprint TEXT   NOT NULL,
    status      BIGINT NOT NULL,
    answer      TEXT   NOT NULL,             -- sealed, base64
    created_at  BIGINT NOT NULL,
    PRIMARY KEY (scope, key)
);
