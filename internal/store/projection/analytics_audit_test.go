package projection_test

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// TestAnalyticsAudit checks that an audit visits every row and reports wrong sums, and that a
// rebuild repairs the damage.
func TestAnalyticsAudit(t *testing.T) {
	url, path, account := engines["SQLite"](t), filepath.Join(t.TempDir(), "analytics.db"), id.New(id.Account)
	a := openAnalytics(t, open(t, url), path)
	var all []history.Row
	for n := range 3 {
		all = append(
			all,
			history.Row{ID: id.New(id.Payment), Account: account, Mode: "test", Status: "succeeded", Risk: assessed(n, "block"), Seq: 3},
		)
	}
	if err := a.Load(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	audit := func() (rows int, wrong []string) {
		t.Helper()
		src, err := sqlstore.Source(url)
		if err != nil {
			t.Fatal(err)
		}
		s, err := projection.OpenAnalyticsSnapshot(t.Context(), src, path)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Close() }()
		wrong, err = s.Audit(t.Context(), func(history.Row) error { rows++; return nil })
		if err != nil {
			t.Fatal(err)
		}
		return rows, wrong
	}
	if rows, wrong := audit(); rows != 3 || len(wrong) > 0 {
		t.Fatalf("%d rows, %v", rows, wrong)
	}
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for _, harm := range []string{"UPDATE analytics_days SET blocked = blocked + 1", "UPDATE analytics_scores SET scored = 0",
		"UPDATE analytics_rules SET minor = 1",
		"DELETE FROM analytics_days", "DELETE FROM analytics_payments WHERE id = '" + all[0].ID + "'"} {
		if _, err := db.ExecContext(t.Context(), harm); err != nil {
			t.Fatal(err)
		}
		if _, wrong := audit(); len(wrong) == 0 {
			t.Errorf("%s: nobody notices", harm)
		}
		if err := a.Begin(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rows, wrong := audit(); rows != 0 || len(wrong) > 0 { // the store has no payments
			t.Errorf("rebuilt after %s: %d rows, %v", harm, rows, wrong)
		}
		if err := a.Load(t.Context(), all); err != nil {
			t.Fatal(err)
		}
	}
}
