package fraud

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/fraud/shield"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// ModelSource returns the scoring models from memory; nil means none.
type ModelSource interface {
	Running() *score.Model
	Shadow() *score.Model
}

// LocalConfig configures a Local. Feed, Now and Log are required.
type LocalConfig struct {
	Feed    Feed
	History history.Replayer // payments from before the start; nil: none are known
	// Behind returns how many events History has not processed yet. It is required with History.
	Behind func(context.Context) (int64, error)
	// Decide evaluates rules and lists, and returns the account's policy for attempts that are
	// not assessed in time; nil: everything is allowed.
	Decide func(*Attempt, *score.Vector, *score.Assessment) (r payment.Risk, failOpen bool)
	Models ModelSource    // nil: attempts are not scored
	Shield *shield.Shield // nil: nothing is refused
	Puzzle shield.MAC     // seals and opens proofs of work; nil: none is required
	// Refused stores what the shield refused; may be nil.
	Refused func(context.Context, []history.Refusal) error
	Now     func() time.Time
	Log     *slog.Logger
	// Observe is called with every verdict; may be nil. A refusal by the shield has none.
	Observe func(v Verdict, refused bool, took time.Duration)
}

// Local is the real Assessor: it answers from memory. Each instance keeps its own and follows the
// feed itself; attempts assessed here count at once. After a crash the next start reads everything
// again. It is safe for concurrent use.
type Local struct {
	cfg     LocalConfig
	memory  atomic.Pointer[memory]
	warm    atomic.Bool
	refused refusals
	place   atomic.Int64
	lag     atomic.Int64 // age of the last applied event, in nanoseconds; 0 at the feed's end
}

var _ Assessor = (*Local)(nil)

// NewLocal returns a Local with an empty memory. Run fills it. Until then everything looks new, and
// scores have the basis no_history.
func NewLocal(c LocalConfig) *Local {
	if c.Observe == nil {
		c.Observe = func(Verdict, bool, time.Duration) {}
	}
	l := &Local{cfg: c}
	l.memory.Store(newMemory(score.NewHistory(history.MaxEntities)))
	return l
}

// Assess implements Assessor. The shield comes first: what it refuses is counted as refused, and
// nothing else happens. Then the attempt is counted and judged. A repeated call returns the first
// verdict until the outcome is known.
func (l *Local) Assess(_ context.Context, a Attempt) (Verdict, error) {
	start := time.Now()
	at := l.cfg.Now()
	if a.At.Before(at) && !a.At.IsZero() { // a test clock may be ahead; counting uses real time
		at = a.At
	}

	m := l.memory.Load()
	if earlier := m.before(a.Payment); earlier != nil {
		return *earlier, nil
	}

	// The shield comes first, so that a flood costs no more than this.
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

	m.remember(a.Payment, &v)
	l.cfg.Observe(v, false, time.Since(start))
	return v, nil
}

// seen returns the attempt as features see it, at a given time.
func (a *Attempt) seen(at time.Time) score.Attempt {
	return score.Attempt{
		ID:      a.Payment,
		Scope:   score.Scope(a.Account, a.Mode, string(a.Amount.Currency)),
		At:      at,
		Account: a.Account,
		Link:    a.Link,
		Card:    a.Fingerprint,
		Cards:   issuer.WithoutBucket(a.Fingerprint),
		BIN:     a.BIN,
		Email:   score.EmailKey(a.Email),
		Address: a.Address,
		Minor:   a.Amount.Minor,
	}
}

// guarded returns the attempt as the shield sees it.
func (a *Attempt) guarded(at time.Time) shield.Attempt {
	return shield.Attempt{
		Account: a.Account,
		Mode:    a.Mode,
		Link:    a.Link,
		Card:    a.Fingerprint,
		BIN:     a.BIN,
		Address: a.Address,
		Payment: a.Payment,
		At:      at,
	}
}

// guard calls the shield. An error is its refusal, and then nothing else is counted.
func (l *Local) guard(a *Attempt, g *shield.Attempt) (shield.Outcome, error) {
	if l.cfg.Shield == nil {
		return shield.Outcome{}, nil
	}
	g.Proved = a.Proof != "" && l.cfg.Puzzle != nil && shield.Open(l.cfg.Puzzle, a.Payment, a.Proof, g.At)
	o := l.cfg.Shield.Attempt(*g)
	return o, o.Fault()
}

// judge decides from what is known. No lock is held. Without rules everything is allowed; without a
// model the score is 0 and its basis no_model.
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
	if model != nil && !l.warm.Load() { // the month before is still being read: what looks new may be old
		r.Basis = string(score.NoHistory)
	}
	return Verdict{Risk: r, FailOpen: open}
}

// shadow returns the shadow model, or nil if there is none.
func (l *Local) shadow() *score.Model {
	if l.cfg.Models == nil {
		return nil
	}
	return l.cfg.Models.Shadow()
}

// Challenge implements Assessor. Nothing is stored: the seed contains everything. The bits depend
// on the link and the address, as they are now.
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

// Lag returns the age of the last event when it was counted here, or 0 at the feed's end.
func (l *Local) Lag() time.Duration { return time.Duration(l.lag.Load()) }

// Position returns the position in the feed up to which everything is counted.
func (l *Local) Position() int64 { return l.place.Load() }

// Warm reports whether the month before the start is counted.
func (l *Local) Warm() bool { return l.warm.Load() }
