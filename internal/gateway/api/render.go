package api

import (
	"time"

	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/payment"
)

// The shapes of responses that a commit may contain. Processes of two versions exchange
// these names, so never reuse one.
const (
	shapeLink     = "link"
	shapePayment  = "payment"
	shapeRefund   = "refund"
	shapeDispute  = "dispute"
	shapeUser     = "user"
	shapeSession  = "session"
	shapeKey      = "api_key"
	shapeEndpoint = "webhook_endpoint"
	shapeDelivery = "delivery"
	shapeClock    = "test_clock"
	shapeForm     = "form"

	shapeRedelivery = "redelivery"
	shapeFraudRule  = "fraud_rule"
	shapeListEntry  = "fraud_list_entry"
)

// Renderer renders the objects of this face. It needs nothing from a request, so the
// service whose commit contains a response can render it too.
type Renderer struct {
	PublicURL string // without a slash at the end
	Now       func() time.Time
}

// Shapes returns the responses that a commit may contain.
func (r Renderer) Shapes() answer.Shapes {
	return answer.Shapes{
		shapeLink:       answer.Of(r.link),
		shapeForm:       answer.Of(r.form),
		shapePayment:    answer.Of(payment.Object),
		shapeRefund:     showRefund,
		shapeDispute:    answer.Of(func(o payment.DisputeObject) any { return o }),
		shapeUser:       answer.Of(func(o merchant.SignedUp) any { return showUser(o.User, o.Account) }),
		shapeSession:    answer.Of(showSession),
		shapeKey:        answer.Of(showNewKey),
		shapeEndpoint:   answer.Of(showRevealed),
		shapeClock:      answer.Of(showClock),
		shapeDelivery:   answer.Of(showDelivery),
		shapeRedelivery: answer.Of(showRedelivery),
		shapeFraudRule:  answer.Of(showRule),
		shapeListEntry:  answer.Of(showEntry),
	}
}

// showRefund renders the newest refund of a payment, or returns one that is rendered.
func showRefund(object any) (any, bool) {
	switch o := object.(type) {
	case payment.Payment:
		if n := len(o.Refunds); n > 0 {
			return payment.RefundObject(o, o.Refunds[n-1]), true
		}
	case payment.RefundView:
		return o, true
	}
	return nil, false
}

// link renders a link with its address and its present status.
func (r Renderer) link(l link.Link) any { return link.Object(l, r.linkURL(l), r.Now()) }

// form renders a form with its address.
func (r Renderer) form(f link.Form) any { return link.FormObject(f, r.PublicURL+"/f/"+f.ID) }

// linkURL returns the address at which the link is paid.
func (r Renderer) linkURL(l link.Link) string { return r.PublicURL + "/l/" + l.Token }
