package simulator_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/paylink/paylink/internal/issuer"
)

func (w *world) get(t testing.TB, path string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}

func (w *world) post(t testing.TB, path, action string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(url.Values{"action": {action}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	rec := httptest.NewRecorder()
	w.Handler().ServeHTTP(rec, r)
	return rec
}

func (w *world) decide(t testing.TB, path string, pass bool) {
	t.Helper()
	action := "fail"
	if pass {
		action = "approve"
	}
	if rec := w.post(t, path, action); rec.Code != http.StatusSeeOther {
		t.Fatalf("%d: %s", rec.Code, rec.Body)
	}
}

func (w *world) ask(t testing.TB, reference, back string) string {
	t.Helper()
	a := w.authorisation(reference, ending(t, "3220"))
	a.ReturnURL = back
	return want(t, w.Authorize(t.Context(), a), issuer.ActionRequired).ActionURL
}

func has(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, p := range parts {
		if !strings.Contains(text, p) {
			t.Errorf("%s has no %q:\n%s", what, p, text)
		}
	}
}

func TestChallengePage(t *testing.T) {
	w := start(t)
	u := w.ask(t, "c1", "https://shop.example:8443/back?x=1")
	if !strings.HasPrefix(u, "/simulator/3ds/") || len(u) < 50 || strings.Contains(u, "c1/") {
		t.Fatalf("URL %q", u)
	}
	page := w.get(t, u)
	if page.Code != http.StatusOK {
		t.Fatalf("%d", page.Code)
	}
	has(t, "page", page.Body.String(), `<html lang="en">`, "€12.50", "Ada&#39;s Shop &lt;&amp;&gt;", "3220", `<form method="post">`,
		`name="action" value="approve" id="approve"`, `name="action" value="fail" id="fail"`, `href="../3ds.css"`, "<h1>")
	if strings.Contains(page.Body.String(), "<script") || strings.Contains(page.Body.String(), "style=") {
		t.Error("the page needs script or inline style")
	}
	has(t, "policy", page.Header().Get("Content-Security-Policy"), "default-src 'none'", "style-src 'self'",
		"form-action 'self' https://shop.example:8443;", "frame-ancestors 'none'", "base-uri 'none'")
	if h := page.Header(); h.Get("Cache-Control") != "no-store" || h.Get("X-Content-Type-Options") != "nosniff" {
		t.Errorf("headers %v", h)
	}
	css := w.get(t, "/simulator/3ds.css")
	has(t, "stylesheet", css.Body.String(), "prefers-color-scheme: dark", ":focus-visible")
	if css.Header().Get("Content-Type") != "text/css; charset=utf-8" {
		t.Errorf("stylesheet is %q", css.Header().Get("Content-Type"))
	}
	for range 3 {
		w.get(t, u)
	}
	want(t, w.Lookup(t.Context(), "c1"), issuer.ActionRequired)
	if n := len(w.Book()); n != 1 {
		t.Errorf("looking changed the book: %d entries", n)
	}
}

func TestChallengeDecision(t *testing.T) {
	for action, outcome := range map[string]issuer.Outcome{"approve": issuer.Approved, "fail": issuer.Declined} {
		w := start(t)
		var mu sync.Mutex
		var heard []issuer.Notice
		w.OnNotice(func(ctx context.Context, n issuer.Notice) error {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, n)
			return ctx.Err()
		})
		u := w.ask(t, "c", "/l/token/done")
		w.reopen(t) // the address survives
		w.OnNotice(func(ctx context.Context, n issuer.Notice) error {
			mu.Lock()
			defer mu.Unlock()
			heard = append(heard, n)
			return ctx.Err()
		})
		gone, cancel := context.WithCancel(t.Context())
		cancel() // F15: the browser has closed
		r := httptest.NewRequestWithContext(gone, http.MethodPost, u, strings.NewReader("action="+action))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		rec := httptest.NewRecorder()
		w.Handler().ServeHTTP(rec, r)
		if rec.Code != http.StatusSeeOther || rec.Header().Get("Location") != "/l/token/done" {
			t.Fatalf("%d %v", rec.Code, rec.Header())
		}
		got := want(t, w.Lookup(t.Context(), "c"), outcome)
		if len(heard) != 1 || heard[0].Reference != "c" || heard[0].Answer != got {
			t.Fatalf("heard %+v, want %+v", heard, got)
		}
		for _, again := range []string{"approve", "fail"} {
			if rec := w.post(t, u, again); rec.Code != http.StatusSeeOther {
				t.Errorf("a second POST: %d", rec.Code)
			}
			if now := w.Lookup(t.Context(), "c"); now != got {
				t.Errorf("a second POST changed %+v to %+v", got, now)
			}
		}
		page := w.get(t, u)
		if page.Code != http.StatusOK || strings.Contains(page.Body.String(), "<form") {
			t.Errorf("the page still asks: %d", page.Code)
		}
		if n := len(w.Book()); n != 2 {
			t.Errorf("%d entries", n)
		}
	}
}

func TestChallengeIsOverAfterReversal(t *testing.T) {
	w := start(t)
	w.OnNotice(func(context.Context, issuer.Notice) error { return errors.New("nothing to tell") })
	u := w.ask(t, "c", "/done")
	want(t, w.Reverse(t.Context(), issuer.Operation{ID: "v", Authorization: "c"}), issuer.Reversed)
	for _, rec := range []*httptest.ResponseRecorder{w.post(t, u, "approve"), w.get(t, u)} {
		if rec.Code != http.StatusGone {
			t.Errorf("%d", rec.Code)
		}
		has(t, "page", rec.Body.String(), "This confirmation is over", "not been charged", `href="/done"`)
	}
	want(t, w.Lookup(t.Context(), "c"), issuer.Reversed)
}

func TestChallengeRacesReversal(t *testing.T) {
	for range 20 {
		w := start(t)
		u := w.ask(t, "c", "/done")
		var both sync.WaitGroup
		var code int
		var reversed issuer.Answer
		both.Go(func() { code = w.post(t, u, "approve").Code })
		both.Go(func() { reversed = w.Reverse(t.Context(), issuer.Operation{ID: "v", Authorization: "c"}) })
		both.Wait()
		approved := code == http.StatusSeeOther
		if approved == (reversed.Outcome == issuer.Reversed) {
			t.Fatalf("POST %d and reversal %v", code, reversed.Outcome)
		}
	}
}

func TestChallengeNobodyGuesses(t *testing.T) {
	w := start(t)
	u := w.ask(t, "c", "/done")
	other := w.ask(t, "d", "/done")
	at := strings.LastIndex(u, "/") + 1
	mixed := u[:at+22] + other[at+22:]
	for _, path := range []string{u + "A", u[:len(u)-1], u[:at], u[:at] + strings.Repeat("A", 54), mixed, u[:at] + "%2e%2e",
		strings.ToLower(u)} {
		if rec := w.get(t, path); rec.Code != http.StatusNotFound && rec.Code < 300 {
			t.Errorf("GET %s: %d", path, rec.Code)
		}
		if rec := w.post(t, path, "approve"); rec.Code < 300 || rec.Code == http.StatusSeeOther {
			t.Errorf("POST %s: %d", path, rec.Code)
		}
	}
	for _, action := range []string{"", "maybe", "Approve"} {
		if rec := w.post(t, u, action); rec.Code != http.StatusBadRequest {
			t.Errorf("action %q: %d", action, rec.Code)
		}
	}
	if rec := w.post(t, u, strings.Repeat("x", 8<<10)); rec.Code != http.StatusBadRequest {
		t.Errorf("a long body: %d", rec.Code)
	}
	if rec := w.get(t, u+"?action=approve"); rec.Code != http.StatusOK {
		t.Errorf("%d", rec.Code)
	}
	if rec := w.post(t, u+"?action=approve", ""); rec.Code != http.StatusBadRequest {
		t.Errorf("an action in the query: %d", rec.Code)
	}
	want(t, w.Lookup(t.Context(), "c"), issuer.ActionRequired)
	second := start(t) // another book has other addresses for the same reference
	if second.ask(t, "c", "/done") == u {
		t.Error("the address can be computed")
	}
}

func TestChallengeReturnURL(t *testing.T) {
	w := start(t)
	for i, back := range []string{"", "javascript:alert(1)", "//evil.example", "/\\evil.example", "data:text/html,x",
		"https://user@evil.example/", "https://" + strings.Repeat("x", 3000)} {
		u := w.ask(t, strings.Repeat("c", i+1), back)
		rec := w.post(t, u, "approve")
		if rec.Code != http.StatusOK || rec.Header().Get("Location") != "" {
			t.Errorf("%q: %d %q", back, rec.Code, rec.Header().Get("Location"))
		}
		has(t, "page", rec.Body.String(), "Payment confirmed")
	}
	if rec := w.post(t, w.ask(t, "ok", "https://shop.example/a?b=c#d"),
		"fail"); rec.Header().Get("Location") != "https://shop.example/a?b=c#d" {
		t.Errorf("%d %v", rec.Code, rec.Header())
	}
}
