package merchant

import (
	"context"
	"errors"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/testclock"
)

// Clock is how far an account's test data lives ahead of real time.
type Clock struct {
	Account string
	Ahead   time.Duration
	At      time.Time // real time, when it was read
}

// ClockMove is a request to move a clock: by whole seconds, or to a time.
type ClockMove struct {
	Account string
	Seconds int64     // 0: To is given
	To      time.Time // zero: Seconds is given
}

// ClockStore keeps the test clocks of all accounts. They only move forward.
type ClockStore interface {
	// TestClock returns the account's clock; zero if it has none.
	TestClock(ctx context.Context, account string) (time.Duration, error)
	// MoveTestClock moves the clock, together with the record. It fails with ErrChanged if the
	// clock is not at from.
	MoveTestClock(ctx context.Context, account string, from, to time.Duration, now time.Time, r *idempotency.Record) error
	// Ahead returns what this process knows, without a read.
	Ahead(account, mode string) time.Duration
}

// maxClockTries bounds concurrent moves of one clock.
const maxClockTries = 20

// Clock returns the account's test clock, which is zero ahead if it was never moved.
func (l *Local) Clock(ctx context.Context, account string) (Clock, error) {
	ahead, err := l.clocks.TestClock(ctx, account)
	return Clock{Account: account, Ahead: ahead, At: l.time()}, err
}

// MoveClock moves the account's test clock forward. Moving it to where it already is
// succeeds; moving it back fails. Clock and record are one commit. If others move it at the
// same time, it computes the target again, so a move by seconds adds to theirs.
func (l *Local) MoveClock(ctx context.Context, m ClockMove, t *idempotency.Ticket) (Clock, error) {
	for range maxClockTries {
		now := l.time()
		from, err := l.clocks.TestClock(ctx, m.Account)
		if err != nil {
			return Clock{}, err
		}
		to, err := m.target(from, now)
		if err != nil {
			return Clock{}, err
		}
		out := Clock{Account: m.Account, Ahead: to, At: now}
		record, err := t.Fill(out, now)
		if err != nil {
			return Clock{}, err
		}
		if err = l.clocks.MoveTestClock(ctx, m.Account, from, to, now, record); !errors.Is(err, ErrChanged) {
			return out, err
		}
	}

	return Clock{}, fault.Unavailable("store_busy", time.Second, ErrChanged, "Other requests are moving the test clock; retry.")
}

// target returns how far ahead the clock is after the move. It fails with clock_backward or
// clock_too_far, and with clock_invalid for a number of seconds out of bounds.
func (m ClockMove) target(from time.Duration, now time.Time) (time.Duration, error) {
	const most = int64(testclock.MaxAhead / time.Second)
	param, to := "now", m.To.Sub(now) // clamped to what a Duration can hold
	if m.To.IsZero() {
		param = "advanceSeconds"
		if m.Seconds < 1 || m.Seconds > most {
			return 0, fault.Invalid(param, "clock_invalid", "advanceSeconds must be 1 to %d.", most)
		}
		to = from + time.Duration(m.Seconds)*time.Second
	}

	switch {
	case to < from:
		return 0, fault.Invalid(param, "clock_backward", "A test clock can only move forward; it is at %s.", now.Add(from).Format(time.RFC3339))
	case to > testclock.MaxAhead:
		return 0, fault.Invalid(param, "clock_too_far", "A test clock can be at most 2 years ahead of real time.")
	}

	return to, nil
}

// clockOf returns the time by which the key's own times are judged: a test key expires by
// its account's test clock.
func (l *Local) clockOf(k Key, now time.Time) time.Time {
	return now.Add(l.clocks.Ahead(k.Account, k.Mode))
}

// noClocks is the store of clocks of an installation that has none: all are at zero, and
// none can be moved.
type noClocks struct{}

func (noClocks) TestClock(context.Context, string) (time.Duration, error) { return 0, nil }

func (noClocks) MoveTestClock(context.Context, string, time.Duration, time.Duration, time.Time, *idempotency.Record) error {
	return errors.New("merchant: no store of test clocks")
}

func (noClocks) Ahead(string, string) time.Duration { return 0 }
