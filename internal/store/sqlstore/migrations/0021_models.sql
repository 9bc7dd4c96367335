-- +goose Up
-- Models of fraud, the installation's. doc is JSON, doc_sum its CRC-32C; file is the
-- model as package score writes it, in base64, with a checksum of its own inside.
CREATE TABLE fraud_models (
    version     TEXT   NOT NULL PRIMARY KEY,
    state       TEXT   NOT NULL,
    trained_at  BIGINT NOT NULL, -- microseconds
    promoted_at BIGINT NOT NULL, -- 0: it never ran
    doc         TEXT   NOT NULL,
    doc_sum     BIGINT NOT NULL,
    file        TEXT   NOT NULL
);
-- One runs, and one is in shadow.
CREATE UNIQUE INDEX fraud_models_one ON fraud_models (state) WHERE state IN ('running', 'shadow');
