package sqlstore

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fraud"
)

// OpenAnalyticsSnapshot opens the analytics store for reading only, as it is at this
// moment. One that was never made is fs.ErrNotExist.
func OpenAnalyticsSnapshot(ctx context.Context, storeURL, path string) (*Analytics, error) {
	d, err := dialectOf(storeURL)
	if err != nil {
		return nil, err
	}
	if _, embedded := d.(sqliteFile); embedded {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
	}
	own, err := snapshotOf(ctx, analyticsDialect(d, path), "analytics_state")
	if err != nil {
		return nil, err
	}
	return &Analytics{own: own, log: slog.New(slog.DiscardHandler)}, nil
}

// Position is how far the store has followed the feed; whole false: it is being made
// anew, and nothing can be held against it.
func (a *Analytics) Position(ctx context.Context) (position int64, whole bool, err error) {
	s, err := a.state(ctx)
	return s.position, s.whole, err
}

// Audit visits every row, and names the sums that are not those of the rows.
func (a *Analytics) Audit(ctx context.Context, visit func(fraud.Row) error) (wrong []string, err error) {
	sums := newDaySums()
	names := map[int64]ownerKey{} // before the rows: a snapshot has one connection
	err = eachReport(ctx, a.own, "SELECT id, account, mode FROM analytics_owners", func(row rowScanner) error {
		var id int64
		var key ownerKey
		err := row.Scan(&id, &key.account, &key.mode)
		names[id] = key
		a.names.Store(id, key)
		return err
	})
	if err != nil {
		return nil, err
	}
	err = eachReport(ctx, a.own, selectAnalytics, func(row rowScanner) error {
		one, err := a.scan(ctx, row)
		if err != nil {
			return err
		}
		sums.change(one.owner, one.Row, 1)
		return visit(one.Row)
	})
	if err != nil {
		return nil, err
	}
	days := func(key dayKey) string {
		return fmt.Sprintf("%s of %s on %s", key.currency, names[key.owner].account, time.UnixMilli(key.day*dayMillis).UTC().Format(time.DateOnly))
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
			return compareSums(ctx, a.own, "SELECT owner, day, rule, rule_version, action, shadow, currency, "+strings.Join(ruleColumns, ", ")+" FROM analytics_rules", sums.rules,
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

// compareSums holds the stored sums of a table to those of the rows.
func compareSums[K comparable, V any](ctx context.Context, s *Store, query string, want map[K]*V, key func(*K) []any, numbers func(*V) []int64, name func(K) string) (wrong []string, err error) {
	err = eachReport(ctx, s, query, func(row rowScanner) error {
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
	})
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
