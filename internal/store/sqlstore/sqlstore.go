// Package sqlstore keeps everything in SQL: users, keys, links, payments with
// their logs, the change feed and the notifier's endpoints. It is the only
// package that knows SQL. The text is written in the subset that SQLite and
// PostgreSQL share: $n parameters, RETURNING, ON CONFLICT; times are BIGINT
// microseconds, ids and JSON are TEXT. What differs is behind dialect.
//
// Writers group the commits that wait into one transaction and one fsync; when one
// fails, the group runs again with a savepoint for each, so the bad one fails
// alone. Nobody is answered before the fsync. Readers use connections of their own
// beside them. On SQLite there is one writer, in the only process that has the
// file. On PostgreSQL each process has several, and a commit goes to the one of its
// account; what processes do to one account is ordered by a lock of the account.
package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/obs"
	"github.com/paylink/paylink/internal/testclock"
)

// Bounds of the writers.
const (
	queueLength  = 4096                 // commits that wait
	busyGroup    = 4                    // commits in a group from which on a writer waits for more
	gatherMoment = 2 * time.Millisecond // the longest it waits
)

// Store implements the store contracts of the domain packages.
type Store struct {
	dialect  dialect
	writer   *sql.DB
	read     reader  // a pool, or a snapshot's transaction
	pool     *sql.DB // behind read; nil in a snapshot
	feed     *sql.DB // the consumers' reads, so that they never take a request's place
	writers  []*writer
	stop     chan struct{}
	once     sync.Once
	close    func() error
	wake     *broadcast
	recent   *recent // of the feed; nil where other processes write, or nobody does
	keys     cache[merchant.Key]
	accounts cache[merchant.Account]
	links    cache[link.Link]
	stmts    sync.Map // query to *sql.Stmt of the readers
	clocks   testclock.Set
	heldSeen atomic.Int64 // microseconds: when held links were last looked through
	writes   *obs.Writes
	lanes    laneCursor
	log      *slog.Logger
}

// Open opens the store: sqlite:PATH, a file that is created if need be, or
// postgres://…, a database. The schema must be current: call Migrate first.
func Open(ctx context.Context, url string) (*Store, error) {
	d, err := dialectOf(url)
	if err != nil {
		return nil, err
	}
	return openStore(ctx, d)
}

func openStore(ctx context.Context, d dialect) (*Store, error) {
	s := newStore(d)
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
	}{{&s.writer, false, n.writers}, {&s.pool, true, n.read}, {&s.feed, true, n.feed}} {
		db, err := d.open(pool.readOnly, pool.connections)
		if err != nil {
			return nil, errors.Join(err, closeAll())
		}
		opened, *pool.db = append(opened, db), db
		if !pool.readOnly { // the first: it makes a file that is not there
			if err := checkSchema(ctx, d, db); err != nil {
				return nil, errors.Join(err, closeAll())
			}
		}
	}
	if err := d.opened(ctx, s.writer); err != nil {
		return nil, errors.Join(err, closeAll())
	}
	s.read = s.pool
	stopBackground := d.background()
	for range n.writers {
		w := newWriter(s)
		s.writers = append(s.writers, w)
		go w.run()
	}
	if d.cached() {
		s.recent = &recent{}
	}
	s.close = func() error {
		for _, w := range s.writers {
			<-w.done
		}
		stopBackground()
		return closeAll()
	}
	return s, nil
}

// OpenSQLite opens a database file.
func OpenSQLite(path string) (*Store, error) { return Open(context.Background(), "sqlite:"+path) }

// LogTo says where the store tells of what its consumers pass over.
func (s *Store) LogTo(log *slog.Logger) { s.log = log }

func newStore(d dialect) *Store {
	s := &Store{log: slog.New(slog.DiscardHandler), dialect: d, stop: make(chan struct{}), wake: newBroadcast(), writes: obs.NewWrites(time.Now)}
	s.keys.off, s.accounts.off, s.links.off = !d.cached(), !d.cached(), !d.cached()
	return s
}

// Ping answers whether the store can be read; for readiness.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.dialect.explain(s.read.QueryRowContext(ctx, "SELECT 1").Scan(&one))
}

// heartbeat is the consumer whose checkpoint is written to try whether the store takes
// changes: one row, which nobody reads.
const heartbeat = "readiness"

// Writable answers whether the store takes changes; for readiness. It writes at most
// once a second, and nothing while real changes are confirmed.
func (s *Store) Writable(ctx context.Context) error {
	return s.writes.Ready(ctx, func(ctx context.Context) error {
		return s.submit(ctx, &commit{probe: true, result: make(chan error, 1), fn: func(t *tx) error {
			_, err := t.exec(`INSERT INTO checkpoints (consumer, position) VALUES ($1, 1)
				ON CONFLICT (consumer) DO UPDATE SET position = checkpoints.position + 1`, heartbeat)
			return err
		}})
	})
}

// Writes returns what is known of the store's changes; for metrics.
func (s *Store) Writes() *obs.Writes { return s.writes }

// Close waits for the commits in the queue and closes the connections.
func (s *Store) Close() error {
	var err error
	s.once.Do(func() {
		close(s.stop)
		err = s.close()
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
