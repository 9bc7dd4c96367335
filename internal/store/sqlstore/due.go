package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// Limits of one search for due rows. The oldest rows are read first. If there are more, some
// lanes are visited too, each time the next ones, so that a lane with a long queue, or one that
// cannot be processed, hides no other.
const (
	dueWindow   = 400
	dueLanes    = 100
	dueLaneRows = 10
)

// dueQueue is a table whose rows wait for a time. A lane is their owner: an account, or an issuer
// and an account. There is an index over (at) and one over (lane, at).
type dueQueue struct{ table, lane, at, waits, misses string }

var (
	paymentQueue = dueQueue{"payments", "lane", "due_at", "due_at IS NOT NULL", "misses"}
	linkQueue    = dueQueue{"links", "account", "expires_at", "open = 1", "0"}
	mailQueue    = dueQueue{"mails", "account", "due_at", "status = 'waiting'", "0"}
)

func (q dueQueue) rows() string {
	return "SELECT id, account, mode, " + q.lane + ", " + q.at + ", " + q.misses + " FROM " + q.table + " WHERE " + q.waits
}

// dueRow is a waiting row without its document, which may be damaged.
type dueRow struct {
	id, account, mode, lane string
	at, misses              int64
}

// issuer returns the part of a lane that several accounts share, or "".
func (r dueRow) issuer() string {
	issuer, _, shared := strings.Cut(r.lane, " ")
	if !shared {
		return ""
	}
	return issuer
}

// laneOf returns the lane of a payment.
func laneOf(issuer, account string) string { return issuer + " " + account }

// laneCursor remembers the lane at which the last search of a table ended.
type laneCursor struct {
	mu sync.Mutex
	at map[string]string
}

func (c *laneCursor) get(table string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at[table]
}

func (c *laneCursor) set(table, lane string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.at == nil {
		c.at = map[string]string{}
	}
	c.at[table] = lane
}

// dueRows returns up to limit due rows, every lane's oldest before any lane's second, and none of
// the busy issuers. Its cost is bounded, however many rows wait.
func (s *Store) dueRows(ctx context.Context, q dueQueue, now time.Time, limit int, busy ...string) ([]dueRow, error) {
	until := sqldb.Micros(now)
	rows, err := s.readDue(ctx, q.rows()+" AND "+q.at+" <= $1 ORDER BY "+q.at+" LIMIT "+strconv.Itoa(dueWindow), until)
	if err != nil {
		return nil, err
	}
	if len(rows) == dueWindow {
		more, err := s.dueByLanes(ctx, q, until, busy)
		if err != nil {
			return nil, err
		}
		rows = append(rows, more...)
	}
	if q.table != mailQueue.table {
		err = s.clocks.Round(q.table, func(account string, ahead time.Duration) error { // due by the account's clock only
			more, err := s.readDue(ctx, q.rows()+" AND account = $1 AND mode = $2 AND "+q.at+" > $3 AND "+q.at+" <= $4 ORDER BY "+q.at+
				" LIMIT "+strconv.Itoa(limit), account, link.Test, until, sqldb.Micros(now.Add(ahead)))
			rows = append(rows, more...)
			return err
		})
	}
	rows = slices.DeleteFunc(rows, func(r dueRow) bool { return r.issuer() != "" && slices.Contains(busy, r.issuer()) })
	return inTurn(rows, limit), err
}

// dueByLanes visits the lanes after those of the last search, and starts over at the end.
func (s *Store) dueByLanes(ctx context.Context, q dueQueue, until int64, busy []string) (list []dueRow, err error) {
	next := "SELECT " + q.lane + " FROM " + q.table + " WHERE " + q.waits + " AND " + q.lane + " > $1 ORDER BY " + q.lane + " LIMIT 1"
	oldest := q.rows() + " AND " + q.lane + " = $1 AND " + q.at + " <= $2 ORDER BY " + q.at + " LIMIT " + strconv.Itoa(dueLaneRows)
	at, began, around := s.lanes.get(q.table), s.lanes.get(q.table), false
	for range dueLanes {
		var lane string
		err := s.db.Lookup(ctx, next, at).Scan(&lane)
		switch {
		case errors.Is(err, sql.ErrNoRows) && !around && began != "":
			at, around = "", true
			continue
		case errors.Is(err, sql.ErrNoRows), err == nil && around && lane > began:
			s.lanes.set(q.table, at)
			return list, nil
		case err != nil:
			return nil, err
		}

		at = lane
		if issuer := (dueRow{lane: lane}).issuer(); issuer != "" && slices.Contains(busy, issuer) {
			at = issuer + "!" // the first lane after all of the issuer's: a space sorts before it
			continue
		}
		rows, err := s.readDue(ctx, oldest, lane, until)
		if err != nil {
			return nil, err
		}
		list = append(list, rows...)
	}
	s.lanes.set(q.table, at)
	return list, nil
}

func (s *Store) readDue(ctx context.Context, query string, args ...any) (list []dueRow, err error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var r dueRow
		if err := rows.Scan(&r.id, &r.account, &r.mode, &r.lane, &r.at, &r.misses); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// inTurn returns up to limit of the rows: the issuers take turns, and within an issuer its
// accounts. An account's oldest row comes first.
func inTurn(rows []dueRow, limit int) []dueRow {
	slices.SortFunc(rows, func(a, b dueRow) int { return cmp.Or(cmp.Compare(a.at, b.at), strings.Compare(a.id, b.id)) })
	rows = slices.CompactFunc(rows, func(a, b dueRow) bool { return a.id == b.id })
	rows = payment.InTurn(rows, func(r dueRow) string { return r.lane })
	rows = payment.InTurn(rows, dueRow.issuer)
	return rows[:min(len(rows), limit)]
}
