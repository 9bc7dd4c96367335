-- +goose Up
-- Whose payments wait: the issuer, a space, the account. Each such lane has its share of a
-- sweep. What waits already shares by account; its next change adds the issuer.
ALTER TABLE payments ADD COLUMN lane TEXT NOT NULL DEFAULT '';
-- How often the sweep took it since it last changed. From 5 on it is set aside: looked at
-- again, but rarely.
ALTER TABLE payments ADD COLUMN misses BIGINT NOT NULL DEFAULT 0;
UPDATE payments SET lane = ' ' || account WHERE due_at IS NOT NULL;
CREATE INDEX payments_due_by_lane ON payments (lane, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX payments_aside ON payments (id) WHERE misses >= 5;

-- A link that cannot be read has open = 3 once its time is over: set aside until again_at.
ALTER TABLE links ADD COLUMN misses BIGINT NOT NULL DEFAULT 0;
ALTER TABLE links ADD COLUMN again_at BIGINT NOT NULL DEFAULT 0;
CREATE INDEX links_open_by_account ON links (account, expires_at) WHERE open = 1;
CREATE INDEX links_aside ON links (again_at) WHERE open = 3;

CREATE INDEX mails_due_by_account ON mails (account, due_at) WHERE status = 'waiting';

-- Events and records that a consumer of the feed, or the relay, passed over because they
-- cannot be read.
CREATE TABLE set_aside (
    consumer TEXT   NOT NULL,
    item     TEXT   NOT NULL,
    account  TEXT   NOT NULL,
    position BIGINT NOT NULL,             -- in the feed; 0: it is not there
    reason   TEXT   NOT NULL,
    at       BIGINT NOT NULL,
    PRIMARY KEY (consumer, item)
);
