package sqlstore

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// asides holds the queries that count what is set aside, each with its own index.
var asides = map[string]string{
	"payments": "SELECT COUNT(*) FROM payments WHERE misses >= 5",
	"links":    "SELECT COUNT(*) FROM links WHERE open = 3",
	"events":   "SELECT COUNT(*) FROM set_aside",
}

// CountAside returns the number of payments, links or events that are set aside, for metrics. kind
// must be a key of asides.
func (s *Store) CountAside(ctx context.Context, kind string) (n int64, err error) {
	err = s.db.QueryRow(ctx, asides[kind]).Scan(&n)
	return n, err
}

// RetryAside makes every payment and link that is set aside due now, and returns how many. Events
// stay: they are kept for a person to read. A payment without a due time has ended and stays as
// well.
func (s *Store) RetryAside(ctx context.Context, now time.Time) (n int64, err error) {
	err = s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		n = 0
		for _, query := range []string{
			"UPDATE payments SET misses = 0, due_at = $1 WHERE misses >= 5 AND due_at IS NOT NULL",
			"UPDATE links SET misses = 0, again_at = $1 WHERE open = 3",
		} {
			changed, err := t.Exec(query, sqldb.Micros(now))
			if err != nil {
				return err
			}
			n += changed
		}
		return nil
	})
	return n, err
}

// EachAside calls visit for each payment and link that is set aside, with the number of failed
// tries.
func (s *Store) EachAside(ctx context.Context, visit func(id, account string, misses int64, next time.Time) error) error {
	for _, query := range []string{
		"SELECT id, account, mode, account, COALESCE(due_at, 0), misses FROM payments WHERE misses >= 5 ORDER BY id",
		"SELECT id, account, mode, account, again_at, misses FROM links WHERE open = 3 ORDER BY again_at",
	} {
		rows, err := s.readDue(ctx, query)
		if err != nil {
			return err
		}
		for _, r := range rows {
			if err := visit(r.id, r.account, r.misses, sqldb.FromMicros(r.at)); err != nil {
				return err
			}
		}
	}

	return nil
}

// OldestDue returns the due time of the payment that has waited longest for the sweep, in real
// time, or the zero time if none waits. It is for metrics.
func (s *Store) OldestDue(ctx context.Context) (time.Time, error) {
	var at int64
	err := s.db.QueryRow(ctx, "SELECT COALESCE(MIN(due_at), 0) FROM payments WHERE due_at IS NOT NULL").Scan(&at)
	return sqldb.FromMicros(at), err
}

// The same number is in the statements and in the index of migration 22.
var _ = [1]struct{}{}[payment.AsideAfter-5]
