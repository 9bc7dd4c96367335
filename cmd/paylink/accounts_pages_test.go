package main_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/pquerna/otp/totp"

	"github.com/paylink/paylink/internal/mail/mailtest"
)

// TestAccountAccessibility shows the doors of the dashboard and the rooms of the
// account to axe-core, as TestDashboardAccessibility does with the others.
func TestAccountAccessibility(t *testing.T) {
	t.Parallel()
	address := freeAddress(t)
	url := "http://localhost:" + address[strings.LastIndex(address, ":")+1:]
	server := mailtest.Start(t, mailtest.Options{NoStartTLS: true})
	p := serveWith(t, filepath.Join(t.TempDir(), "data"), address, "--public-url", url, "--mail-from", "pay@shop.example", "--mail-url", server.URL())
	p.url = url
	a := account{openBrowser(t), url}
	a.authenticator()
	g := &gallery{t: t, axe: axeScript(t), p: p, b: a.browser}
	p.merchant(t, "ada-lovelace-and-daughters")
	p.confirm(t, server) // who invites has a confirmed address
	g.doors(a)
	g.signIn("ada-lovelace-and-daughters")
	g.accountRooms(a)
	g.b.onlyOwnOrigin(url)
}

// doors are the pages for whoever is not signed in.
func (g *gallery) doors(a account) {
	g.t.Helper()
	g.show("/dashboard/sign-in", "door sign in")
	g.show("/dashboard/sign-up", "door sign up")
	g.show("/dashboard/sign-up?invitation=used", "door invitation used")
	g.show("/dashboard/forgotten", "door forgotten")
	g.show("/dashboard/reset?token=x", "door reset")
	g.show("/dashboard/confirm?token=x", "door confirm")
	a.click("main form button")
	g.b.run(waitErrors)
	g.b.audit("dashboard door confirm refused", g.axe)
	g.b.open(g.p.url + "/dashboard/forgotten")
	a.form("main form button", "#email", "ada@example.com")
	a.sees("Look into your mail")
	g.b.audit("dashboard door mail sent", g.axe)
	g.b.open(g.p.url + "/dashboard/sign-up")
	a.form("main form button", "#username", "a b", "#email", "ada@example.com", "#password", "short")
	g.b.run(waitErrors)
	g.b.audit("dashboard door sign up refused", g.axe)
}

// accountRooms are the rooms of the account, with little in them and with much.
func (g *gallery) accountRooms(a account) {
	g.t.Helper()
	const security = "/dashboard/account/security"
	g.show("/dashboard/account/invitations", "invitations empty")
	a.form(`form[action$="/invitations"] button`, "#email", "grace.brewster.hopper@navy.example.com")
	a.says("is on its way")
	g.show("/dashboard/account/invitations", "invitations")
	g.show(security, "security")
	a.form(`form[action$="/codes"] button`, "#codes-password", "not the password")
	g.b.run(waitErrors)
	g.b.audit("dashboard security refused", g.axe)
	a.form(`form[action$="/codes"] button`, "#codes-password", userPassword)
	g.b.run(chromedp.WaitVisible(css(".qrcode")))
	g.b.audit("dashboard security codes", g.axe)
	code, err := totp.GenerateCode(ask[string](g.b, `document.getElementById("secret-text").value`), time.Now())
	if err != nil {
		g.t.Fatal(err)
	}
	a.form(`form[action$="/confirm"] button`, "#code", code)
	a.sees("Your recovery codes")
	g.b.audit("dashboard security recovery", g.axe)
	g.b.open(g.p.url + security)
	a.form(`form[action$="/passkeys/new"] button`, "#passkey-name", "Laptop in the workshop", "#passkey-password", userPassword)
	a.sees("Create the passkey")
	g.b.run(chromedp.WaitVisible(css("[data-passkey]")))
	g.b.audit("dashboard security passkey new", g.axe)
	a.click("[data-passkey]")
	a.says("The passkey works from now on.")
	g.show(security, "security with all")
	path := ask[string](g.b, `new URL(document.querySelector('a[href*="/passkeys/"]').href).pathname`)
	g.show(path, "security passkey")
	a.signOut()
	a.form("main form button[type=submit]", "#login", "ada-lovelace-and-daughters", "#password", userPassword)
	a.sees("Enter your code")
	g.b.audit("dashboard door code", g.axe)
}
