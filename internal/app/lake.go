package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/paylink/paylink/internal/fraud/lake"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// maxLakeAge limits how long an event may wait for its file.
const maxLakeAge = time.Hour

// checkLake validates the lake's place and age. Only a process that runs the fraud service writes a
// lake.
func (c Config) checkLake(say func(format string, args ...any)) {
	if c.Lake == "" {
		return
	}
	if err := lake.Check(c.Lake); err != nil {
		say("--lake: %v", err)
	}

	if c.LakeAge < 0 || c.LakeAge > maxLakeAge || (c.LakeAge > 0 && c.LakeAge < time.Second) {
		say("--lake-age %s: want 1s to %s", c.LakeAge, maxLakeAge)
	}
	if !c.runs("fraud") {
		say("--lake: the service fraud writes it, and does not run in this process")
	}
}

// openLake opens the files that the company's other engines read. One process of the service writes
// them, and another takes over if it stops.
func (s *services) openLake(ctx context.Context) error {
	if s.cfg.Lake == "" || !s.cfg.runs("fraud") {
		return nil
	}
	files, err := lake.Open(ctx, s.cfg.Lake)
	if err != nil {
		return fmt.Errorf("--lake: %w", err)
	}

	s.background["lake"] = lake.New(s.stores.sql, files, s.cfg.LakeAge, s.log).Run
	s.metrics.Gauge("paylink_stream_lag", "Events that the consumer has not handled.", map[string]string{"consumer": lake.Consumer},
		gauge(func(ctx context.Context) (int64, error) { return s.stores.sql.Lag(ctx, lake.Consumer) }))
	return nil
}

// RebuildLake requests a rebuild of the lake, and prints how many events are left. The process that
// writes the lake does the work.
func RebuildLake(ctx context.Context, cfg Config, out io.Writer) error {
	return withStore(ctx, cfg, out, func(store *sqlstore.Store, _ *slog.Logger) error {
		if err := lake.Reset(ctx, store); err != nil {
			return err
		}
		left, err := store.Lag(ctx, lake.Consumer)
		if err == nil {
			_, err = fmt.Fprintf(out, "the process that runs the service fraud with --lake rebuilds it: %d events to go\n", left)
		}
		return err
	})
}
