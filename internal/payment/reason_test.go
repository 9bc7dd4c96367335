package payment_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// TestReasons: the machine gives every reason of the list and no other, and the API document
// lists the same ones.
func TestReasons(t *testing.T) {
	got := map[payment.Reason]bool{}
	run := func(p payment.Payment, inputs ...payment.Input) {
		for _, in := range inputs {
			if c := step(p, in); c.err == nil {
				p = c.Payment
			}
		}
		for _, e := range p.Log {
			got[e.Reason] = true
		}
	}
	states := inStatus(t)
	for _, p := range states {
		for _, in := range everyInput() {
			run(p, in)
		}
	}
	for _, policy := range []string{link.LateAccept, link.LateRefund} {
		for _, captured := range []bool{false, true} {
			late := answer(payment.Sync, issuer.Approved, captured)
			late.Answer.At = ends
			run(fresh(policy), payment.Input{Kind: payment.Begin, Owner: "w1"}, late)
		}
	}
	unclear, gone := answer(payment.Inquired, issuer.Ambiguous, false), answer(payment.Inquired, issuer.Ambiguous, false)
	gone.Answer.Code = issuer.Gone
	run(states[payment.Unknown], slices.Repeat([]payment.Input{unclear}, len(payment.Schedule))...)
	run(states[payment.Unknown], slices.Repeat([]payment.Input{gone}, len(payment.Schedule))...)
	run(states[payment.Succeeded], marking(payment.LabelLegitimate), marking(""))
	run(states[disputedPart], disputeChange(payment.DisputeNeedsResponse), disputeChange(payment.DisputeUnderReview),
		disputeChange(payment.DisputeWon))

	want := payment.Reasons()
	slices.Sort(want)
	if is := slices.Sorted(maps.Keys(got)); !slices.Equal(is, want) {
		t.Errorf("the machine gives the reasons %q, the list has %q", is, want)
	}
	document, err := os.ReadFile(filepath.Join("..", "..", "docs", "api", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(document), "| reason | meaning |")
	table, _, _ = strings.Cut(table, "\n      security:")
	var listed []payment.Reason
	for _, row := range regexp.MustCompile("(?m)^ +\\| `([a-z_]+)` \\|").FindAllStringSubmatch(table, -1) {
		listed = append(listed, payment.Reason(row[1]))
	}
	slices.Sort(listed)
	if !slices.Equal(listed, want) {
		t.Errorf("openapi.yaml lists the reasons %q, the list has %q", listed, want)
	}
}

// disputeChange changes the dispute of disputedPart.
func disputeChange(state string) payment.Input {
	return payment.Input{Kind: payment.Disputed, Actor: "issuer",
		Dispute: payment.DisputeInput{ID: "dsp_8", State: state, EvidenceDueAt: start.Add(time.Hour)}}
}

// TestReasonDetails: an entry carries the values that belong to its reason, and the API shows
// them.
func TestReasonDetails(t *testing.T) {
	wrong := answer(payment.Sync, issuer.Approved, true)
	wrong.Answer.Amount = money.Of(1001, "JPY")
	notCaptured, wrongCapture := answer(payment.CaptureAnswer, issuer.NotSent, false), answer(payment.CaptureAnswer, issuer.Approved, false)
	for _, c := range []struct {
		from payment.Status
		in   payment.Input
		want payment.EntryObject
	}{
		{payment.Processing, answer(payment.Sync, issuer.Declined, false), payment.EntryObject{Reason: "declined", Code: "insufficient_funds"}},
		{payment.Processing, answer(payment.Sync, issuer.NotFound, false), payment.EntryObject{Reason: "no_clear_answer", Code: "not_found"}},
		{payment.Processing, wrong, payment.EntryObject{Reason: "amount_mismatch", Amount: "1001", Currency: "JPY"}},
		{capturing4, wrongCapture, payment.EntryObject{Reason: "amount_mismatch", Amount: "10.00", Currency: "EUR"}},
		{capturing4, notCaptured, payment.EntryObject{Reason: "capture_failed", Code: "not_sent"}},
		{payment.Authorized, payment.Input{Kind: payment.CaptureAsked, Amount: eur(400)},
			payment.EntryObject{Reason: "capture_requested", Amount: "4.00", Currency: "EUR"}},
		{payment.Voiding, answer(payment.VoidAnswer, issuer.Declined, false),
			payment.EntryObject{Reason: "void_refused", Code: "insufficient_funds"}},
		{refunding4, answer(payment.RefundAnswer, issuer.Declined, false),
			payment.EntryObject{Reason: "refund_failed", Code: "insufficient_funds"}},
		{disputedPart, refunding(1000, true),
			payment.EntryObject{Reason: "disputed_refund_requested", Amount: "4.00", Currency: "EUR", By: "usr_1"}},
		{payment.Succeeded, disputed("dsp_8", "", 300),
			payment.EntryObject{Reason: "dispute_opened", Code: "other", Amount: "3.00", Currency: "EUR"}},
		{payment.Succeeded, marking(payment.LabelFraud), payment.EntryObject{Reason: "labeled_fraud", By: "usr_1"}},
		{payment.None, assessed(payment.Block), payment.EntryObject{Reason: "blocked", Code: "rule", By: "frl_1"}},
		{heldOpen, verdict(payment.ReviewApproved), payment.EntryObject{Reason: "review_approved", By: "usr_1"}},
	} {
		change := step(inStatus(t)[c.from], c.in)
		if change.err != nil {
			t.Fatal(change.err)
		}
		log := payment.DetailObject(change.Payment).Log
		i := slices.IndexFunc(log, func(e payment.EntryObject) bool { return e.Reason == c.want.Reason })
		if i < 0 {
			t.Errorf("%s, %s: no entry is %s", c.from, named(c.in), c.want.Reason)
			continue
		}
		e := log[i]
		got := payment.EntryObject{Reason: e.Reason, Code: e.Code, By: e.By, Amount: e.Amount, Currency: e.Currency}
		if got != c.want {
			t.Errorf("%s, %s: %+v, want %+v", c.from, named(c.in), got, c.want)
		}
	}
}
