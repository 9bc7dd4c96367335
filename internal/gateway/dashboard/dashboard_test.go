package dashboard_test

import (
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
)

func TestTheDoor(t *testing.T) {
	w := newWorld(t)
	c := w.stranger()
	p := w.do(c, http.MethodGet, "/dashboard/test/payments?status=succeeded", nil)
	if !strings.HasPrefix(p.path, "/dashboard/sign-in?next=") {
		t.Fatalf("a stranger is shown %s", p.path)
	}
	p.has(t, "<h1>Sign in</h1>")
	p = w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {username}, "password": {"not this one, no"}})
	if p.status != http.StatusUnauthorized {
		t.Errorf("a wrong password is answered with %d", p.status)
	}
	p.has(t, "The username or the password is wrong.", `value="maria"`)
	p.lacks(t, "not this one")
	p = w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {username}, "password": {password}, "next": {"/dashboard/test/payments?status=succeeded"}})
	if p.path != "/dashboard/test/payments?status=succeeded" {
		t.Errorf("signed in, and shown %s", p.path)
	}
	p = w.do(c, http.MethodPost, "/dashboard/sign-out", url.Values{})
	p.has(t, "You are signed out.")
	p = w.do(c, http.MethodGet, "/dashboard/test/payments", nil)
	if !strings.HasPrefix(p.path, "/dashboard/sign-in") {
		t.Errorf("signed out, and shown %s", p.path)
	}
	p = w.do(c, http.MethodGet, "/dashboard/test/payments", nil, "HX-Request", "true")
	if p.status != http.StatusUnauthorized || p.header.Get("HX-Redirect") != "/dashboard/sign-in" {
		t.Errorf("a script of a stranger is answered %d, %v", p.status, p.header)
	}
}

// What is asked for after signing in is a page of ours, whatever the address says.
func TestTheDoorLeadsNowhereElse(t *testing.T) {
	w := newWorld(t)
	for _, next := range []string{"https://evil.example/dashboard/", "//evil.example/dashboard/x", `/\evil.example/dashboard/`, "/dashboard/../l/x",
		"javascript:alert(1)", "/l/abc", "/dashboard/test//evil", "/dashboards"} {
		c := w.stranger()
		c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
		p := w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {username}, "password": {password}, "next": {next}})
		if got := p.header.Get("Location"); p.status != http.StatusSeeOther || got != "/dashboard" {
			t.Errorf("next=%s leads to %s (%d)", next, got, p.status)
		}
	}
}

func TestSessionCookie(t *testing.T) {
	w := newWorld(t)
	c := w.stranger()
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p := w.do(c, http.MethodPost, "/dashboard/sign-in", url.Values{"login": {username}, "password": {password}})
	var cookie string
	for _, s := range p.header.Values("Set-Cookie") {
		if strings.HasPrefix(s, "paylink=") {
			cookie = s
		}
	}
	for _, part := range []string{"; HttpOnly", "; SameSite=Lax", "; Path=/", "; Max-Age="} {
		if !strings.Contains(cookie, part) {
			t.Errorf("the cookie %q lacks %q", cookie, part)
		}
	}
}

func TestFormsOfOtherSitesAreRefused(t *testing.T) {
	w := newWorld(t)
	for _, headers := range [][]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Sec-Fetch-Site", "", "Origin", "https://evil.example"}} {
		p := w.post("/dashboard/sign-out", url.Values{}, headers...)
		if p.status != http.StatusForbidden {
			t.Errorf("%v is answered with %d", headers, p.status)
		}
	}
	w.get("/dashboard")
}

func TestPolicyOfEveryPage(t *testing.T) {
	w := newWorld(t)
	for _, path := range []string{"/dashboard", "/dashboard/nowhere"} {
		p := w.do(w.client, http.MethodGet, path, nil)
		policy := p.header.Get("Content-Security-Policy")
		if !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "unsafe") || p.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %v", path, p.header)
		}
		if found := regexp.MustCompile(`(?i)\sstyle=|<style|\son[a-z]+=|<script(?:>|[^>]*>[^<])`).FindString(p.body); found != "" {
			t.Errorf("%s has %q in it, which the policy forbids", path, found)
		}
	}
}

func TestLanguages(t *testing.T) {
	w := newWorld(t)
	c := w.stranger()
	p := w.do(c, http.MethodGet, "/dashboard/sign-in", nil, "Accept-Language", "de-CH, en;q=0.5")
	p.has(t, `lang="de-CH"`, "Anmelden")
	p = w.do(c, http.MethodGet, "/dashboard/sign-in?lang=ar", nil)
	p.has(t, `dir="rtl"`, "تسجيل الدخول")
	p = w.do(c, http.MethodGet, "/dashboard/sign-in", nil, "Accept-Language", "de")
	p.has(t, `dir="rtl"`) // the choice is kept
}

// TestColours: the two style sheets are made of the same colours.
func TestColours(t *testing.T) {
	colours := func(path string) map[string]string {
		raw, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		out := map[string]string{}
		light, dark, _ := strings.Cut(string(raw), "@media (prefers-color-scheme: dark)")
		for scheme, css := range map[string]string{"light": light, "dark": dark} {
			for _, m := range regexp.MustCompile(`--([a-z-]+): (#[0-9a-f]{6});`).FindAllStringSubmatch(css, -1) {
				out[scheme+" "+m[1]] = m[2]
			}
		}
		return out
	}
	ours, payers := colours("assets/dashboard.css"), colours("../pages/assets/paylink.css")
	if len(ours) < 30 {
		t.Fatalf("only %d colours", len(ours))
	}
	for name, c := range ours {
		if payers[name] != c {
			t.Errorf("%s is %s here and %s on the payer's pages", name, c, payers[name])
		}
	}
}
