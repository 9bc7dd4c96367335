-- +goose Up
-- The IANA name of the zone in which an account's days begin; empty: not chosen, UTC.
ALTER TABLE accounts ADD COLUMN time_zone TEXT NOT NULL DEFAULT '';
