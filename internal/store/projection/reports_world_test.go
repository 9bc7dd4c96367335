package projection_test

import (
	"log/slog"
	"testing"

	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

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
