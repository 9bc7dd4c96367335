package dashboard

import (
	"net/http"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// shapePayment is that of a recorded answer, as gateway/api has it.
const shapePayment = "payment"

// fieldSeen is the field of a form that carries what could be refunded when its page was
// made.
const fieldSeen = "seen"

// desk asks before something is done with a payment.
type desk struct {
	Payments     payment.Reader
	Transactions coordinator.Service
}

// asker makes the page that asks, and reports whether the payment can be handled so.
type asker func(*visit, payment.Payment) (asking, bool)

// read reads the payment of the address, of this account and mode. Whoever
// looks at a stuck one sees to it that somebody asks the issuer, as in the API.
func (d desk) read(v *visit) (payment.Payment, error) {
	p, err := d.Payments.GetPayment(v.Context(), v.account.ID, v.PathValue("id"))
	if err != nil {
		return p, err
	}
	if p.Mode != v.mode {
		return p, fault.NotFound("payment")
	}
	return d.Transactions.Repair(v.Context(), p), nil
}

func newAsking(v *visit, p payment.Payment, verb string) asking {
	a := asking{Action: v.path("payments", p.ID, verb), Attempt: newAttempt(), Back: button{Text: v.print.T("payments.back"), Href: v.path("payments", p.ID)},
		Head: head{Back: button{Text: v.print.T("payments.one", "Amount", p.Amount), Href: v.path("payments", p.ID)}}}
	return a
}

// amountField is a sum in the payment's currency, at most all of it.
func amountField(v *visit, label string, all money.Amount) field {
	f := field{ID: "amount", Label: label + " (" + string(all.Currency) + ")", Value: v.print.Typed(all), InputMode: "decimal", Max: 40,
		Hint: v.print.T("payments.atMost", "Amount", all), Attrs: attr("autocomplete", "off")}
	if all.Currency.Exponent() == 0 {
		f.InputMode = "numeric"
	}
	return f
}

// ask shows the page that asks; again, with what was wrong, after a refusal. A
// payment that cannot be handled so (any more) is shown as it is.
func (d desk) ask(v *visit, make asker, wrong problems) error {
	p, err := d.read(v)
	if err != nil {
		return err
	}
	a, possible := make(v, p)
	if !possible {
		tone, words := "wait", v.print.T("payments.notPossible")
		if len(wrong) > 0 {
			tone, words = "bad", wrong[0].Text
		}
		return v.redirect(v.path("payments", p.ID), tone, words)
	}
	status := http.StatusOK
	if len(wrong) > 0 {
		a.Problems, a.Amount.Error, status = wrong, wrong.of("amount"), http.StatusUnprocessableEntity
		if v.PostForm.Has("amount") {
			a.Amount.Value = v.PostForm.Get("amount")
		}
	}
	return v.render(status, a.Head.Title, askingPage(a))
}

// askAgain shows the form with what is wrong; what the reader cannot correct is returned.
func (d desk) askAgain(v *visit, make asker, err error) error {
	wrong := v.problems(err)
	if wrong == nil {
		return err
	}
	return d.ask(v, make, wrong)
}

// amountFor is typedAmount for the field amount of a form about a payment.
func (d desk) amountFor(v *visit, paymentID, s string) (string, error) {
	p, err := d.Payments.GetPayment(v.Context(), v.account.ID, paymentID)
	if err != nil {
		return "", err
	}
	return typedAmount("amount", s, p.Amount.Currency)
}
