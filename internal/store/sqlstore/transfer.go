package sqlstore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/archive"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// The functions below move a store into another, or out of one; package archive defines the
// order. The walks read events, links and payments.

// NotifyConsumer is the consumer of the feed that queues webhooks.
const NotifyConsumer = "notify"

// EachMerchant implements archive.Source. Accounts come first, because users, keys and endpoints
// name them.
func (s *Store) EachMerchant(ctx context.Context, visit func(archive.Merchant) error) error {
	ids, err := s.ids(ctx, "SELECT id FROM accounts ORDER BY id")
	if err != nil {
		return err
	}
	for _, id := range ids {
		a, err := s.readAccount(ctx, id)
		if err == nil {
			err = visit(archive.Merchant{Account: &a})
		}
		if err != nil {
			return err
		}
	}

	if err := eachRow(ctx, s, "SELECT "+userColumns+" FROM users ORDER BY id", scanUser, func(u merchant.User) error {
		return visit(archive.Merchant{User: &u})
	}); err != nil {
		return err
	}
	if err := eachRow(ctx, s, "SELECT "+keyColumns+" FROM api_keys ORDER BY id", scanKey, func(k merchant.Key) error {
		return visit(archive.Merchant{Key: &k})
	}); err != nil {
		return err
	}
	if err := eachRow(ctx, s, "SELECT "+sessionColumns+" FROM sessions ORDER BY id", scanSession, func(n merchant.Session) error {
		return visit(archive.Merchant{Session: &n})
	}); err != nil {
		return err
	}
	if err := eachRow(ctx, s, "SELECT "+guardColumns+" FROM guards ORDER BY user_id", scanGuard, func(g merchant.Guard) error {
		return visit(archive.Merchant{Guard: &archive.Guard{Guard: g, Revision: g.Revision}})
	}); err != nil {
		return err
	}
	if err := eachRow(ctx, s, "SELECT "+tokenColumns+" FROM tokens ORDER BY hash", scanToken, func(k merchant.Token) error {
		return visit(archive.Merchant{Token: &k})
	}); err != nil {
		return err
	}
	if err := eachRow(ctx, s, "SELECT "+endpointColumns+" FROM webhook_endpoints ORDER BY id", scanEndpoint, func(e notify.Endpoint) error {
		return visit(archive.Merchant{Endpoint: &e})
	}); err != nil {
		return err
	}

	if err := eachRow(ctx, s, "SELECT "+deliveryColumns+", body FROM webhook_deliveries ORDER BY id", scanWholeDelivery,
		func(d notify.Delivery) error { return visit(archive.Merchant{Delivery: &d}) }); err != nil {
		return err
	}
	return eachRow(ctx, s, "SELECT count, doc FROM activity ORDER BY at, id", scanActivity, func(e activity.Event) error {
		return visit(archive.Merchant{Activity: &e})
	})
}

// ids returns the ids of a query with one column. They are read to the end first, so that no reader
// is open while each object is read.
func (s *Store) ids(ctx context.Context, query string) (ids []string, err error) {
	err = eachRow(ctx, s, query, func(row sqldb.Scanner) (id string, err error) { return id, row.Scan(&id) }, func(id string) error {
		ids = append(ids, id)
		return nil
	})
	return ids, err
}

// eachRow calls visit for each row of a query, as scan reads it. The first error of either ends the
// walk and is returned; nothing is skipped.
func eachRow[T any](ctx context.Context, s *Store, query string, scan func(sqldb.Scanner) (T, error), visit func(T) error) error {
	rows, err := s.db.Query(ctx, query)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return err
		}
		if err := visit(v); err != nil {
			return err
		}
	}

	return rows.Err()
}

// EachRecord implements archive.Source. Records are read in the order of their key.
func (s *Store) EachRecord(ctx context.Context, visit func(idempotency.Record) error) error {
	return eachRow(ctx, s, "SELECT "+recordColumns+" FROM idempotency ORDER BY scope, key", scanRecord, visit)
}

// FeedPosition implements archive.Source.
func (s *Store) FeedPosition(ctx context.Context) (int64, error) {
	return s.Checkpoint(ctx, NotifyConsumer)
}

// Empty implements archive.Sink. It checks the tables that an archive fills, one row each.
func (s *Store) Empty(ctx context.Context) (bool, error) {
	for _, table := range []string{"accounts", "links", "forms", "payments", "events", "idempotency",
		"fraud_rules", "fraud_rule_versions", "fraud_list_entries", "fraud_policies", "fraud_models"} {
		var one int
		err := s.db.QueryRow(ctx, "SELECT 1 FROM "+table+" LIMIT 1").Scan(&one)
		if !errors.Is(err, sql.ErrNoRows) {
			return false, err
		}
	}
	return true, nil
}

// LoadMerchants implements archive.Sink. The list is one commit. What exists stays unchanged, so a
// load that was interrupted can be repeated.
func (s *Store) LoadMerchants(ctx context.Context, list []archive.Merchant) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		for _, m := range list {
			if err := loadMerchant(t, m); err != nil {
				return err
			}
		}
		return nil
	})
}

// loadMerchant inserts the one part of m that is set. A user's logins are inserted in every
// spelling that it may type: user name, address as stored, and canonical address.
func loadMerchant(t *sqldb.Tx, m archive.Merchant) error {
	switch {
	case m.Account != nil:
		return putAccount(t, *m.Account, " ON CONFLICT (id) DO NOTHING")
	case m.User != nil:
		u := m.User
		for _, login := range []string{u.Username, u.Email, merchant.LoginKey(u.Email)} {
			if _, err := t.Exec("INSERT INTO logins (login, user_id) VALUES ($1, $2) ON CONFLICT (login) DO NOTHING", login, u.ID); err != nil {
				return err
			}
		}
		return putUser(t, *u, " ON CONFLICT (id) DO NOTHING")
	case m.Key != nil:
		return putKey(t, *m.Key, " ON CONFLICT (id) DO NOTHING")
	case m.Session != nil:
		return putSession(t, *m.Session, " ON CONFLICT (id) DO NOTHING")
	case m.Guard != nil:
		return loadGuard(t, *m.Guard)
	case m.Token != nil:
		_, err := putToken(t, *m.Token)
		return err
	case m.Endpoint != nil:
		_, err := putEndpoint(t, *m.Endpoint)
		return err
	case m.Delivery != nil:
		return putDelivery(t, *m.Delivery, " ON CONFLICT (id) DO NOTHING")
	case m.Activity != nil:
		return putActivity(t, []activity.Event{*m.Activity})
	}

	return nil
}

// loadGuard inserts the sign-in settings with their revision.
func loadGuard(t *sqldb.Tx, g archive.Guard) error {
	doc, sum, err := sqldb.Encode(g.Guard)
	if err != nil {
		return err
	}
	_, err = t.Exec(
		"INSERT INTO guards ("+guardColumns+") VALUES ($1, $2, $3, $4) ON CONFLICT (user_id) DO NOTHING",
		g.Guard.User,
		doc,
		sum,
		g.Revision,
	)
	return err
}

// LoadLinks implements archive.Sink. A link that has ended is not seen by the sweep; any other is,
// and a link with reserved uses is marked as held when its end comes.
func (s *Store) LoadLinks(ctx context.Context, list []link.Link) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		for _, l := range list {
			doc, sum, err := sqldb.Encode(l)
			if err != nil {
				return err
			}

			open := 1
			if l.Ended() {
				open = 0
			}

			if _, err := t.Exec(`INSERT INTO links (id, account, mode, realm, reference, max_uses, uses, reserved, last_payment, expires_at,
				canceled_at, expired_at, paid_at, open, doc, doc_sum) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
				ON CONFLICT (id) DO NOTHING`, l.ID, l.Account, l.Mode, l.Realm, l.Reference, l.MaxUses, l.Uses, l.Reserved, l.LastPayment,
				sqldb.Micros(l.ExpiresAt), sqldb.Micros(l.CanceledAt), sqldb.Micros(l.ExpiredAt), sqldb.Micros(l.PaidAt), open, doc, sum); err != nil {
				return err
			}
		}
		return nil
	})
}

// LoadPayments implements archive.Sink. Payments come without their events, which LoadEvents loads.
func (s *Store) LoadPayments(ctx context.Context, list []payment.Payment) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		for _, p := range list {
			doc, sum, err := sqldb.Encode(p)
			if err != nil {
				return err
			}
			if _, err := insertPayment(t, p, doc, sum); err != nil {
				return err
			}
		}
		return nil
	})
}

// LoadRecords implements archive.Sink. A record that exists stays: idempotency.ErrRaced is no error
// here.
func (s *Store) LoadRecords(ctx context.Context, list []idempotency.Record) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		for _, r := range list {
			if err := putRecord(t, &r); err != nil && !errors.Is(err, idempotency.ErrRaced) {
				return err
			}
		}
		return nil
	})
}

// LoadEvents implements archive.Sink. Each event gets a new position in this feed and keeps its
// number, and the notifier's checkpoint is placed after the last event that the old notifier had
// handled. An event that exists stays unchanged and moves no checkpoint.
func (s *Store) LoadEvents(ctx context.Context, list []stream.Event, notified int64) error {
	rows, err := feed.Encode(list)
	if err != nil {
		return err
	}

	var accounts []string
	for _, e := range list {
		accounts = append(accounts, e.Account)
	}
	return s.db.Write(ctx, accounts, func(t *sqldb.Tx) error {
		for _, e := range rows {
			position, stored, err := feed.Load(t, e)
			if err == nil && stored && e.Position <= notified {
				_, err = t.Exec(`INSERT INTO checkpoints (consumer, position) VALUES ($1, $2)
					ON CONFLICT (consumer) DO UPDATE SET position = excluded.position WHERE checkpoints.position < excluded.position`, NotifyConsumer, position)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}
