package projection

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// OpenAnalyticsSnapshot opens the analytics store beside a store read-only, as it is at this
// moment. If it was never created, it returns fs.ErrNotExist.
func OpenAnalyticsSnapshot(ctx context.Context, store sqldb.Source, path string) (*Analytics, error) {
	own, err := snapshot(ctx, analytics, store, path)
	if err != nil {
		return nil, err
	}
	return &Analytics{follower: own}, nil
}

// Position returns how far the store has followed the feed. If whole is false, it is being
// rebuilt and cannot be audited.
func (a *Analytics) Position(ctx context.Context) (position int64, whole bool, err error) {
	s, err := a.state(ctx)
	return s.Position, s.whole, err
}

// Audit visits every row of a payment, and reports what does not match the rows: columns beside a
// row's JSON, disputes, sums. It must be called on a snapshot, before the other walks, because it
// reads the names of the owners that they need. The order is: the owners, because a snapshot has
// one connection; the rows; the disputes, which are listed by a table of their own; then each table
// of sums.
func (a *Analytics) Audit(ctx context.Context, visit func(history.Row) error) (wrong []string, err error) {
	sums := newDaySums()
	names := map[int64]ownerKey{} // before the rows: a snapshot has one connection
	err = a.own.Each(ctx, func(row sqldb.Scanner) error {
		var id int64
		var key ownerKey
		err := row.Scan(&id, &key.account, &key.mode)
		names[id] = key
		a.names.Store(id, key)
		return err
	}, "SELECT id, account, mode FROM analytics_owners")
	if err != nil {
		return nil, err
	}
	disputes := map[string]string{}
	err = a.own.Each(ctx, func(row sqldb.Scanner) error {
		beside := &beside{row: row}
		one, err := a.scan(ctx, beside)
		if err != nil {
			return err
		}
		if fits, err := beside.fit(one); err != nil || !fits {
			wrong = append(wrong, "I8 analytics: columns of "+one.ID+" differ from its row")
		}
		for _, d := range one.Disputes {
			disputes[d.ID] = disputeText(one, d)
		}
		sums.change(one.owner, one.Row, 1)
		return visit(one.Row)
	}, selectAnalytics)
	if err != nil {
		return nil, err
	}

	more, err := a.auditDisputes(ctx, disputes)
	if err != nil {
		return nil, err
	}
	wrong = append(wrong, more...)
	days := func(key dayKey) string {
		return fmt.Sprintf(
			"%s of %s on %s",
			key.currency,
			names[key.owner].account,
			time.UnixMilli(key.day*dayMillis).UTC().Format(time.DateOnly),
		)
	}

	for _, table := range []func() ([]string, error){
		func() ([]string, error) {
			return compareSums(ctx, a.own, "SELECT owner, day, currency, "+strings.Join(dayColumns, ", ")+" FROM analytics_days", sums.days,
				func(k *dayKey) []any { return []any{&k.owner, &k.day, &k.currency} }, func(v *[14]int64) []int64 { return v[:] }, days)
		},
		func() ([]string, error) {
			return compareSums(ctx, a.own, "SELECT owner, day, band, "+strings.Join(scoreColumns, ", ")+" FROM analytics_scores", sums.scores,
				func(k *scoreKey) []any { return []any{&k.owner, &k.day, &k.band} }, func(v *[5]int64) []int64 { return v[:] },
				func(k scoreKey) string {
					return "scores from " + fmt.Sprint(k.band*scoreBands) + days(dayKey{k.owner, k.day, ""})
				})
		},
		func() ([]string, error) {
			return compareSums(ctx, a.own, "SELECT owner, day, rule, rule_version, action, shadow, currency, "+strings.Join(ruleColumns,
				", ")+" FROM analytics_rules", sums.rules,
				func(k *ruleKey) []any {
					return []any{&k.owner, &k.day, &k.rule, &k.version, &k.action, &k.shadow, &k.currency}
				}, func(v *[4]int64) []int64 { return v[:] },
				func(k ruleKey) string { return "rule " + k.rule + ", " + days(k.dayKey) })
		},
	} {
		more, err := table()
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, more...)
	}

	return wrong, nil
}

// beside is a row whose scan also keeps the columns that are otherwise not read, by their index.
type beside struct {
	row    sqldb.Scanner
	values map[int]any
}

// Scan implements sqldb.Scanner. A destination of type *any marks a column that is skipped.
func (b *beside) Scan(to ...any) error {
	values := make([]any, len(to))
	for i := range to {
		if _, skipped := to[i].(*any); skipped {
			to[i] = &values[i]
		}
	}

	if err := b.row.Scan(to...); err != nil {
		return err
	}
	b.values = map[int]any{}
	for i := range to {
		if _, skipped := to[i].(*any); skipped {
			b.values[i] = values[i]
		}
	}

	return nil
}

// fit reports whether the columns are what the row would be written with. PostgreSQL and SQLite
// return text in different types.
func (b *beside) fit(row analyticsRow) (bool, error) {
	want, err := row.columns()
	if err != nil {
		return false, err
	}
	for i, is := range b.values {
		if text, ok := is.([]byte); ok {
			is = string(text)
		}
		if is != want[i] {
			return false, nil
		}
	}

	return true, nil
}

// disputeText returns the contents of a dispute's row without its number.
func disputeText(row analyticsRow, d payment.Dispute) string {
	return fmt.Sprintf(
		"%q",
		[]any{
			row.owner,
			row.ID,
			string(row.Amount.Currency),
			d.Minor,
			d.Reason,
			d.State,
			d.Reference,
			millis(d.EvidenceDueAt),
			millis(d.CreatedAt),
			millis(d.ClosedAt),
		},
	)
}

// auditDisputes compares the table of disputes with those of the payments' rows, by id. It removes
// from want what it finds.
func (a *Analytics) auditDisputes(ctx context.Context, want map[string]string) (wrong []string, err error) {
	err = a.own.Each(ctx, func(row sqldb.Scanner) error {
		var id, payment, currency, reason, state, reference string
		var owner, minor, due, created, closed int64
		if err := row.Scan(&id, &owner, &payment, &currency, &minor, &reason, &state, &reference, &due, &created, &closed); err != nil {
			return err
		}
		// Both are compared as text, which is the same for both engines.
		if is := fmt.Sprintf("%q", []any{owner, payment, currency, minor, reason, state, reference, due, created, closed}); is != want[id] {
			wrong = append(wrong, "I8 analytics: the row of the dispute "+id+" differs from its payment's")
		}
		delete(want, id)
		return nil
	}, "SELECT id, owner, payment, currency, amount, reason, state, reference, evidence_due_at, created_at, closed_at FROM analytics_disputes")

	for id := range want {
		wrong = append(wrong, "I8 analytics: the dispute "+id+" has no row")
	}

	return wrong, err
}

// EachRefund visits every refund, in no particular order. Call it after Audit.
func (a *Analytics) EachRefund(ctx context.Context, visit func(history.Refund) error) error {
	return a.own.Each(ctx, func(row sqldb.Scanner) error {
		var r history.Refund
		var owner, created, updated int64
		if err := row.Scan(&r.ID, &owner, &r.Payment, &r.Amount.Currency, &r.Amount.Minor, &r.Status, &r.Code, &created, &updated,
			&r.Seq); err != nil {
			return err
		}
		key, err := a.name(ctx, owner)
		if err != nil {
			return err
		}
		r.Account, r.Mode, r.CreatedAt, r.UpdatedAt = key.account, key.mode, fromMillis(created), fromMillis(updated)
		return visit(r)
	}, "SELECT id, owner, payment, currency, amount, status, code, created_at, updated_at, seq FROM analytics_refunds")
}

// EachLink visits every link, in no particular order. Call it after Audit.
func (a *Analytics) EachLink(ctx context.Context, visit func(history.Link) error) error {
	return a.own.Each(ctx, func(row sqldb.Scanner) error {
		var l history.Link
		var owner, created, expires int64
		if err := row.Scan(&l.ID, &owner, &l.Amount.Currency, &l.Amount.Minor, &l.Realm, &l.Reference, &l.State, &created, &expires,
			&l.Seq); err != nil {
			return err
		}
		key, err := a.name(ctx, owner)
		if err != nil {
			return err
		}
		l.Account, l.Mode, l.CreatedAt, l.ExpiresAt = key.account, key.mode, fromMillis(created), fromMillis(expires)
		return visit(l)
	}, "SELECT "+linkColumnsAnalytics+" FROM analytics_links")
}

// compareSums compares the stored sums of a table with those of the rows, and returns a line for
// each difference. query selects the key, then the numbers; key and numbers return where to scan
// them. It removes from want what it finds. A key whose sums are all zero needs no stored row.
func compareSums[K comparable, V any](
	ctx context.Context,
	s *sqldb.DB,
	query string,
	want map[K]*V,
	key func(*K) []any,
	numbers func(*V) []int64,
	name func(K) string,
) (wrong []string, err error) {
	err = s.Each(ctx, func(row sqldb.Scanner) error {
		var k K
		var v V
		to := key(&k)
		for i := range numbers(&v) {
			to = append(to, &numbers(&v)[i])
		}
		if err := row.Scan(to...); err != nil {
			return err
		}

		is := numbers(entry(want, k))
		for i, n := range numbers(&v) {
			if n != is[i] {
				wrong = append(wrong, "I8 analytics: the sums of "+name(k)+" are not those of the rows")
				break
			}
		}
		delete(want, k)
		return nil
	}, query)

	for k, v := range want {
		for _, n := range numbers(v) {
			if n != 0 {
				wrong = append(wrong, "I8 analytics: "+name(k)+" has rows and no sums")
				break
			}
		}
	}

	return wrong, err
}
