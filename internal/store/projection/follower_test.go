package projection_test

import (
	"compress/gzip"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
)

// follower is the interface that both sets of rows offer to what runs them.
type follower interface {
	Run(context.Context) error
	Lag(context.Context) (int64, error)
	Close() error
}

// set is one set of rows under test.
type set struct {
	consumer string
	open     func(t testing.TB, s *sqlstore.Store, path string) follower
	// rows counts the payments that have a row.
	rows func(t testing.TB, f follower) int
}

var sets = map[string]set{
	"reports": {
		consumer: report.Consumer,
		open:     func(t testing.TB, s *sqlstore.Store, path string) follower { return openReports(t, s, path) },
		rows: func(t testing.TB, f follower) (n int) {
			audited(t, func(ctx context.Context) ([]string, error) {
				return f.(*projection.Reports).Audit(ctx, func(report.Payment) error { n++; return nil })
			})
			return n
		},
	},
	"analytics": {
		consumer: history.Consumer,
		open:     func(t testing.TB, s *sqlstore.Store, path string) follower { return openAnalytics(t, s, path) },
		rows: func(t testing.TB, f follower) (n int) {
			audited(t, func(ctx context.Context) ([]string, error) {
				return f.(*projection.Analytics).Audit(ctx, func(history.Row) error { n++; return nil })
			})
			return n
		},
	},
}

// audited fails the test with what an audit finds.
func audited(t testing.TB, audit func(context.Context) ([]string, error)) {
	t.Helper()
	if wrong, err := audit(t.Context()); err != nil || len(wrong) > 0 {
		t.Fatalf("the audit finds %q, %v", wrong, err)
	}
}

// onBoth runs the test for both sets of rows on every engine.
func onBoth(t *testing.T, test func(t *testing.T, url string, of set)) {
	for name, of := range sets {
		t.Run(name, func(t *testing.T) {
			onEach(t, func(t *testing.T, url string) { test(t, url, of) })
		})
	}
}

// running runs the follower until the test ends or stop is called.
func running(t testing.TB, f follower) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	done := false
	stop = func() {
		if done {
			return
		}
		done = true
		cancel()
		if err := await.Receive(t, ended); err != nil {
			t.Error(err)
		}
	}
	t.Cleanup(stop)
	return stop
}

// followed waits until the follower has caught up.
func followed(t testing.TB, f follower) {
	t.Helper()
	await.Until(t, "the rows have caught up", func() bool {
		n, err := f.Lag(t.Context())
		return err == nil && n == 0
	})
}

// TestF53FollowersPassOverDamage checks that both sets of rows set aside an event that cannot be
// read. They continue after it, and so does the next process, also when it was the last event:
// nothing is rebuilt.
func TestF53FollowersPassOverDamage(t *testing.T) {
	onBoth(t, func(t *testing.T, url string, of set) {
		s, path, account := open(t, url), filepath.Join(t.TempDir(), "rows.db"), id.New(id.Account)
		paid(t, s, account, 0, issuer.Approved)
		f := of.open(t, s, path)
		stop := running(t, f)
		followed(t, f)
		stop()
		if n := of.rows(t, f); n != 1 {
			t.Fatalf("%d rows, want 1", n)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		bad := happened(account, "link_1")
		sqltest.Append(t, s, bad)
		sqltest.Exec(t, url, "UPDATE events SET transfers = '[{', data = '{' WHERE id = $1", bad.ID)
		// A feed from which the row could not be rebuilt.
		sqltest.Exec(t, url, "DELETE FROM events WHERE object <> 'link_1' AND type <> 'link.paid'")
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			s = open(t, url)
			f = of.open(t, s, path)
			stop = running(t, f)
			followed(t, f)
			stop()
			if n := of.rows(t, f); n != 1 {
				t.Errorf("%d rows, want 1: they were made again", n)
			}
			aside, err := s.Asides(t.Context(), 10)
			if err != nil || len(aside) != 1 || aside[0].Item != bad.ID || aside[0].Consumer != of.consumer {
				t.Errorf("set aside: %+v, %v", aside, err)
			}
			if err := f.Close(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// TestFollowersMakeADamagedFileAgain checks that a file that is not a database is replaced by the
// rows of the store.
func TestFollowersMakeADamagedFileAgain(t *testing.T) {
	for name, of := range sets {
		t.Run(name, func(t *testing.T) {
			s, path := open(t, engines["SQLite"](t)), filepath.Join(t.TempDir(), "rows.db")
			paid(t, s, id.New(id.Account), 0, issuer.Approved)
			if err := os.WriteFile(path, []byte(strings.Repeat("this is no database ", 6)), 0o600); err != nil {
				t.Fatal(err)
			}
			f := of.open(t, s, path)
			running(t, f)
			followed(t, f)
			if n := of.rows(t, f); n != 1 {
				t.Errorf("%d rows, want 1", n)
			}
		})
	}
}

// TestFilesOfTheVersionBefore opens the files in testdata/before, which were written when the
// store and both sets of rows were one package: three payments, and links that browsers opened.
// Migrated, they keep their places and continue.
func TestFilesOfTheVersionBefore(t *testing.T) {
	const account = "acc_00000000000000000000000001" // of the payments there
	dir := t.TempDir()
	for _, name := range []string{"paylink.db", "reports.db", "analytics.db"} {
		unpack(t, filepath.Join("testdata", "before", name+".gz"), filepath.Join(dir, name))
	}
	url := "sqlite:" + filepath.Join(dir, "paylink.db")
	if _, _, err := sqlstore.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	end, err := s.End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	r := openReports(t, s, filepath.Join(dir, "reports.db"))
	a := openAnalytics(t, s, filepath.Join(dir, "analytics.db"))
	if at, err := r.Start(t.Context()); err != nil || at != end {
		t.Errorf("the reports go on at %d, want %d, %v", at, end, err)
	}
	if at, whole, err := a.Position(t.Context()); err != nil || at != end || !whole {
		t.Errorf("the analytics store is at %d, want %d, whole %t, %v", at, end, whole, err)
	}
	before, err := a.Generation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	running(t, r)
	running(t, a)
	paid(t, s, account, 3, issuer.Approved)
	followed(t, r)
	followed(t, a)
	for _, of := range []struct {
		set
		f follower
	}{{sets["reports"], r}, {sets["analytics"], a}} {
		if n := of.rows(t, of.f); n != 4 {
			t.Errorf("%s: %d rows, want 4", of.consumer, n)
		}
	}
	if after, err := a.Generation(t.Context()); err != nil || after != before {
		t.Errorf("the analytics store was made again: generation %d, then %d, %v", before, after, err)
	}
	dump, err := r.Dump(t.Context())
	opened := 0
	for line := range strings.Lines(dump) {
		if strings.HasPrefix(line, "report_links:") && !strings.Contains(line, " seen=0") {
			opened++
		}
	}
	if err != nil || opened != 3 {
		t.Errorf("%d links were opened, want 3, %v", opened, err)
	}
}

func unpack(t *testing.T, from, to string) {
	t.Helper()
	in, err := os.Open(from)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = in.Close() }()
	z, err := gzip.NewReader(in)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, raw, 0o600); err != nil {
		t.Fatal(err)
	}
}

// openReports opens the projection of the store's feed.
func openReports(t testing.TB, s *sqlstore.Store, path string) *projection.Reports {
	t.Helper()
	r, err := projection.OpenReports(t.Context(), s.Feed, path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

// openAnalytics opens the analytics store of the store's feed.
func openAnalytics(t testing.TB, s *sqlstore.Store, path string) *projection.Analytics {
	t.Helper()
	a, err := projection.OpenAnalytics(t.Context(), s.Feed, s.Pages(), path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}
