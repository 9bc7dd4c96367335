package sqlstore

import (
	"context"
	"database/sql"
	"strconv"
	"strings"
)

// where collects conditions with numbered parameters.
type where struct {
	conditions []string
	args       []any
}

func (w *where) add(condition string, args ...any) {
	for _, a := range args {
		w.args = append(w.args, a)
		condition = strings.Replace(condition, "?", "$"+strconv.Itoa(len(w.args)), 1)
	}
	w.conditions = append(w.conditions, condition)
}

func (w *where) addIf(yes bool, condition string, args ...any) {
	if yes {
		w.add(condition, args...)
	}
}

func (w *where) sql() string { return " WHERE " + strings.Join(w.conditions, " AND ") }

// queryRow runs a read of one row through a prepared statement.
func (s *Store) queryRow(ctx context.Context, query string, args ...any) rowScanner {
	st, err := s.prepared(query) //nolint:sqlclosecheck // kept for the next call
	if err != nil {
		return failedRow{s.dialect.explain(err)}
	}
	ctx, end := s.dialect.keyed(ctx)
	return readRow{st.QueryRowContext(ctx, args...), end, s.dialect}
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

// prepared gives the reader's statement for a query, prepared once.
func (s *Store) prepared(query string) (*sql.Stmt, error) {
	if st, ok := s.stmts.Load(query); ok {
		return st.(*sql.Stmt), nil
	}
	ctx, end := s.dialect.keyed(context.Background())
	defer end()
	st, err := s.read.PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	if old, raced := s.stmts.LoadOrStore(query, st); raced {
		_ = st.Close() //nolint:sqlclosecheck // the other one is kept
		return old.(*sql.Stmt), nil
	}
	return st, nil
}

// rows are those of a read; their errors are explained.
type rows struct {
	*sql.Rows
	dialect dialect
}

// Err is why there are no more rows, when that is not the end.
func (r *rows) Err() error { return r.dialect.explain(r.Rows.Err()) }

func (s *Store) query(ctx context.Context, from reader, query string, args ...any) (*rows, error) {
	r, err := from.QueryContext(ctx, query, args...) //nolint:sqlclosecheck,rowserrcheck // the caller's
	if err != nil {
		return nil, s.dialect.explain(err)
	}
	return &rows{r, s.dialect}, nil
}

// moment gives a reader whose reads all see the same moment.
func (s *Store) moment(ctx context.Context) (reader, func(), error) {
	if s.pool == nil { // a snapshot is that already
		return s.read, func() {}, nil
	}
	tx, err := s.pool.BeginTx(ctx, s.dialect.moment())
	if err != nil {
		return nil, nil, s.dialect.explain(err)
	}
	return tx, func() { _ = tx.Rollback() }, nil
}
