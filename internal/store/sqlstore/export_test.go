package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// LimitPages keeps the file from growing beyond so many pages (or beyond what it
// has), as a full disk does.
func (s *Store) LimitPages(ctx context.Context, pages int) error {
	return s.write(ctx, nil, func(t *tx) error {
		var now int
		return t.row(fmt.Sprintf("PRAGMA max_page_count(%d)", pages)).Scan(&now)
	})
}

// AppendEvents writes the events, each in its account, in one transaction that
// was declared for the accounts. Between is called after each of them.
func (s *Store) AppendEvents(ctx context.Context, accounts []string, events []stream.Event, between func(i int)) error {
	return s.write(ctx, accounts, func(t *tx) error {
		for i, e := range events {
			rows, err := encodeEvents([]stream.Event{e})
			if err != nil {
				return err
			}
			if err := appendEvents(t, rows); err != nil {
				return err
			}
			if between != nil {
				between(i)
			}
		}
		return nil
	})
}

// WriterSetting is a setting of a session that writes.
func (s *Store) WriterSetting(ctx context.Context, name string) (value string, err error) {
	err = s.write(ctx, nil, func(t *tx) error { return t.row("SELECT current_setting($1)", name).Scan(&value) })
	return value, err
}

// Waiting counts the commits in the queue of the account's writer.
func (s *Store) Waiting(account string) int { return len(s.writerFor([]string{account}).queue) }

// Plan is how the engine would answer the queries of the metrics and of pruning.
func (s *Store) Plan(ctx context.Context) (string, error) {
	var plan string
	for query, args := range map[string][]any{countParked: nil, pruneDeliveries: {1, 1}, pruneSessions: {1, 1},
		pruneMails: {1, 1}, mailQueue.rows() + " AND due_at <= $1 ORDER BY due_at LIMIT 10": {1}, countParkedMails: nil, countDueMails: {1}} {
		rows, err := s.read.QueryContext(ctx, "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			return "", err
		}
		for rows.Next() {
			var id, parent, unused int
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return "", errors.Join(err, rows.Close())
			}
			plan += detail + "\n"
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return "", err
		}
	}
	return plan, nil
}

// TrimFeed leaves the newest events, as a feed does that does not keep them for ever.
func (s *Store) TrimFeed(ctx context.Context, left int) error {
	return s.write(ctx, nil, func(t *tx) error {
		_, err := t.exec("DELETE FROM events WHERE position NOT IN (SELECT position FROM events ORDER BY position DESC LIMIT $1)", left)
		return err
	})
}

// FromMemory gives what consumers read of the feed without the file, and FromFile the
// same from the file.
func (s *Store) FromMemory(position int64) []stream.Event {
	return s.recent.after(position, batchEvents)
}

// FromFile reads the feed from the file.
func (s *Store) FromFile(ctx context.Context, position int64) ([]stream.Event, error) {
	rows, err := s.query(ctx, s.read, "SELECT "+eventColumns+" FROM events WHERE position > $1 ORDER BY position LIMIT "+strconv.Itoa(batchEvents), position)
	if err != nil {
		return nil, err
	}
	return scanEvents(rows)
}

// ReleaseAsBefore gives back a use of the link as the version before did, which knows
// no held links.
func (s *Store) ReleaseAsBefore(ctx context.Context, l, account string) error {
	defer s.links.forget(l)
	return s.write(ctx, []string{account}, func(t *tx) error {
		_, err := t.exec("UPDATE links SET reserved = reserved - 1 WHERE id = $1 AND account = $2 AND reserved > 0", l, account)
		return err
	})
}

// Exec changes what is stored behind the store's back, as damage does.
func (s *Store) Exec(ctx context.Context, query string, args ...any) error {
	return s.write(ctx, nil, func(t *tx) error {
		_, err := t.exec(query, args...)
		return err
	})
}

// WriteBefore22 makes a store of the shape before migration 22, with a payment that is
// due, as that version wrote it.
func WriteBefore22(ctx context.Context, url string, p payment.Payment) error {
	doc, sum, err := encode(p)
	if err != nil {
		return err
	}
	return WriteBefore(ctx, url, 22, `INSERT INTO payments (id, account, mode, link, status, currency, realm, created_at, due_at, revision, doc, doc_sum)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`, p.ID, p.Account, p.Mode, p.Link, string(p.Status.Public()), string(p.Amount.Currency),
		p.Realm, micros(p.CreatedAt), dueMicros(p), p.Revision, doc, sum)
}

// WriteBefore brings a store to the shape before a migration, and runs a statement there.
func WriteBefore(ctx context.Context, url string, migration int64, query string, args ...any) (err error) {
	d, err := dialectOf(url)
	if err != nil {
		return err
	}
	db, err := d.open(false, 1)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	migrations, err := d.provider(db)
	if err != nil {
		return err
	}
	if _, err := migrations.UpTo(ctx, migration-1); err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, query, args...)
	return err
}
