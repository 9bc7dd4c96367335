package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/paylink/paylink/internal/fault"
)

// Limits of SQLite. The WAL is moved into the file from checkpointWALBytes on, and restarted from
// restartWALBytes on.
const (
	checkpointWALBytes  = 8 << 20
	restartWALBytes     = 64 << 20
	checkpointEvery     = 200 * time.Millisecond
	busyTimeoutMillis   = 10_000
	writerCacheKibibyte = 32 << 10
	readerCacheKibibyte = 4 << 10
	sqliteReaders       = 8
	sqliteGroup         = 256
	sqlitePoll          = time.Second // the process's own commits wake the consumers
)

// sqliteFile is the dialect of a file with one writer, in one process.
type sqliteFile struct {
	path   string
	schema Schema
}

// name implements dialect: the path.
func (f sqliteFile) name() string { return f.path }

// pools implements dialect. One writer is all that the file allows.
func (f sqliteFile) pools() pools {
	return pools{read: sqliteReaders, consumers: 2, writers: 1, group: sqliteGroup}
}

// open implements dialect. A pool for writing creates the file and its folder; a read-only one
// needs the file (fs.ErrNotExist).
func (f sqliteFile) open(readOnly bool, connections int) (*sql.DB, error) {
	if !readOnly {
		if err := OwnerOnly(f.path); err != nil {
			return nil, err
		}
		return open(f.path, false, connections, f.writerCache(), f.synchronous())
	}
	if _, err := os.Stat(f.path); err != nil {
		return nil, err
	}
	return open(f.path, true, connections, readerCacheKibibyte, f.synchronous())
}

// URI returns the URI of a database file for SQLite, with settings for each connection. Without the
// escapes, a ? or # would end the path, and two files be one.
func URI(path string, settings url.Values) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + settings.Encode()
}

// OwnerOnly creates a database file and its folder if they do not exist, and lets only the owner
// read the file and its companions; SQLite gives new companions the mode of the file. It returns
// an error if others can read the file and that cannot be changed.
func OwnerOnly(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Clean(path), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, fs.ErrExist) {
		return err
	}

	for _, each := range []string{path, path + "-wal", path + "-shm"} {
		info, err := os.Stat(each)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o077 == 0 {
			continue
		}
		if err := os.Chmod(each, 0o600); err != nil {
			return fmt.Errorf("%s: others can read it; make this user its owner, or chmod 600: %w", each, err)
		}
	}

	return nil
}

// writerCache returns the page cache of the writer in KiB. Derived data has many indexes with
// scattered writes.
func (f sqliteFile) writerCache() int {
	if f.schema.Derived {
		return 2 * writerCacheKibibyte
	}
	return writerCacheKibibyte
}

// synchronous returns the fsync mode. Derived data may lose its last commits, but never their
// order.
func (f sqliteFile) synchronous() string {
	if f.schema.Derived {
		return "NORMAL"
	}
	return "FULL"
}

// open opens a pool of connections to a file. Every connection gets the same settings. The WAL is
// never checkpointed by a commit, because background and idle do that.
func open(path string, readOnly bool, connections, cacheKibibyte int, synchronous string) (*sql.DB, error) {
	q := url.Values{}
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", busyTimeoutMillis))
	q.Add("_pragma", "journal_mode(WAL)")
	q.Add("_pragma", "synchronous("+synchronous+")")
	q.Add("_pragma", "wal_autocheckpoint(0)")
	q.Add("_pragma", fmt.Sprintf("cache_size(-%d)", cacheKibibyte))
	q.Add("_pragma", "foreign_keys(ON)")
	if readOnly {
		q.Add("_pragma", "query_only(ON)")
	}
	db, err := sql.Open("sqlite", URI(path, q))
	if err != nil {
		return nil, err
	}

	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// provider implements dialect.
func (f sqliteFile) provider(db *sql.DB) (*goose.Provider, error) {
	return f.schema.sqlite(db)
}

// begin implements dialect. It takes the write lock at once, so that no statement fails later
// because another connection writes.
func (f sqliteFile) begin(t *Tx, _ []string) error {
	_, err := t.Exec("BEGIN IMMEDIATE")
	return err
}

// commit may leave a transaction open if it fails; the caller rolls it back. If the disk failed,
// SQLite has rolled back, or will when the file is next opened.
func (f sqliteFile) commit(t *Tx) error {
	_, err := t.Exec("COMMIT")
	return err
}

// rollback implements dialect. The connection can always be used again.
func (f sqliteFile) rollback(t *Tx) bool {
	_, _ = t.Exec("ROLLBACK") // there may be nothing to roll back
	return true
}

// group implements dialect: without a deadline, because the file is local.
func (f sqliteFile) group() (context.Context, context.CancelFunc) {
	return context.Background(), func() {}
}

// again implements dialect. There is no other writer with which a commit could conflict.
func (f sqliteFile) again(error) (yes, lost bool) { return false, false }

// explain returns a retryable fault for engine failures (full disk, failed or forbidden write)
// and leaves the error of a broken rule unchanged.
func (f sqliteFile) explain(err error) error {
	var engine *sqlite.Error
	var known *fault.Error
	if !errors.As(err, &engine) || errors.As(err, &known) {
		return err
	}
	switch engine.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED,
		sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CANTOPEN:
		return notDurable(err)
	}
	return err
}

// poll, moment and shared implement dialect: only this process writes, and a transaction sees one
// moment.
func (f sqliteFile) poll() time.Duration    { return sqlitePoll }
func (f sqliteFile) moment() *sql.TxOptions { return nil }
func (f sqliteFile) shared() bool           { return false }

// claim implements dialect. This is the only process, so there is nothing to wait for.
func (f sqliteFile) claim(_ context.Context, pool *sql.DB, _ string) (querier, func(), error) {
	return pool, func() {}, nil
}

// keyed returns a context that cannot be canceled: the reads are too short to be worth it, and it
// saves the driver a goroutine per query.
func (f sqliteFile) keyed(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithoutCancel(ctx), func() {}
}

// intact implements dialect by SQLite's own check of pages and indexes, which reads the whole file.
// It does not find a changed value; the documents' checksums do.
func (f sqliteFile) intact(ctx context.Context, r Reader) (found []string, err error) {
	err = r.Each(ctx, func(row Scanner) error {
		var line string
		err := row.Scan(&line)
		if err == nil && line != "ok" {
			found = append(found, line)
		}
		return err
	}, "PRAGMA quick_check")
	return found, err
}

// background copies WAL pages into the file on its own connection, so that no commit waits for it.
// It never waits for readers either. If the connection cannot be opened, idle restarts the WAL when
// it has become large.
func (f sqliteFile) background() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		db, err := open(f.path, false, 1, readerCacheKibibyte, f.synchronous())
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
				if f.walBytes() > checkpointWALBytes {
					_, _ = db.ExecContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)")
				}
			}
		}
	})
	return func() { cancel(); wg.Wait() }
}

// walBytes returns the size of the WAL, or 0 if there is none.
func (f sqliteFile) walBytes() int64 {
	info, err := os.Stat(f.path + "-wal")
	if err != nil {
		return 0
	}
	return info.Size()
}

// idle restarts the WAL between two groups if passive checkpoints never found a quiet moment. By
// then almost all pages are in the file, so it is short.
func (f sqliteFile) idle(t *Tx) {
	if f.walBytes() < restartWALBytes {
		return
	}
	var busy, log, moved int
	_ = t.Row("PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &moved)
}

// isDamage reports whether err means that a file is not a valid database.
func isDamage(err error) bool {
	var engine *sqlite.Error
	if !errors.As(err, &engine) {
		return false
	}
	code := engine.Code() & 0xff
	return code == sqlite3.SQLITE_NOTADB || code == sqlite3.SQLITE_CORRUPT
}

// Copy writes a consistent copy of a live database file to a new file, which only the owner can
// read. It fails if from does not
// exist or to does. A copy that was interrupted is incomplete and must be deleted.
func Copy(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	// The empty file is created here because SQLite would let others read it.
	file, err := os.OpenFile(filepath.Clean(to), os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s exists already", to)
	}
	if err != nil {
		return err
	}
	if err := file.Close(); err != nil {
		return err
	}

	db, err := open(from, false, 1, readerCacheKibibyte, "FULL")
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO $1", to)
	return errors.Join(err, db.Close())
}
