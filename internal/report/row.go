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

// Replaces reports whether the event tells all of the payment, so that what came
// before it need not be known.
func Replaces(e stream.Event) bool { return !strings.HasPrefix(e.Type, payment.RefundPrefix) }

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
	var o payment.EventObject
	if err := json.Unmarshal(e.Data, &o); err != nil {
		return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
	}
	amount, captured, refunded, err := o.Sums()
	if err != nil {
		return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
	}
	if o.IsRefund() {
		if row.ID == "" {
			return row, nil // its payment was never told of: there is no row to change
		}
		row.Refunded, row.Status = payment.AfterRefund(e.Type, amount.Minor, row.Captured, row.Refunded, row.Status)
		row.UpdatedAt, row.Seq = e.CreatedAt.UTC().Truncate(time.Millisecond), e.ObjectSeq
		return row, nil
	}
	return Payment{ID: e.Object, Account: e.Account, Mode: e.Mode, Link: o.Link, Realm: o.Realm, Reference: o.Reference, Issuer: o.Issuer,
		PayerName: o.Payer.Name, PayerEmail: o.Payer.Email, CardBrand: o.Card.Brand, CardLast4: o.Card.Last4, Decline: o.Decline.Code,
		Status: o.Status, Amount: amount, Captured: captured, Refunded: refunded,
		CreatedAt: o.CreatedAt.UTC(), UpdatedAt: o.UpdatedAt.UTC(), Seq: e.ObjectSeq}, nil
}

// Expected is the row that a payment's own log asks for once all its events are
// told: what an audit holds the projection to. Seq 0: none is told yet.
func Expected(p payment.Payment) Payment {
	row := Payment{ID: p.ID, Account: p.Account, Mode: p.Mode, Link: p.Link, Realm: p.Realm, Reference: p.Reference, Issuer: p.Issuer, PayerName: p.PayerName,
		PayerEmail: p.PayerEmail, CardBrand: p.CardBrand, CardLast4: p.CardLast4, Decline: p.DeclineCode, Amount: p.Amount,
		CreatedAt: p.CreatedAt.UTC().Truncate(time.Millisecond)}
	if e := p.LastEvent(); e.Event != "" {
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
		var o payment.EventObject
		if err := json.Unmarshal(e.Data, &o); err != nil {
			return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
		}
		row.ID, row.Account, row.Mode, row.Currency, row.CreatedAt = e.Object, e.Account, e.Mode, o.Currency, o.CreatedAt.UTC()
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
