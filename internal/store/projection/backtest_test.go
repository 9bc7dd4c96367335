package projection_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/storetest"
)

const pastDays = 20

// pastPayments returns the payments of twenty days, on whole hours: cards that are declined,
// charged, blocked, labeled and disputed, in two currencies. Issuers answer after a second, and
// some after hours.
func pastPayments(account string, start time.Time) (all []history.Row) {
	random := rand.New(rand.NewPCG(11, 11))
	for hour := range pastDays * 24 {
		for i := range random.IntN(3) {
			at := start.Add(time.Duration(hour) * time.Hour)
			r := history.Row{
				ID:        payment.IDFor(fmt.Sprint("lnk", hour), fmt.Sprint(account, i)),
				Account:   account,
				Mode:      link.Test,
				Link:      "lnk_1",
				Status:    payment.Succeeded,
				CreatedAt: at,
				UpdatedAt: at,
				AnsweredAt: at.Add(
					time.Second,
				),
				Authorised: random.IntN(3) > 0,
				Seq:        3,
				Amount:     money.Of(int64(100+random.IntN(9000)), []money.Currency{"EUR", "USD"}[random.IntN(2)]),
				Risk:       payment.Risk{Fingerprint: fmt.Sprint("card", random.IntN(25)), BIN: "424242", Action: payment.Allow},
			}
			if random.IntN(5) == 0 {
				r.AnsweredAt = r.AnsweredAt.Add(time.Duration(1+random.IntN(5)) * time.Hour)
			}
			if !r.Authorised {
				r.Status, r.Decline = payment.Declined, "card_declined"
			}
			known := r.AnsweredAt.Add(time.Duration(1+random.IntN(90)) * time.Hour)
			switch random.IntN(12) {
			case 0:
				r.Risk.Action, r.Authorised, r.Status, r.Decline, r.AnsweredAt = payment.Block, false, payment.Declined, payment.CodeBlocked,
					time.Time{}
			case 1:
				r.Risk.Label, r.Risk.LabelledAt, r.Risk.LabelledBy = payment.LabelFraud, known, "usr_1"
			case 2:
				r.Risk.Label, r.Risk.LabelledAt, r.Risk.LabelledBy = payment.LabelLegitimate, known, "usr_1"
			case 3, 4:
				if r.Authorised {
					d := payment.Dispute{
						ID:        "dp_" + r.ID,
						Minor:     r.Amount.Minor,
						Reason:    []string{"fraudulent", "fraudulent", "duplicate"}[random.IntN(3)],
						State:     payment.DisputeNeedsResponse,
						CreatedAt: known,
					}
					if random.IntN(3) == 0 {
						d.State, d.ClosedAt = payment.DisputeWon, known.Add(time.Hour)
					}
					r.Disputes = []payment.Dispute{d}
				}
			}
			all = append(all, r)
		}
	}
	slices.SortStableFunc(all, func(a, b history.Row) int { return a.CreatedAt.Compare(b.CreatedAt) })
	return all
}

// countByHand returns the expected result of a backtest of "card.declined_1d >= 2 ||
// card.disputed_30d >= 1" over the payments from a moment on, each evaluated by itself.
func countByHand(all []history.Row, from, now time.Time) (want learning.BacktestResult) {
	want = learning.BacktestResult{
		Money:       map[money.Currency]learning.BacktestMoney{},
		MatureAfter: 60 * 24 * time.Hour,
		Precision:   -1,
		Recall:      -1,
	}
	for n, p := range all {
		if p.CreatedAt.Before(from) {
			continue
		}
		declined, disputed := 0, 0
		for _, q := range all[:n] {
			if q.Risk.Fingerprint != p.Risk.Fingerprint || q.Amount.Currency != p.Amount.Currency {
				continue
			}
			answered := q.AnsweredAt.Truncate(time.Hour) // a day is counted to the hour
			if q.Risk.Action != payment.Block && !q.Authorised && !q.AnsweredAt.After(p.CreatedAt) &&
				answered.After(p.CreatedAt.Add(-24*time.Hour)) {
				declined++
			}
			if is, since, known := q.Fraud(); known && is && !since.After(p.CreatedAt) {
				disputed++
			}
		}
		is, _, known := p.Fraud()
		sums, minor := want.Money[p.Amount.Currency], p.Amount.Minor
		mature := p.CreatedAt.Before(now.Add(-want.MatureAfter))
		want.Payments++
		if mature {
			want.Mature++
		}
		matched := declined >= 2 || disputed >= 1
		if matched {
			want.Matched++
		}
		switch {
		case known && is && matched:
			want.Fraud++
			sums.FraudStopped += minor
		case known && is:
			want.MissedFraud++
			sums.FraudMissed += minor
		case !matched:
			continue
		case p.Risk.Action == payment.Block:
			want.AlreadyBlocked++
		case !p.Authorised:
			want.Declined++
		case known || mature:
			want.Legitimate++
			sums.HonestStopped += minor
		default:
			want.Unknown++
			sums.UnknownStopped += minor
		}
		want.Money[p.Amount.Currency] = sums
	}
	want.Precision = float64(want.Fraud) / float64(want.Fraud+want.Legitimate)
	want.Recall = float64(want.Fraud) / float64(want.Fraud+want.MissedFraud)
	return want
}

// TestBacktestOverTheAnalyticsStore checks that a backtest over the analytics store gives the
// result of a count by hand, including both money totals, and excludes another account's
// payments.
func TestBacktestOverTheAnalyticsStore(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		a := openAnalytics(t, open(t, url), filepath.Join(t.TempDir(), "analytics.db"))
		account, other, start := id.New(id.Account), id.New(id.Account), storetest.Epoch.Truncate(time.Hour)
		all := pastPayments(account, start)
		for _, rows := range [][]history.Row{all, pastPayments(other, start)} {
			if err := a.Load(t.Context(), rows); err != nil {
				t.Fatal(err)
			}
		}
		now := start.AddDate(0, 0, 75)
		rules := learning.NewLocalBacktester(a, func() time.Time { return now })
		from := start.AddDate(0, 0, 3)
		got, err := rules.Backtest(t.Context(), learning.Backtest{Account: account, Mode: link.Test, From: from, To: now,
			Rule: rulebook.Rule{Action: payment.Block, When: "card.declined_1d >= 2 || card.disputed_30d >= 1"}})
		if err != nil {
			t.Fatal(err)
		}
		if len(got.Examples) != 20 {
			t.Errorf("%d examples", len(got.Examples))
		}
		got.Examples, got.Took = nil, 0
		want := countByHand(all, from, now)
		if !reflect.DeepEqual(got, want) {
			t.Errorf("the backtest says\n%+v\na count by hand\n%+v", got, want)
		}
		if got.Fraud == 0 || got.MissedFraud == 0 || got.Legitimate == 0 || got.Unknown == 0 || got.AlreadyBlocked == 0 || got.Declined == 0 ||
			got.Matched == got.Payments ||
			got.Mature == got.Payments {
			t.Errorf("the history shows too little: %+v", got)
		}
		for currency, m := range got.Money {
			if m.FraudStopped == 0 || m.HonestStopped == 0 || m.UnknownStopped == 0 || m.FraudMissed == 0 {
				t.Errorf("%s: %+v", currency, m)
			}
		}
	})
}
