package app

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/notify/webhook"
	"github.com/paylink/paylink/internal/postgres"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/testclock"
)

// clocksPatience is how long a start waits for a store that does not answer in time: many processes
// may start at once, as after a power cut.
const clocksPatience = time.Minute

// openClocks reads the test clocks before anything is served, and keeps them up to date. Without
// them a test account's links and payments would be judged by real time.
func (s *services) openClocks(ctx context.Context) error {
	var errs []error
	if feed := s.stores.sql; feed != nil {
		errs = append(errs, patiently(ctx, feed.LearnClocks))
		s.background["test clocks"] = feed.RunClocks
	}
	if table := s.stores.table; table != nil {
		errs = append(errs, patiently(ctx, table.LearnClocks))
		s.background["test clocks of the table"] = table.RunClocks
	}
	return errors.Join(errs...)
}

// patiently calls learn again for clocksPatience, while the store is unavailable. It returns the last
// error.
func patiently(ctx context.Context, learn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, clocksPatience)
	defer cancel()
	for {
		err := learn(ctx)
		if fault.KindOf(err) != fault.KindUnavailable || ctx.Err() != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(restartPause):
		}
	}
}

// clockSpread returns how long moving a clock waits until every process knows: testclock.Spread if
// there can be others, 0 for a single process on a file.
func (s *services) clockSpread() time.Duration {
	if s.cfg.split() || s.stores.table != nil || postgres.Is(s.cfg.Store) {
		return testclock.Spread
	}
	return 0
}

// clockwork applies a moved clock to the table of payments, if there is one, and to the webhook
// queue. It records what it has applied, so after a crash it applies the clock again. For the
// table, a second time changes nothing. For a queue, it only means a somewhat earlier try. The lock
// serializes the moves of this process.
type clockwork struct {
	feed  *sqlstore.Store
	table *dynamo.Store // nil if payments are in the feed's store
	queue *webhook.Queue
	mu    sync.Mutex
}

// MoveClock implements notify.Clocks. The table gets the clock even if the queue already has it,
// because the two may have been separated by a crash. ahead is the whole offset from real time, not
// the step.
func (c *clockwork) MoveClock(ctx context.Context, account string, ahead time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	// The queue is advanced by the difference to what was applied, so that a repetition does not
	// advance it again.
	applied, err := c.feed.ClockApplied(ctx, account)
	if err != nil {
		return err
	}

	if c.table != nil {
		if err := c.table.PutClock(ctx, account, ahead); err != nil {
			return err
		}
	}

	if ahead <= applied {
		return nil
	}

	if err := c.queue.Advance(ctx, account, ahead-applied); err != nil {
		return err
	}
	return c.feed.ApplyClock(ctx, account, ahead)
}

// run applies what a crash left unapplied, until ctx ends (nil).
func (c *clockwork) run(ctx context.Context) error {
	tick := time.NewTicker(2 * testclock.Spread)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}

		behind, err := c.feed.ClocksBehind(ctx)
		if err != nil {
			return err
		}
		for account, ahead := range behind {
			if err := c.MoveClock(ctx, account, ahead); err != nil {
				return err
			}
		}
	}
}
