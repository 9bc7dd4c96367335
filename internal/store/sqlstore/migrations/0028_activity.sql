-- +goose Up
-- Who did what. An entry is written in the commit of the change that it is about.
CREATE TABLE activity (
    id      TEXT   PRIMARY KEY,
    account TEXT   NOT NULL,
    at      BIGINT NOT NULL,
    kind    TEXT   NOT NULL,
    actor   TEXT   NOT NULL, -- id of the user or API key, or ''
    target  TEXT   NOT NULL,
    count   BIGINT NOT NULL,
    doc     TEXT   NOT NULL
);
CREATE INDEX activity_by_account ON activity (account, at, id);
CREATE INDEX activity_by_age ON activity (at);
