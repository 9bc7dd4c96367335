-- What only PostgreSQL needs of migration 1; it runs after the text of the same
-- number that both engines share.

-- Where positions start, so that they go on rising after a restore into a
-- cluster whose transaction ids are younger. One row.
CREATE TABLE feed (base BIGINT NOT NULL);
INSERT INTO feed (base) VALUES (0);

-- Rows that change all the time, without an index over what changes: room in the
-- page keeps the new version beside the old one.
ALTER TABLE event_seqs SET (fillfactor = 50);
ALTER TABLE balances SET (fillfactor = 50);
ALTER TABLE checkpoints SET (fillfactor = 50);
ALTER TABLE links SET (fillfactor = 85);
