// Package projection keeps rows and sums that follow the change feed of a store: Reports for
// people, and Analytics for fraud analysis. On SQLite each is in a file of its own with its own
// writer and without an fsync for each commit, so no payment waits for it; a damaged file is
// rebuilt. On PostgreSQL each is in tables of its own, which come with the store's schema.
//
// The two share a follower, which reads the feed, gathers what a commit needs, and writes rows,
// sums and its place in the feed in one commit, so an event that comes twice counts once. One of
// several processes works.
package projection

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// commitPause is the time between two commits: a row that changes often is written once.
const commitPause = time.Second

// migrations holds each kind's schema, for SQLite. On PostgreSQL the tables come with the store's.
//
//go:embed migrations
var migrations embed.FS

// kind is one of the sets of rows.
type kind struct {
	title  string // in messages
	folder string // folder of its migrations; also the lock that orders all writers, in any process
	owners string // the table of owners
	first  string // the small table whose read sets a snapshot's moment
}

// ownerKey identifies whose rows they are.
type ownerKey struct{ account, mode string }

// follower is what both sets of rows share.
type follower struct {
	kind
	feed   *feed.Feed // nil in a snapshot
	own    *sqldb.DB
	log    *slog.Logger
	owners sync.Map // ownerKey to its number
	names  sync.Map // number to its ownerKey
}

// schema returns the schema of a kind's own file.
func (k kind) schema() (sqldb.Schema, error) {
	files, err := fs.Sub(migrations, "migrations/"+k.folder)
	return sqldb.Schema{Migrations: files, Derived: true}, err
}

// open opens the rows that follow the feed. The path is that of the file beside a SQLite store. A
// damaged file is logged as an error and recreated empty.
func open(ctx context.Context, k kind, f *feed.Feed, path string, log *slog.Logger) (*follower, error) {
	schema, err := k.schema()
	if err != nil {
		return nil, err
	}

	own, err := f.Beside(path, schema).OpenDerived(ctx, func(path string, damage error) {
		log.ErrorContext(ctx, "the file of the "+k.title+" is damaged and is rebuilt", "path", path, "error", damage)
	})
	if err != nil {
		return nil, fmt.Errorf("open the %s: %w", k.title, err)
	}
	return &follower{kind: k, feed: f, own: own, log: log}, nil
}

// snapshot opens the rows beside a store read-only, as they are at this moment. If the file does
// not exist, it returns fs.ErrNotExist. Rows of a snapshot cannot follow or write.
func snapshot(ctx context.Context, k kind, store sqldb.Source, path string) (*follower, error) {
	schema, err := k.schema()
	if err != nil {
		return nil, err
	}
	own, err := store.Beside(path, schema).Snapshot(ctx, k.first)
	if err != nil {
		return nil, err
	}
	return &follower{kind: k, own: own, log: slog.New(slog.DiscardHandler)}, nil
}

// Close closes the connections.
func (f *follower) Close() error { return f.own.Close() }

// batch gathers what was read of the feed since the last commit.
type batch interface {
	add(stream.Event)
	objects() int // number of objects that the commit writes
}

// follow carries the feed to batches until ctx ends (nil). A batch with that many objects is
// committed early. It returns feed.ErrMoved if another process has moved the checkpoint. After any
// error the batch is dropped, and the next run reads its events again from the checkpoint.
func follow[B batch](ctx context.Context, f *follower, c feed.Follower, fresh func() B, objects int,
	commit func(ctx context.Context, r sqldb.Reader, b B, from, to feed.Place) error) error {
	b := fresh()
	c.Pause = commitPause

	c.Handle = func(_ context.Context, events []stream.Event) error {
		for _, e := range events {
			b.add(e)
		}
		return nil
	}

	c.Full = func() bool { return b.objects() >= objects }
	c.Save = func(ctx context.Context, r sqldb.Reader, from, to feed.Place) error {
		done := b
		b = fresh()
		return commit(ctx, r, done, from, to)
	}
	return f.feed.Follow(ctx, c)
}

// write commits changes of the rows, under the lock that orders all writers of this kind.
func (f *follower) write(ctx context.Context, fn func(*sqldb.Tx) error) error {
	return f.own.Write(ctx, []string{f.folder}, fn)
}

// owner returns the number of an account and mode, or 0 if nothing is known of it.
func (f *follower) owner(ctx context.Context, account, mode string) (int64, error) {
	key := ownerKey{account, mode}
	if n, ok := f.owners.Load(key); ok {
		return n.(int64), nil
	}
	var n int64
	err := f.own.QueryRow(ctx, "SELECT id FROM "+f.kind.owners+" WHERE account = $1 AND mode = $2", account, mode).Scan(&n)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	if err == nil {
		f.owners.Store(key, n)
	}
	return n, err
}

// ensureOwner returns the number of an owner. It creates a missing one in a commit of its own, so
// that a cached number is always durable. Numbers are never reused.
func (f *follower) ensureOwner(ctx context.Context, key ownerKey) (int64, error) {
	n, err := f.owner(ctx, key.account, key.mode)
	if err != nil || n != 0 {
		return n, err
	}

	n, err = sqldb.WriteFor(ctx, f.own, []string{f.folder}, func(t *sqldb.Tx) (n int64, err error) {
		err = t.Row("INSERT INTO "+f.kind.owners+` (account, mode) VALUES ($1, $2)
			ON CONFLICT (account, mode) DO UPDATE SET mode = excluded.mode RETURNING id`, key.account, key.mode).Scan(&n)
		return n, err
	})
	if err == nil && n == 0 {
		err = fault.Unavailable("store_unavailable", time.Second, nil, "The "+f.title+" cannot be written at the moment; retry.")
	}

	if err == nil {
		f.owners.Store(key, n)
	}
	return n, err
}

// ensureOwners is ensureOwner for the owners of a commit's objects.
func (f *follower) ensureOwners(ctx context.Context, of map[string]ownerKey) (map[ownerKey]int64, error) {
	owners := map[ownerKey]int64{}
	for _, key := range of {
		if owners[key] != 0 {
			continue
		}
		n, err := f.ensureOwner(ctx, key)
		if err != nil {
			return nil, err
		}
		owners[key] = n
	}

	return owners, nil
}

// name returns the owner with that number. Owners are never deleted, so the cache is exact.
func (f *follower) name(ctx context.Context, owner int64) (key ownerKey, err error) {
	if k, ok := f.names.Load(owner); ok {
		return k.(ownerKey), nil
	}
	err = f.own.QueryRow(ctx, "SELECT account, mode FROM "+f.kind.owners+" WHERE id = $1", owner).Scan(&key.account, &key.mode)
	if err == nil {
		f.names.Store(owner, key)
	}
	return key, err
}
