package payment_test

import (
	"errors"
	"slices"
	"strconv"
	"testing"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/payment"
)

// TestRulesAgreeWithTheMachine: a predicate allows what Next accepts, and refuses with the same
// fault, in every status.
func TestRulesAgreeWithTheMachine(t *testing.T) {
	for name, p := range inStatus(t) {
		for kind, can := range map[payment.Kind]func() error{
			payment.CaptureAsked: p.CanCapture, payment.VoidAsked: p.CanVoid, payment.RefundAsked: p.CanRefund,
		} {
			// A refund of what disputes claim is allowed with a person's id.
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

// TestSettled: a payment is settled exactly if the sweep leaves it alone until its hold ends.
func TestSettled(t *testing.T) {
	held := []payment.Status{payment.Authorized, payment.Late}
	for name, p := range inStatus(t) {
		waits := !p.DueAt().IsZero() && !slices.Contains(held, p.Status)
		if name != payment.None && p.Settled() == waits {
			t.Errorf("%q: settled %t, due %s", name, p.Settled(), p.DueAt())
		}
	}
}

// TestRefusals: a request is refused with the code of the rule that it breaks.
func TestRefusals(t *testing.T) {
	states := inStatus(t)
	unsigned := func(in payment.Input) payment.Input { in.By = ""; return in }
	review := drive(t, states[payment.Succeeded], disputed("dsp_8", payment.DisputeUnderReview, 0))
	five := states[payment.Succeeded]
	for i := range payment.MaxDisputes {
		five = drive(t, five, disputed("dsp_"+strconv.Itoa(i), "", 100))
	}
	for _, c := range []struct {
		name string
		of   payment.Payment
		in   payment.Input
		code string
	}{
		{"a verdict of nobody", states[heldOpen], unsigned(verdict(payment.ReviewApproved)), "parameter_missing"},
		{"an unknown verdict", states[heldOpen], verdict("maybe"), "parameter_invalid"},
		{"a mark of nobody", states[payment.Succeeded], unsigned(marking(payment.LabelFraud)), "parameter_missing"},
		{"an unknown mark", states[payment.Succeeded], marking("odd"), "parameter_invalid"},
		{"a dispute over too much", states[payment.Succeeded], disputed("dsp_1", "", 1001), "amount_too_large"},
		{"a dispute below zero", states[payment.Succeeded], disputed("dsp_1", "", -1), "amount_too_large"},
		{"a dispute before the capture", states[payment.Authorized], disputed("dsp_1", "", 100), "payment_not_disputable"},
		{"an unknown state", states[payment.Succeeded], disputed("dsp_1", "odd", 100), "parameter_invalid"},
		{"a dispute that was won", states[disputedWon], disputed("dsp_8", payment.DisputeLost, 0), "dispute_closed"},
		{"a dispute that was lost", states[disputedLost], disputed("dsp_8", payment.DisputeWon, 0), "dispute_closed"},
		{"a step back", review, disputed("dsp_8", payment.DisputeNeedsResponse, 0), "dispute_state_conflict"},
		{"one dispute too many", five, disputed("dsp_9", "", 100), "too_many_disputes"},
	} {
		if got := step(c.of, c.in); fault.Code(got.err) != c.code {
			t.Errorf("%s: %v, want %s", c.name, got.err, c.code)
		}
	}
}
