package slip

import (
	"net/http"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Shape is the shape of a recorded response, as the API names it.
const Shape = "payment"

// FieldSeen is the field of a form that carries what could be refunded when its page was
// made.
const FieldSeen = "seen"

// Desk asks before something is done with a payment.
type Desk struct {
	Payments     payment.Reader
	Transactions coordinator.Service
}

// Asker returns the page that asks, and reports whether the operation is possible for the
// payment.
type Asker func(*frame.Visit, payment.Payment) (parts.Asking, bool)

// Read returns the payment in the address, of this account and mode. As in the API,
// reading a stuck payment starts an inquiry to the issuer.
func (d Desk) Read(v *frame.Visit) (payment.Payment, error) {
	p, err := d.Payments.GetPayment(v.Context(), v.Account.ID, v.PathValue("id"))
	if err != nil {
		return p, err
	}
	if p.Mode != v.Mode {
		return p, fault.NotFound("payment")
	}
	return d.Transactions.Repair(v.Context(), p), nil
}

// NewAsking returns a page that asks before verb, the last part of the path, is done with
// p. It has a new attempt id.
func NewAsking(v *frame.Visit, p payment.Payment, verb string) parts.Asking {
	a := parts.Asking{
		Action:  v.Path("payments", p.ID, verb),
		Attempt: frame.NewAttempt(),
		Back:    parts.Button{Text: v.Print.T("payments.back"), Href: v.Path("payments", p.ID)},
		Head:    parts.Head{Back: parts.Button{Text: v.Print.T("payments.one", "Amount", p.Amount), Href: v.Path("payments", p.ID)}},
	}
	return a
}

// AmountField returns a field for an amount in the payment's currency, at most all.
func AmountField(v *frame.Visit, label string, all money.Amount) parts.Field {
	f := parts.Field{ID: "amount", Label: label + " (" + string(all.Currency) + ")", Value: v.Print.Typed(all), InputMode: "decimal", Max: 40,
		Hint: v.Print.T("payments.atMost", "Amount", all), Attrs: parts.Attr("autocomplete", "off")}
	if all.Currency.Exponent() == 0 {
		f.InputMode = "numeric"
	}
	return f
}

// Ask shows the page that asks, after a refusal with what was wrong and what was typed. If
// the operation is not possible anymore, the reader is redirected to the payment.
func (d Desk) Ask(v *frame.Visit, make Asker, wrong parts.Problems) error {
	p, err := d.Read(v)
	if err != nil {
		return err
	}

	a, possible := make(v, p)
	if !possible {
		tone, words := "wait", v.Print.T("payments.notPossible")
		if len(wrong) > 0 {
			tone, words = "bad", wrong[0].Text
		}
		return v.Redirect(v.Path("payments", p.ID), tone, words)
	}

	status := http.StatusOK
	if len(wrong) > 0 {
		a.Problems, a.Amount.Error, status = wrong, wrong.Of("amount"), http.StatusUnprocessableEntity
		if v.PostForm.Has("amount") {
			a.Amount.Value = v.PostForm.Get("amount")
		}
	}

	return v.Render(status, a.Head.Title, parts.AskingPage(a))
}

// AskAgain shows the form with what is wrong. An error that the reader cannot fix is
// returned.
func (d Desk) AskAgain(v *frame.Visit, make Asker, err error) error {
	wrong := v.Problems(err)
	if wrong == nil {
		return err
	}
	return d.Ask(v, make, wrong)
}

// Amount reads the field amount of a form about a payment, in the payment's currency. It
// returns what frame.TypedAmount does.
func (d Desk) Amount(v *frame.Visit, paymentID, s string) (string, error) {
	p, err := d.Payments.GetPayment(v.Context(), v.Account.ID, paymentID)
	if err != nil {
		return "", err
	}
	return frame.TypedAmount("amount", s, p.Amount.Currency)
}
