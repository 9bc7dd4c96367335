package coordinator_test

import (
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/payment"
)

// orphans stores n payments of an issuer that is not configured, due before all others.
func (w *world) orphans(p payment.Payment, n int) []payment.Payment {
	w.t.Helper()
	list := make([]payment.Payment, n)
	account := id.New(id.Account)
	for i := range list {
		q := p
		q.ID, q.Account, q.Issuer = id.New(id.Payment), account, "gonebank"
		q.Work = payment.Work{NextAt: epoch}
		list[i] = q
	}
	for part := range slices.Chunk(list, 100) {
		if err := w.store.LoadPayments(w.t.Context(), part); err != nil {
			w.t.Fatal(err)
		}
	}
	return list
}

// TestF45_F53OrphansGoToReview: payments of an issuer that was removed from the configuration
// go to review, and no other payments wait for them.
func TestF45_F53OrphansGoToReview(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		for _, n := range []int{100, 1000} {
			w := newWorld(t, e)
			p := w.submit(w.link(), lostAnswer)
			orphans := w.orphans(p, n)
			w.clock.Add(11 * time.Second)
			for range 2 {
				w.sweep()
			}
			if got := w.get(p); got.Status != payment.Succeeded {
				t.Fatalf("with %d orphans: %s", n, got.Status)
			}
			if n > 100 {
				continue
			}
			for range 8 {
				w.later(time.Hour)
			}
			for _, o := range orphans {
				q := w.get(o)
				if q.Status != payment.Review || q.ReviewReason != payment.ReasonIssuerGone || q.DueAt().IsZero() {
					t.Fatalf("an orphan is %s (%s)", q.Status, story(q))
				}
			}
		}
	})
}

// TestF45IssuerComesBack: payments that waited in review for an issuer continue when it is
// back.
func TestF45IssuerComesBack(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		w := newWorld(t, e)
		p := w.submit(w.link(), lostAnswer)
		held := w.submit(w.link(manual), good)
		w.wire.set(func(call, _ string, send func() issuer.Answer) issuer.Answer {
			if call == "capture" {
				return issuer.Answer{Outcome: issuer.Ambiguous}
			}
			return send()
		})
		if _, err := w.c.Capture(t.Context(), held.Account, held.Mode, held.ID, "", nil); err != nil {
			t.Fatal(err)
		}
		w.wire.set(nil)
		w.without()
		for range 8 {
			w.later(time.Hour)
		}
		for _, q := range []payment.Payment{p, held} {
			if q = w.get(q); !q.Orphaned() {
				t.Fatalf("%s: %s", q.Status, story(q))
			}
		}
		w.restart()
		w.later(25 * time.Hour)
		w.want(p, payment.Succeeded)
		w.want(held, payment.Succeeded)
	})
}

// TestF53HangingIssuer: an issuer that does not answer delays only its own payments.
func TestF53HangingIssuer(t *testing.T) {
	w := newWorld(t, sqlite)
	p := w.submit(w.link(), lostAnswer)
	hung, release := make(chan struct{}), make(chan struct{})
	w.wire.set(func(call, _ string, send func() issuer.Answer) issuer.Answer {
		if call == "lookup" {
			close(hung)
			<-release
		}
		return send()
	})
	w.clock.Add(11 * time.Second)
	ended := make(chan error, 1)
	go func() { _, err := w.c.Sweep(t.Context()); ended <- err }()
	<-hung
	orphan := w.orphans(p, 1)[0]
	w.sweep()
	if got := w.get(orphan); got.Work.Asked != 1 {
		t.Fatalf("another issuer's payment waits: asked %d times", got.Work.Asked)
	}
	close(release)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	w.becomes(p, payment.Succeeded)
}
