package coordinator_test

import (
	"testing"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// A refund that is requested again under its key, after a crash before its answer was recorded,
// stays one refund.
func TestOneRefundPerKeyAfterACrash(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		for _, sent := range []bool{false, true} {
			w := newWorld(t, e)
			p := w.submit(w.link(), good)
			refund := func() (payment.Refund, error) {
				ticket := &idempotency.Ticket{Record: idempotency.Record{Scope: w.account, Key: "key-1", Fingerprint: []byte{1}, Status: 200},
					Render: func(any) ([]byte, error) { return []byte("{}"), nil }}
				_, r, err := w.c.Refund(t.Context(), w.account, link.Test, p.ID, payment.RefundInput{Amount: "5.00"}, ticket)
				return r, err
			}
			w.wire.set(die("refund", sent))
			crashing(func() { _, _ = refund() })
			w.wire.set(nil)
			w.restart()
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
