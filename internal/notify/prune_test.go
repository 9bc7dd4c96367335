package notify_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/notify"
)

// delivery records one of the event, at a time.
func (w *world) delivery(t *testing.T, endpoint, event string, status notify.Status, at time.Time) notify.Delivery {
	t.Helper()
	d := notify.Delivery{ID: id.New(id.Delivery), Account: account, Mode: mode, Endpoint: endpoint, Event: event, EventType: "link.paid",
		Attempt: 1, Status: status, At: at, SealedBody: []byte("sealed:{}")}
	if err := w.store.RecordDelivery(t.Context(), d, nil); err != nil {
		t.Fatal(err)
	}
	return d
}

// TestDeliveriesArePruned: deliveries older than DeliveryLife are removed, parked or not, in
// batches; others stay.
func TestDeliveriesArePruned(t *testing.T) { onEach(t, testDeliveriesArePruned) }

func testDeliveriesArePruned(t *testing.T, store string) {
	w := newWorld(t, store)
	e := w.create(t, account).Endpoint
	statuses := []notify.Status{notify.Succeeded, notify.Failed, notify.DeadLetter, notify.Pending}
	const old = 230
	for i := range old {
		w.delivery(t, e.ID, id.New(id.Event), statuses[i%len(statuses)], start.Add(-time.Duration(i)*time.Second))
	}
	kept := w.delivery(t, e.ID, "evt_kept", notify.DeadLetter, start.Add(time.Minute))
	w.now = start.Add(notify.DeliveryLife)
	if n, err := w.Prune(t.Context()); n != old-1 || err != nil { // the one of this very moment stays
		t.Fatalf("%d, %v", n, err)
	}
	w.now = w.now.Add(time.Minute)
	w.store.pruned = make(chan int, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.RunPrune(ctx) }()
	if n := <-w.store.pruned; n != 1 {
		t.Errorf("the first round removed %d", n)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	left, err := w.Deliveries(t.Context(), account, mode, e.ID, notify.DeliveryQuery{Limit: 100})
	if err != nil || len(left) != 1 || left[0].ID != kept.ID {
		t.Errorf("%d left, %v", len(left), err)
	}
}

func TestPruningIsDoneInSmallBatches(t *testing.T) { onEach(t, testPruningIsDoneInSmallBatches) }

func testPruningIsDoneInSmallBatches(t *testing.T, store string) {
	w := newWorld(t, store)
	e := w.create(t, account).Endpoint
	for range 201 {
		w.delivery(t, e.ID, id.New(id.Event), notify.Succeeded, start)
	}
	w.now, w.store.pruned = start.Add(notify.DeliveryLife+time.Second), make(chan int, 10)
	if n, err := w.Prune(t.Context()); n != 201 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	close(w.store.pruned)
	var batches []int
	for n := range w.store.pruned {
		batches = append(batches, n)
	}
	if !slices.Equal(batches, []int{100, 100, 1}) {
		t.Errorf("batches of %v", batches)
	}
}

// TestParkedDeliveriesAreCounted: the gauge counts what a person must deal with, until it was
// sent again or its endpoint is gone.
func TestParkedDeliveriesAreCounted(t *testing.T) { onEach(t, testParkedDeliveriesAreCounted) }

func testParkedDeliveriesAreCounted(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	a, b := w.create(t, account).Endpoint, w.create(t, account).Endpoint
	want := func(n int64, after string) {
		t.Helper()
		if got, err := w.store.CountDeadLetters(ctx); got != n || err != nil {
			t.Errorf("after %s: %d, %v, want %d", after, got, err, n)
		}
	}
	w.delivery(t, a.ID, "evt_1", notify.Failed, start)
	w.delivery(t, a.ID, "evt_1", notify.Succeeded, start)
	want(0, "a success")
	w.delivery(t, a.ID, "evt_2", notify.DeadLetter, start)
	w.delivery(t, b.ID, "evt_2", notify.DeadLetter, start)
	want(2, "two were parked")
	w.delivery(t, a.ID, "evt_2", notify.Pending, start)
	w.delivery(t, a.ID, "evt_2", notify.Failed, start)
	want(2, "one is sent again")
	w.delivery(t, a.ID, "evt_2", notify.DeadLetter, start)
	want(2, "it was parked again")
	w.delivery(t, a.ID, "evt_2", notify.Succeeded, start)
	want(1, "it arrived")
	if err := w.Delete(ctx, account, mode, b.ID); err != nil {
		t.Fatal(err)
	}
	want(0, "the endpoint was deleted")
	w.delivery(t, b.ID, "evt_3", notify.DeadLetter, start) // a try that was under way then
	want(0, "its last try ended")
	w.delivery(t, a.ID, "evt_4", notify.DeadLetter, start)
	w.now = start.Add(notify.DeliveryLife + time.Second)
	if _, err := w.Prune(ctx); err != nil {
		t.Fatal(err)
	}
	want(0, "it was pruned")
}
