package coordinator_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/storetest"
)

// TestF10_EveryAnswerIsCompared: an approval of another amount, or in another currency, moves
// the payment to review, whatever was requested.
func TestF10_EveryAnswerIsCompared(t *testing.T) {
	for _, call := range []string{"authorize", "capture", "refund"} {
		for name, lie := range map[string]func(*money.Amount){
			"amount":   func(a *money.Amount) { a.Minor++ },
			"currency": func(a *money.Amount) { a.Currency = "JPY" },
		} {
			t.Run(call+" in another "+name, func(t *testing.T) {
				w := newWorld(t, sqlite)
				w.wire.set(func(at, _ string, send func() issuer.Answer) issuer.Answer {
					a := send()
					if at == call {
						lie(&a.Amount)
					}
					return a
				})
				p := w.submit(w.link(manual), good)
				if call != "authorize" {
					p = must(w.c.Capture(t.Context(), w.account, link.Test, p.ID, "10.00", nil))(t)
				}
				if call == "refund" {
					q, r, err := w.c.Refund(t.Context(), w.account, link.Test, p.ID, payment.RefundInput{Amount: "4.00"}, nil)
					held := r.Status == payment.RefundPending && r.Code == payment.ReasonMismatch && q.RefundedMinor == 0 && q.Refundable().Minor == 600
					if err != nil || !held {
						t.Fatalf("%+v, refunded %d, refundable %d, %v", r, q.RefundedMinor, q.Refundable().Minor, err)
					}
				}
				for range 3 { // nothing that comes later makes it a success
					w.later(25 * time.Hour)
				}
				q := w.want(p, payment.Review)
				if q.ReviewReason != payment.ReasonMismatch || !q.DueAt().IsZero() || !strings.Contains(w.logs.String(), "a payment needs a person") {
					t.Fatalf("%q, due %s\n%s", q.ReviewReason, q.DueAt(), w.logs.String())
				}
				if e := q.Log[len(q.Log)-1]; e.Event != "payment.review" {
					t.Fatalf("the last event is %q", e.Event)
				}
				if n := w.wire.count(call); n != 1 {
					t.Fatalf("%d calls", n)
				}
			})
		}
	}
}

// TestF10_ContradictingNotice: a notice of another amount stops a payment that is only
// authorized, and is reported once money was captured.
func TestF10_ContradictingNotice(t *testing.T) {
	w := newWorld(t, sqlite)
	for _, c := range []struct {
		of     payment.Payment
		want   payment.Status
		logged string
	}{
		{w.submit(w.link(manual), good), payment.Review, "a payment needs a person"},
		{w.submit(w.link(), good), payment.Succeeded, "a notice contradicts a captured payment"},
	} {
		answer := issuer.Answer{Outcome: issuer.Approved, Amount: money.Of(1249, "EUR"), At: w.clock.Now()}
		if err := w.c.Notice(t.Context(), issuer.Notice{Reference: c.of.IssuerKey(), Answer: answer}); err != nil {
			t.Fatal(err)
		}
		if w.want(c.of, c.want); !strings.Contains(w.logs.String(), c.logged) {
			t.Fatalf("not logged: %s\n%s", c.logged, w.logs.String())
		}
	}
}

// secondTry submits a payment whose first try was proved not sent, and returns a function that
// makes the second.
func secondTry(w *world) (first payment.Payment, again func() payment.Payment) {
	w.t.Helper()
	l := w.link()
	s := w.submitting(l, attempt(1), good)
	w.wire.set(func(string, string, func() issuer.Answer) issuer.Answer {
		return issuer.Answer{Outcome: issuer.NotSent}
	})
	first = must(w.c.Submit(w.t.Context(), s))(w.t)
	w.wire.set(nil)
	return w.want(first, payment.Created), func() payment.Payment {
		return must(w.c.Submit(w.t.Context(), w.submitting(l, attempt(1), good)))(w.t)
	}
}

// TestF18_NoticeOfAnEarlierTry: what the issuer approved under an earlier reference is
// reversed there, and is not the current try's answer.
func TestF18_NoticeOfAnEarlierTry(t *testing.T) {
	w := newWorld(t, sqlite)
	first, again := secondTry(w)
	p := again()
	notice := issuer.Notice{Reference: first.IssuerKey(),
		Answer: issuer.Answer{Outcome: issuer.Approved, Amount: p.Amount, Captured: true, At: w.clock.Now()}}
	var reversed []string
	outcome := issuer.Ambiguous
	w.wire.set(func(call, reference string, send func() issuer.Answer) issuer.Answer {
		if call != "reverse" {
			return send()
		}
		reversed = append(reversed, reference)
		return issuer.Answer{Outcome: outcome}
	})
	if err := w.c.Notice(t.Context(), notice); err == nil {
		t.Fatal("the notice is dealt with although the earlier try could not be reversed")
	}
	outcome = issuer.Reversed
	if err := w.c.Notice(t.Context(), notice); err != nil {
		t.Fatal(err)
	}
	if want := first.IssuerKey() + "-v"; len(reversed) != 2 || reversed[1] != want {
		t.Fatalf("reversed %v, want %s", reversed, want)
	}
	if q := w.want(p, payment.Succeeded); q.Revision != p.Revision {
		t.Fatal(story(q))
	}
}

// TestF18_NoticeWhileThePayerTriesAgain: the second try begins between the reading of
// the payment and the commit of the notice about the first.
func TestF18_NoticeWhileThePayerTriesAgain(t *testing.T) {
	w := newWorld(t, sqlite)
	first, again := secondTry(w)
	approved := issuer.Answer{Outcome: issuer.Approved, Amount: first.Amount, Captured: true, At: w.clock.Now()}
	reversed := 0
	w.wire.set(func(call, reference string, send func() issuer.Answer) issuer.Answer {
		switch {
		case call == "lookup" && reference == first.IssuerKey():
			again()
			return approved
		case call == "reverse" && reference == first.IssuerKey()+"-v":
			reversed++
			return issuer.Answer{Outcome: issuer.Reversed}
		}
		return send()
	})
	if err := w.c.Notice(t.Context(), issuer.Notice{Reference: first.IssuerKey(), Answer: approved}); err != nil {
		t.Fatal(err)
	}
	q := w.want(first, payment.Succeeded)
	if reversed != 1 || q.Try != 2 || entered(q, payment.Succeeded) != 1 {
		t.Fatalf("%d reversals, try %d: %s", reversed, q.Try, story(q))
	}
}

// TestF25_NotSentProvesNothingForOthers: that one worker's capture was not sent says
// nothing about the capture that another worker sent meanwhile.
func TestF25_NotSentProvesNothingForOthers(t *testing.T) {
	w := newWorld(t, sqlite)
	p := w.submit(w.link(manual), good)
	captures := 0
	w.wire.set(func(call, _ string, send func() issuer.Answer) issuer.Answer {
		if call != "capture" {
			return send()
		}
		if captures++; captures > 1 {
			send()
			return issuer.Answer{Outcome: issuer.Ambiguous}
		}
		w.later(payment.Lease) // the sweep takes over, and its capture arrives
		return issuer.Answer{Outcome: issuer.NotSent}
	})
	_, err := w.c.Capture(t.Context(), w.account, link.Test, p.ID, "", nil)
	if q := w.want(p, payment.Capturing); captures != 2 {
		t.Fatalf("%d captures, %v: %s", captures, err, story(q))
	}
	w.wire.set(nil)
	w.later(time.Hour)
	w.want(p, payment.Succeeded)
}

// TestRepairPauses: however often somebody reads a stuck payment, the issuer is asked
// once a second.
func TestRepairPauses(t *testing.T) {
	w := newWorld(t, sqlite)
	p := w.submit(w.link(), downCard)
	w.want(p, payment.Unknown)
	before := w.wire.count("lookup")
	for i, pause := range []time.Duration{0, 0, 999 * time.Millisecond, time.Millisecond} {
		w.clock.Add(pause)
		w.c.Repair(t.Context(), w.get(p))
		if n, want := w.wire.count("lookup")-before, 1+i/3; n != want {
			t.Fatalf("%d inquiries after reading %d times, want %d", n, i+1, want)
		}
	}
}

// TestResendStopsWithItsContext: a commit whose outcome is unknown is sent again, but not once
// the sweep is canceled.
func TestResendStopsWithItsContext(t *testing.T) {
	w := newWorld(t, sqlite)
	w.submit(w.link(), lostAnswer)
	w.clock.Add(time.Hour)
	ctx, cancel := context.WithCancel(t.Context())
	sent := 0
	w.faulty.Fail = func(int) storetest.Fault {
		sent++
		cancel()
		return storetest.FailBefore
	}
	if _, err := w.c.Sweep(ctx); err == nil || sent != 1 {
		t.Fatalf("sent %d times, %v", sent, err)
	}
}
