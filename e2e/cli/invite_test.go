package cli

import (
	"net/http"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
)

// TestInvite checks that an operator can invite beside a running server with sign-up by
// invitation only.
func TestInvite(t *testing.T) {
	p := harness.Start(t, "--sign-up", "invitation")
	c := p.Client(t)
	const ada = `{"username":"ada","email":"ada@example.com","password":"correct horse battery"`
	if a := c.Do("POST", "/api/users", ada+`}`); a.Status != http.StatusForbidden || a.JSON["code"] != "signup_by_invitation" {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	store := []string{"--data", p.Data}
	harness.Refused(t, "--public-url", append([]string{"invite", "ada@example.com"}, store...)...)
	harness.Refused(t, "email_invalid", append([]string{"invite", "nobody", "--public-url", p.URL}, store...)...)
	harness.Worked(
		t,
		"emailed the invitation",
		append([]string{"invite", "mailed@example.com", "--public-url", p.URL, "--mail-from", "pay@shop.example"}, store...)...)
	out, errs, status := harness.Command(t, append([]string{"invite", "ada@example.com", "--public-url", p.URL}, store...)...)
	_, token, found := strings.Cut(strings.TrimSpace(out), p.URL+"/dashboard/sign-up?invitation=")
	if status != 0 || !found {
		t.Fatalf("%d %s %s", status, out, errs)
	}
	if a := c.Do("POST", "/api/users", ada+`,"invitation":"nonsense"}`); a.Status != http.StatusBadRequest ||
		a.JSON["code"] != "token_invalid" {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	c.OK("POST", "/api/users", ada+`,"invitation":"`+token+`"}`)
	if a := c.Do("POST", "/api/users", `{"username":"bob","email":"ada@example.com","password":"correct horse battery","invitation":"`+token+`"}`); a.JSON["code"] != "token_invalid" {
		t.Errorf("used twice: %d %s", a.Status, a.Body)
	}
	harness.Refused(t, "already_signed_up", append([]string{"invite", "ada@example.com", "--public-url", p.URL}, store...)...)
	harness.Refused(t, "--sign-up", "check-config", "--sign-up", "maybe")
	harness.Refused(t, "--demo", "check-config", "--sign-up", "closed", "--demo")
}
