package sqlstore_test

import (
	"log/slog"
	"testing"

	"github.com/paylink/paylink/internal/store/sqlstore"
)

// openReports opens the projection of the store's feed.
func openReports(t testing.TB, s *sqlstore.Store, path string) *sqlstore.Reports {
	t.Helper()
	r, err := sqlstore.OpenReports(t.Context(), s, path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}
