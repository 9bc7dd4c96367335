// Package feed is the change feed in a database in SQL: the events, written in the commit
// of what happened, the positions by which they are followed, and the checkpoints of those
// who follow. The tables (events, event_seqs, checkpoints, set_aside; on PostgreSQL feed)
// come with the store's schema.
//
// Each account and mode has its own gap-free numbers. Positions order all events. In
// SQLite they are handed out by the only writer, so a reader can't skip one, and the last
// events are read from memory. In PostgreSQL they come from the transactions' ids, and a
// reader stops below the oldest transaction that runs.
package feed

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"

	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

const (
	eventFields = 11      // columns of an insert
	maxPlaces   = 1 << 16 // events in a transaction
	placeBits   = 16      // of a position on PostgreSQL: the transaction's id, then the place in it
)

// Feed is the feed of one database.
type Feed struct {
	db     *sqldb.DB
	recent *recent // nil where other processes write, or nobody does
	log    *slog.Logger
}

// Open opens the feed of a database. On PostgreSQL it lifts the base of positions when the
// database was restored into a cluster whose transaction ids are younger than those in the
// feed: without that new events would get positions that consumers have passed already.
func Open(ctx context.Context, db *sqldb.DB) (*Feed, error) {
	f := &Feed{db: db, log: slog.New(slog.DiscardHandler)}
	switch {
	case db.IsSnapshot():
	case !db.Shared():
		f.recent = &recent{}
	default:
		return f, db.Write(ctx, nil, func(t *sqldb.Tx) error {
			_, err := t.Exec(fmt.Sprintf(`UPDATE feed SET base = ((SELECT MAX(position) FROM events) >> %d) + 1 << %d
				WHERE (SELECT MAX(position) FROM events) >= base + (pg_snapshot_xmax(pg_current_snapshot())::text::bigint << %d)`,
				placeBits, placeBits, placeBits))
			return err
		})
	}
	return f, nil
}

// Log is where consumers report what they pass over.
func (f *Feed) Log() *slog.Logger { return f.log }

// LogTo sets the log of the events that consumers pass over.
func (f *Feed) LogTo(log *slog.Logger) { f.log = log }

// Reader reads the database that the feed is in.
func (f *Feed) Reader() sqldb.Reader { return f.db.Reader }

// Beside returns the source of data that is derived from the feed.
func (f *Feed) Beside(path string, schema sqldb.Schema) sqldb.Source {
	return f.db.Beside(path, schema)
}

// place is the expression, inside a writing statement, for the position of the
// transaction's first event; NULL lets the table choose.
func place(shared bool) string {
	if !shared {
		return "NULL"
	}
	return fmt.Sprintf("(SELECT base FROM feed) + (pg_current_xact_id()::text::bigint << %d)", placeBits)
}

// settled restricts a read to positions below which no other can appear any more: every
// transaction with a smaller id than the oldest one that runs has ended. A snapshot is of
// one moment, and has all of them.
func (f *Feed) settled() string {
	if !f.db.Shared() || f.db.IsSnapshot() {
		return ""
	}
	return fmt.Sprintf(" AND position < (SELECT base FROM feed) + (pg_snapshot_xmin(pg_current_snapshot())::text::bigint << %d)", placeBits)
}

// Row is an event as it is stored.
type Row struct {
	stream.Event
	transfers string
}

// Encode makes rows of events, before the commit that writes them.
func Encode(events []stream.Event) ([]Row, error) {
	rows := make([]Row, len(events))
	for i, e := range events {
		rows[i] = Row{Event: e}
		if len(e.Transfers) > 0 {
			raw, err := json.Marshal(e.Transfers)
			if err != nil {
				return nil, err
			}
			rows[i].transfers = string(raw)
		}
	}
	return rows, nil
}

// Append writes the events, all of one account and mode, and gives them their numbers and
// positions. The commit must be declared for the account.
func (f *Feed) Append(t *sqldb.Tx, events []Row) error {
	if len(events) == 0 {
		return nil
	}
	if !t.Declared(events[0].Account) {
		return fmt.Errorf("a commit that was not declared for %s writes its events", events[0].Account)
	}
	n := int64(len(events))
	if t.Placed+n > maxPlaces {
		return fmt.Errorf("more than %d events in one transaction", maxPlaces)
	}
	var last int64
	var first sql.NullInt64
	err := t.Row(`INSERT INTO event_seqs (account, mode, last) VALUES ($1, $2, $3)
		ON CONFLICT (account, mode) DO UPDATE SET last = event_seqs.last + $3 RETURNING last, `+place(t.Shared()),
		events[0].Account, events[0].Mode, n).Scan(&last, &first)
	if err != nil {
		return err
	}
	args := make([]any, 0, len(events)*eventFields)
	for i := range events {
		var position any // the table gives the next one
		if first.Valid {
			position = first.Int64 + t.Placed + int64(i)
		}
		events[i].Seq = last - n + int64(i) + 1
		args = append(args, events[i].columns(position)...)
	}
	t.Placed += n
	end, err := t.Insert(insertEvents(len(events)), args...)
	if err == nil && f.recent != nil {
		f.remember(t, events, end)
	}
	return err
}

// remember keeps what was written for the consumers of this process, as they would read
// it. The table gave the last one its position, and those before it the ones before.
func (f *Feed) remember(t *sqldb.Tx, events []Row, end int64) {
	list := make([]stream.Event, len(events))
	for i, e := range events {
		e.Position = end - int64(len(events)-1-i)
		e.CreatedAt = sqldb.FromMicros(sqldb.Micros(e.CreatedAt))
		list[i] = e.Event
	}
	t.OnCommit(func() { f.recent.add(list) })
}

// Load writes an event with the number that it has in another feed, and returns its
// position here; stored is false when there is such an event already.
func Load(t *sqldb.Tx, e Row) (position int64, stored bool, err error) {
	var first sql.NullInt64
	err = t.Row(`INSERT INTO event_seqs (account, mode, last) VALUES ($1, $2, $3)
		ON CONFLICT (account, mode) DO UPDATE SET last = CASE WHEN event_seqs.last < excluded.last THEN excluded.last ELSE event_seqs.last END
		RETURNING `+place(t.Shared()), e.Account, e.Mode, e.Seq).Scan(&first)
	if err != nil {
		return 0, false, err
	}
	var at any // the table gives the next one
	if first.Valid {
		at = first.Int64 + t.Placed
	}
	t.Placed++
	err = t.Row(insertEvents(1)+" ON CONFLICT (account, mode, seq) DO NOTHING RETURNING position", e.columns(at)...).Scan(&position)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, false, nil
	}
	return position, err == nil, err
}

// columns are the values of an insert.
func (e Row) columns(position any) []any {
	return []any{position, e.ID, e.Type, e.Account, e.Mode, e.Object, e.Seq, e.ObjectSeq, sqldb.Micros(e.CreatedAt),
		string(e.Data), e.transfers}
}

// insertEvents is one statement for n events; n is small (the entries of one
// change), so few statements are prepared.
func insertEvents(n int) string {
	var b strings.Builder
	b.WriteString("INSERT INTO events (position, id, type, account, mode, object, seq, object_seq, created_at, data, transfers) VALUES ")
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteByte('(')
		for j := range eventFields {
			if j > 0 {
				b.WriteByte(',')
			}
			b.WriteByte('$')
			b.WriteString(strconv.Itoa(i*eventFields + j + 1))
		}
		b.WriteByte(')')
	}
	return b.String()
}

// Part is what a reader needs of an event.
type Part int

// The parts of an event. All have its position, account and mode.
const (
	Whole     Part = iota
	NoMoney        // all but the transfers
	Transfers      // the transfers alone
)

const eventColumns = "position, id, type, account, mode, object, seq, object_seq, created_at, data, transfers"

func (p Part) columns() string {
	switch p {
	case NoMoney:
		return "position, id, type, account, mode, object, seq, object_seq, created_at, data, ''"
	case Transfers:
		return "position, id, '', account, mode, '', 0, 0, 0, '', transfers"
	}
	return eventColumns
}

// query reads up to limit events, or all if it is 0. One that is damaged is in its place, with the error in Damaged.
func (f *Feed) query(ctx context.Context, r sqldb.Reader, columns, where, order string, limit int, args ...any) ([]stream.Event, error) {
	var list []stream.Event
	most := ""
	if limit > 0 {
		most = " LIMIT " + strconv.Itoa(limit)
	}
	err := r.Each(ctx, func(row sqldb.Scanner) error {
		e, err := scan(row)
		list = append(list, e)
		return err
	}, "SELECT "+columns+" FROM events WHERE "+where+" ORDER BY "+order+most, args...)
	return list, err
}

func scan(row sqldb.Scanner) (e stream.Event, err error) {
	var at int64
	var data, transfers string
	if err := row.Scan(&e.Position, &e.ID, &e.Type, &e.Account, &e.Mode, &e.Object, &e.Seq, &e.ObjectSeq, &at, &data, &transfers); err != nil {
		return e, err
	}
	e.CreatedAt, e.Data = sqldb.FromMicros(at), json.RawMessage(data)
	if transfers != "" {
		if err := json.Unmarshal([]byte(transfers), &e.Transfers); err != nil {
			e.Damaged = sqldb.Damaged("event", e.ID, err)
		}
	}
	if data != "" && !json.Valid(e.Data) {
		e.Damaged = sqldb.Damaged("event", e.ID, errors.New("it is not JSON"))
	}
	if e.Damaged != nil {
		e.Data, e.Transfers = nil, nil
	}
	return e, nil
}

// sound refuses a list with an event that is damaged.
func sound(list []stream.Event, err error) ([]stream.Event, error) {
	for _, e := range list {
		if e.Damaged != nil {
			return nil, e.Damaged
		}
	}
	return list, err
}

// Events implements payment.Store.
func (f *Feed) Events(ctx context.Context, account, mode string, afterSeq int64, limit int) ([]stream.Event, error) {
	return sound(f.query(ctx, f.db.Reader, eventColumns, "account = $1 AND mode = $2 AND seq > $3", "seq", limit, account, mode, afterSeq))
}

// Moves implements payment.Reader.
func (f *Feed) Moves(ctx context.Context, account, mode string, beforeSeq int64, limit int) ([]stream.Event, error) {
	if beforeSeq <= 0 {
		beforeSeq = math.MaxInt64
	}
	columns := "position, id, type, account, mode, object, seq, object_seq, created_at, '', transfers"
	where := "account = $1 AND mode = $2 AND seq < $3 AND transfers <> ''"
	return sound(f.query(ctx, f.db.Reader, columns, where, "seq DESC", limit, account, mode, beforeSeq))
}

// MovesAfter returns all events of an account and mode after a position that move money.
func (f *Feed) MovesAfter(ctx context.Context, r sqldb.Reader, account, mode string, position int64) ([]stream.Event, error) {
	where := "account = $1 AND mode = $2 AND transfers <> '' AND position > $3"
	return sound(f.query(ctx, r, eventColumns, where, "position", 0, account, mode, position))
}

// FeedAfter returns events after the position, oldest first, as far as no other can still
// appear in between; none: there are no more yet.
func (f *Feed) FeedAfter(ctx context.Context, position int64) ([]stream.Event, error) {
	return f.after(ctx, eventColumns, position)
}

func (f *Feed) after(ctx context.Context, columns string, position int64) ([]stream.Event, error) {
	if list := f.recent.after(position, batchEvents); len(list) > 0 {
		return list, nil
	}
	return f.load(ctx, f.db.Reader, columns, position, batchEvents)
}

// load reads the feed from the database.
func (f *Feed) load(ctx context.Context, r sqldb.Reader, columns string, position int64, limit int) ([]stream.Event, error) {
	return f.query(ctx, r, columns, "position > $1"+f.settled(), "position", limit, position)
}

// Last returns the last place of the feed before which nothing can appear any more; from
// itself when there is nothing after it.
func (f *Feed) Last(ctx context.Context, r sqldb.Reader, from Place) (Place, error) {
	to := from
	err := r.QueryRow(ctx, "SELECT position, id FROM events WHERE position > $1"+f.settled()+" ORDER BY position DESC LIMIT 1", from.Position).
		Scan(&to.Position, &to.Event)
	if errors.Is(err, sql.ErrNoRows) {
		return from, nil
	}
	return to, err
}

// Has reports whether the feed still has the event at a place: then it has all that came
// after it. Every feed has the place before its first event.
func (f *Feed) Has(ctx context.Context, r sqldb.Reader, at Place) (bool, error) {
	if at.Position == 0 {
		return true, nil
	}
	var event string
	err := r.QueryRow(ctx, "SELECT id FROM events WHERE position = $1", at.Position).Scan(&event)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return event == at.Event, err
}

// EachEvent visits every event in order.
func (f *Feed) EachEvent(ctx context.Context, visit func(stream.Event) error) error {
	for position := int64(0); ; {
		events, err := f.FeedAfter(ctx, position)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			if err := visit(e); err != nil {
				return err
			}
			position = e.Position
		}
	}
}
