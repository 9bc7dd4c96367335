package pages

import (
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
)

// TestDashboardAccessibility shows every page of the dashboard to axe-core, also in Arabic, which
// is read from right to left. A section adds a function like paymentPages that shows its pages;
// make screenshots saves pictures of all.
func TestDashboardAccessibility(t *testing.T) {
	t.Parallel()
	g := newGallery(t, harness.Start(t))
	_, g.key = g.p.Merchant(t, "ada-lovelace-and-daughters")
	g.show("/dashboard/sign-in", "sign in")
	g.b.SignIn(g.p.URL, "ada-lovelace-and-daughters")
	for _, walk := range []func(*gallery){paymentPages, linkPages, formPages, overviewPages} {
		walk(g)
	}
	g.b.OnlyOwnOrigin(g.p.URL)
}

// show audits a page of the dashboard. In Arabic, which is read from the right, the same
// page must fit.
func (g *gallery) show(path, name string) {
	g.t.Helper()
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	g.b.Open(g.p.URL + path + separator + "lang=ar")
	for _, l := range looksRightToLeft {
		g.auditIn("dashboard "+name+" arabic", l, l.rules)
	}
	g.wear(g.looks[0])
	g.b.Open(g.p.URL + path + separator + "lang=en")
	g.audit("dashboard " + name)
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
	link = harness.Str(g.t, l, "id")
	if a := g.key.As("").Do("POST", harness.TokenPath(g.t, l)+"/payments", `{"attempt":"attempt-`+link+`","payer":{"name":"Grace Brewster Hopper","email":"grace@example.com"},`+
		`"card":{"number":"`+number+`","expMonth":12,"expYear":2034,"cvc":"739"}}`); a.Status >= 500 {
		g.t.Fatalf("paying answers %d: %s", a.Status, a.Body)
	}
	listed := g.key.OK("GET", "/api/payments?link="+link, "")["data"].([]any)
	if len(listed) == 0 {
		return link, ""
	}
	return link, harness.Str(g.t, listed[0].(map[string]any), "id")
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
	g.key.OK("POST", "/api/payments/"+part+"/refunds", `{"amount":"20"}`, "Idempotency-Key", "part")
	long := strings.Repeat("Donaudampfschifffahrt", 9) // one word of 189 letters
	_, wide := g.pays(
		g.key.Link(
			`"amount":"999999.99","maxUses":1,"description":"`+long+long+`","reference":"`+long+`","realm":"`+long[:60]+`","metadata":{"`+long[:60]+`":"`+long+`"}`,
		),
		"4000000000009995",
	)
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
	g.b.Click("main form button.primary")
	g.b.Run(harness.WaitErrors)
	g.audit("dashboard link new errors")
	g.show("/dashboard/test/links/"+harness.Str(g.t, open, "id"), "link")
	g.show("/dashboard/test/links/"+harness.Str(g.t, chosen, "id")+"/cancel", "link cancel")
	g.show("/dashboard/test/links/new?from="+harness.Str(g.t, chosen, "id"), "link duplicate")
}

// formPages shows the dashboard's section of forms.
func formPages(g *gallery) {
	g.show("/dashboard/test/forms", "forms empty")
	form := harness.Form(g.t, g.key, "https://shop.example", `,"description":"Two tickets for the evening of 12 December"`)
	g.key.OK("POST", "/api/forms", `{"name":"Donations","minAmount":"5","maxAmount":"500","currency":"EUR","disabled":true}`)
	g.show("/dashboard/test/forms", "forms")
	g.show("/dashboard/test/forms/new", "form new")
	g.b.Click("main form button.primary")
	g.b.Run(harness.WaitErrors)
	g.audit("dashboard form new errors")
	g.show("/dashboard/test/forms/"+form, "form")
	g.show("/dashboard/test/forms/"+form+"/edit", "form edit")
	g.show("/dashboard/test/forms/"+form+"/archive", "form archive")
	g.show("/f/"+form, "form page")
	g.b.Click("#fill button[type=submit]")
	g.b.Run(harness.WaitErrors)
	g.audit("form page errors")
}

// overviewPages are shown before and after there is data: a year's overview has other charts than
// a day's.
func overviewPages(g *gallery) {
	g.show("/dashboard/live/overview", "overview empty")
	for i, card := range []string{"4242424242424242", "4242424242424242", "4000000000000002", "4000000000009995", "4242424242424242"} {
		g.paidBy(card, `"amount":"`+string(rune('1'+i))+`249.50"`)
	}
	g.link(`"amount":"49"`)
	harness.Reported(g.t, g.p.Data)
	g.show("/dashboard/test/overview", "overview")
	g.show("/dashboard/test/overview?span=1", "overview of a day")
	g.show("/dashboard/test/overview?span=365", "overview of a year")
	g.show("/dashboard/test/overview?span=dates&from=2026-02-30&to=x", "overview wrong dates")
	g.show("/dashboard/test/payments?q=grace", "payments found")
	g.show("/dashboard/test/payments?from=30.11.2026&status=x&zone=Mars", "payments refused")
	g.show("/dashboard/test/balance?x=1", "an address refused")
	g.show("/dashboard/account/settings", "settings")
}
