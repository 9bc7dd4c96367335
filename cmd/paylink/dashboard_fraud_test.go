package main_test

import (
	"testing"

	"github.com/chromedp/chromedp"
)

// TestDashboardAccessibility_Fraud shows the room of fraud to axe-core: without any
// payment, with figures, rules with a mistake and with the answer of a backtest, the
// pages that ask, lists, policy and models.
func TestDashboardAccessibility_Fraud(t *testing.T) {
	t.Parallel()
	const user = "ada-lovelace-and-daughters"
	g := &gallery{t: t, axe: axeScript(t), p: serve(t), b: openBrowser(t)}
	_, g.key = g.p.merchant(t, user)
	g.signIn(user)
	const room = "/dashboard/test/fraud"
	g.show(room, "fraud empty")
	g.show(room+"/rules", "fraud rules empty")
	g.show(room+"/lists", "fraud lists empty")
	g.show(room+"/models", "fraud models empty")
	g.show(room+"/policy", "fraud policy")
	_, paid := g.paidBy("4242424242424242", `"amount":"1250.50"`)
	g.paidBy("4000000000000002", `"amount":"19.90"`)
	eventually(t, "the payments are in the figures", func() bool {
		g.b.open(g.p.url + room)
		return ask[bool](g.b, `document.querySelector("#actions tbody tr") !== null`)
	})
	ask[any](g.b, `document.querySelectorAll("details").forEach(d => d.open = true), null`)
	g.b.audit("dashboard fraud tables", g.axe)
	g.show(room, "fraud")
	fraudRulePages(g, room)
	g.show(room+"/lists/new?kind=email&payment="+paid, "fraud list new")
	g.b.run(chromedp.SetValue(css("#kind"), "bin"), chromedp.SetValue(css("#value"), "4242"), chromedp.Click(css("main form button.primary")), waitErrors)
	g.b.audit("dashboard fraud list errors", g.axe)
	g.b.run(chromedp.SetValue(css("#value"), "424242"), chromedp.Click(css("main form button.primary")), chromedp.WaitVisible(css("#entries")))
	g.show(room+"/lists", "fraud lists")
	g.b.click("#entries tbody a")
	g.b.run(chromedp.WaitVisible(css("form.confirm")))
	g.b.audit("dashboard fraud list remove", g.axe)
	g.b.onlyOwnOrigin(g.p.url)
}

// fraudRulePages shows a rule from its first mistake to its end.
func fraudRulePages(g *gallery, room string) {
	g.t.Helper()
	g.show(room+"/rules/new", "fraud rule new")
	ask[any](g.b, `document.querySelectorAll("details").forEach(d => d.open = true), null`)
	g.b.audit("dashboard fraud rule variables", g.axe)
	const long = `amount > 100 && card.age_days < 0 && payer.country in ["DE", "AT", "CH", "FR", "IT", "ES", "PT", "NL", "BE", "LU", "DK", "SE", "NO", "FI"] && address.cards_1d >= 3`
	g.b.run(chromedp.SetValue(css("#name"), "Large amounts with a card that was never seen before, from abroad"), chromedp.SetValue(css("#when"), long+" &&"), chromedp.Click(css(`main form button[value="save"]`)), waitErrors)
	g.b.audit("dashboard fraud rule errors", g.axe)
	g.b.run(chromedp.SetValue(css("#when"), "amount > 5"), chromedp.Click(css(`main form button[value="backtest"]`)), chromedp.WaitVisible(css("#backtest-examples")))
	g.b.audit("dashboard fraud rule tried", g.axe)
	g.b.run(chromedp.SetValue(css("#when"), long), chromedp.Click(css(`main form button[value="save"]`)), chromedp.WaitVisible(css("#versions")))
	rule := ask[string](g.b, `location.pathname`)
	g.show(rule, "fraud rule")
	g.b.click(`main form.filters button`)
	g.b.run(chromedp.WaitVisible(css("#backtest .outcomes"))) // by htmx: the page stays
	g.b.audit("dashboard fraud rule backtest", g.axe)
	g.show(rule+"/edit", "fraud rule edit")
	g.show(rule+"/state?to=on", "fraud rule on")
	g.show(rule+"/delete", "fraud rule delete")
	g.show(room+"/rules", "fraud rules")
}
