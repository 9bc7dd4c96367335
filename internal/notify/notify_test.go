package notify_test

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"go.uber.org/goleak"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/stream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	account = "acct_a"
	mode    = "test"
	hook    = "https://hooks.example.com/paylink"
)

var start = time.Date(2026, 3, 4, 5, 6, 7, 89_000_000, time.UTC)

// world is a Local on a real store, with a queue that remembers.
type world struct {
	*notify.Local
	store *counting
	jobs  []notify.Job
	fail  error
	now   time.Time
	open  ed25519.PublicKey
	made  int // endpoints
}

// counting counts the reads that Handle may not make for every account, and records the size of
// each batch that is pruned.
type counting struct {
	*sqlstore.Store
	owners, endpoints int
	pruned            chan int
	cut               error // instead of a redelivery's commit
	moved             chan notify.Redelivery
	between           func() // once, between a change's read and its write
}

func (c *counting) UpdateEndpoint(ctx context.Context, e notify.Endpoint, events []stream.Event, r *idempotency.Record) error {
	if first := c.between; first != nil {
		c.between = nil
		first()
	}
	return c.Store.UpdateEndpoint(ctx, e, events, r)
}

func (c *counting) UpdateRedelivery(ctx context.Context, r notify.Redelivery, pending []notify.Delivery) error {
	if c.cut != nil {
		return c.cut
	}
	err := c.Store.UpdateRedelivery(ctx, r, pending)
	if c.moved != nil && err == nil {
		c.moved <- r
	}
	return err
}

func (c *counting) PruneDeliveries(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := c.Store.PruneDeliveries(ctx, before, limit)
	if c.pruned != nil {
		c.pruned <- n
	}
	return n, err
}

func (c *counting) Owners(ctx context.Context) ([]notify.Owner, error) {
	c.owners++
	return c.Store.Owners(ctx)
}

func (c *counting) Endpoints(ctx context.Context, account, mode string) ([]notify.Endpoint, error) {
	c.endpoints++
	return c.Store.Endpoints(ctx, account, mode)
}

func (w *world) Enqueue(_ context.Context, jobs []notify.Job) error {
	if w.fail != nil {
		return w.fail
	}
	w.jobs = append(w.jobs, jobs...)
	return nil
}

// onEach runs the test on each engine, with the URL of an empty store.
func onEach(t *testing.T, test func(t *testing.T, store string)) {
	t.Helper()
	t.Run("SQLite", func(t *testing.T) { test(t, sqltest.File(t)) })
	t.Run("PostgreSQL", func(t *testing.T) { test(t, pgtest.Database(t)) })
}

func newWorld(t testing.TB, url string) *world {
	t.Helper()
	open, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{store: &counting{Store: sqltest.Open(t, url)}, now: start, open: open}
	w.Local = notify.New(notify.Config{Store: w.store, Queue: w, Now: func() time.Time { return w.now }, Keys: notify.Keys{
		Seal: func(b []byte) []byte { return append([]byte("sealed:"), b...) },
		Unseal: func(b []byte) ([]byte, error) {
			plain, ok := bytes.CutPrefix(b, []byte("sealed:"))
			if !ok {
				return nil, errors.New("not sealed")
			}
			return plain, nil
		},
		Sign: func(m []byte) []byte { return ed25519.Sign(private, m) },
	}})
	return w
}

func (w *world) create(t testing.TB, account string, events ...string) notify.Revealed {
	t.Helper()
	w.made++ // a URL of its own for each, or it would double another
	r, err := w.Create(t.Context(), notify.Draft{Account: account, Mode: mode, URL: fmt.Sprintf("%s?%d", hook, w.made), Events: events}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func event(account, eventType string) stream.Event {
	return stream.Event{
		ID: id.New(id.Event), Type: eventType, Account: account, Mode: mode, Object: "pay_1",
		Seq: 7, ObjectSeq: 2, CreatedAt: start, Data: json.RawMessage(`{"id":"pay_1","object":"payment"}`),
	}
}

func TestCreateRules(t *testing.T) { onEach(t, testCreateRules) }

func testCreateRules(t *testing.T, store string) {
	w := newWorld(t, store)
	for i, c := range []struct {
		name, url string
		events    []string
		code      string
	}{
		{"good", hook, nil, ""},
		{"no events", hook, []string{}, "events_missing"},
		{"port 0", "https://example.com:0/", nil, "url_invalid"},
		{"port 65536", "https://example.com:65536/", nil, "url_invalid"},
		{"port 65535", "https://example.com:65535/", nil, ""},
		{"port 99999", "https://example.com:99999/", nil, "url_invalid"},
		{"empty label", "https://a..b/", nil, "url_invalid"},
		{"dot at the end", "https://example.com./", nil, "url_invalid"},
		{"dot alone", "https://./", nil, "url_invalid"},
		{"short address", "https://1.2.3/", nil, "url_invalid"},
		{"public address", "https://8.8.8.8/", nil, ""},
		{"public v6", "https://[2606:4700:4700::1111]:8443/", nil, ""},
		{"v6 with a port of 0", "https://[2606:4700:4700::1111]:0/", nil, "url_invalid"},
		{"wide space", "https://example.com/\u00a0", nil, "url_invalid"},
		{"not UTF-8", "https://example.com/\xff", nil, "url_invalid"},
		{"port and query", "https://example.com:8443/a?b=c", []string{"payment.succeeded"}, ""},
		{"everything", hook, []string{"*"}, ""},
		{"empty", "", nil, "parameter_missing"},
		{"plain http", "http://example.com/", nil, "url_not_https"},
		{"other scheme", "ftp://example.com/", nil, "url_not_https"},
		{"relative", "/hooks", nil, "url_invalid"},
		{"no host", "https:///hooks", nil, "url_invalid"},
		{"space", "https://example.com/a b", nil, "url_invalid"},
		{"credentials", "https://u:p@example.com/", nil, "url_has_credentials"},
		{"card", "https://example.com/?c=4111111111111111", nil, "card_number_in_text"},
		{"fragment", "https://example.com/#a", nil, "url_has_fragment"},
		{"empty fragment", "https://example.com/#", nil, "url_has_fragment"},
		{"long", "https://example.com/" + strings.Repeat("a", 2048-19), nil, "url_too_long"},
		{"longest", "https://example.com/" + strings.Repeat("a", 2048-20), nil, ""},
		{"loopback", "https://127.0.0.1/", nil, "url_not_public"},
		{"metadata", "https://169.254.169.254/latest", nil, "url_not_public"},
		{"loopback v6", "https://[::1]/", nil, "url_not_public"},
		{"unknown type", hook, []string{"payment.exploded"}, "event_type_unknown"},
		{"unknown beside all", hook, []string{"*", "nope"}, "event_type_unknown"},
	} {
		_, err := w.Create(t.Context(), notify.Draft{Account: fmt.Sprintf("%s%d", account, i), Mode: mode, URL: c.url, Events: c.events}, nil)
		if got := fault.Code(err); got != c.code {
			t.Errorf("%s: code %q, want %q (%v)", c.name, got, c.code, err)
		}
	}
	w.AllowPrivate = true
	if _, err := w.Create(t.Context(), notify.Draft{Account: account, Mode: mode, URL: "http://127.0.0.1:9/x"}, nil); err != nil {
		t.Errorf("private webhooks allowed: %v", err)
	}
}

func TestEndpointsOfAnOwner(t *testing.T) { onEach(t, testEndpointsOfAnOwner) }

func testEndpointsOfAnOwner(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	var ids []string
	for range notify.MaxEndpoints {
		ids = append([]string{w.create(t, account, "link.paid", "link.paid").Endpoint.ID}, ids...)
	}
	if _, err := w.Create(ctx, notify.Draft{Account: account, Mode: mode, URL: "https://example.com/17"},
		nil); fault.Code(err) != "too_many_endpoints" {
		t.Errorf("the 17th: %v", err)
	}
	if _, err := w.Create(ctx, notify.Draft{Account: account, Mode: "live", URL: hook}, nil); err != nil {
		t.Errorf("another mode has its own limit: %v", err)
	}
	all, err := w.List(ctx, account, mode)
	if err != nil || len(all) != len(ids) {
		t.Fatalf("list: %d, %v", len(all), err)
	}
	for i, e := range all {
		if e.ID != ids[i] || len(e.Events) != 1 || !e.CreatedAt.Equal(start) {
			t.Fatalf("endpoint %d of the list: %+v", i, e)
		}
	}
	for name, err := range map[string]error{
		"other account": w.Delete(ctx, "acct_b", mode, ids[0]),
		"other mode":    w.Delete(ctx, account, "live", ids[0]),
		"unknown":       w.Delete(ctx, account, mode, id.New(id.Endpoint)),
	} {
		if fault.KindOf(err) != fault.KindNotFound {
			t.Errorf("delete, %s: %v", name, err)
		}
	}
	if err := w.Delete(ctx, account, mode, ids[0]); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Get(ctx, account, mode, ids[0]); fault.Code(err) != "not_found" {
		t.Errorf("deleted: %v", err)
	}
}

func TestCreateIsIdempotent(t *testing.T) { onEach(t, testCreateIsIdempotent) }

func testCreateIsIdempotent(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	ticket := &idempotency.Ticket{
		Record: idempotency.Record{Scope: account, Key: "k", Fingerprint: []byte("f"), Status: 200},
		Render: func(o any) ([]byte, error) { return []byte(o.(notify.Revealed).Secret), nil },
	}
	draft := notify.Draft{Account: account, Mode: mode, URL: hook}
	first, err := w.Create(ctx, draft, ticket)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := w.store.GetIdempotency(ctx, account, "k")
	if err != nil || kept == nil || string(kept.Answer) != first.Secret {
		t.Fatalf("record: %+v, %v", kept, err)
	}
	if _, err := w.Create(ctx, draft, ticket); !errors.Is(err, idempotency.ErrRaced) {
		t.Errorf("the same key again: %v", err)
	}
	if all, _ := w.List(ctx, account, mode); len(all) != 1 {
		t.Errorf("%d endpoints", len(all))
	}
	if err := w.store.CreateEndpoint(ctx, first.Endpoint, kept); err != nil {
		t.Errorf("a commit sent again: %v", err)
	}
}

func headers(h notify.Headers) http.Header {
	out := http.Header{}
	out.Set(notify.HeaderID, h.ID)
	out.Set(notify.HeaderTimestamp, h.Timestamp)
	out.Set(notify.HeaderSignature, h.Signature)
	return out
}

func TestRotationOverlapIsVerifiedByThePublishedLibrary(t *testing.T) {
	onEach(t, testRotationOverlapIsVerifiedByThePublishedLibrary)
}

func testRotationOverlapIsVerifiedByThePublishedLibrary(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	w.now = time.Now()
	old := w.create(t, account)
	fresh, err := w.Rotate(ctx, account, mode, old.Endpoint.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(fresh.Secret, notify.SecretPrefix))
	if err != nil || len(raw) != notify.SecretBytes || fresh.Secret == old.Secret {
		t.Fatalf("secret %q: %v", fresh.Secret, err)
	}
	e, err := w.Get(ctx, account, mode, old.Endpoint.ID)
	if err != nil || e.Revision != fresh.Endpoint.Revision {
		t.Fatalf("%+v, %v", e, err)
	}
	verify := func(secret string, payload []byte, h notify.Headers) error {
		wh, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		return wh.VerifyIgnoringTimestamp(payload, headers(h))
	}
	payload := []byte(`{"id":"evt_1"}`)
	h, err := w.Keys.SignFor(e, "evt_1", w.now, payload)
	if err != nil {
		t.Fatal(err)
	}
	signatures := strings.Split(h.Signature, " ")
	if len(signatures) != 3 || !strings.HasPrefix(signatures[2], "v1a,") {
		t.Fatalf("while rolling: %q", h.Signature)
	}
	asymmetric, err := base64.StdEncoding.DecodeString(signatures[2][len("v1a,"):])
	if err != nil || !ed25519.Verify(w.open, []byte("evt_1."+h.Timestamp+`.{"id":"evt_1"}`), asymmetric) {
		t.Errorf("Ed25519 signature does not verify: %v", err)
	}
	for name, secret := range map[string]string{"old": old.Secret, "new": fresh.Secret} {
		if err := verify(secret, payload, h); err != nil {
			t.Errorf("%s secret: %v", name, err)
		}
		if verify(secret, []byte(`{"id":"evt_2"}`), h) == nil {
			t.Errorf("%s secret verifies an altered body", name)
		}
	}
	later, err := w.Keys.SignFor(e, "evt_1", w.now.Add(notify.RotationOverlap), payload)
	if err != nil {
		t.Fatal(err)
	}
	if verify(fresh.Secret, payload, later) != nil || verify(old.Secret, payload, later) == nil {
		t.Errorf("after the overlap: %q", later.Signature)
	}
}

func TestBody(t *testing.T) {
	e := event(account, "payment.succeeded")
	e.ID = "evt_1"
	got, err := notify.Body(e)
	const want = `{"id":"evt_1","type":"payment.succeeded","seq":7,"objectSeq":2,"createdAt":"2026-03-04T05:06:07.089Z",` +
		`"mode":"test","data":{"id":"pay_1","object":"payment"}}`
	if err != nil || string(got) != want {
		t.Errorf("got  %s\nwant %s (%v)", got, want, err)
	}
}

func TestHandleQueuesWhatIsSubscribed(t *testing.T) { onEach(t, testHandleQueuesWhatIsSubscribed) }

func testHandleQueuesWhatIsSubscribed(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	all, some := w.create(t, account), w.create(t, account, "payment.succeeded")
	off := w.create(t, account)
	if err := notify.Disable(ctx, w.store, account, off.Endpoint.ID, notify.ReasonGone, start); err != nil {
		t.Fatal(err)
	}
	paid, created := event(account, "payment.succeeded"), event(account, "link.created")
	live := event(account, "payment.succeeded")
	live.Mode = "live"
	if err := w.Handle(ctx, []stream.Event{paid, created, live, event("acct_other", "link.paid")}); err != nil {
		t.Fatal(err)
	}
	type sent struct{ event, endpoint string }
	want := map[sent]bool{{paid.ID, all.Endpoint.ID}: true, {paid.ID, some.Endpoint.ID}: true, {created.ID, all.Endpoint.ID}: true}
	for _, j := range w.jobs {
		if !want[sent{j.Event, j.Endpoint}] || j.Account != account || j.Mode != mode {
			t.Errorf("unexpected job %+v", j)
		}
		delete(want, sent{j.Event, j.Endpoint})
	}
	if len(want) != 0 {
		t.Errorf("not queued: %v", want)
	}
	w.fail = errors.New("disk full")
	if err := w.Handle(ctx, []stream.Event{paid}); !errors.Is(err, w.fail) {
		t.Errorf("a failed queue must hold the checkpoint back: %v", err)
	}
}

func TestHandleReadsSeldom(t *testing.T) { onEach(t, testHandleReadsSeldom) }

func testHandleReadsSeldom(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	batch := make([]stream.Event, 500)
	for i := range batch {
		batch[i] = event(id.New(id.Account), "payment.created")
	}
	for range 4 {
		if err := w.Handle(ctx, batch); err != nil {
			t.Fatal(err)
		}
	}
	if w.store.owners != 1 || w.store.endpoints != 0 {
		t.Errorf("2000 events of nobody: %d and %d reads", w.store.owners, w.store.endpoints)
	}
	// A change in this process is visible at once, although the clock does not move.
	w.create(t, account)
	mine := []stream.Event{event(account, "link.paid"), event(account, "link.paid")}
	if err := w.Handle(ctx, mine); err != nil || len(w.jobs) != 2 || w.store.endpoints != 1 {
		t.Errorf("%d jobs, %d reads, %v", len(w.jobs), w.store.endpoints, err)
	}
	// A change in another process is visible within a second.
	elsewhere := notify.Endpoint{ID: id.New(id.Endpoint), Account: "acct_c", Mode: mode, URL: hook, SealedSecret: []byte("s"),
		CreatedAt: start}
	if err := w.store.CreateEndpoint(ctx, elsewhere, nil); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		after time.Duration
		jobs  int
	}{{0, 2}, {999 * time.Millisecond, 2}, {time.Second, 3}, {-time.Hour, 4}} {
		w.now = start.Add(c.after)
		if err := w.Handle(ctx, []stream.Event{event("acct_c", "link.paid")}); err != nil || len(w.jobs) != c.jobs {
			t.Errorf("after %v: %d jobs, want %d, %v", c.after, len(w.jobs), c.jobs, err)
		}
	}
}

func TestTooLargeIsParkedOnce(t *testing.T) { onEach(t, testTooLargeIsParkedOnce) }

func testTooLargeIsParkedOnce(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	e := w.create(t, account).Endpoint
	large := event(account, "payment.succeeded")
	large.Data = json.RawMessage(`"` + strings.Repeat("x", notify.MaxPayloadBytes) + `"`)
	for range 2 {
		if err := w.Handle(ctx, []stream.Event{large, event(account, "link.paid")}); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.Deliveries(ctx, account, mode, e.ID, notify.DeliveryQuery{Limit: 10})
	if err != nil || len(got) != 1 || got[0].Status != notify.DeadLetter || !strings.HasPrefix(got[0].Error, "payload_too_large: ") {
		t.Fatalf("%+v, %v", got, err)
	}
	if len(w.jobs) != 2 {
		t.Errorf("%d jobs: the next event must go out", len(w.jobs))
	}
	if _, err := w.Redeliver(ctx, account, mode, e.ID, got[0].ID, nil); fault.Code(err) != "delivery_not_repeatable" {
		t.Errorf("redeliver: %v", err)
	}
}

func TestDeliveriesAndRedeliver(t *testing.T) { onEach(t, testDeliveriesAndRedeliver) }

func testDeliveriesAndRedeliver(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	e := w.create(t, account).Endpoint
	var ids []string
	for i := range 5 {
		d := notify.Delivery{ID: id.New(id.Delivery), Account: account, Mode: mode, Endpoint: e.ID, Event: "evt_1", EventType: "link.paid",
			Attempt: i + 1, Status: notify.Failed, HTTPStatus: 500, Answer: "no", Error: "http_status: 500", DurationMs: 12,
			At: start, NextAt: start.Add(time.Minute), SealedBody: []byte("sealed:{}")}
		if err := w.store.RecordDelivery(ctx, d, nil); err != nil {
			t.Fatal(err)
		}
		ids = append([]string{d.ID}, ids...)
	}
	var seen []string
	for before := ""; ; before = seen[len(seen)-1] {
		page, err := w.Deliveries(ctx, account, mode, e.ID, notify.DeliveryQuery{Before: before, Limit: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range page {
			seen = append(seen, d.ID)
		}
		if len(page) < 2 {
			break
		}
	}
	if strings.Join(seen, " ") != strings.Join(ids, " ") {
		t.Errorf("paged %v, want %v", seen, ids)
	}
	if _, err := w.Deliveries(ctx, account, mode, e.ID, notify.DeliveryQuery{Before: "dlv_x", Limit: 2}); fault.Code(err) != "cursor_invalid" {
		t.Errorf("bad cursor: %v", err)
	}
	again, err := w.Redeliver(ctx, account, mode, e.ID, ids[0], nil)
	if err != nil || again.Status != notify.Pending || again.ID == ids[0] {
		t.Fatalf("%+v, %v", again, err)
	}
	if len(w.jobs) != 1 || w.jobs[0].Delivery != again.ID || w.jobs[0].Event != "evt_1" || string(w.jobs[0].SealedBody) != "sealed:{}" {
		t.Errorf("job %+v", w.jobs)
	}
	done := again
	done.Status, done.Attempt, done.NextAt = notify.Succeeded, 1, time.Time{}
	for _, d := range []notify.Delivery{done, again} { // the pending row may be written last
		if err := w.store.RecordDelivery(ctx, d, nil); err != nil {
			t.Fatal(err)
		}
	}
	if d, err := w.store.Delivery(ctx, account, again.ID); err != nil || d.Status != notify.Succeeded || string(d.SealedBody) != "sealed:{}" {
		t.Errorf("%+v, %v", d, err)
	}
	for name, call := range map[string][2]string{"other account": {"acct_b", ids[0]}, "unknown": {account, id.New(id.Delivery)}} {
		if _, err := w.Redeliver(ctx, call[0], mode, e.ID, call[1], nil); fault.KindOf(err) != fault.KindNotFound {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestDisableTellsTheOthersOnce(t *testing.T) { onEach(t, testDisableTellsTheOthersOnce) }

func testDisableTellsTheOthersOnce(t *testing.T, store string) {
	w, ctx := newWorld(t, store), t.Context()
	e := w.create(t, account).Endpoint
	for range 2 {
		if err := notify.Disable(ctx, w.store, account, e.ID, notify.ReasonGone, start); err != nil {
			t.Fatal(err)
		}
	}
	got, err := w.Get(ctx, account, mode, e.ID)
	if err != nil || got.Enabled() || got.DisabledReason != "gone" {
		t.Fatalf("%+v, %v", got, err)
	}
	events, err := w.store.Events(ctx, account, mode, 0, 10)
	if err != nil || len(events) != 1 || events[0].Type != "endpoint.disabled" || events[0].Seq != 1 {
		t.Fatalf("%+v, %v", events, err)
	}
	shown, err := json.Marshal(notify.Object(got)) // what the API answers
	if err != nil || string(shown) != string(events[0].Data) || !strings.Contains(string(shown), `"status":"disabled"`) {
		t.Errorf("the event shows %s, the API %s", events[0].Data, shown)
	}
	if strings.Contains(string(events[0].Data), "ecret") || !strings.Contains(string(events[0].Data), `"disabledReason":"gone"`) {
		t.Errorf("data: %s", events[0].Data)
	}
	if err := w.store.UpdateEndpoint(ctx, e, nil, nil); !errors.Is(err, notify.ErrConflict) {
		t.Errorf("an older revision: %v", err)
	}
}

func TestPublicAddress(t *testing.T) {
	for _, s := range []string{"8.8.8.8", "1.1.1.1", "93.184.215.14", "172.32.0.1", "100.128.0.1", "2606:4700:4700::1111",
		"2a00:1450:4001::1"} {
		if !notify.PublicAddress(netip.MustParseAddr(s)) {
			t.Errorf("%s is public", s)
		}
	}
	for _, s := range []string{
		"0.0.0.0", "0.1.2.3", "10.0.0.1", "100.64.0.1", "100.100.100.200", "127.0.0.1", "127.9.9.9", "168.63.129.16", "169.254.169.254",
		"172.16.0.1", "172.31.255.255", "192.0.0.192", "192.0.2.1", "192.88.99.1", "192.168.1.1", "198.18.0.1", "198.19.255.255",
		"198.51.100.1", "203.0.113.9", "224.0.0.1", "239.1.1.1", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "::127.0.0.1", "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::1", "100::1",
		"2001::1", "2001:2::1", "2001:10::1", "2001:20::1", "2001:db8::1", "2002:7f00:1::", "3fff::1", "5f00::1", "fc00::1", "fd00:ec2::254",
		"fe80::1", "fe80::1%eth0", "2606:4700::1%eth0", "fec0::1", "ff02::1", "4000::1",
	} {
		if notify.PublicAddress(netip.MustParseAddr(s)) {
			t.Errorf("%s is not public", s)
		}
	}
	if notify.PublicAddress(netip.Addr{}) {
		t.Error("the zero address is not public")
	}
}

func BenchmarkHandleWithoutEndpoints(b *testing.B) {
	w := newWorld(b, sqltest.File(b))
	batch := make([]stream.Event, 500)
	for i := range batch {
		batch[i] = event(id.New(id.Account), "payment.created")
	}
	for b.Loop() {
		if err := w.Handle(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*len(batch)), "ns/event")
}
