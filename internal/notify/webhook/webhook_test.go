package webhook_test

import (
	"context"
	"database/sql"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/notify/webhook"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/stream"
)

func serve(t *testing.T, h http.Handler) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

// once is a configuration with a single, short try.
func once(c *webhook.Config) {
	c.Schedule = []time.Duration{}
	c.Timeout = 300 * time.Millisecond
}

func TestF17_Answers500_Retried(t *testing.T) { onEach(t, testF17_Answers500_Retried) }

func testF17_Answers500_Retried(t *testing.T, k keeper) {
	w := newWorld(t, k, nil)
	s := serve(t, answers(500, 503))
	e := w.endpoint(s.URL).Endpoint
	w.handle(event(1))
	ids := map[string]bool{}
	for i, want := range []struct {
		status     notify.Status
		httpStatus int
	}{{notify.Failed, 500}, {notify.Failed, 503}, {notify.Succeeded, 200}} {
		d := w.next()
		if d.Status != want.status || d.HTTPStatus != want.httpStatus || d.Attempt != i+1 ||
			d.NextAt.IsZero() != (want.status == notify.Succeeded) {
			t.Errorf("try %d: %+v", i+1, d)
		}
		ids[d.ID] = true
	}
	list, err := w.local.Deliveries(t.Context(), account, mode, e.ID, notify.DeliveryQuery{Limit: 10})
	if err != nil || len(list) != 3 || len(ids) != 3 || list[0].Status != notify.Succeeded {
		t.Errorf("one row per try: %+v, %v", list, err)
	}
}

func TestF17_Answers500_ParkedAfterTheLastTry(t *testing.T) {
	onEach(t, testF17_Answers500_ParkedAfterTheLastTry)
}

func testF17_Answers500_ParkedAfterTheLastTry(t *testing.T, k keeper) {
	w := newWorld(t, k, nil)
	s := serve(t, answers(500, 500, 500, 500))
	w.endpoint(s.URL)
	w.handle(event(1))
	for range 2 {
		if d := w.next(); d.Status != notify.Failed {
			t.Errorf("%+v", d)
		}
	}
	d := w.next()
	if d.Status != notify.DeadLetter || d.Attempt != 3 || !d.NextAt.IsZero() || !strings.HasPrefix(d.Error, "http_status: ") {
		t.Errorf("last: %+v", d)
	}
}

func TestF17_Hangs_Cut(t *testing.T) { onEach(t, testF17_Hangs_Cut) }

func testF17_Hangs_Cut(t *testing.T, k keeper) {
	w := newWorld(t, k, once)
	release := make(chan struct{})
	s := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release) })
	w.endpoint(s.URL)
	w.handle(event(1))
	d := w.next()
	if d.Status != notify.DeadLetter || d.HTTPStatus != 0 || !strings.HasPrefix(d.Error, "timeout: ") || d.DurationMs < 250 {
		t.Errorf("%+v", d)
	}
}

func TestF17_DripsItsBody_Cut(t *testing.T) { onEach(t, testF17_DripsItsBody_Cut) }

func testF17_DripsItsBody_Cut(t *testing.T, k keeper) {
	w := newWorld(t, k, once)
	s := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			_, _ = rw.Write([]byte("."))
			_ = http.NewResponseController(rw).Flush()
			select {
			case <-r.Context().Done():
				return
			case <-tick.C:
			}
		}
	}))
	w.endpoint(s.URL)
	w.handle(event(1))
	d := w.next()
	if d.Status != notify.DeadLetter || d.HTTPStatus != 200 || !strings.HasPrefix(d.Error, "timeout: ") || !strings.HasPrefix(d.Answer, "..") {
		t.Errorf("%+v", d)
	}
}

func TestF17_Redirects_Refused(t *testing.T) { onEach(t, testF17_Redirects_Refused) }

func testF17_Redirects_Refused(t *testing.T, k keeper) {
	w := newWorld(t, k, once)
	var reached atomic.Int64
	target := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	for _, status := range []int{301, 302, 307, 308} {
		s := serve(t, http.RedirectHandler(target.URL, status))
		e := w.endpoint(s.URL).Endpoint
		w.handle(event(1))
		d := w.next()
		if d.Status != notify.DeadLetter || d.HTTPStatus != status || !strings.HasPrefix(d.Error, "redirect_refused: ") {
			t.Errorf("%d: %+v", status, d)
		}
		if err := w.local.Delete(t.Context(), account, mode, e.ID); err != nil {
			t.Fatal(err)
		}
	}
	if reached.Load() != 0 {
		t.Error("a redirect was followed")
	}
}

func TestF17_Answers410_Disabled(t *testing.T) { onEach(t, testF17_Answers410_Disabled) }

func testF17_Answers410_Disabled(t *testing.T, k keeper) {
	w := newWorld(t, k, nil)
	s := serve(t, answers(410))
	e := w.endpoint(s.URL).Endpoint
	w.handle(event(1))
	if d := w.next(); d.Status != notify.DeadLetter || d.HTTPStatus != 410 || !strings.HasPrefix(d.Error, "gone: ") {
		t.Errorf("%+v", d)
	}
	got, err := w.local.Get(t.Context(), account, mode, e.ID)
	if err != nil || got.Enabled() || got.DisabledReason != notify.ReasonGone {
		t.Fatalf("%+v, %v", got, err)
	}
	// What was queued before is parked, and seen.
	if err := w.queue.Enqueue(t.Context(), []notify.Job{{Account: account, Mode: mode, Endpoint: e.ID, Event: "evt_2"}}); err != nil {
		t.Fatal(err)
	}
	if d := w.next(); d.Status != notify.DeadLetter || d.Attempt != 0 || !strings.HasPrefix(d.Error, "endpoint_disabled: ") {
		t.Errorf("queued before: %+v", d)
	}
	events, err := w.store.Events(t.Context(), account, mode, 0, 10)
	if err != nil || len(events) != 1 || events[0].Type != notify.EndpointDisabled {
		t.Errorf("events: %+v, %v", events, err)
	}
}

func TestF17_PrivateAddress_Refused(t *testing.T) { onEach(t, testF17_PrivateAddress_Refused) }

func testF17_PrivateAddress_Refused(t *testing.T, k keeper) {
	w := newWorld(t, k, func(c *webhook.Config) { once(c); c.AllowPrivate = false })
	var reached atomic.Int64
	s := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(s.Close)
	plain := serve(t, s.Config.Handler)
	port := s.URL[strings.LastIndex(s.URL, ":")+1:]
	for _, c := range []struct{ url, code string }{
		{s.URL, "unreachable: "},
		{"https://localhost:" + port + "/", "unreachable: "},
		{"https://[::ffff:127.0.0.1]:443/", "unreachable: "},
		{plain.URL, "url_not_https: "},
	} {
		e := w.endpoint(c.url).Endpoint
		w.handle(event(1))
		if d := w.next(); d.Status != notify.DeadLetter || !strings.HasPrefix(d.Error, c.code) {
			t.Errorf("%s: %+v", c.url, d)
		}
		if err := w.local.Delete(t.Context(), account, mode, e.ID); err != nil {
			t.Fatal(err)
		}
	}
	if reached.Load() != 0 {
		t.Error("a private address was reached")
	}
}

func TestF17_RebindsDNS_Refused(t *testing.T) { onEach(t, testF17_RebindsDNS_Refused) }

func testF17_RebindsDNS_Refused(t *testing.T, k keeper) {
	w := newWorld(t, k, func(c *webhook.Config) { once(c); c.AllowPrivate = false; c.Resolver = rebinding(t) })
	var reached atomic.Int64
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	s.Config.ConnState = func(net.Conn, http.ConnState) { reached.Add(1) }
	s.StartTLS()
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	first, err := w.config.Resolver.LookupNetIP(t.Context(), "ip4", "rebind.test")
	if err != nil || len(first) != 1 || !notify.PublicAddress(first[0].Unmap()) {
		t.Fatalf("whoever checks the name first sees a public address: %v, %v", first, err)
	}
	w.endpoint("https://rebind.test:" + u.Port() + "/")
	w.handle(event(1))
	if d := w.next(); d.Status != notify.DeadLetter || !strings.HasPrefix(d.Error, "unreachable: ") {
		t.Errorf("%+v", d)
	}
	if reached.Load() != 0 {
		t.Error("a connection was made")
	}
}

func TestF19_RepeatedEventsAreDeliveredOnce(t *testing.T) {
	onEach(t, testF19_RepeatedEventsAreDeliveredOnce)
}

func testF19_RepeatedEventsAreDeliveredOnce(t *testing.T, k keeper) {
	w := newWorld(t, k, func(c *webhook.Config) { c.Workers = 1 })
	heard := make(chan string, 100)
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { heard <- r.Header.Get(notify.HeaderID) }))
	w.endpoint(s.URL)
	one, two, last := event(1), event(2), event(3)
	w.handle(two, one, two)
	w.handle(one, two)
	count := map[string]int{await.Receive(t, heard): 1}
	count[await.Receive(t, heard)]++
	w.handle(two, one) // both were sent already
	w.handle(last)     // with one worker, whatever was queued before comes before
	for got := ""; got != last.ID; count[got]++ {
		got = await.Receive(t, heard)
	}
	for _, e := range []stream.Event{one, two, last} {
		if count[e.ID] != 1 {
			t.Errorf("seq %d was heard %d times", e.Seq, count[e.ID])
		}
	}
}

func TestSignedForTheReceiver(t *testing.T) { onEach(t, testSignedForTheReceiver) }

func testSignedForTheReceiver(t *testing.T, k keeper) {
	w := newWorld(t, k, nil)
	type request struct {
		header http.Header
		body   []byte
	}
	heard := make(chan request, 2)
	s := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		heard <- request{r.Header, body}
		_, _ = rw.Write([]byte(strings.Repeat("\x00\xff", 4096)))
	}))
	old := w.endpoint(s.URL)
	fresh, err := w.local.Rotate(t.Context(), account, mode, old.Endpoint.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	e := event(1)
	w.handle(e)
	got := await.Receive(t, heard)
	for name, secret := range map[string]string{"old": old.Secret, "new": fresh.Secret} {
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify(got.body, got.header); err != nil {
			t.Errorf("%s secret: %v", name, err)
		}
	}
	want, err := notify.Body(e)
	if err != nil || string(got.body) != string(want) || got.header.Get("Content-Type") != "application/json" {
		t.Errorf("%s %v", got.body, got.header)
	}
	d := w.next()
	if d.Status != notify.Succeeded || len([]rune(d.Answer)) > notify.MaxAnswerBytes || strings.Contains(d.Answer, "\x00") {
		t.Errorf("the answer kept has %d bytes: %+v", len(d.Answer), d.Status)
	}
	again, err := w.local.Redeliver(t.Context(), account, mode, old.Endpoint.ID, d.ID, nil)
	if err != nil {
		t.Fatal(err)
	}
	if r := await.Receive(t, heard); string(r.body) != string(want) || r.header.Get(notify.HeaderID) != e.ID {
		t.Errorf("redelivered: %s", r.body)
	}
	for { // the pending row and the try's, in either order
		if d := w.next(); d.Status == notify.Succeeded {
			if d.ID != again.ID {
				t.Errorf("the first try of a redelivery is %s, not %s", d.ID, again.ID)
			}
			break
		}
	}
}

func TestRetryAfterIsHonoured(t *testing.T) { onEach(t, testRetryAfterIsHonoured) }

func testRetryAfterIsHonoured(t *testing.T, k keeper) {
	w := newWorld(t, k, nil)
	for _, c := range []struct {
		header   string
		min, max time.Duration
	}{{"3600", time.Hour, time.Hour}, {"9999999", webhook.MaxRetryAfter, webhook.MaxRetryAfter}, {"soon", 0, time.Second},
		{"0", 0, time.Second}} {
		s := serve(t, http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Retry-After", c.header)
			rw.WriteHeader(http.StatusServiceUnavailable)
		}))
		e := w.endpoint(s.URL).Endpoint
		before := time.Now()
		w.handle(event(1))
		d := w.next()
		if d.Status != notify.Failed || d.NextAt.Before(before.Add(c.min)) || d.NextAt.After(time.Now().Add(c.max)) {
			t.Errorf("Retry-After %s: next at %v, from %v", c.header, d.NextAt, before)
		}
		if err := w.local.Delete(t.Context(), account, mode, e.ID); err != nil {
			t.Fatal(err)
		}
		for len(w.store.recorded) > 0 { // a retry that was faster than the deletion
			<-w.store.recorded
		}
	}
}

func TestARetrySurvivesARestart(t *testing.T) { onEach(t, testARetrySurvivesARestart) }

func testARetrySurvivesARestart(t *testing.T, k keeper) {
	w := newWorld(t, k, func(c *webhook.Config) { c.Schedule = []time.Duration{time.Second} })
	s := serve(t, answers(500))
	w.endpoint(s.URL)
	w.handle(event(1))
	if d := w.next(); d.Status != notify.Failed {
		t.Fatalf("%+v", d)
	}
	w.stop()
	w.run()
	if d := w.next(); d.Status != notify.Succeeded || d.Attempt != 2 {
		t.Errorf("after the restart: %+v", d)
	}
}

// A process that dies during a try leaves the job running.
func TestATryCutByACrashIsMadeAgain(t *testing.T) { onEach(t, testATryCutByACrashIsMadeAgain) }

func testATryCutByACrashIsMadeAgain(t *testing.T, k keeper) {
	w := newWorld(t, k, func(c *webhook.Config) { c.Schedule = []time.Duration{} })
	s := serve(t, answers())
	e := w.endpoint(s.URL).Endpoint
	w.stop()
	q, err := webhook.Open(t.Context(), w.config)
	if err != nil {
		t.Fatal(err)
	}
	job := notify.Job{Account: account, Mode: mode, Endpoint: e.ID, Event: "evt_1", SealedBody: []byte("sealed:{}")}
	if err := q.Enqueue(t.Context(), []notify.Job{job}); err != nil {
		t.Fatal(err)
	}
	if err := q.Close(); err != nil {
		t.Fatal(err)
	}
	died := "UPDATE river_job SET state = 'running', attempt = 1"
	if path, ok := strings.CutPrefix(w.config.URL, "sqlite:"); ok {
		db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)")
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), died); err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	} else {
		pgtest.Exec(t, w.config.URL, died+", attempted_at = now() - interval '1 minute', attempted_by = '{paylink-1}'")
	}
	w.run()
	if d := w.next(); d.Status != notify.Succeeded || d.Attempt != 1 {
		t.Errorf("%+v", d)
	}
}

// TestStoppedBeforeItBegan: a server that is stopped while it starts stops without an error,
// and the queue works at the next start.
func TestStoppedBeforeItBegan(t *testing.T) { onEach(t, testStoppedBeforeItBegan) }

func testStoppedBeforeItBegan(t *testing.T, k keeper) {
	w := newWorld(t, k, nil)
	for range 20 {
		w.stop()
		w.run()
	}
	s := serve(t, answers())
	w.endpoint(s.URL)
	w.handle(event(1))
	if d := w.next(); d.Status != notify.Succeeded {
		t.Errorf("%+v", d)
	}
}

func TestStopLetsARunningTryFinish(t *testing.T) { onEach(t, testStopLetsARunningTryFinish) }

func testStopLetsARunningTryFinish(t *testing.T, k keeper) {
	w := newWorld(t, k, nil)
	arrived, release := make(chan struct{}), make(chan struct{})
	s := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		arrived <- struct{}{}
		<-release
	}))
	w.endpoint(s.URL)
	w.handle(event(1))
	await.Receive(t, arrived)
	stopped := make(chan struct{})
	go func() { w.stop(); close(stopped) }()
	close(release)
	await.Receive(t, stopped)
	if d := w.next(); d.Status != notify.Succeeded {
		t.Errorf("%+v", d)
	}
}

func TestStopCutsATryThatHangs(t *testing.T) { onEach(t, testStopCutsATryThatHangs) }

func testStopCutsATryThatHangs(t *testing.T, k keeper) {
	w := newWorld(t, k, func(c *webhook.Config) { c.Schedule, c.StopTimeout = []time.Duration{}, 50*time.Millisecond })
	arrived := make(chan struct{}, 2)
	var hang atomic.Bool
	hang.Store(true)
	s := serve(t, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body) // or the server does not see the client leave
		arrived <- struct{}{}
		if hang.Load() {
			<-r.Context().Done()
		}
	}))
	w.endpoint(s.URL)
	w.handle(event(1))
	await.Receive(t, arrived)
	w.stop()
	if len(w.store.recorded) != 0 {
		t.Errorf("a try cut by the stop counts: %+v", <-w.store.recorded)
	}
	hang.Store(false)
	w.run()
	if d := w.next(); d.Status != notify.Succeeded || d.Attempt != 1 {
		t.Errorf("after the restart: %+v", d)
	}
}

func TestJobsOfADeletedEndpointAreDropped(t *testing.T) {
	onEach(t, testJobsOfADeletedEndpointAreDropped)
}

func testJobsOfADeletedEndpointAreDropped(t *testing.T, k keeper) {
	w := newWorld(t, k, func(c *webhook.Config) { c.Workers = 1 })
	s := serve(t, answers())
	gone := w.endpoint(s.URL).Endpoint
	if err := w.local.Delete(t.Context(), account, mode, gone.ID); err != nil {
		t.Fatal(err)
	}
	kept := w.endpoint(s.URL).Endpoint
	var jobs []notify.Job
	for _, endpoint := range []string{gone.ID, kept.ID} {
		jobs = append(jobs, notify.Job{Account: account, Mode: mode, Endpoint: endpoint, Event: "evt_1", SealedBody: []byte("sealed:{}")})
	}
	if err := w.queue.Enqueue(context.Background(), jobs); err != nil {
		t.Fatal(err)
	}
	if d := w.next(); d.Endpoint != kept.ID || d.Status != notify.Succeeded {
		t.Errorf("%+v", d)
	}
}

// TestFinishedJobsAreRemoved: the queue's file keeps a job that succeeded or was
// parked for a day, to know a repeated event, and not longer.
func TestFinishedJobsAreRemoved(t *testing.T) {
	w := newWorld(t, keepers["SQLite"], once)
	w.endpoint(serve(t, answers(200, 500)).URL)
	w.handle(event(1))
	w.next()
	w.handle(event(2))
	if d := w.next(); d.Status != notify.DeadLetter {
		t.Fatalf("%+v", d)
	}
	w.stop()
	db, err := sql.Open("sqlite", "file:"+strings.TrimPrefix(w.config.URL, "sqlite:")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	jobs := func() (n int) {
		t.Helper()
		if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM river_job").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := jobs(); n != 2 {
		t.Fatalf("%d jobs", n)
	}
	if _, err := db.ExecContext(t.Context(), "UPDATE river_job SET finalized_at = datetime('now', '-25 hours') WHERE id = (SELECT min(id) FROM river_job)"); err != nil {
		t.Fatal(err)
	}
	w.run()
	left := func(n int) {
		t.Helper()
		limit := time.NewTimer(2 * await.Patience) // the process that cleans is elected first
		defer limit.Stop()
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		for jobs() != n {
			select {
			case <-tick.C:
			case <-limit.C:
				t.Fatalf("%d jobs are left, want %d", jobs(), n)
			}
		}
	}
	left(1)
	if _, err := db.ExecContext(t.Context(), "UPDATE river_job SET finalized_at = datetime('now', '-25 hours')"); err != nil {
		t.Fatal(err)
	}
	w.stop()
	w.run()
	left(0)
}

// TestAHangingEndpointDoesNotDelayOthers: one endpoint that hangs must not delay the others.
func TestAHangingEndpointDoesNotDelayOthers(t *testing.T) {
	onEach(t, testAHangingEndpointDoesNotDelayOthers)
}

func testAHangingEndpointDoesNotDelayOthers(t *testing.T, k keeper) {
	w := newWorld(t, k, func(c *webhook.Config) { c.Workers = 4 })
	release := make(chan struct{})
	bad := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release) })
	good := serve(t, answers())
	hanging := w.endpoint(bad.URL).Endpoint
	var events []stream.Event
	for i := range 20 {
		events = append(events, event(int64(i)))
	}
	w.handle(events...)
	healthy := w.endpoint(good.URL).Endpoint
	last := event(99)
	w.handle(last)
	if d := w.next(); d.Endpoint != healthy.ID || d.Event != last.ID {
		t.Errorf("%+v while %s hangs", d, hanging.ID)
	}
}

// TestF49HangingReceiver: a receiver that hangs with two thousand waiting events delays no
// other: its backlog is in a queue of its own.
func TestF49HangingReceiver(t *testing.T) { onEach(t, testF49HangingReceiver) }

func testF49HangingReceiver(t *testing.T, k keeper) {
	w := newWorld(t, k, nil)
	release := make(chan struct{})
	bad := serve(t, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	t.Cleanup(func() { close(release) })
	w.endpoint(bad.URL)
	events := make([]stream.Event, 2000)
	for i := range events {
		events[i] = event(int64(i))
	}
	w.handle(events...)
	healthy := w.endpoint(serve(t, answers()).URL).Endpoint
	var mine []notify.Job
	for i := range 20 {
		mine = append(mine, notify.Job{Account: account, Mode: mode, Endpoint: healthy.ID, Event: event(int64(5000 + i)).ID,
			SealedBody: []byte("sealed:{}")})
	}
	if err := w.queue.Enqueue(t.Context(), mine); err != nil {
		t.Fatal(err)
	}
	const few = 200 // a tenth of what waits for the endpoint that hangs; each try of it ends after ten seconds
	for sent, cut := 0, 0; sent < len(mine); {
		switch d := w.next(); {
		case d.Endpoint == healthy.ID && d.Status == notify.Succeeded:
			sent++
		case d.Endpoint != healthy.ID && cut < few:
			cut++
		default:
			t.Fatalf("%+v while another endpoint hangs; %d deliveries to it were cut, %d to the healthy one were sent", d, cut, sent)
		}
	}
}
