-- +goose Up
-- The keys under which data at rest is sealed, by id: a process without them must not start.
CREATE TABLE needed_keys (
    id      TEXT   PRIMARY KEY,
    purpose TEXT   NOT NULL,
    since   BIGINT NOT NULL
);
