package history

import (
	"container/heap"
	"time"

	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/payment"
)

// Limits of what is counted.
const (
	Window = 31 * 24 * time.Hour // how far back
	// MaxEntities is the number of entities of each kind (cards, addresses, emails, links,
	// accounts, BINs) in memory. A million payments a month need about 500 MiB.
	MaxEntities = 300_000
)

// Attempt returns the row's attempt as features see it, as if made at the given time.
func (r *Row) Attempt(at time.Time) score.Attempt {
	return score.Attempt{ID: r.ID, Scope: score.Scope(r.Account, r.Mode, string(r.Amount.Currency)), At: at, Account: r.Account, Link: r.Link,
		Card: r.Risk.Fingerprint, Cards: issuer.WithoutBucket(r.Risk.Fingerprint), BIN: r.Risk.BIN,
		Email: score.EmailKey(r.PayerEmail), Address: r.Risk.Address, Minor: r.Amount.Minor}
}

// Past iterates over rows in order of creation and returns what was known before each: attempts
// from when they were made, outcomes from the issuer's answer, labels from when they became
// known. It counts with the same code as the decision path, so a backtest, a training and a start
// see the numbers that the path saw.
type Past struct {
	history *score.History
	due     facts
	until   time.Time
}

// NewPast returns an empty one. What was created after until (an account's test clock may be
// ahead) counts as created then. Entities limits how many of each kind are in memory.
func NewPast(until time.Time, entities int) *Past {
	return &Past{history: score.NewHistory(entities), until: until}
}

// at returns t, or until if t is later.
func (p *Past) at(t time.Time) time.Time {
	if t.After(p.until) {
		return p.until
	}
	return t
}

// Next returns the features of the row at its creation, counts it, and returns its keys in the
// history. With a nil vector it only counts.
func (p *Past) Next(r *Row, v *score.Vector) score.Keys {
	at := p.at(r.CreatedAt)
	p.catchUp(at)
	a := r.Attempt(at)
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
	return keys
}

// Close counts what became known after the last row, and returns the history. The Past must not be
// used any more.
func (p *Past) Close() *score.History {
	p.catchUp(p.until)
	return p.history
}

// catchUp counts what became known up to a time.
func (p *Past) catchUp(at time.Time) {
	for len(p.due) > 0 && !p.due[0].at.After(at) {
		f := heap.Pop(&p.due).(fact) // it contains nothing else
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

// facts is a heap, earliest first.
type facts []fact

// The methods of heap.Interface.
func (f facts) Len() int           { return len(f) }
func (f facts) Less(i, j int) bool { return f[i].at.Before(f[j].at) }
func (f facts) Swap(i, j int)      { f[i], f[j] = f[j], f[i] }
func (f *facts) Push(x any)        { *f = append(*f, x.(fact)) } // only facts are pushed
func (f *facts) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}
