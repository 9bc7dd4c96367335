package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// told is what of a payment's or refund's event makes the row.
type told struct {
	Object    string         `json:"object"`
	Link      string         `json:"link"`
	Amount    string         `json:"amount"`
	Currency  money.Currency `json:"currency"`
	Captured  string         `json:"capturedAmount"`
	Refunded  string         `json:"refundedAmount"`
	Status    payment.Status `json:"status"`
	Realm     string         `json:"realm"`
	Reference string         `json:"reference"`
	Issuer    string         `json:"issuer"`
	CreatedAt time.Time      `json:"createdAt"`
	UpdatedAt time.Time      `json:"updatedAt"`
	Decline   struct {
		Code string `json:"code"`
	} `json:"decline"`
	Card  payment.CardObject  `json:"card"`
	Payer payment.PayerObject `json:"payer"`
}

// refundPrefix begins the types of events that carry a refund instead of the
// payment whose log they are in.
const refundPrefix = "refund."

// Replaces reports whether the event tells all of the payment, so that what came
// before it need not be known.
func Replaces(e stream.Event) bool { return !strings.HasPrefix(e.Type, refundPrefix) }

// OfPayment reports whether the event is told of a payment.
func OfPayment(e stream.Event) bool { return id.Valid(id.Payment, e.Object) }

// OfLink reports whether the event is told of a link.
func OfLink(e stream.Event) bool { return id.Valid(id.Link, e.Object) }

// Apply gives the row after the event; an event that is not newer than the row
// changes nothing. The zero row is a payment that nobody has heard of.
func Apply(row Payment, e stream.Event) (Payment, error) {
	if e.ObjectSeq <= row.Seq {
		return row, nil
	}
	var t told
	if err := json.Unmarshal(e.Data, &t); err != nil {
		return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
	}
	amount, err := money.Parse(t.Amount, t.Currency)
	if err != nil {
		return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
	}
	if t.Object == "refund" {
		if row.ID == "" {
			return row, nil // its payment was never told of: there is no row to change
		}
		if e.Type == "refund.succeeded" {
			row.Refunded += amount.Minor
			row.Status = payment.PartiallyRefunded
			if row.Refunded >= row.Captured {
				row.Status = payment.Refunded
			}
		}
		row.UpdatedAt, row.Seq = e.CreatedAt.UTC().Truncate(time.Millisecond), e.ObjectSeq
		return row, nil
	}
	captured, err := minor(t.Captured, t.Currency)
	if err != nil {
		return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
	}
	refunded, err := minor(t.Refunded, t.Currency)
	if err != nil {
		return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
	}
	return Payment{ID: e.Object, Account: e.Account, Mode: e.Mode, Link: t.Link, Realm: t.Realm, Reference: t.Reference, Issuer: t.Issuer,
		PayerName: t.Payer.Name, PayerEmail: t.Payer.Email, CardBrand: t.Card.Brand, CardLast4: t.Card.Last4, Decline: t.Decline.Code,
		Status: t.Status, Amount: amount, Captured: captured, Refunded: refunded,
		CreatedAt: t.CreatedAt.UTC(), UpdatedAt: t.UpdatedAt.UTC(), Seq: e.ObjectSeq}, nil
}

func minor(s string, c money.Currency) (int64, error) {
	a, err := money.Parse(s, c)
	return a.Minor, err
}

// Expected is the row that a payment's own log asks for once all its events are
// told: what an audit holds the projection to. Seq 0: none is told yet.
func Expected(p payment.Payment) Payment {
	row := Payment{ID: p.ID, Account: p.Account, Mode: p.Mode, Link: p.Link, Realm: p.Realm, Reference: p.Reference, Issuer: p.Issuer, PayerName: p.PayerName,
		PayerEmail: p.PayerEmail, CardBrand: p.CardBrand, CardLast4: p.CardLast4, Decline: p.DeclineCode, Amount: p.Amount,
		CreatedAt: p.CreatedAt.UTC().Truncate(time.Millisecond)}
	for _, e := range p.Log {
		if e.Event == "" {
			continue
		}
		row.Seq, row.Status, row.Captured, row.Refunded = e.Seq, e.To.Public(), e.Captured, e.Refunded
		row.UpdatedAt = e.At.UTC().Truncate(time.Millisecond)
	}
	return row
}

// Link is the row of a link.
type Link struct {
	ID, Account, Mode string
	Currency          money.Currency
	CreatedAt         time.Time // zero: the feed has not told of it yet
	Steps             Step      // as payments and the link's own end tell them
	Seen              Step      // as browsers told them
}

// Reached are the steps that count.
func (l Link) Reached() Step { return (l.Steps | l.Seen).Whole() }

// ApplyLink gives the link's row after an event of its own.
func ApplyLink(row Link, e stream.Event) (Link, error) {
	if row.CreatedAt.IsZero() {
		var t told
		if err := json.Unmarshal(e.Data, &t); err != nil {
			return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
		}
		row.ID, row.Account, row.Mode, row.Currency, row.CreatedAt = e.Object, e.Account, e.Mode, t.Currency, t.CreatedAt.UTC()
	}
	if e.Type == "link.paid" {
		row.Steps |= Paid
	}
	return row, nil
}

// StepsOf are the steps of its link that a payment's event proves.
func StepsOf(e stream.Event) Step {
	switch e.Type {
	case "payment.authorized", "payment.succeeded":
		return Submitted | Paid
	}
	return Submitted
}
