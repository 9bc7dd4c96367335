-- +goose Up
-- On SQLite the analytics store is in a file of its own: migrations/analytics.
SELECT 1;
