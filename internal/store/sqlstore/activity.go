package sqlstore

import (
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/store/sqldb"
)

var _ activity.Store = (*Store)(nil)

// write runs fn in a transaction, as DB.Write does, and writes the pending events of ctx in it.
func (s *Store) write(ctx context.Context, accounts []string, fn func(*sqldb.Tx) error) error {
	pending := activity.Pending(ctx)
	if len(pending) == 0 {
		return s.db.Write(ctx, accounts, fn)
	}
	return s.db.Write(ctx, accounts, func(t *sqldb.Tx) error {
		if err := fn(t); err != nil {
			return err
		}
		return putActivity(t, pending)
	})
}

// Note implements activity.Store.
func (s *Store) Note(ctx context.Context) error {
	return s.write(ctx, nil, func(*sqldb.Tx) error { return nil })
}

// putActivity inserts events. One that exists stays, or counts on if it folds.
func putActivity(t *sqldb.Tx, list []activity.Event) error {
	for _, e := range list {
		doc, err := json.Marshal(e)
		if err != nil {
			return err
		}
		again := " ON CONFLICT DO NOTHING" // needs no right to read
		if e.Folds {
			again = " ON CONFLICT (id) DO UPDATE SET count = activity.count + excluded.count"
		}
		if _, err := t.Exec("INSERT INTO activity (id, account, at, kind, actor, target, count, doc) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"+
			again, e.ID, e.Account, sqldb.Micros(e.At), e.Kind, e.Actor.ID, e.Target, e.Count, string(doc)); err != nil {
			return err
		}
	}
	return nil
}

// Activity implements activity.Store.
func (s *Store) Activity(ctx context.Context, account string, f activity.Filter, limit int) ([]activity.Event, error) {
	where, args := []string{"account = $1"}, []any{account}
	add := func(condition string, value any) {
		args = append(args, value)
		where = append(where, strings.ReplaceAll(condition, "?", "$"+strconv.Itoa(len(args))))
	}
	for _, c := range []struct{ column, value string }{{"kind", f.Kind}, {"actor", f.By}, {"target", f.Target}} {
		if c.value != "" {
			add(c.column+" = ?", c.value)
		}
	}
	if !f.From.IsZero() {
		add("at >= ?", sqldb.Micros(f.From))
	}
	if !f.To.IsZero() {
		add("at < ?", sqldb.Micros(f.To))
	}
	if f.Before != "" {
		add("(at < (SELECT at FROM activity WHERE id = ?) OR (at = (SELECT at FROM activity WHERE id = ?) AND id < ?))", f.Before)
	}
	return list(ctx, s, scanActivity, "SELECT count, doc FROM activity WHERE "+strings.Join(where, " AND ")+
		" ORDER BY at DESC, id DESC LIMIT "+strconv.Itoa(limit), args...)
}

// scanActivity reads one event.
func scanActivity(row sqldb.Scanner) (e activity.Event, err error) {
	var count int64
	var doc string
	if err := row.Scan(&count, &doc); err != nil {
		return e, err
	}
	err = json.Unmarshal([]byte(doc), &e)
	e.Count = count
	return e, err
}

// ActivityAfter returns at most limit events of all accounts, oldest first: those after a time, or of
// that time and with a greater id.
func (s *Store) ActivityAfter(ctx context.Context, at time.Time, id string, limit int) ([]activity.Event, error) {
	return list(ctx, s, scanActivity, "SELECT count, doc FROM activity WHERE at > $1 OR (at = $1 AND id > $2) ORDER BY at, id LIMIT "+
		strconv.Itoa(limit), sqldb.Micros(at), id)
}

// PruneActivity implements activity.Store.
func (s *Store) PruneActivity(ctx context.Context, before time.Time, limit int) (n int, err error) {
	err = s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		removed, err := t.Exec("DELETE FROM activity WHERE id IN (SELECT id FROM activity WHERE at < $1 ORDER BY at LIMIT $2)",
			sqldb.Micros(before), limit)
		n = int(removed)
		return err
	})
	return n, err
}
