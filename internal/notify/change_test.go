package notify_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/stream"
)

func TestUpdateChangesWhatItNames(t *testing.T) { onEach(t, testUpdateChangesWhatItNames) }

func testUpdateChangesWhatItNames(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	e := w.create(t, account).Endpoint
	change := func(c notify.Change) notify.Endpoint {
		t.Helper()
		c.Account, c.Mode, c.ID = account, mode, e.ID
		got, err := w.Update(ctx, c)
		if err != nil {
			t.Fatal(err)
		}
		read, err := w.Get(ctx, account, mode, e.ID)
		if err != nil || read.Revision != got.Revision || read.URL != got.URL || !slices.Equal(read.Events, got.Events) ||
			read.Enabled() != got.Enabled() {
			t.Fatalf("answered %+v, read %+v, %v", got, read, err)
		}
		return got
	}
	url, events, off, on := "https://other.example/hooks", []string{"refund.failed", "refund.failed"}, false, true
	if got := change(notify.Change{URL: &url}); got.URL != url || len(got.Events) != len(e.Events) {
		t.Errorf("url alone: %+v", got)
	}
	if got := change(notify.Change{Events: &events}); got.URL != url || !slices.Equal(got.Events, []string{"refund.failed"}) {
		t.Errorf("events alone: %+v", got)
	}
	// The filter holds for the very next event.
	if err := w.Handle(ctx, []stream.Event{event(account, "link.paid"), event(account, "refund.failed")}); err != nil ||
		len(w.jobs) != 1 || w.jobs[0].EventType != "refund.failed" {
		t.Errorf("%d jobs, %v", len(w.jobs), err)
	}
	for n := range int64(2) { // off, on, and again: each time with an event of its own
		if got := change(notify.Change{Enabled: &off}); got.Enabled() || got.DisabledReason != notify.ReasonManual {
			t.Errorf("disabled: %+v", got)
		}
		before := change(notify.Change{Enabled: &off}).Revision
		if again := change(notify.Change{Enabled: &off}); again.Revision != before {
			t.Error("the same once more is a change")
		}
		if got := change(notify.Change{Enabled: &on}); !got.Enabled() || got.DisabledReason != "" {
			t.Errorf("enabled: %+v", got)
		}
		told, err := w.store.Events(ctx, account, mode, n, 10)
		if err != nil || len(told) != 1 || told[0].Type != notify.EndpointDisabled || told[0].ObjectSeq != n+1 {
			t.Errorf("round %d: %+v, %v", n, told, err)
		}
	}
	bad, none := "ftp://example.com", []string{"no.such"}
	for code, c := range map[string]notify.Change{"url_not_https": {URL: &bad}, "event_type_unknown": {Events: &none}} {
		c.Account, c.Mode, c.ID = account, mode, e.ID
		if _, err := w.Update(ctx, c); fault.Code(err) != code {
			t.Errorf("%v, want %s", err, code)
		}
	}
	if _, err := w.Update(ctx, notify.Change{Account: "acct_b", Mode: mode, ID: e.ID,
		Enabled: &off}); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("another tenant's: %v", err)
	}
}

// TestFailingSince: the first failed try after a success starts it, a success ends
// it; what was not sent, and tests, say nothing.
func TestFailingSince(t *testing.T) { onEach(t, testFailingSince) }

func testFailingSince(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	e := w.create(t, account).Endpoint
	sent := notify.Request{URL: hook, Headers: []notify.Header{{Name: "webhook-id", Value: "evt_1"}}}
	try := func(status notify.Status, after time.Duration, r notify.Request, test bool) time.Time {
		t.Helper()
		d := notify.Delivery{ID: id.New(id.Delivery), Account: account, Mode: mode, Endpoint: e.ID, Event: id.New(id.Event),
			EventType: "link.paid",
			Attempt:   1, Status: status, At: start.Add(after), Request: r, Test: test, SealedBody: []byte("sealed:{}")}
		if err := w.store.RecordDelivery(ctx, d, nil); err != nil {
			t.Fatal(err)
		}
		got, err := w.Get(ctx, account, mode, e.ID)
		if err != nil {
			t.Fatal(err)
		}
		if kept, err := w.Delivery(ctx, account, mode, e.ID, d.ID); err != nil || kept.Request.URL != r.URL ||
			string(kept.Body) != "{}" || kept.Test != test {
			t.Errorf("kept %+v, %v", kept, err)
		}
		return got.FailingSince
	}
	for i, c := range []struct {
		status notify.Status
		sent   notify.Request
		test   bool
		after  time.Duration
		want   time.Time
	}{
		{notify.Succeeded, sent, false, 0, time.Time{}},
		{notify.DeadLetter, notify.Request{}, false, time.Minute, time.Time{}},
		{notify.Failed, sent, true, time.Minute, time.Time{}},
		{notify.Failed, sent, false, time.Hour, start.Add(time.Hour)},
		{notify.DeadLetter, sent, false, 2 * time.Hour, start.Add(time.Hour)},
		{notify.Succeeded, sent, true, 3 * time.Hour, start.Add(time.Hour)},
		{notify.Succeeded, sent, false, 4 * time.Hour, time.Time{}},
		{notify.Failed, sent, false, 5 * time.Hour, start.Add(5 * time.Hour)},
	} {
		if got := try(c.status, c.after, c.sent, c.test); !got.Equal(c.want) {
			t.Errorf("try %d: failing since %v, want %v", i, got, c.want)
		}
	}
	early, late := start.Add(5*time.Hour+notify.FailingLimit-time.Second), start.Add(5*time.Hour+notify.FailingLimit)
	for _, now := range []time.Time{early, late} {
		if err := notify.Disable(ctx, w.store, account, e.ID, notify.ReasonFailing, now); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Get(ctx, account, mode, e.ID); err != nil || got.Enabled() != now.Equal(early) {
			t.Errorf("at %v: %+v, %v", now, got, err)
		}
	}
	on := true
	got, err := w.Update(ctx, notify.Change{Account: account, Mode: mode, ID: e.ID, Enabled: &on})
	if err != nil || !got.Enabled() || !got.FailingSince.IsZero() {
		t.Errorf("enabled again: %+v, %v", got, err)
	}
}

// TestRotationMeetsAChange: a delivery that begins to fail, or a change, at the same moment
// does not keep a merchant from a new secret; another rotation does.
func TestRotationMeetsAChange(t *testing.T) { onEach(t, testRotationMeetsAChange) }

func testRotationMeetsAChange(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	old := w.create(t, account)
	e := old.Endpoint
	w.store.between = func() {
		d := notify.Delivery{ID: id.New(id.Delivery), Account: account, Mode: mode, Endpoint: e.ID, Event: id.New(id.Event),
			EventType: "link.paid",
			Attempt:   1, Status: notify.Failed, At: start.Add(time.Hour), Request: notify.Request{URL: hook}, SealedBody: []byte("sealed:{}")}
		if err := w.store.RecordDelivery(ctx, d, nil); err != nil {
			t.Fatal(err)
		}
		events := []string{"link.paid"}
		if _, err := w.Update(ctx, notify.Change{Account: account, Mode: mode, ID: e.ID, Events: &events}); err != nil {
			t.Fatal(err)
		}
	}
	fresh, err := w.Rotate(ctx, account, mode, e.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := w.Get(ctx, account, mode, e.ID)
	if err != nil || got.Revision != fresh.Endpoint.Revision || !got.FailingSince.Equal(start.Add(time.Hour)) || len(got.Events) != 1 {
		t.Errorf("what came between is lost: %+v, %v", got, err)
	}
	if !bytes.Equal(got.PreviousSealedSecret, e.SealedSecret) || bytes.Equal(got.SealedSecret, e.SealedSecret) {
		t.Error("the secrets did not change places")
	}
	w.store.between = func() {
		if _, err := w.Rotate(ctx, account, mode, e.ID, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.Rotate(ctx, account, mode, e.ID, nil); fault.Code(err) != "endpoint_changed" {
		t.Errorf("the later of two rotations: %v", err)
	}
	if last, err := w.Get(ctx, account, mode, e.ID); err != nil || !bytes.Equal(last.PreviousSealedSecret, got.SealedSecret) {
		t.Errorf("the receiver's secret is gone: %+v, %v", last, err)
	}
}

func TestTestEvents(t *testing.T) { onEach(t, testTestEvents) }

func testTestEvents(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	e := w.create(t, account).Endpoint
	off := false
	if _, err := w.Update(ctx, notify.Change{Account: account, Mode: mode, ID: e.ID, Enabled: &off}); err != nil {
		t.Fatal(err)
	}
	for _, kind := range append([]string{""}, notify.EventTypes()...) {
		d, err := w.Test(ctx, account, mode, e.ID, kind, nil)
		if err != nil || d.Status != notify.Pending || !d.Test {
			t.Fatalf("%s: %+v, %v", kind, d, err)
		}
		job := w.jobs[len(w.jobs)-1]
		shown, err := w.Delivery(ctx, account, mode, e.ID, d.ID)
		var body struct {
			ID, Type, Mode string
			Test           bool
			Seq            int64
			Data           map[string]any
		}
		if err != nil || json.Unmarshal(shown.Body, &body) != nil || !job.Test || job.Delivery != d.ID {
			t.Fatalf("%s: %s %+v %v", kind, shown.Body, job, err)
		}
		if kind == "" {
			kind = notify.TestPing
		}
		if body.Type != kind || !body.Test || body.Seq != 0 || body.ID != d.Event || body.Mode != mode || body.Data == nil {
			t.Errorf("%s: %s", kind, shown.Body)
		}
		if _, err := w.Redeliver(ctx, account, mode, e.ID, d.ID, nil); fault.Code(err) != "endpoint_disabled" {
			t.Errorf("redeliver of a test to a disabled endpoint: %v", err)
		}
	}
	if told, err := w.store.Events(ctx, account, mode, 0, 100); err != nil || len(told) != 1 { // that it was disabled
		t.Errorf("%d events in the feed, %v", len(told), err)
	}
	if _, err := w.Test(ctx, account, mode, e.ID, "*", nil); fault.Code(err) != "event_type_unknown" {
		t.Errorf("%v", err)
	}
	if n, err := w.store.CountDeadLetters(ctx); n != 0 || err != nil {
		t.Errorf("%d parked, %v", n, err)
	}
}

// TestSamplesLookLikeTheRealThings: a sample has the members of a real object.
func TestSamplesLookLikeTheRealThings(t *testing.T) {
	w := newWorld(t, sqltest.File(t))
	e := w.create(t, account).Endpoint
	p := payment.Payment{ID: id.New(id.Payment), Link: id.New(id.Link), Amount: money.Of(1250, "EUR"), Status: payment.Declined,
		DeclineCode: "x", DeclineMessage: "y",
		CardBrand: "visa", CardLast4: "4242", PayerName: "A", PayerEmail: "a@example.com", Issuer: "simulator", Reference: "r", Mode: mode}
	for kind, real := range map[string]any{"payment.declined": payment.Object(p),
		"refund.failed": payment.RefundObject(p, payment.Refund{ID: id.New(id.Refund), Status: payment.RefundFailed, Code: "z", Minor: 1})} {
		if _, err := w.Test(t.Context(), account, mode, e.ID, kind, nil); err != nil {
			t.Fatal(err)
		}
		plain := strings.TrimPrefix(string(w.jobs[len(w.jobs)-1].SealedBody), "sealed:")
		var sent struct{ Data map[string]json.RawMessage }
		var want map[string]json.RawMessage
		raw, err := json.Marshal(real)
		if err != nil || json.Unmarshal(raw, &want) != nil || json.Unmarshal([]byte(plain), &sent) != nil {
			t.Fatal(plain, err)
		}
		for name := range want {
			if sent.Data[name] == nil {
				t.Errorf("%s: the sample has no %s", kind, name)
			}
		}
		for name := range sent.Data {
			if want[name] == nil {
				t.Errorf("%s: only the sample has %s", kind, name)
			}
		}
	}
}
