package main_test

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/paylink/paylink/internal/mail/mailtest"
)

var confirmAddress = regexp.MustCompile(`https?://[^\s]+/dashboard/confirm\?token=([^\s]+)`)

// confirm opens the link that a new user was mailed: the next letter at the server. In
// test mode only confirmed addresses are written to.
func (p *process) confirm(t testing.TB, server *mailtest.Server) {
	t.Helper()
	got := server.Next(t)
	found := confirmAddress.FindStringSubmatch(got.Text)
	if got.Subject != "Confirm your address" || found == nil {
		t.Fatalf("the first mail is %q", got.Subject)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.url+"/dashboard/confirm", strings.NewReader("token="+found[1]))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer, err := http.DefaultTransport.RoundTrip(request)
	if err != nil {
		t.Fatal(err)
	}
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusSeeOther {
		t.Fatalf("confirming answers %d", answer.StatusCode)
	}
}

var receiptAddress = regexp.MustCompile(`https?://[^\s]+/verify\?receipt=[^\s]+`)

// TestMailOutlivesItsProcess: a payment is answered, and the process that would mail
// the receipt is killed while the mail server keeps it waiting. The next process
// sends the receipt, at once. It is checked on the page, and offline against the
// published keys.
func TestMailOutlivesItsProcess(t *testing.T) {
	server := mailtest.Start(t, mailtest.Options{NoStartTLS: true})
	reached, hang := make(chan struct{}), make(chan struct{})
	defer close(hang)
	var seen atomic.Bool
	flags := []string{"--mail-url", server.URL(), "--mail-from", "Payments <pay@shop.example>"}
	p := serveWith(t, filepath.Join(t.TempDir(), "data"), freeAddress(t), flags...)
	_, key := p.merchant(t, payee)
	p.confirm(t, server)
	server.Script(func(stage mailtest.Stage, to string, _ int) error {
		if stage == mailtest.To && to == payee+"@example.com" && seen.CompareAndSwap(false, true) {
			close(reached)
			<-hang
		}
		return nil
	})
	l := key.link(`"amount":"12.50"`)
	if a := key.as("").do("POST", tokenPath(t, l)+"/payments", `{"attempt":"attempt-0000000001","payer":{"email":"`+payee+`@example.com"},`+
		`"card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"739"}}`); a.status >= 300 {
		t.Fatalf("paying answers %d: %s", a.status, a.body)
	}
	<-reached
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	<-p.done
	if server.Waiting() != 0 {
		t.Fatal("the receipt was sent before")
	}
	p.start(append([]string{"--data", p.data, "--listen", strings.TrimPrefix(p.url, "http://"), "--public-url", p.url}, flags...)...)
	p.ready()
	got := server.Next(t)
	if got.To != payee+"@example.com" || !strings.Contains(got.Subject, "€12.50") || server.Waiting() != 0 {
		t.Errorf("receipt %+v, and %d more", got, server.Waiting())
	}
	address := receiptAddress.FindString(got.Text)
	if status, page := p.get(t, strings.TrimPrefix(address, p.url)); status != 200 || !strings.Contains(page, "A genuine receipt") || !strings.Contains(page, "€12.50") {
		t.Errorf("the page says %d: %s", status, page)
	}
	_, keys := p.get(t, "/.well-known/jwks.json")
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, []byte(keys), 0o600); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	token := u.Query().Get("receipt")
	worked(t, "amount     EUR 12.50\n", "receipt", "verify", "--jwks", file, token)
	worked(t, "status     succeeded\n", "receipt", "verify", "--jwks", file, address)
	worked(t, "ours and unaltered", "receipt", "verify", "--data", p.data, token)
	refusedWith(t, "not a receipt of ours", "receipt", "verify", "--jwks", file, token[:len(token)-4]+"AAAA")
	refusedWith(t, "not a receipt of ours", "receipt", "verify", "--jwks", file, strings.TrimPrefix(str(t, l, "url"), p.url+"/l/"))
}

// TestMailSettings: what is wrong with them is named, and no password is repeated.
func TestMailSettings(t *testing.T) {
	dir := t.TempDir()
	worked(t, "is good", "check-config", "--data", dir, "--mail-url", "smtp://u:s3cret@mail.example", "--mail-from", "pay@shop.example")
	for words, args := range map[string][]string{
		"--mail-from":                 {"--mail-url", "smtp://mail.example"},
		"--mail-url: the mail server": {"--mail-from", "pay@shop.example"},
		"--mail-from \"shop\"":        {"--mail-from", "shop", "--mail-url", "smtp://mail.example"},
		"?tls=off out":                {"--mail-from", "pay@shop.example", "--mail-url", "smtp://u:s3cret@mail.example?tls=off"},
		"want smtp:// or smtps://":    {"--mail-from", "pay@shop.example", "--mail-url", "http://u:s3cret@mail.example"},
	} {
		out, errs, status := command(t, append([]string{"check-config", "--data", dir}, args...)...)
		if status == 0 || !strings.Contains(errs, words) || strings.Contains(out+errs, "s3cret") {
			t.Errorf("%v: %d %s %s", args, status, out, errs)
		}
	}
}

// TestMailAboutAHeldPayment: a rule holds a payment, and its merchant hears of it.
func TestMailAboutAHeldPayment(t *testing.T) {
	server := mailtest.Start(t, mailtest.Options{NoStartTLS: true})
	p := serveWith(t, filepath.Join(t.TempDir(), "data"), freeAddress(t), "--mail-url", server.URL(), "--mail-from", "Payments <pay@shop.example>")
	_, key := p.merchant(t, payee)
	p.confirm(t, server)
	key.ok("POST", "/api/fraud/rules", `{"name":"Large amounts","action":"review","when":"amount >= 200","state":"on"}`)
	l := key.link(`"amount":"250"`)
	key.payJSON(l, "attempt-0000000001", "4242424242424242")
	held := onePayment(key, l, "authorized")
	got := server.Next(t)
	if got.To != payee+"@example.com" || got.Subject != "A payment of €250.00 waits for your review" || !strings.Contains(got.Text, p.url+"/dashboard/test/payments/"+held) {
		t.Errorf("mail %+v", got)
	}
	key.ok("POST", "/api/payments/"+held+"/review", `{"verdict":"approve"}`, "Idempotency-Key", "approve")
	key.ok("POST", "/api/payments/"+held+"/disputes", `{"reason":"duplicate","amount":"50","evidenceDueAt":"2031-02-03T23:59:59Z"}`, "Idempotency-Key", "dispute")
	if got := server.Next(t); got.Subject != "A payment is disputed: €50.00" || !strings.Contains(got.Text, "Charged twice") || !strings.Contains(got.Text, "February 3, 2031") {
		t.Errorf("mail %+v", got)
	}
}
