package dashboard_test

import (
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
)

func TestSignInPages(t *testing.T) {
	w := desktest.New(t)
	c := w.Stranger()
	p := w.Do(c, http.MethodGet, "/dashboard/test/payments?status=succeeded", nil)
	if !strings.HasPrefix(p.Path, "/dashboard/sign-in?next=") {
		t.Fatalf("a stranger is shown %s", p.Path)
	}
	// The password is masked, and password managers may fill it in.
	p.Has(t, "<h1>Sign in</h1>", `type="password"`, `autocomplete="current-password"`)
	p = w.Do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {desktest.Username}, "password": {"not this one, no"}})
	if p.Status != http.StatusUnauthorized {
		t.Errorf("a wrong password is answered with %d", p.Status)
	}
	p.Has(t, "The username or the password is wrong.", `value="maria"`)
	p.Lacks(t, "not this one")
	p = w.Do(
		c,
		http.MethodPost,
		"/dashboard/sign-in",
		url.Values{"login": {desktest.Username}, "password": {desktest.Password}, "next": {"/dashboard/test/payments?status=succeeded"}},
	)
	if p.Path != "/dashboard/test/payments?status=succeeded" {
		t.Errorf("signed in, and shown %s", p.Path)
	}
	p = w.Do(c, http.MethodPost, "/dashboard/sign-out", url.Values{})
	p.Has(t, "You are signed out.")
	p = w.Do(c, http.MethodGet, "/dashboard/test/payments", nil)
	if !strings.HasPrefix(p.Path, "/dashboard/sign-in") {
		t.Errorf("signed out, and shown %s", p.Path)
	}
	p = w.Do(c, http.MethodGet, "/dashboard/test/payments", nil, "HX-Request", "true")
	if p.Status != http.StatusUnauthorized || p.Header.Get("HX-Redirect") != "/dashboard/sign-in" {
		t.Errorf("a script of a stranger is answered %d, %v", p.Status, p.Header)
	}
}

// What is asked for after signing in is a page of ours, whatever the address says.
func TestSignInRedirectsOnlyToUs(t *testing.T) {
	w := desktest.New(t)
	for _, next := range []string{"https://evil.example/dashboard/", "//evil.example/dashboard/x", `/\evil.example/dashboard/`, "/dashboard/../l/x",
		"javascript:alert(1)", "/l/abc", "/dashboard/test//evil", "/dashboards"} {
		c := w.Stranger()
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		p := w.Do(
			c,
			http.MethodPost,
			"/dashboard/sign-in",
			url.Values{"login": {desktest.Username}, "password": {desktest.Password}, "next": {next}},
		)
		if got := p.Header.Get("Location"); p.Status != http.StatusSeeOther || got != "/dashboard" {
			t.Errorf("next=%s leads to %s (%d)", next, got, p.Status)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	w := desktest.New(t)
	c := w.Stranger()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p := w.Do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {desktest.Username}, "password": {desktest.Password}})
	for name, life := range map[string]string{"paylink=": "; Max-Age=", "paylink-device=": "; Max-Age=15552000"} {
		var cookie string
		for _, s := range p.Header.Values("Set-Cookie") {
			if strings.HasPrefix(s, name) {
				cookie = s
			}
		}
		for _, part := range []string{"; HttpOnly", "; SameSite=Lax", "; Path=/", life} {
			if !strings.Contains(cookie, part) {
				t.Errorf("the cookie %q lacks %q", cookie, part)
			}
		}
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	w := desktest.New(t)
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"},
		{"Sec-Fetch-Site", "", "Origin", "https://evil.example"}} {
		p := w.Post("/dashboard/sign-out", url.Values{}, headers...)
		if p.Status != http.StatusForbidden {
			t.Errorf("%v is answered with %d", headers, p.Status)
		}
	}
	w.Get("/dashboard")
}

func TestPolicyOfEveryPage(t *testing.T) {
	w := desktest.New(t)
	for _, path := range []string{"/dashboard", "/dashboard/nowhere"} {
		p := w.Do(w.Client, http.MethodGet, path, nil)
		policy := p.Header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || p.Header.Get("Cache-Control") != "no-store" ||
			p.Header.Get("Referrer-Policy") != "same-origin" || p.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %v", path, p.Header)
		}
		if found := regexp.MustCompile(`(?i)\sstyle=|<style|\son[a-z]+=|<script(?:>|[^>]*>[^<])`).FindString(p.Body); found != "" {
			t.Errorf("%s has %q in it, which the policy forbids", path, found)
		}
	}
}

func TestLanguages(t *testing.T) {
	w := desktest.New(t)
	c := w.Stranger()
	p := w.Do(c, http.MethodGet, "/dashboard/sign-in", nil, "Accept-Language", "de-CH, en;q=0.5")
	p.Has(t, `lang="de-CH"`, "Anmelden")
	p = w.Do(c, http.MethodGet, "/dashboard/sign-in?lang=ar", nil)
	p.Has(t, `dir="rtl"`, "تسجيل الدخول")
	p = w.Do(c, http.MethodGet, "/dashboard/sign-in", nil, "Accept-Language", "de")
	p.Has(t, `dir="rtl"`) // the choice is kept
}
