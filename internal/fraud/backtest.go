package fraud

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/rule"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Bounds of a backtest.
const (
	maxBacktests     = 2 // at once in a process
	maxBacktestDays  = 400
	backtestTime     = 30 * time.Second
	backtestExamples = 20
	backtestEntities = 200_000
	// matureAfter is when a payment that nobody objected to counts as honest. Most
	// payers who object do so within two statements of their card.
	matureAfter = 60 * 24 * time.Hour
)

var errBacktestLong = fault.New(fault.KindConflict, "backtest_too_long", "The backtest took longer than %d seconds. Choose a shorter period.", int(backtestTime/time.Second))

// Backtest implements Rulebook. It replays the account's payments in the order of
// their making; each is asked about with what was known before it, as Past gives it: an
// outcome from when the issuer told it, a label from when it became known. A score is
// the one that the payment was given at the time.
func (l *LocalRules) Backtest(ctx context.Context, b Backtest) (BacktestResult, error) {
	run, err := l.admit(&b)
	if err != nil {
		return BacktestResult{}, err
	}
	select {
	case l.backtests <- struct{}{}:
		defer func() { <-l.backtests }()
	default:
		busy := fault.New(fault.KindRateLimited, "backtest_busy", "Other backtests are running. Try again in a moment.")
		busy.RetryAfter = 5 * time.Second
		return BacktestResult{}, busy
	}
	began := l.Now()
	ctx, cancel := context.WithTimeoutCause(ctx, backtestTime, errBacktestLong)
	defer cancel()
	t := newTester(b, run, began)
	err = l.History.Replay(ctx, b.Account, b.Mode, b.From.Add(-Window), b.To, func(r Row) error {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		t.see(&r)
		return nil
	})
	if err != nil {
		if errors.Is(context.Cause(ctx), errBacktestLong) {
			err = errBacktestLong
		}
		return BacktestResult{}, err
	}
	out := t.result()
	out.Took = l.Now().Sub(began)
	return out, nil
}

// admit checks the question.
func (l *LocalRules) admit(b *Backtest) (*rule.Program, error) {
	if err := checkMode(b.Mode); err != nil {
		return nil, err
	}
	if b.Account == "" { // an account's history is its own
		return nil, fault.Invalid("account", "parameter_invalid", "A backtest is over one account's own payments.")
	}
	if l.History == nil {
		return nil, fault.New(fault.KindUnavailable, "history_unavailable", "The payments of the past cannot be read here.")
	}
	if b.To.IsZero() {
		b.To = l.Now()
	}
	if b.From.IsZero() {
		b.From = b.To.AddDate(0, 0, -30)
	}
	if !b.From.Before(b.To) || b.To.Sub(b.From) > maxBacktestDays*24*time.Hour {
		return nil, fault.Invalid("from", "range_invalid", "A backtest's period has a beginning before its end, and at most %d days.", maxBacktestDays)
	}
	if rank(b.Rule.Action) < 0 {
		return nil, fault.Invalid("action", "rule_action_invalid", "Must be request_3ds, allow, block or review.")
	}
	return CompileRule(b.Rule.When)
}

// tester asks one rule about payment after payment.
type tester struct {
	ask    Backtest
	run    *rule.Program
	mature time.Time // payments made before are old enough
	past   *Past
	out    BacktestResult
	vars   rule.Vars
	vector score.Vector
}

func newTester(b Backtest, run *rule.Program, now time.Time) *tester {
	return &tester{ask: b, run: run, mature: now.Add(-matureAfter), past: NewPast(now, backtestEntities),
		out: BacktestResult{Money: map[money.Currency]BacktestMoney{}, MatureAfter: matureAfter}}
}

// see takes the next payment. Those before the period only teach.
func (t *tester) see(r *Row) {
	if r.CreatedAt.Before(t.ask.From) || !r.CreatedAt.Before(t.ask.To) {
		t.past.Next(r, nil)
		return
	}
	t.past.Next(r, &t.vector)
	t.judge(r)
}

// judge asks the rule about a payment of the period, and books the answer.
func (t *tester) judge(r *Row) {
	out := &t.out
	out.Payments++
	mature := r.CreatedAt.Before(t.mature)
	if mature {
		out.Mature++
	}
	a := Attempt{Payment: r.ID, At: r.CreatedAt, Account: r.Account, Mode: r.Mode, Link: r.Link, Amount: r.Amount, Fingerprint: r.Risk.Fingerprint,
		BIN: r.Risk.BIN, Brand: r.CardBrand, Email: r.PayerEmail, Address: r.Risk.Address, Country: r.Risk.Country}
	fillVars(&t.vars, &a, &t.vector, &score.Assessment{Score: r.Risk.Score, Basis: score.Basis(r.Risk.Basis)})
	matched, err := t.run.Eval(&t.vars)
	if err != nil {
		out.Errors++
		return
	}
	fraud, _, known := r.Fraud()
	sums := out.Money[r.Amount.Currency]
	if !matched {
		if known && fraud {
			out.MissedFraud++
			sums.FraudMissed += r.Amount.Minor
			out.Money[r.Amount.Currency] = sums
		}
		return
	}
	out.Matched++
	switch {
	case known && fraud:
		out.Fraud++
		sums.FraudStopped += r.Amount.Minor
	case r.Risk.Action == payment.Block:
		out.AlreadyBlocked++
	case !r.Authorised && !r.AnsweredAt.IsZero():
		out.Declined++
	case known || mature:
		out.Legitimate++
		sums.HonestStopped += r.Amount.Minor
	default:
		out.Unknown++
		sums.UnknownStopped += r.Amount.Minor
	}
	out.Money[r.Amount.Currency] = sums
	out.Examples = append(out.Examples, *r)
	if len(out.Examples) > 2*backtestExamples {
		out.Examples = append(out.Examples[:0], out.Examples[len(out.Examples)-backtestExamples:]...)
	}
}

func (t *tester) result() BacktestResult {
	out := t.out
	if n := len(out.Examples); n > backtestExamples {
		out.Examples = out.Examples[n-backtestExamples:]
	}
	slices.SortStableFunc(out.Examples, func(a, b Row) int { return cmp.Compare(b.CreatedAt.UnixNano(), a.CreatedAt.UnixNano()) })
	out.Precision, out.Recall = -1, -1
	if n := out.Fraud + out.Legitimate; n > 0 {
		out.Precision = float64(out.Fraud) / float64(n)
	}
	if n := out.Fraud + out.MissedFraud; n > 0 {
		out.Recall = float64(out.Fraud) / float64(n)
	}
	return out
}
