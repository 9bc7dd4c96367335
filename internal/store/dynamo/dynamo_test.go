package dynamo_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// timeoutOfTable is how long a change to a table may take.
const timeoutOfTable = time.Minute

func TestMain(m *testing.M) { os.Exit(dynamotest.Main(m)) }

// open gives a store on a table of its own.
func open(t testing.TB, options ...func(*dynamo.Options)) *dynamo.Store {
	t.Helper()
	s, _ := openAt(t, options...)
	return s
}

func openAt(t testing.TB, options ...func(*dynamo.Options)) (*dynamo.Store, string) {
	t.Helper()
	url := dynamotest.URL(t)
	if err := dynamo.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := dynamo.Open(t.Context(), url, options...)
	if err != nil {
		t.Fatal(err)
	}
	return s, url
}

// openFeed gives the SQL store whose feed the events end up in.
func openFeed(t testing.TB) *sqlstore.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "paylink.db")
	if _, _, err := sqlstore.Migrate(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// distributed is the store of the distributed shape: links, payments and records
// in DynamoDB; events and balances where the relay puts them.
type distributed struct {
	*dynamo.Store
	feed *sqlstore.Store
}

func (d distributed) Events(ctx context.Context, account, mode string, afterSeq int64, limit int) ([]stream.Event, error) {
	return d.feed.Events(ctx, account, mode, afterSeq, limit)
}

func (d distributed) Balances(ctx context.Context, account, mode string) (map[money.Currency]ledger.Balance, error) {
	return d.feed.Balances(ctx, account, mode)
}

func (d distributed) Consume(ctx context.Context, consumer string, handle func(context.Context, []stream.Event) error) error {
	return d.feed.Consume(ctx, consumer, handle)
}

var _ payment.Store = distributed{}

// start runs f until the test ends; what it returns then must be nil.
func start(t testing.TB, f func(context.Context) error) (stop func()) {
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

// within polls until ok, or fails the test.
func within(t testing.TB, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for !ok() {
		select {
		case <-end:
			t.Fatalf("after %s still not: %s", limit, what)
		case <-tick.C:
		}
	}
}

// caughtUp waits until the feed has every event of the account, and each once.
func caughtUp(ctx context.Context, s *dynamo.Store, feed *sqlstore.Store, account string) error {
	want, err := s.AllEvents(ctx)
	if err != nil {
		return err
	}
	missing := map[string]bool{}
	for _, e := range want {
		if account == "" || e.Account == account {
			missing[e.ID] = true
		}
	}
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	after := map[[2]string]int64{}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, e := range want {
			owner := [2]string{e.Account, e.Mode}
			if !missing[e.ID] {
				continue
			}
			page, err := feed.Events(ctx, e.Account, e.Mode, after[owner], 500)
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

func TestDynamoDB(t *testing.T) {
	s, feed := open(t), openFeed(t)
	start(t, func(ctx context.Context) error { return stream.Relay(ctx, "dynamo", s, feed) })
	storetest.Run(t, func(*testing.T) storetest.Store { return distributed{s, feed} }, storetest.Options{
		CatchUp: func(ctx context.Context, account string) error { return caughtUp(ctx, s, feed, account) }})
}
