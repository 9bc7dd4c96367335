package pages

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/mail/mailtest"
)

// TestAccountAccessibility shows the sign-in pages of the dashboard and the account's pages to
// axe-core, as TestDashboardAccessibility does with the others.
func TestAccountAccessibility(t *testing.T) {
	t.Parallel()
	address := harness.FreeAddress(t)
	url := "http://localhost:" + address[strings.LastIndex(address, ":")+1:]
	server := mailtest.Start(t, mailtest.Options{NoStartTLS: true})
	p := harness.StartOn(
		t,
		filepath.Join(t.TempDir(), "data"),
		address,
		"--public-url",
		url,
		"--mail-from",
		"pay@shop.example",
		"--mail-url",
		server.URL(),
	)
	p.URL = url
	a := account{harness.OpenBrowser(t), url}
	a.authenticator()
	g := &gallery{t: t, axe: axeScript(t), p: p, b: a.Browser, looks: looks}
	p.Merchant(t, "ada-lovelace-and-daughters")
	p.Confirm(t, server) // who invites has a confirmed address
	g.doors(a)
	g.b.SignIn(g.p.URL, "ada-lovelace-and-daughters")
	g.accountPages(a)
	g.b.OnlyOwnOrigin(url)
}

// doors are the pages for visitors who are not signed in.
func (g *gallery) doors(a account) {
	g.t.Helper()
	g.show("/dashboard/sign-in", "door sign in")
	g.show("/dashboard/sign-up", "door sign up")
	g.show("/dashboard/sign-up?invitation=used", "door invitation used")
	g.show("/dashboard/forgotten", "door forgotten")
	g.show("/dashboard/reset?token=x", "door reset")
	g.show("/dashboard/confirm?token=x", "door confirm")
	a.Click("main form button")
	g.b.Run(harness.WaitErrors)
	g.audit("dashboard door confirm refused")
	g.b.Open(g.p.URL + "/dashboard/forgotten")
	a.form("main form button", "#email", "ada@example.com")
	a.Sees("Look into your mail")
	g.audit("dashboard door mail sent")
	g.b.Open(g.p.URL + "/dashboard/sign-up")
	a.form("main form button", "#username", "a b", "#email", "ada@example.com", "#password", "short")
	g.b.Run(harness.WaitErrors)
	g.audit("dashboard door sign up refused")
}

// accountPages are the account's pages, with little content and with much.
func (g *gallery) accountPages(a account) {
	g.t.Helper()
	const security = "/dashboard/account/security"
	g.show("/dashboard/account/invitations", "invitations empty")
	a.form(`form[action$="/invitations"] button`, "#email", "grace.brewster.hopper@navy.example.com")
	a.says("is on its way")
	g.show("/dashboard/account/invitations", "invitations")
	g.show("/dashboard/account/activity", "activity")
	g.show(security, "security")
	a.form(`form[action$="/codes"] button`, "#codes-password", "not the password")
	g.b.Run(harness.WaitErrors)
	g.audit("dashboard security refused")
	a.form(`form[action$="/codes"] button`, "#codes-password", harness.Password)
	g.b.Run(chromedp.WaitVisible(harness.CSS(".qrcode")))
	g.audit("dashboard security codes")
	code, err := totp.GenerateCode(harness.Ask[string](g.b, `document.getElementById("secret-text").value`), time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	a.form(`form[action$="/confirm"] button`, "#code", code)
	a.Sees("Your recovery codes")
	g.audit("dashboard security recovery")
	g.b.Open(g.p.URL + security)
	a.form(`form[action$="/passkeys/new"] button`, "#passkey-name", "Laptop in the workshop", "#passkey-password", harness.Password)
	a.Sees("Create the passkey")
	g.b.Run(chromedp.WaitVisible(harness.CSS("[data-passkey]")))
	g.audit("dashboard security passkey new")
	a.Click("[data-passkey]")
	a.says("The passkey works from now on.")
	g.show(security, "security with all")
	path := harness.Ask[string](g.b, `new URL(document.querySelector('a[href*="/passkeys/"]').href).pathname`)
	g.show(path, "security passkey")
	a.signOut()
	a.form("main form button[type=submit]", "#login", "ada-lovelace-and-daughters", "#password", harness.Password)
	a.Sees("Enter your code")
	g.audit("dashboard door code")
}
