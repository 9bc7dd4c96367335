package pages

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/mail/mailtest"
)

// TestMailAccessibility shows the pages behind emails, and the page with email preferences, to
// axe-core: a receipt, genuine and altered; the unsubscribe page, before, after, and for another
// account's address.
func TestMailAccessibility(t *testing.T) {
	t.Parallel()
	server := mailtest.Start(t, mailtest.Options{NoStartTLS: true})
	p := harness.Start(t, "--mail-url", server.URL(), "--mail-from", "Payments <pay@shop.example>")
	g := newGallery(t, p)
	_, g.key = p.Merchant(t, "ada-lovelace-and-daughters")
	p.Confirm(t, server)
	gone := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusGone) }))
	defer gone.Close()
	g.key.OK("POST", "/api/webhook-endpoints", `{"url":"`+gone.URL+`","events":["payment.succeeded"]}`)
	if a := g.key.As("").Do("POST", harness.TokenPath(t, g.link(`"amount":"1250.50"`))+"/payments", `{"attempt":"attempt-0000000001","payer":{"email":"ada-lovelace-and-daughters@example.com"},`+
		`"card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"739"}}`); a.Status != http.StatusOK {
		t.Fatalf("paying answers %d: %s", a.Status, a.Body)
	}
	var receipt, unsubscribe string
	for receipt == "" || unsubscribe == "" {
		got := server.Next(t)
		if at := harness.ReceiptAddress.FindString(got.Text); at != "" {
			receipt = strings.TrimPrefix(at, p.URL)
		}
		if at := strings.Trim(got.Header.Get("List-Unsubscribe"), "<>"); at != "" {
			unsubscribe = strings.TrimPrefix(at, p.URL)
		}
	}
	g.show(receipt, "receipt genuine")
	g.show(receipt[:len(receipt)-4]+"AAAA", "receipt altered")
	g.show(unsubscribe, "mail ends")
	g.show("/mail/nobodys", "mail of nobody")
	g.b.Open(g.p.URL + unsubscribe)
	g.b.Press("main form button")
	g.b.Sees("You are unsubscribed")
	g.audit("dashboard mail ended")
	g.b.SignIn(g.p.URL, "ada-lovelace-and-daughters")
	g.show("/dashboard/account/notifications", "notifications")
	g.b.OnlyOwnOrigin(g.p.URL)
}
