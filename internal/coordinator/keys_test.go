package coordinator_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// refundByKey refunds 5.00 under one idempotency key.
func (w *world) refundByKey(c *coordinator.Local, p payment.Payment) (payment.Refund, error) {
	ticket := &idempotency.Ticket{Record: idempotency.Record{Scope: w.account, Key: "key-1", Fingerprint: []byte{1}, Status: 200},
		Render: func(any) ([]byte, error) { return []byte("{}"), nil }}
	_, r, err := c.Refund(w.t.Context(), w.account, link.Test, p.ID, payment.RefundInput{Amount: "5.00"}, ticket)
	return r, err
}

// A refund that is requested again under its key, after a crash before its answer was recorded,
// stays one refund.
func TestOneRefundPerKeyAfterACrash(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		for _, sent := range []bool{false, true} {
			w := newWorld(t, e)
			p := w.submit(w.link(), good)
			refund := func() (payment.Refund, error) { return w.refundByKey(w.c, p) }
			w.wire.set(die("refund", sent))
			crashing(func() { _, _ = refund() })
			w.wire.set(nil)
			w.restart()
			// The first call may still be at the issuer, so the second one does not send.
			if r, err := refund(); err != nil || r.Status != payment.RefundPending {
				t.Fatalf("%+v, %v", r, err)
			}
			w.later(2 * time.Minute)
			if r, err := refund(); err != nil || r.Status != payment.RefundSucceeded {
				t.Fatalf("%+v, %v", r, err)
			}
			if q := w.want(p, payment.PartiallyRefunded); len(q.Refunds) != 1 || q.RefundedMinor != 500 {
				t.Fatalf("%d refunds, %d refunded", len(q.Refunds), q.RefundedMinor)
			}
			w.check()
		}
	})
}

// Two calls with one key, as when a client sends again while its first request is still running:
// one reaches the issuer late, and the other could not be sent. The money is refunded once, and
// the payment says so.
func TestF25_NotSentBesideASentRefund(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		w := newWorld(t, e)
		p := w.submit(w.link(), good)
		refund := func(c *coordinator.Local) error {
			_, err := w.refundByKey(c, p)
			return err
		}
		first := w.c
		second := w.restart()
		var calls atomic.Int32
		sent, answered, other := make(chan struct{}), make(chan struct{}), make(chan error, 1)
		w.wire.set(func(call, _ string, send func() issuer.Answer) issuer.Answer {
			switch {
			case call != "refund":
				return send()
			case calls.Add(1) > 1: // the second call's answer comes after the first one's
				a := send()
				close(sent)
				<-answered
				return a
			}
			go func() { other <- refund(second) }()
			select {
			case <-sent:
			case err := <-other: // it sends nothing
				other <- err
			}
			return issuer.Answer{Outcome: issuer.NotSent}
		})
		err := refund(first)
		close(answered)
		if err := errors.Join(err, await.Receive(t, other)); err != nil {
			t.Fatal(err)
		}
		w.wire.set(nil)
		w.later(2 * time.Minute)
		q := w.get(p)
		there := 0
		for _, row := range w.sim.Book() {
			if row.Kind == simulator.KindRefund {
				there++
			}
		}
		if succeeded := q.RefundedMinor == 500; succeeded != (there == 1) || there > 1 || len(q.Refunds) != 1 {
			t.Errorf("%d refunds at the issuer, %d refunded, %+v", there, q.RefundedMinor, q.Refunds)
		}
		w.check()
	})
}

// An issuer lives in real time: the day until which it takes evidence moves with an account's
// test clock.
func TestEvidenceIsDueByTheTestClock(t *testing.T) {
	w := patient(t, sqlite)
	ahead := 48 * time.Hour
	if err := w.store.MoveTestClock(t.Context(), w.account, 0, ahead, epoch, nil); err != nil {
		t.Fatal(err)
	}
	p := w.submit(w.link(), good)
	due := epoch.Add(time.Hour)
	if err := w.c.Notice(t.Context(), issuer.Notice{Reference: p.IssuerKey(), Dispute: &issuer.Dispute{Reference: "case 1", Amount: p.Amount,
		Reason: "fraudulent", State: payment.DisputeNeedsResponse, EvidenceDueAt: due}}); err != nil {
		t.Fatal(err)
	}
	if got := w.get(p).Disputes[0].EvidenceDueAt; !got.Equal(due.Add(ahead)) {
		t.Errorf("due at %s, want %s", got, due.Add(ahead))
	}
}
