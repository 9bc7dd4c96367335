package payment_test

import (
	"testing"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// captured returns a payment of 10.00 EUR that was captured.
func captured(t *testing.T) payment.Payment {
	t.Helper()
	return drive(t, fresh(link.LateAccept), payment.Input{Kind: payment.Begin, Actor: "payer", Owner: "a"},
		answer(payment.Sync, issuer.Approved, true))
}

func refund(id string, minor int64) payment.Input {
	return payment.Input{Kind: payment.RefundAsked, Actor: "merchant", Refund: id, Amount: money.Of(minor, "EUR")}
}

func refunded(id string, minor int64) payment.Input {
	return payment.Input{Kind: payment.RefundAnswer, Actor: "issuer", Refund: id,
		Answer: issuer.Answer{Outcome: issuer.Approved, Amount: money.Of(minor, "EUR"), At: start}}
}

// The same refund that is requested again holds its money once.
func TestARefundIsRequestedOnce(t *testing.T) {
	p := drive(t, captured(t), refund("rfd_1", 400))
	again := step(p, refund("rfd_1", 400))
	if again.err != nil || !again.Nothing || len(again.Entries) != 0 {
		t.Fatalf("the same request changed something: %+v, %v", again.Entries, again.err)
	}
	if p = drive(t, p, refunded("rfd_1", 400)); len(p.Refunds) != 1 || p.RefundedMinor != 400 {
		t.Fatalf("%d refunds, %d refunded", len(p.Refunds), p.RefundedMinor)
	}
	if again := step(p, refund("rfd_1", 400)); again.err != nil || !again.Nothing {
		t.Fatalf("a refund that is done was requested again: %+v, %v", again.Entries, again.err)
	}
}

// A refund that succeeds leaves the payment in review while another refund has to be reviewed.
func TestAReviewOutlivesOtherRefunds(t *testing.T) {
	p := drive(t, captured(t), refund("rfd_1", 400), refund("rfd_2", 300), refunded("rfd_1", 399))
	if p.Status != payment.Review {
		t.Fatalf("a refund of another amount leaves the payment %s", p.Status)
	}
	if p = drive(t, p, refunded("rfd_2", 300)); p.Status != payment.Review || p.RefundedMinor != 300 {
		t.Fatalf("%s, %d refunded", p.Status, p.RefundedMinor)
	}
	if broken := p.Verify(); len(broken) > 0 {
		t.Fatal(broken)
	}
}

// The worker's lease ends with the last refund, and not before.
func TestALeaseEndsWithTheLastRefund(t *testing.T) {
	for _, outcome := range []issuer.Outcome{issuer.Approved, issuer.Declined} {
		p := drive(t, captured(t), refund("rfd_1", 400), refund("rfd_2", 300),
			payment.Input{Kind: payment.Claim, Actor: "sweep", Owner: "b", At: start.Add(2 * payment.Lease)})
		if p.Work.Owner != "b" {
			t.Fatalf("the lease is %q's", p.Work.Owner)
		}
		first, second := refunded("rfd_1", 400), refunded("rfd_2", 300)
		first.Answer.Outcome, second.Answer.Outcome = outcome, outcome
		first.At, second.At = start.Add(2*payment.Lease+time.Second), start.Add(2*payment.Lease+2*time.Second)
		if p = drive(t, p, first); p.Work.Owner != "b" {
			t.Fatal("the lease ended while a refund was open")
		}
		if p = drive(t, p, second); p.Work != (payment.Work{}) {
			t.Fatalf("nothing is left to do, and %q has a lease", p.Work.Owner)
		}
	}
}
