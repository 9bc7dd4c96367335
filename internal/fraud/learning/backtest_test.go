package learning

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

var epoch = time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)

// past is a history in memory.
type past []history.Row

func (p past) Replay(ctx context.Context, account, mode string, from, to time.Time, each func(history.Row) error) error {
	for _, r := range p {
		if r.Account != account || r.Mode != mode || r.CreatedAt.Before(from) || !r.CreatedAt.Before(to) {
			continue
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func paid(n int, at time.Time, card string, minor int64) history.Row {
	return history.Row{
		ID:         fmt.Sprintf("pay_%d", n),
		Account:    "acct_1",
		Mode:       link.Test,
		Link:       "lnk_1",
		Amount:     money.Of(minor, "EUR"),
		CreatedAt:  at,
		AnsweredAt: at.Add(time.Second),
		Authorised: true,
		Risk:       payment.Risk{Fingerprint: card, Action: payment.Allow},
	}
}

func declined(r history.Row) history.Row {
	r.Authorised, r.Decline = false, "card_declined"
	return r
}

func labelled(r history.Row, label string, at time.Time) history.Row {
	r.Risk.Label, r.Risk.LabelledAt = label, at
	return r
}

func backtester(h history.Replayer) *LocalBacktester {
	return NewLocalBacktester(h, func() time.Time { return epoch })
}

// TestBacktest checks that every match falls into one of five groups, with money on both sides.
func TestBacktest(t *testing.T) {
	day := 24 * time.Hour
	old, young := epoch.Add(-100*day), epoch.Add(-10*day)
	blocked := declined(paid(6, young, "c6", 6000))
	blocked.Risk.Action = payment.Block
	other := paid(9, young, "c9", 9000)
	other.Account = "acct_2"
	h := past{
		paid(0, epoch.Add(-130*day), "c0", 9900), // before the period: it only adds to the history
		paid(1, old, "c1", 1000),                 // old without a complaint is honest
		labelled(paid(2, old.Add(time.Hour), "c2", 2000), payment.LabelFraud, old.Add(20*day)),
		labelled(paid(3, young.Add(-time.Hour), "c3", 3000), payment.LabelLegitimate, young),
		paid(4, young, "c4", 4000),           // nothing is known
		declined(paid(5, young, "c5", 5000)), // no money was at stake
		blocked,
		labelled(paid(7, young, "c7", 100), payment.LabelFraud, young), // fraud that does not match
		other,
	}
	got, err := backtester(
		h,
	).Backtest(
		t.Context(),
		Backtest{
			Account: "acct_1",
			Mode:    link.Test,
			From:    epoch.Add(-120 * day),
			To:      epoch,
			Rule:    rulebook.Rule{Action: payment.Block, When: "amount >= 10"},
		},
	)
	if err != nil {
		t.Fatal(err)
	}
	if got.Payments != 7 || got.Matched != 6 || got.Fraud != 1 || got.Legitimate != 2 || got.Unknown != 1 || got.Declined != 1 ||
		got.AlreadyBlocked != 1 ||
		got.MissedFraud != 1 ||
		got.Mature != 2 ||
		got.Errors != 0 {
		t.Errorf("%+v", got)
	}
	if want := (BacktestMoney{FraudStopped: 2000, HonestStopped: 4000, UnknownStopped: 4000, FraudMissed: 100}); got.Money["EUR"] != want {
		t.Errorf("money %+v", got.Money)
	}
	if got.Precision < 0.33 || got.Precision > 0.34 || got.Recall != 0.5 {
		t.Errorf("precision %v, recall %v", got.Precision, got.Recall)
	}
	if len(got.Examples) != 6 || got.Examples[0].CreatedAt.Before(got.Examples[5].CreatedAt) {
		t.Errorf("examples %+v", got.Examples)
	}
	nothing, err := backtester(
		h,
	).Backtest(
		t.Context(),
		Backtest{Account: "acct_3", Mode: link.Test, Rule: rulebook.Rule{Action: payment.Block, When: "amount > 1"}},
	)
	if err != nil || nothing.Payments != 0 || nothing.Precision != -1 || nothing.Recall != -1 {
		t.Errorf("of another account: %+v, %v", nothing, err)
	}
}

// TestBacktestSeesOnlyWhatWasBefore checks that counts are those before the payment, that an
// outcome counts from the issuer's answer and a label from when it was known, not from the
// payment's creation, that another currency is another card, and that a blocked payment has no
// outcome.
func TestBacktestSeesOnlyWhatWasBefore(t *testing.T) {
	at := func(h int) time.Time { return epoch.Add(time.Duration(h-300) * time.Hour) }
	var h past
	for n := range 5 {
		h = append(h, declined(paid(n, at(0).Add(time.Duration(n)*time.Minute), "c", 1000)))
	}
	h = append(h, labelled(paid(5, at(10), "d", 1000), payment.LabelFraud, at(50)), paid(6, at(40), "d", 1000), paid(7, at(60), "d", 1000))
	late := declined(paid(8, at(70), "e", 1000)) // its issuer takes an hour
	late.AnsweredAt = late.CreatedAt.Add(time.Hour)
	foreign := paid(11, at(70).Add(90*time.Minute), "e", 1000)
	foreign.Amount = money.Of(1000, "USD")
	h = append(h, late, paid(9, at(70).Add(30*time.Minute), "e", 1000), paid(10, at(70).Add(90*time.Minute), "e", 1000), foreign)
	blocked := declined(paid(12, at(80), "f", 1000))
	blocked.Risk.Action = payment.Block
	h = append(h, blocked, paid(13, at(81), "f", 1000))
	for when, want := range map[string]int64{
		"card.declined_1d == 1 && card.attempted_1d == 1": 1, // the second of the five
		"card.declined_1d == 1 && card.attempted_1d == 2": 1, // the one after the late decline, which the one before it does not see
		// The one before that decline arrived, the last of d, and the one after the blocked payment.
		"card.declined_1d == 0 && card.attempted_1d == 1":   3,
		"card.authorised_1d == 1 && card.attempted_1d == 1": 1, // the last of d
		"card.declined_1h >= 3":                             2, // the fourth and the fifth
		"card.disputed_30d >= 1":                            1, // the one after the label was known
		"card.age_days < 0":                                 5, // the first of each card, and of a currency
	} {
		got, err := backtester(
			h,
		).Backtest(
			t.Context(),
			Backtest{Account: "acct_1", Mode: link.Test, Rule: rulebook.Rule{Action: payment.Block, When: when}},
		)
		if err != nil || got.Matched != want {
			t.Errorf("%s: %d matched, want %d, %v", when, got.Matched, want, err)
		}
	}
}

func TestBacktestRefuses(t *testing.T) {
	l := backtester(past{})
	for code, b := range map[string]Backtest{
		"rule_condition_invalid": {Account: "a", Mode: link.Test, Rule: rulebook.Rule{Action: payment.Block, When: "amount >"}},
		"rule_action_invalid":    {Account: "a", Mode: link.Test, Rule: rulebook.Rule{When: "amount > 1"}},
		"range_invalid": {Account: "a", Mode: link.Test, From: epoch, To: epoch,
			Rule: rulebook.Rule{Action: payment.Block, When: "amount > 1"}},
		"parameter_invalid": {Mode: link.Test, Rule: rulebook.Rule{Action: payment.Block, When: "amount > 1"}},
	} {
		if _, err := l.Backtest(t.Context(), b); fault.Code(err) != code {
			t.Errorf("want %s, have %v", code, err)
		}
	}
	ask := Backtest{Account: "a", Mode: link.Test, Rule: rulebook.Rule{Action: payment.Block, When: "amount > 1"}}
	l.running <- struct{}{}
	l.running <- struct{}{}
	if _, err := l.Backtest(t.Context(), ask); fault.Code(err) != "backtest_busy" {
		t.Errorf("a third: %v", err)
	}
	if _, err := backtester(nil).Backtest(t.Context(), ask); fault.Code(err) != "history_unavailable" {
		t.Errorf("without a history: %v", err)
	}
}
