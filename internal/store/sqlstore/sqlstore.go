// Package sqlstore keeps money and users in SQL: links and payments with their logs, balances,
// accounts, keys, sessions, emails, the notifier's endpoints, rules and models. It is one package
// because it is one transaction: a change to any of them is committed with its events, emails and
// idempotency record, or not at all. Package sqldb does the writing, and package feed orders the
// events.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"
	"sync/atomic"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/obs"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/testclock"
)

// Store implements the store contracts of the domain packages and keeps the feed of their events.
// It is safe for concurrent use. The caches, by id, serve SQLite only, where this process is the
// only writer; newStore turns them off for a shared database.
type Store struct {
	*feed.Feed
	db       *sqldb.DB
	keys     cache[merchant.Key]
	accounts cache[merchant.Account]
	links    cache[link.Link]
	clocks   testclock.Set
	heldSeen atomic.Int64 // microseconds: when held links were last searched
	lanes    laneCursor
}

// migrations holds the schema's steps, numbered in order. A step that has been released is never
// edited.
//
//go:embed migrations
var migrations embed.FS

// Source returns the store's database by URL: sqlite:PATH for a file, or postgres://….
func Source(url string) (sqldb.Source, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return sqldb.Source{}, err
	}
	return sqldb.NewSource(url, sqldb.Schema{
		Migrations: files,
		After:      map[int64]func(context.Context, *sql.Tx) error{spellingMigration: respell},
	})
}

// Migrate brings the store's schema to this binary's version. Several processes may call it: one
// migrates, and the others wait.
func Migrate(ctx context.Context, url string) (from, to int64, err error) {
	src, err := Source(url)
	if err != nil {
		return 0, 0, err
	}
	return src.Migrate(ctx)
}

// Open opens the store: sqlite:PATH, a file that is created if it is missing, or postgres://…, a
// database. The schema must be current: call Migrate first.
func Open(ctx context.Context, url string) (*Store, error) {
	src, err := Source(url)
	if err != nil {
		return nil, err
	}
	db, err := src.Open(ctx)
	if err != nil {
		return nil, err
	}

	return newStore(ctx, db)
}

// OpenSnapshot opens the store read-only, as it is at this moment. Other processes may write
// meanwhile. Close ends the snapshot.
func OpenSnapshot(ctx context.Context, url string) (*Store, error) {
	src, err := Source(url)
	if err != nil {
		return nil, err
	}
	db, err := src.Snapshot(ctx, "checkpoints")
	if err != nil {
		return nil, err
	}

	return newStore(ctx, db)
}

// newStore opens the feed on db and takes over db. If the feed cannot be opened, db is closed. The
// caches stay off while other processes may change the same rows.
func newStore(ctx context.Context, db *sqldb.DB) (*Store, error) {
	f, err := feed.Open(ctx, db)
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := &Store{Feed: f, db: db}

	s.keys.off, s.accounts.off, s.links.off = db.Shared(), db.Shared(), db.Shared()
	return s, nil
}

// Ping reads from the store, for readiness.
func (s *Store) Ping(ctx context.Context) error { return s.db.Ping(ctx) }

// Writes returns the state of recent writes, for metrics.
func (s *Store) Writes() *obs.Writes { return s.db.Writes() }

// Intact asks the engine to check itself and returns the problems that it finds, one text each;
// none if it is sound. The error says that the check did not run.
func (s *Store) Intact(ctx context.Context) ([]string, error) { return s.db.Intact(ctx) }

// Close waits for the queued commits and closes the connections. Commits that come later fail.
func (s *Store) Close() error { return s.db.Close() }
