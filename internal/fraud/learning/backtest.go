package learning

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/rule"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Limits of a backtest.
const (
	maxBacktests     = 2 // concurrent, in a process
	maxBacktestDays  = 400
	backtestTime     = 30 * time.Second
	backtestExamples = 20
	backtestEntities = 200_000
	// matureAfter is the age at which a payment without a complaint counts as honest. Most payers
	// who complain do so within two card statements.
	matureAfter = 60 * 24 * time.Hour
)

// errBacktestLong is the fault of a backtest that ran into its time limit.
var errBacktestLong = fault.New(
	fault.KindConflict,
	"backtest_too_long",
	"The backtest took longer than %d seconds. Choose a shorter period.",
	int(backtestTime/time.Second),
)

// Backtest asks what a rule would have done.
type Backtest struct {
	Account, Mode string
	Rule          rulebook.Rule // ID may be empty: a rule that is not stored yet
	From, To      time.Time
}

// BacktestResult is the result over the account's own history, with the features of that time.
// Fraud, Legitimate, Unknown, AlreadyBlocked and Declined add up to Matched. Legitimate payments
// are those labeled so, and those authorized without a complaint for MatureAfter.
type BacktestResult struct {
	Payments, Matched int64
	Fraud, Legitimate int64 // matched, with a known outcome
	Unknown           int64 // matched and authorized, outcome not known yet
	MissedFraud       int64 // known fraud that the rule did not match
	AlreadyBlocked    int64 // matched, and blocked at the time by something else: their outcome cannot be known
	Money             map[money.Currency]BacktestMoney
	Precision, Recall float64 // among known outcomes; -1: there are none
	Mature            int64   // payments old enough that a dispute would have come
	MatureAfter       time.Duration
	Examples          []history.Row // matched, newest first, at most 20
	Declined          int64         // matched, and declined by the issuer: no money was at stake
	Errors            int64         // payments on which the rule could not be evaluated (cost limit)
	Took              time.Duration
}

// BacktestMoney is the amounts at stake on both sides, in minor units.
type BacktestMoney struct {
	FraudStopped, HonestStopped, UnknownStopped, FraudMissed int64
}

// Backtester runs backtests.
type Backtester interface {
	Backtest(context.Context, Backtest) (BacktestResult, error)
}

// LocalBacktester runs backtests over past payments.
type LocalBacktester struct {
	history history.Replayer // nil: no backtests are possible
	now     func() time.Time
	running chan struct{} // one slot for each running backtest
}

var _ Backtester = (*LocalBacktester)(nil)

// NewLocalBacktester returns a backtester over a history. With nil every call returns the fault
// history_unavailable.
func NewLocalBacktester(h history.Replayer, now func() time.Time) *LocalBacktester {
	return &LocalBacktester{history: h, now: now, running: make(chan struct{}, maxBacktests)}
}

// Backtest implements Backtester. It replays the account's payments in order of creation and
// evaluates each with what was known before it, as Past provides it: an outcome from the issuer's
// answer, a label from when it became known. A score is the one that the payment had at the time.
// Too many at once are backtest_busy, and one that takes too long is backtest_too_long.
func (l *LocalBacktester) Backtest(ctx context.Context, b Backtest) (BacktestResult, error) {
	run, err := l.admit(&b)
	if err != nil {
		return BacktestResult{}, err
	}

	select {
	case l.running <- struct{}{}:
		defer func() { <-l.running }()
	default:
		busy := fault.New(fault.KindRateLimited, "backtest_busy", "Other backtests are running. Try again in a moment.")
		busy.RetryAfter = 5 * time.Second
		return BacktestResult{}, busy
	}

	began := l.now()
	ctx, cancel := context.WithTimeoutCause(ctx, backtestTime, errBacktestLong)
	defer cancel()

	t := newTester(b, run, began)
	err = l.history.Replay(ctx, b.Account, b.Mode, b.From.Add(-history.Window), b.To, func(r history.Row) error {
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
	out.Took = l.now().Sub(began)
	return out, nil
}

// admit validates the request, fills in the period (by default the last 30 days), and compiles the
// condition.
func (l *LocalBacktester) admit(b *Backtest) (*rule.Program, error) {
	if err := rulebook.CheckMode(b.Mode); err != nil {
		return nil, err
	}
	if b.Account == "" { // an account's history is its own
		return nil, fault.Invalid("account", "parameter_invalid", "account is required: a backtest covers the payments of one account.")
	}
	if l.history == nil {
		return nil, fault.New(fault.KindUnavailable, "history_unavailable", "Past payments are not available on this server.")
	}

	if b.To.IsZero() {
		b.To = l.now()
	}
	if b.From.IsZero() {
		b.From = b.To.AddDate(0, 0, -30)
	}
	if !b.From.Before(b.To) || b.To.Sub(b.From) > maxBacktestDays*24*time.Hour {
		return nil, fault.Invalid("from", "range_invalid", "from must be before to, and the period at most %d days.", maxBacktestDays)
	}
	if rulebook.Rank(b.Rule.Action) < 0 {
		return nil, fault.Invalid("action", "rule_action_invalid", "action must be request_3ds, allow, block or review.")
	}
	return rulebook.Compile(b.Rule.When)
}

// tester evaluates one rule on payment after payment. It keeps one vector and one set of variables
// for all of them.
type tester struct {
	ask    Backtest
	run    *rule.Program
	mature time.Time // payments created before are old enough
	past   *history.Past
	out    BacktestResult
	vars   rule.Vars
	vector score.Vector
}

// newTester returns a tester that has seen nothing.
func newTester(b Backtest, run *rule.Program, now time.Time) *tester {
	return &tester{ask: b, run: run, mature: now.Add(-matureAfter), past: history.NewPast(now, backtestEntities),
		out: BacktestResult{Money: map[money.Currency]BacktestMoney{}, MatureAfter: matureAfter}}
}

// see takes the next payment. Those before the period only add to the history.
func (t *tester) see(r *history.Row) {
	if r.CreatedAt.Before(t.ask.From) || !r.CreatedAt.Before(t.ask.To) {
		t.past.Next(r, nil)
		return
	}
	t.past.Next(r, &t.vector)
	t.judge(r)
}

// judge evaluates the rule on a payment of the period, and counts the result. A match counts by
// what became of the payment: fraud first, then whether it could have an outcome at all.
func (t *tester) judge(r *history.Row) {
	out := &t.out
	out.Payments++
	mature := r.CreatedAt.Before(t.mature)
	if mature {
		out.Mature++
	}

	t.vars.See(
		rule.Vars{
			Amount:      r.Amount,
			Fingerprint: r.Risk.Fingerprint,
			BIN:         r.Risk.BIN,
			Brand:       r.CardBrand,
			Email:       r.PayerEmail,
			Address:     r.Risk.Address,
			Country:     r.Risk.Country,
			Link:        r.Link,
			Features:    &t.vector,
		},
		&score.Assessment{Score: r.Risk.Score, Basis: score.Basis(r.Risk.Basis)},
	)
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

// result returns the counts with precision and recall, and the newest examples first.
func (t *tester) result() BacktestResult {
	out := t.out
	if n := len(out.Examples); n > backtestExamples {
		out.Examples = out.Examples[n-backtestExamples:]
	}
	slices.SortStableFunc(out.Examples, func(a, b history.Row) int { return cmp.Compare(b.CreatedAt.UnixNano(), a.CreatedAt.UnixNano()) })

	out.Precision, out.Recall = -1, -1
	if n := out.Fraud + out.Legitimate; n > 0 {
		out.Precision = float64(out.Fraud) / float64(n)
	}
	if n := out.Fraud + out.MissedFraud; n > 0 {
		out.Recall = float64(out.Fraud) / float64(n)
	}
	return out
}
