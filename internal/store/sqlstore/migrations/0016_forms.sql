-- +goose Up
CREATE TABLE forms (
    id       TEXT   NOT NULL PRIMARY KEY,
    account  TEXT   NOT NULL,
    mode     TEXT   NOT NULL,
    archived BIGINT NOT NULL DEFAULT 0,
    revision BIGINT NOT NULL,
    doc      TEXT   NOT NULL,
    doc_sum  BIGINT NOT NULL             -- CRC-32C of doc
);
CREATE INDEX forms_by_account ON forms (account, mode, archived, id);
