package limit_test

import (
	"bufio"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/paylink/paylink/internal/gateway/limit"
	"github.com/paylink/paylink/internal/gateway/problem"
)

// world is a gate before a handler that counts what came through.
type world struct {
	*testing.T
	handler http.Handler
	gate    *limit.Gate
	passed  atomic.Int64
	heard   atomic.Value // whom the handler last heard
	now     atomic.Int64
	limited map[string]int
}

func newWorld(t *testing.T, client *redis.Client, proxies []netip.Prefix, settings ...string) *world {
	t.Helper()
	w := &world{T: t, limited: map[string]int{}}
	w.now.Store(time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC).UnixNano())
	policies, err := limit.Parse(settings)
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	w.gate, err = limit.New(
		limit.Config{Policies: policies, Redis: client, Proxies: proxies, Now: func() time.Time { return time.Unix(0, w.now.Load()) },
			MAC:     func(b []byte) []byte { m := hmac.New(sha256.New, []byte("key")); m.Write(b); return m.Sum(nil) },
			Refuse:  func(rw http.ResponseWriter, r *http.Request, err error) { problem.Write(rw, r, err, "req_1") },
			Limited: func(p string) { mu.Lock(); w.limited[p]++; mu.Unlock() }, Log: slog.New(slog.NewTextHandler(io.Discard, nil))},
	)
	if err != nil {
		t.Fatal(err)
	}
	w.handler = w.gate.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { w.passed.Add(1); w.heard.Store(r.RemoteAddr) }))
	return w
}

func (w *world) ask(method, path, from string, headers ...string) *http.Response {
	r := httptest.NewRequestWithContext(w.Context(), method, path, nil)
	r.RemoteAddr = net.JoinHostPort(from, "1234")
	for i := 0; i < len(headers); i += 2 {
		r.Header.Add(headers[i], headers[i+1])
	}
	rec := httptest.NewRecorder()
	w.handler.ServeHTTP(rec, r)
	return rec.Result()
}

// until asks until it is refused, at most n times, and tells how often it passed.
func (w *world) until(n int, ask func() *http.Response) (passed int, refusal *http.Response) {
	w.Helper()
	for range n {
		a := ask()
		if a.StatusCode == http.StatusTooManyRequests {
			return passed, a
		}
		passed++
	}
	return passed, nil
}

func (w *world) wait(d time.Duration) { w.now.Add(int64(d)) }

func TestBurstThenRate(t *testing.T) {
	w := newWorld(t, nil, nil, "sign-in=6/m,5")
	ask := func() *http.Response { return w.ask("POST", "/api/sessions", "198.51.100.7") }
	passed, refusal := w.until(100, ask)
	if passed != 5 || refusal == nil {
		t.Fatalf("%d passed at once, want the burst of 5", passed)
	}
	if got := refusal.Header.Get("Retry-After"); got != "10" {
		t.Errorf("Retry-After is %q, want the 10 s of one in six a minute", got)
	}
	if got := refusal.Header.Get("Ratelimit-Policy"); !strings.Contains(got, `"sign-in";q=5;w=50`) ||
		!strings.Contains(got, `"address";q=300;w=3`) {
		t.Errorf("RateLimit-Policy is %q", got)
	}
	if got := refusal.Header.Get("Ratelimit"); !strings.Contains(got, `"sign-in";r=0;t=10`) {
		t.Errorf("RateLimit is %q", got)
	}
	body, err := io.ReadAll(refusal.Body)
	if err != nil || !strings.Contains(string(body), `"code":"rate_limited"`) || !strings.Contains(string(body), `6 per minute`) {
		t.Errorf("the refusal says %s, %v", body, err)
	}
	if w.limited["sign-in"] != 1 {
		t.Errorf("refusals told: %v", w.limited)
	}
	w.wait(9 * time.Second)
	if a := ask(); a.StatusCode != http.StatusTooManyRequests {
		t.Error("it passed a second early")
	}
	w.wait(time.Second)
	if passed, _ := w.until(100, ask); passed != 1 {
		t.Errorf("after 10 s %d passed, want 1", passed)
	}
	w.wait(time.Hour)
	if passed, _ := w.until(100, ask); passed != 5 {
		t.Errorf("after an hour %d passed, want the burst again and no more", passed)
	}
}

// TestWhoIsWho: clients are distinguished by what they cannot change.
func TestWhoIsWho(t *testing.T) {
	proxies := []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	settings := []string{"sign-in=1/h,3", "pay=1/h,3", "link=1/h,5", "key=1/h,4"}
	for name, c := range map[string]struct {
		want int
		ask  func(w *world, i int) *http.Response
	}{
		"one address":          {3, func(w *world, _ int) *http.Response { return w.ask("POST", "/api/sessions", "198.51.100.7") }},
		"pages under the path": {3, func(w *world, _ int) *http.Response { return w.ask("POST", "/dashboard/sign-in/code", "198.51.100.7") }},
		"one IPv6 customer": {3, func(w *world, i int) *http.Response {
			return w.ask("POST", "/api/sessions", "2001:db8:0:"+strconv.Itoa(i)+"::1")
		}},
		"many addresses": {50, func(w *world, i int) *http.Response {
			return w.ask("POST", "/api/sessions", "198.51.100."+strconv.Itoa(i))
		}},
		"this machine":          {50, func(w *world, _ int) *http.Response { return w.ask("POST", "/api/sessions", "127.0.0.1") }},
		"reading is no sign-in": {50, func(w *world, _ int) *http.Response { return w.ask("GET", "/dashboard/sign-in", "198.51.100.7") }},
		"a header that lies": {3, func(w *world, i int) *http.Response {
			return w.ask("POST", "/api/sessions", "198.51.100.7", "X-Forwarded-For", "203.0.113."+strconv.Itoa(i))
		}},
		"behind our proxy": {3, func(w *world, _ int) *http.Response {
			return w.ask("POST", "/api/sessions", "10.1.2.3", "X-Forwarded-For", "198.51.100.7")
		}},
		"behind two, lying before": {3, func(w *world, i int) *http.Response {
			return w.ask("POST", "/api/sessions", "10.1.2.3", "X-Forwarded-For", "203.0.113."+strconv.Itoa(i)+", 198.51.100.7",
				"X-Forwarded-For", "10.9.9.9")
		}},
		"many behind our proxy": {50, func(w *world, i int) *http.Response {
			return w.ask("POST", "/api/sessions", "10.1.2.3", "X-Forwarded-For", "198.51.100."+strconv.Itoa(i))
		}},
		"one payer, one link": {3, func(w *world, _ int) *http.Response { return w.ask("POST", "/l/tok/payments", "198.51.100.7") }},
		"many payers, one link": {5, func(w *world, i int) *http.Response {
			return w.ask("POST", "/l/tok/payments", "198.51.100."+strconv.Itoa(i))
		}},
		"one payer, many links": {50, func(w *world, i int) *http.Response {
			return w.ask("POST", "/l/tok"+strconv.Itoa(i)+"/payments", "198.51.100.7")
		}},
		"one payer, one form": {3, func(w *world, _ int) *http.Response { return w.ask("POST", "/f/frm_1", "198.51.100.7") }},
		"opening a link":      {50, func(w *world, _ int) *http.Response { return w.ask("GET", "/l/tok", "198.51.100.7") }},
		"one key, many addresses": {4, func(w *world, i int) *http.Response {
			return w.ask("GET", "/api/links", "198.51.100."+strconv.Itoa(i), "Authorization", "Bearer pl_test_x")
		}},
		"one key from this machine": {4, func(w *world, _ int) *http.Response {
			return w.ask("GET", "/api/links", "127.0.0.1", "Authorization", "Bearer pl_test_x")
		}},
		"the platform's probes": {50, func(w *world, _ int) *http.Response {
			return w.ask("GET", "/healthz", "198.51.100.7", "Authorization", "Bearer pl_test_x")
		}},
	} {
		w := newWorld(t, nil, proxies, settings...)
		i := 0
		passed, _ := w.until(50, func() *http.Response { i++; return c.ask(w, i) })
		if passed != c.want || int(w.passed.Load()) != passed {
			t.Errorf("%s: %d passed, want %d; the handler saw %d", name, passed, c.want, w.passed.Load())
		}
	}
}

// TestHandlersHearWhoAsks: behind a proxy of ours the request is the client's.
func TestHandlersHearWhoAsks(t *testing.T) {
	w := newWorld(t, nil, []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")})
	for from, want := range map[string]string{"10.1.2.3": "198.51.100.7:0", "203.0.113.5": "203.0.113.5:0"} {
		w.ask("GET", "/dashboard", from, "X-Forwarded-For", "198.51.100.7")
		if got := w.heard.Load(); got != want {
			t.Errorf("from %s the handler heard %v, want %s", from, got, want)
		}
	}
}

func TestSettings(t *testing.T) {
	w := newWorld(t, nil, nil, "sign-in=off", "address=off")
	if passed, _ := w.until(500, func() *http.Response { return w.ask("POST", "/api/sessions", "198.51.100.7") }); passed != 500 {
		t.Errorf("what is off refused after %d", passed)
	}
	for _, bad := range []string{"", "sign-in", "login=1/s", "key=0/s", "key=-1/s", "key=1/y", "key=1", "key=2000000/s", "key=1/s,0",
		"key=1/s,x", "key=1/s,2,3", "key=9999999999999999999/s"} {
		if _, err := limit.Parse([]string{bad}); err == nil {
			t.Errorf("%q was taken", bad)
		} else if !strings.Contains(err.Error(), strconv.Quote(bad)) {
			t.Errorf("the error about %q does not name it: %v", bad, err)
		}
	}
	if _, err := limit.Parse([]string{"key=off", "key=1/s"}); err == nil {
		t.Error("what is off was set")
	}
	if _, err := limit.OpenRedis("redis://user:secret@[bad"); err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("a bad URL: %v", err)
	}
}

// TestManyAtOnce: however many ask in one moment, no more than the burst passes.
func TestManyAtOnce(t *testing.T) {
	for name, client := range map[string]*redis.Client{"this process": nil, "Redis": startRedis(t)} {
		w := newWorld(t, client, nil, "key=1/h,40")
		var passed atomic.Int64
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				for range 25 {
					if w.ask("GET", "/api/links", "127.0.0.1", "Authorization", "Bearer pl_test_x").StatusCode == http.StatusOK {
						passed.Add(1)
					}
				}
			})
		}
		all.Wait()
		if passed.Load() != 40 {
			t.Errorf("%s: %d of 400 passed, want 40", name, passed.Load())
		}
	}
}

// TestGatewaysCountTogether: through Redis, what one gateway let pass counts at the
// other; without Redis each counts for itself, and nobody is turned away for that.
func TestGatewaysCountTogether(t *testing.T) {
	client := startRedis(t)
	one, two := newWorld(t, client, nil, "account=1/h,6"), newWorld(t, client, nil, "account=1/h,6")
	passed := 0
	for range 10 {
		for _, w := range []*world{one, two} {
			if w.gate.Account(t.Context(), http.Header{}, "acct_1") == nil {
				passed++
			}
		}
	}
	if passed != 6 {
		t.Errorf("two gateways let %d pass, want 6", passed)
	}
	if err := client.ShutdownNoSave(context.Background()).Err(); err != nil && !strings.Contains(err.Error(), "EOF") {
		t.Logf("shutdown said %v", err)
	}
	header := http.Header{}
	if err := one.gate.Account(t.Context(), header, "acct_1"); err != nil {
		t.Errorf("without Redis the first call was refused: %v", err)
	}
	if got := header.Get("Ratelimit"); !strings.HasPrefix(got, `"account";r=5;`) {
		t.Errorf("this process's own count says %q", got)
	}
	passed = 0
	for range 10 {
		if one.gate.Account(t.Context(), http.Header{}, "acct_1") == nil {
			passed++
		}
	}
	if passed != 5 {
		t.Errorf("without Redis %d more passed, want 5", passed)
	}
}

// startRedis starts a server of its own on a free port, and ends it with the test.
func startRedis(t *testing.T) *redis.Client {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_, port, _ := net.SplitHostPort(address)
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	server := exec.CommandContext(
		context.Background(),
		"redis-server",
		"--bind",
		"127.0.0.1",
		"--port",
		port,
		"--save",
		"",
		"--appendonly",
		"no",
		"--dir",
		t.TempDir(),
	)
	out, err := server.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatalf("redis-server: %v (make needs installs it)", err)
	}
	client, err := limit.OpenRedis("redis://" + address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = client.Close()
		_ = server.Process.Kill()
		_ = server.Wait()
	})
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.Contains(lines.Text(), "Ready to accept connections") {
			go func() { _, _ = io.Copy(io.Discard, out) }()
			return client
		}
	}
	t.Fatal("redis-server ended before it was ready")
	return nil
}
