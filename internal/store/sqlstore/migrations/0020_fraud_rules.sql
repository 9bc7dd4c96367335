-- +goose Up
-- What accounts, and the operator (account ''), keep against fraud. doc is JSON,
-- doc_sum its CRC-32C.
CREATE TABLE fraud_rules (
    account TEXT   NOT NULL,
    mode    TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    version BIGINT NOT NULL,
    builtin BIGINT NOT NULL DEFAULT 0, -- 1: the switch of a rule of the default set
    doc     TEXT   NOT NULL,
    doc_sum BIGINT NOT NULL,
    PRIMARY KEY (account, mode, id)
);
-- Every version that a rule ever had; they outlive it, because decisions name them.
CREATE TABLE fraud_rule_versions (
    account TEXT   NOT NULL,
    mode    TEXT   NOT NULL,
    id      TEXT   NOT NULL,
    version BIGINT NOT NULL,
    doc     TEXT   NOT NULL,
    doc_sum BIGINT NOT NULL,
    PRIMARY KEY (account, mode, id, version)
);
CREATE TABLE fraud_list_entries (
    id         TEXT   NOT NULL PRIMARY KEY,
    account    TEXT   NOT NULL,
    mode       TEXT   NOT NULL,
    kind       TEXT   NOT NULL,
    value      TEXT   NOT NULL,
    expires_at BIGINT NOT NULL, -- microseconds; 0: never
    doc        TEXT   NOT NULL,
    doc_sum    BIGINT NOT NULL
);
CREATE UNIQUE INDEX fraud_list_entries_by_value ON fraud_list_entries (account, mode, kind, value);
CREATE INDEX fraud_list_entries_by_age ON fraud_list_entries (account, mode, id);
CREATE INDEX fraud_list_entries_ended ON fraud_list_entries (expires_at) WHERE expires_at > 0;
CREATE TABLE fraud_policies (
    account TEXT   NOT NULL,
    mode    TEXT   NOT NULL,
    doc     TEXT   NOT NULL,
    doc_sum BIGINT NOT NULL,
    PRIMARY KEY (account, mode)
);
-- Which book changed when: every commit that changes one raises the single row of
-- fraud_revision first, so revisions are committed in their order.
CREATE TABLE fraud_books (
    account  TEXT   NOT NULL,
    mode     TEXT   NOT NULL,
    revision BIGINT NOT NULL,
    PRIMARY KEY (account, mode)
);
CREATE INDEX fraud_books_by_revision ON fraud_books (revision);
CREATE TABLE fraud_revision (
    one      INTEGER PRIMARY KEY,
    revision BIGINT NOT NULL
);
INSERT INTO fraud_revision (one, revision) VALUES (1, 0);
