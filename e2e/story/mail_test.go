package story

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/mail/mailtest"
)

// TestMailOutlivesItsProcess checks that a payment is answered, and the process that would email
// the receipt is killed while the mail server keeps it waiting. The next process sends the
// receipt at once. It is verified on the page, and offline against the published keys.
func TestMailOutlivesItsProcess(t *testing.T) {
	server := mailtest.Start(t, mailtest.Options{NoStartTLS: true})
	reached, hang := make(chan struct{}), make(chan struct{})
	defer close(hang)
	var seen atomic.Bool
	flags := []string{"--mail-url", server.URL(), "--mail-from", "Payments <pay@shop.example>"}
	p := harness.Start(t, flags...)
	_, key := p.Merchant(t, harness.Payee)
	p.Confirm(t, server)
	server.Script(func(stage mailtest.Stage, to string, _ int) error {
		if stage == mailtest.To && to == harness.Payee+"@example.com" && seen.CompareAndSwap(false, true) {
			close(reached)
			<-hang
		}
		return nil
	})
	l := key.Link(`"amount":"12.50"`)
	if a := key.As("").Do("POST", harness.TokenPath(t, l)+"/payments", `{"attempt":"attempt-0000000001","payer":{"email":"`+harness.Payee+`@example.com"},`+
		`"card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"739"}}`); a.Status >= 300 {
		t.Fatalf("paying answers %d: %s", a.Status, a.Body)
	}
	<-reached
	p.Kill()
	if server.Waiting() != 0 {
		t.Fatal("the receipt was sent before")
	}
	p = harness.StartOn(t, p.Data, strings.TrimPrefix(p.URL, "http://"), flags...)
	got := server.Next(t)
	if got.To != harness.Payee+"@example.com" || !strings.Contains(got.Subject, "€12.50") || server.Waiting() != 0 {
		t.Errorf("receipt %+v, and %d more", got, server.Waiting())
	}
	address := harness.ReceiptAddress.FindString(got.Text)
	if status, page := p.Get(t, strings.TrimPrefix(address, p.URL)); status != 200 || !strings.Contains(page, "A genuine receipt") ||
		!strings.Contains(page, "€12.50") {
		t.Errorf("the page says %d: %s", status, page)
	}
	_, keys := p.Get(t, "/.well-known/jwks.json")
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	token := u.Query().Get("receipt")
	harness.Worked(t, "amount     EUR 12.50\n", "receipt", "verify", "--jwks", file, token)
	harness.Worked(t, "status     succeeded\n", "receipt", "verify", "--jwks", file, address)
	harness.Worked(t, "authentic", "receipt", "verify", "--data", p.Data, token)
	harness.Refused(t, "this receipt is invalid", "receipt", "verify", "--jwks", file, token[:len(token)-4]+"AAAA")
	harness.Refused(
		t,
		"this receipt is invalid",
		"receipt",
		"verify",
		"--jwks",
		file,
		strings.TrimPrefix(harness.Str(t, l, "url"), p.URL+"/l/"),
	)
}

// TestMailSettings checks that errors in them are reported, and that no password is repeated.
func TestMailSettings(t *testing.T) {
	dir := t.TempDir()
	harness.Worked(
		t,
		"is valid",
		"check-config",
		"--data",
		dir,
		"--mail-url",
		"smtp://u:s3cret@mail.example",
		"--mail-from",
		"pay@shop.example",
	)
	for words, args := range map[string][]string{
		"--mail-from":              {"--mail-url", "smtp://mail.example"},
		"--mail-url: required":     {"--mail-from", "pay@shop.example"},
		"--mail-from \"shop\"":     {"--mail-from", "shop", "--mail-url", "smtp://mail.example"},
		"omit ?tls=off":            {"--mail-from", "pay@shop.example", "--mail-url", "smtp://u:s3cret@mail.example?tls=off"},
		"want smtp:// or smtps://": {"--mail-from", "pay@shop.example", "--mail-url", "http://u:s3cret@mail.example"},
	} {
		out, errs, status := harness.Command(t, append([]string{"check-config", "--data", dir}, args...)...)
		if status == 0 || !strings.Contains(errs, words) || strings.Contains(out+errs, "s3cret") {
			t.Errorf("%v: %d %s %s", args, status, out, errs)
		}
	}
}

// TestMailAboutAHeldPayment checks that a rule holds a payment, and that its merchant is
// notified.
func TestMailAboutAHeldPayment(t *testing.T) {
	server := mailtest.Start(t, mailtest.Options{NoStartTLS: true})
	p := harness.Start(t, "--mail-url", server.URL(), "--mail-from", "Payments <pay@shop.example>")
	_, key := p.Merchant(t, harness.Payee)
	p.Confirm(t, server)
	key.OK("POST", "/api/fraud/rules", `{"name":"Large amounts","action":"review","when":"amount >= 200","state":"on"}`)
	l := key.Link(`"amount":"250"`)
	key.PayJSON(l, "attempt-0000000001", "4242424242424242")
	held := harness.OnePayment(key, l, "authorized")
	got := server.Next(t)
	if got.To != harness.Payee+"@example.com" || got.Subject != "A payment of €250.00 waits for your review" ||
		!strings.Contains(got.Text, p.URL+"/dashboard/test/payments/"+held) {
		t.Errorf("mail %+v", got)
	}
	key.OK("POST", "/api/payments/"+held+"/review", `{"verdict":"approve"}`, "Idempotency-Key", "approve")
	key.OK(
		"POST",
		"/api/payments/"+held+"/disputes",
		`{"reason":"duplicate","amount":"50","evidenceDueAt":"2031-02-03T23:59:59Z"}`,
		"Idempotency-Key",
		"dispute",
	)
	if got := server.Next(t); got.Subject != "A payment is disputed: €50.00" || !strings.Contains(got.Text, "Charged twice") ||
		!strings.Contains(got.Text, "February 3, 2031") {
		t.Errorf("mail %+v", got)
	}
}
