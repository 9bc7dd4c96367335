-- An hour that a day's beginning divides is counted from the rows.
CREATE INDEX report_links_by_time ON report_links (owner, created_at);
