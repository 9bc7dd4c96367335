package coordinator_test

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

func TestF52_DisputeAgainstRefund(t *testing.T) { onEach(t, testF52_DisputeAgainstRefund) }

// testF52_DisputeAgainstRefund: a dispute that is noticed while refunds are requested comes
// before or after each of them. No later refund takes what it claims.
func testF52_DisputeAgainstRefund(t *testing.T, e engine) {
	w := newWorld(t, e)
	for range 15 {
		p := w.submit(w.link(), good)
		ask := func(in payment.RefundInput) error {
			_, _, err := w.c.Refund(context.Background(), w.account, link.Test, p.ID, in, nil)
			return err
		}
		var seen, disputed atomic.Int64
		refund := func() {
			switch err := ask(payment.RefundInput{Amount: "12.50", Refundable: "12.50"}); fault.Code(err) {
			case "":
			case "refundable_amount_changed":
				seen.Add(1)
			case "payment_disputed":
				disputed.Add(1)
			default:
				t.Error(err)
			}
		}
		race(refund, refund, func() {
			if err := w.c.Notice(context.Background(), issuer.Notice{Reference: p.IssuerKey(),
				Dispute: &issuer.Dispute{Reference: "case", Reason: "fraudulent",
					Amount: money.Of(1250, "EUR"), State: payment.DisputeNeedsResponse}}); err != nil {
				t.Error(err)
			}
		})
		q := w.get(p)
		if len(q.Disputes) != 1 || q.RefundedMinor > 1250 {
			t.Fatalf("%d disputes, refunded %d: %s", len(q.Disputes), q.RefundedMinor, story(q))
		}
		opened := int64(0)
		for _, entry := range q.Log {
			switch entry.Event {
			case "dispute.created":
				opened = entry.Seq
			case "refund.created":
				if opened != 0 {
					t.Fatalf("refunded after the dispute: %s", story(q))
				}
			}
		}
		if q.RefundedMinor == 0 && seen.Load() != 2 {
			t.Errorf("%d of 2 refunds heard that the sum had changed, %d that it is disputed", seen.Load(), disputed.Load())
		}
		w.code(ask(payment.RefundInput{Amount: "1.00", AllowDisputed: true}),
			map[bool]string{true: "parameter_missing", false: "payment_not_refundable"}[q.RefundedMinor == 0])
	}
}
