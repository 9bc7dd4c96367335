package pages

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/webauthn"
	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"github.com/paylink/paylink/e2e/harness"
)

// account is a merchant's browser at a server whose public URL has a host name, as
// passkeys need.
type account struct {
	*harness.Browser
	url string
}

func newAccount(t *testing.T) account {
	t.Helper()
	address := harness.FreeAddress(t)
	url := "http://localhost:" + address[strings.LastIndex(address, ":")+1:]
	harness.StartOn(t, filepath.Join(t.TempDir(), "data"), address, "--public-url", url)
	return account{harness.OpenBrowser(t), url}
}

// form fills fields, pairs of selector and text, and sends them with the button.
func (a account) form(button string, fields ...string) {
	a.T.Helper()
	for i := 0; i < len(fields); i += 2 {
		a.Run(chromedp.WaitVisible(harness.CSS(fields[i])), chromedp.SendKeys(harness.CSS(fields[i]), fields[i+1]))
	}
	a.Click(button)
}

func (a account) signOut() {
	a.T.Helper()
	a.Click(".me button")
	a.Sees("Sign in")
}

// says waits for the words of the last change.
func (a account) says(words string) {
	a.T.Helper()
	a.Reads(".said", words)
}

// TestAccountInABrowser signs up, enables codes and signs in with one and with a recovery code,
// then adds a passkey on Chromium's virtual authenticator and signs in with it, and without it
// once it is removed.
func TestAccountInABrowser(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.Open(a.url + "/dashboard/sign-up?lang=en")
	a.form("main form button", "#username", "ada", "#email", "ada@example.com", "#password", harness.Password)
	a.says("Your account is ready.")

	a.Open(a.url + "/dashboard/account/security")
	a.form(`form[action$="/codes"] button`, "#codes-password", harness.Password)
	a.Run(chromedp.WaitVisible(harness.CSS(".qrcode")))
	secret := harness.Ask[string](a.Browser, `document.getElementById("secret-text").value`)
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
	a.Sees("Your recovery codes")
	recovery := harness.Ask[string](a.Browser, `document.querySelector("#recovery code").textContent.trim()`)
	a.Click("main .actions a")
	a.Sees("Sign-in and security")
	a.signOut()

	for _, second := range []string{code(1), recovery} {
		a.form("main form button[type=submit]", "#login", "ada", "#password", harness.Password)
		a.Sees("Enter your code")
		a.form("main form button", "#code", second)
		a.InDashboard()
		a.signOut()
	}
	a.OnlyOwnOrigin(a.url)
}

// TestPasskeyInABrowser adds a passkey on Chromium's virtual authenticator, signs in with it
// alone, and cannot once it is removed.
func TestPasskeyInABrowser(t *testing.T) {
	t.Parallel()
	a := newAccount(t)
	a.authenticator()
	a.Open(a.url + "/dashboard/sign-up?lang=en")
	a.form("main form button", "#username", "ada", "#email", "ada@example.com", "#password", harness.Password)
	a.says("Your account is ready.")
	a.Open(a.url + "/dashboard/account/security")
	a.form(`form[action$="/passkeys/new"] button`, "#passkey-name", "laptop", "#passkey-password", harness.Password)
	a.Sees("Create the passkey")
	a.Run(chromedp.WaitVisible(harness.CSS("[data-passkey]")))
	a.Click("[data-passkey]")
	a.says("The passkey works from now on.")
	a.signOut()

	a.Run(chromedp.WaitVisible(harness.CSS("[data-passkey]")))
	a.Click("[data-passkey]")
	a.InDashboard()
	a.Open(a.url + "/dashboard/account/security")
	a.Click(`a[href*="/passkeys/"]`)
	a.Sees("laptop")
	a.Run(chromedp.Clear(harness.CSS("#name")))
	a.form("main form button.primary", "#name", "work laptop")
	a.says("The passkey has its new name.")
	a.Click(`a[href*="/passkeys/"]`)
	a.Sees("work laptop")
	a.Click("main button.danger")
	a.says("The passkey is removed.")
	a.signOut()

	a.Run(chromedp.WaitVisible(harness.CSS("[data-passkey]"))) // the device still offers it
	a.Click("[data-passkey]")
	a.Run(chromedp.WaitVisible(harness.CSS("#errors")))
	if words := harness.Ask[string](a.Browser, `document.getElementById("errors").textContent`); !strings.Contains(
		words,
		"This passkey is not known here",
	) {
		t.Errorf("the page says %q", words)
	}
	a.OnlyOwnOrigin(a.url)
}

// authenticator plugs one into the browser that checks its user without asking.
func (a account) authenticator() {
	a.T.Helper()
	if _, err := chromedp.Call(a.Ctx, webauthn.Enable, webauthn.EnableParams{}); err != nil {
		a.T.Fatal(err)
	}
	_, err := chromedp.Call(
		a.Ctx,
		webauthn.AddVirtualAuthenticator,
		webauthn.AddVirtualAuthenticatorParams{Options: &webauthn.VirtualAuthenticatorOptions{
			Protocol: webauthn.AuthenticatorProtocolCtap2, Transport: webauthn.AuthenticatorTransportInternal, HasResidentKey: true,
			HasUserVerification: true,
			IsUserVerified:      true, AutomaticPresenceSimulation: true}},
	)
	if err != nil {
		a.T.Fatal(err)
	}
}
