package main_test

import (
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

// userPassword is that of every merchant of these tests.
const userPassword = "correct horse battery"

// TestDashboardAccessibility shows every page of the dashboard to axe-core, in
// every look, and in Arabic, which is read from the right. A room adds a function
// like paymentPages that shows its pages; make screenshots keeps pictures of all.
func TestDashboardAccessibility(t *testing.T) {
	g := &gallery{t: t, axe: axeScript(t), p: serve(t), b: openBrowser(t)}
	_, g.key = g.p.merchant(t, "ada-lovelace-and-daughters")
	g.show("/dashboard/sign-in", "sign in")
	g.signIn("ada-lovelace-and-daughters")
	for _, walk := range []func(*gallery){paymentPages} {
		walk(g)
	}
	g.b.onlyOwnOrigin(g.p.url)
}

// signIn opens the dashboard as a user whose password is userPassword.
func (g *gallery) signIn(login string) {
	g.t.Helper()
	g.b.open(g.p.url + "/dashboard/sign-in?lang=en")
	g.b.run(chromedp.SendKeys(css("#login"), login), chromedp.SendKeys(css("#password"), userPassword), chromedp.Click(css("main button[type=submit]")))
	eventually(g.t, "the dashboard opens", func() bool { return ask[bool](g.b, `document.querySelector(".side") !== null`) })
}

// show audits a page of the dashboard, and the same page in Arabic.
func (g *gallery) show(path, name string) {
	g.t.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	g.b.open(g.p.url + path + separator + "lang=en")
	g.b.audit("dashboard "+name, g.axe)
	g.b.open(g.p.url + path + separator + "lang=ar")
	g.b.audit("dashboard "+name+" arabic", g.axe)
	g.b.open(g.p.url + path + separator + "lang=en")
}

func paymentPages(g *gallery) {
	g.show("/dashboard/test/payments", "payments empty")
	g.show("/dashboard/test/nowhere", "not found")
}
