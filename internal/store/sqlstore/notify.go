package sqlstore

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

var _ notify.Store = (*Store)(nil)

// endpointColumns are the columns that scanEndpoint reads, in its order. The secrets are sealed.
const endpointColumns = `id, account, mode, url, events, secret, previous_secret, previous_until,
	disabled_at, disabled_reason, created_at, revision, failing_since, told`

// scanEndpoint reads one row of endpointColumns. No row is fault.NotFound.
func scanEndpoint(row sqldb.Scanner) (notify.Endpoint, error) {
	var (
		e                        notify.Endpoint
		events, secret, previous string
		until, disabled, created int64
		failing                  int64
	)
	if err := row.Scan(&e.ID, &e.Account, &e.Mode, &e.URL, &events, &secret, &previous, &until,
		&disabled, &e.DisabledReason, &created, &e.Revision, &failing, &e.EventSeq); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return e, fault.NotFound("webhook endpoint")
		}
		return e, err
	}

	err := json.Unmarshal([]byte(events), &e.Events)
	if len(e.Events) == 0 {
		e.Events = []string{notify.All} // as an earlier version stored it
	}
	if err == nil {
		e.SealedSecret, err = fromBase64(secret)
	}
	if err == nil {
		e.PreviousSealedSecret, err = fromBase64(previous)
	}
	if err != nil {
		return notify.Endpoint{}, sqldb.Damaged("webhook endpoint", e.ID, err)
	}

	e.PreviousUntil, e.DisabledAt, e.CreatedAt, e.FailingSince = sqldb.FromMicros(
		until,
	), sqldb.FromMicros(
		disabled,
	), sqldb.FromMicros(
		created,
	), sqldb.FromMicros(
		failing,
	)
	return e, nil
}

// fromBase64 decodes s; the empty text gives nil.
func fromBase64(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	return base64.StdEncoding.DecodeString(s)
}

// CreateEndpoint implements notify.Store. The account's commits are serialized, so neither the
// limit nor the check for duplicates can be passed by two requests at once. An endpoint whose id
// exists stays unchanged.
func (s *Store) CreateEndpoint(ctx context.Context, e notify.Endpoint, r *idempotency.Record) error {
	e.Revision = 1
	return s.write(ctx, []string{e.Account}, func(t *sqldb.Tx) error {
		n, err := putEndpoint(t, e)
		if err != nil || n == 0 {
			return err // 0: this same endpoint is already stored
		}

		var count int64
		if err := t.Row("SELECT count(*) FROM webhook_endpoints WHERE account = $1 AND mode = $2", e.Account, e.Mode).Scan(&count); err != nil {
			return err
		}
		if count > notify.MaxEndpoints {
			return notify.TooManyEndpoints()
		}

		// The record comes first, so that a repeated request is not refused because of its own
		// effect.
		if err := putRecord(t, r); err != nil {
			return err
		}
		return notDoubled(t, notify.Endpoint{}, e)
	})
}

// notDoubled refuses an endpoint that duplicates another of the same account, unless it already
// did so before the change. The commits of an account are serialized, so two at the same moment
// cannot both pass.
func notDoubled(t *sqldb.Tx, before, e notify.Endpoint) error {
	return t.Each(func(row sqldb.Scanner) error {
		other, err := scanEndpoint(row)
		if err == nil && e.Doubles(other) && !before.Doubles(other) {
			return notify.EndpointExists(other)
		}
		return err
	}, "SELECT "+endpointColumns+" FROM webhook_endpoints WHERE account = $1 AND mode = $2 AND url = $3 AND id <> $4 ORDER BY id",
		e.Account, e.Mode, e.URL, e.ID)
}

// putEndpoint inserts an endpoint and returns 1, or 0 if its id exists.
func putEndpoint(t *sqldb.Tx, e notify.Endpoint) (int64, error) {
	events, err := json.Marshal(e.Events)
	if err != nil {
		return 0, err
	}
	return t.Exec(`INSERT INTO webhook_endpoints (`+endpointColumns+`)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (id) DO NOTHING`,
		e.ID, e.Account, e.Mode, e.URL, string(events), base64.StdEncoding.EncodeToString(e.SealedSecret),
		base64.StdEncoding.EncodeToString(e.PreviousSealedSecret), sqldb.Micros(e.PreviousUntil),
		sqldb.Micros(e.DisabledAt), e.DisabledReason, sqldb.Micros(e.CreatedAt), e.Revision, sqldb.Micros(e.FailingSince), e.EventSeq)
}

// Endpoint implements notify.Store. An endpoint of another account is fault.NotFound.
func (s *Store) Endpoint(ctx context.Context, account, id string) (notify.Endpoint, error) {
	return scanEndpoint(s.db.Lookup(ctx, "SELECT "+endpointColumns+" FROM webhook_endpoints WHERE id = $1 AND account = $2", id, account))
}

// Endpoints implements notify.Store, newest first.
func (s *Store) Endpoints(ctx context.Context, account, mode string) ([]notify.Endpoint, error) {
	rows, err := s.db.Query(ctx, "SELECT "+endpointColumns+` FROM webhook_endpoints
		WHERE account = $1 AND mode = $2 ORDER BY id DESC LIMIT `+strconv.Itoa(notify.MaxEndpoints), account, mode)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()

	var list []notify.Endpoint
	for rows.Next() {
		e, err := scanEndpoint(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, e)
	}

	return list, rows.Err()
}

// Owners implements notify.Store, in no particular order.
func (s *Store) Owners(ctx context.Context) ([]notify.Owner, error) {
	rows, err := s.db.Query(ctx, "SELECT DISTINCT account, mode FROM webhook_endpoints")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []notify.Owner

	for rows.Next() {
		var o notify.Owner
		if err := rows.Scan(&o.Account, &o.Mode); err != nil {
			return nil, err
		}
		list = append(list, o)
	}

	return list, rows.Err()
}

// UpdateEndpoint implements notify.Store. It returns notify.ErrConflict if the revision differs or
// the endpoint is gone, and the fault of notify.EndpointExists if the change makes it a duplicate.
// The events are about the endpoint and part of the same commit.
func (s *Store) UpdateEndpoint(ctx context.Context, e notify.Endpoint, events []stream.Event, r *idempotency.Record) error {
	subscribed, err := json.Marshal(e.Events)
	if err != nil {
		return err
	}
	rows, err := feed.Encode(events)
	if err != nil {
		return err
	}

	return s.write(ctx, []string{e.Account}, func(t *sqldb.Tx) error {
		before, err := scanEndpoint(t.Row("SELECT "+endpointColumns+" FROM webhook_endpoints WHERE id = $1 AND account = $2", e.ID, e.Account))
		if fault.KindOf(err) == fault.KindNotFound {
			return notify.ErrConflict
		}
		if err != nil {
			return err
		}

		n, err := t.Exec(`UPDATE webhook_endpoints SET url = $1, events = $2, secret = $3, previous_secret = $4, previous_until = $5,
			disabled_at = $6, disabled_reason = $7, failing_since = $8, told = $9, revision = revision + 1
			WHERE id = $10 AND account = $11 AND revision = $12`,
			e.URL, string(subscribed), base64.StdEncoding.EncodeToString(e.SealedSecret),
			base64.StdEncoding.EncodeToString(e.PreviousSealedSecret), sqldb.Micros(e.PreviousUntil),
			sqldb.Micros(e.DisabledAt), e.DisabledReason, sqldb.Micros(e.FailingSince), e.EventSeq, e.ID, e.Account, e.Revision)
		if err != nil {
			return err
		}
		if n == 0 {
			return notify.ErrConflict
		}

		if err := notDoubled(t, before, e); err != nil {
			return err
		}
		if err := s.Append(t, rows); err != nil {
			return err
		}
		return putRecord(t, r)
	})
}

// DeleteEndpoint implements notify.Store. Waiting deliveries stay in the queue; the worker finds
// the endpoint gone.
func (s *Store) DeleteEndpoint(ctx context.Context, account, id string) error {
	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		n, err := t.Exec("DELETE FROM webhook_endpoints WHERE id = $1 AND account = $2", id, account)
		if err == nil && n == 0 {
			return fault.NotFound("webhook endpoint")
		}
		return err
	})
}

// deliveryColumns are the columns that scanDelivery reads, in its order. The body is left out,
// because lists do not need it.
const deliveryColumns = `id, account, mode, endpoint, event, event_type, attempt, status, http_status,
	answer, error, duration_ms, at, next_at, request, test, redelivery`

// scanDelivery reads one row of deliveryColumns. more are the destinations of further columns. No
// row is fault.NotFound.
func scanDelivery(row sqldb.Scanner, more ...any) (notify.Delivery, error) {
	var (
		d              notify.Delivery
		request        string
		at, next, test int64
	)
	into := append([]any{&d.ID, &d.Account, &d.Mode, &d.Endpoint, &d.Event, &d.EventType, &d.Attempt, &d.Status, &d.HTTPStatus,
		&d.Answer, &d.Error, &d.DurationMs, &at, &next, &request, &test, &d.Redelivery}, more...)
	if err := row.Scan(into...); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return d, fault.NotFound("delivery")
		}
		return d, err
	}

	if request != "" {
		if err := json.Unmarshal([]byte(request), &d.Request); err != nil {
			return notify.Delivery{}, sqldb.Damaged("delivery", d.ID, err)
		}
	}
	d.At, d.NextAt, d.Test = sqldb.FromMicros(at), sqldb.FromMicros(next), test == 1
	return d, nil
}

// RecordDelivery implements notify.Store. A final outcome of an event at an endpoint resolves what
// was parked of it before. Only the first failure after a success, and the first success after a
// failure, change the endpoint; other outcomes change and lock nothing there. A pending delivery
// never replaces a stored one, because its try may have ended by then.
func (s *Store) RecordDelivery(ctx context.Context, d notify.Delivery, r *idempotency.Record) error {
	return s.write(ctx, nil, func(t *sqldb.Tx) error {
		err := putDelivery(
			t,
			d,
			` ON CONFLICT (id) DO UPDATE SET attempt = excluded.attempt, status = excluded.status, http_status = excluded.http_status,
				answer = excluded.answer, error = excluded.error, duration_ms = excluded.duration_ms, at = excluded.at,
				next_at = excluded.next_at, body = excluded.body, unresolved = excluded.unresolved, request = excluded.request
			WHERE excluded.status <> 'pending' AND webhook_deliveries.account = excluded.account`,
		)
		if err != nil {
			return err
		}

		if err := putHealth(t, d); err != nil {
			return err
		}
		return putRecord(t, r)
	})
}

// putHealth records what a try shows about its endpoint: since when it has been failing. It ignores
// tries that were not sent, and tests. A disabled endpoint does not begin to fail.
func putHealth(t *sqldb.Tx, d notify.Delivery) (err error) {
	switch {
	case !d.Request.Sent() || d.Test:
	case d.Status == notify.Succeeded:
		_, err = t.Exec(
			"UPDATE webhook_endpoints SET failing_since = 0, revision = revision + 1 WHERE id = $1 AND failing_since <> 0",
			d.Endpoint,
		)
	default:
		_, err = t.Exec(
			"UPDATE webhook_endpoints SET failing_since = $1, revision = revision + 1 WHERE id = $2 AND failing_since = 0 AND disabled_at = 0",
			sqldb.Micros(d.At),
			d.Endpoint,
		)
	}
	return err
}

// putDelivery writes a delivery. onConflict is the SQL clause for an id that exists. A parked
// delivery is unresolved until a later delivery of the same event to the same endpoint succeeds or
// is parked in its place. Tests are never unresolved.
func putDelivery(t *sqldb.Tx, d notify.Delivery, onConflict string) error {
	unresolved, test, request := 0, 0, ""
	switch {
	case d.Test:
		test = 1
	case d.Status == notify.DeadLetter:
		unresolved = 1
	}

	if d.Request.Sent() {
		raw, err := json.Marshal(d.Request)
		if err != nil {
			return err
		}
		request = string(raw)
	}
	// What was parked of this event before is settled by this outcome.
	if d.Status == notify.Succeeded || d.Status == notify.DeadLetter {
		if _, err := t.Exec("UPDATE webhook_deliveries SET unresolved = 0 WHERE unresolved = 1 AND event = $1 AND endpoint = $2", d.Event,
			d.Endpoint); err != nil {
			return err
		}
	}

	_, err := t.Exec(`INSERT INTO webhook_deliveries (`+deliveryColumns+`, body, unresolved)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19)`+onConflict,
		d.ID, d.Account, d.Mode, d.Endpoint, d.Event, d.EventType, d.Attempt, string(d.Status), d.HTTPStatus,
		d.Answer, d.Error, d.DurationMs, sqldb.Micros(d.At), sqldb.Micros(d.NextAt), request, test, d.Redelivery,
		base64.StdEncoding.EncodeToString(d.SealedBody), unresolved)
	return err
}

// Deliveries implements notify.Store. It leaves out the bodies.
func (s *Store) Deliveries(ctx context.Context, account, endpoint string, q notify.DeliveryQuery) ([]notify.Delivery, error) {
	var w sqldb.Where
	w.Add("endpoint = ?", endpoint)
	w.Add("account = ?", account)
	w.AddIf(q.Status != "", "status = ?", string(q.Status))
	w.AddIf(q.EventType != "", "event_type = ?", q.EventType)
	w.AddIf(!q.From.IsZero(), "at >= ?", sqldb.Micros(q.From))
	w.AddIf(!q.To.IsZero(), "at < ?", sqldb.Micros(q.To))
	w.AddIf(q.Before != "", "id < ?", q.Before)

	rows, err := s.db.Query(ctx, "SELECT "+deliveryColumns+" FROM webhook_deliveries"+w.SQL()+
		" ORDER BY id DESC LIMIT "+strconv.Itoa(q.Limit), w.Args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()

	var list []notify.Delivery
	for rows.Next() {
		d, err := scanDelivery(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}

	return list, rows.Err()
}

// Delivery implements notify.Store. It includes the sealed body.
func (s *Store) Delivery(ctx context.Context, account, id string) (notify.Delivery, error) {
	return scanWholeDelivery(
		s.db.Lookup(ctx, "SELECT "+deliveryColumns+", body FROM webhook_deliveries WHERE id = $1 AND account = $2", id, account),
	)
}

// scanWholeDelivery reads one row of deliveryColumns and the body.
func scanWholeDelivery(row sqldb.Scanner) (notify.Delivery, error) {
	var body string
	d, err := scanDelivery(row, &body)
	if err != nil {
		return d, err
	}
	if d.SealedBody, err = fromBase64(body); err != nil {
		return notify.Delivery{}, sqldb.Damaged("delivery", d.ID, err)
	}
	return d, nil
}

// pruneDeliveries deletes the oldest deliveries, a bounded number of them, whatever their status.
const pruneDeliveries = "DELETE FROM webhook_deliveries WHERE id IN (SELECT id FROM webhook_deliveries WHERE at < $1 ORDER BY at LIMIT $2)"

// PruneDeliveries implements notify.Store.
func (s *Store) PruneDeliveries(ctx context.Context, before time.Time, limit int) (removed int, err error) {
	return s.prune(ctx, pruneDeliveries, before, limit)
}

// countParked leaves out the deliveries of deleted endpoints.
const countDeadLetters = `SELECT COUNT(*) FROM webhook_deliveries d WHERE d.unresolved = 1
	AND EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.id = d.endpoint)`

// CountDeadLetters returns the number of events of the last DeliveryLife that were given up for an
// endpoint, neither delivered since nor with the endpoint deleted. It reads only their index. It
// is for metrics.
func (s *Store) CountDeadLetters(ctx context.Context) (int64, error) {
	var n int64
	err := s.db.Lookup(ctx, countDeadLetters).Scan(&n)
	return n, err
}
