package notify

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// TestPing is the type of a test event that only shows that a receiver is reached and verifies.
// It is in no feed, so nothing can subscribe to it.
const TestPing = "test.ping"

// Test sends a test event, once, and returns the pending delivery. Its body says "test":
// true and its numbers are 0, so that no receiver takes it for a link in the chain of
// events. Like a redelivery, it is queued before its pending row is written: a crash in
// between sends it without a row until the try is recorded.
func (l *Local) Test(ctx context.Context, account, mode, endpoint, eventType string, t *idempotency.Ticket) (Delivery, error) {
	if eventType == "" {
		eventType = TestPing
	}
	if eventType != TestPing && !slices.Contains(EventTypes(), eventType) {
		return Delivery{}, unknownType("type", eventType, append([]string{TestPing}, EventTypes()...))
	}

	e, err := l.Get(ctx, account, mode, endpoint)
	if err != nil {
		return Delivery{}, err
	}

	now := l.Now()
	d := Delivery{ID: id.New(id.Delivery), Account: account, Mode: mode, Endpoint: endpoint, Event: id.New(id.Event), EventType: eventType,
		Status: Pending, At: now, NextAt: now, Test: true}

	data, err := json.Marshal(sample(eventType, e, now))
	if err != nil {
		return Delivery{}, err
	}

	plain, err := json.Marshal(body{ID: d.Event, Type: eventType, Test: true, CreatedAt: stamp(now), Mode: mode, Data: data})
	if err != nil {
		return Delivery{}, err
	}

	d.SealedBody = l.Keys.Seal(l.Site.Document(plain))

	record, err := t.Fill(d, now)
	if err != nil {
		return Delivery{}, err
	}
	if err := l.Queue.Enqueue(ctx, []Job{{Account: account, Mode: mode, Endpoint: endpoint, Event: d.Event, EventType: eventType,
		Delivery: d.ID, Test: true, SealedBody: d.SealedBody}}); err != nil {
		return Delivery{}, notQueued(err)
	}

	return d, l.Store.RecordDelivery(ctx, d, record)
}

// sample returns an object as an event of the type shows it, with invented content. The ids
// in it derive from the endpoint, so they exist nowhere.
func sample(eventType string, e Endpoint, now time.Time) any {
	kind, what, _ := strings.Cut(eventType, ".")
	switch kind {
	case "link":
		return sampleLink(what, e, now)
	case "payment":
		return samplePayment(what, e, now)
	case "refund":
		return sampleRefund(what, e, now)
	case "fraud":
		return sampleFraud(what, e, now)
	case "dispute":
		return sampleDispute(what, e, now)
	case "endpoint":
		e.DisabledAt, e.DisabledReason = now, ReasonFailing
		return Object(e)
	}

	return map[string]any{"object": kind, "endpoint": e.ID, "createdAt": stamp(now)}
}

// sampleID derives the ids in samples from the endpoint's, so that the samples of one endpoint
// fit each other.
func sampleID(prefix string, e Endpoint) string { return id.Derive(prefix, e.ID, "sample") }

// sampleLink returns a link of 12.50 EUR in the state after the event.
func sampleLink(what string, e Endpoint, now time.Time) any {
	l := link.Link{ID: sampleID(id.Link, e), Account: e.Account, Mode: e.Mode, Amount: money.Of(sampleMinor, "EUR"), MaxUses: 1,
		PaymentMethod: "card", Description: "A sample", Reference: "sample-1", Capture: "automatic", LatePolicy: "accept",
		CreatedAt: now.Add(-time.Hour), Date: now.Add(-time.Hour), ExpiresAt: now.Add(sampleLife)}
	switch what {
	case "paid":
		l.Uses, l.PaidAt = 1, now
	case "expired":
		l.ExpiresAt, l.ExpiredAt = now, now
	case "canceled":
		l.CanceledAt = now
	}

	return link.Object(l, "https://pay.example/l/sample", now)
}

// The amount in the samples, and how long the sample link is open.
const (
	sampleMinor  = 1250
	sampleAmount = "12.50"
	sampleLife   = 24 * time.Hour
)

// samplePayment returns a payment by a test card. what is the part of the event's type
// after the point, and for most types the payment's status.
func samplePayment(what string, e Endpoint, now time.Time) any {
	payment, from := sampleID(id.Payment, e), sampleID(id.Link, e)
	o := map[string]any{
		"id": payment, "object": "payment", "link": from, "amount": sampleAmount, "currency": "EUR", "capturedAmount": "0.00",
		"refundedAmount": "0.00", "refundableAmount": "0.00", "status": what,
		"card": map[string]string{"brand": "visa", "last4": "4242"}, "issuer": "simulator",
		"payer": map[string]string{"name": "Sam Sample", "email": "sam@example.com"}, "reference": "sample-1", "mode": e.Mode,
		"createdAt": stamp(now.Add(-time.Minute)), "updatedAt": stamp(now),
		"links": map[string]string{"self": "/api/payments/" + payment, "link": "/api/links/" + from},
	}
	switch what {
	case "succeeded":
		o["capturedAmount"], o["refundableAmount"] = sampleAmount, sampleAmount
	case "declined":
		o["decline"] = map[string]string{"code": "insufficient_funds", "message": "The card has insufficient funds."}
	case "review":
		o["reviewReason"] = "sample"
	}

	return o
}

// sampleRefund returns a refund of the whole sample payment.
func sampleRefund(what string, e Endpoint, now time.Time) any {
	payment, status := "/api/payments/"+sampleID(id.Payment, e), what
	if what == "created" {
		status = "pending"
	}
	o := map[string]any{
		"id": sampleID(id.Refund, e), "object": "refund", "payment": sampleID(id.Payment, e), "amount": sampleAmount, "currency": "EUR",
		"status": status, "createdAt": stamp(now), "links": map[string]string{"self": payment, "payment": payment},
	}
	if status == "failed" {
		o["code"] = "refund_refused"
	}
	return o
}

// sampleFraud returns a payment that is held for review, or was.
func sampleFraud(what string, e Endpoint, now time.Time) any {
	status, review := "authorized", "open"
	if what == "reviewed" {
		status, review = "succeeded", "approved"
	}
	o := samplePayment(status, e, now).(map[string]any) // which it makes
	risk := map[string]any{"action": "review", "why": "rule", "rule": "frl_sample", "version": 1, "score": sampleScore,
		"basis": "known", "review": review,
		"values": []map[string]string{{"name": "card.attempted_1h", "value": "6"}}}
	if what == "reviewed" {
		risk["reviewedAt"], risk["reviewedBy"] = stamp(now), sampleID(id.User, e)
	}
	o["risk"] = risk
	return o
}

// The risk in the samples, from 0 to 100, and the time to answer a dispute.
const (
	sampleScore   = 81
	sampleToReply = 7 * 24 * time.Hour // until a dispute's evidence is due
)

// sampleDispute returns a dispute about the whole sample payment.
func sampleDispute(what string, e Endpoint, now time.Time) any {
	payment := sampleID(id.Payment, e)
	o := map[string]any{
		"id": sampleID(id.Dispute, e), "object": "dispute", "payment": payment, "amount": sampleAmount, "currency": "EUR", "reason": "fraudulent",
		"state": "needs_response", "reference": "sample-1", "evidenceDueAt": stamp(now.Add(sampleToReply)),
		"createdAt": stamp(now.Add(-time.Minute)),
		"links":     map[string]string{"self": "/api/payments/" + payment, "payment": "/api/payments/" + payment},
	}
	switch what {
	case "updated":
		o["state"] = "under_review"
	case "closed":
		o["state"], o["closedAt"] = "lost", stamp(now)
	}

	return o
}
