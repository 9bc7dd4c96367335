package sqldb

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/paylink/paylink/internal/fault"
	pg "github.com/paylink/paylink/internal/postgres"
)

// dialect is what differs between the engines. The text of the statements does
// not, but for the few expressions named here.
type dialect interface {
	// name is the store's, without a password.
	name() string
	// open gives a pool of connections, for reading only or for all.
	open(readOnly bool, connections int) (*sql.DB, error)
	// pools says how many connections the pools have.
	pools() pools
	// provider gives the migrations.
	provider(*sql.DB) (*goose.Provider, error)

	// begin starts a group's transaction. Where several processes write it first
	// takes the locks of the group's accounts, before anything else is done.
	begin(t *Tx, accounts []string) error
	// commit ends it. An error that is outcomeUnknown says so; after any other
	// nothing was kept.
	commit(t *Tx) error
	// rollback ends it without keeping anything, also after a failed commit. It
	// reports whether the connection is as good as new.
	rollback(t *Tx) bool
	// group is the context of a group's statements: a commit in it must not be half
	// interrupted by one caller.
	group() (context.Context, context.CancelFunc)
	// again reports whether the error says that nothing was kept and that the same
	// group may succeed on another try, on a new connection if lost.
	again(error) (yes, lost bool)
	// explain turns what the engine could not do into a fault; rules that a change
	// broke pass as they are.
	explain(error) error
	// idle is called between two groups.
	idle(t *Tx)
	// background starts what the writers need beside them.
	background() (stop func())

	// claim waits until nobody else works under the name. A read through what it
	// returns that succeeds proves that the claim held.
	claim(ctx context.Context, pool *sql.DB, name string) (querier, func(), error)
	// poll is how long to wait at most before looking for what others committed.
	poll() time.Duration
	// moment is how a transaction is opened that reads one moment.
	moment() *sql.TxOptions
	// keyed is the context of a read of one row.
	keyed(context.Context) (context.Context, context.CancelFunc)
	// shared reports whether other processes can change a row.
	shared() bool
	// intact asks the engine to check itself.
	intact(context.Context, Reader) ([]string, error)
}

// pools are numbers of connections, and how many writers work at once on groups
// of so many commits.
type pools struct{ read, consumers, writers, group int }

// querier is a pool of connections or one transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// NewSource chooses the engine by the URL: sqlite:PATH, a file, or postgres://…, a
// database.
func NewSource(url string, schema Schema) (Source, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok && path != "" {
		return Source{dialect: sqliteFile{path: path, schema: schema}}, nil
	}
	if pg.Is(url) {
		config, err := pg.Parse(url)
		return Source{dialect: postgres{config: config, schema: schema}}, err
	}
	scheme, _, _ := strings.Cut(url, ":") // the rest may hold a password
	return Source{}, fmt.Errorf("the store %q is not one of sqlite:PATH and postgres://…", scheme+":…")
}

// outcomeUnknown is a commit whose answer was lost: it may be durable.
type outcomeUnknown struct{ cause error }

func (o outcomeUnknown) Error() string {
	return "the outcome of the commit is not known: " + o.cause.Error()
}
func (o outcomeUnknown) Unwrap() error { return o.cause }

func notDurable(cause error) error {
	return fault.Unavailable("store_unavailable", time.Second, cause, "The change could not be made durable. Try again.")
}

func notReadable(cause error) error {
	return fault.Unavailable("store_unavailable", time.Second, cause, "The store cannot be reached now. Try again.")
}
