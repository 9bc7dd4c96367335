// Package postgres configures connections to PostgreSQL for every package that stores data there.
//
// A connection that it configures keeps the store's promise: what was acknowledged is on the
// server's disk. It refuses a server that runs without fsync, is too old, or is a standby. A
// session whose commits would not wait for the disk is set to wait.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Limits of a connection and of the server. minVersion is 15 as server_version_num has it.
const (
	// ConnectTimeout applies to one server, unless the URL sets another.
	ConnectTimeout = 5 * time.Second
	minVersion     = 150000
)

// settings of every session, unless the URL sets others. A server that lost its client releases
// the client's locks within a minute.
var settings = map[string]string{
	"application_name":              "paylink",
	"timezone":                      "UTC",
	"default_transaction_isolation": "read committed",
	"tcp_keepalives_idle":           "30",
	"tcp_keepalives_interval":       "10",
	"tcp_keepalives_count":          "3",
}

// Is reports whether a store's URL names PostgreSQL.
func Is(url string) bool {
	return strings.HasPrefix(url, "postgres://") || strings.HasPrefix(url, "postgresql://")
}

// Parse parses the URL. Its errors contain no password.
func Parse(url string) (*pgx.ConnConfig, error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return nil, err
	}

	complete(config)
	return config, nil
}

// complete adds our settings and the condition on the server to a parsed URL. Settings of the URL
// come first.
func complete(config *pgx.ConnConfig) {
	params := maps.Clone(settings)
	maps.Copy(params, config.RuntimeParams)
	config.RuntimeParams = params
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = ConnectTimeout
	}
	// Of several hosts, use the primary: a standby lags, and after a failover the old primary
	// must not be written to.
	config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
}

// Name returns the database's name, without user and password.
func Name(config *pgx.ConnConfig) string {
	return fmt.Sprintf("postgres://%s/%s", net.JoinHostPort(config.Host, strconv.Itoa(int(config.Port))), config.Database)
}

// Run runs statements without arguments, in one transaction, on a connection of its own.
func Run(ctx context.Context, url, statements string) (err error) {
	config, err := Parse(url)
	if err != nil {
		return err
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, conn.Close(context.WithoutCancel(ctx))) }()
	if err := Check(ctx, conn); err != nil {
		return err
	}
	_, err = conn.PgConn().Exec(ctx, statements).ReadAll()
	return err
}

// Check verifies the server and the session. Call it with each new connection. It returns an error
// for a server that is too old or runs without fsync, and sets a session whose commits would not
// wait for the disk to wait.
func Check(ctx context.Context, conn *pgx.Conn) error {
	var version int
	var fsync, synchronous string
	err := conn.QueryRow(
		ctx,
		"SELECT current_setting('server_version_num')::int, current_setting('fsync'), current_setting('synchronous_commit')",
	).
		Scan(
			&version,
			&fsync,
			&synchronous,
		)

	switch {
	case err != nil:
		return err
	case version < minVersion:
		return fmt.Errorf("PostgreSQL %d or later is required; the server is %d", minVersion/10000, version/10000)
	case fsync != "on":
		return errors.New("the PostgreSQL server runs with fsync=off and would lose acknowledged payments in a crash: turn fsync on")
	case synchronous == "off" || synchronous == "local":
		_, err = conn.Exec(ctx, "SET synchronous_commit = on")
	}
	return err
}
