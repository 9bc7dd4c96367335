package payment

import (
	"time"

	"github.com/paylink/paylink/internal/money"
)

// RefundPrefix begins the types of events that carry a refund instead of the payment whose log
// they are in.
const RefundPrefix = "refund."

// EventObject holds the fields that projections read from a payment's event: of a payment, or
// of one of its refunds.
type EventObject struct {
	Object    string         `json:"object"`
	Link      string         `json:"link"`
	Amount    string         `json:"amount"`
	Currency  money.Currency `json:"currency"`
	Captured  string         `json:"capturedAmount"`
	Refunded  string         `json:"refundedAmount"`
	Status    Status         `json:"status"`
	Realm     string         `json:"realm"`
	Reference string         `json:"reference"`
	Issuer    string         `json:"issuer"`
	CreatedAt time.Time      `json:"createdAt"`
	UpdatedAt time.Time      `json:"updatedAt"`
	Decline   struct {
		Code string `json:"code"`
	} `json:"decline"`
	Card  CardObject  `json:"card"`
	Payer PayerObject `json:"payer"`
}

// IsRefund reports whether the object is a refund.
func (o *EventObject) IsRefund() bool { return o.Object == "refund" }

// Sums returns the amount and, for a payment, what was captured and refunded, in minor units.
// It returns money's error if a field is not an amount.
func (o *EventObject) Sums() (amount money.Amount, captured, refunded int64, err error) {
	if amount, err = money.Parse(o.Amount, o.Currency); err != nil || o.IsRefund() {
		return amount, 0, 0, err
	}
	c, err := money.Parse(o.Captured, o.Currency)
	if err != nil {
		return amount, 0, 0, err
	}
	r, err := money.Parse(o.Refunded, o.Currency)
	return amount, c.Minor, r.Minor, err
}

// AfterRefund returns a payment's refunded sum and its status after a refund's event. Only a
// refund that succeeded changes them.
func AfterRefund(kind string, minor, captured, refunded int64, s Status) (int64, Status) {
	if kind != RefundPrefix+"succeeded" {
		return refunded, s
	}
	if refunded += minor; refunded >= captured {
		return refunded, Refunded
	}
	return refunded, PartiallyRefunded
}

// LastEvent returns the newest entry of the log that made an event, which is what an up-to-date
// projection shows. It returns the zero entry if there is none.
func (p Payment) LastEvent() (last Entry) {
	for _, e := range p.Log {
		if e.Event != "" {
			last = e
		}
	}
	return last
}
