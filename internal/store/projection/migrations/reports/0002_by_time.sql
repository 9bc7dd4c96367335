-- +goose Up
-- An hour that a day's beginning divides is counted from the rows.
CREATE INDEX report_links_by_time ON report_links (owner, created_at);
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES ('report_links', 'report_links_by_time', '1000000 500000 1');
