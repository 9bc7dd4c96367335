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
	"github.com/paylink/paylink/internal/store/sqldb"
)

// redeliveryColumns are the stored columns of a bulk redelivery. at_id is its cursor: the last
// delivery that it has queued.
const redeliveryColumns = `id, account, mode, endpoint, status, event_type, since, until, state, reason, total, at_id,
	created_at, updated_at, ended_at, revision`

// redeliveryTallies counts a redelivery's first tries by their own index.
const redeliveryTallies = `,
	(SELECT COUNT(*) FROM webhook_deliveries d WHERE d.redelivery = r.id AND d.redelivery <> '' AND d.status = 'pending'),
	(SELECT COUNT(*) FROM webhook_deliveries d WHERE d.redelivery = r.id AND d.redelivery <> '' AND d.status = 'succeeded'),
	(SELECT COUNT(*) FROM webhook_deliveries d WHERE d.redelivery = r.id AND d.redelivery <> '' AND d.status IN ('failed', 'parked'))`

// selectRedelivery selects the columns that scanRedelivery reads, in its order.
const selectRedelivery = "SELECT " + redeliveryColumns + redeliveryTallies + " FROM webhook_redeliveries r"

// scanRedelivery reads one row of selectRedelivery. No row is fault.NotFound. The tallies are
// counted by the query, so they are as current as the deliveries.
func scanRedelivery(row sqldb.Scanner) (notify.Redelivery, error) {
	var (
		r                                     notify.Redelivery
		since, until, created, updated, ended int64
	)
	err := row.Scan(&r.ID, &r.Account, &r.Mode, &r.Endpoint, &r.Filter.Status, &r.Filter.EventType, &since, &until, &r.State, &r.Reason,
		&r.Total, &r.Cursor, &created, &updated, &ended, &r.Revision, &r.Pending, &r.Succeeded, &r.Failed)
	if errors.Is(err, sql.ErrNoRows) {
		return r, fault.NotFound("redelivery")
	}

	r.Filter.From, r.Filter.To = sqldb.FromMicros(since), sqldb.FromMicros(until)
	r.CreatedAt, r.UpdatedAt, r.EndedAt = sqldb.FromMicros(created), sqldb.FromMicros(updated), sqldb.FromMicros(ended)
	return r, err
}

// redelivered returns the condition for the deliveries of a bulk redelivery: an event's newest,
// made before the redelivery and not by it, with the status and within the time of its filter.
// Tests and deliveries without a body are left out.
func redelivered(r notify.Redelivery) *sqldb.Where {
	var w sqldb.Where
	w.Add("d.endpoint = ?", r.Endpoint)
	w.Add("d.account = ?", r.Account)
	w.Add("d.status = ?", string(r.Filter.Status))
	w.Add("d.id < ?", r.Boundary())
	w.Add("d.redelivery <> ?", r.ID)
	w.Add("d.test = 0 AND d.body <> ''")
	w.AddIf(r.Filter.EventType != "", "d.event_type = ?", r.Filter.EventType)
	w.AddIf(!r.Filter.From.IsZero(), "d.at >= ?", sqldb.Micros(r.Filter.From))
	w.AddIf(!r.Filter.To.IsZero(), "d.at < ?", sqldb.Micros(r.Filter.To))
	w.Add("NOT EXISTS (SELECT 1 FROM webhook_deliveries n WHERE n.endpoint = d.endpoint AND n.event = d.event AND n.id > d.id)")
	return &w
}

// CountRedelivery implements notify.RedeliveryStore. The count stops at limit.
func (s *Store) CountRedelivery(ctx context.Context, r notify.Redelivery, limit int64) (n int64, err error) {
	w := redelivered(r)
	err = s.db.QueryRow(
		ctx,
		"SELECT COUNT(*) FROM (SELECT 1 FROM webhook_deliveries d"+w.SQL()+" LIMIT "+strconv.FormatInt(limit, 10)+") AS found",
		w.Args...).Scan(
		&n,
	)
	return n, err
}

// CreateRedelivery implements notify.RedeliveryStore. A unique index allows one running redelivery
// for each endpoint. If the insert finds a row, the id shows whether it is this same one (a
// repetition, which succeeds) or another (redelivery_running).
func (s *Store) CreateRedelivery(ctx context.Context, r notify.Redelivery, record *idempotency.Record) error {
	r.Revision = 1
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		n, err := t.Exec(`INSERT INTO webhook_redeliveries (`+redeliveryColumns+`)
			VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16) ON CONFLICT DO NOTHING`,
			r.ID, r.Account, r.Mode, r.Endpoint, string(r.Filter.Status), r.Filter.EventType, sqldb.Micros(r.Filter.From), sqldb.Micros(r.Filter.To),
			string(r.State), r.Reason, r.Total, r.Cursor, sqldb.Micros(r.CreatedAt), sqldb.Micros(r.UpdatedAt), sqldb.Micros(r.EndedAt), r.Revision)
		if err != nil {
			return err
		}
		if n == 0 { // this same redelivery is already stored, or another one is running
			var there int
			err := t.Row("SELECT 1 FROM webhook_redeliveries WHERE id = $1", r.ID).Scan(&there)
			if errors.Is(err, sql.ErrNoRows) {
				return notify.RedeliveryRunning()
			}
			return err
		}
		return putRecord(t, record)
	})
}

// Redelivery implements notify.RedeliveryStore. One of another account is fault.NotFound.
func (s *Store) Redelivery(ctx context.Context, account, id string) (notify.Redelivery, error) {
	return scanRedelivery(s.db.Lookup(ctx, selectRedelivery+" WHERE r.id = $1 AND r.account = $2", id, account))
}

// Redeliveries implements notify.RedeliveryStore, newest id first, strictly older than before.
func (s *Store) Redeliveries(ctx context.Context, account, endpoint, before string, limit int) ([]notify.Redelivery, error) {
	var w sqldb.Where
	w.Add("r.endpoint = ?", endpoint)
	w.Add("r.account = ?", account)
	w.AddIf(before != "", "r.id < ?", before)
	return s.redeliveries(ctx, selectRedelivery+w.SQL()+" ORDER BY r.id DESC LIMIT "+strconv.Itoa(limit), w.Args...)
}

// RunningRedeliveries implements notify.RedeliveryStore, across all accounts, by id.
func (s *Store) RunningRedeliveries(ctx context.Context, after string, limit int) ([]notify.Redelivery, error) {
	return s.redeliveries(ctx, selectRedelivery+" WHERE r.state = 'running' AND r.id > $1 ORDER BY r.id LIMIT "+strconv.Itoa(limit), after)
}

// redeliveries returns the rows of a query of selectRedelivery.
func (s *Store) redeliveries(ctx context.Context, query string, args ...any) (list []notify.Redelivery, err error) {
	rows, err := s.db.Query(ctx, query, args...)
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

// RedeliveryPage implements notify.RedeliveryStore. It continues after the cursor, oldest first,
// with the bodies.
func (s *Store) RedeliveryPage(ctx context.Context, r notify.Redelivery, limit int) (list []notify.Delivery, err error) {
	w := redelivered(r)
	w.AddIf(r.Cursor != "", "d.id > ?", r.Cursor)
	rows, err := s.db.Query(
		ctx,
		"SELECT "+deliveryColumns+", body FROM webhook_deliveries d"+w.SQL()+" ORDER BY d.id LIMIT "+strconv.Itoa(limit),
		w.Args...)
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

// UpdateRedelivery implements notify.RedeliveryStore. The cursor and the deliveries that it passed
// are one commit: after a crash the redelivery continues behind them. It returns notify.ErrConflict
// if the revision differs. A pending delivery whose try has already ended is left unchanged.
func (s *Store) UpdateRedelivery(ctx context.Context, r notify.Redelivery, pending []notify.Delivery) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		n, err := t.Exec(`UPDATE webhook_redeliveries SET state = $1, reason = $2, at_id = $3, updated_at = $4, ended_at = $5,
			revision = revision + 1 WHERE id = $6 AND account = $7 AND revision = $8`,
			string(r.State), r.Reason, r.Cursor, sqldb.Micros(r.UpdatedAt), sqldb.Micros(r.EndedAt), r.ID, r.Account, r.Revision)
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

// PruneRedeliveries implements notify.RedeliveryStore. The deliveries that it made stay.
func (s *Store) PruneRedeliveries(ctx context.Context, before time.Time, limit int) (removed int, err error) {
	return s.prune(ctx, `DELETE FROM webhook_redeliveries WHERE id IN
		(SELECT id FROM webhook_redeliveries WHERE created_at < $1 ORDER BY created_at LIMIT $2)`, before, limit)
}
