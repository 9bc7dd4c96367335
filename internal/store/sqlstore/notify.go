package sqlstore

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strconv"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/stream"
)

var _ notify.Store = (*Store)(nil)

const endpointColumns = `id, account, mode, url, events, secret, previous_secret, previous_until,
	disabled_at, disabled_reason, created_at, revision`

func scanEndpoint(row rowScanner) (notify.Endpoint, error) {
	var (
		e                        notify.Endpoint
		events, secret, previous string
		until, disabled, created int64
	)
	if err := row.Scan(&e.ID, &e.Account, &e.Mode, &e.URL, &events, &secret, &previous, &until,
		&disabled, &e.DisabledReason, &created, &e.Revision); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return e, fault.NotFound("webhook endpoint")
		}
		return e, err
	}
	err := json.Unmarshal([]byte(events), &e.Events)
	if err == nil {
		e.SealedSecret, err = fromBase64(secret)
	}
	if err == nil {
		e.PreviousSealedSecret, err = fromBase64(previous)
	}
	if err != nil {
		return notify.Endpoint{}, damaged("webhook endpoint", e.ID, err)
	}
	e.PreviousUntil, e.DisabledAt, e.CreatedAt = fromMicros(until), fromMicros(disabled), fromMicros(created)
	return e, nil
}

// fromBase64 gives nil for the empty text.
func fromBase64(s string) ([]byte, error) {
	if s == "" {
		return nil, nil
	}
	return base64.StdEncoding.DecodeString(s)
}

// CreateEndpoint implements notify.Store.
func (s *Store) CreateEndpoint(ctx context.Context, e notify.Endpoint, r *idempotency.Record) error {
	events, err := json.Marshal(e.Events)
	if err != nil {
		return err
	}
	return s.write(ctx, []string{e.Account}, func(t *tx) error {
		n, err := t.exec(`INSERT INTO webhook_endpoints (`+endpointColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, 1) ON CONFLICT (id) DO NOTHING`,
			e.ID, e.Account, e.Mode, e.URL, string(events), base64.StdEncoding.EncodeToString(e.SealedSecret),
			base64.StdEncoding.EncodeToString(e.PreviousSealedSecret), micros(e.PreviousUntil),
			micros(e.DisabledAt), e.DisabledReason, micros(e.CreatedAt))
		if err != nil || n == 0 {
			return err // 0: this very endpoint is in the store already
		}
		var count int64
		if err := t.row("SELECT count(*) FROM webhook_endpoints WHERE account = $1 AND mode = $2", e.Account, e.Mode).Scan(&count); err != nil {
			return err
		}
		if count > notify.MaxEndpoints {
			return notify.TooManyEndpoints()
		}
		return putRecord(t, r)
	})
}

// Endpoint implements notify.Store.
func (s *Store) Endpoint(ctx context.Context, account, id string) (notify.Endpoint, error) {
	return scanEndpoint(s.queryRow(ctx, "SELECT "+endpointColumns+" FROM webhook_endpoints WHERE id = $1 AND account = $2", id, account))
}

// Endpoints implements notify.Store.
func (s *Store) Endpoints(ctx context.Context, account, mode string) ([]notify.Endpoint, error) {
	rows, err := s.query(ctx, s.read, "SELECT "+endpointColumns+` FROM webhook_endpoints
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

// Owners implements notify.Store.
func (s *Store) Owners(ctx context.Context) ([]notify.Owner, error) {
	rows, err := s.query(ctx, s.read, "SELECT DISTINCT account, mode FROM webhook_endpoints")
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

// UpdateEndpoint implements notify.Store.
func (s *Store) UpdateEndpoint(ctx context.Context, e notify.Endpoint, events []stream.Event, r *idempotency.Record) error {
	subscribed, err := json.Marshal(e.Events)
	if err != nil {
		return err
	}
	rows, err := encodeEvents(events)
	if err != nil {
		return err
	}
	return s.write(ctx, []string{e.Account}, func(t *tx) error {
		n, err := t.exec(`UPDATE webhook_endpoints SET url = $1, events = $2, secret = $3, previous_secret = $4, previous_until = $5,
			disabled_at = $6, disabled_reason = $7, revision = revision + 1 WHERE id = $8 AND account = $9 AND revision = $10`,
			e.URL, string(subscribed), base64.StdEncoding.EncodeToString(e.SealedSecret),
			base64.StdEncoding.EncodeToString(e.PreviousSealedSecret), micros(e.PreviousUntil),
			micros(e.DisabledAt), e.DisabledReason, e.ID, e.Account, e.Revision)
		if err != nil {
			return err
		}
		if n == 0 {
			return notify.ErrConflict
		}
		if err := appendEvents(t, rows); err != nil {
			return err
		}
		return putRecord(t, r)
	})
}

// DeleteEndpoint implements notify.Store.
func (s *Store) DeleteEndpoint(ctx context.Context, account, id string) error {
	return s.write(ctx, nil, func(t *tx) error {
		n, err := t.exec("DELETE FROM webhook_endpoints WHERE id = $1 AND account = $2", id, account)
		if err == nil && n == 0 {
			return fault.NotFound("webhook endpoint")
		}
		return err
	})
}

const deliveryColumns = `id, account, mode, endpoint, event, event_type, attempt, status, http_status,
	answer, error, duration_ms, at, next_at`

func scanDelivery(row rowScanner, more ...any) (notify.Delivery, error) {
	var (
		d        notify.Delivery
		at, next int64
	)
	into := append([]any{&d.ID, &d.Account, &d.Mode, &d.Endpoint, &d.Event, &d.EventType, &d.Attempt, &d.Status, &d.HTTPStatus,
		&d.Answer, &d.Error, &d.DurationMs, &at, &next}, more...)
	if err := row.Scan(into...); err != nil {
		if errors.Is(err, sql.ErrNoRows) {
			return d, fault.NotFound("delivery")
		}
		return d, err
	}
	d.At, d.NextAt = fromMicros(at), fromMicros(next)
	return d, nil
}

// RecordDelivery implements notify.Store.
func (s *Store) RecordDelivery(ctx context.Context, d notify.Delivery, r *idempotency.Record) error {
	return s.write(ctx, nil, func(t *tx) error {
		_, err := t.exec(`INSERT INTO webhook_deliveries (`+deliveryColumns+`, body)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
			ON CONFLICT (id) DO UPDATE SET attempt = excluded.attempt, status = excluded.status, http_status = excluded.http_status,
				answer = excluded.answer, error = excluded.error, duration_ms = excluded.duration_ms, at = excluded.at,
				next_at = excluded.next_at, body = excluded.body
			WHERE excluded.status <> 'pending' AND webhook_deliveries.account = excluded.account`,
			d.ID, d.Account, d.Mode, d.Endpoint, d.Event, d.EventType, d.Attempt, string(d.Status), d.HTTPStatus,
			d.Answer, d.Error, d.DurationMs, micros(d.At), micros(d.NextAt), base64.StdEncoding.EncodeToString(d.SealedBody))
		if err != nil {
			return err
		}
		return putRecord(t, r)
	})
}

// Deliveries implements notify.Store.
func (s *Store) Deliveries(ctx context.Context, account, endpoint, before string, limit int) ([]notify.Delivery, error) {
	var w where
	w.add("endpoint = ?", endpoint)
	w.add("account = ?", account)
	w.addIf(before != "", "id < ?", before)
	rows, err := s.query(ctx, s.read, "SELECT "+deliveryColumns+" FROM webhook_deliveries"+w.sql()+
		" ORDER BY id DESC LIMIT "+strconv.Itoa(limit), w.args...)
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

// Delivery implements notify.Store.
func (s *Store) Delivery(ctx context.Context, account, id string) (notify.Delivery, error) {
	var body string
	d, err := scanDelivery(s.queryRow(ctx, "SELECT "+deliveryColumns+", body FROM webhook_deliveries WHERE id = $1 AND account = $2", id, account), &body)
	if err != nil {
		return d, err
	}
	if d.SealedBody, err = fromBase64(body); err != nil {
		return notify.Delivery{}, damaged("delivery", id, err)
	}
	return d, nil
}
