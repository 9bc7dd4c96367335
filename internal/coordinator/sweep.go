package coordinator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/testclock"
)

// Run sweeps until ctx ends: it finds payments that are due and carries them on. Several
// processes may run it, because the claim is a conditional write that only one of them wins. An
// issuer that does not answer delays only its own payments.
func (c *Local) Run(ctx context.Context) error {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var running sync.WaitGroup
	defer running.Wait()
	more := make(chan struct{}, 1)
	for {
		n, wait := c.start(ctx)
		running.Go(func() {
			if err := wait(); err != nil && ctx.Err() == nil {
				c.cfg.Log.ErrorContext(ctx, "sweep failed; it runs again", "error", err)
			}
			if n == sweepBatch { // there may be more
				select {
				case more <- struct{}{}:
				default:
				}
			}
		})
		select {
		case <-ctx.Done():
			return nil
		case <-testclock.Moved(c.cfg.Payments): // the test clock moved, so others may be due
		case <-more:
		case <-tick.C:
		}
	}
}

// Sweep works once on what is due and returns how many payments it took.
func (c *Local) Sweep(ctx context.Context) (int, error) {
	n, wait := c.start(ctx)
	return n, wait()
}

// start takes what is due and works on each issuer's payments concurrently. It returns how many
// it took, and a function that waits for them. It takes none of an issuer whose payments are
// still being worked on.
func (c *Local) start(ctx context.Context) (n int, wait func() error) {
	// A damaged payment does not keep the readable ones from being carried on.
	due, unread := c.cfg.Payments.TakeDue(ctx, payment.Take{Now: c.cfg.Now(), Limit: sweepBatch, Busy: c.lanes.busy()})
	of := map[string][]payment.Payment{}
	for _, p := range due {
		of[p.Issuer] = append(of[p.Issuer], p)
	}
	var all errgroup.Group
	for name, list := range of {
		free := c.lanes.enter(name)
		all.Go(func() error {
			defer free()
			return c.carryOn(ctx, list)
		})
	}
	return len(due), func() error { return errors.Join(unread, all.Wait()) }
}

// carryOn works on payments of one issuer. An error of one does not stop the others.
func (c *Local) carryOn(ctx context.Context, list []payment.Payment) error {
	var g errgroup.Group
	g.SetLimit(sweepParallel)
	failed := make([]error, len(list))
	for i, p := range list {
		g.Go(func() error {
			if _, err := c.resolve(ctx, p, false); err != nil {
				failed[i] = fmt.Errorf("%s: %w", p.ID, err)
			}
			return nil
		})
	}
	_ = g.Wait() // errs holds the errors
	return errors.Join(failed...)
}

// lanes is the set of issuers whose payments a sweep is working on.
type lanes struct {
	mu     sync.Mutex
	issuer map[string]int
}

func (l *lanes) busy() (names []string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for name := range l.issuer {
		names = append(names, name)
	}
	return names
}

func (l *lanes) enter(name string) (leave func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.issuer == nil {
		l.issuer = map[string]int{}
	}
	l.issuer[name]++
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.issuer[name]--; l.issuer[name] == 0 {
			delete(l.issuer, name)
		}
	}
}

// Repair carries on a payment whose outcome is unknown because somebody reads it. It does the
// sweep's work without waiting for its turn, and leaves a payment alone that another worker has
// leased.
func (c *Local) Repair(ctx context.Context, p payment.Payment) payment.Payment {
	now := p.At(c.cfg.Now())
	since := now.Sub(p.Work.AskedAt) // negative when the clock was set back
	if !p.Stuck(now) || (since >= 0 && since < repairEvery) {
		return p
	}
	done, err := c.resolve(context.WithoutCancel(ctx), p, true)
	if err != nil {
		return p
	}
	return done
}

// followUp carries on what fell due at once, such as a refund by late policy.
func (c *Local) followUp(ctx context.Context, p payment.Payment) payment.Payment {
	for range maxFollowUps {
		due := p.DueAt()
		if due.IsZero() || due.After(p.At(c.cfg.Now())) {
			break
		}
		next, err := c.resolve(ctx, p, false)
		if err != nil || next.Revision == p.Revision {
			break // the sweep goes on with it
		}
		p = next
	}
	return p
}

// resolve claims the payment and does the next thing that its status asks for. extra marks work
// outside the schedule.
func (c *Local) resolve(ctx context.Context, p payment.Payment, extra bool) (payment.Payment, error) {
	k, ok := c.connectors[p.Issuer]
	if !ok {
		k = gone(p.Issuer)
		c.cfg.ObserveGone(p.Issuer)
	}
	owner := id.New(id.Change)
	claimed, err := c.settleOnce(ctx, p, payment.Input{Kind: payment.Claim, Actor: "sweep", Owner: owner})
	if err != nil || claimed.Work.Owner != owner {
		if errors.Is(err, payment.ErrConflict) {
			return p, nil // another worker was faster
		}
		return p, err
	}
	due := p
	if p, err = c.resolveStatus(ctx, k, claimed, extra); err != nil {
		return p, err
	}
	for _, r := range due.Refunds {
		if !r.Asking() || r.DueAt.After(p.At(c.cfg.Now())) {
			continue
		}
		answer := c.lookup(ctx, k, r.ID)
		if answer.Outcome == issuer.NotFound {
			answer = c.refund(ctx, k, p, r)
		}
		if answer.Outcome == issuer.NotSent {
			answer.Outcome = issuer.Ambiguous // the decision to refund stands
		}
		if p, err = c.settle(ctx, p, payment.Input{Kind: payment.RefundAnswer, Actor: "sweep", Answer: answer, Refund: r.ID}); err != nil {
			return p, err
		}
		if now, ok := p.RefundByID(r.ID); ok && now.Overdue() {
			c.cfg.Log.ErrorContext(ctx, "a refund needs a person: the issuer gave no clear answer in time; it is asked again each day",
				"payment", p.ID, "refund", r.ID, "asked", now.Asked)
		}
	}
	return p, nil
}

func (c *Local) resolveStatus(ctx context.Context, k issuer.Connector, p payment.Payment, extra bool) (payment.Payment, error) {
	var err error
	switch p.Status {
	case payment.Created:
		return c.settle(ctx, p, payment.Input{Kind: payment.Abandon, Actor: "sweep"})
	case payment.Processing:
		if p, err = c.settle(ctx, p, payment.Input{Kind: payment.Lost, Actor: "sweep", Owner: p.Work.Owner}); err != nil {
			return p, err
		}
		return c.inquire(ctx, k, p, extra)
	case payment.Unknown, payment.RequiresAction:
		return c.inquire(ctx, k, p, extra)
	case payment.Review: // its issuer was gone
		return c.returned(ctx, k, p, extra)
	case payment.Capturing:
		return c.askCapture(ctx, k, p, extra)
	case payment.Authorized, payment.Late: // the hold has run out
		if p.CapturedMinor > 0 {
			return p, nil // a late success that was captured: only a refund made it due, and the merchant decides the rest
		}
		if p, err = c.settle(ctx, p, payment.Input{Kind: payment.VoidAsked, Actor: "sweep", Owner: p.Work.Owner}); err != nil {
			return p, err
		}
		fallthrough
	case payment.Voiding:
		return c.settle(ctx, p, payment.Input{Kind: payment.VoidAnswer, Actor: "sweep", Answer: c.reverse(ctx, k, p), Extra: extra})
	default: // settled
		return p, nil
	}
}

// askCapture asks for the outcome of a capture, and makes it if the issuer has never seen it.
func (c *Local) askCapture(ctx context.Context, k issuer.Connector, p payment.Payment, extra bool) (payment.Payment, error) {
	answer := c.lookup(ctx, k, p.CaptureKey())
	if answer.Outcome == issuer.NotFound {
		answer = c.capture(ctx, k, p)
	}
	if answer.Outcome == issuer.NotSent {
		answer.Outcome = issuer.Ambiguous // this call was not sent, but an earlier one may have been
	}
	return c.settle(ctx, p, payment.Input{Kind: payment.CaptureAnswer, Actor: "sweep", Answer: answer, Extra: extra})
}

// inquire asks the issuer for the outcome of an authorization. If the issuer has never seen it,
// or nobody answered its challenge, inquire reverses it, so that the issuer refuses a request
// that is still on its way.
func (c *Local) inquire(ctx context.Context, k issuer.Connector, p payment.Payment, extra bool) (payment.Payment, error) {
	if p.Status != payment.Unknown && p.Status != payment.RequiresAction && !p.Orphaned() {
		return p, nil
	}
	answer := c.lookup(ctx, k, p.IssuerKey())
	unanswered := answer.Outcome == issuer.ActionRequired && p.Status == payment.RequiresAction && !p.At(c.cfg.Now()).Before(p.ChallengeEnds())
	if answer.Outcome == issuer.NotFound || unanswered {
		answer = c.reverse(ctx, k, p)
		if answer.Outcome == issuer.Declined {
			answer.Outcome = issuer.Ambiguous // it was captured meanwhile: ask again
		}
	}
	done, err := c.settle(ctx, p, payment.Input{Kind: payment.Inquired, Actor: "sweep", Answer: answer, Extra: extra})
	if err != nil {
		return p, err
	}
	return c.followUp(ctx, done), nil
}

func (c *Local) lookup(ctx context.Context, k issuer.Connector, reference string) issuer.Answer {
	return c.call(ctx, k, "lookup", func(ctx context.Context) issuer.Answer { return k.Lookup(ctx, reference) })
}

// settleOnce commits one input without re-reading. It returns payment.ErrConflict to the
// caller.
func (c *Local) settleOnce(ctx context.Context, p payment.Payment, in payment.Input) (payment.Payment, error) {
	in.Change, in.At = id.New(id.Change), p.At(c.cfg.Now())
	change, err := payment.Next(p, inTimeOf(p, in))
	if err != nil || change.Nothing {
		return p, err
	}
	if err := c.commit(ctx, change); err != nil {
		return p, err
	}
	return change.Payment, nil
}
