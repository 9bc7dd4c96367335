-- +goose Up
-- Mails to payers are counted by their reader, however the address was spelled.
ALTER TABLE mails ADD COLUMN reader TEXT NOT NULL DEFAULT '';
UPDATE mails SET reader = recipient WHERE kind = 'link';
DROP INDEX mails_links_by_recipient;
CREATE INDEX mails_payers_by_account ON mails (account, created_at) WHERE reader <> '';
CREATE INDEX mails_payers_by_reader ON mails (reader, created_at) WHERE reader <> '';
