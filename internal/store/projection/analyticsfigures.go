package projection

import (
	"context"
	"math"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// Parameters of the estimate. docs/analytics.md explains it.
const (
	estimateLookback = 365 * 24 * time.Hour // before a period's end: payments let through, with which blocked ones are compared
	estimateMature   = 60 * 24 * time.Hour  // an authorized payment without dispute or label for this long counts as honest
	estimateLeast    = 20                   // payments to compare with, in the same score band
	estimateCovered  = 0.8                  // share of the blocked payments that must have that many
	deviations95     = 1.96
)

// dayMillis is the length of a day of UTC in milliseconds.
const dayMillis = int64(24 * time.Hour / time.Millisecond)

// Figures implements history.Analyst from the sums, so that its cost depends on the number of days.
// The period is widened to whole days of UTC. An account without rows has zero figures.
func (a *Analytics) Figures(ctx context.Context, account, mode string, from, to time.Time) (history.Figures, error) {
	var f history.Figures
	owner, err := a.owner(ctx, account, mode)
	if err != nil || owner == 0 {
		return f, err
	}

	first, end := dayOf(from), dayOf(to.Add(24*time.Hour-time.Millisecond))
	if err := a.days(ctx, &f, owner, first, end); err != nil {
		return f, err
	}
	if err := a.rules(ctx, &f, owner, first, end); err != nil {
		return f, err
	}

	err = a.scores(ctx, &f, owner, first, end, time.Now())
	return f, err
}

// days reads the days of [first, end) with any activity, in order. Sums of several currencies of a
// day are added up, except amounts.
func (a *Analytics) days(ctx context.Context, f *history.Figures, owner, first, end int64) error {
	at := map[int64]int{}
	day := func(n int64) *history.DayFigures {
		i, known := at[n]
		if !known {
			i = len(f.Days)
			at[n] = i
			f.Days = append(f.Days, history.DayFigures{Day: time.UnixMilli(n * dayMillis).UTC()})
		}
		return &f.Days[i]
	}
	// Days with only the shield's counts are inserted in order, so the days are created here,
	// before the sums are read.
	err := a.own.Each(ctx, func(row sqldb.Scanner) error {
		var n, refused int64
		var none string
		err := row.Scan(&n, &none, &refused)
		day(n).Shield = refused
		return err
	}, `SELECT day, MAX(currency), SUM(refused) FROM (SELECT day, '' AS currency, 0 AS refused FROM analytics_days WHERE owner = $1 AND day >= $2 AND day < $3
		UNION ALL SELECT hour / 24, '', refused FROM analytics_shield WHERE owner = $1 AND hour >= $4 AND hour < $5) AS both_of GROUP BY day ORDER BY day`, owner, first, end, first*24, end*24)
	if err != nil {
		return err
	}

	return a.own.Each(ctx, func(row sqldb.Scanner) error {
		var key dayKey
		var n [14]int64
		to := []any{&key.day, &key.currency}
		for i := range n {
			to = append(to, &n[i])
		}
		if err := row.Scan(to...); err != nil {
			return err
		}
		d := day(key.day)
		for i, sum := range []*int64{&d.Attempts, &d.Allowed, &d.Challenged, &d.Blocked, &d.Held, &d.Authorised, &d.Declined, &d.Fraud,
			&d.Legitimate, &d.ReviewOpened, &d.ReviewClosed, &f.Unrated} {
			*sum += n[i]
		}
		d.FraudMinor, d.BlockedMinor = addMinor(d.FraudMinor, key.currency, n[12]), addMinor(d.BlockedMinor, key.currency, n[13])
		return nil
	}, "SELECT day, currency, "+strings.Join(dayColumns, ", ")+" FROM analytics_days WHERE owner = $1 AND day >= $2 AND day < $3 ORDER BY day, currency", owner, first, end)
}

// addMinor adds an amount in minor units to the sums by currency. Zero is left out, and a nil map
// is created when it is needed.
func addMinor(sums map[money.Currency]int64, c money.Currency, minor int64) map[money.Currency]int64 {
	if minor != 0 && sums == nil {
		sums = map[money.Currency]int64{}
	}
	if minor != 0 {
		sums[c] += minor
	}
	return sums
}

// rules reads the figures of each rule, version, action and kind, with the amounts by currency. The
// query sorts by all of them, so rows of one rule follow each other.
func (a *Analytics) rules(ctx context.Context, f *history.Figures, owner, first, end int64) error {
	return a.own.Each(ctx, func(row sqldb.Scanner) error {
		var r history.RuleFigures
		var c money.Currency
		var minor int64
		if err := row.Scan(&r.Rule, &r.Version, &r.Action, &r.Shadow, &c, &r.Hits, &r.Fraud, &r.Legitimate, &minor); err != nil {
			return err
		}

		n := len(f.Rules)
		if n == 0 || f.Rules[n-1].Rule != r.Rule || f.Rules[n-1].Version != r.Version || f.Rules[n-1].Action != r.Action ||
			f.Rules[n-1].Shadow != r.Shadow {
			r.Minor = addMinor(nil, c, minor)
			f.Rules = append(f.Rules, r)
			return nil
		}
		last := &f.Rules[n-1]
		last.Hits, last.Fraud, last.Legitimate, last.Minor = last.Hits+r.Hits, last.Fraud+r.Fraud, last.Legitimate+r.Legitimate, addMinor(
			last.Minor,
			c,
			minor,
		)
		return nil
	}, `SELECT rule, rule_version, action, shadow, currency, SUM(hits), SUM(fraud), SUM(legitimate), SUM(minor) FROM analytics_rules
		WHERE owner = $1 AND day >= $2 AND day < $3 GROUP BY rule, rule_version, action, shadow, currency HAVING SUM(hits) > 0
		ORDER BY rule, rule_version, action, shadow, currency`, owner, first, end)
}

// band is what is known of the payments in a band of scores.
type band struct {
	scored, blocked int64 // of the period
	fraud, honest   int64 // let through in the year before its end, with a known outcome
}

// scores reads the distribution of the period, and the payments with which its blocked ones are
// compared: those of the year before its end that were let through.
func (a *Analytics) scores(ctx context.Context, f *history.Figures, owner, first, end int64, now time.Time) error {
	var bands [scoreBands]band
	mature := dayOf(now.Add(-estimateMature))
	err := a.own.Each(ctx, func(row sqldb.Scanner) error {
		var day, n, scored, blocked, passed, bad, good int64
		if err := row.Scan(&day, &n, &scored, &blocked, &passed, &bad, &good); err != nil {
			return err
		}
		// Within the array, whatever is stored.
		b := &bands[min(max(n, 0), scoreBands-1)]
		if day >= first {
			b.scored, b.blocked = b.scored+scored, b.blocked+blocked
		}
		b.fraud += bad
		if day < mature { // without a complaint: honest
			good = passed - bad
		}
		b.honest += good
		return nil
	}, "SELECT day, band, "+strings.Join(scoreColumns, ", ")+" FROM analytics_scores WHERE owner = $1 AND day >= $2 AND day < $3", owner,
		min(first, end-int64(estimateLookback/(24*time.Hour))), end)
	if err != nil {
		return err
	}

	for i, b := range bands {
		f.Scores[i] = b.scored
	}

	var blocked int64
	for _, d := range f.Days {
		blocked += d.Blocked
	}
	f.Estimate = estimate(bands, blocked)
	return nil
}

// estimate returns how many of the blocked payments were honest, from the outcomes of those with
// the same score that were let through. A band's share is that of honest payments among those with
// a known outcome, with half a payment added on either side, so that a few of them prove little.
// The interval includes the uncertainty of the shares and of sampling. Blocked payments without
// enough to compare with may have been anything. The result is an estimate and decides nothing.
func estimate(bands [scoreBands]band, blocked int64) history.Estimate {
	e := history.Estimate{Blocked: blocked}
	var compared int64

	var variance float64
	for _, b := range bands {
		known := b.honest + b.fraud
		if b.blocked == 0 || known < estimateLeast {
			continue
		}
		compared += b.blocked
		e.Comparable += known
		share := (float64(b.honest) + 0.5) / (float64(known) + 1)
		e.Honest += float64(b.blocked) * share
		variance += share * (1 - share) * (float64(b.blocked)*float64(b.blocked)/float64(known+2) + float64(b.blocked))
	}

	if blocked == 0 {
		return e
	}

	e.Explainable = float64(compared) >= estimateCovered*float64(blocked)
	doubt, rest := deviations95*math.Sqrt(variance), float64(blocked-compared)
	e.Low, e.High = max(0, e.Honest-doubt), min(float64(compared), e.Honest+doubt)+rest
	if compared > 0 {
		e.Honest *= float64(blocked) / float64(compared) // assumes the rest to be like those that could be compared
	}
	return e
}
