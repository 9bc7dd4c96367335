// Package sqldb is a SQL database in which several packages keep their tables: a SQLite file with
// one writer, or PostgreSQL, which several processes share. It knows no table. Statements use the
// subset that both engines share: $n parameters, RETURNING, ON CONFLICT; times are BIGINT, ids
// and JSON are TEXT. The dialect hides the differences.
//
// A Source names a database and its Schema. Migrate brings the schema up to date, Open returns a
// DB, and Snapshot returns one that reads a single moment.
//
// DB.Write runs a function in a transaction and returns when the transaction is durable. Writers
// group waiting commits into one transaction and one fsync. If a commit fails, the group runs
// again with a savepoint for each, so the bad one fails alone. On SQLite there is one writer, in
// the only process that opens the file. On PostgreSQL each process has several writers, and an
// account's commits always go to the same one; an advisory lock on the account orders them across
// processes. Readers use connections of their own.
package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/obs"
)

// Limits of the writers.
const (
	queueLength  = 4096                 // waiting commits
	busyGroup    = 4                    // a writer waits for more commits after a group of at least this size
	gatherMoment = 2 * time.Millisecond // the longest it waits
)

// Source names a database and its contents.
type Source struct {
	dialect dialect
	// borrowed means that the tables are in the database of another source and come with its
	// schema.
	borrowed bool
}

// DB is an open database. It reads as a Reader does, through its own pool. It is safe for
// concurrent use.
type DB struct {
	Reader
	source    Source
	writer    *sql.DB
	pool      *sql.DB // used by Reader; nil in a snapshot
	consumers *sql.DB // separate connections for consumers, so that they never take a request's
	writers   []*writer
	stop      chan struct{}
	once      sync.Once
	close     func() error
	wake      *broadcast
	stmts     sync.Map // query to *sql.Stmt, for the readers
	writes    *obs.Writes
}

// Beside returns a source for data derived from this source's data. For a SQLite file it is
// another file beside it. On PostgreSQL it is the same database with a few connections of its
// own, and the tables are part of this source's schema.
func (s Source) Beside(path string, schema Schema) Source {
	if p, ok := s.dialect.(postgres); ok {
		p.few = true
		return Source{dialect: p, borrowed: true}
	}
	return Source{dialect: sqliteFile{path: path, schema: schema}}
}

// Open opens the database and creates a SQLite file that does not exist. The schema must be
// current: call Migrate first. If it fails, everything that was opened is closed again. Close must
// be called.
func (s Source) Open(ctx context.Context) (*DB, error) {
	d := s.dialect
	db := newDB(s)
	var opened []*sql.DB
	closeAll := func() (err error) {
		for _, db := range opened {
			err = errors.Join(err, db.Close())
		}
		return err
	}

	n := d.pools()
	for _, pool := range []struct {
		db          **sql.DB
		readOnly    bool
		connections int
	}{{&db.writer, false, n.writers}, {&db.pool, true, n.read}, {&db.consumers, true, n.consumers}} {
		one, err := d.open(pool.readOnly, pool.connections)
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		opened, *pool.db = append(opened, one), one
		if !pool.readOnly { // the first pool creates a missing file
			if err := checkSchema(ctx, d, one); err != nil {
				return nil, errors.Join(err, closeAll())
			}
		}
	}

	db.Reader = Reader{db.pool, d}
	stopBackground := d.background()
	for range n.writers {
		w := newWriter(db)
		db.writers = append(db.writers, w)
		go w.run()
	}

	db.close = func() error {
		for _, w := range db.writers {
			<-w.done
		}
		stopBackground()
		return closeAll()
	}
	return db, nil
}

// Snapshot opens the database read-only, as it is at the first read, which is of the named small
// table. Other processes may write meanwhile. Close ends the snapshot. If a SQLite file does not
// exist, it returns fs.ErrNotExist.
func (s Source) Snapshot(ctx context.Context, table string) (*DB, error) {
	pool, err := s.dialect.open(true, 1)
	if err != nil {
		return nil, err
	}

	if err := checkSchema(ctx, s.dialect, pool); err != nil {
		return nil, errors.Join(err, pool.Close())
	}

	tx, err := pool.BeginTx(ctx, s.dialect.moment())
	if err != nil {
		return nil, errors.Join(err, pool.Close())
	}
	db := newDB(s)
	db.Reader = Reader{tx, s.dialect}
	db.close = func() error {
		_ = tx.Rollback() // read-only: nothing to keep
		return pool.Close()
	}
	// The first read sets the moment.
	var n int64
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return db, nil
}

// newDB returns a database that is not open yet.
func newDB(s Source) *DB {
	return &DB{Reader: Reader{dialect: s.dialect}, source: s, stop: make(chan struct{}), wake: newBroadcast(), writes: obs.NewWrites(time.Now)}
}

// Beside returns a source for data derived from this database's data; see Source.Beside.
func (db *DB) Beside(path string, schema Schema) Source { return db.source.Beside(path, schema) }

// Shared reports whether other processes may change rows too.
func (db *DB) Shared() bool { return db.dialect.shared() }

// IsSnapshot reports whether the database is a snapshot.
func (db *DB) IsSnapshot() bool { return db.pool == nil }

// Ping reads from the database, for readiness.
func (db *DB) Ping(ctx context.Context) error {
	var one int
	return db.QueryRow(ctx, "SELECT 1").Scan(&one)
}

// Writes returns the state of recent writes, for readiness and metrics.
func (db *DB) Writes() *obs.Writes { return db.writes }

// Intact asks the engine to check itself and returns the problems it finds.
func (db *DB) Intact(ctx context.Context) ([]string, error) { return db.dialect.intact(ctx, db.Reader) }

// Committed returns a channel that is closed at this process's next commit.
func (db *DB) Committed() <-chan struct{} { return db.wake.wait() }

// Poll returns the longest wait before looking for commits of other processes.
func (db *DB) Poll() time.Duration { return db.dialect.poll() }

// Alone runs work in one of the processes that share the database. When that process's session
// ends, another takes over. Alone returns nil when ctx ends. A successful read through the work's
// Reader proves that no other process had taken over. Otherwise two may run for a moment, so the
// work must be safe to run twice.
func (db *DB) Alone(ctx context.Context, name string, work func(context.Context, Reader) error) error {
	from, release, err := db.dialect.claim(ctx, db.consumers, name)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return db.dialect.explain(err)
	}
	defer release()
	return work(ctx, Reader{from, db.dialect})
}

// Close waits for the queued commits and closes the connections. Later commits fail with
// store_closed. Only the first call does something.
func (db *DB) Close() error {
	var err error
	db.once.Do(func() {
		close(db.stop)
		err = db.close()
	})
	return err
}

// errClosed is the fault of a commit that came too late.
var errClosed = fault.Unavailable("store_closed", time.Second, nil, "The service is shutting down; retry.")

// Waiting returns the number of commits queued at the account's writer.
func (db *DB) Waiting(account string) int { return len(db.writerFor([]string{account}).queue) }
