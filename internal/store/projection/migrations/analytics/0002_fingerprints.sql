-- +goose Up
-- A fingerprint of an earlier version, a keyed hash, becomes that of all cards with the same first
-- and last digits.
UPDATE analytics_payments SET fingerprint = 'card_' || bin || '_' || card_last4,
    risk = REPLACE(risk, '"' || fingerprint || '"', '"card_' || bin || '_' || card_last4 || '"') WHERE LENGTH(fingerprint) = 32;
