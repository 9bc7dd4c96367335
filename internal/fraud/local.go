package fraud

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/fraud/shield"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// ModelSource gives what scores, from memory; nil is no model.
type ModelSource interface {
	Running() *score.Model
	Shadow() *score.Model
}

// LocalConfig of a Local. Feed, Now and Log must be given.
type LocalConfig struct {
	Feed    Feed
	History history.Replayer // what there was before the start; nil: nothing is known of it
	// Behind is how many events History has not heard of yet; needed with History.
	Behind func(context.Context) (int64, error)
	// Decide asks rules and lists, and gives the account's policy for what nobody
	// assesses in time; nil: everything is allowed.
	Decide func(*Attempt, *score.Vector, *score.Assessment) (r payment.Risk, failOpen bool)
	Models ModelSource    // nil: nothing is scored
	Shield *shield.Shield // nil: nobody is held off
	Puzzle shield.MAC     // seals and opens proofs of work; nil: none is asked for
	// Refused keeps what the shield refused; may be nil.
	Refused func(context.Context, []history.Refusal) error
	Now     func() time.Time
	Log     *slog.Logger
	// Observe is told of every verdict; may be nil. What the shield refused has none.
	Observe func(v Verdict, refused bool, took time.Duration)
}

// Local is the real thing: it answers from memory. Each instance keeps its own and
// follows the feed for itself; what was assessed here is counted at once. A crash
// loses nothing that the next start does not read again.
type Local struct {
	cfg     LocalConfig
	memory  atomic.Pointer[memory]
	warm    atomic.Bool
	refused refusals
	place   atomic.Int64
	lag     atomic.Int64 // age of the last event that was applied, in nanoseconds; 0 at the feed's end
}

var _ Assessor = (*Local)(nil)

// NewLocal makes one that remembers nothing; Run fills it.
func NewLocal(c LocalConfig) *Local {
	if c.Observe == nil {
		c.Observe = func(Verdict, bool, time.Duration) {}
	}
	l := &Local{cfg: c}
	l.memory.Store(newMemory(score.NewHistory(history.MaxEntities)))
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
	if said := m.before(a.Payment); said != nil {
		return *said, nil
	}
	guarded := a.guarded(at)
	outcome, err := l.guard(&a, &guarded)
	if err != nil {
		if l.cfg.Refused != nil {
			l.refused.add(&a, at)
		}
		l.cfg.Observe(Verdict{}, true, time.Since(start))
		return Verdict{}, err
	}
	var vector score.Vector
	seen := a.seen(at)
	m.attempt(&seen, guarded, &vector)
	v := l.judge(&a, &vector)
	if outcome.Challenge3DS && !v.Risk.Challenge {
		v.Risk.Challenge = true
		if v.Risk.Why == WhyDefault {
			v.Risk.Why = whyShield
		}
	}
	if v.Risk.Action == payment.Block && l.cfg.Shield != nil {
		l.cfg.Shield.Dropped(guarded)
	}
	m.said(a.Payment, &v)
	l.cfg.Observe(v, false, time.Since(start))
	return v, nil
}

// seen is the attempt as features see it, at a moment.
func (a *Attempt) seen(at time.Time) score.Attempt {
	return score.Attempt{ID: a.Payment, Scope: score.Scope(a.Account, a.Mode, string(a.Amount.Currency)), At: at, Account: a.Account, Link: a.Link,
		Card: a.Fingerprint, BIN: a.BIN, Email: score.EmailKey(a.Email), Address: a.Address, Minor: a.Amount.Minor}
}

// guarded is the attempt as the shield sees it.
func (a *Attempt) guarded(at time.Time) shield.Attempt {
	return shield.Attempt{Account: a.Account, Mode: a.Mode, Link: a.Link, Card: a.Card, BIN: a.BIN, Address: a.Address, Payment: a.Payment, At: at}
}

// guard asks the shield. An error is its refusal: nothing else is counted then.
func (l *Local) guard(a *Attempt, g *shield.Attempt) (shield.Outcome, error) {
	if l.cfg.Shield == nil {
		return shield.Outcome{}, nil
	}
	g.Proved = a.Proof != "" && l.cfg.Puzzle != nil && shield.Open(l.cfg.Puzzle, a.Payment, a.Proof, g.At)
	o := l.cfg.Shield.Attempt(*g)
	return o, o.Fault()
}

// judge says what to do, from what is known. Nothing is locked here.
func (l *Local) judge(a *Attempt, v *score.Vector) Verdict {
	var model *score.Model
	if l.cfg.Models != nil {
		model = l.cfg.Models.Running()
	}
	assessed := model.Assess(v)
	open, r := true, payment.Risk{Action: payment.Allow, Why: WhyDefault}
	if l.cfg.Decide != nil {
		r, open = l.cfg.Decide(a, v, &assessed)
	}
	r.Fingerprint, r.BIN, r.Address, r.Country = a.Fingerprint, a.BIN, a.Address, a.Country
	r.Score, r.Basis, r.Model = assessed.Score, string(assessed.Basis), assessed.Model
	for _, reason := range assessed.Reasons {
		r.Reasons = append(r.Reasons, payment.RiskReason{Feature: reason.Feature, Value: float64(reason.Value), Share: reason.Share})
	}
	if shadow := l.shadow(); shadow != nil {
		r.ShadowModel, r.ShadowScore = shadow.Version, shadow.Score(v)
	}
	if model != nil && !l.warm.Load() { // the month before is being read: what looks new may be old
		r.Basis = string(score.NoHistory)
	}
	return Verdict{Risk: r, FailOpen: open}
}

// shadow is the model that scores without a say; nil: none does.
func (l *Local) shadow() *score.Model {
	if l.cfg.Models == nil {
		return nil
	}
	return l.cfg.Models.Shadow()
}

// Challenge implements Assessor. Nothing is kept of it: the seed says all.
func (l *Local) Challenge(_ context.Context, k link.Link, attempt, address string) (Puzzle, error) {
	if l.cfg.Shield == nil || l.cfg.Puzzle == nil {
		return Puzzle{}, nil
	}
	now := l.cfg.Now()
	bits := l.cfg.Shield.Bits(k.Account, k.Mode, k.ID, address, now)
	if bits == 0 {
		return Puzzle{}, nil
	}
	return Puzzle{Seed: shield.Seal(l.cfg.Puzzle, payment.IDFor(k.ID, attempt), bits, now), Bits: bits}, nil
}

// Lag is how old the last event was when it was counted here; 0 at the feed's end.
func (l *Local) Lag() time.Duration { return time.Duration(l.lag.Load()) }

// Position is the place in the feed up to which all is counted.
func (l *Local) Position() int64 { return l.place.Load() }

// Warm reports whether the month before the start is counted.
func (l *Local) Warm() bool { return l.warm.Load() }
