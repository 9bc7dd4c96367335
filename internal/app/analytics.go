package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// analyticsPath returns the path of the analytics store beside a SQLite store.
func (c Config) analyticsPath() string { return filepath.Join(c.DataDir, "analytics.db") }

// openAnalytics opens the analytics store in the fraud service, and starts its consumer. It reads
// payments and links from the table, if there is one, and the feed from SQL. Other processes get a
// client.
func (s *services) openAnalytics(ctx context.Context) error {
	switch p := s.peer("fraud"); {
	case s.cfg.runs("fraud"):
		// The walk of a rebuild reads page by page, beside running payments.
		var payments projection.Payments = s.stores.sql.Pages()
		if s.stores.table != nil {
			payments = s.stores.table
		}
		local, err := projection.OpenAnalytics(ctx, s.stores.sql.Feed, payments, s.cfg.analyticsPath(), s.log)
		if err != nil {
			return err
		}
		s.closers = append(s.closers, local.Close)
		s.analytics, s.fraud.Analyst = local, local

		s.serve(func(r *rpc.Server) { rpc.ServeAnalyst(r, local) })
		if s.cfg.FraudOff { // existing data stays readable, and nothing is added
			return nil
		}
		s.background["analytics"] = local.Run
		s.metrics.Gauge(
			"paylink_stream_lag",
			"Events that the consumer has not handled.",
			map[string]string{"consumer": history.Consumer},
			gauge(local.Lag),
		)
	case p != nil:
		s.fraud.Analyst = rpc.NewAnalyst(p)
	}

	return nil
}

// RebuildAnalytics rebuilds the analytics store from the links and payments, also while servers
// run. It prints how many objects it read. A rebuild that is interrupted is abandoned and can be
// repeated.
func RebuildAnalytics(ctx context.Context, cfg Config, out io.Writer) error {
	return withStore(ctx, cfg, out, func(store *sqlstore.Store, log *slog.Logger) error {
		var payments projection.Payments = store.Pages()
		// The progress counts links and payments together.
		var total int64 // unknown for a table
		if cfg.PaymentsStore == "" {
			sizes, err := store.Sizes(ctx)
			if err != nil {
				return err
			}
			total = sizes["links"] + sizes["payments"]
		} else {
			table, err := cfg.openTable(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = table.Close() }()
			payments = table
		}

		analytics, err := projection.OpenAnalytics(ctx, store.Feed, payments, cfg.analyticsPath(), log)
		if err != nil {
			return err
		}
		defer func() { _ = analytics.Close() }()

		// Rebuild reports as it walks; the last report is the total.
		meter := cfg.Progress.Start("rebuild the analytics store", "objects", total)
		var walked int64
		err = analytics.Rebuild(ctx, func(b projection.Build) {
			walked = b.Walked
			meter.Set(walked)
		})
		meter.End()
		if err == nil {
			_, err = fmt.Fprintf(out, "the analytics store was rebuilt from %d links and payments\n", walked)
		}
		return err
	})
}
