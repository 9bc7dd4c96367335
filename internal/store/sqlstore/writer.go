package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/paylink/paylink/internal/fault"
)

// commit is one caller's transaction, waiting to be grouped.
type commit struct {
	fn     func(*tx) error
	result chan error
}

// tx is what a commit's function may do. Statements are prepared once per
// connection. A function may run a second time: it must take its effects from
// its arguments alone.
type tx struct {
	conn  *sql.Conn
	stmts map[string]*sql.Stmt
}

func (t *tx) prepare(query string) (*sql.Stmt, error) {
	if st, ok := t.stmts[query]; ok {
		return st, nil
	}
	st, err := t.conn.PrepareContext(context.Background(), query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	t.stmts[query] = st
	return st, nil
}

// exec runs a statement and returns how many rows it changed. The statement is
// not cancellable on purpose: a commit in a group must not be half interrupted.
func (t *tx) exec(query string, args ...any) (int64, error) {
	st, err := t.prepare(query) //nolint:sqlclosecheck // kept for the next commit
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(context.Background(), args...)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// row runs a query that gives at most one row.
func (t *tx) row(query string, args ...any) rowScanner {
	st, err := t.prepare(query) //nolint:sqlclosecheck // kept for the next commit
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(context.Background(), args...)
}

type rowScanner interface{ Scan(dest ...any) error }

type failedRow struct{ err error }

func (f failedRow) Scan(...any) error { return f.err }

// write runs fn in a transaction and returns when it is durable, or when nothing
// of it was kept. When ctx ends first the outcome is not known to the caller.
func (s *Store) write(ctx context.Context, fn func(t *tx) error) error {
	c := &commit{fn: fn, result: make(chan error, 1)}
	select {
	case <-s.stop:
		return errClosed
	default:
	}
	select {
	case s.queue <- c:
	case <-s.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.result:
		return err
	case <-s.done: // the writer is gone: it may have answered just before
		select {
		case err := <-c.result:
			return err
		default:
			return errClosed
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (s *Store) runWriter(conn *sql.Conn) {
	defer close(s.done)
	t := &tx{conn: conn, stmts: map[string]*sql.Stmt{}}
	stopCheckpoints := s.startCheckpoints()
	defer func() {
		stopCheckpoints()
		for _, st := range t.stmts {
			_ = st.Close()
		}
		_ = conn.Close()
	}()
	group := make([]*commit, 0, maxGroup)
	previous := 0
	for {
		group = group[:0]
		select {
		case c := <-s.queue:
			group = append(group, c)
		case <-s.stop:
			for { // what was accepted is carried out
				select {
				case c := <-s.queue:
					s.runGroup(t, append(group[:0], c))
				default:
					return
				}
			}
		}
		group = s.gather(group, previous)
		previous = len(group)
		s.runGroup(t, group)
		s.restartLargeWAL(t)
	}
}

// gather takes the commits that wait. When the group before was a large one many
// callers are at work: it then waits a moment for them, because a group costs the
// same log pages and the same fsync whether it holds two commits or fifty.
func (s *Store) gather(group []*commit, previous int) []*commit {
	var moment <-chan time.Time
	if previous >= busyGroup {
		timer := time.NewTimer(gatherMoment)
		defer timer.Stop()
		moment = timer.C
	}
	for len(group) < maxGroup {
		select {
		case c := <-s.queue:
			group = append(group, c)
			continue
		default:
		}
		if moment == nil || len(group) >= previous+busyGroup {
			return group
		}
		select {
		case c := <-s.queue:
			group = append(group, c)
		case <-moment:
			return group
		case <-s.stop:
			return group
		}
	}
	return group
}

// runGroup commits the group in one transaction and answers everyone after the
// fsync. Commits seldom fail, so the group first runs without savepoints; if one
// does fail, everything is rolled back and runs again with a savepoint for each,
// and the bad one fails alone. If the final commit fails (full disk, failed
// fsync) everyone hears so; SQLite has rolled back or will on open.
func (s *Store) runGroup(t *tx, group []*commit) {
	results := make([]error, len(group))
	err := s.inTransaction(t, func() error {
		for i, c := range group {
			if results[i] = c.fn(t); results[i] != nil {
				return results[i]
			}
		}
		return nil
	})
	if err != nil && len(group) > 1 && failedOne(results) {
		err = s.inTransaction(t, func() error {
			for i, c := range group {
				results[i] = inSavepoint(t, c.fn)
			}
			return nil
		})
	}
	for i, c := range group {
		switch {
		case results[i] != nil:
			c.result <- refused(results[i])
		case err != nil:
			c.result <- fault.Unavailable("store_unavailable", time.Second, err, "The change could not be made durable. Try again.")
		default:
			c.result <- nil
		}
	}
	s.wake.signal()
}

func failedOne(results []error) bool {
	for _, err := range results {
		if err != nil {
			return true
		}
	}
	return false
}

// refused tells a write that the engine could not carry out (full disk, failed
// or forbidden write) from a rule that the change broke.
func refused(err error) error {
	var engine *sqlite.Error
	if !errors.As(err, &engine) {
		return err
	}
	switch engine.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN:
		return fault.Unavailable("store_unavailable", time.Second, err, "The change could not be made durable. Try again.")
	}
	return err
}

func (s *Store) inTransaction(t *tx, body func() error) error {
	if _, err := t.exec("BEGIN IMMEDIATE"); err != nil {
		return err
	}
	if err := body(); err != nil {
		_, rollback := t.exec("ROLLBACK")
		return errors.Join(err, rollback)
	}
	if _, err := t.exec("COMMIT"); err != nil {
		_, _ = t.exec("ROLLBACK") // a failed COMMIT may leave the transaction open
		return err
	}
	return nil
}

func inSavepoint(t *tx, fn func(*tx) error) error {
	if _, err := t.exec("SAVEPOINT one"); err != nil {
		return err
	}
	err := fn(t)
	if err != nil {
		if _, back := t.exec("ROLLBACK TO one"); back != nil {
			return errors.Join(err, back)
		}
	}
	if _, release := t.exec("RELEASE one"); release != nil {
		return errors.Join(err, release)
	}
	return err
}

// startCheckpoints moves the WAL's pages into the file on a connection of its
// own, so that no commit waits for it.
func (s *Store) startCheckpoints() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		db, err := open(s.path, false, 1, readerCacheKibibyte)
		if err != nil {
			return
		}
		defer func() { _ = db.Close() }()
		tick := time.NewTicker(checkpointEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
				if s.walBytes() > checkpointWALBytes {
					_, _ = db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
				}
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

func (s *Store) walBytes() int64 {
	info, err := os.Stat(s.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// restartLargeWAL lets the WAL start anew from the writer, between two groups,
// when passive checkpoints never found a quiet moment. Almost all pages are in
// the file by then, so it is short.
func (s *Store) restartLargeWAL(t *tx) {
	if s.walBytes() < restartWALBytes {
		return
	}
	var busy, log, moved int
	_ = t.row("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &moved)
}

// broadcast wakes everyone who waits for the next commit.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

func newBroadcast() *broadcast { return &broadcast{ch: make(chan struct{})} }

func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

func (b *broadcast) signal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}
