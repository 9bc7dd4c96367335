-- +goose Up
-- The analytics store, schema version 1 (docs/analytics.md), in a file of its own:
-- whatever is done to it, no payment waits for it. PostgreSQL has the same tables
-- beside the others: migrations/postgres/0019_analytics.sql. Times are milliseconds
-- since 1970, 0 is none; money is in minor units. No card number is anywhere in it.
CREATE TABLE analytics_owners (
    id      INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    mode    TEXT NOT NULL,
    UNIQUE (account, mode)
);

-- A payment is one attempt to pay. Its number begins with the millisecond in which
-- it was made, so lists go by it.
CREATE TABLE analytics_payments (
    owner        BIGINT NOT NULL,
    number       BIGINT NOT NULL,
    id           TEXT   NOT NULL,
    link         TEXT   NOT NULL,
    currency     TEXT   NOT NULL,
    amount       BIGINT NOT NULL,
    captured     BIGINT NOT NULL,
    refunded     BIGINT NOT NULL,
    status       TEXT   NOT NULL,
    created_at   BIGINT NOT NULL,
    updated_at   BIGINT NOT NULL,
    answered_at  BIGINT NOT NULL, -- the issuer's first word
    authorised   BIGINT NOT NULL, -- 1: it was yes
    decline      TEXT   NOT NULL,
    card_brand   TEXT   NOT NULL,
    card_last4   TEXT   NOT NULL,
    fingerprint  TEXT   NOT NULL, -- of the card: a keyed hash, of this account and mode alone
    bin          TEXT   NOT NULL,
    payer_name   TEXT   NOT NULL,
    payer_email  TEXT   NOT NULL,
    realm        TEXT   NOT NULL,
    reference    TEXT   NOT NULL,
    address      TEXT   NOT NULL, -- prefix: /24 or /48
    country      TEXT   NOT NULL,
    action       TEXT   NOT NULL, -- allow, block, review; '': nobody assessed it
    challenge    BIGINT NOT NULL, -- 1: 3-D Secure was asked for
    why          TEXT   NOT NULL,
    rule         TEXT   NOT NULL,
    rule_version BIGINT NOT NULL,
    score        BIGINT NOT NULL, -- -1: none
    review       TEXT   NOT NULL,
    label        TEXT   NOT NULL, -- as a person said it
    fraud        BIGINT NOT NULL, -- 1 fraud, 0 honest, -1 not known
    known_at     BIGINT NOT NULL, -- since when that is known
    disputed     BIGINT NOT NULL, -- 1: there is a dispute
    risk         TEXT   NOT NULL, -- JSON: values, reasons, rules in shadow, and all of the above
    disputes     TEXT   NOT NULL, -- JSON
    seq          BIGINT NOT NULL, -- number of the last event, among the payment's
    PRIMARY KEY (owner, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX analytics_payments_by_id ON analytics_payments (id);
CREATE INDEX analytics_payments_in_order ON analytics_payments (number, owner);
CREATE INDEX analytics_payments_by_action ON analytics_payments (owner, action, number) WHERE action <> '';
CREATE INDEX analytics_payments_by_review ON analytics_payments (owner, review, number) WHERE review <> '';
CREATE INDEX analytics_payments_by_card ON analytics_payments (owner, fingerprint, number) WHERE fingerprint <> '';
CREATE INDEX analytics_payments_by_email ON analytics_payments (owner, lower(payer_email), number) WHERE payer_email <> '';
CREATE INDEX analytics_payments_by_address ON analytics_payments (owner, address, number) WHERE address <> '';
CREATE INDEX analytics_payments_challenged ON analytics_payments (owner, number) WHERE challenge = 1;
CREATE INDEX analytics_payments_disputed ON analytics_payments (owner, number) WHERE disputed = 1;

CREATE TABLE analytics_links (
    id         TEXT   NOT NULL PRIMARY KEY,
    owner      BIGINT NOT NULL,
    currency   TEXT   NOT NULL,
    amount     BIGINT NOT NULL, -- 0: the payer chooses
    realm      TEXT   NOT NULL,
    reference  TEXT   NOT NULL,
    state      TEXT   NOT NULL, -- open, paid, expired, canceled
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    seq        BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE analytics_refunds (
    id         TEXT   NOT NULL PRIMARY KEY,
    owner      BIGINT NOT NULL,
    payment    TEXT   NOT NULL,
    currency   TEXT   NOT NULL,
    amount     BIGINT NOT NULL,
    status     TEXT   NOT NULL,
    code       TEXT   NOT NULL,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    seq        BIGINT NOT NULL
) WITHOUT ROWID;

CREATE TABLE analytics_disputes (
    id              TEXT   NOT NULL PRIMARY KEY,
    owner           BIGINT NOT NULL,
    payment         TEXT   NOT NULL,
    currency        TEXT   NOT NULL,
    amount          BIGINT NOT NULL,
    reason          TEXT   NOT NULL,
    state           TEXT   NOT NULL,
    reference       TEXT   NOT NULL,
    evidence_due_at BIGINT NOT NULL,
    created_at      BIGINT NOT NULL,
    closed_at       BIGINT NOT NULL,
    seq             BIGINT NOT NULL
) WITHOUT ROWID;

-- Attempts that the shield refused: no payment was made of them, so no feed tells
-- of them, and no rebuild brings them back.
CREATE TABLE analytics_shield (
    owner   BIGINT NOT NULL,
    hour    BIGINT NOT NULL, -- since 1970
    link    TEXT   NOT NULL,
    refused BIGINT NOT NULL,
    PRIMARY KEY (owner, hour, link)
) WITHOUT ROWID;

-- What is known of payments: the labels that models learn from.
CREATE VIEW analytics_labels AS
    SELECT o.account, o.mode, p.id AS payment, p.created_at, p.fraud, p.known_at, CASE WHEN p.label <> '' THEN 'review' ELSE 'dispute' END AS source
    FROM analytics_payments p JOIN analytics_owners o ON o.id = p.owner WHERE p.fraud >= 0;

-- Sums of the payments made on a day of UTC (days since 1970), in the commit of
-- their rows.
CREATE TABLE analytics_days (
    owner         BIGINT NOT NULL,
    day           BIGINT NOT NULL,
    currency      TEXT   NOT NULL,
    attempts      BIGINT NOT NULL,
    allowed       BIGINT NOT NULL,
    challenged    BIGINT NOT NULL,
    blocked       BIGINT NOT NULL,
    held          BIGINT NOT NULL,
    authorised    BIGINT NOT NULL,
    declined      BIGINT NOT NULL,
    fraud         BIGINT NOT NULL,
    legitimate    BIGINT NOT NULL,
    review_opened BIGINT NOT NULL,
    review_closed BIGINT NOT NULL,
    unrated       BIGINT NOT NULL,
    fraud_minor   BIGINT NOT NULL,
    blocked_minor BIGINT NOT NULL,
    PRIMARY KEY (owner, day, currency)
) WITHOUT ROWID;

-- Of scored payments by tens of the score: 0 is 0 to 9, 9 is 90 to 100. Passed were
-- not blocked, and authorised.
CREATE TABLE analytics_scores (
    owner             BIGINT NOT NULL,
    day               BIGINT NOT NULL,
    band              BIGINT NOT NULL,
    scored            BIGINT NOT NULL,
    blocked           BIGINT NOT NULL,
    passed            BIGINT NOT NULL,
    passed_fraud      BIGINT NOT NULL,
    passed_legitimate BIGINT NOT NULL,
    PRIMARY KEY (owner, day, band)
) WITHOUT ROWID;

CREATE TABLE analytics_rules (
    owner        BIGINT NOT NULL,
    day          BIGINT NOT NULL,
    rule         TEXT   NOT NULL,
    rule_version BIGINT NOT NULL,
    action       TEXT   NOT NULL,
    shadow       BIGINT NOT NULL,
    currency     TEXT   NOT NULL,
    hits         BIGINT NOT NULL,
    fraud        BIGINT NOT NULL,
    legitimate   BIGINT NOT NULL,
    minor        BIGINT NOT NULL,
    PRIMARY KEY (owner, day, rule, rule_version, action, shadow, currency)
) WITHOUT ROWID;

-- The one row: how far the feed was followed, and which event stands there. While it
-- is not whole, somebody makes it anew from the payments.
CREATE TABLE analytics_state (
    one        BIGINT NOT NULL PRIMARY KEY,
    version    BIGINT NOT NULL, -- of this schema
    generation BIGINT NOT NULL, -- how often it was made anew
    whole      BIGINT NOT NULL,
    position   BIGINT NOT NULL,
    event      TEXT   NOT NULL,
    builder    TEXT   NOT NULL, -- who makes it anew
    beat       BIGINT NOT NULL, -- and was last seen at it
    walked     BIGINT NOT NULL
);
INSERT INTO analytics_state (one, version, generation, whole, position, event, builder, beat, walked) VALUES (1, 1, 0, 0, 0, '', '', 0, 0);

-- What the engine's planner should believe, as in migrations/reports.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('analytics_payments', 'analytics_payments', '1000000 500000 1'),
    ('analytics_payments', 'analytics_payments_by_id', '1000000 1'),
    ('analytics_payments', 'analytics_payments_in_order', '1000000 1 1'),
    ('analytics_payments', 'analytics_payments_by_action', '1000000 500000 100000 1'),
    ('analytics_payments', 'analytics_payments_by_review', '100000 50000 20000 1'),
    ('analytics_payments', 'analytics_payments_by_card', '1000000 500000 10 1'),
    ('analytics_payments', 'analytics_payments_by_email', '1000000 500000 10 1'),
    ('analytics_payments', 'analytics_payments_by_address', '1000000 500000 50 1'),
    ('analytics_payments', 'analytics_payments_challenged', '100000 50000 1'),
    ('analytics_payments', 'analytics_payments_disputed', '100000 50000 1');
