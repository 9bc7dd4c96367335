package app

import (
	"context"
	"path/filepath"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// analyticsPath is the file of the analytics store, beside a store in SQLite.
func (c Config) analyticsPath() string { return filepath.Join(c.DataDir, "analytics.db") }

// openAnalytics: the analytics store in the box fraud, and its consumer.
func (s *services) openAnalytics(ctx context.Context) error {
	switch p := s.peer("fraud"); {
	case s.cfg.runs("fraud"):
		local, err := sqlstore.OpenAnalytics(ctx, s.stores.sql, s.cfg.analyticsPath(), s.log)
		if err != nil {
			return err
		}
		if s.stores.table != nil {
			local.Walk(s.stores.table)
		}
		s.closers = append(s.closers, local.Close)
		s.analytics, s.fraud.Analyst, s.background["analytics"] = local, local, local.Run
		s.metrics.Gauge("paylink_stream_lag", "Events that the consumer has not handled.", map[string]string{"consumer": fraud.Consumer}, gauge(local.Lag))
		s.serve(func(r *rpc.Server) { rpc.ServeAnalyst(r, local) })
	case p != nil:
		s.fraud.Analyst = rpc.NewAnalyst(p)
	}
	return nil
}
