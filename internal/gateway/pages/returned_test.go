package pages

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/payment"
)

// A bank's server sends the payer back by a form: the browser posts from another site.
// It is sent on by GET, whatever it brings and whatever the token, and nothing changes.
func TestReturnByPostIsSentOn(t *testing.T) {
	w := newWorld(t)
	l := w.link("open", paying)
	w.pay(l, attempt, payment.RequiresAction, func(p *payment.Payment) { p.ActionURL = "https://acs.bank.example/x" })
	bank := map[string]string{
		"Content-Type":   "application/x-www-form-urlencoded",
		"Origin":         "https://bank.example",
		"Sec-Fetch-Site": "cross-site",
	}
	for target, want := range map[string]string{
		"/l/open/status?attempt=" + attempt:                    "/l/open/status?attempt=" + attempt,
		"/l/open/status?attempt=" + attempt + "&lang=de&x=//e": "/l/open/status?attempt=" + attempt + "&lang=de",
		"/l/open/status":             "/l/open/status",
		"/l/open":                    "/l/open",
		"/l/open?lang=ar":            "/l/open?lang=ar",
		"/l/forged/status?attempt=x": "/l/forged/status?attempt=x",
		"/l/%2F%2Fevil.example":      "/l/%2F%2Fevil.example",
		"/l/open%0D%0AX:%20y/status": "/l/open%0D%0AX:%20y/status",
	} {
		a := w.do(http.MethodPost, target, "x=1&number=4242424242424242&"+strings.Repeat("a", 1<<20), bank)
		if a.status != http.StatusSeeOther || a.header.Get("Location") != want || a.header.Get("Set-Cookie") != "" ||
			a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %q", target, a.status, a.header)
		}
	}
	if w.changes != 0 {
		t.Errorf("%d changes", w.changes)
	}
	// What pays and what fills in a form stays closed to other sites.
	if a := w.postForm("open", goodForm(), bank); a.status != http.StatusForbidden {
		t.Errorf("a payment from another site: %d", a.status)
	}
}

func TestAddressesWithThingsAroundThem(t *testing.T) {
	w := newWorld(t)
	w.link("AbC-_9", nil)
	for _, target := range []string{"/l/AbC-_9.", "/l/AbC-_9)", "/l/AbC-_9/", "/l/AbC-_9%20", "/l/AbC-_9).", "/l/AbC-_9%E2%80%8B",
		"/l/%3CAbC-_9%3E", "/l/AbC-_9,?x=1", "/l/AbC-_9%0A", "/l/AbC-_9_"} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if a := w.do(method, target, "", nil); a.status != http.StatusSeeOther || a.header.Get("Location") != "/l/AbC-_9" {
				t.Errorf("%s %s: %d %q", method, target, a.status, a.header.Get("Location"))
			}
		}
	}
	first := w.get("/l/forged")
	for _, target := range []string{"/l/forged.", "/l/forged/", "/l/forged%20", "/l/AbC-_9x", "/l/AbC-_9/x", "/l/xAbC-_9"} {
		if a := w.get(target); a.status != 404 || a.body != first.body {
			t.Errorf("%s: %d, or another body", target, a.status)
		}
	}
	if a := w.postForm("AbC-_9.", goodForm(), nil); a.status != 404 {
		t.Errorf("a payment to a token with a full stop: %d", a.status)
	}
}

// TestMailsWithThingsAroundThem: the same for the links of mails, whose tokens may
// end in "-" or "_".
func TestMailsWithThingsAroundThem(t *testing.T) {
	w := newWorld(t)
	for _, token := range []string{"user-AbC", "payer-x_9", "user-end-", "user-end_"} {
		for _, around := range []string{".", ")", "/", "%20", ").", "%E2%80%8B", ",?x=1", "%0A"} {
			for _, method := range []string{http.MethodGet, http.MethodHead} {
				if a := w.do(method, "/mail/"+token+around, "", nil); a.status != http.StatusSeeOther || a.header.Get("Location") != "/mail/"+token {
					t.Errorf("%s /mail/%s%s: %d %q", method, token, around, a.status, a.header.Get("Location"))
				}
			}
		}
		if a := w.get("/mail/" + token); a.status != http.StatusOK {
			t.Errorf("/mail/%s: %d", token, a.status)
		}
	}
	for _, target := range []string{"/mail/forged.", "/mail/forged/", "/mail/", "/mail/user-AbC/x"} {
		if a := w.get(target); a.status != http.StatusNotFound {
			t.Errorf("%s: %d", target, a.status)
		}
	}
	if a := w.do(http.MethodPost, "/mail/user-AbC.", "List-Unsubscribe=One-Click",
		map[string]string{"Content-Type": "application/x-www-form-urlencoded"}); a.status != http.StatusNotFound ||
		len(w.ended) != 0 {
		t.Errorf("a POST to a token with a full stop: %d, %v", a.status, w.ended)
	}
}

func TestVerifyJudgesWhatWasMeant(t *testing.T) {
	w := newWorld(t)
	l := w.link("AbC-_9", nil)
	const at = publicURL + "/l/AbC-_9"
	rec := w.receipt(l, payment.Succeeded, func(p *payment.Payment) { p.CapturedMinor = 1250 })
	ours := func(member, s string) bool {
		a := w.do(http.MethodGet, "/verify?"+member+"="+url.QueryEscape(s), "", map[string]string{"Accept": "application/json"})
		if a.status != 200 {
			t.Errorf("%s %q: %d", member, s, a.status)
		}
		return strings.Contains(a.body, `"ours":true`)
	}
	for _, s := range []string{at, at + ".", "<" + at + ">", "\u200b" + at, "«Pay here: " + at + "»", at[:30] + "\n" + at[30:],
		at[:30] + " " + at[30:], "[x](" + at + ")", at + ")", at + "/", at + "%20", at + "?lang=de", at + "/status?attempt=x", "AbC-_9.",
		"(AbC-_9)", "pay.example.com/l/AbC-_9!"} {
		if !ours("link", s) {
			t.Errorf("%q is not ours", s)
		}
	}
	for _, s := range []string{"https://evil.example/?x=" + at, "https://evil.example/l/AbC-_9", "[" + at + "](https://evil.example)",
		"evil.example/" + at, "evil.example/l/AbC-_9", at + " https://evil.example", publicURL + ".evil.example/l/AbC-_9",
		"https://x@pay.example.com/l/AbC-_9", publicURL + "/l/forged.", "forged."} {
		if ours("link", s) {
			t.Errorf("%q is ours", s)
		}
	}
	address := publicURL + "/verify?receipt=" + rec
	for _, s := range []string{rec, rec + ".", "<" + rec + ">", "\u200b" + rec, rec[:40] + "\n" + rec[40:], address,
		"Receipt: " + address + ".", "<" + address + ">", "[x](" + address + ")"} {
		if !ours("receipt", s) || !ours("link", s) {
			t.Errorf("receipt %q is not ours", s)
		}
	}
	for _, s := range []string{altered(rec), ".", "x", altered(rec) + "."} {
		if ours("receipt", s) {
			t.Errorf("receipt %q is ours", s)
		}
	}
	// The page leads to the address alone.
	a := w.get("/verify?link=" + url.QueryEscape("Pay here: "+at+"."))
	contains(t, "genuine", a.body, "Ours and unaltered", `href="/l/AbC-_9"`)
}
