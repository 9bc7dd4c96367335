package learning

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/payment"
)

// Limits of a training. Each payment is a row of about a kilobyte in memory.
const (
	maxLearned = 400_000
	maxTested  = 400_000
)

// day is a day of UTC.
const day = 24 * time.Hour

// Training says which payments a model learns from, and which it is tested on.
//
//	from ───── train ─────┤── delay ──├── test ──┤── delay ──┤ now
//
// The model is what could have been trained when the test begins: from the payments
// whose time to become known was over by then, with the labels that were known by
// then. The test's payments have had the same time until now. So no label reaches
// back, and the figures are of this very model.
type Training struct {
	Now        time.Time
	Delay      time.Duration // after it a payment without a fraud label counts as honest
	Days, Test int           // how many to train on, and to test on
}

// windows returns the periods, in whole days of UTC.
func (t Training) windows() (train, test score.Range) {
	test.To = t.Now.UTC().Add(-t.Delay).Truncate(day)
	test.From = test.To.AddDate(0, 0, -t.Test)
	train.To = test.From.Add(-t.Delay).Truncate(day)
	train.From = train.To.AddDate(0, 0, -t.Days)
	return train, test
}

// Check returns what is wrong with it, or nil.
func (t Training) Check() error {
	switch {
	case t.Delay < 0 || t.Delay > 365*day:
		return errors.New("the delay must be 0 to 365 days")
	case t.Days < 1 || t.Days > 400:
		return errors.New("the training must cover 1 to 400 days")
	case t.Test < 1 || t.Test > 100:
		return errors.New("the test must cover 1 to 100 days")
	}
	return nil
}

// teaches reports whether the payment's outcome is informative: it was authorized, or somebody
// labeled it. A declined or blocked payer never had the chance to defraud. fraud is what was
// known at a given time.
func teaches(r *history.Row, at time.Time) (fraud, teaches bool) {
	is, since, known := r.Fraud()
	if known && !since.After(at) {
		return is, true
	}
	return false, r.Authorised && r.Risk.Action != payment.Block
}

// Learn trains a model on the labels of all accounts, and tests it. It returns
// score.ErrTooFewFrauds if there is too little to learn from. done may be nil; it is called for
// every payment that was read. The payments that are used are held in memory, a kilobyte each.
func Learn(ctx context.Context, h history.Replayer, t Training, done func()) (*score.Model, Info, error) {
	if err := t.Check(); err != nil {
		return nil, Info{}, err
	}

	train, test := t.windows()
	var learned, tested score.Set
	past := history.NewPast(t.Now, history.MaxEntities)
	caught := map[string]time.Time{} // a card and when it was known to be defrauded
	var v score.Vector

	err := h.Replay(ctx, "", "", train.From.Add(-history.Window), test.To, func(r history.Row) error {
		if done != nil {
			done()
		}
		past.Next(&r, &v)
		a := r.Attempt(r.CreatedAt)
		a.Card = a.Scope + a.Card // one account's

		switch {
		case train.Has(r.CreatedAt):
			if is, ok := teaches(&r, test.From); ok {
				if len(learned.Rows) == maxLearned {
					return fmt.Errorf("more than %d payments to train on: choose fewer days", maxLearned)
				}
				learned.Add(&v, a, is)
			}
		case test.Has(r.CreatedAt):
			if since, known := whenCaught(caught, &a); known && since.Before(r.CreatedAt.UTC().Truncate(day)) {
				break // its issuer has blocked it
			}
			if is, ok := teaches(&r, t.Now); ok {
				if len(tested.Rows) == maxTested {
					return fmt.Errorf("more than %d payments to test on: choose fewer days", maxTested)
				}
				tested.Add(&v, a, is)
			}
		}

		// A card counts as caught from when its first fraud became known.
		if is, since, known := r.Fraud(); known && is && r.Risk.Fingerprint != "" {
			if before, ok := caught[a.Card]; !ok || since.Before(before) {
				caught[a.Card] = since
			}
		}
		return nil
	})
	if err != nil {
		return nil, Info{}, err
	}

	m, err := score.Fit(learned, train, t.Now)
	if err != nil {
		return nil, Info{}, err
	}

	f := score.Measure(tested, m.Probability)
	return m, Info{
		TrainedAt:        m.TrainedAt,
		From:             m.From,
		To:               m.To,
		Payments:         m.Payments,
		Frauds:           m.Frauds,
		AUC:              f.AUCROC,
		AveragePrecision: f.AveragePrecision,
		CardPrecision:    f.CardPrecision100,
		TestedFrom:       test.From,
		TestedTo:         test.To,
		TestedPayments:   len(tested.Rows),
	}, nil
}

// whenCaught returns when the card of an attempt, or one of several with its name, was known to be
// defrauded.
func whenCaught(caught map[string]time.Time, a *score.Attempt) (since time.Time, known bool) {
	since, known = caught[a.Card]
	if !known && a.Cards != "" {
		since, known = caught[a.Scope+a.Cards]
	}
	return since, known
}

// Train trains a model and stores it in state trained: it decides nothing until it is promoted. A
// model that equals a stored one has its version, and the stored one stays.
func Train(ctx context.Context, h history.Replayer, models Models, t Training, done func()) (Info, error) {
	m, info, err := Learn(ctx, h, t, done)
	if err != nil {
		return info, err
	}

	var file bytes.Buffer
	if err := score.WriteModel(&file, m); err != nil {
		return info, err
	}
	info.Version, info.State = m.Version, Trained
	return info, models.AddModel(ctx, info, file.Bytes())
}

// ErrNoModelRuns is returned by a comparison or a roll-back if no model is active.
var ErrNoModelRuns = errors.New("no model is running")

// Compare compares a model with the active one, on the payments that were created after both were
// trained and that are old enough for a known outcome: at most days of them, up to delay before
// now. It returns ErrNoModelRuns if no model is active, and an error if the payments have no frauds
// or nothing else.
func Compare(
	ctx context.Context,
	h history.Replayer,
	models Models,
	version string,
	now time.Time,
	delay time.Duration,
	days int,
) (c Comparison, err error) {
	all, err := models.Models(ctx)
	if err != nil {
		return c, err
	}

	for _, m := range all {
		if m.State == Running {
			c.Running = m
		}
		if m.Version == version {
			c.Candidate = m
		}
	}

	if c.Running.Version == "" {
		return c, ErrNoModelRuns
	}
	running, err := load(ctx, models, c.Running.Version)
	if err != nil {
		return c, err
	}
	candidate, err := load(ctx, models, version)
	if err != nil {
		return c, err
	}

	c.To = now.UTC().Add(-delay).Truncate(day)
	c.From = c.To.AddDate(0, 0, -days)
	for _, m := range []Info{c.Running, c.Candidate} { // what one of them learned from proves nothing
		if c.From.Before(m.TestedFrom) {
			c.From = m.TestedFrom
		}
	}

	var set score.Set
	past := history.NewPast(now, history.MaxEntities)
	var v score.Vector
	err = h.Replay(ctx, "", "", c.From.Add(-history.Window), c.To, func(r history.Row) error {
		past.Next(&r, &v)
		if is, ok := teaches(&r, now); ok && !r.CreatedAt.Before(c.From) {
			if len(set.Rows) == maxTested {
				return fmt.Errorf("more than %d payments to compare on: choose fewer days", maxTested)
			}
			a := r.Attempt(r.CreatedAt)
			a.Card = a.Scope + a.Card
			set.Add(&v, a, is)
			if is {
				c.Frauds++
			}
		}
		return nil
	})
	if err != nil {
		return c, err
	}

	c.Payments = len(set.Rows)
	if c.Frauds == 0 || c.Frauds == c.Payments {
		return c, fmt.Errorf("of the %d payments from %s to %s from which neither model learned, %d are known frauds: too few to compare",
			c.Payments, c.From.Format(time.DateOnly), c.To.Format(time.DateOnly), c.Frauds)
	}

	a, b := score.Measure(set, running.Probability), score.Measure(set, candidate.Probability)
	c.RunningAUC, c.RunningAveragePrecision, c.RunningCardPrecision = a.AUCROC, a.AveragePrecision, a.CardPrecision100
	c.CandidateAUC, c.CandidateAveragePrecision, c.CandidateCardPrecision = b.AUCROC, b.AveragePrecision, b.CardPrecision100
	return c, nil
}

// RollBack promotes the model that was active before the present one, and returns it. The present
// one is retired in the same commit. It returns ErrNoModelRuns if no model is active.
func RollBack(ctx context.Context, models Models) (Info, error) {
	all, err := models.Models(ctx)
	if err != nil {
		return Info{}, err
	}

	var running, before Info
	for _, m := range all {
		switch {
		case m.State == Running:
			running = m
		case m.PromotedAt.After(before.PromotedAt):
			before = m
		}
	}

	switch {
	case running.Version == "":
		return before, ErrNoModelRuns
	case before.Version == "":
		return before, errors.New("there is no previous model")
	}

	return before, models.SetModel(ctx, before.Version, Running)
}

// load reads a stored model. One whose file has another version is damaged.
func load(ctx context.Context, models Models, version string) (*score.Model, error) {
	file, err := models.Model(ctx, version)
	if err != nil {
		return nil, err
	}
	m, err := score.ReadModel(bytes.NewReader(file))
	if err == nil && m.Version != version {
		err = score.ErrDamagedModel
	}
	return m, err
}
