package dynamo_test

import (
	"context"
	"database/sql"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/stream"
)

// TestF23_AnalyticsOverATable keeps links and payments in the table and the feed in SQL. The
// analytics store's consumer stops, and the feed moves on and is trimmed beyond its place. It
// rebuilds the store from the table, and its sums equal the ledger's.
func TestF23_AnalyticsOverATable(t *testing.T) {
	table := open(t)
	path := filepath.Join(t.TempDir(), "paylink.db")
	if _, _, err := sqlstore.Migrate(t.Context(), "sqlite:"+path); err != nil {
		t.Fatal(err)
	}
	feed, err := sqlstore.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = feed.Close() })
	w := newWorld(t, dynamotest.Distributed{Store: table, Feed: feed})
	both := dynamotest.Distributed{Store: table, Feed: feed}
	dynamotest.Start(t, func(ctx context.Context) error { return stream.Relay(ctx, "dynamo", table, feed) })
	dynamotest.Start(t, feed.RunBalances)
	analytics, err := projection.OpenAnalytics(
		t.Context(),
		feed.Feed,
		table,
		filepath.Join(t.TempDir(), "analytics.db"),
		slog.New(slog.DiscardHandler),
	)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = analytics.Close() })
	want := traffic(t, w, 6)
	if err := both.CatchUp(t.Context(), w.account); err != nil {
		t.Fatal(err)
	}
	check := func(want int64) {
		t.Helper()
		deadline := time.Now().Add(time.Minute)
		look := time.NewTicker(20 * time.Millisecond)
		defer look.Stop()
		var sum int64
		for time.Now().Before(deadline) {
			sum = 0
			if n, err := analytics.Lag(t.Context()); err == nil && n == 0 {
				err = analytics.Replay(t.Context(), w.account, link.Test, time.Time{}, time.Time{}, func(r history.Row) error {
					sum += r.Captured - r.Refunded
					return nil
				})
				if err != nil {
					t.Fatal(err)
				}
				if sum == want {
					return
				}
			}
			<-look.C
		}
		t.Fatalf("the rows have %d, the ledger %d", sum, want)
	}
	stop := dynamotest.Start(t, analytics.Run)
	check(want)
	stop()
	want += traffic(t, w, 4)
	if err := both.CatchUp(t.Context(), w.account); err != nil {
		t.Fatal(err)
	}
	balances, err := feed.Balances(t.Context(), w.account, link.Test)
	if err != nil || balances["EUR"].Available.Minor != want || want == 0 {
		t.Fatalf("the ledger has %v, want %d; %v", balances, want, err)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)") // the relay writes at the same time
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(t.Context(), "DELETE FROM events WHERE position NOT IN (SELECT position FROM events ORDER BY position DESC LIMIT 2)"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	dynamotest.Start(t, analytics.Run)
	check(want)
	check(want + traffic(t, w, 2)) // the relay continues
}
