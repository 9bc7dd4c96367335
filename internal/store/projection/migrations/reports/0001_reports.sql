-- +goose Up
-- The projection for people, in a file of its own: whatever is done to it, no
-- payment waits for it, and it can be made anew from the feed. PostgreSQL has the
-- same tables beside the others: migrations/postgres/0017_reports.sql.
CREATE TABLE report_owners (
    id      INTEGER PRIMARY KEY,
    account TEXT NOT NULL,
    mode    TEXT NOT NULL,
    UNIQUE (account, mode)
);

-- A payment's number begins with the millisecond in which it was made, so lists
-- go by it.
CREATE TABLE report_payments (
    owner       BIGINT NOT NULL,
    number      BIGINT NOT NULL,
    id          TEXT   NOT NULL,
    link        TEXT   NOT NULL,
    realm       TEXT   NOT NULL,
    reference   TEXT   NOT NULL,
    issuer      TEXT   NOT NULL,
    payer_name  TEXT   NOT NULL,
    payer_email TEXT   NOT NULL,
    card_brand  TEXT   NOT NULL,
    card_last4  TEXT   NOT NULL,
    decline     TEXT   NOT NULL,
    status      TEXT   NOT NULL,
    currency    TEXT   NOT NULL,
    amount      BIGINT NOT NULL,
    captured    BIGINT NOT NULL,
    refunded    BIGINT NOT NULL,
    created_at  BIGINT NOT NULL,
    updated_at  BIGINT NOT NULL,
    seq         BIGINT NOT NULL,
    terms       TEXT   NOT NULL, -- each after a U+001F
    PRIMARY KEY (owner, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX report_payments_by_id ON report_payments (id);
CREATE INDEX report_payments_by_status ON report_payments (owner, status, number);
CREATE INDEX report_payments_by_currency ON report_payments (owner, currency, number);
CREATE INDEX report_payments_by_link ON report_payments (link, number);

CREATE TABLE report_terms (
    owner  BIGINT NOT NULL,
    term   TEXT   NOT NULL,
    number BIGINT NOT NULL,
    PRIMARY KEY (owner, term, number)
) WITHOUT ROWID;

CREATE TABLE report_links (
    id         TEXT   NOT NULL PRIMARY KEY,
    owner      BIGINT NOT NULL,
    currency   TEXT   NOT NULL,
    created_at BIGINT NOT NULL, -- 0: the feed has not told of it yet
    steps      BIGINT NOT NULL, -- as the feed tells them, a bit each
    seen       BIGINT NOT NULL  -- as browsers told them
) WITHOUT ROWID;

CREATE TABLE report_sums (
    owner              BIGINT NOT NULL,
    unit               BIGINT NOT NULL, -- hours that a row sums up: 1, or the 24 of a day in UTC
    hour               BIGINT NOT NULL, -- since 1970; the first
    currency           TEXT   NOT NULL,
    volume             BIGINT NOT NULL,
    refunded_sum       BIGINT NOT NULL,
    created            BIGINT NOT NULL,
    requires_action    BIGINT NOT NULL,
    processing         BIGINT NOT NULL,
    unknown            BIGINT NOT NULL,
    authorized         BIGINT NOT NULL,
    succeeded          BIGINT NOT NULL,
    partially_refunded BIGINT NOT NULL,
    refunded           BIGINT NOT NULL,
    declined           BIGINT NOT NULL,
    canceled           BIGINT NOT NULL,
    late               BIGINT NOT NULL,
    review             BIGINT NOT NULL,
    links_created      BIGINT NOT NULL,
    links_opened       BIGINT NOT NULL,
    links_started      BIGINT NOT NULL,
    links_submitted    BIGINT NOT NULL,
    links_paid         BIGINT NOT NULL,
    PRIMARY KEY (owner, unit, hour, currency)
) WITHOUT ROWID;

CREATE TABLE report_declines (
    owner    BIGINT NOT NULL,
    unit     BIGINT NOT NULL,
    hour     BIGINT NOT NULL,
    currency TEXT   NOT NULL,
    code     TEXT   NOT NULL,
    n        BIGINT NOT NULL,
    PRIMARY KEY (owner, unit, hour, currency, code)
) WITHOUT ROWID;

-- Which event the checkpoint stands at: another one there means another feed.
CREATE TABLE report_anchor (
    one      BIGINT NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL,
    event    TEXT   NOT NULL
);

CREATE TABLE checkpoints (
    consumer TEXT   NOT NULL PRIMARY KEY,
    position BIGINT NOT NULL
);

-- What the engine's planner should believe: that an account may have very many
-- payments, and few of a status. It knows nothing of a new file, and would read
-- them all by their order.
ANALYZE;
DELETE FROM sqlite_stat1;
INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES
    ('report_payments', 'report_payments', '1000000 500000 1'),
    ('report_payments', 'report_payments_by_id', '1000000 1'),
    ('report_payments', 'report_payments_by_status', '1000000 500000 20000 1'),
    ('report_payments', 'report_payments_by_currency', '1000000 500000 50000 1'),
    ('report_payments', 'report_payments_by_link', '1000000 4 1'),
    ('report_terms', 'report_terms', '7000000 3500000 20 1');
