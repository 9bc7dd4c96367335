package main_test

import (
	"path/filepath"
	"testing"

	"github.com/paylink/paylink/internal/i18n"
)

// TestAccessibility_Fraud shows what a payer meets on a link whose cards are tested, and
// where a rule decides, to axe-core: the proof while it is worked out, declines that
// tell nothing, a payment that is held, and the page that asks for patience.
func TestAccessibility_Fraud(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "ar"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			g := &gallery{t: t, axe: axeScript(t), p: serveWith(t, filepath.Join(t.TempDir(), "data"), freeAddress(t), slowLane...), b: openBrowser(t), say: i18n.For(lang)}
			if g.say.Dir() == "rtl" {
				g.b.looks = looksRightToLeft
			}
			_, g.key = g.p.merchant(t, payee)
			g.rule("Large amounts", "review", "amount >= 200", "on")
			g.rule("Amounts that nobody here ever pays", "block", "amount >= 900", "on")
			g.b.open(g.p.url + "/?lang=" + lang)
			g.paid(g.link(`"amount":"901"`), "4242424242424242", g.say.T("pay.declined"))
			g.b.audit("blocked", g.axe)
			g.paid(g.link(`"amount":"201"`), "4242424242424242", g.say.T("pay.authorized"))
			g.b.audit("held for review", g.axe)

			l := g.link(`"amount":"12.50","maxUses":null`)
			testers(t, g.key, l)
			g.proving(l)
			g.paid(l, stolenCard(77), g.say.T("pay.declined"))
			g.b.audit("declined while cards are tested", g.axe)
			unproved(t, g.key, l)
			g.b.scripts(false)
			g.paid(l, "4242424242424242", g.say.T("pay.attempts"))
			g.b.scripts(true)
			g.b.audit("too many attempts", g.axe)
			g.b.onlyOwnOrigin(g.p.url)
		})
	}
}

// proving shows the page while it works: the worker that it asks stands still, so that
// there is time to look.
func (g *gallery) proving(l map[string]any) {
	g.t.Helper()
	g.b.open(str(g.t, l, "url"))
	ask[any](g.b, `window.Worker = class { postMessage() { setTimeout(() => this.onmessage({data: {part: .4}})) } }, null`)
	g.b.pay("4242424242424242")
	g.b.shows("the page says that it works", `document.querySelector("progress").checkVisibility() && document.querySelector("progress").value === .4`)
	if said := ask[string](g.b, `document.getElementById("proof").innerText`); said != g.say.T("pay.proof") {
		g.t.Errorf("the page says %q", said)
	}
	g.b.audit("proving", g.axe)
}
