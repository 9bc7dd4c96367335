package sqlstore

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/stream"
)

// Bounds of the feed.
const (
	batchEvents     = 500
	gatherWait      = 20 * time.Millisecond // lets a busy feed fill a batch
	checkpointPause = 250 * time.Millisecond
	balanceConsumer = "balances"
	eventFields     = 11      // columns of an insert
	maxPlaces       = 1 << 16 // events in a transaction
)

type eventRow struct {
	stream.Event
	transfers string
}

func encodeEvents(events []stream.Event) ([]eventRow, error) {
	rows := make([]eventRow, len(events))
	for i, e := range events {
		rows[i] = eventRow{Event: e}
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

// appendEvents gives the events, all of one account and mode, their places.
func appendEvents(t *tx, events []eventRow) error {
	if len(events) == 0 {
		return nil
	}
	if _, ok := slices.BinarySearch(t.locked, events[0].Account); !ok {
		return fmt.Errorf("a commit that was not declared for %s writes its events", events[0].Account)
	}
	n := int64(len(events))
	if t.placed+n > maxPlaces {
		return fmt.Errorf("more than %d events in one transaction", maxPlaces)
	}
	var last int64
	var place sql.NullInt64
	err := t.row(`INSERT INTO event_seqs (account, mode, last) VALUES ($1, $2, $3)
		ON CONFLICT (account, mode) DO UPDATE SET last = event_seqs.last + $3 RETURNING last, `+t.dialect.place(),
		events[0].Account, events[0].Mode, n).Scan(&last, &place)
	if err != nil {
		return err
	}
	args := make([]any, 0, len(events)*eventFields)
	for i := range events {
		var position any // the table gives the next one
		if place.Valid {
			position = place.Int64 + t.placed + int64(i)
		}
		events[i].Seq = last - n + int64(i) + 1
		args = append(args, events[i].columns(position)...)
	}
	t.placed += n
	end, err := t.insert(insertEvents(len(events)), args...)
	if err == nil {
		t.tell(events, end)
	}
	return err
}

// tell keeps what was written for the consumers of this process, as they would read
// it. The table gave the last one its position, and those before it the ones before.
func (t *tx) tell(events []eventRow, end int64) {
	if !t.dialect.cached() {
		return
	}
	for i, e := range events {
		e.Position = end - int64(len(events)-1-i)
		e.CreatedAt = fromMicros(micros(e.CreatedAt))
		t.told = append(t.told, e.Event)
	}
}

// columns are the values of an insert.
func (e eventRow) columns(position any) []any {
	return []any{position, e.ID, e.Type, e.Account, e.Mode, e.Object, e.Seq, e.ObjectSeq, micros(e.CreatedAt), string(e.Data), e.transfers}
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

const eventColumns = "position, id, type, account, mode, object, seq, object_seq, created_at, data, transfers"

// scanEvents refuses an event that is damaged.
func scanEvents(rows *rows) ([]stream.Event, error) {
	list, err := scanFeed(rows)
	for _, e := range list {
		if e.Damaged != nil {
			return nil, e.Damaged
		}
	}
	return list, err
}

// scanFeed gives events that are damaged too: they keep their places.
func scanFeed(rows *rows) ([]stream.Event, error) {
	defer func() { _ = rows.Close() }()
	var list []stream.Event
	for rows.Next() {
		var (
			e               stream.Event
			at              int64
			data, transfers string
		)
		if err := rows.Scan(&e.Position, &e.ID, &e.Type, &e.Account, &e.Mode, &e.Object, &e.Seq, &e.ObjectSeq, &at, &data, &transfers); err != nil {
			return nil, err
		}
		e.CreatedAt, e.Data = fromMicros(at), json.RawMessage(data)
		if transfers != "" {
			if err := json.Unmarshal([]byte(transfers), &e.Transfers); err != nil {
				e.Damaged = damaged("event", e.ID, err)
			}
		}
		if data != "" && !json.Valid(e.Data) {
			e.Damaged = damaged("event", e.ID, errors.New("it is not JSON"))
		}
		if e.Damaged != nil {
			e.Data, e.Transfers = nil, nil
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

// Events implements payment.Store.
func (s *Store) Events(ctx context.Context, account, mode string, afterSeq int64, limit int) ([]stream.Event, error) {
	rows, err := s.query(ctx, s.read, "SELECT "+eventColumns+" FROM events WHERE account = $1 AND mode = $2 AND seq > $3 ORDER BY seq LIMIT "+
		strconv.Itoa(limit), account, mode, afterSeq)
	if err != nil {
		return nil, err
	}
	return scanEvents(rows)
}

// Moves implements payment.Reader.
func (s *Store) Moves(ctx context.Context, account, mode string, beforeSeq int64, limit int) ([]stream.Event, error) {
	if beforeSeq <= 0 {
		beforeSeq = math.MaxInt64
	}
	columns := "position, id, type, account, mode, object, seq, object_seq, created_at, '', transfers"
	rows, err := s.query(ctx, s.read, "SELECT "+columns+" FROM events WHERE account = $1 AND mode = $2 AND seq < $3 AND transfers <> '' ORDER BY seq DESC LIMIT "+
		strconv.Itoa(limit), account, mode, beforeSeq)
	if err != nil {
		return nil, err
	}
	return scanEvents(rows)
}

// eventsAfter reads the feed as far as no event can still appear in between; all
// of it in a snapshot, which is of one moment.
func (s *Store) eventsAfter(ctx context.Context, from reader, position int64) ([]stream.Event, error) {
	return s.after(ctx, from, eventColumns, position)
}

// transfersAfter is eventsAfter for who needs only the money that moved.
func (s *Store) transfersAfter(ctx context.Context, from reader, position int64) ([]stream.Event, error) {
	return s.after(ctx, from, "position, id, '', account, mode, '', 0, 0, 0, '', transfers", position)
}

func (s *Store) after(ctx context.Context, from reader, columns string, position int64) ([]stream.Event, error) {
	if list := s.recent.after(position, batchEvents); len(list) > 0 {
		return list, nil
	}
	settled := s.dialect.settled()
	if s.pool == nil {
		settled = ""
	}
	rows, err := s.query(ctx, from, "SELECT "+columns+" FROM events WHERE position > $1"+settled+" ORDER BY position LIMIT "+strconv.Itoa(batchEvents), position)
	if err != nil {
		return nil, err
	}
	return scanFeed(rows)
}

var _ stream.Source = (*Store)(nil)

// Consume implements stream.Source. The checkpoint is saved at most four times a
// second: after a crash a consumer sees the last events again. Of several
// processes one works; the others wait to take over.
func (s *Store) Consume(ctx context.Context, consumer string, handle func(context.Context, []stream.Event) error) error {
	return s.follow(ctx, follower{consumer: consumer, read: s.eventsAfter, handle: handle, save: func(from, to int64) error {
		return s.write(context.WithoutCancel(ctx), nil, func(t *tx) error { return moveCheckpoint(t, consumer, from, to) })
	}})
}

// follower is what a consumer does with the feed.
type follower struct {
	consumer string
	read     func(context.Context, reader, int64) ([]stream.Event, error)
	handle   func(context.Context, []stream.Event) error
	save     func(from, to int64) error // moves the checkpoint, with what handle gathered
	// from is where the checkpoint is; nil: among this store's own.
	from  func(context.Context) (int64, error)
	pause time.Duration // between two saves; 0: checkpointPause
	full  func() bool   // asks for a save before the pause is over; may be nil
}

func (s *Store) follow(ctx context.Context, f follower) error {
	feed, release, err := s.dialect.claim(ctx, s.feed, f.consumer)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return s.dialect.explain(err)
	}
	defer release()
	if f.from == nil {
		f.from = func(ctx context.Context) (int64, error) { return s.checkpoint(ctx, feed, f.consumer) }
	}
	if f.pause == 0 {
		f.pause = checkpointPause
	}
	position, err := f.from(ctx)
	if err != nil {
		return ignoreEnd(ctx, err)
	}
	saved, savedAt := position, time.Now()
	flush := func() error {
		if position == saved {
			return nil
		}
		from := saved
		saved, savedAt = position, time.Now()
		return f.save(from, position)
	}
	for ctx.Err() == nil {
		wake := s.wake.wait()
		events, err := f.read(ctx, feed, position)
		if err == nil && len(events) > 0 {
			err = s.hand(ctx, f, events)
		}
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return err
		}
		if len(events) > 0 {
			position = events[len(events)-1].Position
		}
		if time.Since(savedAt) >= f.pause || (f.full != nil && f.full()) {
			if err := flush(); err != nil {
				return err
			}
		}
		if len(events) < batchEvents {
			wait := s.dialect.poll()
			if position != saved { // what was handled is not kept back until something else happens
				wait = min(wait, max(0, f.pause-time.Since(savedAt)))
			}
			s.idle(ctx, wake, wait)
		}
	}
	return flush()
}

// Alone runs the work in one process of those that share the store; when the session
// of that one ends, another takes over. Two may run for a moment then, so the work
// must be harmless twice.
func (s *Store) Alone(ctx context.Context, name string, work func(context.Context) error) error {
	_, release, err := s.dialect.claim(ctx, s.feed, name)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return s.dialect.explain(err)
	}
	defer release()
	return work(ctx)
}

// idle waits for the next commit of this process, and a moment longer; or until it
// is time to look for what others committed.
func (s *Store) idle(ctx context.Context, wake <-chan struct{}, most time.Duration) {
	wait := time.NewTimer(most)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return
	case <-wait.C:
		return
	case <-wake:
	}
	wait.Reset(gatherWait)
	select {
	case <-ctx.Done():
	case <-wait.C:
	}
}

func (s *Store) checkpoint(ctx context.Context, from reader, consumer string) (position int64, err error) {
	err = from.QueryRowContext(ctx, "SELECT position FROM checkpoints WHERE consumer = $1", consumer).Scan(&position)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return position, s.dialect.explain(err)
}

// moveCheckpoint moves it from where this consumer read it, and from nowhere else:
// whatever is in the same commit counts once, even if two processes believe that
// they are the consumer.
func moveCheckpoint(t *tx, consumer string, from, to int64) error {
	n, err := t.exec(`INSERT INTO checkpoints (consumer, position) VALUES ($1, $2)
		ON CONFLICT (consumer) DO UPDATE SET position = excluded.position WHERE checkpoints.position = $3`, consumer, to, from)
	if err == nil && n == 0 {
		return fmt.Errorf("the checkpoint of %s: %w", consumer, errMoved)
	}
	return err
}

var errMoved = errors.New("another process has moved it")

// Lag is how many events the consumer has not handled, up to a million; for
// metrics.
func (s *Store) Lag(ctx context.Context, consumer string) (n int64, err error) {
	position, err := s.checkpoint(ctx, s.read, consumer)
	if err != nil {
		return 0, err
	}
	return s.behind(ctx, position)
}

func (s *Store) behind(ctx context.Context, position int64) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM events WHERE position > $1 LIMIT 1000000) AS behind", position).Scan(&n)
	return n, s.dialect.explain(err)
}

type funds struct{ account, mode, currency string }

// RunBalances keeps the balances table behind the feed: the sums and the
// checkpoint move in one commit, so every transfer counts exactly once.
func (s *Store) RunBalances(ctx context.Context) error {
	sums := map[funds]ledger.Balance{}
	handle := func(_ context.Context, events []stream.Event) error {
		for _, e := range events {
			for _, tr := range e.Transfers {
				addEffect(sums, funds{e.Account, e.Mode, string(tr.Currency)}, tr)
			}
		}
		return nil
	}
	return s.follow(ctx, follower{consumer: balanceConsumer, read: s.transfersAfter, handle: handle, save: func(from, to int64) error {
		done := sums
		sums = map[funds]ledger.Balance{}
		return s.write(context.WithoutCancel(ctx), nil, func(t *tx) error {
			for f, b := range done {
				if _, err := t.exec(`INSERT INTO balances (account, mode, currency, available, pending) VALUES ($1, $2, $3, $4, $5)
					ON CONFLICT (account, mode, currency) DO UPDATE SET available = balances.available + excluded.available,
					pending = balances.pending + excluded.pending`, f.account, f.mode, f.currency, b.Available.Minor, b.Pending.Minor); err != nil {
					return err
				}
			}
			return moveCheckpoint(t, balanceConsumer, from, to)
		})
	}})
}

func addEffect(sums map[funds]ledger.Balance, f funds, tr ledger.Transfer) {
	available, pending := tr.Effect(f.account)
	b := sums[f]
	b.Available = money.Of(b.Available.Minor+available, tr.Currency)
	b.Pending = money.Of(b.Pending.Minor+pending, tr.Currency)
	sums[f] = b
}

// Balances implements payment.Store: the projection plus the events that it has
// not reached, read in one snapshot, so an answer is never behind a commit.
func (s *Store) Balances(ctx context.Context, account, mode string) (map[money.Currency]ledger.Balance, error) {
	snapshot, end, err := s.moment(ctx)
	if err != nil {
		return nil, err
	}
	defer end()
	sums := map[funds]ledger.Balance{}
	rows, err := s.query(ctx, snapshot, "SELECT currency, available, pending FROM balances WHERE account = $1 AND mode = $2", account, mode)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // closed below already when all went well
	for rows.Next() {
		var c money.Currency
		var available, pending int64
		if err := rows.Scan(&c, &available, &pending); err != nil {
			return nil, err
		}
		sums[funds{account, mode, string(c)}] = ledger.Balance{Available: money.Of(available, c), Pending: money.Of(pending, c)}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, err
	}
	// Read first, not in the next statement: the planner must know how short the tail is.
	position, err := s.checkpoint(ctx, snapshot, balanceConsumer)
	if err != nil {
		return nil, err
	}
	tail, err := s.query(ctx, snapshot, "SELECT "+eventColumns+` FROM events WHERE account = $1 AND mode = $2 AND transfers <> ''
		AND position > $3 ORDER BY position`, account, mode, position)
	if err != nil {
		return nil, err
	}
	events, err := scanEvents(tail)
	if err != nil {
		return nil, err
	}
	for _, e := range events {
		for _, tr := range e.Transfers {
			addEffect(sums, funds{account, mode, string(tr.Currency)}, tr)
		}
	}
	out := map[money.Currency]ledger.Balance{}
	for f, b := range sums {
		out[money.Currency(f.currency)] = b
	}
	return out, nil
}

var _ idempotency.Store = (*Store)(nil)

// GetIdempotency implements idempotency.Store.
func (s *Store) GetIdempotency(ctx context.Context, scope, key string) (*idempotency.Record, error) {
	r, err := scanRecord(s.queryRow(ctx, "SELECT "+recordColumns+" FROM idempotency WHERE scope = $1 AND key = $2", scope, key))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return &r, nil
}

const recordColumns = "scope, key, fingerprint, status, answer, created_at"

func scanRecord(row rowScanner) (r idempotency.Record, err error) {
	var fingerprint, answer string
	var at int64
	if err := row.Scan(&r.Scope, &r.Key, &fingerprint, &r.Status, &answer, &at); err != nil {
		return r, err
	}
	if r.Fingerprint, err = base64.StdEncoding.DecodeString(fingerprint); err == nil {
		r.Answer, err = base64.StdEncoding.DecodeString(answer)
	}
	if err != nil {
		return idempotency.Record{}, damaged("idempotency record", r.Key, err)
	}
	r.CreatedAt = fromMicros(at)
	return r, nil
}

// PutIdempotency implements idempotency.Store.
func (s *Store) PutIdempotency(ctx context.Context, r idempotency.Record) error {
	return s.write(ctx, nil, func(t *tx) error { return putRecord(t, &r) })
}

// putRecord writes the first answer in the commit of its effect.
func putRecord(t *tx, r *idempotency.Record) error {
	if r == nil {
		return nil
	}
	n, err := t.exec(`INSERT INTO idempotency (`+recordColumns+`) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (scope, key) DO NOTHING`, r.Scope, r.Key, base64.StdEncoding.EncodeToString(r.Fingerprint), r.Status,
		base64.StdEncoding.EncodeToString(r.Answer), micros(r.CreatedAt))
	if err != nil {
		return err
	}
	if n == 0 {
		return idempotency.ErrRaced
	}
	return nil
}
