package feed

import (
	"context"

	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// PutAside records the events that were passed over. Existing records stay unchanged.
func PutAside(t *sqldb.Tx, list []stream.Aside) error {
	for _, a := range list {
		if _, err := t.Exec(`INSERT INTO set_aside (consumer, item, account, position, reason, at) VALUES ($1, $2, $3, $4, $5, $6)
			ON CONFLICT (consumer, item) DO NOTHING`, a.Consumer, a.Item, a.Account, a.Position, a.Reason, sqldb.Micros(a.At)); err != nil {
			return err
		}
	}
	return nil
}

// Asides returns up to limit events that consumers and the relay passed over, oldest first.
func (f *Feed) Asides(ctx context.Context, limit int) (list []stream.Aside, err error) {
	err = f.db.Each(ctx, func(row sqldb.Scanner) error {
		var a stream.Aside
		var at int64
		err := row.Scan(&a.Consumer, &a.Item, &a.Account, &a.Position, &a.Reason, &at)
		a.At = sqldb.FromMicros(at)
		list = append(list, a)
		return err
	}, "SELECT consumer, item, account, position, reason, at FROM set_aside ORDER BY at, consumer, item LIMIT $1", limit)
	return list, err
}

// ForgetAside removes the records of events that were passed over, once an operator has dealt
// with them. It returns how many.
func (f *Feed) ForgetAside(ctx context.Context) (n int64, err error) {
	err = f.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		n, err = t.Exec("DELETE FROM set_aside")
		return err
	})
	return n, err
}
