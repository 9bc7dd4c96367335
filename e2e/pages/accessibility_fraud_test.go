package pages

import (
	"testing"

	"github.com/paylink/paylink/e2e/harness"
)

// TestAccessibility_Fraud shows axe-core what a payer sees on a link under a card-testing attack,
// and where a rule decides: the proof while it is being solved, declines without a reason, a held
// payment, and the page that asks to wait.
func TestAccessibility_Fraud(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "ar"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			g := newGalleryIn(t, harness.Start(t, slowLane...), lang)
			_, g.key = g.p.Merchant(t, harness.Payee)
			g.rule("Large amounts", "review", "amount >= 200", "on")
			g.rule("Amounts that nobody here ever pays", "block", "amount >= 900", "on")
			g.b.Open(g.p.URL + "/?lang=" + lang)
			g.paid(g.link(`"amount":"901"`), "4242424242424242", g.say.T("pay.declined"))
			g.audit("blocked")
			g.paid(g.link(`"amount":"201"`), "4242424242424242", g.say.T("pay.authorized"))
			g.audit("held for review")

			l := g.link(`"amount":"12.50","maxUses":null`)
			testers(t, g.key, l)
			g.proving(l)
			g.paid(l, harness.StolenCard(77), g.say.T("pay.declined"))
			g.audit("declined while cards are tested")
			unproved(t, g.key, l)
			g.b.Scripts(false)
			g.paid(l, "4242424242424242", g.say.T("pay.attempts"))
			g.b.Scripts(true)
			g.audit("too many attempts")
			g.b.OnlyOwnOrigin(g.p.URL)
		})
	}
}

// proving shows the page while it works: its worker is stopped, so that there is time to check.
func (g *gallery) proving(l map[string]any) {
	g.t.Helper()
	g.b.Open(harness.Str(g.t, l, "url"))
	harness.Ask[any](g.b, `window.Worker = class { postMessage() { setTimeout(() => this.onmessage({data: {part: .4}})) } }, null`)
	g.b.Pay("4242424242424242")
	g.b.Shows(
		"the page says that it works",
		`document.querySelector("progress").checkVisibility() && document.querySelector("progress").value === .4`,
	)
	if said := harness.Ask[string](g.b, `document.getElementById("proof").innerText`); said != g.say.T("pay.proof") {
		g.t.Errorf("the page says %q", said)
	}
	g.audit("proving")
}
