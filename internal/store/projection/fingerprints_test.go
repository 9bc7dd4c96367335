package projection_test

import (
	"database/sql"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/progress"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/storetest"
)

// TestAnalyticsOfTheVersionBefore checks that rows of the version before become those of the coarse
// payments: by a migration of the file on SQLite, by Coarsen on PostgreSQL.
func TestAnalyticsOfTheVersionBefore(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s, path := open(t, url), filepath.Join(t.TempDir(), "analytics.db")
		a, err := projection.OpenAnalytics(t.Context(), s.Feed, s.Pages(), path, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		old := storetest.BeginBefore(t, storetest.NewLink(id.New(id.Account), 1), "attempt-000000000001").Payment
		none := storetest.Begin(t, storetest.NewLink(old.Account, 1), "attempt-000000000002").Payment
		if err := a.Load(t.Context(), []history.Row{history.RowOf(old), history.RowOf(none)}); err != nil {
			t.Fatal(err)
		}
		if row, err := a.Row(t.Context(), old.Account, old.Mode, old.ID); err != nil || row.Risk.Fingerprint != storetest.OldFingerprint {
			t.Fatalf("%+v, %v", row.Risk, err)
		}
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
		if strings.HasPrefix(url, "sqlite:") {
			file, err := sql.Open("sqlite", "file:"+path)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := file.ExecContext(t.Context(), "DELETE FROM goose_db_version WHERE version_id = 2"); err != nil {
				t.Fatal(err)
			}
			if err := file.Close(); err != nil {
				t.Fatal(err)
			}
		} else if _, err := s.Coarsen(t.Context(), progress.To{}); err != nil {
			t.Fatal(err)
		}
		again := openAnalytics(t, s, path)
		payment.Coarsen(&old)
		for _, p := range []payment.Payment{old, none} {
			row, err := again.Row(t.Context(), p.Account, p.Mode, p.ID)
			if got, want := fmt.Sprintf("%+v", row), fmt.Sprintf("%+v", history.RowOf(p)); err != nil || got != want {
				t.Errorf("%v: the row is\n%s\nwant\n%s", err, got, want)
			}
		}
	})
}
