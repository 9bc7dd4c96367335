-- +goose Up
-- How far ahead of real time the test data of an account lives. Only ever grows.
CREATE TABLE test_clocks (
    account    TEXT   NOT NULL PRIMARY KEY,
    ahead_us   BIGINT NOT NULL, -- microseconds
    applied_us BIGINT NOT NULL DEFAULT 0, -- how much of it the queue of webhooks, and the store of payments where it is another, have heard of
    moved_at   BIGINT NOT NULL
);
CREATE INDEX test_clocks_behind ON test_clocks (account) WHERE applied_us < ahead_us;
