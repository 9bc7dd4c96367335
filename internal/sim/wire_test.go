package sim_test

import (
	"context"
	"errors"
	"runtime"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/storetest"
)

// The faults, as the totals and the stories name them. A process dies by the end of its
// goroutine: what was committed stays, and what it held in memory is gone.
const (
	notSent      = "request proved not sent"
	requestLost  = "request lost"
	answerLost   = "answer lost"
	diedBefore   = "process died before the request left"
	diedAfter    = "process died before the answer came"
	inquiryFails = "inquiry got no answer"
	noticeLost   = "notice lost"
	noticeTwice  = "notice delivered twice"
	commitFails  = "commit failed"
	commitLost   = "commit made, its confirmation lost"
	diedInCommit = "process died before its commit"
	diedByCommit = "process died after its commit"
	restarted    = "process restarted"
	clockJumped  = "clock jumped"
	fraudAway    = "fraud service away"
)

// wire is the connector to the issuer. It loses requests and answers, and dies with its caller.
type wire struct {
	*simulator.Simulator
	s *sim
}

func (w wire) do(ctx context.Context, call, reference string, send func() issuer.Answer) issuer.Answer {
	id := w.s.journal.paymentOf(reference)
	happens := func(kind string) { w.s.fault(ctx, id, kind, call+" "+reference) }
	if !w.s.calm() {
		switch w.s.dice.n(40) {
		case 0:
			happens(notSent)
			return issuer.Answer{Outcome: issuer.NotSent}
		case 1:
			happens(requestLost)
			return issuer.Answer{Outcome: issuer.Ambiguous}
		case 2, 3:
			send()
			happens(answerLost)
			return issuer.Answer{Outcome: issuer.Ambiguous}
		case 4:
			happens(diedBefore)
			runtime.Goexit()
		case 5:
			send()
			happens(diedAfter)
			runtime.Goexit()
		}
	}
	a := send()
	w.s.note(ctx, id, "%s %s: the issuer answers %s", call, reference, a.Outcome)
	return a
}

func (w wire) Authorize(ctx context.Context, a issuer.Authorization) issuer.Answer {
	return w.do(ctx, "authorize", a.Reference, func() issuer.Answer { return w.Simulator.Authorize(ctx, a) })
}

func (w wire) Capture(ctx context.Context, o issuer.Operation) issuer.Answer {
	return w.do(ctx, "capture", o.ID, func() issuer.Answer { return w.Simulator.Capture(ctx, o) })
}

func (w wire) Refund(ctx context.Context, o issuer.Operation) issuer.Answer {
	return w.do(ctx, "refund", o.ID, func() issuer.Answer { return w.Simulator.Refund(ctx, o) })
}

func (w wire) Reverse(ctx context.Context, o issuer.Operation) issuer.Answer {
	return w.do(ctx, "reverse", o.ID, func() issuer.Answer { return w.Simulator.Reverse(ctx, o) })
}

func (w wire) Lookup(ctx context.Context, reference string) issuer.Answer {
	id := w.s.journal.paymentOf(reference)
	if !w.s.calm() && w.s.dice.percent(5) {
		w.s.fault(ctx, id, inquiryFails, "lookup "+reference)
		return issuer.Answer{Outcome: []issuer.Outcome{issuer.NotSent, issuer.Ambiguous, issuer.Pending}[w.s.dice.n(3)]}
	}
	a := w.Simulator.Lookup(ctx, reference)
	w.s.note(ctx, id, "lookup %s: the issuer answers %s", reference, a.Outcome)
	return a
}

// OnNotice drops some notices and delivers some twice.
func (w wire) OnNotice(handle func(context.Context, issuer.Notice) error) {
	w.Simulator.OnNotice(func(ctx context.Context, n issuer.Notice) error {
		ctx, id := w.s.journal.operation(ctx, "notice"), w.s.journal.paymentOf(n.Reference)
		if !w.s.calm() && w.s.dice.percent(20) {
			w.s.fault(ctx, id, noticeLost, n.Reference)
			return nil
		}
		if w.s.dice.percent(20) {
			w.s.fault(ctx, id, noticeTwice, n.Reference)
			_ = handle(ctx, n)
		}
		w.s.note(ctx, id, "the issuer notifies about %s: %s", n.Reference, noticed(n))
		return handle(ctx, n)
	})
}

func noticed(n issuer.Notice) string {
	if n.Dispute != nil {
		return "disputed"
	}
	return n.Answer.Outcome.String()
}

var errInjected = errors.New("injected: the connection was lost")

// commits is the store as the coordinator sees it: commits of payments fail, before or after
// they are made, and die with their caller.
type commits struct {
	storetest.Store
	s *sim
}

func (c commits) CommitPayment(ctx context.Context, change payment.Change) error {
	id, what := change.Payment.ID, described(change)
	c.s.journal.knows(change)
	n := 200
	if !c.s.calm() {
		n = c.s.dice.n(200)
	}
	switch n {
	case 0, 1:
		c.s.fault(ctx, id, commitFails, what)
		return errInjected
	case 2:
		c.s.fault(ctx, id, diedInCommit, what)
		runtime.Goexit()
	}
	err := c.Store.CommitPayment(ctx, change)
	if err != nil {
		c.s.note(ctx, id, "not committed (%v): %s", err, what)
		return err
	}
	c.s.committed(change)
	switch n {
	case 3, 4:
		c.s.fault(ctx, id, commitLost, what)
		return errInjected
	case 5:
		c.s.fault(ctx, id, diedByCommit, what)
		runtime.Goexit()
	}
	c.s.note(ctx, id, "committed: %s", what)
	return nil
}

// described returns what a change does to its payment.
func described(c payment.Change) (text string) {
	for i, e := range c.Entries {
		if i > 0 {
			text += ", then "
		}
		from := string(e.From)
		if from == "" {
			from = "nothing"
		}
		text += from + " to " + string(e.To) + " (" + string(e.Reason) + ")"
	}
	if text == "" {
		return "lease or schedule only, due at " + clock(c.Payment.DueAt())
	}
	return text
}

// guess is a fraud service with random answers.
type guess struct {
	fraud.Assessor
	s *sim
}

func (g guess) Assess(context.Context, fraud.Attempt) (fraud.Verdict, error) {
	v := fraud.Verdict{FailOpen: g.s.dice.percent(50), Risk: payment.Risk{Action: payment.Allow, Challenge: g.s.dice.percent(10)}}
	switch n := g.s.dice.n(100); {
	case n < 8:
		v.Risk.Action, v.Risk.Why = payment.Block, "shield"
	case n < 25:
		v.Risk.Action, v.Risk.Why, v.Risk.Rule = payment.Hold, "rule", "frl_1"
	case n < 28:
		return v, fault.New(fault.KindRateLimited, "attempts_exceeded", "Too many attempts.")
	case n < 31:
		g.s.count(fraudAway)
		return v, fault.Unavailable("fraud_unreachable", time.Second, nil, "Nobody is there.")
	}
	return v, nil
}
