package fraud

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// LocalConfig of a Local. Feed, Now and Log must be given.
type LocalConfig struct {
	Feed    Feed
	History History     // what there was before the start; nil: nothing is known of it
	Models  ModelSource // nil: there is no model
	Now     func() time.Time
	Log     *slog.Logger
	// Observe is told of every verdict; may be nil.
	Observe func(v Verdict, took time.Duration)
}

// Local is the real thing: it answers from memory. Each instance keeps its own and
// follows the feed for itself; what was assessed here is counted at once. A crash
// loses nothing that the next start does not read again.
type Local struct {
	cfg    LocalConfig
	memory atomic.Pointer[memory]
	warm   atomic.Bool
	lag    atomic.Int64 // age of the last event that was applied, in nanoseconds; 0 at the feed's end
}

var _ Assessor = (*Local)(nil)

// NewLocal makes one that remembers nothing; Run fills it.
func NewLocal(c LocalConfig) *Local {
	if c.Observe == nil {
		c.Observe = func(Verdict, time.Duration) {}
	}
	l := &Local{cfg: c}
	l.memory.Store(newMemory(score.NewHistory(MaxEntities)))
	return l
}

// Assess implements Assessor.
func (l *Local) Assess(_ context.Context, a Attempt) (Verdict, error) {
	start := time.Now()
	at := l.cfg.Now()
	if a.At.Before(at) && !a.At.IsZero() { // a test clock may be ahead; what is counted is real time
		at = a.At
	}
	m := l.memory.Load()
	var vector score.Vector
	seen := a.seen(at)
	if again, said := m.attempt(&seen, &vector); again && said != nil {
		return *said, nil
	}
	v := l.judge(&a, &vector)
	m.said(a.Payment, &v)
	l.cfg.Observe(v, time.Since(start))
	return v, nil
}

// judge says what to do, from what is known. Nothing is locked here.
func (l *Local) judge(a *Attempt, v *score.Vector) Verdict {
	r := payment.Risk{Fingerprint: a.Fingerprint, BIN: a.BIN, Address: a.Address, Country: a.Country}
	var model *score.Model
	if l.cfg.Models != nil {
		model = l.cfg.Models.Running()
	}
	assessed := model.Assess(v)
	r.Score, r.Basis, r.Model = assessed.Score, string(assessed.Basis), assessed.Model
	for _, reason := range assessed.Reasons {
		r.Reasons = append(r.Reasons, payment.RiskReason{Feature: reason.Feature, Value: float64(reason.Value), Share: reason.Share})
	}
	if model != nil && !l.warm.Load() { // the month before is being read: what looks new may be old
		r.Basis = string(score.NoHistory)
	}
	r.Action, r.Why = payment.Allow, "default"
	return Verdict{Risk: r, FailOpen: true}
}

// Challenge implements Assessor.
func (l *Local) Challenge(context.Context, link.Link, string, string) (Puzzle, error) {
	return Puzzle{}, nil
}

// Lag is how old the last event was when it was counted here; 0 at the feed's end.
func (l *Local) Lag() time.Duration { return time.Duration(l.lag.Load()) }

// Warm reports whether the month before the start is counted.
func (l *Local) Warm() bool { return l.warm.Load() }
