package pages

import (
	"net/http"
	"net/url"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// final reports whether a payer has nothing more to wait for. A merchant may
// still refund, capture or decide; the page tells that when it is opened again.
func final(pay payment.Payment) bool {
	switch pay.Status {
	case payment.Succeeded, payment.PartiallyRefunded, payment.Refunded, payment.Declined,
		payment.CanceledS, payment.Late, payment.Review:
		return true
	case payment.Authorized:
		return pay.Capture == link.CaptureManual
	}
	return false
}

// declineWords puts an issuer's code into words for the payer. A lost or stolen
// card is told to the merchant, never to who holds it.
func declineWords(code string) string {
	switch code {
	case issuer.CodeInsufficientFunds:
		return "The card does not have enough funds for this payment. Nothing was charged."
	case issuer.CodeExpired:
		return "Your bank says that the card has expired. Nothing was charged."
	case issuer.CodeIncorrectCVC:
		return "The security code does not match the card. Nothing was charged."
	case issuer.CodeProcessing:
		return "Your bank could not process the payment just now. Nothing was charged."
	case issuer.CodeAuthentication:
		return "Your bank could not confirm that it was you. Nothing was charged."
	}
	return "Your bank declined the card. Nothing was charged."
}

// declineNext is what the payer can do about it.
func declineNext(code string) string {
	switch code {
	case issuer.CodeIncorrectCVC:
		return "Check the 3 or 4 digits on the card and try again, or use another card."
	case issuer.CodeProcessing:
		return "Try again in a few minutes, or use another card."
	case issuer.CodeInsufficientFunds, issuer.CodeExpired:
		return "Try again with another card."
	}
	return "Try another card, or ask your bank for the reason."
}

// paymentWords are headline, lead and next step of a payment's page.
func paymentWords(v *statusView, pay payment.Payment, payee string) {
	switch pay.Status.Public() {
	case payment.Succeeded:
		v.Tone, v.Headline = "good", "Payment received"
		v.Lead = "Thank you. " + payee + " has been paid."
		v.Next = "You have nothing more to do. Keep the payment ID for your records."
	case payment.PartiallyRefunded:
		v.Tone, v.Headline = "good", "Paid, and refunded in part"
		v.Lead = payee + " has sent part of the money back to your card."
		v.Next = "A refund reaches your account within a few days, depending on your bank."
	case payment.Refunded:
		v.Tone, v.Headline = "quiet", "Payment refunded"
		v.Lead = payee + " has sent the money back to your card."
		v.Next = "A refund reaches your account within a few days, depending on your bank."
	case payment.Authorized:
		v.Tone, v.Headline = "good", "Your bank approved the payment"
		v.Lead = "The amount is reserved on your card for " + payee + "."
		v.Next = "You have nothing more to do. Don’t pay again."
	case payment.RequiresAction:
		v.Tone, v.Headline = "act", "Your bank wants to confirm it is you"
		v.Lead = "The payment is not made yet. Continue with your bank, then you come back here."
		v.Next = "The confirmation is open for a few minutes. If you leave it, nothing is charged."
	case payment.Processing, payment.Unknown:
		v.Tone, v.Headline = "wait", "We are confirming your payment"
		v.Lead = "Don’t pay again. Your bank has not answered yet; we keep asking, and you can never be charged twice for this payment."
		v.Next = "This page shows the outcome by itself. You may also close it and open the link again later."
	case payment.Declined:
		v.Tone, v.Headline = "bad", "The payment was declined"
		v.Lead, v.Next = declineWords(pay.DeclineCode), declineNext(pay.DeclineCode)
	case payment.CanceledS:
		v.Tone, v.Headline = "quiet", "The payment was canceled"
		v.Lead = "No money was taken. If your bank shows a reserved amount, it is released within a few days."
	case payment.Late:
		v.Tone, v.Headline = "wait", "Your payment came after the deadline"
		v.Lead = "Your bank approved it when the link had already expired. " + payee + " decides whether to keep it or to send it back."
		v.Next = "Don’t pay again. Ask " + payee + " if you want to know more."
	case payment.Review:
		v.Tone, v.Headline = "wait", "Your payment is being checked"
		v.Lead = "Don’t pay again. A person is looking at it, because your bank’s answer was not clear."
		v.Next = "Keep the payment ID, and ask " + payee + " if you want to know more."
	default:
		v.Tone, v.Headline = "wait", "The payment has not been sent"
		v.Lead = "Your card details did not reach your bank, and nothing was charged."
		v.Next = "You can pay again."
	}
}

// payable reports whether after this payment the payer may try again.
func payable(pay payment.Payment) bool {
	switch pay.Status {
	case payment.Created, payment.Declined, payment.CanceledS:
		return true
	}
	return false
}

// paymentView is the page of a payment. own: the reader knows the attempt, so it
// is the payer, and may see the card's last digits and the way back to the shop.
func (p *Pages) paymentView(r *http.Request, l link.Link, pay payment.Payment, attempt string) statusView {
	own := attempt != ""
	v := statusView{page: p.page("", l), Amount: words(r, pay.Amount), State: string(pay.Status.Public())}
	paymentWords(&v, pay, l.Payee)
	open := l.Status(p.now()) == link.Open
	host := ""
	if u, err := url.Parse(webURL(l.RedirectURL)); err == nil {
		host = u.Host
	}
	switch {
	case pay.Status == payment.RequiresAction:
		v.Primary = button{"Continue with your bank", p.actionURL(pay)}
	case payable(pay) && open && pay.Status == payment.Declined:
		v.Primary = button{"Try another card", p.payPath(l.Token)}
	case payable(pay) && open:
		v.Primary = button{"Pay again", p.payPath(l.Token)}
	case payable(pay):
		v.Next = linkWords(l, l.Status(p.now()))
	case final(pay) && own && host != "":
		v.Primary = button{"Return to " + host, webURL(l.RedirectURL)}
	}
	if l.Form != "" && own {
		p.tellForm(r, &v, l, pay)
	}
	if (pay.Status == payment.Declined || pay.Status == payment.CanceledS) && own && host != "" {
		v.Secondary = button{"Return to " + host, webURL(l.RedirectURL)}
	}
	v.Title = v.Headline
	v.Rows = append(v.Rows, row{Label: "Paid to", Text: l.Payee})
	if !moneyTaken(pay) {
		v.Rows[0].Label = "To"
	}
	if pay.RefundedMinor > 0 {
		back := pay.Amount
		back.Minor = pay.RefundedMinor
		v.Rows = append(v.Rows, row{Label: "Sent back", Text: words(r, back)})
	}
	v.Rows = append(v.Rows, linkRows(l)...)
	if own && pay.CardLast4 != "" {
		v.Rows = append(v.Rows, row{Label: "Card", Text: brandName(pay.CardBrand) + " ending in " + pay.CardLast4})
	}
	at := pay.UpdatedAt
	if at.IsZero() {
		at = pay.CreatedAt
	}
	if !at.IsZero() {
		v.Rows = append(v.Rows, row{Label: "Time", At: stampOf(at)})
	}
	v.Rows = append(v.Rows, row{Label: "Payment ID", Text: pay.ID, Code: true})
	if !final(pay) {
		v.Refresh = true
		v.Stream = p.statusPath(l.Token, attempt)
	}
	return v
}

func moneyTaken(pay payment.Payment) bool {
	switch pay.Status {
	case payment.Succeeded, payment.PartiallyRefunded, payment.Refunded:
		return true
	}
	return false
}

// linkView is the truth about a link that can't be paid.
func (p *Pages) linkView(r *http.Request, l link.Link, state string, found *payment.Payment) statusView {
	if found != nil && !payable(*found) && (state == link.Paying || state == link.Paid) {
		return p.paymentView(r, l, *found, "")
	}
	v := statusView{page: p.page("", l), State: state, Tone: "quiet"}
	if !l.PayerChooses() {
		v.Amount = words(r, l.Amount)
	}
	v.Rows = append([]row{{Label: "To", Text: l.Payee}}, linkRows(l)...)
	switch state {
	case link.Paid:
		v.Tone, v.Headline = "good", "This link has been paid"
		v.Lead, v.Next = linkWords(l, state), "You have nothing more to do. If you paid, don’t pay again."
		v.at("Paid", stampOf(l.PaidAt))
	case link.Paying:
		v.Tone, v.Headline = "wait", "A payment is under way"
		v.Lead = linkWords(l, state)
		v.Next = "This page shows the outcome by itself. Don’t pay in another way meanwhile."
		v.Refresh, v.Stream = true, p.statusPath(l.Token, "")
	case link.Canceled:
		v.Headline = "This link was canceled"
		v.Lead, v.Next = linkWords(l, state), "If you still owe this, ask "+l.Payee+" for a new link."
		v.at("Canceled", stampOf(l.CanceledAt))
	case link.ExpiredS:
		v.Headline = "This link has expired"
		v.Lead, v.Next = "It can’t be paid any more. Nothing was charged.", "If you still want to pay, ask "+l.Payee+" for a new link."
		v.at("Expired", stampOf(l.ExpiresAt))
	default:
		v.Tone, v.Headline = "act", "This link has not been paid yet"
		v.Lead = "We have no payment from you here, and nothing was charged."
		v.Primary = button{"Pay now", p.payPath(l.Token)}
		v.at("Pay by", stampOf(l.ExpiresAt))
	}
	v.Title = v.Headline
	return v
}

func (v *statusView) at(label string, s stamp) {
	if s.ISO != "" {
		v.Rows = append(v.Rows, row{Label: label, At: s})
	}
}

// linkWords is one sentence why a link can't be paid.
func linkWords(l link.Link, state string) string {
	switch state {
	case link.Paid:
		return "It can’t be paid again."
	case link.Paying:
		return "Somebody is paying this link at this moment. Only one payment can go through, so nobody pays twice."
	case link.Canceled:
		return l.Payee + " has withdrawn it. Nothing can be paid here any more."
	case link.ExpiredS:
		return "It could be paid until " + stampOf(l.ExpiresAt).Text + ". Nothing was charged."
	}
	return ""
}

// linkRows are what the merchant wrote on the link.
func linkRows(l link.Link) (rows []row) {
	if l.Description != "" {
		rows = append(rows, row{Label: "For", Text: l.Description})
	}
	if l.Reference != "" {
		rows = append(rows, row{Label: "Reference", Text: l.Reference})
	}
	return rows
}

func brandName(brand string) string {
	switch brand {
	case "visa":
		return "Visa"
	case "mastercard":
		return "Mastercard"
	case "amex":
		return "American Express"
	case "discover":
		return "Discover"
	case "jcb":
		return "JCB"
	case "unionpay":
		return "UnionPay"
	case "diners":
		return "Diners Club"
	}
	return "Card"
}
