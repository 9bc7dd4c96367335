package pages

import (
	"net/http"
	"net/url"

	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// final reports whether a payer has nothing more to wait for. A merchant may still
// refund, capture or decide; the page shows that when it is opened again.
func final(pay payment.Payment) bool {
	switch pay.Status {
	case payment.Succeeded, payment.PartiallyRefunded, payment.Refunded, payment.Declined,
		payment.Canceled, payment.Late, payment.Review:
		return true
	case payment.Authorized:
		return pay.Capture == link.CaptureManual || pay.Risk.Review == payment.ReviewOpen // the merchant decides
	default:
		return false
	}
}

// declineWords returns the text for an issuer's code. Only the merchant learns that a
// card was reported lost or stolen, never the person who uses it.
func declineWords(say *i18n.Printer, code string) string {
	switch code {
	case issuer.CodeInsufficientFunds:
		return say.T("pay.decline.funds")
	case issuer.CodeExpired:
		return say.T("pay.decline.expired")
	case issuer.CodeIncorrectCVC:
		return say.T("pay.decline.cvc")
	case issuer.CodeProcessing:
		return say.T("pay.decline.processing")
	case issuer.CodeAuthentication:
		return say.T("pay.decline.authentication")
	}

	return say.T("pay.decline.other")
}

// declineNext returns what the payer can do about a decline.
func declineNext(say *i18n.Printer, code string) string {
	switch code {
	case issuer.CodeIncorrectCVC:
		return say.T("pay.decline.next.cvc")
	case issuer.CodeProcessing:
		return say.T("pay.decline.next.processing")
	case issuer.CodeInsufficientFunds, issuer.CodeExpired:
		return say.T("pay.decline.next.card")
	}
	return say.T("pay.decline.next.other")
}

// paymentWords sets tone, headline, lead and next step of a payment's page.
func paymentWords(say *i18n.Printer, v *statusView, pay payment.Payment, payee string) {
	switch pay.Status.Public() {
	case payment.Succeeded:
		v.Tone, v.Headline = "good", say.T("pay.succeeded")
		v.Lead, v.Next = say.T("pay.succeeded.lead", "Payee", payee), say.T("pay.succeeded.next")
	case payment.PartiallyRefunded:
		v.Tone, v.Headline = "good", say.T("pay.refunded.part")
		v.Lead, v.Next = say.T("pay.refunded.part.lead", "Payee", payee), say.T("pay.refunded.next")
	case payment.Refunded:
		v.Tone, v.Headline = "quiet", say.T("pay.refunded")
		v.Lead, v.Next = say.T("pay.refunded.lead", "Payee", payee), say.T("pay.refunded.next")
	case payment.Authorized:
		v.Tone, v.Headline = "good", say.T("pay.authorized")
		v.Lead, v.Next = say.T("pay.authorized.lead", "Payee", payee), say.T("pay.authorized.next")
		if pay.Risk.Review == payment.ReviewOpen {
			v.Next = say.T("pay.held.next")
		}
	case payment.RequiresAction:
		v.Tone, v.Headline = "act", say.T("pay.action")
		v.Lead, v.Next = say.T("pay.action.lead"), say.T("pay.action.next")
	// An unknown outcome is not an error for the payer: it is looked into, and the page
	// waits for it.
	case payment.Processing, payment.Unknown:
		v.Tone, v.Headline = "wait", say.T("pay.confirming")
		v.Lead, v.Next = say.T("pay.confirming.lead"), say.T("pay.confirming.next")
	case payment.Declined:
		v.Tone, v.Headline = "bad", say.T("pay.declined")
		v.Lead, v.Next = declineWords(say, publicDeclineCode(pay)), declineNext(say, publicDeclineCode(pay))
	case payment.Canceled:
		v.Tone, v.Headline = "quiet", say.T("pay.canceled")
		v.Lead = say.T("pay.canceled.lead")
	case payment.Late:
		v.Tone, v.Headline = "wait", say.T("pay.late")
		v.Lead, v.Next = say.T("pay.late.lead", "Payee", payee), say.T("pay.late.next", "Payee", payee)
	case payment.Review:
		v.Tone, v.Headline = "wait", say.T("pay.review")
		v.Lead, v.Next = say.T("pay.review.lead"), say.T("pay.review.next", "Payee", payee)
	default:
		v.Tone, v.Headline = "wait", say.T("pay.created")
		v.Lead, v.Next = say.T("pay.created.lead"), say.T("pay.created.next")
	}
}

// payable reports whether the payer may try again after this payment.
func payable(pay payment.Payment) bool {
	switch pay.Status {
	case payment.Created, payment.Declined, payment.Canceled:
		return true
	default:
		return false
	}
}

// paymentView returns the page of a payment. With an attempt id the reader is the payer,
// who may see the card's last digits and the link to the shop. The page follows the status
// until it is final.
func (p *Pages) paymentView(r *http.Request, l link.Link, pay payment.Payment, attempt string) statusView {
	own, say := attempt != "", printer(r)
	v := statusView{page: p.page("", l), Amount: words(r, pay.Amount), State: string(pay.Status.Public())}
	paymentWords(say, &v, pay, l.Payee)

	// Only an address that parses leads back to the merchant.
	open := l.Status(p.now()) == link.Open
	host := ""
	if u, err := url.Parse(webURL(l.RedirectURL)); err == nil {
		host = u.Host
	}

	// At most one button is primary: what the payer should do next.
	switch {
	case pay.Status == payment.RequiresAction:
		v.Primary = button{say.T("pay.action.button"), p.actionURL(pay)}
	case payable(pay) && open && pay.Status == payment.Declined:
		v.Primary = button{say.T("pay.again.card"), p.payPath(l.Token)}
	case payable(pay) && open:
		v.Primary = button{say.T("pay.again"), p.payPath(l.Token)}
	case payable(pay):
		v.Next = linkWords(say, l, l.Status(p.now()))
	case final(pay) && own && host != "":
		v.Primary = button{say.T("pay.return", "Host", host), webURL(l.RedirectURL)}
	}

	// An embedded form learns the outcome from the page in its frame.
	if l.Form != "" && own {
		p.addFrameResult(r, &v, l, pay)
	}
	if (pay.Status == payment.Declined || pay.Status == payment.Canceled) && own && host != "" {
		v.Secondary = button{say.T("pay.return", "Host", host), webURL(l.RedirectURL)}
	}

	v.Title = v.Headline
	v.Rows = append(v.Rows, row{Label: say.T("pay.row.paidTo"), Text: l.Payee})
	if !moneyTaken(pay) {
		v.Rows[0].Label = say.T("pay.row.to")
	}

	if pay.RefundedMinor > 0 {
		// In the payment's currency.
		back := pay.Amount
		back.Minor = pay.RefundedMinor
		v.Rows = append(v.Rows, row{Label: say.T("pay.row.back"), Text: words(r, back), Ours: true})
	}

	v.Rows = append(v.Rows, linkRows(say, l)...)
	if own && pay.CardLast4 != "" {
		v.Rows = append(
			v.Rows,
			row{
				Label: say.T("pay.row.card"),
				Text:  say.T("pay.card.ending", "Brand", brandName(say, pay.CardBrand), "Last4", pay.CardLast4),
				Ours:  true,
			},
		)
	}

	at := pay.UpdatedAt
	if at.IsZero() {
		at = pay.CreatedAt
	}
	if !at.IsZero() {
		v.Rows = append(v.Rows, row{Label: say.T("pay.row.time"), At: stampOf(r, at)})
	}
	// The id is what payers and merchants compare.
	v.Rows = append(v.Rows, row{Label: say.T("pay.row.payment"), Text: pay.ID, Code: true})

	if !final(pay) {
		v.Refresh = true
		v.Stream = p.statusPath(l.Token, attempt)
	}
	return v
}

// moneyTaken reports whether money was captured, even if it was refunded since.
func moneyTaken(pay payment.Payment) bool {
	switch pay.Status {
	case payment.Succeeded, payment.PartiallyRefunded, payment.Refunded:
		return true
	default:
		return false
	}
}

// linkView returns the page of a link that cannot be paid, or that of the payment found, if
// that is the reason. state is the link's status, or the one that a refusal has just
// reported.
func (p *Pages) linkView(r *http.Request, l link.Link, state string, found *payment.Payment) statusView {
	if found != nil && !payable(*found) && (state == link.Paying || state == link.Paid) {
		return p.paymentView(r, l, *found, "")
	}

	say := printer(r)
	v := statusView{page: p.page("", l), State: state, Tone: "quiet"}
	if !l.PayerChooses() {
		v.Amount = words(r, l.Amount)
	}
	v.Rows = append([]row{{Label: say.T("pay.row.to"), Text: l.Payee}}, linkRows(say, l)...)

	switch state {
	case link.Paid:
		v.Tone, v.Headline = "good", say.T("pay.link.paid")
		v.Lead, v.Next = linkWords(say, l, state), say.T("pay.link.paid.next")
		v.at(say.T("pay.row.paid"), stampOf(r, l.PaidAt))
	case link.Paying:
		v.Tone, v.Headline = "wait", say.T("pay.link.paying")
		v.Lead, v.Next = linkWords(say, l, state), say.T("pay.link.paying.next")
		// Somebody else is paying. The page follows the link, and shows when it can be paid
		// again.
		v.Refresh, v.Stream = true, p.statusPath(l.Token, "")
	case link.Canceled:
		v.Headline = say.T("pay.link.canceled")
		v.Lead, v.Next = linkWords(say, l, state), say.T("pay.link.canceled.next", "Payee", l.Payee)
		v.at(say.T("pay.row.canceled"), stampOf(r, l.CanceledAt))
	case link.Expired:
		v.Headline = say.T("pay.link.expired")
		v.Lead, v.Next = say.T("pay.link.expired.lead"), say.T("pay.link.expired.next", "Payee", l.Payee)
		v.at(say.T("pay.row.expired"), stampOf(r, l.ExpiresAt))
	default:
		v.Tone, v.Headline = "act", say.T("pay.link.open")
		v.Lead = say.T("pay.link.open.lead")
		v.Primary = button{say.T("pay.link.open.button"), p.payPath(l.Token)}
		v.at(say.T("pay.row.by"), stampOf(r, l.ExpiresAt))
	}

	v.Title = v.Headline
	return v
}

// at adds a line with a time, if there is one.
func (v *statusView) at(label string, s stamp) {
	if s.ISO != "" {
		v.Rows = append(v.Rows, row{Label: label, At: s})
	}
}

// linkWords returns one sentence that says why a link cannot be paid.
func linkWords(say *i18n.Printer, l link.Link, state string) string {
	switch state {
	case link.Paid:
		return say.T("pay.link.paid.lead")
	case link.Paying:
		return say.T("pay.link.paying.lead")
	case link.Canceled:
		return say.T("pay.link.canceled.lead", "Payee", l.Payee)
	case link.Expired:
		return say.T("pay.link.expired.until", "At", l.ExpiresAt.UTC())
	}
	return ""
}

// linkRows returns what the merchant wrote on the link: description and reference.
func linkRows(say *i18n.Printer, l link.Link) (rows []row) {
	if l.Description != "" {
		rows = append(rows, row{Label: say.T("pay.row.for"), Text: l.Description})
	}
	if l.Reference != "" {
		rows = append(rows, row{Label: say.T("pay.row.reference"), Text: l.Reference})
	}
	return rows
}

// brandName returns a card's brand as the brand writes itself.
func brandName(say *i18n.Printer, brand string) string {
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

	return say.T("pay.card.other")
}
