package webhook

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"

	"github.com/paylink/paylink/internal/postgres"
)

// Limits of the database.
const (
	connections   = 8                      // of a process
	listenPoll    = time.Second            // the server announces new jobs; this finds what was missed
	recoverEvery  = 5 * time.Second        // for tries of processes that died
	reconnect     = 500 * time.Millisecond // after the session that shows our life was lost
	sessionCheck  = 5 * time.Second        // timeout of one search for abandoned tries
	migrationLock = 1
	// Classes of our advisory locks; the store has others.
	livesLocks     = 0x706c_0003
	migrationLocks = 0x706c_0004
)

// database keeps the jobs of all processes. Each process shows that it is alive by a lock of a
// session, whose number is in its name as a River client. The server releases the lock when the
// process dies, in whatever way.
type database struct {
	pool   *pgxpool.Pool
	life   int32
	grace  time.Duration
	logger *slog.Logger
}

// newDatabase returns the queue of a database. It makes no connection yet; the first use
// does, and checks the server's version.
func newDatabase(ctx context.Context, c Config) (*database, error) {
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, err
	}
	if config.ConnConfig, err = postgres.Parse(c.URL); err != nil {
		return nil, err
	}
	config.AfterConnect = postgres.Check
	config.MaxConns = connections
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, err
	}
	return &database{pool: pool, life: rand.Int32(), grace: c.Timeout, logger: c.Logger}, nil
}

// migrate lets one process at a time migrate, by an advisory lock. The lock is released
// even if ctx has ended.
func (d *database) migrate(ctx context.Context, logger *slog.Logger) error {
	return d.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1, $2)", migrationLocks, migrationLock); err != nil {
			return err
		}
		migrator, err := rivermigrate.New(riverpgxv5.New(d.pool), &rivermigrate.Config{Logger: logger})
		if err == nil {
			_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
		}
		_, unlock := conn.Exec(context.WithoutCancel(ctx), "SELECT pg_advisory_unlock($1, $2)", migrationLocks, migrationLock)
		return errors.Join(err, unlock)
	})
}

// client returns River's client under the name from which others see whether this process
// lives.
func (d *database) client(c *river.Config) (riverClient, error) {
	c.ID = fmt.Sprintf("paylink-%d", d.life)
	c.FetchPollInterval = listenPoll
	return river.NewClient(riverpgxv5.New(d.pool), c)
}

// heartbeat holds the lock on a session of its own. If that is lost, it opens another one; a
// running try is not treated as abandoned before its time is up anyway.
func (d *database) heartbeat(ctx context.Context, ready func()) error {
	for {
		err := d.pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error { return d.hold(ctx, conn, ready) })
		if ctx.Err() != nil {
			return nil
		}
		d.logger.WarnContext(ctx, "webhook: the session of this process's heartbeat was lost", "error", err)
		pause := time.NewTimer(reconnect)
		select {
		case <-ctx.Done():
		case <-pause.C:
		}
		pause.Stop()
	}
}

// abandoned tries are those of a process whose lock nobody holds.
const abandoned = `UPDATE river_job SET state = 'available', attempt = greatest(attempt - 1, 0)
	WHERE state = 'running' AND attempted_at < now() - make_interval(secs => $2) AND NOT EXISTS (
		SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 2 AND classid::bigint = $1
			AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
			AND objid::bigint = substring(attempted_by[cardinality(attempted_by)] FROM '^paylink-([0-9]+)$')::bigint)`

// hold takes the lock on the session, and then looks for abandoned tries until the session
// fails or ctx ends. Closing the connection releases the lock.
func (d *database) hold(ctx context.Context, conn *pgxpool.Conn, ready func()) error {
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1, $2)", livesLocks, d.life); err != nil {
		return err
	}
	defer func() { _ = conn.Conn().Close(context.WithoutCancel(ctx)) }() // and with it the lock
	tick := time.NewTicker(recoverEvery)
	defer tick.Stop()
	for {
		look, end := context.WithTimeout(ctx, sessionCheck)
		_, err := conn.Exec(look, abandoned, int64(livesLocks), d.grace.Seconds())
		end()
		if err != nil {
			return err
		}
		ready()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// advanceDatabase moves due times of test deliveries, and makes those that are due
// available.
const advanceDatabase = `UPDATE river_job SET scheduled_at = scheduled_at - make_interval(secs => $1),
	state = CASE WHEN scheduled_at - make_interval(secs => $1) <= now() THEN 'available' ELSE state END
	WHERE kind = 'webhook' AND state IN ('retryable', 'scheduled') AND args->>'account' = $2 AND args->>'mode' = 'test'`

// advance implements engine.
func (d *database) advance(ctx context.Context, account string, by time.Duration) error {
	_, err := d.pool.Exec(ctx, advanceDatabase, by.Seconds(), account)
	return err
}

// crowdDatabase leaves out what another process has just taken.
const crowdDatabase = `UPDATE river_job SET queue = 'crowded' WHERE id IN (
	SELECT id FROM river_job WHERE queue = 'default' AND kind = 'webhook'
		AND state IN ('available', 'retryable', 'scheduled') AND args->>'endpoint' = $1 FOR UPDATE SKIP LOCKED)`

// crowd implements engine.
func (d *database) crowd(ctx context.Context, endpoint string) error {
	_, err := d.pool.Exec(ctx, crowdDatabase, endpoint)
	return err
}

// close implements engine. Jobs in progress fail; Run has returned before.
func (d *database) close() error {
	d.pool.Close()
	return nil
}
