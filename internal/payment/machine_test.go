package payment_test

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
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

var update = flag.Bool("update", false, "write the golden files anew")

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

// lateHeld names a late payment that is authorised and not captured, beside the
// late one of the table, which is captured.
const lateHeld payment.Status = "late, not captured"

// Payments that the assessment of their attempt made special.
const (
	heldOpen    payment.Status = "authorized, held"   // waits in review
	heldLate    payment.Status = "late, held"         // the same, after the link's end
	blockedOnce payment.Status = "declined, blocked"  // never sent
	sent        payment.Status = "succeeded, allowed" // looked at, and let through
)

// Payments of 10.00 with disputes.
const (
	disputedPart payment.Status = "succeeded, dsp 4.00"
	disputedAll  payment.Status = "succeeded, dsp all"
	disputedLost payment.Status = "succeeded, dsp lost"
	disputedWon  payment.Status = "succeeded, dsp won"
	disputedTwo  payment.Status = "partially_refunded, dsp 5.00"
)

var specials = []payment.Status{heldOpen, heldLate, blockedOnce, sent, disputedPart, disputedAll, disputedLost, disputedWon, disputedTwo}

// refunding asks for a refund beside a dispute, or in the belief that seen is refundable.
func refunding(minor int64, allow bool, seen ...int64) payment.Input {
	in := payment.Input{Kind: payment.RefundAsked, Actor: "merchant", Refund: "rfd_9", Minor: minor, AllowDisputed: allow, By: "usr_1"}
	if len(seen) > 0 {
		in.Refundable = &seen[0]
	}
	return in
}

func assessed(a payment.Action) payment.Input {
	return payment.Input{Kind: payment.Begin, Actor: "payer", Owner: "w1", Risk: payment.Risk{Fingerprint: "f00", BIN: "424242", Action: a, Why: "rule", Rule: "frl_1", Version: 3}}
}

func verdict(v string) payment.Input {
	return payment.Input{Kind: payment.Reviewed, Actor: "merchant", Verdict: v, By: "usr_1", Refund: "rfd_7", Owner: "w3"}
}

func marking(label string) payment.Input {
	return payment.Input{Kind: payment.Marked, Actor: "merchant", Label: label, By: "usr_1"}
}

func disputing(state string) payment.Input {
	return payment.Input{Kind: payment.Disputed, Actor: "issuer", DisputeID: "dsp_1", Dispute: payment.DisputeInput{Reference: "case 1", Reason: "fraudulent", State: state}}
}

func disputed(id, state string, minor int64) payment.Input {
	return payment.Input{Kind: payment.Disputed, Actor: "issuer", DisputeID: id, Minor: minor, Dispute: payment.DisputeInput{Reference: id, State: state}}
}

// inStatus builds a payment of every status, by the machine alone.
func inStatus(t testing.TB) map[payment.Status]payment.Payment {
	begin := payment.Input{Kind: payment.Begin, Actor: "payer", Owner: "w1"}
	processing := drive(t, fresh(link.LateHold), begin)
	authorized := drive(t, processing, answer(payment.Sync, issuer.Approved, false))
	succeeded := drive(t, processing, answer(payment.Sync, issuer.Approved, true))
	part := drive(t, succeeded, payment.Input{Kind: payment.RefundAsked, Refund: "rfd_0", Minor: 400})
	refundOK := answer(payment.RefundAnswer, issuer.Approved, false)
	refundOK.Refund, refundOK.Answer.Amount = "rfd_0", money.Of(400, "EUR")
	part = drive(t, part, refundOK)
	all := drive(t, succeeded, payment.Input{Kind: payment.RefundAsked, Refund: "rfd_0"})
	refundOK.Answer.Amount = ten
	all = drive(t, all, refundOK)
	late := answer(payment.Sync, issuer.Approved, true)
	late.Answer.At = ends.Add(time.Second)
	lateAuthorised := answer(payment.Sync, issuer.Approved, false)
	lateAuthorised.Answer.At = ends.Add(time.Second)
	wrong := answer(payment.Sync, issuer.Approved, true)
	wrong.Answer.Amount = money.Of(1001, "EUR")
	return map[payment.Status]payment.Payment{
		payment.None:              fresh(link.LateHold),
		payment.Created:           drive(t, processing, answer(payment.Sync, issuer.NotSent, false)),
		payment.Processing:        processing,
		payment.RequiresAction:    drive(t, processing, answer(payment.Sync, issuer.ActionRequired, false)),
		payment.Unknown:           drive(t, processing, answer(payment.Sync, issuer.Ambiguous, false)),
		payment.Authorized:        authorized,
		payment.Capturing:         drive(t, authorized, payment.Input{Kind: payment.CaptureAsked}),
		payment.Voiding:           drive(t, authorized, payment.Input{Kind: payment.VoidAsked, Actor: "merchant"}),
		payment.Succeeded:         succeeded,
		payment.PartiallyRefunded: part,
		payment.Refunded:          all,
		payment.Declined:          drive(t, processing, answer(payment.Sync, issuer.Declined, false)),
		payment.CanceledS:         drive(t, processing, answer(payment.Sync, issuer.Ambiguous, false), answer(payment.Inquired, issuer.Reversed, false)),
		payment.Late:              drive(t, processing, late),
		lateHeld:                  drive(t, processing, lateAuthorised),
		payment.Review:            drive(t, processing, wrong),
		heldOpen:                  drive(t, fresh(link.LateHold), assessed(payment.Hold), answer(payment.Sync, issuer.Approved, false)),
		heldLate:                  drive(t, fresh(link.LateHold), assessed(payment.Hold), lateAuthorised),
		blockedOnce:               drive(t, fresh(link.LateHold), assessed(payment.Block)),
		disputedPart:              drive(t, succeeded, disputed("dsp_8", "", 400)),
		disputedAll:               drive(t, succeeded, disputed("dsp_8", "", 0)),
		disputedLost:              drive(t, succeeded, disputed("dsp_8", payment.DisputeLost, 0)),
		disputedWon:               drive(t, succeeded, disputed("dsp_8", payment.DisputeWon, 0)),
		disputedTwo:               drive(t, part, disputed("dsp_8", "", 200), disputed("dsp_9", payment.DisputeLost, 300)),
		sent:                      drive(t, fresh(link.LateHold), assessed(payment.Allow), answer(payment.Sync, issuer.Approved, true)),
	}
}

var order = []payment.Status{payment.None, payment.Created, payment.Processing, payment.RequiresAction, payment.Unknown, payment.Authorized,
	payment.Capturing, payment.Voiding, payment.Succeeded, payment.PartiallyRefunded, payment.Refunded, payment.Declined, payment.CanceledS,
	payment.Late, payment.Review}

func everyInput() []payment.Input {
	var list []payment.Input
	for _, o := range []issuer.Outcome{issuer.Approved, issuer.Declined, issuer.ActionRequired, issuer.NotSent, issuer.Ambiguous,
		issuer.Reversed, issuer.NotFound, issuer.Pending} {
		for _, k := range []payment.Kind{payment.Sync, payment.Inquired, payment.Noticed, payment.CaptureAnswer, payment.VoidAnswer, payment.RefundAnswer} {
			list = append(list, answer(k, o, true))
		}
	}
	for _, k := range []payment.Kind{payment.Begin, payment.Lost, payment.Claim, payment.Abandon, payment.CaptureAsked, payment.VoidAsked, payment.RefundAsked} {
		list = append(list, payment.Input{Kind: k, Actor: "merchant", Owner: "w2", Refund: "rfd_9", At: ends.Add(payment.HoldLife)})
	}
	for _, v := range []string{payment.ReviewApproved, payment.ReviewDeclined, payment.ReviewRefunded} {
		list = append(list, verdict(v))
	}
	list = append(list, marking(payment.LabelFraud), marking(""))
	list = append(list, refunding(0, true), refunding(600, false), refunding(600, true), refunding(100, false), refunding(100, false, 600), refunding(100, false, 1000))
	for _, s := range []string{payment.DisputeNeedsResponse, payment.DisputeLost} {
		list = append(list, disputing(s))
	}
	return append(list, assessed(payment.Block), assessed(payment.Hold))
}

// named is an input as the table calls it.
func named(in payment.Input) string {
	switch in.Kind {
	case payment.Sync, payment.Inquired, payment.Noticed, payment.CaptureAnswer, payment.VoidAnswer, payment.RefundAnswer:
		return in.Kind.String() + ": " + in.Answer.Outcome.String()
	case payment.Reviewed:
		return in.Kind.String() + ": " + in.Verdict
	case payment.RefundAsked:
		name := in.Kind.String()
		if in.Minor != 0 {
			name += ": " + money.Of(in.Minor, "EUR").Decimal()
		}
		if in.Refundable != nil {
			name += ", seen " + money.Of(*in.Refundable, "EUR").Decimal()
		}
		if in.AllowDisputed {
			name += ", anyway"
		}
		return name
	case payment.Marked:
		return in.Kind.String() + ": " + cmp.Or(in.Label, "nothing")
	case payment.Disputed:
		return in.Kind.String() + ": " + in.Dispute.State
	case payment.Begin:
		if in.Risk.Action != "" {
			return in.Kind.String() + ": " + string(in.Risk.Action)
		}
	}
	return in.Kind.String()
}

// TestTransitionTable is the machine as a person can read it: every status with
// every input. A cell is the public path through the log, "=" when something but
// the status is committed, "." when nothing is, or the code of the refusal.
func TestTransitionTable(t *testing.T) {
	var out bytes.Buffer
	states := inStatus(t)
	for _, from := range append(append(order[:len(order):len(order)], lateHeld), specials...) {
		p := states[from]
		if status, _, _ := strings.Cut(string(from), ","); p.Status != payment.Status(status) {
			t.Fatalf("the payment built for %q is %q", from, p.Status)
		}
		for _, in := range everyInput() {
			fmt.Fprintf(&out, "%-20s %-32s %s\n", orNone(from), named(in), cell(t, p, in))
		}
	}
	const file = "testdata/transitions.golden"
	if *update {
		if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(want, out.Bytes()) {
		t.Fatalf("the transition table differs from %s; read it, and write it anew with -update\n%s", file, out.String())
	}
}

func orNone(s payment.Status) string {
	if s == payment.None {
		return "-"
	}
	return string(s)
}

func cell(t *testing.T, p payment.Payment, in payment.Input) string {
	c := step(p, in)
	if c.err != nil {
		if fault.KindOf(c.err) == fault.KindInternal {
			t.Errorf("%q with %s: internal error %v", p.Status, in.Kind, c.err)
		}
		return "refused " + fault.Code(c.err)
	}
	if c.Nothing {
		return "."
	}
	if broken := c.Payment.Verify(); len(broken) > 0 {
		t.Errorf("%q with %s breaks %v", p.Status, in.Kind, broken)
	}
	if len(c.Entries) == 0 {
		return "="
	}
	var path []string
	for _, e := range c.Entries {
		step := string(e.To)
		if strings.HasPrefix(e.Event, "fraud.") || strings.HasPrefix(e.Event, "dispute.") {
			step += " (" + e.Event + ")"
		}
		path = append(path, step)
	}
	return strings.Join(path, " -> ") + map[payment.UseOp]string{payment.UseReserve: " +use", payment.UseComplete: " use done",
		payment.UseRelease: " -use", payment.UseRetake: " use retaken"}[c.Use]
}

// TestF5AnswerTwice: a second answer, whatever its way, changes nothing.
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
		if c.err == nil && !c.Nothing && (c.Payment.CapturedMinor > 0 || c.Payment.Status == payment.Succeeded || c.Payment.Status == payment.Authorized) {
			t.Errorf("%s %s leads to %q", in.Kind, in.Answer.Outcome, c.Payment.Status)
		}
	}
	if p.ReviewReason != payment.ReasonMismatch {
		t.Errorf("reason %q", p.ReviewReason)
	}
}

// TestF9SuccessAfterGivingUp and TestF12 show the late policies.
func TestF9SuccessAfterGivingUp(t *testing.T) {
	for policy, want := range map[string]payment.Status{link.LateAccept: payment.Succeeded, link.LateHold: payment.Late, link.LateRefund: payment.Late} {
		p := drive(t, fresh(policy), payment.Input{Kind: payment.Begin, Owner: "w"}, answer(payment.Sync, issuer.Ambiguous, false),
			answer(payment.Inquired, issuer.Reversed, false))
		c := step(p, answer(payment.Noticed, issuer.Approved, true))
		if c.err != nil || c.Payment.Status != want || c.Use != payment.UseRetake {
			t.Errorf("%s: %q use %d err %v", policy, c.Payment.Status, c.Use, c.err)
		}
		in := answer(payment.Noticed, issuer.Approved, true)
		in.NoUse = true
		c = step(p, in)
		if c.Use != payment.UseNone || len(c.Payment.Refunds) != 1 || c.Payment.Refundable() != 0 {
			t.Errorf("%s without a use: %q, refunds %v", policy, c.Payment.Status, c.Payment.Refunds)
		}
	}
}

func TestF12ExpiresBetweenSubmitAndApproval(t *testing.T) {
	for policy, want := range map[string]payment.Status{link.LateAccept: payment.Authorized, link.LateHold: payment.Late, link.LateRefund: payment.Voiding} {
		p := drive(t, fresh(policy), payment.Input{Kind: payment.Begin, Owner: "w"})
		in := answer(payment.Sync, issuer.Approved, false)
		in.Answer.At = ends
		c := step(p, in)
		if c.err != nil || c.Payment.Status != want || c.Use != payment.UseComplete {
			t.Errorf("%s: %q use %d err %v", policy, c.Payment.Status, c.Use, c.err)
		}
	}
}

// TestLateHoldEnds: a late success that was only authorised is held like any
// authorisation, and voided when nobody has decided in time.
func TestLateHoldEnds(t *testing.T) {
	p := inStatus(t)[lateHeld]
	if p.Status != payment.Late || p.CapturedMinor != 0 || !p.DueAt().Equal(start.Add(payment.HoldLife)) {
		t.Fatalf("%q, captured %d, due %s", p.Status, p.CapturedMinor, p.DueAt())
	}
	ended := start.Add(payment.HoldLife)
	voiding := drive(t, p, payment.Input{Kind: payment.Claim, Owner: "w2", At: ended}, payment.Input{Kind: payment.VoidAsked, Actor: "sweep", Owner: "w2", At: ended})
	if voiding.Status != payment.Voiding || voiding.VoidFrom != payment.Late || voiding.DueAt().IsZero() {
		t.Fatalf("%q from %q, due %s", voiding.Status, voiding.VoidFrom, voiding.DueAt())
	}
	c := step(voiding, answer(payment.VoidAnswer, issuer.Reversed, false))
	if c.err != nil || c.Payment.Status != payment.CanceledS || !c.Payment.DueAt().IsZero() || len(c.Payment.Verify()) != 0 {
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
	taken := drive(t, p, payment.Input{Kind: payment.CaptureAsked, Actor: "merchant", Owner: "w"}, answer(payment.CaptureAnswer, issuer.Approved, false))
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
	if q := drive(t, p, payment.Input{Kind: payment.CaptureAsked, Actor: "merchant"}); q.Status != payment.Succeeded || q.Refundable() != 1000 {
		t.Errorf("accepted: %q", q.Status)
	}
	refunded := answer(payment.RefundAnswer, issuer.Approved, false)
	if q := drive(t, p, payment.Input{Kind: payment.RefundAsked, Refund: "rfd_1"}, refunded); q.Status != payment.Refunded || q.RefundedMinor != 1000 {
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
				Owner: rapid.SampledFrom([]string{"a", "b"}).Draw(rt, "owner"), Minor: rapid.Int64Range(0, 1100).Draw(rt, "minor"),
				Refund: "rfd_" + strconv.Itoa(rapid.IntRange(0, 5).Draw(rt, "refund")), NoUse: rapid.Bool().Draw(rt, "nouse")}
			in.Risk.Action = rapid.SampledFrom([]payment.Action{"", payment.Allow, payment.Hold, payment.Hold, payment.Block}).Draw(rt, "action")
			in.Verdict = rapid.SampledFrom([]string{payment.ReviewApproved, payment.ReviewDeclined, payment.ReviewRefunded}).Draw(rt, "verdict")
			in.Label = rapid.SampledFrom([]string{"", payment.LabelFraud, payment.LabelLegitimate}).Draw(rt, "label")
			in.By, in.DisputeID = "usr_1", "dsp_"+strconv.Itoa(rapid.IntRange(0, 6).Draw(rt, "dispute"))
			in.Dispute.State = rapid.SampledFrom([]string{"", payment.DisputeNeedsResponse, payment.DisputeUnderReview, payment.DisputeWon, payment.DisputeLost}).Draw(rt, "state")
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

// TestI11ScheduleEndsInReview: an issuer that never answers leads to a person.
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

// TestI7TamperedLog: any change to a stored log is seen.
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
