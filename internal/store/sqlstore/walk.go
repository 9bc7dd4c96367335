package sqlstore

import (
	"context"
	"errors"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// OpenSnapshot opens the store for reading only, as it is at this moment, beside
// processes that may be writing to it. Close ends the snapshot.
func OpenSnapshot(ctx context.Context, url string) (*Store, error) {
	d, err := dialectOf(url)
	if err != nil {
		return nil, err
	}
	return snapshot(ctx, d)
}

func snapshot(ctx context.Context, d dialect) (*Store, error) {
	return snapshotOf(ctx, d, "checkpoints")
}

// snapshotOf is a snapshot whose moment is that of the first read, of a small table.
func snapshotOf(ctx context.Context, d dialect, table string) (*Store, error) {
	db, err := d.open(true, 1)
	if err != nil {
		return nil, err
	}
	if err := checkSchema(ctx, d, db); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	tx, err := db.BeginTx(ctx, d.moment())
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	s := newStore(d)
	s.read = tx
	s.close = func() error {
		_ = tx.Rollback() // there is nothing to keep
		return db.Close()
	}
	var n int64
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// CountPayments counts by status, as callers see it; for metrics.
func (s *Store) CountPayments(ctx context.Context, status string) (n int64, err error) {
	query := "SELECT COUNT(*) FROM payments WHERE status = $1 AND due_at IS NOT NULL"
	if status == string(payment.Review) {
		query = "SELECT COUNT(*) FROM payments WHERE status = $1 AND status = 'review'" // its own small index
	}
	err = s.read.QueryRowContext(ctx, query, status).Scan(&n)
	return n, err
}

// CountDue counts what the sweep should have taken by now; for metrics.
func (s *Store) CountDue(ctx context.Context, now time.Time) (n int64, err error) {
	err = s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM payments WHERE due_at IS NOT NULL AND due_at <= $1", micros(now)).Scan(&n)
	return n, err
}

// Intact asks the engine to check itself and names what it finds.
func (s *Store) Intact(ctx context.Context) ([]string, error) {
	return s.dialect.intact(ctx, s.read)
}

// Sizes are how many objects the walks will visit, by kind: for progress.
func (s *Store) Sizes(ctx context.Context) (map[string]int64, error) {
	sizes := map[string]int64{}
	for table, kind := range map[string]string{"accounts": "merchants", "users": "merchants", "api_keys": "merchants", "sessions": "merchants",
		"guards": "merchants", "tokens": "merchants", "webhook_endpoints": "merchants", "webhook_deliveries": "merchants", "fraud_rules": "fraud",
		"fraud_rule_versions": "fraud", "fraud_list_entries": "fraud", "fraud_policies": "fraud", "fraud_models": "fraud", "links": "links", "forms": "forms",
		"payments": "payments", "idempotency": "records", "events": "events"} {
		var n int64
		if err := s.read.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
			return nil, s.dialect.explain(err)
		}
		sizes[kind] += n
	}
	return sizes, nil
}

// EachPayment visits every payment; one that is damaged is given by its error.
func (s *Store) EachPayment(ctx context.Context, visit func(payment.Payment, error) error) error {
	rows, err := s.query(ctx, s.read, "SELECT "+paymentColumns+" FROM payments ORDER BY id")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		p, err := scanPayment(rows)
		var f *fault.Error
		if err != nil && !errors.As(err, &f) {
			return err
		}
		if err := visit(p, err); err != nil {
			return err
		}
	}
	return rows.Err()
}

// EachLink visits every link; one that is damaged is given by its error.
func (s *Store) EachLink(ctx context.Context, visit func(link.Link, error) error) error {
	rows, err := s.query(ctx, s.read, "SELECT "+linkColumns+" FROM links ORDER BY id")
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		l, err := scanLink(rows)
		var f *fault.Error
		if err != nil && !errors.As(err, &f) {
			return err
		}
		if err := visit(l, err); err != nil {
			return err
		}
	}
	return rows.Err()
}

// EachEvent visits every event in order.
func (s *Store) EachEvent(ctx context.Context, visit func(stream.Event) error) error {
	for position := int64(0); ; {
		events, err := s.eventsAfter(ctx, s.read, position)
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

// Owner of a balance.
type Owner struct {
	Account, Mode string
	Currency      money.Currency
}

// ProjectedBalances is the projection with the position that it has reached; the
// two agree in a snapshot.
func (s *Store) ProjectedBalances(ctx context.Context) (map[Owner]ledger.Balance, int64, error) {
	var position int64
	if err := s.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(position), 0) FROM checkpoints WHERE consumer = $1", balanceConsumer).Scan(&position); err != nil {
		return nil, 0, err
	}
	rows, err := s.query(ctx, s.read, "SELECT account, mode, currency, available, pending FROM balances")
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()
	out := map[Owner]ledger.Balance{}
	for rows.Next() {
		var o Owner
		var available, pending int64
		if err := rows.Scan(&o.Account, &o.Mode, &o.Currency, &available, &pending); err != nil {
			return nil, 0, err
		}
		out[o] = ledger.Balance{Available: money.Of(available, o.Currency), Pending: money.Of(pending, o.Currency)}
	}
	return out, position, rows.Err()
}
