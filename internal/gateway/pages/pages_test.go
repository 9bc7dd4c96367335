package pages

import (
	"flag"
	"fmt"
	"html"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/asset"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

var preview = flag.String("preview", "", "folder into which TestPreview writes every page")

// scene is one page that a payer may see.
type scene struct {
	name, target string
	status       int
	wants        []string
	lacks        []string
}

func expired(l *link.Link)  { l.ExpiresAt = noon.Add(-time.Hour) }
func canceled(l *link.Link) { l.CanceledAt = noon.Add(-time.Hour) }
func paid(l *link.Link)     { l.Uses, l.PaidAt = 1, noon.Add(-time.Minute) }
func paying(l *link.Link)   { l.Reserved = 1 }
func many(l *link.Link)     { l.MaxUses = 0 }

// scenes fills the world with one of each and lists the pages.
func scenes(w *world) []scene {
	var list []scene
	add := func(name, target string, status int, wants ...string) *scene {
		list = append(list, scene{name: name, target: target, status: status, wants: wants})
		return &list[len(list)-1]
	}
	w.link("open", nil)
	add("pay", "/l/open", 200, "Blue Door Books", "€12.50", "Two second-hand novels", "INV-2044", "Pay by",
		`datetime="2026-11-25T12:00:00.000Z"`, "Test mode", `autocomplete="cc-number"`, `autocomplete="cc-exp"`,
		`autocomplete="cc-csc"`, `autocomplete="cc-name"`, `autocomplete="email"`, `inputmode="numeric"`, `method="post"`, `<label for="number">`)
	w.link("live", func(l *link.Link) { l.Mode = link.Live; l.Reference, l.Description = "", "" })
	add("pay-live", "/l/live", 200, "€12.50").lacks = []string{"Test mode", "4242"}
	w.link("choose", func(l *link.Link) { l.Amount, l.MinMinor, l.MaxMinor = money.Of(0, "KWD"), 1500, 90000 })
	add("pay-choose", "/l/choose", 200, "Amount in KWD", "KWD\u00a01.500", "KWD\u00a090.000", `inputmode="decimal"`)
	w.link("yen", func(l *link.Link) { l.Amount = money.Of(1200, "JPY") })
	add("pay-yen", "/l/yen", 200, "¥1,200")
	w.link("expired", expired)
	add("expired", "/l/expired", 410, "This link has expired", "November 24, 2026, 11:00 am UTC", "ask Blue Door Books for a new link")
	w.link("canceled", canceled)
	add("canceled", "/l/canceled", 410, "This link was canceled", "withdrawn")
	w.link("paid", paid)
	add("paid", "/l/paid", 200, "This link has been paid", "€12.50", "INV-2044")
	w.pay(w.link("paid2", paid), attempt, payment.Succeeded, nil)
	add("paid-with-payment", "/l/paid2", 200, "Payment received", "pay_").lacks = []string{"ending in 4242", "Return to"}
	w.link("paying", paying)
	add("paying", "/l/paying", 200, "A payment is under way", `http-equiv="refresh" content="3"`)
	w.pay(w.link("challenge", paying), attempt, payment.RequiresAction, func(p *payment.Payment) { p.ActionURL = "/simulator/challenge/1" })
	add("paying-challenge", "/l/challenge", 200, "Continue with your bank", `href="`+publicURL+`/simulator/challenge/1"`)
	w.pay(w.link("asking", paying), attempt, payment.Unknown, nil)
	add("paying-unknown", "/l/asking", 200, "We are confirming your payment", "Don’t pay again", "data-stream=")
	for _, s := range []struct {
		status payment.Status
		change func(*payment.Payment)
		link   func(*link.Link)
		words  []string
	}{
		{payment.Created, nil, nil, []string{"has not been sent", "Pay again"}},
		{payment.Processing, nil, paying, []string{"We are confirming your payment", `content="3"`}},
		{payment.RequiresAction, func(p *payment.Payment) { p.ActionURL = "https://acs.bank.example/x" }, paying,
			[]string{"https://acs.bank.example/x", "Continue with your bank"}},
		{payment.Authorized, nil, paying, []string{"Your bank approved", `content="3"`}},
		{payment.Voiding, func(p *payment.Payment) { p.Capture = link.CaptureManual }, paying, []string{"Your bank approved"}},
		{payment.Succeeded, nil, paid, []string{"Payment received", "Return to shop.example.org", "Visa ending in 4242", "pay_"}},
		{payment.PartiallyRefunded, func(p *payment.Payment) { p.RefundedMinor = 500 }, paid, []string{"refunded in part", "€5.00"}},
		{payment.Refunded, func(p *payment.Payment) { p.RefundedMinor = 1250 }, paid, []string{"Payment refunded"}},
		{payment.Declined, func(p *payment.Payment) { p.DeclineCode = issuer.CodeLost }, nil, []string{"The payment was declined", "The card was declined", "Try another card", `href="/l/st-declined"`}},
		{payment.Authorized + "-held", func(p *payment.Payment) {
			p.Status, p.Risk.Action, p.Risk.Review = payment.Authorized, payment.Hold, payment.ReviewOpen
		}, paying, []string{"Your bank approved", "has not been taken yet"}},
		{payment.Declined + "-blocked", func(p *payment.Payment) {
			p.Status, p.DeclineCode, p.Risk.Action = payment.Declined, payment.CodeBlocked, payment.Block
		}, nil, []string{"The payment was declined", "The card was declined", "Try another card"}},
		{payment.Canceled, nil, expired, []string{"The payment was canceled", "No money was taken", "could be paid until"}},
		{payment.Late, nil, expired, []string{"came after the deadline"}},
		{payment.Review, nil, paying, []string{"is being checked"}},
	} {
		token := "st-" + string(s.status)
		w.pay(w.link(token, s.link), attempt, s.status, s.change)
		add("status-"+string(s.status), "/l/"+token+"/status?attempt="+attempt, 200, s.words...).lacks = []string{
			"lost",
			"stolen",
			"payment_blocked",
		}
	}
	add("status-none", "/l/open/status?attempt="+attempt, 200, "has not been paid yet", "Pay now")
	w.pay(w.link("many", many), attempt, payment.Succeeded, nil)
	add("status-many-hidden", "/l/many/status", 200, "has not been paid yet").lacks = []string{"pay_", "ending in 4242", "received"}
	add("verify", "/verify", 200, "Check a payment link", `name="link"`)
	add("verify-ours", "/verify?link="+publicURL+"/l/open", 200, "Ours and unaltered", "November 25, 2026", "1f2e3d4c")
	add("verify-expired", "/verify?link="+publicURL+"/l/expired", 200, "Ours, but expired")
	add("verify-forged", "/verify?link="+publicURL+"/l/forged", 200, "This is not our link")
	token := w.receipt(
		w.link("receipt", paid),
		payment.PartiallyRefunded,
		func(p *payment.Payment) { p.CapturedMinor, p.RefundedMinor = 1250, 500 },
	)
	add(
		"verify-receipt",
		"/verify?receipt="+token,
		200,
		"A genuine receipt",
		"Partly refunded",
		"€12.50",
		"€5.00",
		"Blue Door Books",
		"INV-2044",
		"Visa ending in 4242",
		"pay_",
	)
	add("verify-receipt-forged", "/verify?receipt="+altered(token), 200, "This is not our receipt")
	add("unsubscribe-user", "/mail/user-1", 200, "Payment links that expire soon", `method="post" action="/mail/user-1"`)
	add("unsubscribe-payer", "/mail/payer-grace", 200, "grace@example.com", "Other senders are not affected")
	add("unsubscribe-odd", "/mail/odd", 404, "This link does not work")
	add("verify-elsewhere", "/verify?link=https://pay.example.com.evil.example/l/open", 200, "This is not our link")
	add("landing", "/", 200, "Check a payment link")
	add(
		"problem",
		"/problems/link_expired",
		200,
		"Problem",
		"link_expired",
		"409 Conflict",
		"What it means",
		"has expired",
		"What to do",
		`href="/problems"`,
	)
	add("problem-two-statuses", "/problems/api_key_revoked", 200, "401 Unauthorized, or 409 Conflict")
	add("problem-unknown", "/problems/nonsense", 404, "can’t find this page")
	add("problems", "/problems", 200, "Problems", `href="/problems/account_exists"`, `href="/problems/value_invalid"`)
	add("not-found", "/nowhere", 404, "can’t find this page")
	add("forged", "/l/forged", 404, "can’t find this page", "Nothing was paid")
	add("forged-status", "/l/forged/status", 404, "can’t find this page")
	return list
}

var inline = regexp.MustCompile(`(?i)\sstyle=|<style|\son[a-z]+=|<script(?:>|\s+[^>]*>[^<])|javascript:`)

// altered is a token with another signature: of its last character the low bits say
// nothing, so one before is taken.
func altered(token string) string {
	at, other := len(token)-5, "A"
	if token[at] == 'A' {
		other = "B"
	}
	return token[:at] + other + token[at+1:]
}

// TestEveryPage: each state has its page, with its words, its status, the strict
// headers, and nothing that the policy would block.
func TestEveryPage(t *testing.T) {
	w := newWorld(t)
	for _, s := range scenes(w) {
		t.Run(s.name, func(t *testing.T) {
			a := w.get(s.target)
			if a.status != s.status {
				t.Errorf("status %d, want %d", a.status, s.status)
			}
			contains(t, s.target, a.body, s.wants...)
			lacks(t, s.target, a.body, s.lacks...)
			contains(
				t,
				s.target,
				a.body,
				`<html lang="en" dir="ltr">`,
				"<h1",
				"<main id=\"main\"",
				"<footer",
				`href="`+cssAsset.Path,
				`src="`+jsAsset.Path,
			)
			if n := strings.Count(a.body, "<h1"); n != 1 {
				t.Errorf("%d h1", n)
			}
			if m := inline.FindString(a.body); m != "" {
				t.Errorf("inline: %q", m)
			}
			checkHeaders(t, a.header)
			if len(a.body)+len(cssBytes)+len(jsBytes)+len(asset.Icon) > 60_000 {
				t.Errorf("%d bytes in all", len(a.body)+len(cssBytes)+len(jsBytes)+len(asset.Icon))
			}
		})
	}
}

func checkHeaders(t *testing.T, h http.Header) {
	t.Helper()
	for k, want := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		"Referrer-Policy":         "no-referrer", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff",
		"Cross-Origin-Opener-Policy": "same-origin", "Content-Type": "text/html; charset=utf-8",
	} {
		if h.Get(k) != want {
			t.Errorf("%s: %q, want %q", k, h.Get(k), want)
		}
	}
}

// TestPreview writes every page in every language and the assets, to be looked at in a browser:
// go test ./internal/gateway/pages -run TestPreview -args -preview /tmp/pages
func TestPreview(t *testing.T) {
	dir := *preview
	if dir == "" {
		dir = t.TempDir()
	}
	if err := os.MkdirAll(filepath.Join(dir, "assets"), 0o750); err != nil {
		t.Fatal(err)
	}
	write := func(name, body string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range assets {
		write(strings.TrimPrefix(a.Path, "/"), string(a.Body))
	}
	w := newWorld(t)
	for _, s := range scenes(w) {
		for _, l := range i18n.Languages() {
			write(s.name+"."+l.Tag+".html", w.in(l.Tag, s.target).body)
		}
	}
	form := goodForm()
	form.Set("number", "4242 4242 4242 4241")
	form.Set("cvc", "")
	form.Set("exp", "13/99")
	write("pay-errors.en.html", w.postForm("open", form, nil).body)
}

// TestF32_ReadingChangesNothing: scanners and prefetchers may open everything.
func TestF32_ReadingChangesNothing(t *testing.T) {
	w := newWorld(t)
	list := scenes(w)
	before := fmt.Sprint(w.links, w.payments)
	for _, s := range list {
		get := w.get(s.target)
		head := w.do(http.MethodHead, s.target, "", map[string]string{"Accept": "text/html"})
		if head.status != get.status || head.body != "" {
			t.Errorf("HEAD %s: %d %q", s.target, head.status, head.body)
		}
		w.do(http.MethodGet, s.target, "", map[string]string{"Accept": "application/json"})
	}
	if after := fmt.Sprint(w.links, w.payments); w.changes != 0 || after != before {
		t.Error("reading changed something")
	}
}

// TestTypeOfEveryProblemIsServed: whatever the table explains has its page at the
// address that a problem's type gives.
func TestTypeOfEveryProblemIsServed(t *testing.T) {
	w := newWorld(t)
	index := w.get("/problems").body
	for _, c := range problem.Codes() {
		p := problem.From(fault.New(fault.KindConflict, c.Name, "Words."), "")
		a := w.get(p.Type)
		if a.status != 200 {
			t.Errorf("%s: %d", p.Type, a.status)
		}
		contains(t, p.Type, a.body, c.Name, html.EscapeString(c.Meaning), html.EscapeString(c.Do))
		contains(t, "index", index, `href="`+p.Type+`"`)
	}
}

func TestAttemptIsFreshAndWellFormed(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	find := regexp.MustCompile(`name="attempt" value="([A-Za-z0-9_-]{24})"`)
	a, b := find.FindStringSubmatch(w.get("/l/open").body), find.FindStringSubmatch(w.get("/l/open").body)
	if a == nil || b == nil || a[1] == b[1] {
		t.Fatalf("%v %v", a, b)
	}
}

func TestF27_NotOursIsOneAnswer(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	first := w.get("/l/forged")
	for _, target := range []string{"/l/x", "/l/" + strings.Repeat("a", 3000), "/l/open%00", "/l/..%2f..%2fetc", "/l/", "/l/open/extra",
		"/nowhere", "/assets", "/assets/", "/assets/embed/", "/assets/..%2fpages.go"} {
		if a := w.get(target); a.status != 404 || a.body != first.body {
			t.Errorf("%s: %d, or another body", target, a.status)
		}
	}
}

// TestOtherMethodsAreRefused: a known address says what it answers, and says the same
// whatever the token.
func TestOtherMethodsAreRefused(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	for _, c := range []struct{ method, target, allow string }{
		{"PUT", "/l/forged", "GET, HEAD, POST"}, {"DELETE", "/l/open/status", "GET, HEAD, POST"},
		{"PUT", "/l/open/payments", "POST"}, {"GET", "/l/open/payments", "POST"}, {"HEAD", "/l/forged/payments", "POST"},
		{"POST", "/verify", "GET, HEAD"}, {"PUT", "/mail/user-1", "GET, HEAD, POST"}, {"POST", "/", "GET, HEAD"},
		{"POST", "/problems", "GET, HEAD"}, {"PATCH", "/problems/internal", "GET, HEAD"},
		{"TRACE", "/", "GET, HEAD"}, {"TRACE", "/l/open", "GET, HEAD, POST"}, {"TRACE", "/l/open/payments", "POST"},
	} {
		a := w.do(c.method, c.target, "", nil)
		if a.status != 405 || a.header.Get("Allow") != c.allow || a.header.Get("Content-Type") != problem.ContentType {
			t.Errorf("%s %s: %d, Allow %q, %s", c.method, c.target, a.status, a.header.Get("Allow"), a.body)
		}
	}
	if w.changes != 0 {
		t.Error("a refused method changed something")
	}
	// Who opens the address of a refused form in a browser finds the form again.
	for _, token := range []string{"open", "forged"} {
		if a := w.get("/l/" + token + "/payments"); a.status != 303 || a.header.Get("Location") != "/l/"+token ||
			a.header.Get("Referrer-Policy") != "no-referrer" {
			t.Errorf("%d %v", a.status, a.header)
		}
	}
}

func TestHostileTextIsEscaped(t *testing.T) {
	const bad = `"><script>alert(1)</script><img src=x onerror=alert(1)>`
	w := newWorld(t)
	hostile := func(change func(*link.Link)) func(*link.Link) {
		return func(l *link.Link) {
			l.Payee, l.Description, l.Reference = bad, bad, bad
			l.RedirectURL = "javascript:alert(1)"
			if change != nil {
				change(l)
			}
		}
	}
	w.link("open", hostile(nil))
	w.link("expired", hostile(expired))
	w.link("canceled", hostile(canceled))
	for _, s := range []payment.Status{payment.Succeeded, payment.Declined, payment.RequiresAction, payment.Late, payment.Review} {
		w.pay(w.link("p-"+string(s), hostile(nil)), attempt, s, func(p *payment.Payment) {
			p.ActionURL, p.DeclineCode, p.CardBrand, p.CardLast4 = "javascript:alert(1)", bad, bad, "4242"
		})
	}
	targets := []string{"/l/open", "/l/expired", "/l/canceled", "/verify?link=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", "/l/%3Cscript%3E"}
	for token := range w.links {
		targets = append(targets, "/l/"+token+"/status?attempt="+attempt)
	}
	for _, target := range targets {
		a := w.get(target)
		lacks(t, target, a.body, "<script>", "<img", "javascript:")
		if m := inline.FindString(strings.ReplaceAll(a.body, "onerror=alert(1)&gt;", "")); m != "" {
			t.Errorf("%s: inline %q", target, m)
		}
	}
	form := goodForm()
	form.Set("name", bad)
	form.Set("email", bad)
	form.Set("exp", bad)
	lacks(t, "form", w.postForm("open", form, nil).body, "<script>", "<img")
}

func TestAssetsAreImmutableAndServed(t *testing.T) {
	w := newWorld(t)
	for _, a := range assets {
		res := w.get(a.Path)
		if res.status != 200 || res.body != string(a.Body) || !strings.Contains(res.header.Get("Cache-Control"), "immutable") ||
			res.header.Get("Content-Type") != a.ContentType {
			t.Errorf("%s: %d %v", a.Path, res.status, res.header)
		}
	}
	lacks(t, "css and js", string(cssBytes)+string(jsBytes), "http://", "https://", "@import", "url(")
}

func TestPublicURL(t *testing.T) {
	for _, s := range []string{"", "pay.example.com", "ftp://x", "https://", "https://x?y=1"} {
		if _, err := New(Config{PublicURL: s}); err == nil {
			t.Errorf("%q was taken", s)
		}
	}
	p, err := New(Config{PublicURL: "https://Example.com/pay/"})
	if err != nil || p.base != "/pay" || p.origin != "https://example.com" || p.absolute(p.payPath("t")) != "https://Example.com/pay/l/t" {
		t.Errorf("%+v %v", p, err)
	}
}

func TestAmountIsWrittenAsTheReaderWrites(t *testing.T) {
	w := newWorld(t)
	w.link("usd", func(l *link.Link) { l.Amount = money.Of(123456, "USD") })
	for accept, want := range map[string]string{"": "$1,234.56", "en-CA,fr;q=0.5": "US$1,234.56", "de-DE,de": "1.234,56\u00a0$",
		"<script>,en-!!": "$1,234.56"} {
		a := w.do(http.MethodGet, "/l/usd", "", map[string]string{"Accept-Language": accept})
		if !strings.Contains(a.body, want+"</p>") {
			t.Errorf("%q: want %s", accept, want)
		}
	}
}
