package report

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// Replaces reports whether the event contains the whole payment, so that earlier events are not
// needed.
func Replaces(e stream.Event) bool { return !strings.HasPrefix(e.Type, payment.RefundPrefix) }

// Apply returns the row after the event. An event that is not newer than the row changes nothing.
// The zero row stands for an unknown payment.
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
			return row, nil // no earlier event of the payment: there is no row to change
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

// Expected returns the row that a payment's own log implies once all its events are processed. An
// audit compares the projection with it. A Seq of 0 means that there is no event yet.
func Expected(p payment.Payment) Payment {
	row := Payment{
		ID:         p.ID,
		Account:    p.Account,
		Mode:       p.Mode,
		Link:       p.Link,
		Realm:      p.Realm,
		Reference:  p.Reference,
		Issuer:     p.Issuer,
		PayerName:  p.PayerName,
		PayerEmail: p.PayerEmail,
		CardBrand:  p.CardBrand,
		CardLast4:  p.CardLast4,
		Decline:    p.DeclineCode,
		Amount:     p.Amount,
		CreatedAt:  p.CreatedAt.UTC().Truncate(time.Millisecond),
	}
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
	CreatedAt         time.Time // zero: the feed has not reached it yet
	Steps             Step      // from payments and the link's own end
	Seen              Step      // as reported by browsers
}

// Reached returns the steps that count.
func (l Link) Reached() Step { return (l.Steps | l.Seen).Whole() }

// ApplyLink returns the link's row after an event of its own. It may be applied again. It
// fails if the event cannot be read.
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

// StepsOf returns the steps of its link that a payment's event proves.
func StepsOf(e stream.Event) Step {
	switch e.Type {
	case "payment.authorized", "payment.succeeded":
		return Submitted | Paid
	}
	return Submitted
}
