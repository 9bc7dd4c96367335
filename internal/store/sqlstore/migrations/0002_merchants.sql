-- +goose Up
CREATE TABLE accounts (
    id         TEXT   NOT NULL PRIMARY KEY,
    name       TEXT   NOT NULL,
    methods    TEXT   NOT NULL,              -- JSON list
    revision   BIGINT NOT NULL,
    created_at BIGINT NOT NULL
);

CREATE TABLE users (
    id            TEXT   NOT NULL PRIMARY KEY,
    account       TEXT   NOT NULL,
    username      TEXT   NOT NULL,
    email         TEXT   NOT NULL,
    date          BIGINT NOT NULL,
    password_hash TEXT   NOT NULL,
    created_at    BIGINT NOT NULL
);

-- A name to sign in with, username or address, names one user.
CREATE TABLE logins (
    login   TEXT NOT NULL PRIMARY KEY,
    user_id TEXT NOT NULL
);

CREATE TABLE api_keys (
    id             TEXT   NOT NULL PRIMARY KEY,
    account        TEXT   NOT NULL,
    name           TEXT   NOT NULL,
    mode           TEXT   NOT NULL,
    scopes         TEXT   NOT NULL,          -- JSON list
    hash           TEXT   NOT NULL,          -- SHA-256 of the secret, base64
    previous_hash  TEXT   NOT NULL,          -- empty: none
    previous_until BIGINT NOT NULL,
    expires_at     BIGINT NOT NULL,
    last_used_at   BIGINT NOT NULL,
    revoked_at     BIGINT NOT NULL,
    created_at     BIGINT NOT NULL,
    revision       BIGINT NOT NULL
);
CREATE INDEX api_keys_by_account ON api_keys (account, id);
CREATE INDEX api_keys_by_hash ON api_keys (hash);
CREATE INDEX api_keys_by_previous ON api_keys (previous_hash) WHERE previous_hash <> '';

CREATE TABLE sessions (
    id         TEXT   NOT NULL PRIMARY KEY,
    user_id    TEXT   NOT NULL,
    account    TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    revoked_at BIGINT NOT NULL
);
