package sqldb

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// Reader reads: through a pool of connections, or all of one moment. What the engine could
// not do is a fault of kind unavailable.
type Reader struct {
	from    querier
	dialect dialect
}

// Rows are those of a read.
type Rows struct {
	*sql.Rows
	dialect dialect
}

// Err returns why there are no more rows, when that is not the end.
func (r *Rows) Err() error { return r.dialect.explain(r.Rows.Err()) }

// Query runs a query. The rows must be closed.
func (r Reader) Query(ctx context.Context, query string, args ...any) (*Rows, error) {
	rows, err := r.from.QueryContext(ctx, query, args...) //nolint:sqlclosecheck,rowserrcheck // the caller's
	if err != nil {
		return nil, r.dialect.explain(err)
	}
	return &Rows{rows, r.dialect}, nil
}

// QueryRow runs a query of one row; its Scan returns sql.ErrNoRows when there is none.
func (r Reader) QueryRow(ctx context.Context, query string, args ...any) Scanner {
	return readRow{r.from.QueryRowContext(ctx, query, args...), func() {}, r.dialect}
}

// Each visits the rows of a query, until visit fails.
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

// readRow ends its context when it was scanned.
type readRow struct {
	row     *sql.Row
	end     context.CancelFunc
	dialect dialect
}

func (r readRow) Scan(dest ...any) error {
	defer r.end()
	return r.dialect.explain(r.row.Scan(dest...))
}

// Lookup is QueryRow by key: the statement is prepared once, and the read does not end
// with ctx, since it is too short to be worth canceling.
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

// Moment returns a reader whose reads all see the same moment. The function ends it.
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

// Where collects conditions with numbered parameters.
type Where struct {
	Args       []any
	conditions []string
}

// Add adds a condition; each ? in it is one of the arguments.
func (w *Where) Add(condition string, args ...any) {
	for _, a := range args {
		w.Args = append(w.Args, a)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(w.Args)), 1)
	}
	w.conditions = append(w.conditions, condition)
}

// AddIf is Add when yes is true.
func (w *Where) AddIf(yes bool, condition string, args ...any) {
	if yes {
		w.Add(condition, args...)
	}
}

// SQL is the WHERE clause.
func (w *Where) SQL() string { return " WHERE " + strings.Join(w.conditions, " AND ") }

// Values are n rows of so many parameters each.
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

// Params are n parameters, from a number on.
func Params(from, n int) string {
	all := make([]string, n)
	for i := range all {
		all[i] = "$" + strconv.Itoa(from+i)
	}
	return strings.Join(all, ",")
}
