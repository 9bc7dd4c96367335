-- +goose Up
CREATE TABLE mails (
    id         TEXT   NOT NULL PRIMARY KEY,
    account    TEXT   NOT NULL,
    mode       TEXT   NOT NULL,
    recipient  TEXT   NOT NULL,            -- an address, or a user's id
    kind       TEXT   NOT NULL,
    lang       TEXT   NOT NULL,
    data       TEXT   NOT NULL,            -- sealed, base64; empty once the mail has ended
    withdraw   TEXT   NOT NULL DEFAULT '', -- names the mails that can be withdrawn together
    due_at     BIGINT NOT NULL,            -- of the next try
    claimed    BIGINT NOT NULL DEFAULT 0,  -- until when a process is at work on it
    ends_at    BIGINT NOT NULL DEFAULT 0,  -- of no use from then on
    status     TEXT   NOT NULL,
    attempt    BIGINT NOT NULL DEFAULT 0,
    error      TEXT   NOT NULL DEFAULT '',
    created_at BIGINT NOT NULL,
    ended_at   BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX mails_due ON mails (due_at) WHERE status = 'waiting';
CREATE INDEX mails_to_withdraw ON mails (account, withdraw) WHERE status = 'waiting' AND withdraw <> '';
CREATE INDEX mails_parked ON mails (ended_at) WHERE status = 'parked';
CREATE INDEX mails_ended ON mails (ended_at) WHERE ended_at > 0;
CREATE INDEX mails_by_account ON mails (account, id);
-- Mails that a merchant may cause are counted against limits.
CREATE INDEX mails_links_by_account ON mails (account, created_at) WHERE kind = 'link';
CREATE INDEX mails_links_by_recipient ON mails (recipient, created_at) WHERE kind = 'link';

CREATE TABLE mail_preferences (
    user_id TEXT NOT NULL PRIMARY KEY,
    lang    TEXT NOT NULL,
    off     TEXT NOT NULL -- JSON list of kinds
);

-- Addresses that want no links from an account.
CREATE TABLE mail_refusals (
    account    TEXT   NOT NULL,
    address    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    PRIMARY KEY (account, address)
);
