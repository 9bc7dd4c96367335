package pages

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// TestReceiptIsJudged: pasted as it is, or with the address that a mail leads to,
// under whatever address; as a page, and as data.
func TestReceiptIsJudged(t *testing.T) {
	w := newWorld(t)
	hostile := `Ada "><script>alert(1)</script>`
	l := w.link("r", func(l *link.Link) { l.Payee, l.Mode = hostile, link.Live })
	token := w.receipt(l, payment.Succeeded, func(p *payment.Payment) { p.CapturedMinor = 1250 })
	for _, pasted := range []string{token, "  " + token + "\n", publicURL + "/verify?receipt=" + token,
		"https://elsewhere.example/verify?receipt=" + token} {
		a := w.in("de", "/verify?link="+url.QueryEscape(pasted))
		contains(t, "receipt", a.body, "Ein echter Beleg", "12,50", "Bezahlt")
		lacks(t, "receipt", a.body, "<script>alert", "Testmodus")
		if a.status != http.StatusOK {
			t.Errorf("status %d", a.status)
		}
	}
	var good, bad map[string]any
	for target, into := range map[string]*map[string]any{"/verify?receipt=" + token: &good, "/verify?receipt=" + token + "x": &bad} {
		a := w.do(http.MethodGet, target, "", map[string]string{"Accept": "application/json"})
		if err := json.Unmarshal([]byte(a.body), into); err != nil {
			t.Fatalf("%s: %v", a.body, err)
		}
	}
	if good["ours"] != true || good["payee"] != hostile || good["amount"] != "12.50" || good["capturedAmount"] != "12.50" ||
		good["status"] != "succeeded" ||
		good["mode"] != "live" ||
		good["keyId"] == "" {
		t.Errorf("data %v", good)
	}
	if bad["ours"] != false || len(bad) != 1 {
		t.Errorf("data about a forgery %v", bad)
	}
	for _, odd := range []string{"a.b.c", strings.Repeat("a", 5000) + "." + "b.c", "https://x.example/verify?receipt=",
		publicURL + "/verify"} {
		if a := w.in("en", "/verify?link="+url.QueryEscape(odd)); a.status != http.StatusOK || !strings.Contains(a.body, "This is not our") {
			t.Errorf("%.40s: status %d", odd, a.status)
		}
	}
}

// TestOneClickUnsubscribe (RFC 8058): a GET changes nothing, because programs follow
// links; a POST needs no session, no cookie and no form of ours, and may come twice.
func TestOneClickUnsubscribe(t *testing.T) {
	w := newWorld(t)
	for _, token := range []string{"user-1", "payer-grace"} {
		for range 2 {
			if a := w.in("en", "/mail/"+token); a.status != http.StatusOK || !strings.Contains(a.body, `value="One-Click"`) {
				t.Errorf("asked: %d %s", a.status, a.body)
			}
		}
		before := w.changes
		for range 2 {
			a := w.do(
				http.MethodPost,
				"/mail/"+token,
				"List-Unsubscribe=One-Click",
				map[string]string{"Content-Type": "application/x-www-form-urlencoded"},
			)
			if a.status != http.StatusOK || !strings.Contains(a.body, "You are unsubscribed") {
				t.Errorf("posted: %d %s", a.status, a.body)
			}
		}
		if !w.ended[token] || w.changes != before+2 {
			t.Errorf("%s is not ended", token)
		}
		if a := w.in("fr", "/mail/"+token); !strings.Contains(a.body, "Vous êtes désabonné") || strings.Contains(a.body, "<form method") {
			t.Errorf("afterwards: %s", a.body)
		}
	}
	if a := w.do(http.MethodPost, "/mail/odd", "List-Unsubscribe=One-Click", nil); a.status != http.StatusNotFound {
		t.Errorf("a link that is not ours: %d", a.status)
	}
	if a := w.do(http.MethodPost, "/mail/user-2", strings.Repeat("x", maxBodyBytes+1), nil); a.status != http.StatusRequestEntityTooLarge ||
		w.ended["user-2"] {
		t.Errorf("a huge body: %d", a.status)
	}
	w.broken = fault.Unavailable("store_unavailable", 0, nil, "The store cannot be reached now.")
	if a := w.in("en", "/mail/user-1"); a.status != http.StatusServiceUnavailable {
		t.Errorf("without a store: %d", a.status)
	}
}
