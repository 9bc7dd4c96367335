package notify_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/store/sqltest"
)

// tried ends the pending deliveries of the jobs that were queued from n on.
func (w *world) tried(t *testing.T, n int, status notify.Status) {
	t.Helper()
	for _, j := range w.jobs[n:] {
		if err := w.store.RecordDelivery(t.Context(), notify.Delivery{ID: j.Delivery, Account: j.Account, Mode: j.Mode,
			Endpoint: j.Endpoint, Event: j.Event,
			EventType: j.EventType, Attempt: 1, Status: status, At: w.now, Redelivery: j.Redelivery, SealedBody: j.SealedBody}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// carry makes steps until none moves.
func (w *world) carry(t *testing.T) {
	t.Helper()
	for range 1000 {
		moved, err := w.CarryOn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if !moved {
			return
		}
	}
	t.Fatal("it never rests")
}

func (w *world) read(t *testing.T, r notify.Redelivery) notify.Redelivery {
	t.Helper()
	got, err := w.Redelivery(t.Context(), account, mode, r.Endpoint, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func (w *world) all(t *testing.T, e notify.Endpoint, f notify.Filter) notify.Redelivery {
	t.Helper()
	r, err := w.RedeliverAll(t.Context(), account, mode, e.ID, f, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestBulkRedelivery: each parked event once, in pages that wait for the sending,
// with a progress that follows it.
func TestBulkRedelivery(t *testing.T) { onEach(t, testBulkRedelivery) }

func testBulkRedelivery(t *testing.T, store string) {
	w := newWorld(t, store)
	e := w.create(t, account).Endpoint
	const parked = 240
	for range parked {
		event := id.New(id.Event)
		w.delivery(t, e.ID, event, notify.Failed, start)
		w.delivery(t, e.ID, event, notify.DeadLetter, start)
	}
	w.delivery(t, e.ID, "evt_fine", notify.Succeeded, start)
	w.delivery(t, e.ID, "evt_healed", notify.DeadLetter, start)
	w.delivery(t, e.ID, "evt_healed", notify.Succeeded, start)
	w.delivery(t, w.create(t, account).Endpoint.ID, "evt_elsewhere", notify.DeadLetter, start)
	r := w.all(t, e, notify.Filter{})
	if r.Total != parked || r.State != notify.Running {
		t.Fatalf("%+v", r)
	}
	if _, err := w.RedeliverAll(t.Context(), account, mode, e.ID, notify.Filter{}, nil); fault.Code(err) != "redelivery_running" {
		t.Errorf("a second one: %v", err)
	}
	seen, sent := map[string]bool{}, 0
	for round := 0; w.read(t, r).State == notify.Running; round++ {
		w.carry(t)
		if got := w.read(t, r); got.State == notify.Running && (got.Pending == 0 || got.Pending >= 150 ||
			got.Queued() != int64(len(w.jobs)) || got.Succeeded != int64(sent)) {
			t.Fatalf("round %d, %d jobs: %+v", round, len(w.jobs), got)
		}
		w.tried(t, sent, notify.Succeeded)
		sent = len(w.jobs)
	}
	for _, j := range w.jobs {
		if seen[j.Event] || j.Endpoint != e.ID || j.Redelivery != r.ID || string(j.SealedBody) != "sealed:{}" {
			t.Fatalf("job %+v", j)
		}
		seen[j.Event] = true
	}
	got := w.read(t, r)
	if got.State != notify.Done || got.Succeeded != parked || got.Pending != 0 || len(seen) != parked || got.EndedAt.IsZero() {
		t.Errorf("%d events: %+v", len(seen), got)
	}
	if again := w.all(t, e, notify.Filter{}); again.Total != 0 {
		t.Errorf("nothing is left: %+v", again)
	}
}

// TestStuckRedeliveriesHoldNobodyUp: if more redeliveries than one round takes wait for
// endpoints that do not answer, the one after them gets its turn in the next round.
func TestStuckRedeliveriesHoldNobodyUp(t *testing.T) { onEach(t, testStuckRedeliveries) }

func testStuckRedeliveries(t *testing.T, store string) {
	w := newWorld(t, store)
	const stuck = 105
	for i := range stuck {
		of := fmt.Sprintf("acct_%d", i)
		e := w.create(t, of).Endpoint
		for range 2 {
			d := notify.Delivery{ID: id.New(id.Delivery), Account: of, Mode: mode, Endpoint: e.ID, Event: id.New(id.Event),
				EventType: "payment.succeeded",
				Attempt:   1, Status: notify.DeadLetter, At: start, SealedBody: []byte("sealed:{}")}
			if err := w.store.RecordDelivery(t.Context(), d, nil); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := w.RedeliverAll(t.Context(), of, mode, e.ID, notify.Filter{}, nil); err != nil {
			t.Fatal(err)
		}
	}
	w.carry(t) // all is queued, and nothing of it is tried
	queued := len(w.jobs)
	if queued != 2*stuck {
		t.Fatalf("%d jobs", queued)
	}
	e := w.create(t, account).Endpoint
	w.delivery(t, e.ID, id.New(id.Event), notify.DeadLetter, start)
	r := w.all(t, e, notify.Filter{})
	for range 2 {
		if _, err := w.CarryOn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if len(w.jobs) != queued+1 {
		t.Fatalf("%d jobs after two rounds, want %d", len(w.jobs), queued+1)
	}
	w.tried(t, queued, notify.Succeeded)
	w.carry(t)
	if got := w.read(t, r); got.State != notify.Done || got.Succeeded != 1 {
		t.Errorf("%+v", got)
	}
}

// TestBulkRedelivery_CutAtEveryPoint: a crash between the queue and the commit
// repeats the page with the same jobs, so that the queue can drop them, and another
// process goes on where the first ended.
func TestBulkRedelivery_CutAtEveryPoint(t *testing.T) { onEach(t, testBulkRedeliveryCut) }

func testBulkRedeliveryCut(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	e := w.create(t, account).Endpoint
	for range 60 {
		w.delivery(t, e.ID, id.New(id.Event), notify.DeadLetter, start)
	}
	r := w.all(t, e, notify.Filter{Status: notify.DeadLetter})
	w.fail = errors.New("the queue is away")
	if _, err := w.CarryOn(ctx); err == nil || w.read(t, r).Queued() != 0 {
		t.Fatalf("without a queue: %v, %+v", err, w.read(t, r))
	}
	w.fail = nil
	w.store.cut = errors.New("cut")
	if _, err := w.CarryOn(ctx); err == nil || len(w.jobs) != 50 {
		t.Fatalf("%d jobs, %v", len(w.jobs), err)
	}
	first := append([]notify.Job(nil), w.jobs...)
	w.jobs = w.jobs[:20]
	w.tried(t, 0, notify.Succeeded) // they are sent although no row says that they were queued
	w.store.cut, w.jobs = nil, nil
	other := notify.New(notify.Config{Store: w.store, Queue: w, Keys: w.Keys, Now: w.Now})
	if _, err := other.CarryOn(ctx); err != nil || len(w.jobs) != 40 {
		t.Fatalf("%d jobs, %v", len(w.jobs), err)
	}
	for i, j := range w.jobs[:30] {
		if j.Delivery != first[20+i].Delivery || j.Event != first[20+i].Event {
			t.Fatalf("job %d was %+v, is %+v", i, first[20+i], j)
		}
	}
	if got := w.read(t, r); got.Succeeded != 20 || got.Pending != 40 || got.Queued() != 60 {
		t.Errorf("%+v", got)
	}
	w.tried(t, 0, notify.Failed)
	w.carry(t)
	if got := w.read(t, r); got.State != notify.Done || got.Succeeded != 20 || got.Failed != 40 {
		t.Errorf("%+v", got)
	}
}

func TestBulkRedelivery_Filters(t *testing.T) { onEach(t, testBulkRedeliveryFilters) }

func testBulkRedeliveryFilters(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	e := w.create(t, account).Endpoint
	for hour := range 4 {
		w.delivery(t, e.ID, id.New(id.Event), notify.Succeeded, start.Add(time.Duration(hour)*time.Hour))
	}
	w.delivery(t, e.ID, id.New(id.Event), notify.Failed, start)
	for i, c := range []struct {
		filter notify.Filter
		total  int64
	}{
		{notify.Filter{Status: notify.Succeeded}, 4},
		{notify.Filter{Status: notify.Succeeded, From: start.Add(time.Hour)}, 3},
		{notify.Filter{Status: notify.Succeeded, From: start.Add(time.Hour), To: start.Add(2 * time.Hour)}, 1},
		{notify.Filter{Status: notify.Succeeded, EventType: "link.paid"}, 4},
		{notify.Filter{Status: notify.Succeeded, EventType: "link.expired"}, 0},
		{notify.Filter{Status: notify.Failed}, 1},
		{notify.Filter{}, 0},
	} {
		r := w.all(t, e, c.filter)
		if r.Total != c.total {
			t.Errorf("case %d: %d match, want %d", i, r.Total, c.total)
		}
		if _, err := w.CancelRedelivery(ctx, account, mode, e.ID, r.ID); err != nil {
			t.Fatal(err)
		}
	}
	for code, f := range map[string]notify.Filter{"status_invalid": {Status: notify.Pending}, "event_type_unknown": {EventType: "x"},
		"range_invalid": {From: start, To: start}} {
		if _, err := w.RedeliverAll(ctx, account, mode, e.ID, f, nil); fault.Code(err) != code {
			t.Errorf("%v, want %s", err, code)
		}
	}
	list, err := w.Redeliveries(ctx, account, mode, e.ID, "", 3)
	if err != nil || len(list) != 3 || list[0].ID < list[1].ID {
		t.Fatalf("%d, %v", len(list), err)
	}
	if older, err := w.Redeliveries(ctx, account, mode, e.ID, list[2].ID, 10); err != nil || len(older) != 4 {
		t.Errorf("%d older, %v", len(older), err)
	}
}

func TestBulkRedelivery_Ends(t *testing.T) { onEach(t, testBulkRedeliveryEnds) }

func testBulkRedeliveryEnds(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	begin := func() (notify.Endpoint, notify.Redelivery) {
		e := w.create(t, account).Endpoint
		w.delivery(t, e.ID, id.New(id.Event), notify.DeadLetter, start)
		return e, w.all(t, e, notify.Filter{})
	}
	e, r := begin()
	if got, err := w.CancelRedelivery(ctx, account, mode, e.ID, r.ID); err != nil || got.State != notify.Canceled {
		t.Errorf("%+v, %v", got, err)
	}
	w.carry(t)
	if again, err := w.CancelRedelivery(ctx, account, mode, e.ID, r.ID); err != nil || again.State != notify.Canceled || len(w.jobs) != 0 {
		t.Errorf("canceled twice, %d jobs: %+v, %v", len(w.jobs), again, err)
	}
	e, r = begin()
	if err := notify.Disable(ctx, w.store, account, e.ID, notify.ReasonGone, start); err != nil {
		t.Fatal(err)
	}
	_, gone := begin()
	if err := w.Delete(ctx, account, mode, gone.Endpoint); err != nil {
		t.Fatal(err)
	}
	w.carry(t)
	if got := w.read(t, r); got.State != notify.Stopped || got.Reason != notify.ReasonNotEnabled {
		t.Errorf("disabled meanwhile: %+v", got)
	}
	if got := w.read(t, gone); got.State != notify.Stopped || got.Reason != notify.ReasonNoEndpoint || len(w.jobs) != 0 {
		t.Errorf("deleted meanwhile: %+v", got)
	}
	if _, err := w.Redelivery(ctx, "acct_b", mode, e.ID, r.ID); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("another tenant's: %v", err)
	}
	w.now = start.Add(notify.DeliveryLife + time.Second)
	if _, err := w.Prune(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Redelivery(ctx, account, mode, e.ID, r.ID); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("it was pruned: %v", err)
	}
}

// TestRunRedeliveriesGoesOnByItself: a new redelivery is taken up at once.
func TestRunRedeliveriesGoesOnByItself(t *testing.T) {
	w := newWorld(t, sqltest.File(t))
	e := w.create(t, account).Endpoint
	w.delivery(t, e.ID, id.New(id.Event), notify.DeadLetter, start)
	w.store.moved = make(chan notify.Redelivery, 10)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.RunRedeliveries(ctx) }()
	r := w.all(t, e, notify.Filter{})
	if got := <-w.store.moved; got.ID != r.ID || got.Cursor == "" {
		t.Errorf("%+v", got)
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}
