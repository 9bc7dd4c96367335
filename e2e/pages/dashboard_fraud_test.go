package pages

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// TestDashboardAccessibility_Fraud shows the fraud section to axe-core: without any payment, with
// figures, rules with a mistake and with the result of a backtest, confirmation pages, lists,
// policy and models.
func TestDashboardAccessibility_Fraud(t *testing.T) {
	t.Parallel()
	const user = "ada-lovelace-and-daughters"
	g := newGallery(t, harness.Start(t))
	_, g.key = g.p.Merchant(t, user)
	g.b.SignIn(g.p.URL, user)
	const room = "/dashboard/test/fraud"
	g.show(room, "fraud empty")
	g.show(room+"/rules", "fraud rules empty")
	g.show(room+"/lists", "fraud lists empty")
	g.show(room+"/models", "fraud models empty")
	g.show(room+"/policy", "fraud policy")
	_, paid := g.paidBy("4242424242424242", `"amount":"1250.50"`)
	g.paidBy("4000000000000002", `"amount":"19.90"`)
	await.Until(t, "the payments are in the figures", func() bool {
		g.b.Open(g.p.URL + room)
		return harness.Ask[bool](g.b, `document.querySelector("#actions tbody tr") !== null`)
	})
	harness.Ask[any](g.b, `document.querySelectorAll("details").forEach(d => d.open = true), null`)
	g.audit("dashboard fraud tables")
	g.show(room, "fraud")
	fraudRulePages(g, room)
	g.show(room+"/lists/new?kind=email&payment="+paid, "fraud list new")
	g.b.Run(
		chromedp.SetValue(harness.CSS("#kind"), "bin"),
		chromedp.SetValue(harness.CSS("#value"), "4242"),
		chromedp.Click(harness.CSS("main form button.primary")),
		harness.WaitErrors,
	)
	g.audit("dashboard fraud list errors")
	g.b.Run(
		chromedp.SetValue(harness.CSS("#value"), "424242"),
		chromedp.Click(harness.CSS("main form button.primary")),
		chromedp.WaitVisible(harness.CSS("#entries")),
	)
	g.show(room+"/lists", "fraud lists")
	g.b.Click("#entries tbody a")
	g.b.Run(chromedp.WaitVisible(harness.CSS("form.confirm")))
	g.audit("dashboard fraud list remove")
	g.b.OnlyOwnOrigin(g.p.URL)
}

// fraudRulePages shows a rule from its first mistake to its end.
func fraudRulePages(g *gallery, room string) {
	g.t.Helper()
	g.show(room+"/rules/new", "fraud rule new")
	harness.Ask[any](g.b, `document.querySelectorAll("details").forEach(d => d.open = true), null`)
	g.audit("dashboard fraud rule variables")
	const long = `amount > 100 && card.age_days < 0 && payer.country in ["DE", "AT", "CH", "FR", "IT", "ES", "PT", "NL", "BE", "LU", "DK", "SE", "NO", "FI"] && address.cards_1d >= 3`
	g.b.Run(
		chromedp.SetValue(harness.CSS("#name"), "Large amounts with a card that was never seen before, from abroad"),
		chromedp.SetValue(harness.CSS("#when"), long+" &&"),
		chromedp.Click(harness.CSS(`main form button[value="save"]`)),
		harness.WaitErrors,
	)
	g.audit("dashboard fraud rule errors")
	g.b.Run(
		chromedp.SetValue(harness.CSS("#when"), "amount > 5"),
		chromedp.Click(harness.CSS(`main form button[value="backtest"]`)),
		chromedp.WaitVisible(harness.CSS("#backtest-examples")),
	)
	g.audit("dashboard fraud rule tried")
	g.b.Run(
		chromedp.SetValue(harness.CSS("#when"), long),
		chromedp.Click(harness.CSS(`main form button[value="save"]`)),
		chromedp.WaitVisible(harness.CSS("#versions")),
	)
	rule := harness.Ask[string](g.b, `location.pathname`)
	g.show(rule, "fraud rule")
	g.b.Click(`main form.filters button`)
	g.b.Run(chromedp.WaitVisible(harness.CSS("#backtest .outcomes"))) // by htmx: the page stays
	g.audit("dashboard fraud rule backtest")
	g.show(rule+"/edit", "fraud rule edit")
	g.show(rule+"/state?to=on", "fraud rule on")
	g.show(rule+"/delete", "fraud rule delete")
	g.show(room+"/rules", "fraud rules")
}
