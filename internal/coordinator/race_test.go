package coordinator_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

func TestF11_ExpiredBetweenLoadAndSubmit(t *testing.T) {
	onEach(t, testF11_ExpiredBetweenLoadAndSubmit)
}

func testF11_ExpiredBetweenLoadAndSubmit(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link(lives(60))
	s := w.submitting(l, attempt(1), good)
	w.clock.Add(time.Minute)
	_, err := w.c.Submit(t.Context(), s)
	w.code(err, "link_expired")
	if f := fault.From(err); f.Detail != "This link expired on 2 January 2030 03:05:05 UTC." || len(w.sim.Book()) != 0 {
		t.Fatal(f.Detail)
	}
	if _, ok, err := w.c.ByAttempt(t.Context(), l, attempt(1)); ok || err != nil {
		t.Fatal(ok, err)
	}
}

func TestF12_ExpiredBetweenSubmitAndApproval(t *testing.T) {
	onEach(t, testF12_ExpiredBetweenSubmitAndApproval)
}

func testF12_ExpiredBetweenSubmitAndApproval(t *testing.T, e engine) {
	for _, c := range []struct {
		policy  string
		capture bool
		end     payment.Status
	}{
		{link.LateAccept, false, payment.Succeeded}, {link.LateHold, false, payment.Late}, {link.LateRefund, false, payment.Refunded},
		{link.LateAccept, true, payment.Authorized}, {link.LateHold, true, payment.Late}, {link.LateRefund, true, payment.Canceled},
	} {
		w := newWorld(t, e)
		options := []linkOption{lives(60), policy(c.policy)}
		if c.capture {
			options = append(options, manual)
		}
		l := w.link(options...)
		p := w.submit(l, lateCard)
		w.later(30 * time.Second)
		w.want(p, payment.Unknown)
		w.clock.Add(time.Minute)
		if _, err := w.links.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.later(time.Hour)
		if q := w.want(p, c.end); entered(q, payment.Late) != 1 {
			t.Fatalf("%s: %s", c.policy, story(q))
		}
		if c.end == payment.Late { // the merchant captures it after all
			must(w.c.Capture(t.Context(), w.account, link.Test, p.ID, "", nil))(t)
			w.want(p, payment.Succeeded)
		}
	}
}

// latePayment returns a payment that the issuer approved after its link had expired, under the
// policy hold.
func latePayment(t *testing.T, e engine, options ...linkOption) (*world, payment.Payment) {
	t.Helper()
	w := newWorld(t, e)
	p := w.submit(w.link(append(options, lives(60), policy(link.LateHold))...), lateCard)
	w.later(time.Hour)
	return w, w.want(p, payment.Late)
}

// TestF12_LateHoldIsVoided: a late success that is only authorized is voided when the merchant
// has not decided within the life of a hold.
func TestF12_LateHoldIsVoided(t *testing.T) { onEach(t, testF12_LateHoldIsVoided) }

func testF12_LateHoldIsVoided(t *testing.T, e engine) {
	w, p := latePayment(t, e, manual)
	if p.CapturedMinor != 0 || p.DueAt().IsZero() {
		t.Fatalf("captured %d, due %s", p.CapturedMinor, p.DueAt())
	}
	w.clock.Add(p.DueAt().Sub(w.clock.Now()) - time.Microsecond)
	w.sweep()
	w.want(p, payment.Late)
	w.later(time.Microsecond)
	if q := w.want(p, payment.Canceled); w.wire.count("reverse") != 1 || !q.DueAt().IsZero() {
		t.Fatalf("%d reversals; %s", w.wire.count("reverse"), story(q))
	}
	_, err := w.c.Capture(t.Context(), w.account, link.Test, p.ID, "", nil)
	w.code(err, "payment_not_capturable")
}

// TestF12_LateHoldOnlyAuthorised: the same for an automatic capture whose issuer
// only authorized, and when the first void is lost.
func TestF12_LateHoldOnlyAuthorised(t *testing.T) { onEach(t, testF12_LateHoldOnlyAuthorised) }

func testF12_LateHoldOnlyAuthorised(t *testing.T, e engine) {
	w := newWorld(t, e)
	w.wire.set(func(_, _ string, send func() issuer.Answer) issuer.Answer {
		a := send()
		a.Captured = false
		return a
	})
	p := w.submit(w.link(lives(60), policy(link.LateHold)), lateCard)
	w.later(time.Hour)
	if q := w.becomes(p, payment.Late); q.CapturedMinor != 0 || q.Capture != link.CaptureAutomatic {
		t.Fatal(story(q))
	}
	lost := true
	w.wire.set(func(call, _ string, send func() issuer.Answer) issuer.Answer {
		if call == "reverse" && lost {
			lost = false
			return issuer.Answer{Outcome: issuer.Ambiguous}
		}
		return issuer.Answer{Outcome: issuer.Reversed, At: w.clock.Now()}
	})
	w.later(payment.HoldLife)
	w.becomes(p, payment.Voiding)
	w.later(time.Minute)
	w.becomes(p, payment.Canceled)
}

// TestF12_LateCapturedWaitsForTheMerchant: money that came late is neither refunded nor
// forgotten; a partial refund of it is carried on like any other.
func TestF12_LateCapturedWaitsForTheMerchant(t *testing.T) {
	onEach(t, testF12_LateCapturedWaitsForTheMerchant)
}

func testF12_LateCapturedWaitsForTheMerchant(t *testing.T, e engine) {
	w, p := latePayment(t, e)
	w.later(10 * payment.HoldLife)
	if q := w.want(p, payment.Late); q.CapturedMinor != 1250 || !q.DueAt().IsZero() {
		t.Fatal(story(q))
	}
	w.wire.set(func(call, _ string, send func() issuer.Answer) issuer.Answer {
		if call == "refund" {
			return issuer.Answer{Outcome: issuer.Ambiguous}
		}
		return send()
	})
	if _, r, err := w.c.Refund(t.Context(), w.account, link.Test, p.ID, payment.RefundInput{Amount: "2.50"}, nil); err != nil ||
		r.Status != payment.RefundPending {
		t.Fatal(r, err)
	}
	w.wire.set(nil)
	w.later(time.Minute)
	if q := w.want(p, payment.PartiallyRefunded); q.RefundedMinor != 250 {
		t.Fatal(story(q))
	}
	w2, p2 := latePayment(t, e)
	must(w2.c.Capture(t.Context(), w2.account, link.Test, p2.ID, "", nil))(t)
	if q := w2.want(p2, payment.Succeeded); w2.wire.count("capture") != 0 || q.Refundable().Minor != 1250 {
		t.Fatal(story(q))
	}
}

func TestF13_TwoPayersAtOnce(t *testing.T) { onEach(t, testF13_TwoPayersAtOnce) }

func testF13_TwoPayersAtOnce(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link()
	var wins, refused atomic.Int64
	var wg sync.WaitGroup
	for i := range 32 {
		s := w.submitting(l, attempt(i), good)
		wg.Go(func() {
			p, err := w.c.Submit(context.Background(), s)
			switch code := fault.Code(err); {
			case err == nil && p.Status == payment.Succeeded:
				wins.Add(1)
			case code == "link_paying" || code == "link_paid":
				refused.Add(1)
			default:
				t.Errorf("%s %v", p.Status, err)
			}
		})
	}
	wg.Wait()
	if wins.Load() != 1 || refused.Load() != 31 || w.wire.count("authorize") != 1 {
		t.Fatalf("%d won, %d refused, %d reached the issuer", wins.Load(), refused.Load(), w.wire.count("authorize"))
	}
	w.check()
}

func TestF14_DoubleClick(t *testing.T) { onEach(t, testF14_DoubleClick) }

func testF14_DoubleClick(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link(unlimited)
	s := w.submitting(l, attempt(1), good)
	other := w.submitting(l, attempt(1), "5555555555554444")
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			if _, err := w.c.Submit(context.Background(), s); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	p := must(w.c.Submit(t.Context(), other))(t)
	if p.CardLast4 != "4242" || w.wire.count("authorize") != 1 {
		t.Fatalf("%s, %d authorisations", p.CardLast4, w.wire.count("authorize"))
	}
	w.want(p, payment.Succeeded)
	w.clock.Add(48 * time.Hour) // a refresh after the link has ended shows the payment
	if q := must(w.c.Submit(t.Context(), s))(t); q.ID != p.ID || q.Status != payment.Succeeded {
		t.Fatal(q.Status)
	}
	if k := w.reload(l); k.Uses != 1 || k.Reserved != 0 {
		t.Fatal(k.Uses, k.Reserved)
	}
}

func TestNotSentIsPayableAgain(t *testing.T) { onEach(t, testNotSentIsPayableAgain) }

func testNotSentIsPayableAgain(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link(func(r *link.CreateRequest) { r.Amount, r.MaxAmount = "", "50.00" })
	s := w.submitting(l, attempt(1), good)
	s.Amount = l.Amount
	s.Amount.Minor = 1000
	w.wire.set(func(string, string, func() issuer.Answer) issuer.Answer {
		return issuer.Answer{Outcome: issuer.NotSent}
	})
	tries := 0
	for ; ; tries++ { // until the log is almost full: an answer always fits
		p, err := w.c.Submit(t.Context(), s)
		if err != nil {
			w.code(err, "payment_log_full")
			break
		}
		w.want(p, payment.Created)
	}
	if tries < 5 || w.linkStatus(l) != link.Open {
		t.Fatal(tries, w.linkStatus(l))
	}
	s.Attempt = attempt(2)
	must(w.c.Submit(t.Context(), s))(t)
	w.wire.set(nil)
	s.Amount.Minor = 2000 // the payer chooses again
	p := must(w.c.Submit(t.Context(), s))(t)
	if q := w.want(p, payment.Succeeded); q.CapturedMinor != 2000 || q.Try != 2 {
		t.Fatal(q.CapturedMinor, q.Try)
	}
	w.later(48 * time.Hour)
	w.want(payment.Payment{Account: w.account, ID: payment.IDFor(l.ID, attempt(1))}, payment.Canceled)
}

func TestF18_NoticeBeforeTheAnswer(t *testing.T) { onEach(t, testF18_NoticeBeforeTheAnswer) }

func testF18_NoticeBeforeTheAnswer(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link()
	finish := w.stalled(l, true)
	p := w.get(w.paymentOf(l))
	if err := w.c.Notice(t.Context(), issuer.Notice{Reference: p.IssuerKey(), Answer: w.sim.Lookup(t.Context(), p.IssuerKey())}); err != nil {
		t.Fatal(err)
	}
	w.want(p, payment.Succeeded)
	if q := finish(); q.Status != payment.Succeeded || entered(q, payment.Succeeded) != 1 || len(q.Log) != len(p.Log)+1 {
		t.Fatal(story(q))
	}
}

func TestF20_CaptureVoidRefundRace(t *testing.T) { onEach(t, testF20_CaptureVoidRefundRace) }

func testF20_CaptureVoidRefundRace(t *testing.T, e engine) {
	w := newWorld(t, e)
	for range 50 {
		p := w.submit(w.link(manual), good)
		var captured, voided atomic.Int64
		race(
			func() {
				_, err := w.c.Capture(context.Background(), w.account, link.Test, p.ID, "", nil)
				count(&captured, err)
			},
			func() {
				_, err := w.c.Capture(context.Background(), w.account, link.Test, p.ID, "5.00", nil)
				count(&captured, err)
			},
			func() { _, err := w.c.Void(context.Background(), w.account, link.Test, p.ID, nil); count(&voided, err) },
			func() {
				_, _, _ = w.c.Refund(context.Background(), w.account, link.Test, p.ID, payment.RefundInput{Amount: "1.00"}, nil)
			},
		)
		q := w.get(p)
		if captured.Load()+voided.Load() != 1 || (voided.Load() == 1) != (q.Status == payment.Canceled) {
			t.Fatalf("%d captures, %d voids: %s", captured.Load(), voided.Load(), story(q))
		}
		if q.Status == payment.Canceled {
			continue
		}
		var refunded atomic.Int64
		left := q.Refundable().Minor
		refund := func() {
			_, _, err := w.c.Refund(context.Background(), w.account, link.Test, p.ID, payment.RefundInput{Amount: "3.00"}, nil)
			count(&refunded, err)
		}
		race(refund, refund, refund, refund, refund)
		if want := min(5, left/300); refunded.Load() != want {
			t.Fatalf("%d refunds of %d, want %d", refunded.Load(), left, want)
		}
	}
	w.check()
}

func race(fs ...func()) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for _, f := range fs {
		wg.Go(func() { <-start; f() })
	}
	close(start)
	wg.Wait()
}

func count(n *atomic.Int64, err error) {
	if err == nil {
		n.Add(1)
	}
}

func TestF24_TwoSweepers(t *testing.T) { onEach(t, testF24_TwoSweepers) }

func testF24_TwoSweepers(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link(unlimited, policy(link.LateRefund), lives(60))
	var list []payment.Payment
	for i, number := range []string{lostAnswer, neverArrives, lateCard, lostAnswer, lateCard, challenged, lostAnswer, neverArrives} {
		list = append(list, must(w.c.Submit(t.Context(), w.submitting(l, attempt(i), number)))(t))
	}
	w.clock.Add(2 * time.Hour)
	a, b := w.c, w.restart()
	sweep := func() {
		if _, err := a.Sweep(context.Background()); err != nil {
			t.Error(err)
		}
	}
	race(sweep, sweep, func() {
		if _, err := b.Sweep(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.sweep()
	for i, want := range []payment.Status{payment.Succeeded, payment.Canceled, payment.Refunded, payment.Succeeded, payment.Refunded,
		payment.Canceled, payment.Succeeded, payment.Canceled} {
		if q := w.want(list[i], want); entered(q, want) != 1 || len(q.Refunds) > 1 {
			t.Fatal(story(q))
		}
	}
	if n := w.wire.count("refund"); n != 2 {
		t.Fatalf("%d refunds were sent", n)
	}
}

func TestF25_LateLeaseHolder(t *testing.T) { onEach(t, testF25_LateLeaseHolder) }

func testF25_LateLeaseHolder(t *testing.T, e engine) {
	w := newWorld(t, e)
	l := w.link()
	finish := w.stalled(l, true)
	late := w.get(w.paymentOf(l)) // the revision that the lease holder has
	w.restart()
	w.later(payment.Lease)
	p := w.want(late, payment.Succeeded)
	change, err := payment.Next(late, payment.Input{Kind: payment.Sync, Change: "chg_late", At: w.clock.Now(),
		Answer: issuer.Answer{Outcome: issuer.Declined}})
	if err != nil {
		t.Fatal(err)
	}
	if err := w.store.CommitPayment(t.Context(), change); err == nil {
		t.Fatal("the late holder's write was taken")
	}
	if q := finish(); q.Revision != p.Revision || q.Status != payment.Succeeded {
		t.Fatal(story(q))
	}
}

func TestF31_ClockJumps(t *testing.T) { onEach(t, testF31_ClockJumps) }

func testF31_ClockJumps(t *testing.T, e engine) {
	for _, jump := range []time.Duration{time.Hour, -time.Hour} {
		w := newWorld(t, e)
		running := w.link(lives(48 * 3600))
		finish := w.stalled(running, true)
		w.clock.Add(jump)
		w.sweep()
		if p := finish(); p.Status != payment.Succeeded || entered(p, payment.Late) != 0 {
			t.Fatalf("%s: %s", jump, story(p))
		}
		w.wire.set(nil)
		w.check()

		// By the clock that jumped, the link or the lease has ended while the issuer is asked.
		// The attempt is judged by the time of the issuer's approval.
		w = newWorld(t, e)
		short := w.link(lives(1800), policy(link.LateRefund))
		finish = w.stalled(short, true)
		w.clock.Add(jump)
		if _, err := w.links.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.sweep()
		if p := finish(); p.Status != payment.Succeeded || entered(p, payment.Late) != 0 {
			t.Fatalf("%s: %s", jump, story(p))
		}
		if status := w.linkStatus(short); status != link.Paid {
			t.Fatalf("%s: the link is %s", jump, status)
		}
		w.wire.set(nil)

		lost := w.submit(w.link(lives(48*3600)), lostAnswer)
		w.clock.Add(-jump)
		if p := w.c.Repair(t.Context(), w.get(lost)); p.Status != payment.Succeeded {
			t.Fatalf("%s: asking did not help: %s", jump, story(p))
		}
		down := w.submit(w.link(lives(48*3600)), downCard)
		w.c.Repair(t.Context(), w.get(down))
		before := w.wire.count("lookup")
		w.clock.Add(-time.Hour)
		w.c.Repair(t.Context(), w.get(down))
		if w.wire.count("lookup") != before+1 {
			t.Fatal("the clock was set back, and nobody may ask for an hour")
		}
		w.check()
	}
}
