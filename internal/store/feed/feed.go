// Package feed is the change feed in a SQL database: the events, written in the commit of the
// change that they record, the positions that order them, and the consumers' checkpoints. The
// tables (events, event_seqs, checkpoints, set_aside; on PostgreSQL also feed) come with the
// store's schema.
//
// Each account and mode has its own gap-free numbers. Positions order all events. On SQLite the
// only writer assigns them, so a reader cannot skip one, and the last events are read from
// memory. On PostgreSQL they derive from transaction ids, and a reader stops below the oldest
// running transaction.
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

	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// The shape of the statements and positions.
const (
	eventFields = 11      // columns of an insert
	maxPlaces   = 1 << 16 // events in a transaction
	placeBits   = 16      // low bits of a position on PostgreSQL: transaction id, then the place in it
)

// Feed is the feed of one database.
type Feed struct {
	db     *sqldb.DB
	recent *recent // nil if other processes write, or none does
	log    *slog.Logger
}

// Open opens the feed of a database. A PostgreSQL database may have been restored into a cluster
// whose transaction ids are lower than those in the feed. Open then raises the base of positions,
// because new events would otherwise get positions that consumers have already passed.
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

// Log returns the logger for events that consumers pass over.
func (f *Feed) Log() *slog.Logger { return f.log }

// LogTo sets the logger for events that consumers pass over.
func (f *Feed) LogTo(log *slog.Logger) { f.log = log }

// Reader returns a reader of the feed's database.
func (f *Feed) Reader() sqldb.Reader { return f.db.Reader }

// Beside returns a source for data derived from the feed.
func (f *Feed) Beside(path string, schema sqldb.Schema) sqldb.Source {
	return f.db.Beside(path, schema)
}

// place returns the SQL expression for the position of the transaction's first event, inside a
// writing statement. NULL lets the table choose.
func place(shared bool) string {
	if !shared {
		return "NULL"
	}
	return fmt.Sprintf("(SELECT base FROM feed) + (pg_current_xact_id()::text::bigint << %d)", placeBits)
}

// settled returns the condition that restricts a read to positions below which no other can
// appear: every transaction with a lower id than the oldest running one has ended. A snapshot
// needs no condition, because it sees one moment.
func (f *Feed) settled() string {
	if !f.db.Shared() || f.db.IsSnapshot() {
		return ""
	}
	return fmt.Sprintf(" AND position < (SELECT base FROM feed) + (pg_snapshot_xmin(pg_current_snapshot())::text::bigint << %d)", placeBits)
}

// Row is an event in its stored form.
type Row struct {
	stream.Event
	transfers string
}

// Encode converts events to rows, before the commit that writes them. Events of an earlier version,
// from an archive or a relay, lose its fingerprints of cards.
func Encode(events []stream.Event) ([]Row, error) {
	rows := make([]Row, len(events))
	for i, e := range events {
		e.Data, _, _ = payment.CoarsenEvent(e.Data)
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

// Append writes events of one account and mode, and assigns their numbers and positions. The
// commit must be declared for the account.
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
		var position any // the table assigns the next one
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

// remember keeps the written events for consumers in this process, as they would read them. The
// last event has the position that the table assigned; the earlier ones have the positions before
// it.
func (f *Feed) remember(t *sqldb.Tx, events []Row, end int64) {
	list := make([]stream.Event, len(events))
	for i, e := range events {
		e.Position = end - int64(len(events)-1-i)
		e.CreatedAt = sqldb.FromMicros(sqldb.Micros(e.CreatedAt))
		list[i] = e.Event
	}
	t.OnCommit(func() { f.recent.add(list) })
}

// Load writes an event with the number that it has in another feed, and returns its position
// here. stored is false if the event already existed.
func Load(t *sqldb.Tx, e Row) (position int64, stored bool, err error) {
	var first sql.NullInt64
	err = t.Row(`INSERT INTO event_seqs (account, mode, last) VALUES ($1, $2, $3)
		ON CONFLICT (account, mode) DO UPDATE SET last = CASE WHEN event_seqs.last < excluded.last THEN excluded.last ELSE event_seqs.last END
		RETURNING `+place(t.Shared()), e.Account, e.Mode, e.Seq).Scan(&first)
	if err != nil {
		return 0, false, err
	}
	var at any // the table assigns the next one
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

// columns returns the values of an insert, in the order of insertEvents.
func (e Row) columns(position any) []any {
	return []any{position, e.ID, e.Type, e.Account, e.Mode, e.Object, e.Seq, e.ObjectSeq, sqldb.Micros(e.CreatedAt),
		string(e.Data), e.transfers}
}

// insertEvents returns one statement for n events. n is small (the entries of one change), so few
// statements are prepared.
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

// Part selects what a reader needs of an event.
type Part int

// Parts of an event. All include its position, account and mode.
const (
	Whole     Part = iota
	NoMoney        // all except the transfers
	Transfers      // only the transfers
)

// eventColumns are the columns that scan reads, in its order.
const eventColumns = "position, id, type, account, mode, object, seq, object_seq, created_at, data, transfers"

// columns returns the columns to select. What the part leaves out is selected as empty, so that
// scan reads every part in one way.
func (p Part) columns() string {
	switch p {
	case NoMoney:
		return "position, id, type, account, mode, object, seq, object_seq, created_at, data, ''"
	case Transfers:
		return "position, id, '', account, mode, '', 0, 0, 0, '', transfers"
	default:
		return eventColumns
	}
}

// query reads up to limit events, or all if limit is 0. A damaged event keeps its place, with the
// error in Damaged.
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

// scan reads one event. One that is damaged keeps its place and identity, without its contents. An
// earlier version may still write its fingerprints of cards; nobody sees them.
func scan(row sqldb.Scanner) (e stream.Event, err error) {
	var at int64
	var data, transfers string
	if err := row.Scan(&e.Position, &e.ID, &e.Type, &e.Account, &e.Mode, &e.Object, &e.Seq, &e.ObjectSeq, &at, &data, &transfers); err != nil {
		return e, err
	}

	e.CreatedAt, e.Data = sqldb.FromMicros(at), json.RawMessage(data)
	e.Data, _, _ = payment.CoarsenEvent(e.Data)
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

// sound returns an error if an event of the list is damaged. Merchants' lists use it: they must not
// miss an event silently.
func sound(list []stream.Event, err error) ([]stream.Event, error) {
	for _, e := range list {
		if e.Damaged != nil {
			return nil, e.Damaged
		}
	}
	return list, err
}

// Events implements payment.Store. It reads by the account's own numbers, so it needs no condition
// on positions.
func (f *Feed) Events(ctx context.Context, account, mode string, afterSeq int64, limit int) ([]stream.Event, error) {
	return sound(f.query(ctx, f.db.Reader, eventColumns, "account = $1 AND mode = $2 AND seq > $3", "seq", limit, account, mode, afterSeq))
}

// Moves implements payment.Reader: the events that move money, newest first, without their data. 0
// or less begins at the newest.
func (f *Feed) Moves(ctx context.Context, account, mode string, beforeSeq int64, limit int) ([]stream.Event, error) {
	if beforeSeq <= 0 {
		beforeSeq = math.MaxInt64
	}
	columns := "position, id, type, account, mode, object, seq, object_seq, created_at, '', transfers"
	where := "account = $1 AND mode = $2 AND seq < $3 AND transfers <> ''"
	return sound(f.query(ctx, f.db.Reader, columns, where, "seq DESC", limit, account, mode, beforeSeq))
}

// MovesAfter returns the events of an account and mode that move money, after a position, all of
// them. The caller's checkpoint must be recent.
func (f *Feed) MovesAfter(ctx context.Context, r sqldb.Reader, account, mode string, position int64) ([]stream.Event, error) {
	where := "account = $1 AND mode = $2 AND transfers <> '' AND position > $3"
	return sound(f.query(ctx, r, eventColumns, where, "position", 0, account, mode, position))
}

// FeedAfter returns the events after a position, oldest first, up to the point below which no
// other can still appear. An empty list means that there are no more yet.
func (f *Feed) FeedAfter(ctx context.Context, position int64) ([]stream.Event, error) {
	return f.after(ctx, eventColumns, position)
}

// after reads the events after a position from memory if they are there, and from the database
// otherwise. Events in memory are always whole.
func (f *Feed) after(ctx context.Context, columns string, position int64) ([]stream.Event, error) {
	if list := f.recent.after(position, batchEvents); len(list) > 0 {
		return list, nil
	}
	return f.load(ctx, f.db.Reader, columns, position, batchEvents)
}

// load reads up to limit events from the database.
func (f *Feed) load(ctx context.Context, r sqldb.Reader, columns string, position int64, limit int) ([]stream.Event, error) {
	return f.query(ctx, r, columns, "position > $1"+f.settled(), "position", limit, position)
}

// Last returns the last place of the feed before which no event can still appear, or from if
// there is none after it.
func (f *Feed) Last(ctx context.Context, r sqldb.Reader, from Place) (Place, error) {
	to := from
	err := r.QueryRow(ctx, "SELECT position, id FROM events WHERE position > $1"+f.settled()+" ORDER BY position DESC LIMIT 1", from.Position).
		Scan(&to.Position, &to.Event)
	if errors.Is(err, sql.ErrNoRows) {
		return from, nil
	}
	return to, err
}

// Has reports whether the feed still contains the event at a place, and therefore everything
// after it. Every feed contains the place before its first event.
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

// EachEvent calls visit for every event in order, until the first error. A damaged event is passed
// with Damaged set.
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
