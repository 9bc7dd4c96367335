package fraud

import (
	"container/heap"
	"time"

	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/payment"
)

// Window is how far back anything is counted.
const Window = 31 * 24 * time.Hour

// scope keeps the counts of one account, mode and currency apart from all others.
func scope(account, mode, currency string) string { return account + "\x00" + mode + "\x00" + currency }

// seen is the attempt as features see it, at a moment.
func (a *Attempt) seen(at time.Time) score.Attempt {
	return score.Attempt{ID: a.Payment, Scope: scope(a.Account, a.Mode, string(a.Amount.Currency)), At: at, Account: a.Account, Link: a.Link,
		Card: a.Fingerprint, BIN: a.BIN, Email: EmailKey(a.Email), Address: a.Address, Minor: a.Amount.Minor}
}

// seen is the row's attempt as features see it.
func (r *Row) seen(at time.Time) score.Attempt {
	return score.Attempt{ID: r.ID, Scope: scope(r.Account, r.Mode, string(r.Amount.Currency)), At: at, Account: r.Account, Link: r.Link,
		Card: r.Risk.Fingerprint, BIN: r.Risk.BIN, Email: EmailKey(r.PayerEmail), Address: r.Risk.Address, Minor: r.Amount.Minor}
}

// Past goes through rows in the order of their making and gives what was known
// before each: attempts when they were made, outcomes when the issuer told them,
// labels when they became known. It counts as the path does, by the same code: a
// backtest, a training and a start see the numbers that the path saw.
type Past struct {
	history *score.History
	due     facts
	until   time.Time
}

// NewPast makes an empty one. What was made after until (an account's test clock may
// be ahead) counts as made then. Entities bounds what is remembered of each kind.
func NewPast(until time.Time, entities int) *Past {
	return &Past{history: score.NewHistory(entities), until: until}
}

func (p *Past) at(t time.Time) time.Time {
	if t.After(p.until) {
		return p.until
	}
	return t
}

// Next gives the features of the row as they were when it was made, and counts it.
// A nil vector only counts.
func (p *Past) Next(r *Row, v *score.Vector) {
	at := p.at(r.CreatedAt)
	p.catchUp(at)
	a := r.seen(at)
	keys := p.history.Keys(&a)
	if v != nil {
		p.history.FeaturesOf(keys, &a, v)
	}
	p.history.Attempted(keys, at, a.Minor)
	if !r.AnsweredAt.IsZero() && r.Risk.Action != payment.Block {
		o := score.Declined
		if r.Authorised {
			o = score.Authorised
		}
		heap.Push(&p.due, fact{at: p.at(r.AnsweredAt), keys: keys, outcome: o})
	}
	if fraud, since, known := r.Fraud(); known {
		heap.Push(&p.due, fact{at: p.at(since), keys: keys, fraud: fraud})
	}
}

// catchUp counts what became known until then.
func (p *Past) catchUp(at time.Time) {
	for len(p.due) > 0 && !p.due[0].at.After(at) {
		f := heap.Pop(&p.due).(fact) // nothing else is in it
		if f.outcome != 0 {
			p.history.Answered(f.keys, f.at, f.outcome)
		} else {
			p.history.Learned(f.keys, f.fraud, f.at)
		}
	}
}

// fact is an outcome, or a label, that became known at a moment.
type fact struct {
	at      time.Time
	keys    score.Keys
	outcome score.Outcome // 0: a label
	fraud   bool
}

// facts is a heap, the earliest first.
type facts []fact

func (f facts) Len() int           { return len(f) }
func (f facts) Less(i, j int) bool { return f[i].at.Before(f[j].at) }
func (f facts) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *facts) Push(x any)        { *f = append(*f, x.(fact)) } // only facts are pushed
func (f *facts) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}
