package sqlstore

import (
	"context"
	"encoding/base64"
	"time"

	"github.com/paylink/paylink/internal/archive"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// EachFraud implements archive.Source: rules, their versions, list entries, then policies.
func (s *Store) EachFraud(ctx context.Context, visit func(archive.Fraud) error) error {
	if err := eachRow(ctx, s, "SELECT id, doc, doc_sum FROM fraud_rules ORDER BY account, mode, id", scanDocument[rulebook.Rule]("rule"),
		func(r rulebook.Rule) error {
			return visit(archive.Fraud{Rule: &r})
		}); err != nil {
		return err
	}
	if err := eachRow(ctx, s, "SELECT id, doc, doc_sum FROM fraud_rule_versions ORDER BY account, mode, id, version",
		scanDocument[rulebook.Rule]("rule"), func(r rulebook.Rule) error {
			return visit(archive.Fraud{Version: &r})
		}); err != nil {
		return err
	}
	if err := eachRow(ctx, s, "SELECT id, doc, doc_sum FROM fraud_list_entries ORDER BY id", scanDocument[rulebook.Entry]("list_entry"),
		func(e rulebook.Entry) error {
			return visit(archive.Fraud{Entry: &e})
		}); err != nil {
		return err
	}
	return eachRow(
		ctx,
		s,
		"SELECT account, mode, doc, doc_sum FROM fraud_policies ORDER BY account, mode",
		scanPolicy,
		func(p archive.Policy) error {
			return visit(archive.Fraud{Policy: &p})
		},
	)
}

// scanDocument returns a scanner of rows with id, doc and doc_sum.
func scanDocument[T any](object string) func(sqldb.Scanner) (T, error) {
	return func(row sqldb.Scanner) (v T, err error) {
		var id, doc string
		var sum int64
		if err = row.Scan(&id, &doc, &sum); err == nil {
			err = sqldb.Decode(object, id, doc, sum, &v)
		}
		return v, err
	}
}

// scanPolicy reads one row of account, mode, doc and doc_sum.
func scanPolicy(row sqldb.Scanner) (p archive.Policy, err error) {
	var doc string
	var sum int64
	if err = row.Scan(&p.Account, &p.Mode, &doc, &sum); err == nil {
		err = sqldb.Decode("policy", p.Account, doc, sum, &p.Policy)
	}
	return p, err
}

// EachModel implements archive.Source. One model's file is in memory at a time.
func (s *Store) EachModel(ctx context.Context, visit func(archive.Model) error) error {
	all, err := s.Models(ctx)
	if err != nil {
		return err
	}
	for _, info := range all {
		file, err := s.Model(ctx, info.Version)
		if err == nil {
			err = visit(archive.Model{Info: info, File: file})
		}
		if err != nil {
			return err
		}
	}

	return nil
}

// LoadFraud implements archive.Sink. The list is one commit. Books that received something count as
// changed, so that the services that follow them reload. What exists stays unchanged.
func (s *Store) LoadFraud(ctx context.Context, list []archive.Fraud) error {
	var locks []string
	for _, f := range list {
		locks = append(locks, bookLock(bookOf(f).Account)...)
	}
	return s.db.Write(ctx, locks, func(t *sqldb.Tx) error {
		changed := map[rulebook.Name]bool{}
		for _, f := range list {
			n, err := loadFraud(t, f)
			if err != nil {
				return err
			}
			if book := bookOf(f); n > 0 && !changed[book] {
				changed[book] = true
				if err := touchBook(t, book.Account, book.Mode); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// bookOf returns the name of the book that f belongs to.
func bookOf(f archive.Fraud) rulebook.Name {
	switch {
	case f.Rule != nil:
		return rulebook.Name{Account: f.Rule.Account, Mode: f.Rule.Mode}
	case f.Version != nil:
		return rulebook.Name{Account: f.Version.Account, Mode: f.Version.Mode}
	case f.Entry != nil:
		return rulebook.Name{Account: f.Entry.Account, Mode: f.Entry.Mode}
	case f.Policy != nil:
		return rulebook.Name{Account: f.Policy.Account, Mode: f.Policy.Mode}
	}
	return rulebook.Name{}
}

// loadFraud inserts the one part of f that is set, and returns how many rows of the current book it
// added. A version adds none, because only current rules decide about payments.
func loadFraud(t *sqldb.Tx, f archive.Fraud) (n int64, err error) {
	var doc string
	var sum int64
	switch {
	case f.Rule != nil:
		r := f.Rule
		if doc, sum, err = sqldb.Encode(*r); err == nil {
			n, err = t.Exec(`INSERT INTO fraud_rules (account, mode, id, version, builtin, doc, doc_sum) VALUES ($1, $2, $3, $4, $5, $6, $7)
				ON CONFLICT (account, mode, id) DO NOTHING`, r.Account, r.Mode, r.ID, r.Version, map[bool]int64{true: 1}[r.Builtin], doc, sum)
		}
	case f.Version != nil:
		if doc, sum, err = sqldb.Encode(*f.Version); err == nil {
			err = putRuleVersion(t, *f.Version, doc, sum) // no payment is judged by it
		}
	case f.Entry != nil:
		e := f.Entry
		if doc, sum, err = sqldb.Encode(*e); err == nil {
			n, err = t.Exec(
				`INSERT INTO fraud_list_entries (id, account, mode, kind, value, expires_at, doc, doc_sum) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
				ON CONFLICT (id) DO NOTHING`,
				e.ID,
				e.Account,
				e.Mode,
				string(e.Kind),
				e.Value,
				sqldb.Micros(e.ExpiresAt),
				doc,
				sum,
			)
		}
	case f.Policy != nil:
		if doc, sum, err = sqldb.Encode(f.Policy.Policy); err == nil {
			n, err = t.Exec(`INSERT INTO fraud_policies (account, mode, doc, doc_sum) VALUES ($1, $2, $3, $4)
				ON CONFLICT (account, mode) DO NOTHING`, f.Policy.Account, f.Policy.Mode, doc, sum)
		}
	}

	return n, err
}

// LoadModel implements archive.Sink. Unlike AddModel it keeps the state and the time of promotion.
func (s *Store) LoadModel(ctx context.Context, m archive.Model) error {
	state, promoted := m.Info.State, m.Info.PromotedAt
	m.Info.State, m.Info.PromotedAt = "", time.Time{}
	doc, sum, err := sqldb.Encode(modelDoc{Info: m.Info, Checksum: checksum(m.File)})
	if err != nil {
		return err
	}

	return s.db.Write(ctx, modelLock, func(t *sqldb.Tx) error {
		_, err := t.Exec(
			`INSERT INTO fraud_models (version, state, trained_at, promoted_at, doc, doc_sum, file) VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (version) DO NOTHING`,
			m.Info.Version,
			state,
			sqldb.Micros(m.Info.TrainedAt),
			sqldb.Micros(promoted),
			doc,
			sum,
			base64.StdEncoding.EncodeToString(m.File),
		)
		return err
	})
}
