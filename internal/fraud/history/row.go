package history

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// Consumer is the name of the analytics store's checkpoint in the feed.
const Consumer = "fraud"

// disputePrefix begins the types of events that carry a dispute instead of the payment.
const disputePrefix = "dispute."

// Refusal counts attempts of an hour that the shield refused, without a payment.
type Refusal struct {
	Account, Mode, Link string
	Hour                time.Time
	Count               int64
}

// Refund is a refund in the analytics store.
type Refund struct {
	ID, Payment, Account, Mode string
	Amount                     money.Amount
	Status                     payment.RefundStatus
	Code                       string
	CreatedAt, UpdatedAt       time.Time
	Seq                        int64 // of its last event among the payment's
}

// The states of a link.
const (
	LinkOpen     = "open"
	LinkPaid     = "paid"
	LinkExpired  = "expired"
	LinkCanceled = "canceled"
)

// The numbers of a link's events within the link, as package link assigns them.
const (
	linkCreated = 1
	linkEnded   = 2
	linkPaid    = 3
)

// Link is a link in the analytics store. Minor is 0 if the payer chooses the amount. Seq is the
// number of its last event.
type Link struct {
	ID, Account, Mode    string
	Amount               money.Amount
	Realm, Reference     string
	State                string
	CreatedAt, ExpiresAt time.Time
	Seq                  int64
}

// Quiet reports whether a payment's row does not need events of the type, because another one
// follows within the lease. They are most of the feed, and are not read.
func Quiet(kind string) bool { return kind == "payment.created" || kind == "payment.processing" }

// Accumulator collects, from one payment's events in order, what its row still needs. An event with the
// whole payment makes earlier ones unnecessary, and none is decoded before Row is called. A
// repeated event is dropped.
type Accumulator struct {
	seq        int64
	events     []stream.Event // the last complete one, and later ones
	refunds    []stream.Event
	answerSeq  int64 // of the issuer's first answer among the events
	answeredAt time.Time
	authorised bool
}

// Add adds the next event. Events must come in order; one that is not newer than the last is
// dropped.
func (t *Accumulator) Add(e stream.Event) {
	if e.ObjectSeq <= t.seq {
		return
	}
	t.seq = e.ObjectSeq
	if yes, answers := answer(e.Type); answers && t.answerSeq == 0 {
		t.answerSeq, t.answeredAt, t.authorised = e.ObjectSeq, milli(e.CreatedAt), yes
	}

	switch {
	case strings.HasPrefix(e.Type, payment.RefundPrefix):
		t.refunds = append(t.refunds, e)
	case !strings.HasPrefix(e.Type, disputePrefix):
		t.events = t.events[:0]
	}
	t.events = append(t.events, e)
}

// answer reports whether the event is the issuer's answer, approval or decline.
func answer(kind string) (yes, answers bool) {
	switch kind {
	case "payment.authorized", "payment.succeeded", "payment.late":
		return true, true
	case "payment.declined":
		return false, true
	}
	return false, false
}

// Row returns the payment after the events. Events that are not newer than the row change nothing.
// The zero row stands for an unknown payment. The first event that cannot be read ends it: the row
// is then as the events before it left it.
func (t *Accumulator) Row(row Row) (Row, error) {
	known := row.Seq
	for _, e := range t.events {
		if e.ObjectSeq <= row.Seq {
			continue
		}
		next, err := apply(row, e)
		if err != nil {
			return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
		}
		row = next
	}

	if row.AnsweredAt.IsZero() && t.answerSeq > known && row.ID != "" && row.Decline != payment.CodeBlocked {
		row.AnsweredAt, row.Authorised = t.answeredAt, t.authorised
	}
	return row, nil
}

// Refunds returns the refunds in the events, one for each event, in order.
func (t *Accumulator) Refunds() ([]Refund, error) {
	var all []Refund
	for _, e := range t.refunds {
		var r payload
		if err := json.Unmarshal(e.Data, &r); err != nil {
			return nil, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
		}
		amount, err := money.Parse(r.Amount, r.Currency)
		if err != nil {
			return nil, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
		}
		all = append(
			all,
			Refund{
				ID:        r.ID,
				Payment:   e.Object,
				Account:   e.Account,
				Mode:      e.Mode,
				Amount:    amount,
				Status:    payment.RefundStatus(r.Status),
				Code:      r.Code,
				CreatedAt: milli(r.CreatedAt),
				UpdatedAt: milli(e.CreatedAt),
				Seq:       e.ObjectSeq,
			},
		)
	}

	return all, nil
}

// payload is the part of an event's object that a row needs: of a payment, a refund, or a
// dispute.
type payload struct {
	payment.EventObject
	ID       string         `json:"id"`
	Code     string         `json:"code"`
	Risk     payment.Risk   `json:"risk"`
	Disputes []eventDispute `json:"disputes"`
}

// eventDispute is a dispute in the API's form, with its amount as a decimal.
type eventDispute struct {
	payment.Dispute
	Amount   string         `json:"amount"`
	Currency money.Currency `json:"currency"`
}

// dispute returns the dispute with its amount in minor units of c.
func (d eventDispute) dispute(c money.Currency) (payment.Dispute, error) {
	one := d.Dispute
	if d.Amount != "" {
		a, err := money.Parse(d.Amount, c)
		if err != nil {
			return one, err
		}
		one.Minor = a.Minor
	}
	return wholeMillis(one), nil
}

// apply returns the row after one event. An event with the whole payment replaces the row, except
// for the issuer's first answer, which it does not show. The other kinds change the row.
func apply(row Row, e stream.Event) (Row, error) {
	var t payload
	if err := json.Unmarshal(e.Data, &t); err != nil {
		return row, err
	}
	if t.Object == "dispute" {
		return applyDispute(row, e)
	}

	amount, captured, refunded, err := t.Sums()
	if err != nil {
		return row, err
	}
	if t.IsRefund() {
		return applyRefund(row, e, amount), nil
	}
	next := Row{
		ID:       e.Object,
		Account:  e.Account,
		Mode:     e.Mode,
		Link:     t.Link,
		Amount:   amount,
		Captured: captured,
		Refunded: refunded,
		Status:   t.Status,
		CreatedAt: milli(
			t.CreatedAt,
		),
		UpdatedAt:  milli(t.UpdatedAt),
		AnsweredAt: row.AnsweredAt,
		Authorised: row.Authorised,
		Decline:    t.Decline.Code,
		CardBrand:  t.Card.Brand,
		CardLast4:  t.Card.Last4,
		PayerName:  t.Payer.Name,
		PayerEmail: t.Payer.Email,
		Realm:      t.Realm,
		Reference:  t.Reference,
		Risk:       riskMillis(t.Risk),
		Seq:        e.ObjectSeq,
	}

	if next.Risk.Fingerprint == "" {
		next.Risk.Fingerprint = t.Card.Fingerprint
	}
	if next.Risk.BIN == "" {
		next.Risk.BIN = t.Card.BIN
	}

	for _, d := range t.Disputes {
		one, err := d.dispute(t.Currency)
		if err != nil {
			return row, err
		}
		next.Disputes = append(next.Disputes, one)
	}

	return next, nil
}

// applyRefund applies an event that carries the refund; the payment's sums follow from it.
func applyRefund(row Row, e stream.Event, amount money.Amount) Row {
	if row.ID == "" {
		return row // no earlier event of its payment
	}
	row.Refunded, row.Status = payment.AfterRefund(e.Type, amount.Minor, row.Captured, row.Refunded, row.Status)
	row.UpdatedAt, row.Seq = milli(e.CreatedAt), e.ObjectSeq
	return row
}

// applyDispute applies an event that carries the dispute: it is added, or replaces its earlier
// state. Without an earlier event of its payment nothing changes.
func applyDispute(row Row, e stream.Event) (Row, error) {
	if row.ID == "" {
		return row, nil
	}
	var t eventDispute
	if err := json.Unmarshal(e.Data, &t); err != nil {
		return row, err
	}
	one, err := t.dispute(row.Amount.Currency)
	if err != nil {
		return row, err
	}

	all, found := append([]payment.Dispute(nil), row.Disputes...), false
	for i := range all {
		if all[i].ID == one.ID {
			all[i], found = one, true
		}
	}
	if !found {
		all = append(all, one)
	}
	row.Disputes, row.UpdatedAt, row.Seq = all, milli(e.CreatedAt), e.ObjectSeq
	return row, nil
}

// RowOf returns the row of a payment after all its events: the store is rebuilt from it, and
// audited against it. Seq is 0 if there is no event yet. It equals what Told makes of the payment's
// events.
func RowOf(p payment.Payment) Row {
	row := Row{
		ID:         p.ID,
		Account:    p.Account,
		Mode:       p.Mode,
		Link:       p.Link,
		Amount:     p.Amount,
		CreatedAt:  milli(p.CreatedAt),
		Decline:    p.DeclineCode,
		CardBrand:  p.CardBrand,
		CardLast4:  p.CardLast4,
		PayerName:  p.PayerName,
		PayerEmail: p.PayerEmail,
		Realm:      p.Realm,
		Reference:  p.Reference,
		Risk:       riskMillis(p.Risk),
	}
	for _, d := range p.Disputes {
		row.Disputes = append(row.Disputes, wholeMillis(d))
	}
	if e := p.LastEvent(); e.Event != "" {
		row.Seq, row.Status, row.Captured, row.Refunded, row.UpdatedAt = e.Seq, e.To.Public(), e.Captured, e.Refunded, milli(e.At)
	}

	for _, e := range p.Log {
		if yes, answers := answer(e.Event); answers && row.AnsweredAt.IsZero() && row.Decline != payment.CodeBlocked {
			row.AnsweredAt, row.Authorised = milli(e.At), yes
		}
	}

	return row
}

// RefundsOf returns the refunds of a payment, each as its last event left it.
func RefundsOf(p payment.Payment) []Refund {
	var all []Refund
	for _, r := range p.Refunds {
		one := Refund{
			ID:        r.ID,
			Payment:   p.ID,
			Account:   p.Account,
			Mode:      p.Mode,
			Amount:    money.Of(r.Minor, p.Amount.Currency),
			Status:    r.Status,
			Code:      r.Code,
			CreatedAt: milli(r.CreatedAt),
		}
		for _, e := range p.Log {
			if e.Refund == r.ID && e.Event != "" {
				one.Seq, one.UpdatedAt = e.Seq, milli(e.At)
			}
		}
		all = append(all, one)
	}
	return all
}

// ApplyLink returns the link after one of its events. Every event shows the whole link, so the last
// one is enough. An event that is not newer changes nothing.
func ApplyLink(row Link, e stream.Event) (Link, error) {
	if e.ObjectSeq <= row.Seq {
		return row, nil
	}
	var t struct {
		Amount    *string        `json:"amount"`
		Currency  money.Currency `json:"currency"`
		Realm     string         `json:"realm"`
		Reference string         `json:"reference"`
		CreatedAt time.Time      `json:"createdAt"`
		ExpiresAt time.Time      `json:"expiresAt"`
	}
	if err := json.Unmarshal(e.Data, &t); err != nil {
		return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
	}

	amount := money.Of(0, t.Currency)
	if t.Amount != nil {
		var err error
		if amount, err = money.Parse(*t.Amount, t.Currency); err != nil {
			return row, fmt.Errorf("event %s of %s: %w", e.ID, e.Object, err)
		}
	}

	state := LinkOpen
	switch e.Type {
	case link.EventPaid:
		state = LinkPaid
	case link.EventExpired:
		state = LinkExpired
	case link.EventCanceled:
		state = LinkCanceled
	}

	return Link{ID: e.Object, Account: e.Account, Mode: e.Mode, Amount: amount, Realm: t.Realm, Reference: t.Reference, State: state,
		CreatedAt: milli(t.CreatedAt), ExpiresAt: milli(t.ExpiresAt), Seq: e.ObjectSeq}, nil
}

// milli returns a time in the store's precision, in UTC.
func milli(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return t.UTC().Truncate(time.Millisecond)
}

// riskMillis returns the risk with times in the store's precision.
func riskMillis(r payment.Risk) payment.Risk {
	r.ReviewedAt, r.LabelledAt = milli(r.ReviewedAt), milli(r.LabelledAt)
	return r
}

// wholeMillis returns the dispute with times in the store's precision.
func wholeMillis(d payment.Dispute) payment.Dispute {
	d.EvidenceDueAt, d.CreatedAt, d.ClosedAt = milli(d.EvidenceDueAt), milli(d.CreatedAt), milli(d.ClosedAt)
	return d
}

// LinkOf returns the row of a link after all its events. Its number follows from the state, because
// each end has a fixed number.
func LinkOf(l link.Link) Link {
	row := Link{ID: l.ID, Account: l.Account, Mode: l.Mode, Amount: l.Amount, Realm: l.Realm, Reference: l.Reference, State: LinkOpen,
		CreatedAt: milli(l.CreatedAt), ExpiresAt: milli(l.ExpiresAt), Seq: linkCreated}
	switch {
	case !l.PaidAt.IsZero():
		row.State, row.Seq = LinkPaid, linkPaid
	case !l.CanceledAt.IsZero():
		row.State, row.Seq = LinkCanceled, linkEnded
	case !l.ExpiredAt.IsZero():
		row.State, row.Seq = LinkExpired, linkEnded
	}
	return row
}
