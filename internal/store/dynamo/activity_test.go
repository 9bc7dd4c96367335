package dynamo_test

import (
	"slices"
	"testing"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamotest"
)

// TestActivityIsRelayed: who did what to a payment in the table is an item in the transaction of the
// change, and the relay copies it to the activity, once. A change that is refused leaves nothing.
func TestActivityIsRelayed(t *testing.T) {
	s := dynamotest.OpenDistributed(t)
	w := newWorld(t, s)
	by := activity.Actor{Kind: activity.Key, ID: id.New(id.Key), Network: "192.0.2.0/24", Agent: "shop/1", Request: "req_1"}
	ctx := activity.With(t.Context(), by)
	manual := func(r *link.CreateRequest) { r.Capture = "manual" }
	captured, voided := w.pay(w.link(manual), 1), w.pay(w.link(manual), 2)
	if _, err := w.c.Capture(ctx, w.account, link.Test, captured.ID, "5.00", nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.c.Void(ctx, w.account, link.Test, voided.ID, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := w.c.Void(ctx, w.account, link.Test, captured.ID, nil); err == nil {
		t.Fatal("a captured payment was voided")
	}
	var found []activity.Event
	await.Until(t, "the activity is relayed", func() bool {
		var err error
		if found, err = s.Feed.Activity(t.Context(), w.account, activity.Filter{}, 10); err != nil {
			t.Fatal(err)
		}
		return len(found) >= 2
	})
	targets := map[string]string{activity.CaptureAsked: captured.ID, activity.VoidAsked: voided.ID}
	for _, e := range found {
		if e.Actor != by || targets[e.Kind] != e.Target || e.Count != 1 {
			t.Errorf("%+v", e)
		}
	}
	if len(found) != 2 {
		t.Errorf("%d entries", len(found))
	}
	p, err := s.GetPayment(t.Context(), w.account, captured.ID)
	if err != nil || !slices.ContainsFunc(p.Log, func(e payment.Entry) bool { return e.By == by.ID && e.Reason == payment.ReasonCaptureRequested }) {
		t.Errorf("the log does not name the key: %v", err)
	}
}
