package payment_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// TestF52RefundOfDisputedMoney: a dispute that is open or lost keeps its amount from being
// refunded, unless a person allows it, which the log and the refund record.
func TestF52RefundOfDisputedMoney(t *testing.T) {
	states := inStatus(t)
	for _, c := range []struct {
		from payment.Status
		in   payment.Input
		want int64  // refunded
		code string // of the refusal
		say  string // in its text
	}{
		{disputedPart, refunding(600, false), 600, "", ""},
		{disputedPart, refunding(601, false), 0, "payment_disputed",
			"EUR 4.00 of this payment is disputed (dsp_8, open): the issuer may give it back to the payer, and refunding it too would pay twice. Refund at most EUR 6.00; or send allowDisputed to refund it anyway."},
		{disputedPart, refunding(0, false), 0, "payment_disputed", ""},
		{disputedPart, refunding(0, true), 1000, "", ""},
		{disputedPart, refunding(1001, true), 0, "amount_too_large", ""},
		{disputedAll, refunding(1, false), 0, "payment_disputed", "Nothing else can be refunded; or"},
		{disputedLost, refunding(1, false), 0, "payment_disputed", "(dsp_8, lost)"},
		{disputedWon, refunding(0, false), 1000, "", ""},
		{disputedTwo, refunding(100, false), 100, "", ""}, // 10.00, 4.00 refunded, 5.00 disputed
		{disputedTwo, refunding(101, false), 0, "payment_disputed", "(dsp_8, open; dsp_9, lost)"},
		{disputedTwo, refunding(100, false, 100), 100, "", ""},
		{disputedTwo, refunding(100, false, 600), 0, "refundable_amount_changed", "EUR 1.00 of this payment can be refunded now, not EUR 6.00."},
		{payment.Refunded, refunding(100, false, 100), 0, "refundable_amount_changed", "EUR 0.00 of this payment can be refunded now"},
		{disputedPart, verdict(payment.ReviewRefunded), 600, "", ""},
		{disputedAll, verdict(payment.ReviewRefunded), 0, "payment_disputed", "or mark it as fraud instead."},
	} {
		o := step(states[c.from], c.in)
		if fault.Code(o.err) != c.code {
			t.Errorf("%q, %s: %v, want code %q", c.from, named(c.in), o.err, c.code)
			continue
		}
		if c.code != "" {
			if detail := fault.From(o.err).Detail; !strings.Contains(detail, c.say) {
				t.Errorf("%q, %s: %q does not say %q", c.from, named(c.in), detail, c.say)
			}
			continue
		}
		r, ok := o.Payment.RefundByID(c.in.Refund)
		if !ok || r.Minor != c.want {
			t.Errorf("%q, %s: refund of %d, want %d", c.from, named(c.in), r.Minor, c.want)
		}
		e := o.Entries[len(o.Entries)-1]
		if forced := c.in.AllowDisputed; (r.AllowedBy == "usr_1") != forced ||
			(e.Reason == payment.ReasonDisputedRefundRequested && e.Amount == money.Of(400, "EUR") && e.By == "usr_1") != forced {
			t.Errorf("%q, %s: allowed by %q, logged as %s of %s by %q", c.from, named(c.in), r.AllowedBy, e.Reason, e.Amount, e.By)
		}
	}
	nobody := refunding(0, true)
	nobody.By = ""
	if o := step(states[disputedAll], nobody); fault.Code(o.err) != "parameter_missing" {
		t.Errorf("nobody allowed it: %v", o.err)
	}
	due := disputed("dsp_1", "", 400)
	due.Dispute.EvidenceDueAt = time.Date(2030, 2, 3, 4, 5, 6, 0, time.UTC)
	if o := step(drive(t, states[payment.Succeeded], due), refunding(0, false)); !strings.Contains(fault.From(o.err).Detail,
		"(dsp_1, open until 2030-02-03)") {
		t.Errorf("the refusal does not say until when the dispute is open: %v", o.err)
	}
}

// TestF52DisputeAfterRefund: a dispute of what is refunded, or is being refunded, is
// recorded, and the refund goes on.
func TestF52DisputeAfterRefund(t *testing.T) {
	p := drive(t, inStatus(t)[payment.Succeeded], refunding(1000, false), disputed("dsp_1", "", 0))
	answer := answer(payment.RefundAnswer, issuer.Approved, true)
	answer.Refund, answer.Answer.Amount = "rfd_9", ten
	p = drive(t, p, answer)
	if p.Status != payment.Refunded || len(p.Disputes) != 1 || p.Undisputed().Minor != 0 || len(p.Verify()) != 0 {
		t.Fatalf("%q with %d disputes, %s refundable, broken %v", p.Status, len(p.Disputes), p.Undisputed(), p.Verify())
	}
	// A refund that failed makes its money refundable again.
	p = drive(t, inStatus(t)[payment.Succeeded], refunding(700, false), disputed("dsp_1", "", 200))
	answer.Answer = issuer.Answer{Outcome: issuer.Declined}
	if q := drive(t, p, answer); p.Undisputed().Minor != 100 || q.Undisputed().Minor != 800 {
		t.Fatalf("%s refundable, then %s", p.Undisputed(), q.Undisputed())
	}
}

// fits checks that the data of an event matches its type.
func fits(t interface{ Errorf(string, ...any) }, kind string, data []byte) {
	var o struct {
		Object, Status string
		Disputes       []struct{ State string }
	}
	if err := json.Unmarshal(data, &o); err != nil {
		t.Errorf("%s: %v", kind, err)
		return
	}
	family, word, _ := strings.Cut(kind, ".")
	ok := false
	switch family {
	case "payment":
		ok = o.Object == "payment" && o.Status == word
	case "refund":
		ok = o.Object == "refund" && o.Status == map[string]string{"created": "pending", "succeeded": "succeeded", "failed": "failed"}[word]
	case "fraud":
		ok = o.Object == "payment"
	case "dispute":
		ok = o.Object == "payment" && len(o.Disputes) > 0
		ended := false
		for _, d := range o.Disputes {
			ended = ended || d.State == payment.DisputeWon || d.State == payment.DisputeLost
		}
		ok = ok && (word != "closed" || ended)
	}
	if !ok {
		t.Errorf("%s carries %s", kind, data)
	}
}

// TestEventsFitTheirData: for every status and input, the data of the event matches its type.
func TestEventsFitTheirData(t *testing.T) {
	events := 0
	for from, p := range inStatus(t) {
		for _, in := range everyInput() {
			if o := step(p, in); o.err == nil && !o.Nothing {
				for _, e := range o.Events {
					events++
					fits(t, e.Type, e.Data)
				}
			}
		}
		if o := payment.Object(p); o.Refundable != p.Undisputed().Decimal() {
			t.Errorf("%q says that %s can be refunded", from, o.Refundable)
		}
	}
	if events < 100 {
		t.Errorf("only %d events", events)
	}
}

// TestI13OtherCurrency: an amount in another currency than the payment's is refused.
func TestI13OtherCurrency(t *testing.T) {
	yen := money.Of(400, "JPY")
	for from, in := range map[payment.Status]payment.Input{
		payment.Authorized: {Kind: payment.CaptureAsked, Amount: yen},
		payment.Late:       {Kind: payment.CaptureAsked, Amount: money.Of(1000, "JPY")},
		payment.Succeeded:  {Kind: payment.RefundAsked, Refund: "rfd_9", Amount: yen},
		disputedWon:        {Kind: payment.Disputed, DisputeID: "dsp_1", Amount: yen},
	} {
		if o := step(inStatus(t)[from], in); fault.Code(o.err) != "amount_invalid" {
			t.Errorf("%q, %s: %v", from, in.Kind, o.err)
		}
	}
	seen := yen
	asked := payment.Input{Kind: payment.RefundAsked, Refund: "rfd_9", Refundable: &seen}
	if o := step(inStatus(t)[payment.Succeeded], asked); fault.Code(o.err) != "refundable_amount_changed" {
		t.Errorf("seen in another currency: %v", o.err)
	}
}
