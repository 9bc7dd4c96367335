package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing/fstest"

	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// LimitPages keeps the file from growing beyond that many pages (or beyond its present size), as
// a full disk does.
func (s *Store) LimitPages(ctx context.Context, pages int) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		var now int
		return t.Row(fmt.Sprintf("PRAGMA max_page_count(%d)", pages)).Scan(&now)
	})
}

// AppendEvents writes events, each to its account, in one transaction declared for the accounts.
// It calls between after each event.
func (s *Store) AppendEvents(ctx context.Context, accounts []string, events []stream.Event, between func(i int)) error {
	return s.db.Write(ctx, accounts, func(t *sqldb.Tx) error {
		for i, e := range events {
			rows, err := feed.Encode([]stream.Event{e})
			if err != nil {
				return err
			}
			if err := s.Append(t, rows); err != nil {
				return err
			}
			if between != nil {
				between(i)
			}
		}
		return nil
	})
}

// WriterSetting returns a setting of a session that writes.
func (s *Store) WriterSetting(ctx context.Context, name string) (value string, err error) {
	err = s.db.Write(ctx, nil, func(t *sqldb.Tx) error { return t.Row("SELECT current_setting($1)", name).Scan(&value) })
	return value, err
}

// Waiting returns the number of commits queued at the account's writer.
func (s *Store) Waiting(account string) int { return s.db.Waiting(account) }

// Plan returns the engine's plans for the queries of metrics and pruning.
func (s *Store) Plan(ctx context.Context) (string, error) {
	var plan string
	for query, args := range map[string][]any{countDeadLetters: nil, pruneDeliveries: {1, 1}, pruneSessions: {1, 1},
		pruneMails: {1, 1}, mailQueue.rows() + " AND due_at <= $1 ORDER BY due_at LIMIT 10": {1}, countDeadMails: nil, countDueMails: {1}} {
		rows, err := s.db.Query(ctx, "EXPLAIN QUERY PLAN "+query, args...)
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

// ReleaseAsBefore releases a use of the link as the previous version did, which knows no held
// links.
func (s *Store) ReleaseAsBefore(ctx context.Context, l, account string) error {
	defer s.links.forget(l)
	return s.db.Write(ctx, []string{account}, func(t *sqldb.Tx) error {
		_, err := t.Exec("UPDATE links SET reserved = reserved - 1 WHERE id = $1 AND account = $2 AND reserved > 0", l, account)
		return err
	})
}

// Exec changes stored data without the store's knowledge, as damage does.
func (s *Store) Exec(ctx context.Context, query string, args ...any) error {
	return s.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		_, err := t.Exec(query, args...)
		return err
	})
}

// WriteBefore22 creates a store in the shape before migration 22, with a due payment as that
// version wrote it.
func WriteBefore22(ctx context.Context, url string, p payment.Payment) error {
	doc, sum, err := sqldb.Encode(p)
	if err != nil {
		return err
	}
	return WriteBefore(
		ctx,
		url,
		22,
		`INSERT INTO payments (id, account, mode, link, status, currency, realm, created_at, due_at, revision, doc, doc_sum)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
		p.ID,
		p.Account,
		p.Mode,
		p.Link,
		string(p.Status.Public()),
		string(p.Amount.Currency),
		p.Realm,
		sqldb.Micros(p.CreatedAt),
		dueMicros(p),
		p.Revision,
		doc,
		sum,
	)
}

// WriteBefore brings a store to the shape before a migration and runs statements there,
// each ended by a semicolon at the end of its line.
func WriteBefore(ctx context.Context, url string, migration int, query string, args ...any) error {
	before := fstest.MapFS{}
	err := fs.WalkDir(migrations, "migrations", func(path string, f fs.DirEntry, err error) error {
		if err != nil || f.IsDir() || f.Name() >= fmt.Sprintf("%04d", migration) {
			return err
		}
		text, err := fs.ReadFile(migrations, path)
		before[strings.TrimPrefix(path, "migrations/")] = &fstest.MapFile{Data: text}
		return err
	})
	if err != nil {
		return err
	}
	src, err := sqldb.NewSource(url, sqldb.Schema{Migrations: before})
	if err != nil {
		return err
	}
	if _, _, err := src.Migrate(ctx); err != nil {
		return err
	}
	db, err := src.Open(ctx)
	if err != nil {
		return err
	}
	err = db.Write(ctx, nil, func(t *sqldb.Tx) error {
		for statement := range strings.SplitSeq(query, ";\n") {
			if _, err := t.Exec(statement, args...); err != nil {
				return err
			}
		}
		return nil
	})
	return errors.Join(err, db.Close())
}
