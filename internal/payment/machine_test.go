package payment_test

import (
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

var (
	start = time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	ends  = start.Add(time.Hour)
	ten   = money.Of(1000, "EUR")
)

func offer(policy string) link.Link {
	return link.Link{ID: "lnk_01hzzzzzzzzzzzzzzzzzzzzzz0", Account: "acct_1", ExpiresAt: ends, MaxUses: 1, LatePolicy: policy}
}

func fresh(policy string) payment.Payment {
	return payment.Payment{ID: "pay_01hzzzzzzzzzzzzzzzzzzzzzz0", Account: "acct_1", Mode: link.Test, Link: offer(policy).ID,
		Issuer: "simulator", Amount: ten, Capture: link.CaptureAutomatic, LatePolicy: policy, LinkEndsAt: ends, LinkUses: 1, CreatedAt: start}
}

var changes int

// drive feeds inputs and fails the test on any error.
func drive(t testing.TB, p payment.Payment, inputs ...payment.Input) payment.Payment {
	t.Helper()
	for _, in := range inputs {
		c := step(p, in)
		if c.err != nil {
			t.Fatalf("%s in %q: %v", in.Kind, p.Status, c.err)
		}
		p = c.Payment
	}
	return p
}

type outcome struct {
	payment.Change
	err error
}

func step(p payment.Payment, in payment.Input) outcome {
	changes++
	in.Change = "chg_" + strconv.Itoa(changes)
	if in.At.IsZero() {
		in.At = start
	}
	if in.Link.ID == "" {
		in.Link = offer(p.LatePolicy)
	}
	c, err := payment.Next(p, in)
	return outcome{c, err}
}

func answer(kind payment.Kind, o issuer.Outcome, captured bool) payment.Input {
	a := issuer.Answer{Outcome: o, IssuerReference: "iss_1", At: start}
	if o == issuer.Approved {
		a.Amount, a.Captured = ten, captured
	}
	if o == issuer.Declined {
		a.Code = issuer.CodeInsufficientFunds
	}
	return payment.Input{Kind: kind, Actor: "issuer", Answer: a, Refund: "rfd_1"}
}

// TestF5AnswerTwice: a second answer, by whatever way it comes, changes nothing.
func TestF5AnswerTwice(t *testing.T) {
	p := inStatus(t)[payment.Succeeded]
	for _, k := range []payment.Kind{payment.Sync, payment.Inquired, payment.Noticed} {
		if c := step(p, answer(k, issuer.Approved, true)); c.err != nil || !c.Nothing {
			t.Errorf("%s: %+v", k, c)
		}
	}
}

// TestF10AmountDiffers: never a success, whatever comes later (I9).
func TestF10AmountDiffers(t *testing.T) {
	p := inStatus(t)[payment.Review]
	for _, in := range everyInput() {
		c := step(p, in)
		if c.err == nil && !c.Nothing && (c.Payment.CapturedMinor > 0 || c.Payment.Status == payment.Succeeded ||
			c.Payment.Status == payment.Authorized) {
			t.Errorf("%s %s leads to %q", in.Kind, in.Answer.Outcome, c.Payment.Status)
		}
	}
	if p.ReviewReason != payment.ReasonMismatch {
		t.Errorf("reason %q", p.ReviewReason)
	}
}

// TestF9SuccessAfterGivingUp: a success after the use was released follows the late policy, as
// in TestF12.
func TestF9SuccessAfterGivingUp(t *testing.T) {
	for policy, want := range map[string]payment.Status{link.LateAccept: payment.Succeeded, link.LateHold: payment.Late,
		link.LateRefund: payment.Late} {
		p := drive(t, fresh(policy), payment.Input{Kind: payment.Begin, Owner: "w"}, answer(payment.Sync, issuer.Ambiguous, false),
			answer(payment.Inquired, issuer.Reversed, false))
		c := step(p, answer(payment.Noticed, issuer.Approved, true))
		if c.err != nil || c.Payment.Status != want || c.Use != payment.UseRetake {
			t.Errorf("%s: %q use %d err %v", policy, c.Payment.Status, c.Use, c.err)
		}
		in := answer(payment.Noticed, issuer.Approved, true)
		in.NoUse = true
		c = step(p, in)
		if c.Use != payment.UseNone || len(c.Payment.Refunds) != 1 || c.Payment.Refundable().Minor != 0 {
			t.Errorf("%s without a use: %q, refunds %v", policy, c.Payment.Status, c.Payment.Refunds)
		}
	}
}

func TestF12ExpiresBetweenSubmitAndApproval(t *testing.T) {
	for policy, want := range map[string]payment.Status{link.LateAccept: payment.Authorized, link.LateHold: payment.Late,
		link.LateRefund: payment.Voiding} {
		p := drive(t, fresh(policy), payment.Input{Kind: payment.Begin, Owner: "w"})
		in := answer(payment.Sync, issuer.Approved, false)
		in.Answer.At = ends
		c := step(p, in)
		if c.err != nil || c.Payment.Status != want || c.Use != payment.UseComplete {
			t.Errorf("%s: %q use %d err %v", policy, c.Payment.Status, c.Use, c.err)
		}
	}
}

// TestLateHoldEnds: a late success that was only authorized is held like any authorization, and
// voided when nobody has decided in time.
func TestLateHoldEnds(t *testing.T) {
	p := inStatus(t)[lateHeld]
	if p.Status != payment.Late || p.CapturedMinor != 0 || !p.DueAt().Equal(start.Add(payment.HoldLife)) {
		t.Fatalf("%q, captured %d, due %s", p.Status, p.CapturedMinor, p.DueAt())
	}
	ended := start.Add(payment.HoldLife)
	voiding := drive(t, p, payment.Input{Kind: payment.Claim, Owner: "w2", At: ended},
		payment.Input{Kind: payment.VoidAsked, Actor: "sweep", Owner: "w2", At: ended})
	if voiding.Status != payment.Voiding || voiding.VoidFrom != payment.Late || voiding.DueAt().IsZero() {
		t.Fatalf("%q from %q, due %s", voiding.Status, voiding.VoidFrom, voiding.DueAt())
	}
	c := step(voiding, answer(payment.VoidAnswer, issuer.Reversed, false))
	if c.err != nil || c.Payment.Status != payment.Canceled || !c.Payment.DueAt().IsZero() || len(c.Payment.Verify()) != 0 {
		t.Fatalf("%q %v %v", c.Payment.Status, c.err, c.Payment.Verify())
	}
	if n := len(c.Events); n != 1 || c.Events[0].Type != "payment.canceled" {
		t.Errorf("%d events", n)
	}
	refused := answer(payment.VoidAnswer, issuer.Declined, false)
	refused.At = ended
	if q := drive(t, voiding, refused); q.Status != payment.Late || !q.DueAt().Equal(ended.Add(payment.HoldLife)) {
		t.Errorf("after a refused void: %q, due %s", q.Status, q.DueAt())
	}
	// A decision before that ends the hold.
	taken := drive(t, p, payment.Input{Kind: payment.CaptureAsked, Actor: "merchant", Owner: "w"},
		answer(payment.CaptureAnswer, issuer.Approved, false))
	if taken.Status != payment.Succeeded || !taken.DueAt().IsZero() {
		t.Errorf("captured: %q, due %s", taken.Status, taken.DueAt())
	}
}

// TestLateCapturedWaits: what was captured late waits for the merchant, who
// accepts or refunds it.
func TestLateCapturedWaits(t *testing.T) {
	p := inStatus(t)[payment.Late]
	if p.CapturedMinor != 1000 || !p.DueAt().IsZero() {
		t.Fatalf("captured %d, due %s", p.CapturedMinor, p.DueAt())
	}
	if q := drive(t, p, payment.Input{Kind: payment.CaptureAsked, Actor: "merchant"}); q.Status != payment.Succeeded ||
		q.Refundable().Minor != 1000 {
		t.Errorf("accepted: %q", q.Status)
	}
	refunded := answer(payment.RefundAnswer, issuer.Approved, false)
	if q := drive(t, p, payment.Input{Kind: payment.RefundAsked, Refund: "rfd_1"}, refunded); q.Status != payment.Refunded ||
		q.RefundedMinor != 1000 {
		t.Errorf("refunded: %q %d", q.Status, q.RefundedMinor)
	}
}

// TestF20RefundsNeverPassTheCap: any interleaving of refunds, captures and voids
// keeps every invariant.
func TestF20RefundsNeverPassTheCap(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		policy := rapid.SampledFrom([]string{link.LateAccept, link.LateHold, link.LateRefund}).Draw(rt, "policy")
		p := fresh(policy)
		now := start
		outcomes := []issuer.Outcome{issuer.Approved, issuer.Approved, issuer.Declined, issuer.ActionRequired, issuer.NotSent, issuer.Ambiguous,
			issuer.Reversed, issuer.NotFound, issuer.Pending}
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			now = now.Add(time.Duration(rapid.IntRange(-3600, 7200).Draw(rt, "seconds")) * time.Second) // F31: clocks jump
			in := payment.Input{Kind: payment.Kind(rapid.IntRange(0, int(payment.Disputed)).Draw(rt, "kind")), At: now, Actor: "sweep",
				Owner: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "owner"), Amount: eur(rapid.Int64Range(0, 1100).Draw(rt, "minor")),
				Refund: "rfd_" + strconv.Itoa(rapid.IntRange(0, 5).Draw(rt, "refund")), NoUse: rapid.Bool().Draw(rt, "nouse")}
			in.Risk.Action = rapid.SampledFrom([]payment.Action{"", payment.Allow, payment.Hold, payment.Hold, payment.Block}).Draw(rt, "action")
			in.Verdict = rapid.SampledFrom([]string{payment.ReviewApproved, payment.ReviewDeclined, payment.ReviewRefunded}).Draw(rt, "verdict")
			in.Label = rapid.SampledFrom([]string{"", payment.LabelFraud, payment.LabelLegitimate}).Draw(rt, "label")
			in.By, in.DisputeID = "usr_1", "dsp_"+strconv.Itoa(rapid.IntRange(0, 6).Draw(rt, "dispute"))
			in.Dispute.State = rapid.SampledFrom([]string{"", payment.DisputeNeedsResponse, payment.DisputeUnderReview, payment.DisputeWon,
				payment.DisputeLost}).Draw(rt, "state")
			amount := rapid.SampledFrom([]int64{1000, 1000, 1000, 400, 1001}).Draw(rt, "amount")
			in.Answer = issuer.Answer{Outcome: rapid.SampledFrom(outcomes).Draw(rt, "outcome"), Amount: money.Of(amount, "EUR"),
				Captured: rapid.Bool().Draw(rt, "captured"), At: now}
			before := p
			c := step(p, in)
			if c.err != nil {
				if fault.KindOf(c.err) == fault.KindInternal {
					rt.Fatalf("%s in %q: %v", in.Kind, p.Status, c.err)
				}
				continue
			}
			p = c.Payment
			if broken := p.Verify(); len(broken) > 0 {
				rt.Fatalf("%s in %q breaks %v", in.Kind, before.Status, broken)
			}
			for _, e := range c.Events {
				fits(rt, e.Type, e.Data)
			}
			if len(c.Events) != countEvents(c.Entries) {
				rt.Fatalf("%d events for %d telling entries", len(c.Events), countEvents(c.Entries))
			}
		}
	})
}

func countEvents(entries []payment.Entry) (n int) {
	for _, e := range entries {
		if e.Event != "" {
			n++
		}
	}
	return n
}

// TestI11ScheduleEndsInReview: an issuer that never answers leads to a review.
func TestI11ScheduleEndsInReview(t *testing.T) {
	p := inStatus(t)[payment.Unknown]
	asked := 0
	for ; p.Status == payment.Unknown; asked++ {
		if p.DueAt().IsZero() {
			t.Fatal("an unknown payment is not due")
		}
		in := answer(payment.Inquired, issuer.Ambiguous, false)
		in.At = p.DueAt()
		p = drive(t, p, in)
	}
	if p.Status != payment.Review || asked != len(payment.Schedule) {
		t.Fatalf("%q after %d inquiries", p.Status, asked)
	}
	extra := answer(payment.Inquired, issuer.Ambiguous, false)
	extra.Extra = true
	q := inStatus(t)[payment.Unknown]
	for range 100 {
		q = drive(t, q, extra)
	}
	if q.Status != payment.Unknown {
		t.Fatalf("inquiries outside the schedule used it up: %q", q.Status)
	}
}

// TestI7TamperedLog: Verify detects any change to a stored log.
func TestI7TamperedLog(t *testing.T) {
	for name, harm := range map[string]func(*payment.Payment){
		"amount":  func(p *payment.Payment) { p.Log[2].Captured++ },
		"reason":  func(p *payment.Payment) { p.Log[0].Reason = "x" },
		"removed": func(p *payment.Payment) { p.Log = p.Log[:2] },
		"moved":   func(p *payment.Payment) { p.Log[0], p.Log[1] = p.Log[1], p.Log[0] },
		"status":  func(p *payment.Payment) { p.Status = payment.Refunded },
		"sum":     func(p *payment.Payment) { p.CapturedMinor-- },
	} {
		p := inStatus(t)[payment.Succeeded]
		if broken := p.Verify(); len(broken) != 0 {
			t.Fatal(broken)
		}
		harm(&p)
		if len(p.Verify()) == 0 {
			t.Errorf("%s: not seen", name)
		}
	}
}

// TestF14SameAttempt: an attempt names one payment.
func TestF14SameAttempt(t *testing.T) {
	l := id.New(id.Link)
	if first := payment.IDFor(l, "a1"); first != payment.IDFor(l, "a1") || payment.IDFor(l, "a1") == payment.IDFor(l, "a2") {
		t.Fatal("the id is not a function of link and attempt")
	}
	p := inStatus(t)[payment.Processing]
	if c := step(p, payment.Input{Kind: payment.Begin, Owner: "w"}); !c.Nothing {
		t.Fatalf("a second begin: %+v", c.Entries)
	}
}

// TestLogIsBounded: a payment that is tried again and again is refused while the log still has
// space for the answers that may come.
func TestLogIsBounded(t *testing.T) {
	p := fresh(link.LateHold)
	begin := payment.Input{Kind: payment.Begin, Actor: "payer", Owner: "w1"}
	var refused error
	for range payment.MaxLogEntries {
		c := step(p, begin)
		if refused = c.err; refused != nil {
			break
		}
		p = drive(t, c.Payment, answer(payment.Sync, issuer.NotSent, false))
	}
	if fault.Code(refused) != "payment_log_full" || len(p.Log) > payment.MaxLogEntries-10 {
		t.Fatalf("%v after %d entries", refused, len(p.Log))
	}
	if c := step(p, marking(payment.LabelFraud)); fault.Code(c.err) != "payment_log_full" {
		t.Errorf("a mark takes a place that money needs: %v", c.err)
	}
	if c := step(p, answer(payment.Noticed, issuer.Approved, true)); c.err != nil || c.Payment.Status != payment.Late {
		t.Errorf("%q after a late answer: %v", c.Payment.Status, c.err)
	}
}
