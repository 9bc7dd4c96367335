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

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// lateHeld names a late payment that is authorized and not captured, beside the
// late one of the table, which is captured.
const lateHeld payment.Status = "late, not captured"

// Payments that the assessment of their attempt made special.
const (
	heldOpen    payment.Status = "authorized, held"   // waits in review
	heldLate    payment.Status = "late, held"         // the same, after the link's end
	blockedOnce payment.Status = "declined, blocked"  // never sent
	sent        payment.Status = "succeeded, allowed" // assessed and allowed
)

// Payments with a second question open at the issuer.
const (
	refunding4  payment.Status = "succeeded, refunding"   // 4.00 of 10.00, by rfd_1
	refunding46 payment.Status = "succeeded, refunding 2" // 4.00 by rfd_1 and 6.00 by rfd_2
	capturing4  payment.Status = "capturing, 4.00"
	reviewed4   payment.Status = "review, refund"         // the issuer refunded another amount than 4.00
	retried     payment.Status = "processing, second try" // the first was proved not sent
)

// Payments of 10.00 with disputes.
const (
	disputedPart payment.Status = "succeeded, dsp 4.00"
	disputedAll  payment.Status = "succeeded, dsp all"
	disputedLost payment.Status = "succeeded, dsp lost"
	disputedWon  payment.Status = "succeeded, dsp won"
	disputedTwo  payment.Status = "partially_refunded, dsp 5.00"
)

var specials = []payment.Status{heldOpen, heldLate, blockedOnce, sent, disputedPart, disputedAll, disputedLost, disputedWon, disputedTwo,
	refunding4, refunding46, capturing4, reviewed4, retried}

func eur(minor int64) money.Amount { return money.Of(minor, "EUR") }

// refunding requests a refund beside a dispute, or with the expectation that seen is
// refundable.
func refunding(minor int64, allow bool, seen ...int64) payment.Input {
	in := payment.Input{Kind: payment.RefundAsked, Actor: "merchant", Refund: "rfd_9", Amount: eur(minor), AllowDisputed: allow, By: "usr_1"}
	if len(seen) > 0 {
		free := eur(seen[0])
		in.Refundable = &free
	}
	return in
}

func assessed(a payment.Action) payment.Input {
	return payment.Input{Kind: payment.Begin, Actor: "payer", Owner: "w1",
		Risk: payment.Risk{Fingerprint: "f00", BIN: "424242", Action: a, Why: "rule", Rule: "frl_1", Version: 3}}
}

func verdict(v string) payment.Input {
	return payment.Input{Kind: payment.Reviewed, Actor: "merchant", Verdict: v, By: "usr_1", Refund: "rfd_7", Owner: "w3"}
}

func marking(label string) payment.Input {
	return payment.Input{Kind: payment.Marked, Actor: "merchant", Label: label, By: "usr_1"}
}

func disputing(state string) payment.Input {
	return payment.Input{Kind: payment.Disputed, Actor: "issuer", DisputeID: "dsp_1",
		Dispute: payment.DisputeInput{Reference: "case 1", Reason: "fraudulent", State: state}}
}

func disputed(id, state string, minor int64) payment.Input {
	return payment.Input{Kind: payment.Disputed, Actor: "issuer", DisputeID: id, Amount: eur(minor),
		Dispute: payment.DisputeInput{Reference: id, State: state}}
}

// inStatus builds a payment of every status, using only the machine.
func inStatus(t testing.TB) map[payment.Status]payment.Payment {
	begin := payment.Input{Kind: payment.Begin, Actor: "payer", Owner: "w1"}
	processing := drive(t, fresh(link.LateHold), begin)
	authorized := drive(t, processing, answer(payment.Sync, issuer.Approved, false))
	succeeded := drive(t, processing, answer(payment.Sync, issuer.Approved, true))
	part := drive(t, succeeded, payment.Input{Kind: payment.RefundAsked, Refund: "rfd_0", Amount: eur(400)})
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
	one := drive(t, succeeded, payment.Input{Kind: payment.RefundAsked, Refund: "rfd_1", Amount: eur(400)})
	wrongRefund := answer(payment.RefundAnswer, issuer.Approved, false)
	wrongRefund.Answer.Amount = money.Of(401, "EUR")
	notSent := drive(t, processing, answer(payment.Sync, issuer.NotSent, false))
	return map[payment.Status]payment.Payment{
		payment.None:              fresh(link.LateHold),
		payment.Created:           notSent,
		payment.Processing:        processing,
		payment.RequiresAction:    drive(t, processing, answer(payment.Sync, issuer.ActionRequired, false)),
		payment.Unknown:           drive(t, processing, answer(payment.Sync, issuer.Ambiguous, false)),
		payment.Authorized:        authorized,
		payment.Capturing:         drive(t, authorized, payment.Input{Kind: payment.CaptureAsked, Owner: "w1"}),
		payment.Voiding:           drive(t, authorized, payment.Input{Kind: payment.VoidAsked, Actor: "merchant", Owner: "w1"}),
		payment.Succeeded:         succeeded,
		payment.PartiallyRefunded: part,
		payment.Refunded:          all,
		payment.Declined:          drive(t, processing, answer(payment.Sync, issuer.Declined, false)),
		payment.Canceled: drive(t, processing, answer(payment.Sync, issuer.Ambiguous, false),
			answer(payment.Inquired, issuer.Reversed, false)),
		payment.Late:   drive(t, processing, late),
		lateHeld:       drive(t, processing, lateAuthorised),
		payment.Review: drive(t, processing, wrong),
		heldOpen:       drive(t, fresh(link.LateHold), assessed(payment.Hold), answer(payment.Sync, issuer.Approved, false)),
		heldLate:       drive(t, fresh(link.LateHold), assessed(payment.Hold), lateAuthorised),
		blockedOnce:    drive(t, fresh(link.LateHold), assessed(payment.Block)),
		disputedPart:   drive(t, succeeded, disputed("dsp_8", "", 400)),
		disputedAll:    drive(t, succeeded, disputed("dsp_8", "", 0)),
		disputedLost:   drive(t, succeeded, disputed("dsp_8", payment.DisputeLost, 0)),
		disputedWon:    drive(t, succeeded, disputed("dsp_8", payment.DisputeWon, 0)),
		disputedTwo:    drive(t, part, disputed("dsp_8", "", 200), disputed("dsp_9", payment.DisputeLost, 300)),
		refunding4:     one,
		refunding46:    drive(t, one, payment.Input{Kind: payment.RefundAsked, Refund: "rfd_2", Amount: eur(600)}),
		capturing4:     drive(t, authorized, payment.Input{Kind: payment.CaptureAsked, Owner: "w1", Amount: eur(400)}),
		reviewed4:      drive(t, one, wrongRefund),
		retried:        drive(t, notSent, begin),
		sent:           drive(t, fresh(link.LateHold), assessed(payment.Allow), answer(payment.Sync, issuer.Approved, true)),
	}
}

var order = []payment.Status{payment.None, payment.Created, payment.Processing, payment.RequiresAction, payment.Unknown, payment.Authorized,
	payment.Capturing, payment.Voiding, payment.Succeeded, payment.PartiallyRefunded, payment.Refunded, payment.Declined, payment.Canceled,
	payment.Late, payment.Review}

func everyInput() []payment.Input {
	var list []payment.Input
	for _, o := range []issuer.Outcome{issuer.Approved, issuer.Declined, issuer.ActionRequired, issuer.NotSent, issuer.Ambiguous,
		issuer.Reversed, issuer.NotFound, issuer.Pending} {
		for _, k := range []payment.Kind{payment.Sync, payment.Inquired, payment.Noticed, payment.CaptureAnswer, payment.VoidAnswer,
			payment.RefundAnswer} {
			list = append(list, answer(k, o, true))
		}
	}
	list = append(list, contradictions()...)
	for _, k := range []payment.Kind{payment.Claim, payment.Lost} { // while a lease runs
		for _, owner := range []string{"w1", "w2"} {
			list = append(list, payment.Input{Kind: k, Actor: "sweep", Owner: owner, At: start.Add(payment.Lease - time.Second)})
		}
	}
	for _, k := range []payment.Kind{payment.Begin, payment.Lost, payment.Claim, payment.Abandon, payment.CaptureAsked,
		payment.VoidAsked, payment.RefundAsked} {
		list = append(list, payment.Input{Kind: k, Actor: "merchant", Owner: "w2", Refund: "rfd_9", At: ends.Add(payment.HoldLife)})
	}
	for _, minor := range []int64{400, 1000, 1001, -1} {
		list = append(list, payment.Input{Kind: payment.CaptureAsked, Actor: "merchant", Owner: "w2", Amount: eur(minor)})
	}
	for _, v := range []string{payment.ReviewApproved, payment.ReviewDeclined, payment.ReviewRefunded} {
		list = append(list, verdict(v))
	}
	list = append(list, marking(payment.LabelFraud), marking(""))
	list = append(list, refunding(0, true), refunding(600, false), refunding(600, true), refunding(100, false),
		refunding(100, false, 600), refunding(100, false, 1000))
	for _, s := range []string{payment.DisputeNeedsResponse, payment.DisputeLost} {
		list = append(list, disputing(s))
	}
	return append(list, assessed(payment.Block), assessed(payment.Hold))
}

// olderTry is the reference of the try before the payment's own.
const olderTry = "older"

// contradictions returns approvals of another amount or in another currency than requested,
// approvals of the 4.00 that the special payments ask about, and a notice about a try that was
// abandoned.
func contradictions() (list []payment.Input) {
	for _, k := range []payment.Kind{payment.Sync, payment.Inquired, payment.Noticed, payment.CaptureAnswer, payment.RefundAnswer} {
		for _, a := range []money.Amount{money.Of(1001, "EUR"), money.Of(1000, "JPY"), money.Of(400, "EUR"), money.Of(400, "JPY")} {
			in := answer(k, issuer.Approved, true)
			in.Answer.Amount = a
			list = append(list, in)
		}
	}
	for _, o := range []issuer.Outcome{issuer.Approved, issuer.Declined, issuer.Reversed} {
		in := answer(payment.Noticed, o, true)
		in.Reference = olderTry
		list = append(list, in)
	}
	return list
}

// named returns an input as the table writes it.
func named(in payment.Input) string {
	switch in.Kind {
	case payment.Claim, payment.Lost:
		if in.At.Before(start.Add(payment.Lease)) {
			return in.Kind.String() + " by " + in.Owner + ", lease runs"
		}
	case payment.Sync, payment.Inquired, payment.Noticed, payment.CaptureAnswer, payment.VoidAnswer, payment.RefundAnswer:
		name := in.Kind.String() + ": " + in.Answer.Outcome.String()
		if a := in.Answer.Amount; a != ten && a != (money.Amount{}) {
			name += " " + a.String()
		}
		if in.Reference != "" {
			name += ", older try"
		}
		return name
	case payment.CaptureAsked:
		if !in.Amount.Zero() {
			return in.Kind.String() + ": " + in.Amount.Decimal()
		}
	case payment.Reviewed:
		return in.Kind.String() + ": " + in.Verdict
	case payment.RefundAsked:
		name := in.Kind.String()
		if !in.Amount.Zero() {
			name += ": " + in.Amount.Decimal()
		}
		if in.Refundable != nil {
			name += ", seen " + in.Refundable.Decimal()
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

// TestTransitionTable writes the machine as a table to read: every status with every input. A
// cell is "." when nothing is committed, or the code of the refusal. Otherwise it is the path
// through the log, or "=" when the log does not grow; what becomes of the link's use; in
// brackets the transfers; and after the bar the amounts (authorized, captured, refunded), the
// lease and the due time, both from the input's own time on, and the refunds that are not
// decided.
func TestTransitionTable(t *testing.T) {
	var out bytes.Buffer
	states := inStatus(t)
	for _, from := range append(append(order[:len(order):len(order)], lateHeld), specials...) {
		p := states[from]
		if status, _, _ := strings.Cut(string(from), ","); p.Status != payment.Status(status) {
			t.Fatalf("the payment built for %q is %q", from, p.Status)
		}
		for _, in := range everyInput() {
			fmt.Fprintf(&out, "%-27s %-38s %s\n", cmp.Or(string(from), "-"), named(in), cell(t, p, in))
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
		t.Fatalf("the transition table differs from %s; read it, and rewrite it with -update\n%s", file, difference(want, out.Bytes()))
	}
}

func cell(t *testing.T, p payment.Payment, in payment.Input) string {
	if in.Reference == olderTry {
		in.Reference = p.ID + "-" + strconv.Itoa(p.Try-1)
	}
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
	path := []string{"="}
	var moves []string
	for i, e := range c.Entries {
		step := string(e.To)
		if strings.HasPrefix(e.Event, "fraud.") || strings.HasPrefix(e.Event, "dispute.") {
			step += " (" + e.Event + ")"
		}
		path = append(path[:i], step)
		for _, t := range e.Transfers {
			moves = append(moves, moved(t))
		}
	}
	out := strings.Join(path, " -> ") + map[payment.UseOp]string{payment.UseReserve: " +use", payment.UseComplete: " use done",
		payment.UseRelease: " -use", payment.UseRetake: " use retaken"}[c.Use]
	if len(moves) > 0 {
		out += " [" + strings.Join(moves, ", ") + "]"
	}
	return out + " | " + standing(c.Payment, c.At)
}

// moved returns a transfer as the table writes it.
func moved(t ledger.Transfer) string {
	s := string(t.Kind) + " " + money.Of(t.Minor(), t.Currency).String()
	if t.Phase != ledger.Posted {
		s = string(t.Phase) + " " + s
	}
	if t.Resolves != "" {
		s += " of " + money.Of(t.Held, t.Currency).Decimal()
	}
	return s
}

// standing returns what the table writes of a payment after a step.
func standing(p payment.Payment, at time.Time) string {
	decimal := func(minor int64) string { return money.Of(minor, p.Amount.Currency).Decimal() }
	s := "a" + decimal(p.AuthorizedMinor) + " c" + decimal(p.CapturedMinor) + " r" + decimal(p.RefundedMinor)
	if p.UseReserved {
		s += " reserved"
	}
	if p.Capturing != 0 {
		s += " capturing " + decimal(p.Capturing)
	}
	after := func(t time.Time) string {
		return strings.NewReplacer("h0m0s", "h", "m0s", "m").Replace(t.Sub(at).String())
	}
	if w := p.Work; w.Owner != "" || !w.Until.IsZero() {
		s += " lease " + w.Owner + "+" + after(w.Until)
	}
	if !p.DueAt().IsZero() {
		s += " due+" + after(p.DueAt())
	}
	for _, r := range p.Refunds {
		if r.Status == payment.RefundPending {
			s += " " + strings.TrimSpace(r.ID+" "+r.Code) + " " + decimal(r.Minor)
		}
	}
	return s
}

// difference lists the lines that only one of the two tables has.
func difference(want, got []byte) string {
	var out strings.Builder
	for _, side := range []struct {
		sign      string
		lines, of []byte
	}{{"- ", want, got}, {"+ ", got, want}} {
		for line := range strings.Lines(string(side.lines)) {
			if !bytes.Contains(side.of, []byte(line)) {
				out.WriteString(side.sign + line)
			}
		}
	}
	return out.String()
}
