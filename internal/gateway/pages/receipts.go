package pages

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/receipt"
)

// proofAnswer is the JSON of a verdict about a receipt.
type proofAnswer struct {
	Ours           bool   `json:"ours"`
	KeyID          string `json:"keyId,omitempty"`
	Payment        string `json:"payment,omitempty"`
	Link           string `json:"link,omitempty"`
	Form           string `json:"form,omitempty"`
	Payee          string `json:"payee,omitempty"`
	Status         string `json:"status,omitempty"`
	Currency       string `json:"currency,omitempty"`
	Amount         string `json:"amount,omitempty"`
	CapturedAmount string `json:"capturedAmount,omitempty"`
	RefundedAmount string `json:"refundedAmount,omitempty"`
	Reference      string `json:"reference,omitempty"`
	Card           string `json:"card,omitempty"`
	Mode           string `json:"mode,omitempty"`
	CreatedAt      string `json:"createdAt,omitempty"`
	StatedAt       string `json:"statedAt,omitempty"`
}

// receiptsOf takes a receipt out of what was pasted: the receipt itself, or the
// address of this page with it, in each spelling that may be meant. Whose address does
// not matter: the signature says whose receipt it is.
func receiptsOf(pasted string) (tokens []string) {
	for _, each := range link.Pasted(pasted) {
		if receipt.Looks(each) {
			tokens = append(tokens, each)
		} else if u, err := url.Parse(each); err == nil && strings.HasSuffix(u.Path, "/verify") && u.Query().Get("receipt") != "" {
			tokens = append(tokens, strings.TrimSpace(u.Query().Get("receipt")))
		}
	}
	return tokens
}

// statement is what the first genuine receipt says; an error if there is none.
func (p *Pages) statement(tokens []string) (s receipt.Statement, err error) {
	err = fault.NotFound("receipt")
	for _, token := range tokens {
		if s, err = receipt.Verify(p.receipts, token); err == nil {
			return s, nil
		}
	}
	return receipt.Statement{}, err
}

// proof tells whether a receipt is ours and unaltered, and what it says. It reads no
// store: what was so when it was made is all in it.
func (p *Pages) proof(w http.ResponseWriter, r *http.Request, tokens []string, machine bool) {
	s, err := p.statement(tokens)
	if machine {
		a := proofAnswer{Ours: err == nil}
		if err == nil {
			a = proofAnswer{Ours: true, KeyID: s.KeyID, Payment: s.Payment, Link: s.Link, Form: s.Form, Payee: s.Payee, Status: s.Status,
				Currency: string(s.Amount.Currency), Amount: s.Amount.Decimal(), CapturedAmount: s.Captured.Decimal(), RefundedAmount: s.Refunded.Decimal(),
				Reference: s.Reference, Card: s.Card, Mode: s.Mode, CreatedAt: link.FormatTime(s.CreatedAt), StatedAt: link.FormatTime(s.At)}
		}
		p.json(w, r, a)
		return
	}
	say := printer(r)
	view := verifyView{page: page{Base: p.base}, Asked: true, Tone: "bad", Verdict: say.T("mail.proof.bad"), Lead: say.T("mail.proof.bad.lead")}
	if err == nil {
		view.Tone, view.Verdict, view.Lead = "good", say.T("mail.proof.good"), say.T("mail.proof.good.lead")
		view.Test, view.Rows = s.Mode == link.Test, proofRows(r, s)
	}
	view.Title = view.Verdict
	p.html(w, r, http.StatusOK, verifyPage(view))
}

func proofRows(r *http.Request, s receipt.Statement) []row {
	say := printer(r)
	amount := s.Amount
	if s.Paid() {
		amount = s.Captured
	}
	all := []row{{Label: say.T("mail.row.status"), Text: stateName(say, s.Status), Ours: true}, {Label: say.T("mail.row.amount"), Text: say.Amount(amount), Ours: true}}
	if s.Refunded.Minor > 0 {
		all = append(all, row{Label: say.T("mail.row.refunded"), Text: say.Amount(s.Refunded), Ours: true})
	}
	for _, each := range []row{{Label: say.T("mail.row.payee"), Text: s.Payee}, {Label: say.T("mail.row.reference"), Text: s.Reference},
		{Label: say.T("mail.row.card"), Text: cardWords(say, s.Card)}, {Label: say.T("mail.row.date"), At: stampOf(r, s.CreatedAt)},
		{Label: say.T("mail.row.stated"), At: stampOf(r, s.At)}, {Label: say.T("mail.row.payment"), Text: s.Payment, Code: true},
		{Label: say.T("mail.row.link"), Text: s.Link, Code: true}, {Label: say.T("pay.row.key"), Text: s.KeyID, Code: true}} {
		if each.Text != "" || each.At != (stamp{}) {
			all = append(all, each)
		}
	}
	return all
}

// stateName is what a person calls the status of a payment.
func stateName(say *i18n.Printer, status string) string {
	switch status {
	case "succeeded":
		return say.T("mail.state.paid")
	case "authorized":
		return say.T("mail.state.authorized")
	case "partially_refunded":
		return say.T("mail.state.part")
	case "refunded":
		return say.T("mail.state.refunded")
	case "declined":
		return say.T("mail.state.declined")
	case "canceled":
		return say.T("mail.state.canceled")
	}
	return say.T("mail.state.open")
}

// cardWords puts a statement's card ("visa 4242") into words.
func cardWords(say *i18n.Printer, card string) string {
	brand, last4, ok := strings.Cut(card, " ")
	if !ok {
		return card
	}
	return say.T("pay.card.ending", "Brand", brandName(say, brand), "Last4", last4)
}
