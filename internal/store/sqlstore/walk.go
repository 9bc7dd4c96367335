package sqlstore

import (
	"context"
	"errors"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// CountPayments returns the number of payments that have a status, as callers see it, and are not
// at rest, for metrics. For review it returns all.
func (s *Store) CountPayments(ctx context.Context, status string) (n int64, err error) {
	query := "SELECT COUNT(*) FROM payments WHERE status = $1 AND due_at IS NOT NULL"
	if status == string(payment.Review) {
		query = "SELECT COUNT(*) FROM payments WHERE status = $1 AND status = 'review'" // it has a small index of its own
	}
	err = s.db.QueryRow(ctx, query, status).Scan(&n)
	return n, err
}

// CountDue returns the number of payments that the sweep should have taken by now, for metrics.
func (s *Store) CountDue(ctx context.Context, now time.Time) (n int64, err error) {
	err = s.db.QueryRow(ctx, "SELECT COUNT(*) FROM payments WHERE due_at IS NOT NULL AND due_at <= $1", sqldb.Micros(now)).Scan(&n)
	return n, err
}

// Sizes returns how many objects the walks will visit, by kind, for progress reports. It counts
// whole tables, which takes time in proportion to their size.
func (s *Store) Sizes(ctx context.Context) (map[string]int64, error) {
	sizes := map[string]int64{}
	for table, kind := range map[string]string{"accounts": "merchants", "users": "merchants", "api_keys": "merchants", "sessions": "merchants",
		"guards": "merchants", "tokens": "merchants", "webhook_endpoints": "merchants", "webhook_deliveries": "merchants",
		"activity": "merchants", "fraud_rules": "fraud",
		"fraud_rule_versions": "fraud", "fraud_list_entries": "fraud", "fraud_policies": "fraud", "fraud_models": "fraud", "links": "links",
		"forms":    "forms",
		"payments": "payments", "idempotency": "records", "events": "events"} {
		var n int64
		if err := s.db.QueryRow(ctx, "SELECT COUNT(*) FROM "+table).Scan(&n); err != nil {
			return nil, err
		}
		sizes[kind] += n
	}
	return sizes, nil
}

// EachPayment calls visit for every payment, by id. A damaged one is passed as its error; any other
// error ends the walk.
func (s *Store) EachPayment(ctx context.Context, visit func(payment.Payment, error) error) error {
	rows, err := s.db.Query(ctx, "SELECT "+paymentColumns+" FROM payments ORDER BY id")
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

// EachLink calls visit for every link, by id. A damaged one is passed as its error; any other error
// ends the walk.
func (s *Store) EachLink(ctx context.Context, visit func(link.Link, error) error) error {
	rows, err := s.db.Query(ctx, "SELECT "+linkColumns+" FROM links ORDER BY id")
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

// Owner identifies whose balance it is.
type Owner struct {
	Account, Mode string
	Currency      money.Currency
}

// ProjectedBalances returns the projection and the position that it has reached. The two agree in
// a snapshot.
func (s *Store) ProjectedBalances(ctx context.Context) (map[Owner]ledger.Balance, int64, error) {
	var position int64
	if err := s.db.QueryRow(ctx, "SELECT COALESCE(MAX(position), 0) FROM checkpoints WHERE consumer = $1",
		balanceConsumer).Scan(&position); err != nil {
		return nil, 0, err
	}

	rows, err := s.db.Query(ctx, "SELECT account, mode, currency, available, pending FROM balances")
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

// Pages walks the store a page at a time, so that no reader holds back its log. The feed contains
// what is created behind the walk.
type Pages struct{ s *Store }

// walkPage is how many objects are read at once.
const walkPage = 500

// Pages returns the paged walk of a store that is open for writing.
func (s *Store) Pages() Pages { return Pages{s} }

// EachLink calls visit for every link. A damaged one is passed as its error.
func (p Pages) EachLink(ctx context.Context, visit func(link.Link, error) error) error {
	return eachPage(ctx, p.s, "SELECT id, "+linkColumns+" FROM links", scanLink, visit)
}

// EachPayment calls visit for every payment. A damaged one is passed as its error.
func (p Pages) EachPayment(ctx context.Context, visit func(payment.Payment, error) error) error {
	return eachPage(ctx, p.s, "SELECT id, "+paymentColumns+" FROM payments", scanPayment, visit)
}

// eachPage calls visit for each object of a query, walkPage at a time, by id. query's first column
// is the id, and the others are those that scan reads. visit runs while no read is open, so it may
// take long and may write.
func eachPage[T any](ctx context.Context, s *Store, query string, scan func(sqldb.Scanner) (T, error), visit func(T, error) error) error {
	type found struct {
		one    T
		damage error
	}

	for last, n := "", walkPage; n == walkPage; {
		var page []found
		err := s.db.Each(ctx, func(row sqldb.Scanner) error {
			one, err := scan(identified{row, &last})
			var f *fault.Error
			if err != nil && !errors.As(err, &f) {
				return err
			}
			page = append(page, found{one, err})
			return nil
		}, query+" WHERE id > $1 ORDER BY id LIMIT "+strconv.Itoa(walkPage), last)

		if err != nil {
			return err
		}

		for _, f := range page { // after the page's read has ended
			if err := visit(f.one, f.damage); err != nil {
				return err
			}
		}

		n = len(page)
	}
	return nil
}

// identified scans a row whose first column is its id.
type identified struct {
	row sqldb.Scanner
	id  *string
}

// Scan reads the id, then the other columns into to.
func (i identified) Scan(to ...any) error { return i.row.Scan(append([]any{i.id}, to...)...) }
