package dynamotest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

const (
	catchUpTimeout = time.Minute
	catchUpPause   = 20 * time.Millisecond
)

// Distributed is the store of the distributed deployment: links, payments and records in
// DynamoDB; events and balances where the relay writes them.
type Distributed struct {
	*dynamo.Store
	Feed *sqlstore.Store
}

var (
	_ storetest.Store = Distributed{}
	_ payment.Store   = Distributed{}
)

// Events reads the feed.
func (d Distributed) Events(ctx context.Context, account, mode string, afterSeq int64, limit int) ([]stream.Event, error) {
	return d.Feed.Events(ctx, account, mode, afterSeq, limit)
}

// Moves reads the feed.
func (d Distributed) Moves(ctx context.Context, account, mode string, beforeSeq int64, limit int) ([]stream.Event, error) {
	return d.Feed.Moves(ctx, account, mode, beforeSeq, limit)
}

// Balances reads the feed's store.
func (d Distributed) Balances(ctx context.Context, account, mode string) (map[money.Currency]ledger.Balance, error) {
	return d.Feed.Balances(ctx, account, mode)
}

// Consume follows the feed.
func (d Distributed) Consume(ctx context.Context, consumer string, handle func(context.Context, []stream.Event) error) error {
	return d.Feed.Consume(ctx, consumer, handle)
}

// OpenDistributed returns the store on a new table, with a relay that runs until the test ends.
func OpenDistributed(t testing.TB, options ...func(*dynamo.Options)) Distributed {
	t.Helper()
	s, _ := Open(t, options...)
	d := Distributed{s, OpenFeed(t)}
	Start(t, func(ctx context.Context) error { return stream.Relay(ctx, "dynamo", d.Store, d.Feed) })
	return d
}

// Open returns a store on a new table, and the table's URL.
func Open(t testing.TB, options ...func(*dynamo.Options)) (*dynamo.Store, string) {
	t.Helper()
	url := URL(t)
	if err := dynamo.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := dynamo.Open(t.Context(), url, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s, url
}

// OpenFeed returns the SQL store whose feed receives the events.
func OpenFeed(t testing.TB) *sqlstore.Store {
	t.Helper()
	return sqltest.Open(t, sqltest.File(t))
}

// Start runs f until the test ends or stop is called. f must then return nil.
func Start(t testing.TB, f func(context.Context) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		err := f(ctx)
		if err != nil {
			t.Log("ended early:", err)
		}
		done <- err
	}()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

var errAll = errors.New("that is all")

// AllEvents returns every event in the table.
func AllEvents(ctx context.Context, s *dynamo.Store) (all []stream.Event, err error) {
	err = s.Follow(ctx, nil, func(_ context.Context, b stream.Batch) error {
		all = append(all, b.Events...)
		if b.Fresh { // what follows comes from the stream
			return errAll
		}
		return nil
	})
	if errors.Is(err, errAll) {
		err = nil
	}
	return all, err
}

// CatchUp waits until the feed has every event of the account in the table, or of all accounts if
// none is named.
func (d Distributed) CatchUp(ctx context.Context, account string) error {
	want, err := AllEvents(ctx, d.Store)
	if err != nil {
		return err
	}
	missing := map[string]bool{}
	for _, e := range want {
		if account == "" || e.Account == account {
			missing[e.ID] = true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, catchUpTimeout)
	defer cancel()
	after := map[[2]string]int64{}
	tick := time.NewTicker(catchUpPause)
	defer tick.Stop()
	for {
		for _, e := range want {
			owner := [2]string{e.Account, e.Mode}
			if !missing[e.ID] {
				continue
			}
			page, err := d.Feed.Events(ctx, e.Account, e.Mode, after[owner], 500)
			if err != nil {
				return err
			}
			for _, got := range page {
				delete(missing, got.ID)
				after[owner] = got.Seq
			}
			break
		}
		if len(missing) == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d events do not reach the feed: %w", len(missing), len(want), ctx.Err())
		case <-tick.C:
		}
	}
}
