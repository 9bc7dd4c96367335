-- +goose Up
-- Events that come from another store. Which of an object's events (numbered 1
-- to 64) the feed has is a bit each: a row per object instead of one per event.
CREATE TABLE relayed (
    object TEXT   NOT NULL PRIMARY KEY,
    seen   BIGINT NOT NULL
);

CREATE TABLE relay_checkpoints (
    source     TEXT NOT NULL,
    shard      TEXT NOT NULL,
    checkpoint TEXT NOT NULL,
    PRIMARY KEY (source, shard)
);
