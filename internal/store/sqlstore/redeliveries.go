package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
)

const redeliveryColumns = `id, account, mode, endpoint, status, event_type, since, until, state, reason, total, at_id,
	created_at, updated_at, ended_at, revision`

// redeliveryTallies count its first tries by their own index.
const redeliveryTallies = `,
	(SELECT COUNT(*) FROM webhook_deliveries d WHERE d.redelivery = r.id AND d.redelivery <> '' AND d.status = 'pending'),
	(SELECT COUNT(*) FROM webhook_deliveries d WHERE d.redelivery = r.id AND d.redelivery <> '' AND d.status = 'succeeded'),
	(SELECT COUNT(*) FROM webhook_deliveries d WHERE d.redelivery = r.id AND d.redelivery <> '' AND d.status IN ('failed', 'parked'))`

const selectRedelivery = "SELECT " + redeliveryColumns + redeliveryTallies + " FROM webhook_redeliveries r"

func scanRedelivery(row rowScanner) (notify.Redelivery, error) {
	var (
		r                                     notify.Redelivery
		since, until, created, updated, ended int64
	)
	err := row.Scan(&r.ID, &r.Account, &r.Mode, &r.Endpoint, &r.Filter.Status, &r.Filter.EventType, &since, &until, &r.State, &r.Reason,
		&r.Total, &r.Cursor, &created, &updated, &ended, &r.Revision, &r.Pending, &r.Succeeded, &r.Failed)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fault.NotFound("redelivery")
	}
	r.Filter.From, r.Filter.To = fromMicros(since), fromMicros(until)
	r.CreatedAt, r.UpdatedAt, r.EndedAt = fromMicros(created), fromMicros(updated), fromMicros(ended)
	return r, err
}

// redelivered is which deliveries a bulk redelivery is about: an event's newest,
// made before it, not its own.
func redelivered(r notify.Redelivery) *where {
	var w where
	w.add("d.endpoint = ?", r.Endpoint)
	w.add("d.account = ?", r.Account)
	w.add("d.status = ?", string(r.Filter.Status))
	w.add("d.id < ?", r.Boundary())
	w.add("d.redelivery <> ?", r.ID)
	w.add("d.test = 0 AND d.body <> ''")
	w.addIf(r.Filter.EventType != "", "d.event_type = ?", r.Filter.EventType)
	w.addIf(!r.Filter.From.IsZero(), "d.at >= ?", micros(r.Filter.From))
	w.addIf(!r.Filter.To.IsZero(), "d.at < ?", micros(r.Filter.To))
	w.add("NOT EXISTS (SELECT 1 FROM webhook_deliveries n WHERE n.endpoint = d.endpoint AND n.event = d.event AND n.id > d.id)")
	return &w
}

// CountRedelivery implements notify.RedeliveryStore.
func (s *Store) CountRedelivery(ctx context.Context, r notify.Redelivery, limit int64) (n int64, err error) {
	w := redelivered(r)
	err = s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM webhook_deliveries d"+w.sql()+" LIMIT "+strconv.FormatInt(limit, 10)+") AS found", w.args...).Scan(&n)
	return n, s.dialect.explain(err)
}

// CreateRedelivery implements notify.RedeliveryStore.
func (s *Store) CreateRedelivery(ctx context.Context, r notify.Redelivery, record *idempotency.Record) error {
	r.Revision = 1
	return s.write(ctx, nil, func(t *tx) error {
		n, err := t.exec(`INSERT INTO webhook_redeliveries (`+redeliveryColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING`,
			r.ID, r.Account, r.Mode, r.Endpoint, string(r.Filter.Status), r.Filter.EventType, micros(r.Filter.From), micros(r.Filter.To),
			string(r.State), r.Reason, r.Total, r.Cursor, micros(r.CreatedAt), micros(r.UpdatedAt), micros(r.EndedAt), r.Revision)
		if err != nil {
			return err
		}
		if n == 0 { // this very one is there already, or another one runs
			var there int
			err := t.row("SELECT 1 FROM webhook_redeliveries WHERE id = $1", r.ID).Scan(&there)
			if errors.Is(err, sql.ErrNoRows) {
				return notify.RedeliveryRunning()
			}
			return err
		}
		return putRecord(t, record)
	})
}

// Redelivery implements notify.RedeliveryStore.
func (s *Store) Redelivery(ctx context.Context, account, id string) (notify.Redelivery, error) {
	return scanRedelivery(s.queryRow(ctx, selectRedelivery+" WHERE r.id = $1 AND r.account = $2", id, account))
}

// Redeliveries implements notify.RedeliveryStore.
func (s *Store) Redeliveries(ctx context.Context, account, endpoint, before string, limit int) ([]notify.Redelivery, error) {
	var w where
	w.add("r.endpoint = ?", endpoint)
	w.add("r.account = ?", account)
	w.addIf(before != "", "r.id < ?", before)
	return s.redeliveries(ctx, selectRedelivery+w.sql()+" ORDER BY r.id DESC LIMIT "+strconv.Itoa(limit), w.args...)
}

// RunningRedeliveries implements notify.RedeliveryStore.
func (s *Store) RunningRedeliveries(ctx context.Context, after string, limit int) ([]notify.Redelivery, error) {
	return s.redeliveries(ctx, selectRedelivery+" WHERE r.state = 'running' AND r.id > $1 ORDER BY r.id LIMIT "+strconv.Itoa(limit), after)
}

func (s *Store) redeliveries(ctx context.Context, query string, args ...any) (list []notify.Redelivery, err error) {
	rows, err := s.query(ctx, s.read, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		r, err := scanRedelivery(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// RedeliveryPage implements notify.RedeliveryStore.
func (s *Store) RedeliveryPage(ctx context.Context, r notify.Redelivery, limit int) (list []notify.Delivery, err error) {
	w := redelivered(r)
	w.addIf(r.Cursor != "", "d.id > ?", r.Cursor)
	rows, err := s.query(ctx, s.read, "SELECT "+deliveryColumns+", body FROM webhook_deliveries d"+w.sql()+" ORDER BY d.id LIMIT "+strconv.Itoa(limit), w.args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		d, err := scanWholeDelivery(rows)
		if err != nil {
			return nil, err
		}
		list = append(list, d)
	}
	return list, rows.Err()
}

// UpdateRedelivery implements notify.RedeliveryStore. A pending delivery whose try
// is over already stays as that left it.
func (s *Store) UpdateRedelivery(ctx context.Context, r notify.Redelivery, pending []notify.Delivery) error {
	return s.write(ctx, nil, func(t *tx) error {
		n, err := t.exec(`UPDATE webhook_redeliveries SET state = $1, reason = $2, at_id = $3, updated_at = $4, ended_at = $5,
			revision = revision + 1 WHERE id = $6 AND account = $7 AND revision = $8`,
			string(r.State), r.Reason, r.Cursor, micros(r.UpdatedAt), micros(r.EndedAt), r.ID, r.Account, r.Revision)
		if err != nil {
			return err
		}
		if n == 0 {
			return notify.ErrConflict
		}
		for _, d := range pending {
			if err := putDelivery(t, d, " ON CONFLICT (id) DO NOTHING"); err != nil {
				return err
			}
		}
		return nil
	})
}

// PruneRedeliveries implements notify.RedeliveryStore.
func (s *Store) PruneRedeliveries(ctx context.Context, before time.Time, limit int) (removed int, err error) {
	return s.prune(ctx, `DELETE FROM webhook_redeliveries WHERE id IN
		(SELECT id FROM webhook_redeliveries WHERE created_at < $1 ORDER BY created_at LIMIT $2)`, before, limit)
}
