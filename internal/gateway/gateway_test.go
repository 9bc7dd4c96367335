package gateway_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/gateway"
	"github.com/paylink/paylink/internal/obs"
)

// TestHeadersTooLarge: a request with too much in its headers or its address gets a
// problem, through a real server, and no call is made.
func TestHeadersTooLarge(t *testing.T) {
	called := false
	h := gateway.New(gateway.Config{NotFound: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { called = true }),
		Ready: func(context.Context) error { return nil }, Metrics: obs.NewMetrics(), Log: slog.New(slog.DiscardHandler)})
	server := httptest.NewUnstartedServer(h)
	server.Config.MaxHeaderBytes = gateway.ServerHeaderBytes
	server.Start()
	defer server.Close()
	for _, c := range []struct {
		query, header int
		status        int
	}{{0, 0, 200}, {0, 30 << 10, 200}, {0, 33 << 10, 431}, {33 << 10, 0, 431}, {17 << 10, 17 << 10, 431}} {
		called = false
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL+"/x?"+strings.Repeat("q", c.query), nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Cookie", strings.Repeat("c", c.header))
		resp, err := server.Client().Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != c.status || called != (c.status == 200) {
			t.Errorf("%d bytes of query, %d of a header: %d, called %v, %v", c.query, c.header, resp.StatusCode, called, err)
		}
		if c.status != 200 &&
			(resp.Header.Get("Content-Type") != "application/problem+json" || !strings.Contains(string(body), `"code":"headers_too_large"`)) {
			t.Errorf("it says %s %s", resp.Header.Get("Content-Type"), body)
		}
	}
}

// TestStrictTransportSecurity: every response asks browsers to use https from then on,
// for as long as is configured, errors too.
func TestStrictTransportSecurity(t *testing.T) {
	for hsts, want := range map[time.Duration][]string{365 * 24 * time.Hour: {"max-age=31536000"}, 0: nil} {
		h := gateway.New(gateway.Config{NotFound: http.NotFoundHandler(), HSTS: hsts, Ready: func(context.Context) error { return nil },
			Metrics: obs.NewMetrics(), Log: slog.New(slog.DiscardHandler)})
		for _, path := range []string{"/healthz", "/nowhere", "/x?" + strings.Repeat("q", gateway.MaxHeaderBytes)} {
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
			if got := rec.Result().Header.Values("Strict-Transport-Security"); !slices.Equal(got, want) {
				t.Errorf("%.20s with %s: %q", path, hsts, got)
			}
			if got := rec.Result().Header.Get("X-Content-Type-Options"); got != "nosniff" {
				t.Errorf("%.20s: browsers may guess its type: %q", path, got)
			}
		}
	}
}

// TestHosts: a request for another host is refused, whatever forwarding headers claim, so that
// a web page cannot reach us under a name of its own. Probes may come by any name.
func TestHosts(t *testing.T) {
	var logs strings.Builder
	h := gateway.New(gateway.Config{Hosts: []string{"pay.example", "localhost", "::1"},
		NotFound: http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), Ready: func(context.Context) error { return nil },
		Metrics: obs.NewMetrics(), Log: slog.New(slog.NewTextHandler(&logs, nil))})
	for _, c := range []struct {
		host, path string
		status     int
	}{
		{"pay.example", "/x", 200}, {"PAY.example.:8443", "/x", 200}, {"localhost:1", "/x", 200},
		{"[::1]:8080", "/x", 200}, {"[::1]", "/x", 200},
		{"evil.example", "/x", 421}, {"pay.example.evil.example", "/x", 421}, {"127.0.0.1", "/x", 421},
		{"evil.example:443", "/api/users", 421},
		{"", "/x", 421}, {"pay.example@evil.example", "/x", 421}, {"evil.example", "/healthzz", 421},
		{"evil.example", "/healthz", 200}, {"10.0.0.7:8080", "/readyz", 200}, {"", "/healthz", 200},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.path, nil)
		r.Host = c.host
		r.Header.Set("X-Forwarded-Host", "pay.example")
		r.Header.Set("Forwarded", "host=pay.example")
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != c.status || (rec.Code == 421) != strings.Contains(rec.Body.String(), `"code":"host_unknown"`) {
			t.Errorf("%q %s: %d %s, want %d", c.host, c.path, rec.Code, rec.Body, c.status)
		}
	}
	if n := strings.Count(logs.String(), "\n"); n != 1 || !strings.Contains(logs.String(), "--allowed-hosts") {
		t.Errorf("logged %d lines: %s", n, logs.String())
	}
}

func TestProbes(t *testing.T) {
	var broken error
	mux := http.NewServeMux()
	gateway.Health(mux, func(context.Context) error { return broken })
	answer := func(method, path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return rec
	}
	for path, statuses := range map[string][2]int{"/healthz": {200, 200}, "/readyz": {200, 503}} {
		for i, err := range []error{nil, errors.New("the store is away")} {
			broken = err
			if rec := answer(http.MethodGet, path); rec.Code != statuses[i] {
				t.Errorf("%s: %d, want %d", path, rec.Code, statuses[i])
			}
		}
		if rec := answer(http.MethodPost, path); rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, Allow %q", path, rec.Code, rec.Header().Get("Allow"))
		}
	}
}

// TestPanicIsAProblem checks that a handler that panics gets a response without the reason, that
// the log has it, and that the next request is served.
func TestPanicIsAProblem(t *testing.T) {
	var logs strings.Builder
	h := gateway.New(gateway.Config{NotFound: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/bad" {
			panic("a bug in SELECT secret")
		}
	}), Ready: func(context.Context) error { return nil }, Metrics: obs.NewMetrics(), Log: slog.New(slog.NewTextHandler(&logs, nil))})
	for path, want := range map[string]int{"/bad": http.StatusInternalServerError, "/good": http.StatusOK} {
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		if rec.Code != want || strings.Contains(rec.Body.String(), "SELECT") ||
			(want == http.StatusInternalServerError) != strings.Contains(rec.Body.String(), `"code":"internal"`) {
			t.Errorf("%s: %d %s", path, rec.Code, rec.Body)
		}
	}
	if !strings.Contains(logs.String(), "a bug in SELECT secret") {
		t.Errorf("the reason is not in the log: %s", logs.String())
	}
}
