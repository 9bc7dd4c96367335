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

// proofAnswer is the JSON of a verdict about a receipt. All but Ours is absent if it is not
// ours.
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

// receiptsOf finds receipts in a pasted text: a receipt itself, or the address of this page
// with one, in each spelling that may be meant. The host of the address does not matter,
// because the signature decides whose receipt it is.
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

// statement returns the content of the first genuine receipt, or the error of the last one
// that was tried.
func (p *Pages) statement(tokens []string) (s receipt.Statement, err error) {
	err = fault.NotFound("receipt")
	for _, token := range tokens {
		if s, err = receipt.Verify(p.receipts, token); err == nil {
			return s, nil
		}
	}
	return receipt.Statement{}, err
}

// proof answers whether a receipt is ours and unaltered, and what it says, as JSON or as a
// page. It reads no store: the receipt contains everything as it was when it was made.
func (p *Pages) proof(w http.ResponseWriter, r *http.Request, tokens []string, machine bool) {
	s, err := p.statement(tokens)
	if machine {
		a := proofAnswer{Ours: err == nil}
		if err == nil {
			a = proofAnswer{Ours: true, KeyID: s.KeyID, Payment: s.Payment, Link: s.Link, Form: s.Form, Payee: s.Payee, Status: s.Status,
				Currency: string(s.Amount.Currency), Amount: s.Amount.Decimal(),
				CapturedAmount: s.Captured.Decimal(), RefundedAmount: s.Refunded.Decimal(),
				Reference: s.Reference, Card: s.Card, Mode: s.Mode, CreatedAt: link.FormatTime(s.CreatedAt), StatedAt: link.FormatTime(s.At)}
		}
		p.json(w, r, a)
		return
	}

	say := printer(r)
	// Bad until the receipt has proved to be genuine.
	view := verifyView{
		page:    page{Base: p.base},
		Asked:   true,
		Tone:    "bad",
		Verdict: say.T("mail.proof.bad"),
		Lead:    say.T("mail.proof.bad.lead"),
	}
	if err == nil {
		view.Tone, view.Verdict, view.Lead = "good", say.T("mail.proof.good"), say.T("mail.proof.good.lead")
		view.Test, view.Rows = s.Mode == link.Test, proofRows(r, s)
	}
	view.Title = view.Verdict
	p.html(w, r, http.StatusOK, verifyPage(view))
}

// proofRows returns the lines of a genuine receipt. Lines without content are left out.
func proofRows(r *http.Request, s receipt.Statement) []row {
	say := printer(r)
	// Of a paid payment, what was captured, which may be less than what was authorized.
	amount := s.Amount
	if s.Paid() {
		amount = s.Captured
	}

	all := []row{
		{Label: say.T("mail.row.status"), Text: stateName(say, s.Status), Ours: true},
		{Label: say.T("mail.row.amount"), Text: say.Amount(amount), Ours: true},
	}
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

// stateName returns the status of a payment in words for a person. Any status without an
// own word counts as open.
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

// cardWords returns a statement's card ("visa 4242") in words.
func cardWords(say *i18n.Printer, card string) string {
	brand, last4, ok := strings.Cut(card, " ")
	if !ok {
		return card
	}
	return say.T("pay.card.ending", "Brand", brandName(say, brand), "Last4", last4)
}
