package pages

import (
	"crypto/rand"
	"encoding/base64"
	"net/http"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// newAttempt returns the id of one submission of one form. Whatever is sent again under
// it (a double click, a reload, the back button) is the same payment.
func newAttempt() string {
	var b [18]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// pay shows the form of an open link, or the state of any other link. It changes
// nothing: a scanner that opens the link leaves no trace.
func (p *Pages) pay(w http.ResponseWriter, r *http.Request) {
	if bare, ok := meant(r.PathValue("token"), p.ourLink(r)); ok {
		p.goTo(w, r, p.payPath(bare))
		return
	}

	l, ok := p.open(w, r, true)
	if !ok {
		return
	}

	now := p.now()
	if l.Status(now) == link.Open {
		p.html(w, r, http.StatusOK, payPage(p.payView(r, l, newAttempt())))
		return
	}

	p.truth(w, r, l, 0)
}

// truth answers with the reason why an opened link cannot be paid; status 0 picks the
// status of a GET. A person who opens the link sees its payment. A payer who was just
// refused does not, because the payment is another payer's.
func (p *Pages) truth(w http.ResponseWriter, r *http.Request, l link.Link, status int) {
	var found *payment.Payment
	// Only on a link that is paid once is the latest payment the reader's own.
	if l.MaxUses == 1 && status != http.StatusConflict {
		pay, ok, err := p.payments.Latest(r.Context(), l)
		if err != nil {
			p.failPage(w, r, err)
			return
		}
		if ok {
			found = &pay
		}
	}

	state := l.Status(p.now())
	if status == 0 {
		status = http.StatusOK
		if state == link.Expired || state == link.Canceled {
			status = http.StatusGone
		}
	}

	p.html(w, r, status, statusPage(p.linkView(r, l, state, found)))
}

// payView returns the payment form of an open link under an attempt id. What the payer
// typed into the merchant's form before is filled in.
func (p *Pages) payView(r *http.Request, l link.Link, attempt string) payView {
	say := printer(r)
	v := payView{
		page:  p.page(say.T("pay.title", "Payee", l.Payee), l),
		Payee: l.Payee, Description: l.Description,
		Attempt: attempt,
		Action:  p.payPath(l.Token) + "/payments", Verify: p.verifyPath(l),
		Currency: string(l.Amount.Currency), Choose: l.PayerChooses(),
		Values: map[string]string{},
	}

	if v.Choose {
		v.AmountHint = amountHint(r, l)
		v.AmountMode = "decimal"
		if l.Amount.Currency.Exponent() == 0 {
			v.AmountMode = "numeric"
		}
	} else {
		v.Amount = words(r, l.Amount)
		v.Title = say.T("pay.title.amount", "Amount", v.Amount, "Payee", l.Payee)
	}

	if l.Reference != "" {
		v.Rows = append(v.Rows, row{Label: say.T("pay.row.reference"), Text: l.Reference})
	}
	v.Rows = append(v.Rows, row{Label: say.T("pay.row.by"), At: stampOf(r, l.ExpiresAt)})

	v.Form = true
	if l.Shown != nil { // already typed into the form
		v.Values["name"], v.Values["email"] = l.Shown.Name, l.Shown.Email
	}

	return v
}

// amountHint says between which bounds the payer chooses the amount.
func amountHint(r *http.Request, l link.Link) string {
	low, high := l.MinMinor, l.MaxMinor
	c, say := l.Amount.Currency, printer(r)
	switch {
	case low > 0 && high > 0:
		return say.T("pay.amount.between", "Low", money.Of(low, c), "High", money.Of(high, c))
	case low > 0:
		return say.T("pay.amount.least", "Low", money.Of(low, c))
	case high > 0:
		return say.T("pay.amount.most", "High", money.Of(high, c))
	}
	return say.T("pay.amount.free")
}
