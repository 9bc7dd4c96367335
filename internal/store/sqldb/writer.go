package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// commit is one caller's transaction that waits to be grouped.
type commit struct {
	accounts []string // accounts whose events it may write; the first selects the writer
	fn       func(*Tx) error
	probe    bool // a readiness probe: its outcome says nothing about real changes
	result   chan error
}

// Tx is the transaction that a commit's function receives. Statements are prepared once per
// connection. The function may run several times, so its effects must depend on its arguments
// alone.
type Tx struct {
	// Placed counts the events that functions numbered in this transaction. It starts at 0.
	Placed int64

	ctx     context.Context // of the group: one caller must not interrupt a commit halfway
	dialect dialect
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	locked  []string // sorted accounts
	after   []func() // run once everything is durable
	ended   []func() // run once the transaction has ended, in whatever way
	changed bool     // a row changed, so the commit proves that the database accepts writes
}

// Shared reports whether other processes may change rows too.
func (t *Tx) Shared() bool { return t.dialect.shared() }

// Context returns the context of all the group's statements.
func (t *Tx) Context() context.Context { return t.ctx }

// Declared reports whether the transaction's commits declared the account.
func (t *Tx) Declared(account string) bool {
	_, ok := slices.BinarySearch(t.locked, account)
	return ok
}

// OnCommit registers f to run once the transaction is durable, before any caller is answered. The
// functions of one writer's transactions run in commit order. If nothing is kept, f is dropped.
func (t *Tx) OnCommit(f func()) { t.after = append(t.after, f) }

// OnEnd registers f to run once the transaction has ended, before any caller is answered: also if
// nothing was kept, or the outcome is unknown. A group that runs again registers f again.
func (t *Tx) OnEnd(f func()) { t.ended = append(t.ended, f) }

// prepare returns the connection's statement for a query, prepared once. The number of different
// queries is small, so they stay open until the connection ends.
func (t *Tx) prepare(query string) (*sql.Stmt, error) {
	if st, ok := t.stmts[query]; ok {
		return st, nil
	}
	st, err := t.conn.PrepareContext(t.ctx, query)
	if err != nil {
		return nil, fmt.Errorf("prepare: %w", err)
	}
	t.stmts[query] = st
	return st, nil
}

// Exec runs a statement and returns the number of rows changed. Values are passed as parameters.
func (t *Tx) Exec(query string, args ...any) (int64, error) {
	st, err := t.prepare(query) //nolint:sqlclosecheck // kept for the next commit
	if err != nil {
		return 0, err
	}
	res, err := st.ExecContext(t.ctx, args...)
	if err != nil {
		return 0, err
	}

	n, err := res.RowsAffected()
	switch query[0] {
	case 'I', 'U', 'D': // INSERT, UPDATE, DELETE: after other statements SQLite reports the previous statement's count
		t.changed = t.changed || n > 0
	}

	return n, err
}

// Insert runs a statement and returns the last row's id, or 0 if the database is shared.
func (t *Tx) Insert(query string, args ...any) (int64, error) {
	st, err := t.prepare(query) //nolint:sqlclosecheck // kept for the next commit
	if err != nil {
		return 0, err
	}

	res, err := st.ExecContext(t.ctx, args...)
	t.changed = t.changed || err == nil
	if err != nil || t.dialect.shared() {
		return 0, err
	}
	return res.LastInsertId()
}

// Row runs a query that returns at most one row.
func (t *Tx) Row(query string, args ...any) Scanner {
	st, err := t.prepare(query) //nolint:sqlclosecheck // kept for the next commit
	if err != nil {
		return failedRow{err}
	}
	return st.QueryRowContext(t.ctx, args...)
}

// Each calls visit for each row of a query, and stops at the first error. visit must not run
// statements of the same transaction on PostgreSQL, where a connection has one result at a time.
func (t *Tx) Each(visit func(Scanner) error, query string, args ...any) error {
	st, err := t.prepare(query) //nolint:sqlclosecheck // kept for the next commit
	if err != nil {
		return err
	}
	rows, err := st.QueryContext(t.ctx, args...)
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

// Scanner is a row. Scan returns sql.ErrNoRows if there is none.
type Scanner interface{ Scan(dest ...any) error }

// failedRow is the row of a query that could not be prepared.
type failedRow struct{ err error }

// Scan implements Scanner.
func (f failedRow) Scan(...any) error { return f.err }

// Write runs fn in a transaction and returns when it is durable or when nothing of it was kept.
// The accounts are those whose events fn may write, and their commits are ordered. If ctx ends
// first, or the error is a fault of kind Unavailable, the outcome is unknown to the caller.
func (db *DB) Write(ctx context.Context, accounts []string, fn func(t *Tx) error) error {
	return db.submit(ctx, &commit{accounts: accounts, fn: fn, result: make(chan error, 1)})
}

// Probe is Write for readiness checks: its outcome says nothing about real changes.
func (db *DB) Probe(ctx context.Context, fn func(t *Tx) error) error {
	return db.submit(ctx, &commit{fn: fn, probe: true, result: make(chan error, 1)})
}

// submit queues a commit at its writer and waits for the result. The result is sent exactly once,
// so a caller that gives up loses only the answer, not the commit.
func (db *DB) submit(ctx context.Context, c *commit) error {
	if len(db.writers) == 0 { // a snapshot
		return errClosed
	}

	w := db.writerFor(c.accounts)
	select {
	case <-db.stop:
		return errClosed
	default:
	}

	select {
	case w.queue <- c:
	case <-db.stop:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}

	select {
	case err := <-c.result:
		return err
	case <-w.done: // the writer has ended, possibly right after answering
		select {
		case err := <-c.result:
			return err
		default:
			return errClosed
		}
	case <-ctx.Done():
		return ctx.Err()
	}
}

// WriteFor is Write for a function that returns a value. If ctx ends first, the zero value is
// returned, because fn may still be running.
func WriteFor[T any](ctx context.Context, db *DB, accounts []string, fn func(t *Tx) (T, error)) (T, error) {
	var result, none T
	err := db.Write(ctx, accounts, func(t *Tx) (err error) {
		result, err = fn(t)
		return err
	})
	if err != nil {
		return none, err
	}
	return result, nil
}

// writerFor sends an account's commits to one writer, so that a hot account is locked once per
// group.
func (db *DB) writerFor(accounts []string) *writer {
	if len(db.writers) == 1 {
		return db.writers[0]
	}
	if len(accounts) == 0 {
		return db.writers[rand.IntN(len(db.writers))]
	}
	return db.writers[uint32(lockKey(accounts[0]))%uint32(len(db.writers))]
}

// writer commits groups on its own connection. Only its goroutine uses tx.
type writer struct {
	db    *DB
	queue chan *commit
	done  chan struct{}
	tx    Tx // the current group's; conn is nil between groups
}

// newWriter returns a writer that does not run yet. The queue's length is divided among the
// writers.
func newWriter(db *DB) *writer {
	return &writer{
		db:    db,
		queue: make(chan *commit, queueLength/db.dialect.pools().writers),
		done:  make(chan struct{}),
		tx:    Tx{dialect: db.dialect},
	}
}

// run commits groups until the database closes and the queue is empty.
func (w *writer) run() {
	defer close(w.done)
	defer w.disconnect()
	most := w.db.dialect.pools().group
	group := make([]*commit, 0, most)
	previous := 0
	for {
		group = group[:0]
		select {
		case c := <-w.queue:
			group = append(group, c)
		case <-w.db.stop:
			select {
			case c := <-w.queue: // accepted commits are carried out
				group = append(group, c)
			default:
				return
			}
		}

		group = w.gather(group, previous, most)
		previous = len(group)
		w.runGroup(group)

		if w.tx.conn != nil {
			w.db.dialect.idle(&w.tx)
		}
	}
}

// gather collects the waiting commits. After a large group many callers are active, so it waits a
// moment for them: a group costs the same log pages and the same fsync whether it holds two
// commits or fifty.
func (w *writer) gather(group []*commit, previous, most int) []*commit {
	var moment <-chan time.Time
	if previous >= busyGroup {
		timer := time.NewTimer(gatherMoment)
		defer timer.Stop()
		moment = timer.C
	}
	for len(group) < most {
		select {
		case c := <-w.queue:
			group = append(group, c)
			continue
		default:
		}
		if moment == nil || len(group) >= previous+busyGroup {
			return group
		}
		select {
		case c := <-w.queue:
			group = append(group, c)
		case <-moment:
			return group
		case <-w.db.stop:
			return group
		}
	}

	return group
}

// runGroup commits the group in one transaction and answers every caller once it is durable.
// Commits seldom fail, so the group runs first without savepoints. If one fails by a rule,
// everything is rolled back and runs again with a savepoint for each, so the bad one fails alone.
// If the final commit fails (full disk, failed fsync, lost connection), every caller gets the
// error.
//
// Where several processes write, a conflict between them or a connection lost before the commit
// means that nothing was kept. The group then runs again, a limited number of times and with
// growing pauses. It does not run again after a connection was lost during the commit: each
// caller sends its change again, and the change is recognized.
func (w *writer) runGroup(group []*commit) {
	ctx, cancel := w.db.dialect.group()
	defer cancel()
	results := make([]error, len(group))
	savepoints, err := false, error(nil)

	for try := range groupTries {
		if try > 0 {
			pause := groupPause << try
			wait := time.NewTimer(pause/2 + rand.N(pause/2))
			<-wait.C
		}
		err = w.try(ctx, group, results, savepoints)
		if err != nil && !savepoints && len(group) > 1 && failedByRule(w.db.dialect, results) {
			savepoints = true
			err = w.try(ctx, group, results, savepoints)
		}

		yes, lost := w.db.dialect.again(err)
		if lost {
			w.disconnect()
		}
		if !yes || ctx.Err() != nil || (lost && w.stopping()) {
			break
		}
		clear(results) // nothing was kept: every commit runs again
	}

	for i, c := range group {
		var rule *fault.Error
		switch {
		case errors.As(results[i], &rule):
			c.result <- results[i]
			continue
		case results[i] != nil:
			results[i] = w.db.dialect.explain(results[i])
		case err != nil:
			results[i] = notDurable(err)
		case w.tx.changed && !c.probe:
			w.db.writes.Confirmed()
		}
		if results[i] != nil && !c.probe && fault.KindOf(results[i]) == fault.KindUnavailable {
			w.db.writes.Refused(results[i])
		}
		c.result <- results[i]
	}

	w.db.wake.signal()
}

// stopping reports whether the store is closing and must not wait for a server that is away.
func (w *writer) stopping() bool {
	select {
	case <-w.db.stop:
		return true
	default:
		return false
	}
}

// try runs the group once. The returned error concerns the whole group; results holds each
// commit's own.
func (w *writer) try(ctx context.Context, group []*commit, results []error, savepoints bool) error {
	if err := w.connect(ctx); err != nil {
		return err
	}
	var accounts []string
	for _, c := range group {
		accounts = append(accounts, c.accounts...)
	}

	slices.Sort(accounts)
	w.tx.locked = slices.Compact(accounts)

	judged := false
	// The first failure ends the group, unless savepoints isolate it.
	err := w.inTransaction(func(t *Tx) error {
		for i, c := range group {
			if savepoints {
				results[i] = inSavepoint(t, c.fn)
				if yes, lost := t.dialect.again(results[i]); !yes && !lost {
					continue
				}
			} else {
				results[i] = c.fn(t)
			}
			if results[i] != nil {
				return results[i]
			}
		}
		judged = true
		return nil
	})

	if err != nil && judged { // a refusal may rest on rows that are not kept now
		clear(results)
	}
	return err
}

// failedByRule reports whether a commit of the group failed by itself, so that the others may
// succeed without it.
func failedByRule(d dialect, results []error) bool {
	return slices.ContainsFunc(results, func(err error) bool {
		yes, lost := d.again(err)
		return err != nil && !yes && !lost
	})
}

// connect ensures that the writer has a connection, and sets the context of the group's statements.
// A failed connection is opened again by the next try.
func (w *writer) connect(ctx context.Context) error {
	w.tx.ctx = ctx
	if w.tx.conn != nil {
		return nil
	}
	conn, err := w.db.writer.Conn(ctx)
	if err != nil {
		return err
	}
	w.tx.conn, w.tx.stmts = conn, map[string]*sql.Stmt{}
	return nil
}

// disconnect closes the statements and the connection, if there is one.
func (w *writer) disconnect() {
	if w.tx.conn == nil {
		return
	}
	for _, st := range w.tx.stmts {
		_ = st.Close()
	}
	_ = w.tx.conn.Close()
	w.tx.conn, w.tx.stmts = nil, nil
}

// inTransaction runs body in a transaction and commits it. Functions registered by OnCommit run
// after the commit, and those registered by OnEnd in any case, before anyone is answered. After any
// error the transaction is rolled back; if even that fails, the connection is closed.
func (w *writer) inTransaction(body func(*Tx) error) error {
	t := &w.tx
	t.Placed, t.after, t.ended, t.changed = 0, nil, nil, false
	err := t.dialect.begin(t, t.locked)
	if err == nil {
		err = body(t)
	}
	if err == nil {
		err = t.dialect.commit(t)
	}

	if err == nil {
		for _, f := range t.after {
			f()
		}
	}

	if err != nil {
		if _, lost := t.dialect.again(err); !lost && !t.dialect.rollback(t) {
			w.disconnect()
		}
	}

	for _, f := range t.ended {
		f()
	}
	return err
}

// inSavepoint runs one commit of a group so that its failure undoes only its own changes. The error
// of a failed ROLLBACK TO or RELEASE is joined to its own.
func inSavepoint(t *Tx, fn func(*Tx) error) error {
	if _, err := t.Exec("SAVEPOINT one"); err != nil {
		return err
	}

	after, changed := len(t.after), t.changed
	err := fn(t)
	if err != nil {
		t.after, t.changed = t.after[:after], changed
		if _, back := t.Exec("ROLLBACK TO one"); back != nil {
			return errors.Join(err, back)
		}
	}
	if _, release := t.Exec("RELEASE one"); release != nil {
		return errors.Join(err, release)
	}
	return err
}

// broadcast wakes all who wait for the next commit: each signal closes the channel that waiters
// hold, and the next waiters get a new one.
type broadcast struct {
	mu sync.Mutex
	ch chan struct{}
}

// newBroadcast returns a broadcast without waiters.
func newBroadcast() *broadcast { return &broadcast{ch: make(chan struct{})} }

// wait returns the channel that the next signal closes.
func (b *broadcast) wait() <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.ch
}

// signal wakes the present waiters.
func (b *broadcast) signal() {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(b.ch)
	b.ch = make(chan struct{})
}
