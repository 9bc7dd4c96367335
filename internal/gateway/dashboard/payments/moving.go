package payments

import (
	"context"
	"net/http"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/gateway/dashboard/slip"
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
	fieldDisputed  = "disputed"  // disputedToo: the page said that the money is disputed

	disputedToo = "refund"
)

// saidSum is what a page carries that has said the sum.
func saidSum(a money.Amount) []parts.Hidden {
	return []parts.Hidden{{Name: "amount", Value: a.Decimal()}, {Name: fieldConfirmed, Value: a.Decimal()}}
}

// confirmed is the sum that the reader has read and confirmed: what is typed, and no other.
func (v *visit) confirmed() (amount string, ok bool) {
	amount = v.PostForm.Get(fieldConfirmed)
	return amount, amount != "" && amount == v.PostForm.Get("amount")
}

// typedSum reads the sum of a form. Empty is no sum: it must not stand for the whole.
func (v *visit) typedSum(most money.Amount) (money.Amount, parts.Problems) {
	plain, sent := v.confirmed() // by our own page: not to be read as people write
	if !sent {
		var err error
		if plain, err = frame.TypedAmount("amount", v.PostForm.Get("amount"), most.Currency); err != nil {
			return most, v.Problems(err)
		}
	}
	if plain == "" {
		return most, parts.Problems{{Field: "amount", Text: v.Print.T("payments.fault.sum")}}
	}
	a, err := money.Parse(plain, most.Currency)
	switch {
	case err != nil:
		err = fault.Invalid(
			"amount",
			"amount_invalid",
			"The amount must be a decimal number with at most %d decimals for %s.",
			most.Currency.Exponent(),
			most.Currency,
		)
	case a.Minor == 0:
		err = fault.Invalid("amount", "amount_too_small", "The amount must be greater than zero.")
	case a.Minor > most.Minor:
		err = fault.Invalid("amount", "amount_too_large", "The amount must be at most %s.", most)
	default:
		return a, nil
	}
	return most, v.Problems(err)
}

// sayAgain is the page that says the sum before it moves.
func (v *visit) sayAgain(p payment.Payment, verb string, sum money.Amount) parts.Asking {
	a := slip.NewAsking(v.Visit, p, verb)
	if sent := v.PostForm.Get("attempt"); frame.AttemptOK(sent) {
		a.Attempt = sent
	}
	a.Hidden, a.Back.Href = saidSum(sum), v.Path("payments", p.ID, verb)
	return a
}

// refund asks for the sum, says it again, and gives it back. The refund's id follows
// from payment and attempt, so a form that is sent twice is one refund, whatever
// crashed in between.
func (d *Pages) refund(v *visit) error {
	form, err := v.Posted()
	if err != nil {
		return err
	}
	amount, ok := v.confirmed()
	if !ok || form.Get(slip.FieldSeen) == "" {
		return v.confirmRefund(nil)
	}
	var r payment.Refund
	replayed, err := v.Once(d.Records, shapeRefund, func(t *idempotency.Ticket) (err error) {
		_, r, err = d.Transactions.Refund(v.Context(), v.Account.ID, v.Mode, v.PathValue("id"), payment.RefundInput{Amount: amount,
			Refundable: form.Get(slip.FieldSeen), AllowDisputed: form.Get(fieldDisputed) == disputedToo, By: v.User.ID}, t)
		return err
	})
	switch code := fault.Code(err); {
	case code == "refundable_amount_changed" || code == "payment_disputed":
		return v.confirmRefund(v.Problems(err))
	case err != nil:
		return v.d.Desk.AskAgain(v.Visit, refundAsking, err)
	}
	tone, words := "good", v.Print.T("payments.said.refunded")
	switch {
	case replayed != nil:
	case r.Status == payment.RefundPending:
		tone, words = "wait", v.Print.T("payments.said.refunding")
	case r.Status == payment.RefundFailed:
		tone, words = "bad", v.Print.T("payments.said.refundFailed")
	}
	return v.Redirect(v.Path("payments", v.PathValue("id")), tone, words)
}

// confirmRefund says the sum of a refund again, with what is left after it. What has
// changed since the reader saw the form is said, and so is that the money is disputed:
// that is a confirmation of another kind.
func (v *visit) confirmRefund(wrong parts.Problems) error {
	p, err := v.d.Desk.Read(v.Visit)
	if err != nil {
		return err
	}
	left, free := p.Refundable(), p.Undisputed()
	sum, bad := v.typedSum(left)
	if bad != nil || p.CanRefund() != nil {
		return v.d.Desk.Ask(v.Visit, refundAsking, bad)
	}
	a := v.sayAgain(p, "refund", sum)
	a.Hidden = append(a.Hidden, parts.Hidden{Name: slip.FieldSeen, Value: free.Decimal()})
	if seen := v.PostForm.Get(slip.FieldSeen); seen != "" && seen != free.Decimal() {
		if before, err := money.Parse(seen, free.Currency); err == nil {
			wrong = parts.Problems{{Field: "amount", Text: v.Print.T("payments.changed", "Before", before, "Now", free)}}
		}
	}
	a.OK = parts.Button{Text: v.Print.T("payments.refundSay", "Amount", sum), Kind: "primary", Icon: "refund"}
	a.Head.Title, a.Lead = v.Print.T("payments.refundSure", "Amount", sum), v.Print.T("payments.refundLead")
	if sum.Minor > free.Minor {
		a.Hidden = append(a.Hidden, parts.Hidden{Name: fieldDisputed, Value: disputedToo})
		a.OK.Text, a.OK.Kind = v.Print.T("payments.disputedOK"), "danger"
		a.Head.Title = v.Print.T("payments.disputedSure", "Amount", sum, "Disputed", p.Disputed())
		a.Lead = v.Print.T("payments.disputedWhy")
		a.Notes = append(a.Notes, v.Print.T("payments.disputedMost", "Amount", free))
	}
	a.Notes = append(a.Notes, v.Print.T("payments.refundRest", "Amount", money.Of(left.Minor-sum.Minor, sum.Currency)))
	return v.say(a, wrong)
}

// say shows a page that says a sum. What was wrong belongs to the page before.
func (v *visit) say(a parts.Asking, wrong parts.Problems) error {
	status := http.StatusOK
	if len(wrong) > 0 {
		status = http.StatusUnprocessableEntity
		a.Problems = parts.Problems{{Text: wrong[0].Text}}
	}
	return v.Render(status, a.Head.Title, parts.AskingPage(a))
}

// capture asks for the sum, says it again, and takes it; or it accepts a late success,
// whose sum its first page says.
func (d *Pages) capture(v *visit) error {
	if _, err := v.Posted(); err != nil {
		return err
	}
	amount, ok := v.confirmed()
	if !ok {
		return v.confirmCapture()
	}
	return v.changePayment(captureAsking, func(ctx context.Context, id string, t *idempotency.Ticket) (payment.Payment, error) {
		return d.Transactions.Capture(ctx, v.Account.ID, v.Mode, id, amount, t)
	})
}

func (v *visit) confirmCapture() error {
	p, err := v.d.Desk.Read(v.Visit)
	if err != nil {
		return err
	}
	if p.CapturedMinor > 0 || p.CanCapture() != nil {
		return v.d.Desk.Ask(v.Visit, captureAsking, nil)
	}
	all := p.Authorized()
	sum, wrong := v.typedSum(all)
	if wrong != nil {
		return v.d.Desk.Ask(v.Visit, captureAsking, wrong)
	}
	a := v.sayAgain(p, "capture", sum)
	a.Head.Title, a.Lead = v.Print.T(
		"payments.captureSure",
		"Amount",
		sum,
	), v.Print.T(
		"payments.captureRest",
		"Amount",
		money.Of(all.Minor-sum.Minor, sum.Currency),
	)
	a.OK = parts.Button{Text: v.Print.T("payments.captureSay", "Amount", sum), Kind: "primary", Icon: "check"}
	return v.say(a, nil)
}

// void releases all of an authorization: its page says how much, and there is no
// other sum.
func (d *Pages) void(v *visit) error {
	return v.changePayment(voidAsking, func(ctx context.Context, id string, t *idempotency.Ticket) (payment.Payment, error) {
		return d.Transactions.Void(ctx, v.Account.ID, v.Mode, id, t)
	})
}

func (v *visit) changePayment(
	make slip.Asker,
	change func(ctx context.Context, id string, t *idempotency.Ticket) (payment.Payment, error),
) error {
	if _, err := v.Posted(); err != nil {
		return err
	}
	id := v.PathValue("id")
	var p payment.Payment
	replayed, err := v.Once(v.d.Records, slip.Shape, func(t *idempotency.Ticket) (err error) {
		p, err = change(v.Context(), id, t)
		return err
	})
	if err != nil {
		return v.d.Desk.AskAgain(v.Visit, make, err)
	}
	tone, words := "good", v.Print.T("payments.said.done")
	if replayed == nil && (p.Status == payment.Capturing || p.Status == payment.Voiding) {
		tone, words = "wait", v.Print.T("payments.said.underway")
	}
	return v.Redirect(v.Path("payments", id), tone, words)
}
