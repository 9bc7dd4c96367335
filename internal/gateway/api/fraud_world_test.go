package api_test

import (
	"context"
	"errors"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// fraudWorld is a world whose payments are judged by rules and lists, and which keeps
// what became of them.
type fraudWorld struct {
	*world
	analytics *projection.Analytics
	books     *crossing
	stop      func() // ends what follows the store
	wrong     int    // answers that are not as the document says
}

func newFraudWorld(t *testing.T) *fraudWorld {
	t.Helper()
	f := &fraudWorld{}
	log, now := slog.New(slog.DiscardHandler), time.Now
	f.world = newWorldWith(t, func(store *sqlstore.Store, dir string) fraud.Services {
		var err error
		if f.analytics, err = projection.OpenAnalytics(t.Context(), store.Feed, store.Pages(), filepath.Join(dir, "analytics.db"),
			log); err != nil {
			t.Fatal(err)
		}
		f.follow(t)
		rules := fraud.NewRulesets(store, now, log)
		if err := rules.Load(t.Context()); err != nil {
			t.Fatal(err)
		}
		f.books = &crossing{Store: store}
		return fraud.Services{Analyst: f.analytics,
			Rulebook:   rulebook.New(rulebook.Config{Store: f.books, Reload: rules.Load, Now: now, Log: log}),
			Backtester: learning.NewLocalBacktester(f.analytics, now),
			Assessor: fraud.NewLocal(fraud.LocalConfig{Feed: store, Now: now, Log: log,
				Decide: func(a *fraud.Attempt, v *score.Vector, scored *score.Assessment) (payment.Risk, bool) {
					set := rules.Ruleset(a.Account, a.Mode)
					return set.Decide(a, v, scored), set.Policy().FailOpen
				}})}
	})
	return f
}

// follow keeps the analytics store behind the store, as a server does.
func (f *fraudWorld) follow(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.analytics.Run(ctx) }()
	stopped := false
	f.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := errors.Join(<-ended, f.analytics.Close()); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(func() { f.stop() })
}

// It waits until everything that happened is in the analytics store.
func (f *fraudWorld) analysed() {
	f.t.Helper()
	limit, tick := time.After(3*time.Minute), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		n, err := f.analytics.Lag(f.t.Context())
		if err != nil {
			f.t.Fatal(err)
		}
		if n == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			f.t.Fatalf("the analytics store is %d events behind", n)
		}
	}
}

// crossing lets something happen between a book's reading and its writing.
type crossing struct {
	*sqlstore.Store
	between func()
}

func (c *crossing) FraudListEntry(ctx context.Context, account, mode, id string) (rulebook.Entry, error) {
	e, err := c.Store.FraudListEntry(ctx, account, mode, id)
	if err == nil && c.between != nil {
		c.between()
	}
	return e, err
}
