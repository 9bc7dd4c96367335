package notify_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// TestNoEventsIsNotEveryEvent: an empty list of events is refused; only a missing list means
// every event.
func TestNoEventsIsNotEveryEvent(t *testing.T) { onEach(t, testNoEventsIsNotEveryEvent) }

func testNoEventsIsNotEveryEvent(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	made, err := w.Create(ctx, notify.Draft{Account: account, Mode: mode, URL: hook}, nil)
	if err != nil || !slices.Equal(made.Endpoint.Events, []string{notify.All}) {
		t.Fatalf("without a list: %v, %v", made.Endpoint.Events, err)
	}
	narrow := []string{"payment.succeeded"}
	change := notify.Change{Account: account, Mode: mode, ID: made.Endpoint.ID, Events: &narrow}
	if _, err := w.Update(ctx, change); err != nil {
		t.Fatal(err)
	}
	none := []string{}
	change.Events = &none
	if _, err := w.Update(ctx, change); fault.Code(err) != "events_missing" {
		t.Errorf("an empty list: %v", err)
	}
	url := hook + "/new"
	change.Events, change.URL = nil, &url
	if got, err := w.Update(ctx, change); err != nil || !slices.Equal(got.Events, narrow) {
		t.Errorf("a change without a list: %v, %v", got.Events, err)
	}
	if err := w.Handle(ctx, []stream.Event{event(account, "link.paid")}); err != nil || len(w.jobs) != 0 {
		t.Errorf("%d jobs, %v", len(w.jobs), err)
	}
}

// TestStoredEmptyListIsEveryEvent: an earlier version stored every event as an empty list.
func TestStoredEmptyListIsEveryEvent(t *testing.T) { onEach(t, testStoredEmptyListIsEveryEvent) }

func testStoredEmptyListIsEveryEvent(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	for _, events := range [][]string{nil, {}} {
		w.made++
		old := notify.Endpoint{ID: id.New(id.Endpoint), Account: account, Mode: mode, URL: fmt.Sprintf("%s?%d", hook, w.made),
			Events: events, SealedSecret: []byte("sealed:s"), CreatedAt: start}
		if err := w.store.CreateEndpoint(ctx, old, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := w.Get(ctx, account, mode, old.ID); err != nil || !slices.Equal(got.Events, []string{notify.All}) {
			t.Errorf("%v is read as %v, %v", events, got.Events, err)
		}
	}
	if err := w.Handle(ctx, []stream.Event{event(account, "link.paid")}); err != nil || len(w.jobs) != 2 {
		t.Errorf("%d jobs, %v", len(w.jobs), err)
	}
}

// TestOneURLTwice: one URL gets an event once.
func TestOneURLTwice(t *testing.T) { onEach(t, testOneURLTwice) }

func testOneURLTwice(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	create := func(url string, events ...string) (notify.Endpoint, error) {
		r, err := w.Create(ctx, notify.Draft{Account: account, Mode: mode, URL: url, Events: events}, nil)
		return r.Endpoint, err
	}
	update := func(e notify.Endpoint, url string, events ...string) error {
		_, err := w.Update(ctx, notify.Change{Account: account, Mode: mode, ID: e.ID, URL: &url, Events: &events})
		return err
	}
	exists := func(what string, err error, other notify.Endpoint) {
		t.Helper()
		if fault.Code(err) != "endpoint_exists" || fault.From(err).Detail != notify.EndpointExists(other).Detail {
			t.Errorf("%s: %v", what, err)
		}
	}
	first, err := create("https://Bücher.example/hooks", "payment.succeeded", "link.paid")
	if err != nil || first.URL != "https://xn--bcher-kva.example/hooks" {
		t.Fatalf("%q, %v", first.URL, err)
	}
	_, err = create("https://xn--bcher-kva.example/hooks", "link.paid")
	exists("the same event", err, first)
	_, err = create("https://BÜCHER.example/hooks")
	exists("every event", err, first)
	second, err := create("https://bücher.example/hooks", "refund.failed")
	if err != nil {
		t.Fatalf("other events: %v", err)
	}
	exists("an event that the first has", update(second, second.URL, "refund.failed", "link.paid"), first)
	third, err := create("https://other.example/hooks")
	if err != nil {
		t.Fatal(err)
	}
	exists("moved to the URL", update(third, first.URL, notify.All), first)
	if err := update(second, second.URL, "refund.failed", "refund.created"); err != nil {
		t.Errorf("other events again: %v", err)
	}
	if _, err := w.Create(ctx, notify.Draft{Account: account, Mode: "live", URL: first.URL}, nil); err != nil {
		t.Errorf("another mode: %v", err)
	}
	if _, err := w.Create(ctx, notify.Draft{Account: "acct_b", Mode: mode, URL: first.URL}, nil); err != nil {
		t.Errorf("another account: %v", err)
	}
}

// TestOldURLStays: an endpoint whose URL was accepted by older rules can still be changed
// otherwise.
func TestOldURLStays(t *testing.T) {
	w, ctx := newWorld(t, sqltest.File(t)), t.Context()
	old := notify.Endpoint{ID: id.New(id.Endpoint), Account: account, Mode: mode, URL: "https://my_shop.example/",
		Events: []string{notify.All}, SealedSecret: []byte("sealed:s"), CreatedAt: start}
	if err := w.store.CreateEndpoint(ctx, old, nil); err != nil {
		t.Fatal(err)
	}
	events := []string{"link.paid"}
	got, err := w.Update(ctx, notify.Change{Account: account, Mode: mode, ID: old.ID, URL: &old.URL, Events: &events})
	if err != nil || got.URL != old.URL || !slices.Equal(got.Events, events) {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestWhatWasAcceptedIsSent: whatever link is accepted, its event is queued for its webhook,
// and never parked for its size. The stores' suite checks the same bound for its payments.
func TestWhatWasAcceptedIsSent(t *testing.T) {
	w, ctx := newWorld(t, sqltest.File(t)), t.Context()
	account := id.New(id.Account)
	w.create(t, account)
	links := link.NewLocal(link.LocalConfig{Ring: keyring.NewMemory(start), Store: w.store.Store, PublicURL: "https://pay.example",
		Now: func() time.Time { return start }})
	alphabets, seq := slices.Sorted(maps.Keys(storetest.Alphabets)), int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		r := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		request := storetest.LargestRequest(r, account, storetest.Alphabets[rapid.SampledFrom(alphabets).Draw(rt, "alphabet")])
		request.Description = rapid.StringOfN(rapid.Rune(), 0, link.MaxDescriptionChars, -1).Draw(rt, "description")
		for range rapid.IntRange(0, 10).Draw(rt, "values") {
			request.Metadata[rapid.SampledFrom(slices.Sorted(maps.Keys(request.Metadata))).Draw(rt, "key")] = rapid.StringN(0,
				link.MaxMetadataValueChars, -1).Draw(rt, "value")
		}
		if _, err := links.Create(ctx, request); err != nil {
			return // not lawful
		}
		events, err := w.store.Events(ctx, account, mode, seq, 100)
		if err != nil || len(events) != 1 {
			rt.Fatalf("%d events, %v", len(events), err)
		}
		seq, w.jobs = events[0].Seq, nil
		if err := w.Handle(ctx, events); err != nil || len(w.jobs) != 1 {
			rt.Fatalf("%d jobs, %v", len(w.jobs), err)
		}
	})
	if seq == 0 {
		t.Error("no link was lawful")
	}
}

// TestBodyIsEscapedNoMoreThanNeeded: a body holds "<" as one byte, however the event was
// stored.
func TestBodyIsEscapedNoMoreThanNeeded(t *testing.T) {
	e := event(account, "payment.succeeded")
	e.Data = []byte(`{"a":"\u003cb\u003e \u0026 \u00fc \ud83d\ude00 \u2028 \" \\ \n","n":1.50,"big":12345678901234567890,"b":null}`)
	body, err := notify.Body(e)
	if want := `"data":{"a":"<b> & ü 😀 ` + "\u2028" + ` \" \\ \n","n":1.50,"big":12345678901234567890,"b":null}}`; err != nil ||
		!strings.HasSuffix(string(body), want) {
		t.Errorf("%s, %v", body, err)
	}
	e.Data = []byte("{\"a\":\"\xff\"}") // nothing of ours, and no reason to stop the feed
	if _, err := notify.Body(e); err != nil {
		t.Error(err)
	}
}
