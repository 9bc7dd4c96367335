package main_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"
)

// TestInvite: an operator invites beside a running server that takes sign-ups by
// invitation alone.
func TestInvite(t *testing.T) {
	p := serveWith(t, filepath.Join(t.TempDir(), "data"), freeAddress(t), "--sign-up", "invitation")
	c := p.client(t)
	const ada = `{"username":"ada","email":"ada@example.com","password":"correct horse battery"`
	if a := c.do("POST", "/api/users", ada+`}`); a.status != http.StatusForbidden || a.json["code"] != "signup_by_invitation" {
		t.Fatalf("%d %s", a.status, a.body)
	}
	store := []string{"--data", p.data}
	refusedWith(t, "--public-url", append([]string{"invite", "ada@example.com"}, store...)...)
	refusedWith(t, "email_invalid", append([]string{"invite", "nobody", "--public-url", p.url}, store...)...)
	worked(t, "on its way by mail", append([]string{"invite", "mailed@example.com", "--public-url", p.url, "--mail-from", "pay@shop.example"}, store...)...)
	out, errs, status := command(t, append([]string{"invite", "ada@example.com", "--public-url", p.url}, store...)...)
	_, token, found := strings.Cut(strings.TrimSpace(out), p.url+"/dashboard/sign-up?invitation=")
	if status != 0 || !found {
		t.Fatalf("%d %s %s", status, out, errs)
	}
	if a := c.do("POST", "/api/users", ada+`,"invitation":"nonsense"}`); a.status != http.StatusBadRequest || a.json["code"] != "token_invalid" {
		t.Errorf("%d %s", a.status, a.body)
	}
	c.ok("POST", "/api/users", ada+`,"invitation":"`+token+`"}`)
	if a := c.do("POST", "/api/users", `{"username":"bob","email":"ada@example.com","password":"correct horse battery","invitation":"`+token+`"}`); a.json["code"] != "token_invalid" {
		t.Errorf("used twice: %d %s", a.status, a.body)
	}
	refusedWith(t, "already_signed_up", append([]string{"invite", "ada@example.com", "--public-url", p.url}, store...)...)
	refusedWith(t, "--sign-up", "check-config", "--sign-up", "maybe")
	refusedWith(t, "--demo", "check-config", "--sign-up", "closed", "--demo")
}

// account is a merchant's browser at a server whose public URL has a host name, as
// passkeys need.
type account struct {
	*browser
	url string
}

func newAccount(t *testing.T) account {
	t.Helper()
	address := freeAddress(t)
	url := "http://localhost:" + address[strings.LastIndex(address, ":")+1:]
	serveWith(t, filepath.Join(t.TempDir(), "data"), address, "--public-url", url)
	return account{openBrowser(t), url}
}

// form fills fields, pairs of selector and text, and sends them with the button.
func (a account) form(button string, fields ...string) {
	a.t.Helper()
	for i := 0; i < len(fields); i += 2 {
		a.run(chromedp.WaitVisible(css(fields[i])), chromedp.SendKeys(css(fields[i]), fields[i+1]))
	}
	a.click(button)
}

func (a account) signOut() {
	a.t.Helper()
	a.click(".me button")
	a.sees("Sign in")
}

// says waits for the words of the last change.
func (a account) says(words string) {
	a.t.Helper()
	a.reads(".said", words)
}

// TestAccountInABrowser signs up, turns codes on and signs in with one and with a
// recovery code, then adds a passkey on an authenticator of Chromium's own and signs
// in with it, and without it once it is removed.
func TestAccountInABrowser(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.open(a.url + "/dashboard/sign-up?lang=en")
	a.form("main form button", "#username", "ada", "#email", "ada@example.com", "#password", userPassword)
	a.says("Your account is ready.")

	a.open(a.url + "/dashboard/account/security")
	a.form(`form[action$="/codes"] button`, "#codes-password", userPassword)
	a.run(chromedp.WaitVisible(css(".qrcode")))
	secret := ask[string](a.browser, `document.getElementById("secret-text").value`)
	// The present code is still good, and the next one already, if a step of time ends on the way.
	code := func(steps int) string {
		t.Helper()
		c, err := totp.GenerateCode(secret, time.Now().Add(time.Duration(steps)*30*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	a.form(`form[action$="/confirm"] button`, "#code", code(0))
	a.sees("Your recovery codes")
	recovery := ask[string](a.browser, `document.querySelector("#recovery code").textContent.trim()`)
	a.click("main .actions a")
	a.sees("Sign-in and security")
	a.signOut()

	for _, second := range []string{code(1), recovery} {
		a.form("main form button[type=submit]", "#login", "ada", "#password", userPassword)
		a.sees("Enter your code")
		a.form("main form button", "#code", second)
		a.inDashboard()
		a.signOut()
	}
	a.onlyOwnOrigin(a.url)
}

// TestPasskeyInABrowser adds a passkey on an authenticator of Chromium's own, signs in
// with it alone, and cannot once it is removed.
func TestPasskeyInABrowser(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.authenticator()
	a.open(a.url + "/dashboard/sign-up?lang=en")
	a.form("main form button", "#username", "ada", "#email", "ada@example.com", "#password", userPassword)
	a.says("Your account is ready.")
	a.open(a.url + "/dashboard/account/security")
	a.form(`form[action$="/passkeys/new"] button`, "#passkey-name", "laptop", "#passkey-password", userPassword)
	a.sees("Create the passkey")
	a.run(chromedp.WaitVisible(css("[data-passkey]")))
	a.click("[data-passkey]")
	a.says("The passkey works from now on.")
	a.signOut()

	a.run(chromedp.WaitVisible(css("[data-passkey]")))
	a.click("[data-passkey]")
	a.inDashboard()
	a.open(a.url + "/dashboard/account/security")
	a.click(`a[href*="/passkeys/"]`)
	a.sees("laptop")
	a.run(chromedp.Clear(css("#name")))
	a.form("main form button.primary", "#name", "work laptop")
	a.says("The passkey has its new name.")
	a.click(`a[href*="/passkeys/"]`)
	a.sees("work laptop")
	a.click("main button.danger")
	a.says("The passkey is removed.")
	a.signOut()

	a.run(chromedp.WaitVisible(css("[data-passkey]"))) // the device still offers it
	a.click("[data-passkey]")
	a.run(chromedp.WaitVisible(css("#errors")))
	if words := ask[string](a.browser, `document.getElementById("errors").textContent`); !strings.Contains(words, "This passkey is not known here") {
		t.Errorf("the page says %q", words)
	}
	a.onlyOwnOrigin(a.url)
}

// authenticator plugs one into the browser that checks its user without asking.
func (a account) authenticator() {
	a.t.Helper()
	if _, err := chromedp.Call(a.ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		a.t.Fatal(err)
	}
	_, err := chromedp.Call(a.ctx, webauthn.AddVirtualAuthenticator, webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
		Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true, HasUserVerification: true,
		IsUserVerified: true, AutomaticPresenceSimulation: true}})
	if err != nil {
		a.t.Fatal(err)
	}
}
