package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// reportsPath returns the path of the reports projection beside a SQLite store.
func (c Config) reportsPath() string { return filepath.Join(c.DataDir, "reports.db") }

// openReports opens the reports projection in the payments service, and in the gateway what
// collects the steps that browsers report. Other processes get a client.
func (s *services) openReports(ctx context.Context) error {
	switch p := s.peer("payments"); {
	case s.cfg.runs("payments"):
		// One process at a time follows the feed; each one answers from what is stored.
		local, err := projection.OpenReports(ctx, s.stores.sql.Feed, s.cfg.reportsPath(), s.log)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, local.Close)
		s.reports, s.background["reports"] = local, local.Run
		s.metrics.Gauge(
			"paylink_stream_lag",
			"Events that the consumer has not handled.",
			map[string]string{"consumer": report.Consumer},
			gauge(local.Lag),
		)
		s.serve(func(r *rpc.Server) { rpc.ServeReports(r, local) })
	case p != nil:
		s.reports = rpc.NewReports(p)
	}

	// Browsers report to the gateway, which passes on what it has collected every two seconds.
	if s.cfg.runs("gateway") {
		s.beacons = report.NewBeacons(s.reports, s.log)
		s.background["beacons"] = s.beacons.Run
	}
	return nil
}

// RebuildReports rebuilds the reports projection from the feed, also while the server runs, and
// prints how many events are left. Figures are too low until it ends.
func RebuildReports(ctx context.Context, cfg Config, out io.Writer) error {
	return withStore(ctx, cfg, out, func(store *sqlstore.Store, log *slog.Logger) error {
		reports, err := projection.OpenReports(ctx, store.Feed, cfg.reportsPath(), log)
		if err != nil {
			return err
		}
		defer func() { _ = reports.Close() }()

		// Each number is printed once.
		var printed int64 = -1
		err = reports.Rebuild(ctx, func(left int64) {
			if left != printed {
				_, _ = fmt.Fprintf(out, "%d events to go\n", left)
				printed = left
			}
		})

		if err == nil {
			_, err = fmt.Fprintln(out, "the reports were rebuilt")
		}
		return err
	})
}
