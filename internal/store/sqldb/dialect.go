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

// dialect holds the differences between the engines. Statements share one text except for the few
// expressions named here.
type dialect interface {
	// name returns the store's name, without a password.
	name() string
	// open returns a pool of connections, read-only or for reading and writing.
	open(readOnly bool, connections int) (*sql.DB, error)
	// pools returns the sizes of the connection pools.
	pools() pools
	// provider returns the migrations.
	provider(*sql.DB) (*goose.Provider, error)

	// begin starts a group's transaction. Where several processes write, it locks the group's
	// accounts before any other statement.
	begin(t *Tx, accounts []string) error
	// commit ends the transaction. An outcomeUnknown error means that it may be durable; after
	// any other error nothing was kept.
	commit(t *Tx) error
	// rollback ends the transaction without keeping anything, also after a failed commit. It
	// reports whether the connection can be used again.
	rollback(t *Tx) bool
	// group returns the context of a group's statements. It is independent of the callers,
	// because one caller must not interrupt a commit of the group halfway.
	group() (context.Context, context.CancelFunc)
	// again reports whether err means that nothing was kept and that the same group may succeed
	// on another try, and whether that try needs a new connection.
	again(error) (yes, lost bool)
	// explain turns an engine failure into a fault. Errors of a rule that a change broke are
	// returned unchanged.
	explain(error) error
	// idle is called between two groups.
	idle(t *Tx)
	// background starts what the writers need beside them, such as checkpoints of the WAL.
	background() (stop func())

	// claim waits until no other process works under the name. A successful read through the
	// returned querier proves that the claim still held.
	claim(ctx context.Context, pool *sql.DB, name string) (querier, func(), error)
	// poll returns the longest wait before looking for commits of other processes.
	poll() time.Duration
	// moment returns the options of a transaction whose reads all see one moment.
	moment() *sql.TxOptions
	// keyed returns the context for a read of one row.
	keyed(context.Context) (context.Context, context.CancelFunc)
	// shared reports whether other processes can change a row.
	shared() bool
	// intact asks the engine to check itself.
	intact(context.Context, Reader) ([]string, error)
}

// pools holds numbers of connections, the number of concurrent writers, and the most commits in a
// group.
type pools struct{ read, consumers, writers, group int }

// querier is a pool of connections or one transaction.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	PrepareContext(ctx context.Context, query string) (*sql.Stmt, error)
}

// NewSource selects the engine by the URL: sqlite:PATH for a file, postgres://… for a database.
// It returns an error for any other scheme.
func NewSource(url string, schema Schema) (Source, error) {
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok && path != "" {
		return Source{dialect: sqliteFile{path: path, schema: schema}}, nil
	}

	if pg.Is(url) {
		config, err := pg.Parse(url)
		return Source{dialect: postgres{config: config, schema: schema}}, err
	}

	scheme, _, _ := strings.Cut(url, ":") // the rest may contain a password
	return Source{}, fmt.Errorf("the store %q is not one of sqlite:PATH and postgres://…", scheme+":…")
}

// outcomeUnknown is the error of a commit whose answer was lost: it may be durable.
type outcomeUnknown struct{ cause error }

// Error returns what is known: that the commit was sent.
func (o outcomeUnknown) Error() string {
	return "the outcome of the commit is not known: " + o.cause.Error()
}

// Unwrap returns the error of the connection.
func (o outcomeUnknown) Unwrap() error { return o.cause }

// notDurable is the fault of a change that the engine could not make durable.
func notDurable(cause error) error {
	return fault.Unavailable("store_unavailable", time.Second, cause, "The change could not be made durable; retry.")
}

// notReadable is the fault of an engine that cannot be reached or is short of something.
func notReadable(cause error) error {
	return fault.Unavailable("store_unavailable", time.Second, cause, "The store is temporarily unavailable; retry.")
}
