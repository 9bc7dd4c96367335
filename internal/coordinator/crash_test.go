package coordinator_test

import (
	"context"
	"errors"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/storetest"
)

// crashing calls do in a goroutine that may end in the middle, as a process does.
func crashing(do func()) {
	var wg sync.WaitGroup
	wg.Go(do)
	wg.Wait()
}

// die returns a hook that ends the goroutine of the submit, before or after the issuer has the
// call.
func die(call string, after bool) func(string, string, func() issuer.Answer) issuer.Answer {
	return func(c, _ string, send func() issuer.Answer) issuer.Answer {
		if c != call {
			return send()
		}
		if after {
			send()
		}
		runtime.Goexit()
		return issuer.Answer{}
	}
}

func (w *world) paymentOf(l link.Link) payment.Payment {
	return payment.Payment{Account: l.Account, ID: payment.IDFor(l.ID, attempt(1))}
}

func TestF1_CrashBeforeTheRecord(t *testing.T) { onEach(t, testF1_CrashBeforeTheRecord) }

func testF1_CrashBeforeTheRecord(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link()
	w.faulty.Fail = func(int) storetest.Fault { runtime.Goexit(); return storetest.FailBefore }
	s := w.submitting(l, attempt(1), good)
	crashing(func() { _, _ = w.c.Submit(t.Context(), s) })
	w.faulty = &storetest.Faulty{Store: w.store, Fail: func(int) storetest.Fault { return storetest.FailNot }}
	w.restart()
	if _, ok, err := w.c.ByAttempt(t.Context(), l, attempt(1)); ok || err != nil {
		t.Fatal(ok, err)
	}
	if len(w.sim.Book()) != 0 || w.linkStatus(l) != link.Open {
		t.Fatal("something was sent, or the link is not payable")
	}
	w.want(w.submit(l, good), payment.Succeeded)
}

func TestF2_CrashBeforeTheSend(t *testing.T) { onEach(t, testF2_CrashBeforeTheSend) }

func testF2_CrashBeforeTheSend(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link()
	w.wire.set(die("authorize", false))
	s := w.submitting(l, attempt(1), good)
	crashing(func() { _, _ = w.c.Submit(t.Context(), s) })
	w.wire.set(nil)
	w.restart()
	p := w.want(w.paymentOf(l), payment.Processing)
	w.later(payment.Lease - time.Microsecond)
	w.want(p, payment.Processing)
	w.later(time.Microsecond)
	w.want(p, payment.Canceled)
	if w.wire.count("authorize") != 0 || w.linkStatus(l) != link.Open {
		t.Fatalf("%v, the link is %s", w.wire.calls, w.linkStatus(l))
	}
	// The request that was stuck is refused when it arrives at last.
	if a := w.sim.Authorize(t.Context(), issuer.Authorization{Reference: p.IssuerKey(), Amount: p.Amount, Card: s.Card,
		Capture: true}); a.Outcome != issuer.Declined {
		t.Fatal(a.Outcome)
	}
	w.want(p, payment.Canceled)
}

func TestF3_CrashAfterTheSend(t *testing.T) { onEach(t, testF3_CrashAfterTheSend) }

func testF3_CrashAfterTheSend(t *testing.T, e engine) {
	for _, c := range []struct {
		number string
		end    payment.Status
	}{{good, payment.Succeeded}, {"4000000000000002", payment.Declined}, {challenged, payment.RequiresAction}, {otherAmount, payment.Review}} {
		w := newWorld(t, e)
		l := w.link()
		w.wire.set(die("authorize", true))
		s := w.submitting(l, attempt(1), c.number)
		crashing(func() { _, _ = w.c.Submit(t.Context(), s) })
		w.wire.set(nil)
		w.restart()
		w.later(payment.Lease)
		if p := w.want(w.paymentOf(l), c.end); entered(p, payment.Unknown) != 1 || w.wire.count("authorize") != 1 {
			t.Fatalf("%s; %v", story(p), w.wire.calls)
		}
	}
}

func TestF4_AnswerLost(t *testing.T) { onEach(t, testF4_AnswerLost) }

func testF4_AnswerLost(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link()
	p := w.submit(l, lostAnswer)
	w.want(p, payment.Unknown)
	w.later(payment.Schedule[0])
	p = w.want(p, payment.Succeeded)
	w.later(time.Hour)
	if q := w.get(p); entered(q, payment.Succeeded) != 1 || len(q.Log) != len(p.Log) || w.wire.count("authorize") != 1 {
		t.Fatal(story(q))
	}
}

func TestF5_AnswerTwice(t *testing.T) { onEach(t, testF5_AnswerTwice) }

func testF5_AnswerTwice(t *testing.T, e engine) {
	w := newWorld(t, e)
	p := w.submit(w.link(), twiceCard)
	again := issuer.Notice{Reference: p.IssuerKey(), Answer: w.sim.Lookup(t.Context(), p.IssuerKey())}
	for range 3 {
		if err := w.c.Notice(t.Context(), again); err != nil {
			t.Fatal(err)
		}
	}
	if q := w.want(p, payment.Succeeded); entered(q, payment.Succeeded) != 1 || q.Revision != p.Revision {
		t.Fatal(story(q))
	}
}

// stalled submits with a call that waits: before the issuer has it, or with the answer
// received. finish lets it go on and returns Submit's result.
func (w *world) stalled(l link.Link, answered bool) (finish func() payment.Payment) {
	reached, goOn := make(chan struct{}), make(chan struct{})
	w.wire.set(func(c, _ string, send func() issuer.Answer) issuer.Answer {
		if c != "authorize" {
			return send()
		}
		var a issuer.Answer
		if answered {
			a = send()
		}
		close(reached)
		<-goOn
		if !answered {
			a = send()
		}
		return a
	})
	s, c := w.submitting(l, attempt(1), good), w.c
	var p payment.Payment
	var err error
	done := make(chan struct{})
	go func() {
		defer close(done)
		p, err = c.Submit(context.Background(), s)
	}()
	<-reached
	return func() payment.Payment {
		close(goOn)
		<-done
		if err != nil {
			w.t.Fatal(err)
		}
		return p
	}
}

func TestF6_AnswerAfterReversal(t *testing.T) { onEach(t, testF6_AnswerAfterReversal) }

func testF6_AnswerAfterReversal(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link(manual)
	finish := w.stalled(l, true)
	// Another worker learns that the issuer has never seen it, and reverses.
	first := w.wire.hook
	w.wire.set(func(c, ref string, send func() issuer.Answer) issuer.Answer {
		if c == "lookup" {
			w.wire.set(first)
			return issuer.Answer{Outcome: issuer.NotFound}
		}
		return send()
	})
	w.restart()
	w.later(payment.Lease)
	w.want(w.paymentOf(l), payment.Canceled)
	if p := finish(); p.Status != payment.Canceled {
		t.Fatalf("the late answer made it %s: %s", p.Status, story(p))
	}
	w.want(w.paymentOf(l), payment.Canceled)
}

func TestF7_ReversalOvertakesTheOriginal(t *testing.T) {
	onEach(t, testF7_ReversalOvertakesTheOriginal)
}

func testF7_ReversalOvertakesTheOriginal(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link()
	finish := w.stalled(l, false)
	w.restart()
	w.later(payment.Lease)
	w.want(w.paymentOf(l), payment.Canceled)
	if p := finish(); p.Status != payment.Canceled {
		t.Fatal(p.Status)
	}
	w.want(w.paymentOf(l), payment.Canceled)
	if w.linkStatus(l) != link.Open {
		t.Fatal(w.linkStatus(l))
	}
}

func TestF8_IssuerDownForHours(t *testing.T) { onEach(t, testF8_IssuerDownForHours) }

func testF8_IssuerDownForHours(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link()
	p := w.submit(l, downCard)
	for end := w.clock.Now().Add(3*time.Hour - time.Minute); w.clock.Now().Before(end); {
		w.restart()
		w.later(time.Minute)
		if q := w.get(p); q.Status != payment.Unknown && w.clock.Now().Before(end) {
			t.Fatalf("%s at %s", q.Status, w.clock.Now())
		}
	}
	if q := w.get(p); q.Work.Asked < 4 || q.Work.Asked > 6 || q.DueAt().Before(w.clock.Now()) {
		t.Fatalf("asked %d times, due at %s", q.Work.Asked, q.DueAt())
	}
	w.later(25 * time.Hour)
	if q := w.want(p, payment.Succeeded); entered(q, payment.Declined)+entered(q, payment.Canceled)+entered(q, payment.Review) != 0 {
		t.Fatal(story(q))
	}
}

// liar makes an issuer that has never seen the reference, answers that it is reversed, and
// approves it anyway.
func (w *world) liar(l link.Link) payment.Payment {
	w.wire.set(func(c, _ string, send func() issuer.Answer) issuer.Answer {
		switch c {
		case "authorize":
			send()
			return issuer.Answer{Outcome: issuer.Ambiguous}
		case "lookup":
			return issuer.Answer{Outcome: issuer.NotFound}
		case "reverse":
			return issuer.Answer{Outcome: issuer.Reversed}
		}
		return send()
	})
	p := w.submit(l, good)
	w.later(payment.Schedule[0])
	if q := w.get(p); q.Status != payment.Canceled {
		w.t.Fatal(story(q))
	}
	w.wire.set(nil)
	return p
}

func TestF9_ApprovedAfterNotFound(t *testing.T) { onEach(t, testF9_ApprovedAfterNotFound) }

func testF9_ApprovedAfterNotFound(t *testing.T, e engine) {
	for policyName, end := range map[string]payment.Status{link.LateAccept: payment.Succeeded, link.LateHold: payment.Late,
		link.LateRefund: payment.Refunded} {
		for _, taken := range []bool{false, true} {
			w := newWorld(t, e)
			l := w.link(policy(policyName))
			p := w.liar(l)
			want := end
			if taken { // another payer used the link meanwhile: the money goes back
				must(w.c.Submit(t.Context(), w.submitting(l, attempt(2), good)))(t)
				want = payment.Refunded
			}
			notice := issuer.Notice{Reference: p.IssuerKey(), Answer: w.sim.Lookup(t.Context(), p.IssuerKey())}
			w.wire.set(func(string, string, func() issuer.Answer) issuer.Answer {
				return issuer.Answer{Outcome: issuer.Ambiguous}
			})
			if err := w.c.Notice(t.Context(), notice); err == nil {
				t.Fatal("a notice that could not be confirmed was taken as dealt with")
			}
			w.wire.set(nil)
			if err := errors.Join(w.c.Notice(t.Context(), notice), w.c.Notice(t.Context(), notice)); err != nil {
				t.Fatal(err)
			}
			if q := w.want(p, want); entered(q, payment.Late) != 1 {
				t.Fatal(story(q))
			}
			if k := w.reload(l); k.Uses != 1 || k.Reserved != 0 {
				t.Fatalf("uses %d, reserved %d", k.Uses, k.Reserved)
			}
		}
	}
}

func TestF10_OtherAmount(t *testing.T) { onEach(t, testF10_OtherAmount) }

func testF10_OtherAmount(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link(manual)
	p := w.want(w.submit(l, otherAmount), payment.Review)
	if p.ReviewReason != payment.ReasonMismatch || p.AuthorizedMinor != 0 {
		t.Fatalf("%s %d", p.ReviewReason, p.AuthorizedMinor)
	}
	notice := issuer.Notice{Reference: p.IssuerKey(), Answer: issuer.Answer{Outcome: issuer.Approved, Amount: p.Amount, At: epoch}}
	if err := w.c.Notice(t.Context(), notice); err != nil {
		t.Fatal(err)
	}
	w.want(p, payment.Review)
	must(w.c.Void(t.Context(), w.account, link.Test, p.ID, nil))(t)
	w.want(p, payment.Canceled)
	if w.linkStatus(l) != link.Open {
		t.Fatal(w.linkStatus(l))
	}
}
