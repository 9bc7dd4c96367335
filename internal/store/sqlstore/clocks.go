package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/testclock"
)

var _ merchant.ClockStore = (*Store)(nil)

// Clocks returns the test clocks of the accounts as this process knows them. RunClocks keeps them
// up to date.
func (s *Store) Clocks() *testclock.Set { return &s.clocks }

// Ahead returns how far the account's clock for the mode is ahead of real time.
func (s *Store) Ahead(account, mode string) time.Duration { return s.clocks.Ahead(account, mode) }

// RunClocks reads the clocks periodically until ctx ends (nil).
func (s *Store) RunClocks(ctx context.Context) error { return s.clocks.Run(ctx, s.TestClocks) }

// LearnClocks reads the clocks once. Call it before anything is served: until then every account's
// clock shows real time.
func (s *Store) LearnClocks(ctx context.Context) error {
	all, err := s.TestClocks(ctx)
	if err == nil {
		s.clocks.Learn(all)
	}
	return err
}

// TestClocks reads all clocks and returns by account how far each is ahead of real time. An account
// whose clock never moved is missing.
func (s *Store) TestClocks(ctx context.Context) (map[string]time.Duration, error) {
	return s.clocksWhere(ctx, "")
}

// ClocksBehind returns the clocks that moved and that not every process has applied, in the form of
// TestClocks.
func (s *Store) ClocksBehind(ctx context.Context) (map[string]time.Duration, error) {
	return s.clocksWhere(ctx, " WHERE applied_us < ahead_us")
}

// clocksWhere returns the offsets of the clocks that meet an SQL condition.
func (s *Store) clocksWhere(ctx context.Context, where string) (map[string]time.Duration, error) {
	rows, err := s.db.Query(ctx, "SELECT account, ahead_us FROM test_clocks"+where)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()

	all := map[string]time.Duration{}
	for rows.Next() {
		var account string
		var ahead int64
		if err := rows.Scan(&account, &ahead); err != nil {
			return nil, err
		}
		all[account] = time.Duration(ahead) * time.Microsecond
	}

	return all, rows.Err()
}

// TestClock implements merchant.ClockStore. It reads the store, not the memory of this process. An
// account without a clock is at real time (0).
func (s *Store) TestClock(ctx context.Context, account string) (time.Duration, error) {
	var ahead int64
	err := s.db.Lookup(ctx, "SELECT ahead_us FROM test_clocks WHERE account = $1", account).Scan(&ahead)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return time.Duration(ahead) * time.Microsecond, err
}

// MoveTestClock implements merchant.ClockStore. It returns merchant.ErrChanged if the clock is no
// longer at from. This process knows the new offset when the call returns; the others learn it with
// RunClocks, and ApplyClock records when they have. If the process crashes after the commit, it
// reads the offset at its next start.
func (s *Store) MoveTestClock(ctx context.Context, account string, from, to time.Duration, now time.Time, r *idempotency.Record) error {
	err := s.db.Write(ctx, []string{account}, func(t *sqldb.Tx) error {
		n, err := t.Exec(`INSERT INTO test_clocks (account, ahead_us, moved_at) VALUES ($1, $2, $3)
			ON CONFLICT (account) DO UPDATE SET ahead_us = excluded.ahead_us, moved_at = excluded.moved_at WHERE test_clocks.ahead_us = $4`,
			account, to.Microseconds(), sqldb.Micros(now), from.Microseconds())
		if err != nil {
			return err
		}
		if n == 0 {
			return merchant.ErrChanged
		}
		return putRecord(t, r)
	})

	if err == nil {
		s.clocks.Put(account, to)
	}
	return err
}

// ClockApplied returns how far the account's clock has been applied everywhere. An account without
// a clock is fault.NotFound.
func (s *Store) ClockApplied(ctx context.Context, account string) (time.Duration, error) {
	var applied int64
	err := s.db.Lookup(ctx, "SELECT applied_us FROM test_clocks WHERE account = $1", account).Scan(&applied)
	return time.Duration(applied) * time.Microsecond, missing(err, "test clock")
}

// ApplyClock records that every process has applied the clock at that offset. A later offset that
// is already recorded stays.
func (s *Store) ApplyClock(ctx context.Context, account string, ahead time.Duration) error {
	return s.db.Write(ctx, []string{account}, func(t *sqldb.Tx) error {
		_, err := t.Exec("UPDATE test_clocks SET applied_us = $1 WHERE account = $2 AND applied_us < $1", ahead.Microseconds(), account)
		return err
	})
}

// ClockMoved returns a channel that is closed when a clock moves, because other rows may then be
// due.
func (s *Store) ClockMoved() <-chan struct{} { return s.clocks.Moved() }
