-- +goose Up
-- The words that a search finds are others: everything is rebuilt from the feed.
DELETE FROM report_payments;
DELETE FROM report_terms;
DELETE FROM report_sums;
DELETE FROM report_declines;
DELETE FROM report_anchor;
DELETE FROM report_links WHERE seen = 0;
UPDATE report_links SET created_at = 0, steps = 0, currency = '';
UPDATE checkpoints SET position = 0 WHERE consumer = 'reports';
