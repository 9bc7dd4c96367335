package dashboard

import (
	"context"
	"net/http"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Money moves by hand in two steps. The first page asks for the sum; an empty one is
// refused. The second says the sum again, and carries it, with what the reader saw, to
// the change, which is made only while that is still so. The attempt of the first page
// goes through both, so that a form that is sent twice is one change.
const (
	fieldConfirmed = "confirmed" // the sum that the page said
	fieldSeen      = "seen"      // what could be refunded when the page was made
	fieldDisputed  = "disputed"  // disputedToo: the page said that the money is disputed

	disputedToo = "refund"
)

// saidSum is what a page carries that has said the sum.
func saidSum(a money.Amount) []hidden {
	return []hidden{{"amount", a.Decimal()}, {fieldConfirmed, a.Decimal()}}
}

// confirmed is the sum that the reader has read and confirmed: what is typed, and no other.
func (v *visit) confirmed() (amount string, ok bool) {
	amount = v.PostForm.Get(fieldConfirmed)
	return amount, amount != "" && amount == v.PostForm.Get("amount")
}

// typedSum reads the sum of a form. Empty is no sum: it must not stand for the whole.
func (v *visit) typedSum(most money.Amount) (money.Amount, problems) {
	plain, said := v.confirmed() // by our own page: not to be read as people write
	if !said {
		var err error
		if plain, err = typedAmount("amount", v.PostForm.Get("amount"), most.Currency); err != nil {
			return most, v.problems(err)
		}
	}
	if plain == "" {
		return most, problems{{Field: "amount", Text: v.print.T("payments.fault.sum")}}
	}
	a, err := money.Parse(plain, most.Currency)
	switch {
	case err != nil:
		err = fault.Invalid("amount", "amount_invalid", "The amount is a decimal number with at most %d decimals for %s.", most.Currency.Exponent(), most.Currency)
	case a.Minor == 0:
		err = fault.Invalid("amount", "amount_too_small", "The amount must be greater than zero.")
	case a.Minor > most.Minor:
		err = fault.Invalid("amount", "amount_too_large", "At most %s.", most)
	default:
		return a, nil
	}
	return most, v.problems(err)
}

// sayAgain is the page that says the sum before it moves.
func (v *visit) sayAgain(p payment.Payment, verb string, sum money.Amount) asking {
	a := v.asking(p, verb)
	if sent := v.PostForm.Get("attempt"); attemptOK(sent) {
		a.Attempt = sent
	}
	a.Hidden, a.Back.Href = saidSum(sum), v.path("payments", p.ID, verb)
	return a
}

// refund asks for the sum, says it again, and gives it back. The refund's id follows
// from payment and attempt, so a form that is sent twice is one refund, whatever
// crashed in between.
func (d *Dashboard) refund(v *visit) error {
	form, err := v.form()
	if err != nil {
		return err
	}
	amount, ok := v.confirmed()
	if !ok || form.Get(fieldSeen) == "" {
		return v.confirmRefund(nil)
	}
	var r payment.Refund
	replayed, err := v.once(d.Records.Transactions, shapeRefund, func(t *idempotency.Ticket) (err error) {
		_, r, err = d.Transactions.Refund(v.Context(), v.account.ID, v.mode, v.PathValue("id"), payment.RefundInput{Amount: amount,
			Refundable: form.Get(fieldSeen), AllowDisputed: form.Get(fieldDisputed) == disputedToo, By: v.user.ID}, t)
		return err
	})
	switch code := fault.Code(err); {
	case code == "refundable_amount_changed" || code == "payment_disputed":
		return v.confirmRefund(v.problems(err))
	case err != nil:
		return v.askAgain(refundAsking, err)
	}
	tone, words := "good", v.print.T("payments.said.refunded")
	switch {
	case replayed != nil:
	case r.Status == payment.RefundPending:
		tone, words = "wait", v.print.T("payments.said.refunding")
	case r.Status == payment.RefundFailed:
		tone, words = "bad", v.print.T("payments.said.refundFailed")
	}
	return v.redirect(v.path("payments", v.PathValue("id")), tone, words)
}

// confirmRefund says the sum of a refund again, with what is left after it. What has
// changed since the reader saw the form is said, and so is that the money is disputed:
// that is a confirmation of another kind.
func (v *visit) confirmRefund(wrong problems) error {
	p, err := v.readPayment()
	if err != nil {
		return err
	}
	left, free := money.Of(p.Refundable(), p.Amount.Currency), money.Of(p.Undisputed(), p.Amount.Currency)
	sum, bad := v.typedSum(left)
	if bad != nil || p.CanRefund() != nil {
		return v.askFor(refundAsking, bad)
	}
	a := v.sayAgain(p, "refund", sum)
	a.Hidden = append(a.Hidden, hidden{fieldSeen, free.Decimal()})
	if seen := v.PostForm.Get(fieldSeen); seen != "" && seen != free.Decimal() {
		if before, err := money.Parse(seen, free.Currency); err == nil {
			wrong = problems{{Field: "amount", Text: v.print.T("payments.changed", "Before", before, "Now", free)}}
		}
	}
	a.OK = button{Text: v.print.T("payments.refundSay", "Amount", sum), Kind: "primary", Icon: "refund"}
	a.Head.Title, a.Lead = v.print.T("payments.refundSure", "Amount", sum), v.print.T("payments.refundLead")
	if sum.Minor > free.Minor {
		a.Hidden = append(a.Hidden, hidden{fieldDisputed, disputedToo})
		a.OK.Text, a.OK.Kind = v.print.T("payments.disputedOK"), "danger"
		a.Head.Title = v.print.T("payments.disputedSure", "Amount", sum, "Disputed", money.Of(p.Disputed(), sum.Currency))
		a.Lead = v.print.T("payments.disputedWhy")
		a.Notes = append(a.Notes, v.print.T("payments.disputedMost", "Amount", free))
	}
	a.Notes = append(a.Notes, v.print.T("payments.refundRest", "Amount", money.Of(left.Minor-sum.Minor, sum.Currency)))
	return v.say(a, wrong)
}

// say shows a page that says a sum. What was wrong belongs to the page before.
func (v *visit) say(a asking, wrong problems) error {
	status := http.StatusOK
	if len(wrong) > 0 {
		status = http.StatusUnprocessableEntity
		a.Problems = problems{{Text: wrong[0].Text}}
	}
	return v.render(status, a.Head.Title, askingPage(a))
}

// askAgain shows the form with what is wrong; what the reader cannot correct is returned.
func (v *visit) askAgain(make func(*visit, payment.Payment) (asking, bool), err error) error {
	wrong := v.problems(err)
	if wrong == nil {
		return err
	}
	return v.askFor(make, wrong)
}

// capture asks for the sum, says it again, and takes it; or it accepts a late success,
// whose sum its first page says.
func (d *Dashboard) capture(v *visit) error {
	if _, err := v.form(); err != nil {
		return err
	}
	amount, ok := v.confirmed()
	if !ok {
		return v.confirmCapture()
	}
	return v.changePayment(captureAsking, func(ctx context.Context, id string, t *idempotency.Ticket) (payment.Payment, error) {
		return d.Transactions.Capture(ctx, v.account.ID, v.mode, id, amount, t)
	})
}

func (v *visit) confirmCapture() error {
	p, err := v.readPayment()
	if err != nil {
		return err
	}
	if p.CapturedMinor > 0 || p.CanCapture() != nil {
		return v.askFor(captureAsking, nil)
	}
	all := money.Of(p.AuthorizedMinor, p.Amount.Currency)
	sum, wrong := v.typedSum(all)
	if wrong != nil {
		return v.askFor(captureAsking, wrong)
	}
	a := v.sayAgain(p, "capture", sum)
	a.Head.Title, a.Lead = v.print.T("payments.captureSure", "Amount", sum), v.print.T("payments.captureRest", "Amount", money.Of(all.Minor-sum.Minor, sum.Currency))
	a.OK = button{Text: v.print.T("payments.captureSay", "Amount", sum), Kind: "primary", Icon: "check"}
	return v.say(a, nil)
}

// void gives all of an authorisation back: its page says how much, and there is no
// other sum.
func (d *Dashboard) void(v *visit) error {
	return v.changePayment(voidAsking, func(ctx context.Context, id string, t *idempotency.Ticket) (payment.Payment, error) {
		return d.Transactions.Void(ctx, v.account.ID, v.mode, id, t)
	})
}

func (v *visit) changePayment(make func(*visit, payment.Payment) (asking, bool), change func(ctx context.Context, id string, t *idempotency.Ticket) (payment.Payment, error)) error {
	if _, err := v.form(); err != nil {
		return err
	}
	id := v.PathValue("id")
	var p payment.Payment
	replayed, err := v.once(v.d.Records.Transactions, shapePayment, func(t *idempotency.Ticket) (err error) {
		p, err = change(v.Context(), id, t)
		return err
	})
	if err != nil {
		return v.askAgain(make, err)
	}
	tone, words := "good", v.print.T("payments.said.done")
	if replayed == nil && (p.Status == payment.Capturing || p.Status == payment.Voiding) {
		tone, words = "wait", v.print.T("payments.said.underway")
	}
	return v.redirect(v.path("payments", id), tone, words)
}

// sumStands refuses a verdict that refunds when what its page said is no longer so. The
// verdict gives back what is left, so a change between this look and the commit is
// bounded by what nobody else has refunded.
func (v *visit) sumStands(id, verdict string) error {
	if verdict != payment.ReviewRefunded {
		return nil
	}
	p, err := v.d.Payments.GetPayment(v.Context(), v.account.ID, id)
	if err != nil || p.Mode != v.mode {
		return err // Review says so itself
	}
	now := money.Of(p.Undisputed(), p.Amount.Currency)
	if p.CapturedMinor > 0 && p.Risk.Review != payment.ReviewRefunded && v.PostForm.Get(fieldSeen) != now.Decimal() {
		return fault.New(fault.KindConflict, "refundable_amount_changed", "%s of this payment can be refunded now. Read the payment, and decide again.", now)
	}
	return nil
}
