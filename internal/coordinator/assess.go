package coordinator

import (
	"context"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// DefaultFraudBudget bounds how long the fraud service may take to assess an attempt.
const DefaultFraudBudget = 25 * time.Millisecond

const (
	maxPolicies = 8192 // accounts whose policy is remembered

	whyPolicy = "policy" // nobody answered in time
)

// policies remembers, per account, what to do with an attempt that was not assessed in time, as
// the fraud service last said. An account that is missing fails open. The policies live in
// memory only: after a restart, or when the map is full, the next verdict fills them in again.
type policies struct {
	mu     sync.RWMutex
	closed map[string]struct{} // accounts that fail closed
}

func (p *policies) learn(account string, open bool) {
	if p.failsClosed(account) != open {
		return // as known
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case open:
		delete(p.closed, account)
	case p.closed == nil || len(p.closed) >= maxPolicies:
		p.closed = map[string]struct{}{account: {}}
	default:
		p.closed[account] = struct{}{}
	}
}

func (p *policies) failsClosed(account string) bool {
	p.mu.RLock()
	defer p.mu.RUnlock()
	_, closed := p.closed[account]
	return closed
}

// assess returns what to do with an attempt before any of it is committed. An error is a
// refusal: no payment is made. If the fraud service fails or exceeds its budget, the account's
// policy decides, so a payer never waits for the service.
func (c *Local) assess(ctx context.Context, s payment.Submit, fresh payment.Payment) (payment.Risk, error) {
	known, a := c.known(s, fresh)
	if c.cfg.Fraud == nil {
		return known, nil
	}
	ctx, cancel := context.WithTimeout(ctx, c.cfg.FraudBudget)
	defer cancel()
	type answer struct {
		fraud.Verdict
		err error
	}
	answers := make(chan answer, 1) // buffered, so a late answer does not block its goroutine
	start := time.Now()
	go func() {
		v, err := c.cfg.Fraud.Assess(ctx, a)
		answers <- answer{v, err}
	}()
	var got answer
	select {
	case got = <-answers:
	case <-ctx.Done():
		got.err = ctx.Err()
	}
	if fault.KindOf(got.err) == fault.KindRateLimited {
		c.cfg.ObserveFraud(time.Since(start), true)
		return known, got.err
	}
	c.cfg.ObserveFraud(time.Since(start), got.err == nil)
	if got.err != nil {
		known.Action, known.Why = payment.Allow, whyPolicy
		if c.policies.failsClosed(a.Account) {
			known.Action = payment.Block
		}
		c.cfg.Log.WarnContext(ctx, "an attempt was not assessed in time; the account's policy decides", "payment", a.Payment,
			"action", known.Action, "error", got.err)
		return known, nil
	}
	c.policies.learn(a.Account, got.FailOpen)
	risk := got.Risk
	risk.Fingerprint, risk.BIN, risk.Address, risk.Country = known.Fingerprint, known.BIN, known.Address, known.Country
	// The assessor may not set the review: people do so later.
	risk.Review, risk.ReviewedAt, risk.ReviewedBy = "", time.Time{}, ""
	risk.Label, risk.LabelledAt, risk.LabelledBy = "", time.Time{}, ""
	return risk, nil
}

// known returns what is known about an attempt, never the card's number.
func (c *Local) known(s payment.Submit, p payment.Payment) (payment.Risk, fraud.Attempt) {
	a := fraud.Attempt{Payment: p.ID, At: p.CreatedAt, Account: p.Account, Mode: p.Mode, Link: p.Link, Amount: p.Amount, Brand: p.CardBrand,
		Fingerprint: s.Card.Fingerprint(), Card: s.Card.Fingerprint(), BIN: s.Card.BIN(),
		Email: p.PayerEmail, Address: spelling.Network(s.Client), Country: s.Country, Proof: s.Proof}
	return payment.Risk{Fingerprint: a.Fingerprint, BIN: a.BIN, Address: a.Address, Country: a.Country}, a
}
