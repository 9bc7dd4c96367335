// Package sqlstore keeps everything in SQL: users, keys, links, payments with
// their logs, the change feed and the notifier's endpoints. It is the only
// package that knows SQL. The text is written in the subset that SQLite and
// PostgreSQL share: $n parameters, RETURNING, ON CONFLICT; times are BIGINT
// microseconds, ids and JSON are TEXT.
//
// On SQLite one writer goroutine groups the commits that wait into one
// transaction and one fsync (synchronous=FULL); each has a savepoint, so a bad
// one fails alone. Nobody is answered before the fsync. Readers use connections
// of their own beside it.
package sqlstore

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Bounds.
const (
	readerConnections   = 8
	feedConnections     = 2
	queueLength         = 4096
	maxGroup            = 256
	busyGroup           = 4                    // commits in a group from which on the writer waits for more
	gatherMoment        = 2 * time.Millisecond // the longest it waits
	checkpointWALBytes  = 8 << 20
	restartWALBytes     = 64 << 20
	checkpointEvery     = 200 * time.Millisecond
	busyTimeoutMillis   = 10_000
	writerCacheKibibyte = 32 << 10
	readerCacheKibibyte = 4 << 10
)

// Store implements the store contracts of the domain packages.
type Store struct {
	path     string
	writer   *sql.DB
	read     *sql.DB
	feed     *sql.DB // the consumers' reads, so that they never take a request's place
	queue    chan *commit
	stop     chan struct{}
	done     chan struct{}
	once     sync.Once
	wake     *broadcast
	keys     cache[merchant.Key]
	accounts cache[merchant.Account]
	links    cache[link.Link]
	stmts    sync.Map // query to *sql.Stmt of the readers
}

// OpenSQLite opens the database file, creating it if need be. The schema must be
// current: call Migrate first.
func OpenSQLite(path string) (*Store, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	writer, err := open(path, false, 1, writerCacheKibibyte)
	if err != nil {
		return nil, err
	}
	reader, err := open(path, true, readerConnections, readerCacheKibibyte)
	if err != nil {
		return nil, errors.Join(err, writer.Close())
	}
	feed, err := open(path, true, feedConnections, readerCacheKibibyte)
	if err != nil {
		return nil, errors.Join(err, writer.Close(), reader.Close())
	}
	s := &Store{path: path, writer: writer, read: reader, feed: feed, queue: make(chan *commit, queueLength),
		stop: make(chan struct{}), done: make(chan struct{}), wake: newBroadcast()}
	if err := s.checkSchema(context.Background()); err != nil {
		return nil, errors.Join(err, writer.Close(), reader.Close(), feed.Close())
	}
	conn, err := writer.Conn(context.Background())
	if err != nil {
		return nil, errors.Join(err, writer.Close(), reader.Close(), feed.Close())
	}
	go s.runWriter(conn)
	return s, nil
}

func open(path string, readOnly bool, connections, cacheKibibyte int) (*sql.DB, error) {
	q := url.Values{}
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", busyTimeoutMillis))
	q.Add("_pragma", "journal_mode(WAL)")
	q.Add("_pragma", "synchronous(FULL)")
	q.Add("_pragma", "wal_autocheckpoint(0)")
	q.Add("_pragma", fmt.Sprintf("cache_size(-%d)", cacheKibibyte))
	q.Add("_pragma", "foreign_keys(ON)")
	if readOnly {
		q.Add("_pragma", "query_only(ON)")
	}
	db, err := sql.Open("sqlite", "file:"+path+"?"+q.Encode())
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	return db, nil
}

// Migrate brings the schema of the file to this binary's version. It is safe to
// call from several processes: the file is locked while it runs.
func Migrate(ctx context.Context, path string) (from, to int64, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return 0, 0, err
	}
	db, err := open(path, false, 1, writerCacheKibibyte)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	p, err := provider(db)
	if err != nil {
		return 0, 0, err
	}
	if from, err = p.GetDBVersion(ctx); err != nil {
		return 0, 0, err
	}
	if _, err = p.Up(ctx); err != nil {
		return from, from, err
	}
	to, err = p.GetDBVersion(ctx)
	return from, to, err
}

func provider(db *sql.DB) (*goose.Provider, error) {
	dir, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectSQLite3, db, dir)
}

func (s *Store) checkSchema(ctx context.Context) error {
	p, err := provider(s.writer)
	if err != nil {
		return err
	}
	pending, err := p.HasPending(ctx)
	if err != nil {
		return fmt.Errorf("read the schema version of %s: %w", s.path, err)
	}
	if pending {
		return fmt.Errorf("the schema of %s is older than this binary: run paylink migrate", s.path)
	}
	return nil
}

// Ping answers whether the store can be read; for readiness.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.read.QueryRowContext(ctx, "SELECT 1").Scan(&one)
}

// Copy writes a consistent copy of a live database to a new file.
func Copy(ctx context.Context, from, to string) error {
	if _, err := os.Stat(from); err != nil {
		return err
	}
	if _, err := os.Stat(to); err == nil {
		return fmt.Errorf("%s exists already", to)
	}
	db, err := open(from, false, 1, readerCacheKibibyte)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, "VACUUM INTO $1", to)
	return errors.Join(err, db.Close())
}

// Close waits for the commits in the queue and closes the file.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.stop)
		<-s.done
		err = errors.Join(s.writer.Close(), s.read.Close(), s.feed.Close())
	})
	return err
}

var errClosed = fault.Unavailable("store_closed", time.Second, nil, "The service is shutting down. Try again.")

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
