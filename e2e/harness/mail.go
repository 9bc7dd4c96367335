package harness

import (
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/mail/mailtest"
)

var confirmAddress = regexp.MustCompile(`https?://[^\s]+/dashboard/confirm\?token=([^\s]+)`)

// Confirm opens the confirmation link of a new user: the next email at the server. In test mode
// only confirmed addresses receive emails.
func (p *Process) Confirm(t testing.TB, server *mailtest.Server) {
	t.Helper()
	got := server.Next(t)
	found := confirmAddress.FindStringSubmatch(got.Text)
	if got.Subject != "Confirm your address" || found == nil {
		t.Fatalf("the first mail is %q", got.Subject)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.URL+"/dashboard/confirm", strings.NewReader("token="+found[1]))
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

// ReceiptAddress matches the address of a receipt in an email.
var ReceiptAddress = regexp.MustCompile(`https?://[^\s]+/verify\?receipt=[^\s]+`)
