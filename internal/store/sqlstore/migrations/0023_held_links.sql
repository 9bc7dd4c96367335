-- +goose Up
-- links.open is 2 for a link that has ended while payments still hold uses of it: the
-- sweep of expired links passes over it until the last of them gives its use back.
CREATE INDEX links_held ON links (expires_at) WHERE open = 2;
