-- +goose Up
-- Mails to payers are also counted by the network of the payer who caused them.
ALTER TABLE mails ADD COLUMN network TEXT NOT NULL DEFAULT '';
CREATE INDEX mails_payers_by_network ON mails (network, created_at) WHERE network <> '';
-- A refusal is about links, as all were until now, or about receipts and refunds, or both.
ALTER TABLE mail_refusals ADD COLUMN links BIGINT NOT NULL DEFAULT 1;
ALTER TABLE mail_refusals ADD COLUMN receipts BIGINT NOT NULL DEFAULT 0;
