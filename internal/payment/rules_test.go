package payment_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/payment"
)

// TestRulesAgreeWithTheMachine: a predicate allows what Next takes, and refuses with
// the same fault, in every status.
func TestRulesAgreeWithTheMachine(t *testing.T) {
	for name, p := range inStatus(t) {
		for kind, can := range map[payment.Kind]func() error{
			payment.CaptureAsked: p.CanCapture, payment.VoidAsked: p.CanVoid, payment.RefundAsked: p.CanRefund,
		} {
			// A refund of what disputes claim is allowed, with a person's name.
			got := step(p, payment.Input{Kind: kind, Actor: "merchant", Owner: "w2", Refund: "rfd_9", AllowDisputed: true, By: "usr_1"}).err
			want := can()
			var f *fault.Error
			switch {
			case (got == nil) != (want == nil):
				t.Errorf("%s of %q: the machine says %v, the rule %v", kind, name, got, want)
			case want != nil && (!errors.As(want, &f) || fault.From(got).Detail != f.Detail || fault.Code(got) != f.Code):
				t.Errorf("%s of %q: the machine says %v, the rule %v", kind, name, got, want)
			}
		}
	}
	p := inStatus(t)[payment.Succeeded]
	for range payment.MaxRefunds {
		p.Refunds = append(p.Refunds, payment.Refund{Status: payment.RefundFailed})
	}
	const many = "too_many_refunds"
	err := step(p, payment.Input{Kind: payment.RefundAsked, Refund: "rfd_9"}).err
	if fault.Code(err) != many || fault.Code(p.CanRefund()) != many {
		t.Errorf("%v, %v", err, p.CanRefund())
	}
}

// TestSettled: a payment that no answer is outstanding for is the only one that the
// sweep leaves alone until its hold ends.
func TestSettled(t *testing.T) {
	held := []payment.Status{payment.Authorized, payment.Late}
	for name, p := range inStatus(t) {
		waits := !p.DueAt().IsZero() && !slices.Contains(held, p.Status)
		if name != payment.None && p.Settled() == waits {
			t.Errorf("%q: settled %t, due %s", name, p.Settled(), p.DueAt())
		}
	}
}
