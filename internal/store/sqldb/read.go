package sqldb

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// Reader reads from a pool of connections or from one moment. An engine failure is returned as a
// fault of kind Unavailable.
type Reader struct {
	from    querier
	dialect dialect
}

// Rows are the result of a query.
type Rows struct {
	*sql.Rows
	dialect dialect
}

// Err returns the error that ended the iteration early, or nil at the end of the rows.
func (r *Rows) Err() error { return r.dialect.explain(r.Rows.Err()) }

// Query runs a query. The caller must close the rows, and check Err at their end.
func (r Reader) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	rows, err := r.from.QueryContext(ctx, query, args...) //nolint:rowserrcheck // the caller's
	if err != nil {
		return nil, r.dialect.explain(err)
	}
	return &Rows{rows, r.dialect}, nil
}

// QueryRow runs a query for one row. Its Scan returns sql.ErrNoRows if there is none.
func (r Reader) QueryRow(ctx context.Context, query string, args ...any) Scanner {
	return readRow{r.from.QueryRowContext(ctx, query, args...), func() {}, r.dialect}
}

// Each calls visit for each row of a query and stops at the first error, which it returns.
func (r Reader) Each(ctx context.Context, visit func(Scanner) error, query string, args ...any) error {
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// readRow cancels its context once it is scanned.
type readRow struct {
	row     *sql.Row
	end     context.CancelFunc
	dialect dialect
}

// Scan implements Scanner. An engine failure is a fault of kind Unavailable.
func (r readRow) Scan(dest ...any) error {
	defer r.end()
	return r.dialect.explain(r.row.Scan(dest...))
}

// Lookup is QueryRow by key. The statement is prepared once. The read ignores the end of ctx,
// because it is too short to be worth canceling.
func (db *DB) Lookup(ctx context.Context, query string, args ...any) Scanner {
	st, err := db.prepared(query) //nolint:sqlclosecheck // kept for the next call
	if err != nil {
		return failedRow{db.dialect.explain(err)}
	}
	ctx, end := db.dialect.keyed(ctx)
	return readRow{st.QueryRowContext(ctx, args...), end, db.dialect}
}

// prepared returns the readers' statement for a query, prepared once.
func (db *DB) prepared(query string) (*sql.Stmt, error) {
	if st, ok := db.stmts.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	ctx, end := db.dialect.keyed(context.Background())
	defer end()
	st, err := db.from.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if old, raced := db.stmts.LoadOrStore(query, st); raced {
		_ = st.Close() //nolint:sqlclosecheck // the other one is kept
		return old.(*sql.Stmt), nil
	}
	return st, nil
}

// Moment returns a reader whose reads all see the same moment, and a function that ends it. It
// holds a connection until then. In a snapshot every read sees its moment anyway.
func (db *DB) Moment(ctx context.Context) (Reader, func(), error) {
	if db.IsSnapshot() {
		return db.Reader, func() {}, nil
	}
	tx, err := db.pool.BeginTx(ctx, db.dialect.moment())
	if err != nil {
		return Reader{}, nil, db.dialect.explain(err)
	}
	return Reader{tx, db.dialect}, func() { _ = tx.Rollback() }, nil
}

// Where collects the conditions of a query and numbers their parameters.
type Where struct {
	Args       []any
	conditions []string
}

// Add adds a condition. Each ? in it takes one of the arguments.
func (w *Where) Add(condition string, args ...any) {
	for _, a := range args {
		w.Args = append(w.Args, a)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(w.Args)), 1)
	}
	w.conditions = append(w.conditions, condition)
}

// AddIf calls Add if yes is true.
func (w *Where) AddIf(yes bool, condition string, args ...any) {
	if yes {
		w.Add(condition, args...)
	}
}

// SQL returns the WHERE clause. There must be at least one condition.
func (w *Where) SQL() string { return " WHERE " + strings.Join(w.conditions, " AND ") }

// Values returns the VALUES list for n rows of that many parameters.
func Values(n, fields int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString("(" + Params(i*fields+1, fields) + ")")
	}
	return b.String()
}

// Params returns n parameters, numbered from from.
func Params(from, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = "$" + strconv.Itoa(from+i)
	}
	return strings.Join(all, ",")
}
