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
	t.Parallel()
	g := &gallery{t: t, axe: axeScript(t), p: serve(t), b: openBrowser(t)}
	_, g.key = g.p.merchant(t, "ada-lovelace-and-daughters")
	g.show("/dashboard/sign-in", "sign in")
	g.signIn("ada-lovelace-and-daughters")
	for _, walk := range []func(*gallery){paymentPages, linkPages, formRooms, overviewPages} {
		walk(g)
	}
	g.b.onlyOwnOrigin(g.p.url)
}

// signIn opens the dashboard as a user whose password is userPassword.
func (g *gallery) signIn(login string) {
	g.t.Helper()
	g.b.open(g.p.url + "/dashboard/sign-in?lang=en")
	g.b.run(chromedp.SendKeys(css("#login"), login), chromedp.SendKeys(css("#password"), userPassword), chromedp.Click(css("main button[type=submit]")))
	g.b.inDashboard()
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
	left := g.b.looks
	g.b.looks = looksRightToLeft
	g.b.audit("dashboard "+name+" arabic", g.axe)
	g.b.looks = left
	g.b.open(g.p.url + path + separator + "lang=en")
}

// paidBy makes a link and pays it through the API's payer side, with a card that
// decides what the issuer says; it gives the link's id and the payment's.
func (g *gallery) paidBy(number, more string) (link, payment string) {
	g.t.Helper()
	return g.pays(g.link(more), number)
}

// pays pays a link.
func (g *gallery) pays(l map[string]any, number string) (link, payment string) {
	g.t.Helper()
	link = str(g.t, l, "id")
	if a := g.key.as("").do("POST", tokenPath(g.t, l)+"/payments", `{"attempt":"attempt-`+link+`","payer":{"name":"Grace Brewster Hopper","email":"grace@example.com"},`+
		`"card":{"number":"`+number+`","expMonth":12,"expYear":2034,"cvc":"739"}}`); a.status >= 500 {
		g.t.Fatalf("paying answers %d: %s", a.status, a.body)
	}
	listed := g.key.ok("GET", "/api/payments?link="+link, "")["data"].([]any)
	if len(listed) == 0 {
		return link, ""
	}
	return link, str(g.t, listed[0].(map[string]any), "id")
}

func paymentPages(g *gallery) {
	g.show("/dashboard/test/payments", "payments empty")
	g.show("/dashboard/live/payments", "payments live")
	g.show("/dashboard/test/nowhere", "not found")
	g.show("/dashboard/test/balance", "balance empty")
	_, whole := g.paidBy("4242424242424242", `"amount":"1250.50","metadata":{"order":"2044"}`)
	g.paidBy("4000000000000002", `"amount":"19.90"`)
	g.paidBy("4000000000009995", `"amount":"7"`)
	g.paidBy("4000000000003220", `"amount":"45"`)
	_, held := g.paidBy("4242424242424242", `"amount":"300","capture":"manual"`)
	_, part := g.paidBy("4242424242424242", `"amount":"120"`)
	g.key.ok("POST", "/api/payments/"+part+"/refunds", `{"amount":"20"}`, "Idempotency-Key", "part")
	long := strings.Repeat("Donaudampfschifffahrt", 9) // one word of 189 letters
	_, wide := g.pays(g.key.link(`"amount":"999999.99","maxUses":1,"description":"`+long+long+`","reference":"`+long+`","realm":"`+long[:60]+`","metadata":{"`+long[:60]+`":"`+long+`"}`), "4000000000009995")
	g.show("/dashboard/test/payments/"+wide, "payment of long words")
	g.show("/dashboard/test/links", "links of long words")
	g.show("/dashboard/test/payments", "payments")
	g.show("/dashboard/test/payments?q=nobody", "payments no hit")
	g.show("/dashboard/test/payments/"+part, "payment")
	g.show("/dashboard/test/payments/"+held, "payment held")
	g.show("/dashboard/test/payments/"+whole+"/refund", "refund")
	g.show("/dashboard/test/payments/"+held+"/capture", "capture")
	g.show("/dashboard/test/payments/"+held+"/void", "void")
	g.show("/dashboard/test/balance", "balance")
	g.show("/dashboard/account/methods", "methods")
}

func linkPages(g *gallery) {
	g.show("/dashboard/live/links", "links empty")
	g.show("/dashboard/live/links/new", "link new live")
	open := g.link(`"amount":"49","maxUses":null`)
	chosen := g.link(`"minAmount":"5","maxAmount":"500"`)
	g.show("/dashboard/test/links", "links")
	g.show("/dashboard/test/links/new", "link new")
	g.b.click("main form button.primary")
	g.b.run(waitErrors)
	g.b.audit("dashboard link new errors", g.axe)
	g.show("/dashboard/test/links/"+str(g.t, open, "id"), "link")
	g.show("/dashboard/test/links/"+str(g.t, chosen, "id")+"/cancel", "link cancel")
	g.show("/dashboard/test/links/new?from="+str(g.t, chosen, "id"), "link duplicate")
}
