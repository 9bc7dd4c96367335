-- +goose Up
-- On SQLite the projection for people is in a file of its own: migrations/reports.
SELECT 1;
