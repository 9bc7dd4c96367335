package score

import (
	"errors"
	"fmt"
	"iter"
	"time"
)

// Range is a half-open range of time: From included, To excluded.
type Range struct{ From, To time.Time }

// Has reports whether a time is in the range.
func (r Range) Has(t time.Time) bool { return !t.Before(r.From) && t.Before(r.To) }

// Protocol defines an evaluation: what to train on, how late labels come, what to test on.
type Protocol struct {
	Train, Test Range
	Delay       time.Duration
}

// week is how long before the end of a training defrauded cards begin to be left out of the test.
const week = 7 * 24 * time.Hour

// Check returns what is wrong with a protocol.
func (p Protocol) Check() error {
	switch {
	case !p.Train.From.Before(p.Train.To):
		return errors.New("train: FROM must be before TO")
	case !p.Test.From.Before(p.Test.To):
		return errors.New("test: FROM must be before TO")
	case p.Delay < 0:
		return errors.New("delay: must not be negative")
	case p.Test.From.Before(p.Train.To.Add(p.Delay)):
		return fmt.Errorf(
			"test: must not begin before the labels of the training are known, on %s",
			p.Train.To.Add(p.Delay).Format(time.DateOnly),
		)
	}
	return nil
}

// Set is rows with their truth.
type Set struct {
	Rows  []Vector
	Fraud []bool
	Meta  []Attempt
}

// Add puts a row with its truth into the set.
func (s *Set) Add(v *Vector, a Attempt, fraud bool) {
	s.Rows, s.Fraud, s.Meta = append(s.Rows, *v), append(s.Fraud, fraud), append(s.Meta, a)
}

// Prepare processes the attempts, which must be in order of time, and returns the rows for training
// and test, each with what was known at its time.
// Prepare processes the attempts, which must be in order of time, and returns the rows for
// training and test, each with what was known at its time.
//
// A payment trains only if its label is known when the test begins. A card that was defrauded in
// the last week of training or later, and known at the start of a day, is left out of that day's
// test: its issuer has blocked it.
func Prepare(all iter.Seq2[Labelled, error], p Protocol) (train, test Set, err error) {
	h := NewHistory(DefaultEntities)
	known := map[string]time.Time{} // card to when its first fraud became known
	blockedFrom := p.Train.To.Add(-week)
	var v Vector
	for l, err := range all {
		if err != nil {
			return train, test, err
		}
		if !l.At.Before(p.Test.To) {
			break
		}
		h.Features(&l.Attempt, &v)
		l.KnownAt = l.At.Add(p.Delay)
		switch {
		case p.Train.Has(l.At) && !l.KnownAt.After(p.Test.From):
			train.Add(&v, l.Attempt, l.Fraud)
		case p.Test.Has(l.At):
			day := l.At.UTC().Truncate(24 * time.Hour)
			if at, ok := known[l.Card]; !ok || at.After(day) {
				test.Add(&v, l.Attempt, l.Fraud)
			}
		}
		if _, ok := known[l.Card]; l.Fraud && !ok && !l.At.Before(blockedFrom) {
			known[l.Card] = l.KnownAt
		}
		h.Observe(&l.Attempt, l.Outcome)
		h.Learn(&l.Attempt, l.Fraud, l.KnownAt)
	}

	return train, test, nil
}

// Figures are the results of one model on the test.
type Figures struct {
	Model                                      string
	AUCROC, AveragePrecision, CardPrecision100 float64
}

// perfect is the name of the model that knows the truth: the best figures that are possible.
const perfect = "perfect scores"

// Evaluate returns the figures of a model and its parts, and those of a model that knows the
// truth.
func Evaluate(m *Model, test Set) []Figures {
	figures := func(name string, score func(i int) float64) Figures {
		f := measure(test, score)
		f.Model = name
		return f
	}
	return []Figures{
		figures("logistic regression", func(i int) float64 { return m.Logistic.Logit(&test.Rows[i]) }),
		figures("boosted trees", func(i int) float64 { return m.Trees.Logit(&test.Rows[i]) }),
		figures("both, as used", func(i int) float64 { return m.Probability(&test.Rows[i]) }),
		figures(perfect, func(i int) float64 {
			if test.Fraud[i] {
				return 1
			}
			return 0
		}),
	}
}

// Measure returns the figures of any score of the rows. All are 0 if the set has only one kind of
// them.
func Measure(test Set, score func(*Vector) float64) Figures {
	frauds := 0
	for _, is := range test.Fraud {
		if is {
			frauds++
		}
	}
	if frauds == 0 || frauds == len(test.Rows) {
		return Figures{}
	}
	return measure(test, func(i int) float64 { return score(&test.Rows[i]) })
}

// measure returns the figures of the scores by index.
func measure(test Set, score func(i int) float64) Figures {
	scored := make([]Scored, len(test.Rows))
	for i, a := range test.Meta {
		scored[i] = Scored{At: a.At, Card: a.Card, Score: score(i), Fraud: test.Fraud[i]}
	}
	return Figures{AUCROC: AUCROC(scored), AveragePrecision: AveragePrecision(scored), CardPrecision100: CardPrecision(scored, 100)}
}
