package webhook_test

import (
	"encoding/json"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/notify/webhook"
)

// TestF17_FailsForDays_Disabled: an endpoint whose tries fail without any success
// for three days is disabled, with an event; enabled again, it is sent to.
func TestF17_FailsForDays_Disabled(t *testing.T) { onEach(t, testF17FailsForDays) }

func testF17FailsForDays(t *testing.T, k keeper) {
	var passed atomic.Int64 // of the clock
	w := newWorld(t, k, func(c *webhook.Config) {
		c.Schedule = []time.Duration{10 * time.Millisecond, time.Hour}
		c.Now = func() time.Time { return time.Now().Add(time.Duration(passed.Load())) }
	})
	var well atomic.Bool
	s := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			rw.WriteHeader(http.StatusBadGateway)
		}
	}))
	e := w.endpoint(s.URL).Endpoint
	w.handle(event(1))
	for range 2 {
		if d := w.next(); d.Status != notify.Failed || d.Request.URL != s.URL || len(d.Request.Headers) != 5 {
			t.Fatalf("%+v", d)
		}
	}
	read := func() notify.Endpoint {
		t.Helper()
		got, err := w.local.Get(t.Context(), account, mode, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if got := read(); !got.Enabled() || got.FailingSince.IsZero() {
		t.Fatalf("%+v", got)
	}
	passed.Store(int64(notify.FailingLimit))
	w.handle(event(2))
	if d := w.next(); d.Status != notify.DeadLetter || d.HTTPStatus != http.StatusBadGateway {
		t.Errorf("%+v", d)
	}
	got := read()
	told, err := w.store.Events(t.Context(), account, mode, 0, 10)
	if err != nil || got.Enabled() || got.DisabledReason != notify.ReasonFailing || len(told) != 1 || told[0].Type != notify.EndpointDisabled {
		t.Fatalf("%+v, told %+v, %v", got, told, err)
	}
	well.Store(true)
	on := true
	if _, err := w.local.Update(t.Context(), notify.Change{Account: account, Mode: mode, ID: e.ID, Enabled: &on}); err != nil {
		t.Fatal(err)
	}
	w.handle(event(3))
	if d := w.next(); d.Status != notify.Succeeded || !read().FailingSince.IsZero() {
		t.Errorf("%+v, failing since %v", d, read().FailingSince)
	}
}

// TestATestEventIsSentOnceAndSigned: even to a disabled endpoint, and whatever its result, the
// endpoint stays as it is.
func TestATestEventIsSentOnceAndSigned(t *testing.T) { onEach(t, testATestEvent) }

func testATestEvent(t *testing.T, k keeper) {
	w := newWorld(t, k, nil)
	type request struct {
		header http.Header
		body   []byte
	}
	heard := make(chan request, 10)
	var status atomic.Int64
	status.Store(http.StatusOK)
	s := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard <- request{r.Header, body}
		rw.WriteHeader(int(status.Load()))
	}))
	e := w.endpoint(s.URL)
	off := false
	if _, err := w.local.Update(t.Context(), notify.Change{Account: account, Mode: mode, ID: e.Endpoint.ID, Enabled: &off}); err != nil {
		t.Fatal(err)
	}
	for code, want := range map[int]notify.Status{http.StatusOK: notify.Succeeded, http.StatusInternalServerError: notify.Failed,
		http.StatusGone: notify.Failed} {
		status.Store(int64(code))
		asked, err := w.local.Test(t.Context(), account, mode, e.Endpoint.ID, "payment.succeeded", nil)
		if err != nil {
			t.Fatal(err)
		}
		got := await.Receive(t, heard)
		verifier, err := standardwebhooks.NewWebhook(e.Secret)
		if err != nil {
			t.Fatal(err)
		}
		var body struct {
			Test bool
			Type string
		}
		if err := verifier.Verify(got.body, got.header); err != nil || json.Unmarshal(got.body, &body) != nil || !body.Test ||
			body.Type != "payment.succeeded" {
			t.Errorf("%v: %s", err, got.body)
		}
		d := w.next()
		for d.Status == notify.Pending {
			d = w.next()
		}
		if d.ID != asked.ID || d.Status != want || !d.NextAt.IsZero() || !d.Test {
			t.Errorf("%d: %+v", code, d)
		}
	}
	after, err := w.local.Get(t.Context(), account, mode, e.Endpoint.ID)
	if err != nil || after.DisabledReason != notify.ReasonManual || !after.FailingSince.IsZero() {
		t.Errorf("%+v, %v", after, err)
	}
}

// TestBulkRedeliverySurvivesARestart: a redelivery begun in one process is carried on in the
// next, and every event is sent once more, each exactly once.
func TestBulkRedeliverySurvivesARestart(t *testing.T) { onEach(t, testBulkRestart) }

func testBulkRestart(t *testing.T, k keeper) {
	w := newWorld(t, k, nil)
	var mu sync.Mutex
	heard := map[string]int{}
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		heard[r.Header.Get(notify.HeaderID)]++
	}))
	e := w.endpoint(s.URL).Endpoint
	const parked = 130
	for range parked {
		d := notify.Delivery{ID: id.New(id.Delivery), Account: account, Mode: mode, Endpoint: e.ID, Event: id.New(id.Event),
			EventType: "link.paid",
			Attempt:   1, Status: notify.DeadLetter, At: time.Now(), SealedBody: []byte("sealed:{}")}
		if err := w.store.Store.RecordDelivery(t.Context(), d, nil); err != nil {
			t.Fatal(err)
		}
	}
	r, err := w.local.RedeliverAll(t.Context(), account, mode, e.ID, notify.Filter{}, nil)
	if err != nil || r.Total != parked {
		t.Fatalf("%+v, %v", r, err)
	}
	if _, err := w.local.CarryOn(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.run()
	for r.State == notify.Running {
		if _, err := w.local.CarryOn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if r, err = w.local.Redelivery(t.Context(), account, mode, e.ID, r.ID); err != nil {
			t.Fatal(err)
		}
		if r.Pending > 0 {
			w.next() // or the record of one that was counted just now; then the next
		}
	}
	mu.Lock()
	defer mu.Unlock()
	if r.State != notify.Done || r.Succeeded != parked || len(heard) != parked {
		t.Errorf("heard %d: %+v", len(heard), r)
	}
	for event, n := range heard {
		if n != 1 {
			t.Errorf("%s came %d times", event, n)
		}
	}
}
