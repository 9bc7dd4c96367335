package main_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/mail/mailtest"
)

// TestMailAccessibility shows what mails lead to, and the room that chooses them, to
// axe-core: a receipt, genuine and altered; the page that ends a kind of mail,
// before, after, and for a stranger's address.
func TestMailAccessibility(t *testing.T) {
	t.Parallel()
	server := mailtest.Start(t, mailtest.Options{NoStartTLS: true})
	p := serveWith(t, filepath.Join(t.TempDir(), "data"), freeAddress(t), "--mail-url", server.URL(), "--mail-from", "Payments <pay@shop.example>")
	g := &gallery{t: t, axe: axeScript(t), p: p, b: openBrowser(t)}
	_, g.key = p.merchant(t, "ada-lovelace-and-daughters")
	p.confirm(t, server)
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	defer gone.Close()
	g.key.ok("POST", "/api/webhook-endpoints", `{"url":"`+gone.URL+`","events":["payment.succeeded"]}`)
	if a := g.key.as("").do("POST", tokenPath(t, g.link(`"amount":"1250.50"`))+"/payments", `{"attempt":"attempt-0000000001","payer":{"email":"ada-lovelace-and-daughters@example.com"},`+
		`"card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"739"}}`); a.status != http.StatusOK {
		t.Fatalf("paying answers %d: %s", a.status, a.body)
	}
	var receipt, unsubscribe string
	for receipt == "" || unsubscribe == "" {
		got := server.Next(t)
		if at := receiptAddress.FindString(got.Text); at != "" {
			receipt = strings.TrimPrefix(at, p.url)
		}
		if at := strings.Trim(got.Header.Get("List-Unsubscribe"), "<>"); at != "" {
			unsubscribe = strings.TrimPrefix(at, p.url)
		}
	}
	g.show(receipt, "receipt genuine")
	g.show(receipt[:len(receipt)-4]+"AAAA", "receipt altered")
	g.show(unsubscribe, "mail ends")
	g.show("/mail/nobodys", "mail of nobody")
	g.b.open(g.p.url + unsubscribe)
	g.b.press("main form button")
	g.b.sees("You are unsubscribed")
	g.b.audit("dashboard mail ended", g.axe)
	g.signIn("ada-lovelace-and-daughters")
	g.show("/dashboard/account/notifications", "notifications")
	g.b.onlyOwnOrigin(g.p.url)
}
