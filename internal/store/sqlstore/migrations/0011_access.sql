-- +goose Up
-- Who is here already was here before addresses were confirmed, and keeps live mode.
ALTER TABLE users ADD COLUMN confirmed_at BIGINT NOT NULL DEFAULT 0; -- 0: not
UPDATE users SET confirmed_at = created_at;
ALTER TABLE accounts ADD COLUMN confirmed_at BIGINT NOT NULL DEFAULT 0;
UPDATE accounts SET confirmed_at = created_at;
CREATE INDEX users_by_account ON users (account, id);

ALTER TABLE sessions ADD COLUMN browser BIGINT NOT NULL DEFAULT 0; -- 1: of the dashboard
ALTER TABLE sessions ADD COLUMN agent TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN network TEXT NOT NULL DEFAULT '';
ALTER TABLE sessions ADD COLUMN last_seen_at BIGINT NOT NULL DEFAULT 0;
UPDATE sessions SET last_seen_at = created_at;
CREATE INDEX sessions_by_user ON sessions (user_id, id);

-- What a user signs in with besides the password.
CREATE TABLE guards (
    user_id  TEXT   NOT NULL PRIMARY KEY,
    doc      TEXT   NOT NULL,              -- JSON: sealed secret, hashes, public keys
    doc_sum  BIGINT NOT NULL,
    revision BIGINT NOT NULL
);

-- Secrets for one use: of mails, of invitations, and answered challenges.
CREATE TABLE tokens (
    hash       TEXT   NOT NULL PRIMARY KEY, -- SHA-256, base64
    id         TEXT   NOT NULL,             -- of an invitation; empty: none
    kind       TEXT   NOT NULL,
    user_id    TEXT   NOT NULL,
    account    TEXT   NOT NULL,
    email      TEXT   NOT NULL,
    mailed     BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    used_at    BIGINT NOT NULL
);
CREATE INDEX tokens_by_user ON tokens (user_id, kind, created_at);
CREATE INDEX tokens_by_expiry ON tokens (expires_at);
CREATE INDEX tokens_of_account ON tokens (account, id) WHERE id <> '';

-- How often somebody failed to prove who they are.
CREATE TABLE guesses (
    who      TEXT   NOT NULL PRIMARY KEY,
    failures BIGINT NOT NULL,
    at       BIGINT NOT NULL
);
CREATE INDEX guesses_by_time ON guesses (at);
