package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"

	"github.com/paylink/paylink/internal/fault"
	pg "github.com/paylink/paylink/internal/postgres"
)

// Limits of PostgreSQL, per process unless stated otherwise.
const (
	postgresWriters = 8
	postgresReaders = 8
	postgresFollow  = 12 // one for each consumer, and for the metrics
	fewReaders      = 4  // for derived data
	postgresGroup   = 64
	postgresPoll    = 150 * time.Millisecond
	keyedTimeout    = 10 * time.Second // of a read of one row
	groupTimeout    = 15 * time.Second // of a group with all its tries
	groupTries      = 8
	groupPause      = 5 * time.Millisecond // before the second try; doubled for each further one, with jitter
	claimEvery      = time.Second          // delay before a consumer takes over from one that died
	releaseTimeout  = 2 * time.Second
	connectionLife  = time.Hour // readers reconnect, so that they spread again after a failover
	// Classes of our advisory locks.
	accountLocks  = 0x706c_0001
	consumerLocks = 0x706c_0002
)

// writerSettings are the settings of the connections that write. The server ends a transaction
// that stalls between two statements before others give up waiting for its locks.
var writerSettings = map[string]string{
	"lock_timeout":                        "10s",
	"idle_in_transaction_session_timeout": "8s",
}

// postgres is the dialect of a PostgreSQL database, which several processes may share.
type postgres struct {
	config *pgx.ConnConfig
	schema Schema
	few    bool // few connections: a source of derived data
}

// name implements dialect: host and database, without a password.
func (p postgres) name() string { return pg.Name(p.config) }

// pools implements dialect. Connections of readers serve requests; a consumer holds one of its own
// for as long as it works.
func (p postgres) pools() pools {
	if p.few {
		return pools{read: fewReaders, consumers: 1, writers: 1, group: 1}
	}
	return pools{read: postgresReaders, consumers: postgresFollow, writers: postgresWriters, group: postgresGroup}
}

// open implements dialect. Every new connection is checked (postgres.Check), so a server that would
// lose acknowledged commits is refused, also after a failover.
func (p postgres) open(readOnly bool, connections int) (*sql.DB, error) {
	config := p.config.Copy()
	if readOnly {
		config.RuntimeParams["default_transaction_read_only"] = "on"
	} else {
		for name, value := range writerSettings {
			config.RuntimeParams[name] = value
		}
	}

	db := stdlib.OpenDB(*config, stdlib.OptionAfterConnect(pg.Check))
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections)
	if readOnly {
		db.SetConnMaxLifetime(connectionLife)
	}
	return db, nil
}

// provider implements dialect.
func (p postgres) provider(db *sql.DB) (*goose.Provider, error) { return p.schema.postgres(db) }

// begin locks the accounts in sorted order, the same in every process, so no two groups deadlock
// on an account. It takes the locks before the transaction has an id. Per account, transaction
// ids, and with them positions, therefore rise in commit order.
func (p postgres) begin(t *Tx, accounts []string) error {
	statements := "BEGIN"

	if len(accounts) > 0 {
		var keys []int32
		for _, a := range accounts {
			keys = append(keys, lockKey(a))
		}
		slices.Sort(keys)
		var list strings.Builder
		for i, k := range slices.Compact(keys) {
			if i > 0 {
				list.WriteByte(',')
			}
			list.WriteString(strconv.Itoa(int(k)))
		}
		statements += fmt.Sprintf("; SELECT pg_advisory_xact_lock(%d, k) FROM unnest('{%s}'::int[]) AS k", accountLocks, list.String())
	}

	_, err := t.conn.ExecContext(t.ctx, statements)
	return err
}

// lockKey returns the key of an advisory lock. Names that share a key only wait for each other.
func lockKey(name string) int32 {
	h := fnv.New32a()
	_, _ = io.WriteString(h, name)
	return int32(h.Sum32())
}

// commit checks the server's answer. For the COMMIT of a transaction in which a statement failed,
// the server answers ROLLBACK without an error. Once the COMMIT may have been sent, only that
// answer proves a rollback; the driver's "safe to retry" does not.
func (p postgres) commit(t *Tx) error {
	var tag pgconn.CommandTag
	sent := false
	err := t.conn.Raw(func(c any) (err error) {
		conn := c.(*stdlib.Conn).Conn()
		if conn.IsClosed() {
			return driver.ErrBadConn
		}
		sent = true
		tag, err = conn.Exec(t.ctx, "COMMIT")
		return err
	})

	switch {
	case err == nil && tag.String() != "COMMIT":
		return errors.New("the transaction was rolled back: one of its statements had failed")
	case err == nil || !sent || sqlClass(err) == "40":
		return err
	}

	return outcomeUnknown{err}
}

// rollback implements dialect. A connection whose ROLLBACK failed must not be used again.
func (p postgres) rollback(t *Tx) bool {
	_, err := t.conn.ExecContext(t.ctx, "ROLLBACK")
	return err == nil // otherwise a BEGIN might continue the old transaction
}

// group implements dialect: the time of a group with all its tries.
func (p postgres) group() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), groupTimeout)
}

// sqlState returns the server's code of an error, or "" if the server sent none.
func sqlState(err error) string {
	var e *pgconn.PgError
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}

// sqlClass returns the first two characters of the code, which name its class.
func sqlClass(err error) string { return sqlState(err)[:min(2, len(sqlState(err)))] }

// again implements dialect. Serialization failures, deadlocks and locks that were not granted in
// time are worth another try, and so is a lost connection, unless it was lost during the COMMIT.
func (p postgres) again(err error) (yes, lost bool) {
	var unknown outcomeUnknown
	if errors.As(err, &unknown) {
		return false, true
	}
	if p.lost(err) {
		return true, true
	}
	// Serialization failure, deadlock, or a lock not granted in time.
	return sqlClass(err) == "40" || sqlState(err) == "55P03", false
}

// lost reports whether the connection can no longer be used. An error without a code comes from the
// driver or the network.
func (p postgres) lost(err error) bool {
	var connect *pgconn.ConnectError // refused, too many connections, starting up
	if errors.As(err, &connect) {
		return true
	}
	switch sqlState(err) {
	case "57014": // a statement was canceled by the server
		return false
	case "25006", "25P03", "25P04": // now a standby; ended in the middle of a transaction
		return true
	}
	switch sqlClass(err) {
	case "08", "57": // connection failure; operator intervention (shutting down, starting up, terminated)
		return true
	case "":
		var network net.Error
		return errors.As(err, &network) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) ||
			errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || pgconn.SafeToRetry(err) || pgconn.Timeout(err)
	}

	return false
}

// explain returns a retryable fault if the server lacked a connection, disk space, memory or time.
// Errors that are faults already, and those of a broken rule, are returned unchanged.
func (p postgres) explain(err error) error {
	var known *fault.Error
	if err == nil || errors.As(err, &known) {
		return err
	}

	if yes, lost := p.again(err); yes || lost {
		return notReadable(err)
	}
	if sqlState(err) == "42501" { // the role lost its right to write, which may be restored without a restart
		return notDurable(err)
	}
	if c := sqlClass(err); c == "53" || c == "57" || c == "58" {
		return notReadable(err)
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return notReadable(err)
	}
	return err
}

// What only SQLite needs does nothing here.
func (p postgres) idle(*Tx)                  {}
func (p postgres) background() (stop func()) { return func() {} }
func (p postgres) poll() time.Duration       { return postgresPoll }
func (p postgres) shared() bool              { return true }

// moment implements dialect: a repeatable read sees one moment.
func (p postgres) moment() *sql.TxOptions {
	return &sql.TxOptions{Isolation: sql.LevelRepeatableRead, ReadOnly: true}
}

// keyed returns a context that the caller cannot cancel, because canceling would cost the
// connection.
func (p postgres) keyed(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), keyedTimeout)
}

// claim holds an advisory lock in a session of its own, through which the feed is read. The
// server releases the lock when the session ends, for whatever reason.
func (p postgres) claim(ctx context.Context, pool *sql.DB, name string) (querier, func(), error) {
	conn, err := pool.Conn(ctx)
	if err != nil {
		return nil, nil, err
	}

	for {
		var mine bool
		if err := conn.QueryRowContext(ctx, "SELECT pg_try_advisory_lock($1, $2)", consumerLocks, lockKey(name)).Scan(&mine); err != nil {
			return nil, nil, errors.Join(err, discard(conn))
		}
		if mine {
			return conn, func() { release(ctx, conn, name) }, nil
		}

		wait := time.NewTimer(claimEvery/2 + rand.N(claimEvery/2))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil, nil, errors.Join(ctx.Err(), conn.Close())
		case <-wait.C:
		}
	}
}

// release gives up a claim and returns the connection to its pool. If the lock cannot be released,
// the session ends, and the lock with it.
func release(ctx context.Context, conn *sql.Conn, name string) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), releaseTimeout)
	defer cancel()

	var held bool
	err := conn.QueryRowContext(ctx, "SELECT pg_advisory_unlock($1, $2)", consumerLocks, lockKey(name)).Scan(&held)
	if err != nil || !held {
		_ = discard(conn)
		return
	}
	_ = conn.Close()
}

// discard closes the session instead of returning it to the pool.
func discard(conn *sql.Conn) error {
	err := conn.Raw(func(any) error { return driver.ErrBadConn })
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) {
		return nil
	}
	return err
}

// intact reports what the server already knows: pages with a failed checksum and invalid indexes.
// It reads no data; amcheck and pg_checksums do a full check.
func (p postgres) intact(ctx context.Context, r Reader) (found []string, err error) {
	var failures int64
	err = r.QueryRow(
		ctx,
		"SELECT COALESCE((SELECT checksum_failures FROM pg_stat_database WHERE datname = current_database()), 0)",
	).Scan(
		&failures,
	)
	if err != nil {
		return nil, err
	}

	if failures > 0 {
		found = append(found, fmt.Sprintf("%d pages failed their checksum", failures))
	}

	err = r.Each(ctx, func(row Scanner) error {
		var name string
		err := row.Scan(&name)
		found = append(found, "the index "+name+" is not valid")
		return err
	}, `SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
		WHERE NOT i.indisvalid AND pg_table_is_visible(c.oid) ORDER BY 1`)
	return found, err
}
