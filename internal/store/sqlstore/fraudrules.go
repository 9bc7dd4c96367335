package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/store/sqldb"
)

var _ rulebook.Store = (*Store)(nil)

// bookLock returns the account that writers of a book declare. The installation's book has one of
// its own.
func bookLock(account string) []string {
	if account == "" {
		return []string{"fraud:installation"}
	}
	return []string{account}
}

// writeBook runs a change of a book, and raises its revision if fn reports a change. Writers of one
// book are serialized by its lock, so fn may count rows and refuse.
func (s *Store) writeBook(ctx context.Context, account, mode string, fn func(t *sqldb.Tx) (changed bool, err error)) error {
	return s.write(ctx, bookLock(account), func(t *sqldb.Tx) error {
		changed, err := fn(t)
		if err != nil || !changed {
			return err
		}

		return touchBook(t, account, mode)
	})
}

// touchBook raises the revision. The row stays locked until the commit, so a reader of a revision
// sees the books of all earlier ones.
func touchBook(t *sqldb.Tx, account, mode string) error {
	var revision int64
	if err := t.Row("UPDATE fraud_revision SET revision = revision + 1 WHERE one = 1 RETURNING revision").Scan(&revision); err != nil {
		return err
	}
	_, err := t.Exec(`INSERT INTO fraud_books (account, mode, revision) VALUES ($1, $2, $3)
		ON CONFLICT (account, mode) DO UPDATE SET revision = excluded.revision`, account, mode, revision)
	return err
}

// FraudBooks implements rulebook.Store. It returns the books that changed after a revision, and the
// present revision, from which the next call continues. Without a change it costs one keyed read.
func (s *Store) FraudBooks(ctx context.Context, after int64) (names []rulebook.Name, revision int64, err error) {
	if err := s.db.Lookup(ctx, "SELECT revision FROM fraud_revision WHERE one = 1").Scan(&revision); err != nil || revision <= after {
		return nil, revision, err
	}
	// A change since then is included now and again in the next reload.
	rows, err := s.db.Query(ctx, "SELECT account, mode FROM fraud_books WHERE revision > $1", after)
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = rows.Close() }()

	for rows.Next() {
		var n rulebook.Name
		if err := rows.Scan(&n.Account, &n.Mode); err != nil {
			return nil, 0, err
		}
		names = append(names, n)
	}

	return names, revision, rows.Err()
}

// FraudBook implements rulebook.Store. Its three parts are read one after the other, not in one
// moment; a change in between raises the revision, so the book is read again.
func (s *Store) FraudBook(ctx context.Context, account, mode string) (b rulebook.Book, err error) {
	if b.Rules, err = s.FraudRules(ctx, account, mode); err != nil {
		return b, err
	}
	if b.Policy, err = s.FraudPolicy(ctx, account, mode); err != nil {
		return b, err
	}

	b.Entries, err = s.listEntries(
		ctx,
		"SELECT id, doc, doc_sum FROM fraud_list_entries WHERE account = $1 AND mode = $2 ORDER BY id",
		account,
		mode,
	)
	return b, err
}

// FraudRules implements rulebook.Store.
func (s *Store) FraudRules(ctx context.Context, account, mode string) ([]rulebook.Rule, error) {
	return documents[rulebook.Rule](
		ctx,
		s,
		"rule",
		"SELECT id, doc, doc_sum FROM fraud_rules WHERE account = $1 AND mode = $2 ORDER BY id",
		account,
		mode,
	)
}

// FraudRuleVersions implements rulebook.Store, newest first. The versions of a deleted rule stay.
func (s *Store) FraudRuleVersions(ctx context.Context, account, mode, id string, limit int) ([]rulebook.Rule, error) {
	return documents[rulebook.Rule](
		ctx,
		s,
		"rule",
		"SELECT id, doc, doc_sum FROM fraud_rule_versions WHERE account = $1 AND mode = $2 AND id = $3 ORDER BY version DESC LIMIT "+strconv.Itoa(
			limit,
		),
		account,
		mode,
		id,
	)
}

// listEntries returns the entries of a query for id, doc and doc_sum.
func (s *Store) listEntries(ctx context.Context, query string, args ...any) ([]rulebook.Entry, error) {
	return documents[rulebook.Entry](ctx, s, "list_entry", query, args...)
}

// documents reads rows of id, doc and doc_sum. object names what they are in the fault of a damaged
// one, which fails the whole read.
func documents[T any](ctx context.Context, s *Store, object, query string, args ...any) ([]T, error) {
	rows, err := s.db.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var list []T

	for rows.Next() {
		var id, doc string
		var sum int64
		if err := rows.Scan(&id, &doc, &sum); err != nil {
			return nil, err
		}
		var v T
		if err := sqldb.Decode(object, id, doc, sum, &v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}

	return list, rows.Err()
}

// FraudPolicy implements rulebook.Store. It returns nil without an error if the book has no policy.
func (s *Store) FraudPolicy(ctx context.Context, account, mode string) (*rulebook.Policy, error) {
	all, err := documents[rulebook.Policy](
		ctx,
		s,
		"policy",
		"SELECT account, doc, doc_sum FROM fraud_policies WHERE account = $1 AND mode = $2",
		account,
		mode,
	)
	if err != nil || len(all) == 0 {
		return nil, err
	}
	return &all[0], nil
}

// PutFraudRule implements rulebook.Store. It looks for the new version first: the same content
// there is a repetition, other content is rulebook.ErrRuleChanged. Then the rule, its version, the
// book's revision and the record are one commit.
func (s *Store) PutFraudRule(ctx context.Context, r rulebook.Rule, expected int, record *idempotency.Record) error {
	doc, sum, err := sqldb.Encode(r)
	if err != nil {
		return err
	}

	return s.writeBook(ctx, r.Account, r.Mode, func(t *sqldb.Tx) (bool, error) {
		var is string
		err := t.Row(
			"SELECT doc FROM fraud_rule_versions WHERE account = $1 AND mode = $2 AND id = $3 AND version = $4",
			r.Account,
			r.Mode,
			r.ID,
			r.Version,
		).Scan(
			&is,
		)
		switch {
		case err == nil && is == doc:
			return false, nil // this same change is already stored
		case err == nil:
			return false, rulebook.ErrRuleChanged
		case !errors.Is(err, sql.ErrNoRows):
			return false, err
		}

		if err := replaceRule(t, r, expected, doc, sum); err != nil {
			return false, err
		}
		return true, putRecord(t, record)
	})
}

// replaceRule writes the rule as the current one, and as a version beside the earlier ones.
// expected is the version that the caller saw; 0 creates the rule. It returns fault.NotFound or
// rulebook.ErrRuleChanged if another version is stored, and rulebook.TooManyRules if the book is
// full. The book's lock is held.
func replaceRule(t *sqldb.Tx, r rulebook.Rule, expected int, doc string, sum int64) error {
	var version int
	err := t.Row("SELECT version FROM fraud_rules WHERE account = $1 AND mode = $2 AND id = $3", r.Account, r.Mode, r.ID).Scan(&version)
	switch {
	case errors.Is(err, sql.ErrNoRows) && expected > 0:
		return fault.NotFound("rule")
	case err != nil && !errors.Is(err, sql.ErrNoRows):
		return err
	case err == nil && version != expected:
		return rulebook.ErrRuleChanged
	}

	builtin := map[bool]int64{true: 1}[r.Builtin]
	if _, err := t.Exec(`INSERT INTO fraud_rules (account, mode, id, version, builtin, doc, doc_sum) VALUES ($1, $2, $3, $4, $5, $6, $7)
		ON CONFLICT (account, mode, id) DO UPDATE SET version = excluded.version, doc = excluded.doc, doc_sum = excluded.doc_sum`,
		r.Account, r.Mode, r.ID, r.Version, builtin, doc, sum); err != nil {
		return err
	}
	// The count follows the insert, in the same transaction: an error undoes it. Built-in rules do
	// not count.
	if expected == 0 && !r.Builtin {
		var n int
		if err := t.Row("SELECT count(*) FROM fraud_rules WHERE account = $1 AND mode = $2 AND builtin = 0", r.Account,
			r.Mode).Scan(&n); err != nil {
			return err
		}
		if n > rulebook.MaxRules {
			return rulebook.TooManyRules()
		}
	}

	return putRuleVersion(t, r, doc, sum)
}

// putRuleVersion adds a version to the history of its rule. A version that exists stays unchanged.
func putRuleVersion(t *sqldb.Tx, r rulebook.Rule, doc string, sum int64) error {
	_, err := t.Exec(`INSERT INTO fraud_rule_versions (account, mode, id, version, doc, doc_sum) VALUES ($1, $2, $3, $4, $5, $6)
		ON CONFLICT (account, mode, id, version) DO NOTHING`, r.Account, r.Mode, r.ID, r.Version, doc, sum)
	return err
}

// DeleteFraudRule implements rulebook.Store. gone is stored as the last version, so the history
// shows the deletion. Without an older current version the result is fault.NotFound, also when the
// call is repeated.
func (s *Store) DeleteFraudRule(ctx context.Context, gone rulebook.Rule) error {
	doc, sum, err := sqldb.Encode(gone)
	if err != nil {
		return err
	}

	return s.writeBook(ctx, gone.Account, gone.Mode, func(t *sqldb.Tx) (bool, error) {
		n, err := t.Exec(
			"DELETE FROM fraud_rules WHERE account = $1 AND mode = $2 AND id = $3 AND version < $4",
			gone.Account,
			gone.Mode,
			gone.ID,
			gone.Version,
		)
		if err != nil {
			return false, err
		}
		if n == 0 {
			return false, fault.NotFound("rule")
		}

		return true, putRuleVersion(t, gone, doc, sum)
	})
}

// FraudListEntries implements rulebook.Store, newest id first, strictly older than before. It
// includes expired entries that are not removed yet.
func (s *Store) FraudListEntries(
	ctx context.Context,
	account, mode string,
	kind rulebook.Kind,
	before string,
	limit int,
) ([]rulebook.Entry, error) {
	var w sqldb.Where
	w.Add("account = ?", account)
	w.Add("mode = ?", mode)
	w.AddIf(kind != "", "kind = ?", string(kind))
	w.AddIf(before != "", "id < ?", before)
	return s.listEntries(
		ctx,
		"SELECT id, doc, doc_sum FROM fraud_list_entries"+w.SQL()+" ORDER BY id DESC LIMIT "+strconv.Itoa(limit),
		w.Args...)
}

// FraudListEntry implements rulebook.Store. An entry of another book is fault.NotFound.
func (s *Store) FraudListEntry(ctx context.Context, account, mode, id string) (rulebook.Entry, error) {
	all, err := s.listEntries(
		ctx,
		"SELECT id, doc, doc_sum FROM fraud_list_entries WHERE account = $1 AND mode = $2 AND id = $3",
		account,
		mode,
		id,
	)
	switch {
	case err != nil:
		return rulebook.Entry{}, err
	case len(all) == 0:
		return rulebook.Entry{}, fault.NotFound("list entry")
	}
	return all[0], nil
}

// PutFraudListEntry implements rulebook.Store. The same entry again changes nothing, and the same
// id with other content replaces it. A value that another entry has is rulebook.ErrEntryExists, and
// a new entry beyond the limit is rulebook.TooManyEntries.
func (s *Store) PutFraudListEntry(ctx context.Context, e rulebook.Entry, record *idempotency.Record) error {
	doc, sum, err := sqldb.Encode(e)
	if err != nil {
		return err
	}

	return s.writeBook(ctx, e.Account, e.Mode, func(t *sqldb.Tx) (bool, error) {
		var id, is string
		err := t.Row(
			"SELECT id, doc FROM fraud_list_entries WHERE account = $1 AND mode = $2 AND kind = $3 AND value = $4",
			e.Account,
			e.Mode,
			string(e.Kind),
			e.Value,
		).Scan(
			&id,
			&is,
		)
		switch {
		case err == nil && id != e.ID:
			return false, rulebook.ErrEntryExists
		case err == nil && is == doc:
			return false, nil // this same entry is already stored
		case err != nil && !errors.Is(err, sql.ErrNoRows):
			return false, err
		}

		fresh := err != nil
		if _, err := t.Exec(`INSERT INTO fraud_list_entries (id, account, mode, kind, value, expires_at, doc, doc_sum) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
			ON CONFLICT (id) DO UPDATE SET expires_at = excluded.expires_at, doc = excluded.doc, doc_sum = excluded.doc_sum
			WHERE fraud_list_entries.account = excluded.account AND fraud_list_entries.mode = excluded.mode`,
			e.ID, e.Account, e.Mode, string(e.Kind), e.Value, sqldb.Micros(e.ExpiresAt), doc, sum); err != nil {
			return false, err
		}

		if fresh {
			var n int
			if err := t.Row("SELECT count(*) FROM fraud_list_entries WHERE account = $1 AND mode = $2", e.Account, e.Mode).Scan(&n); err != nil {
				return false, err
			}
			if n > rulebook.MaxEntries {
				return false, rulebook.TooManyEntries()
			}
		}

		return true, putRecord(t, record)
	})
}

// DeleteFraudListEntry implements rulebook.Store. A missing entry is fault.NotFound.
func (s *Store) DeleteFraudListEntry(ctx context.Context, account, mode, id string) error {
	return s.writeBook(ctx, account, mode, func(t *sqldb.Tx) (bool, error) {
		n, err := t.Exec("DELETE FROM fraud_list_entries WHERE account = $1 AND mode = $2 AND id = $3", account, mode, id)
		if err == nil && n == 0 {
			err = fault.NotFound("list entry")
		}
		return n > 0, err
	})
}

// PutFraudPolicy implements rulebook.Store. It creates the policy or replaces it, without a check
// of the earlier one.
func (s *Store) PutFraudPolicy(ctx context.Context, account, mode string, p rulebook.Policy) error {
	doc, sum, err := sqldb.Encode(p)
	if err != nil {
		return err
	}
	return s.writeBook(ctx, account, mode, func(t *sqldb.Tx) (bool, error) {
		_, err := t.Exec(`INSERT INTO fraud_policies (account, mode, doc, doc_sum) VALUES ($1, $2, $3, $4)
			ON CONFLICT (account, mode) DO UPDATE SET doc = excluded.doc, doc_sum = excluded.doc_sum`, account, mode, doc, sum)
		return true, err
	})
}

// PruneFraudLists implements rulebook.Store. Expired entries match nothing, so no book's revision
// changes.
func (s *Store) PruneFraudLists(ctx context.Context, before time.Time, limit int) (removed int, err error) {
	return s.prune(ctx, `DELETE FROM fraud_list_entries WHERE id IN
		(SELECT id FROM fraud_list_entries WHERE expires_at > 0 AND expires_at < $1 ORDER BY expires_at LIMIT $2)`, before, limit)
}
