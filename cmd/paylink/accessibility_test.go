package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// axeScript is axe-core, which scripts/needs.sh fetches.
func axeScript(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(moduleRoot(t), ".cache", "axe-*", "package", "axe.min.js"))
	if err != nil || len(found) == 0 {
		t.Fatalf("axe-core is not there; run scripts/needs.sh (%v)", err)
	}
	script, err := os.ReadFile(found[len(found)-1])
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// moduleRoot is the folder of go.mod.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
}

const runAxe = `;(async () => {
  const found = await axe.run(document, {runOnly: {type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}});
  return JSON.stringify({
    passes: found.passes.length,
    violations: found.violations.map(v => v.id + " (" + v.help + "): " + v.nodes.map(n => n.html + " " + n.failureSummary).join(" | ")),
  });
})()`

// audit holds the page as it is against axe-core, in every look.
func (b *browser) audit(name, axe string) {
	b.t.Helper()
	for _, l := range looks {
		b.wear(l)
		// Through the debugger, so the page's policy against foreign scripts stays.
		ask[any](b, axe+`;null`)
		var found struct {
			Passes     int
			Violations []string
		}
		if err := json.Unmarshal([]byte(ask[string](b, runAxe)), &found); err != nil {
			b.t.Fatal(err)
		}
		if found.Passes == 0 {
			b.t.Errorf("%s, %s: axe-core checked nothing", name, l.name)
		}
		for _, v := range found.Violations {
			b.t.Errorf("%s, %s: %s", name, l.name, v)
		}
		if over := ask[float64](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
			b.t.Errorf("%s, %s: %v px wider than the screen", name, l.name, over)
		}
		b.picture(strings.ReplaceAll(name, " ", "-") + "-" + l.name)
	}
	b.wear(looks[0])
}

// gallery is one server and one browser whose pages are shown to axe-core and to
// whoever looks at the pictures.
type gallery struct {
	t   *testing.T
	axe string
	p   *process
	b   *browser
	key *client
}

const galleryMembers = `"description":"Two tickets for the evening of 12 December","reference":"order-1815"`

func (g *gallery) link(more string) map[string]any {
	g.t.Helper()
	return g.key.link(galleryMembers + "," + more)
}

func (g *gallery) visit(path, heading, name string) {
	g.t.Helper()
	g.b.open(g.p.url + path)
	g.b.sees(heading)
	g.b.audit(name, g.axe)
}

// paid opens a link and pays it, until the heading is seen.
func (g *gallery) paid(l map[string]any, number, heading string) {
	g.t.Helper()
	g.b.open(str(g.t, l, "url"))
	g.b.pay(number)
	g.b.sees(heading)
}

// TestAccessibility shows every page in every state to axe-core.
func TestAccessibility(t *testing.T) {
	g := &gallery{t: t, axe: axeScript(t), p: serve(t), b: openBrowser(t)}
	_, g.key = g.p.merchant(t, "ada-lovelace-and-daughters")
	l := g.link(`"amount":"1250.50"`)
	var expired string
	g.p, expired = expiredLink(t, g.p, l)
	g.visit(expired, "This link has expired", "expired")
	g.visit("/verify?link="+g.p.url+expired, "Ours, but expired", "verify expired")

	g.visit("/", "Payment links", "landing")
	g.visit("/verify", "Check a payment link", "verify")
	g.visit("/verify?link="+str(t, l, "url"), "Ours and unaltered", "verify good")
	g.visit("/verify?link="+g.p.url+"/l/abc", "This is not our link", "verify bad")
	g.visit("/l/abc", "We can’t find this", "not ours")
	g.visit("/nowhere", "", "not found")
	g.visit("/problems", "Problems", "problems")
	g.visit("/problems/payment_method_unavailable", "Problem payment_method_unavailable", "problem")
	g.visit(tokenPath(t, l), "Pay ada", "pay")
	g.b.click(payButton)
	g.b.run(waitErrors)
	g.b.audit("pay errors", g.axe)
	g.b.pay("4000000000000002")
	g.b.sees("The payment was declined")
	g.b.audit("declined", g.axe)
	g.b.click("a.button")
	g.b.sees("Pay ada")
	g.b.pay("4242424242424242")
	g.b.sees("Payment received")
	g.b.audit("receipt", g.axe)
	g.visit(tokenPath(t, l), "Payment received", "paid")

	g.visit(tokenPath(t, g.link(`"minAmount":"5","maxAmount":"5000"`)), "Pay ada", "pay chosen amount")
	canceled := g.link(`"amount":"10"`)
	g.key.ok("POST", "/api/links/"+str(t, canceled, "id")+"/cancel", "")
	g.visit(tokenPath(t, canceled), "This link was canceled", "canceled")
	g.undecided()
	g.afterwards()
	g.b.onlyOwnOrigin(g.p.url)
}

// undecided shows the pages of payments whose outcome is open.
func (g *gallery) undecided() {
	g.paid(g.link(`"amount":"45"`), "4000000000003220", "Your bank wants to confirm it is you")
	g.b.audit("requires action", g.axe)
	g.b.click("a.button")
	g.b.sees("Confirm your payment")
	g.b.audit("challenge", g.axe)
	g.paid(g.link(`"amount":"8"`), "4000000000006157", "We are confirming your payment")
	g.b.audit("confirming", g.axe)
	g.paid(g.link(`"amount":"19.90"`), "4000000000006140", "Your payment is being checked")
	g.b.audit("being checked", g.axe)
}

// afterwards shows payments with which something was done later.
func (g *gallery) afterwards() {
	l := g.link(`"amount":"120","redirectUrl":"https://shop.example/thanks"`)
	g.paid(l, "4242424242424242", "Payment received")
	g.b.audit("receipt with a way back", g.axe)
	id := onePayment(g.key, l, "succeeded")
	g.key.ok("POST", "/api/payments/"+id+"/refunds", `{"amount":"20"}`, "Idempotency-Key", "part")
	g.visit(tokenPath(g.t, l), "Paid, and refunded in part", "refunded in part")
	g.key.ok("POST", "/api/payments/"+id+"/refunds", `{}`, "Idempotency-Key", "rest")
	g.visit(tokenPath(g.t, l), "Payment refunded", "refunded")
	held := g.link(`"amount":"300","capture":"manual"`)
	g.paid(held, "4242424242424242", "Your bank approved the payment")
	g.b.audit("approved", g.axe)
}
