package webhook

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riversqlite"
	"github.com/riverqueue/river/rivermigrate"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/paylink/paylink/internal/store/sqldb"
)

// Limits of the file.
const (
	busyTimeoutMillis = 10_000
	cacheKibibyte     = 4 << 10
)

// file keeps the jobs of the only process that has it.
type file struct{ db *sql.DB }

// newFile opens the file, and makes it and its folder if needed, readable by the owner
// only.
func newFile(path string) (*file, error) {
	if err := sqldb.OwnerOnly(path); err != nil {
		return nil, err
	}

	v := url.Values{"_txlock": {"immediate"}}
	v.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", busyTimeoutMillis))
	v.Add("_pragma", "journal_mode(WAL)")
	v.Add("_pragma", "synchronous(FULL)")
	v.Add("_pragma", fmt.Sprintf("cache_size(-%d)", cacheKibibyte))
	db, err := sql.Open("sqlite", sqldb.URI(path, v))
	if err != nil {
		return nil, err
	}

	db.SetMaxOpenConns(1) // SQLite has one writer; a second would only wait for it
	return &file{db}, nil
}

// migrate implements engine. No other process has the file.
func (f *file) migrate(ctx context.Context, logger *slog.Logger) error {
	migrator, err := rivermigrate.New(riversqlite.New(f.db), &rivermigrate.Config{Logger: logger})
	if err != nil {
		return err
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return err
}

// client implements engine.
func (f *file) client(c *river.Config) (riverClient, error) {
	c.PollOnly = true                  // the alternative polls too, twice as often, and writes a row per insert
	c.ReindexerIndexNames = []string{} // SQLite's indexes do not bloat
	return river.NewClient(riversqlite.New(f.db), c)
}

// heartbeat assumes that every earlier process is dead. It returns nil when ctx ends.
func (f *file) heartbeat(ctx context.Context, ready func()) error {
	const again = `UPDATE river_job SET state = 'available', attempt = max(attempt - 1, 0) WHERE state = 'running'`
	_, err := f.db.ExecContext(ctx, again)
	if ctx.Err() != nil {
		return nil // stopped before it began: the next start takes up the tries that still count as running
	}
	if err != nil {
		return fmt.Errorf("recover the webhook queue: %w", err)
	}
	ready()
	<-ctx.Done()
	return nil
}

// advanceFile is advanceDatabase in SQLite, whose times are text in UTC.
const advanceFile = `UPDATE river_job SET scheduled_at = strftime('%Y-%m-%d %H:%M:%f', scheduled_at, $1),
	state = CASE WHEN strftime('%Y-%m-%d %H:%M:%f', scheduled_at, $1) <= datetime('now', 'subsec') THEN 'available' ELSE state END
	WHERE kind = 'webhook' AND state IN ('retryable', 'scheduled') AND json_extract(args, '$.account') = $2 AND json_extract(args, '$.mode') = 'test'`

// advance implements engine.
func (f *file) advance(ctx context.Context, account string, by time.Duration) error {
	_, err := f.db.ExecContext(ctx, advanceFile, fmt.Sprintf("-%.3f seconds", by.Seconds()), account)
	return err
}

// crowdFile is crowdDatabase without other processes.
const crowdFile = `UPDATE river_job SET queue = 'crowded' WHERE queue = 'default' AND kind = 'webhook'
	AND state IN ('available', 'retryable', 'scheduled') AND json_extract(args, '$.endpoint') = $1`

// crowd implements engine.
func (f *file) crowd(ctx context.Context, endpoint string) error {
	_, err := f.db.ExecContext(ctx, crowdFile, endpoint)
	return err
}

func (f *file) close() error { return f.db.Close() }
