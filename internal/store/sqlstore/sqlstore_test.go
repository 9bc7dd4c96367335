package sqlstore_test

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
)

func open(t *testing.T) *sqlstore.Store {
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

func TestSQLite(t *testing.T) {
	storetest.Run(t, func(t *testing.T) storetest.Store { return open(t) })
}

// TestBackgroundQueriesUseTheirIndex: what a scrape counts and what pruning looks for
// must not read the table, which may be large.
func TestBackgroundQueriesUseTheirIndex(t *testing.T) {
	plan, err := open(t).Plan(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, index := range []string{"webhook_deliveries_unresolved", "webhook_deliveries_by_time", "sessions_by_expiry"} {
		if !strings.Contains(plan, "INDEX "+index) {
			t.Errorf("%s is not used:\n%s", index, plan)
		}
	}
	for line := range strings.Lines(plan) {
		if strings.HasPrefix(line, "SCAN ") && !strings.Contains(line, "INDEX webhook_deliveries_unresolved") {
			t.Errorf("reads a whole table: %s", line)
		}
	}
}
