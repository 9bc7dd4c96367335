package api

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
)

// The shapes of answers that a commit may carry. They are names on the wire
// between processes of two versions: never reuse one.
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
)

const shapeRedelivery = "redelivery"

// Shapes of the rules and lists against fraud.
const (
	shapeFraudRule = "fraud_rule"
	shapeListEntry = "fraud_list_entry"
)

// Renderer turns the object of a commit into the answer. It needs nothing of the
// request, so that a box in another process renders the same bytes into its own
// commit.
type Renderer struct {
	PublicURL string // without a slash at the end
	Now       func() time.Time
}

// Render gives the answer of a shape for the object about to be committed.
func (r Renderer) Render(shape string, committed any) ([]byte, error) {
	object, ok := r.object(shape, committed)
	if !ok {
		return nil, fmt.Errorf("no answer of shape %q for a committed %T", shape, committed)
	}
	return json.Marshal(object)
}

func (r Renderer) object(shape string, committed any) (any, bool) {
	switch o := committed.(type) {
	case link.Link:
		return r.link(o), shape == shapeLink
	case link.Form:
		return r.form(o), shape == shapeForm
	case payment.Payment:
		if shape == shapeRefund && len(o.Refunds) > 0 {
			return payment.RefundObject(o, o.Refunds[len(o.Refunds)-1]), true // the payment's newest
		}
		return payment.Object(o), shape == shapePayment
	case payment.DisputeObject:
		return o, shape == shapeDispute
	case payment.RefundView:
		return o, shape == shapeRefund
	case merchant.SignedUp:
		return showUser(o.User, o.Account), shape == shapeUser
	case merchant.SignedIn:
		return showSession(o), shape == shapeSession
	case merchant.NewKey:
		return showNewKey(o), shape == shapeKey
	case notify.Revealed:
		return showRevealed(o), shape == shapeEndpoint
	case merchant.Clock:
		return showClock(o), shape == shapeClock
	case notify.Delivery:
		return showDelivery(o), shape == shapeDelivery
	case fraud.Rule:
		return showRule(o), shape == shapeFraudRule
	case fraud.ListEntry:
		return showEntry(o), shape == shapeListEntry
	case notify.Redelivery:
		return showRedelivery(o), shape == shapeRedelivery
	}
	return nil, false
}

func (r Renderer) link(l link.Link) any { return link.Object(l, r.linkURL(l), r.Now()) }

func (r Renderer) form(f link.Form) any { return link.FormObject(f, r.PublicURL+"/f/"+f.ID) }

func (r Renderer) linkURL(l link.Link) string { return r.PublicURL + "/l/" + l.Token }
