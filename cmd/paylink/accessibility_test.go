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
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
	found, err := filepath.Glob(filepath.Join(dir, ".cache", "axe-*", "package", "axe.min.js"))
	if err != nil || len(found) == 0 {
		t.Fatalf("axe-core is not there; run scripts/needs.sh (%v)", err)
	}
	script, err := os.ReadFile(found[len(found)-1])
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
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

// TestAccessibility shows every page in every state to axe-core.
func TestAccessibility(t *testing.T) {
	axe := axeScript(t)
	p := serve(t)
	b := openBrowser(t)
	_, key := p.merchant(t, "ada-lovelace-and-daughters")
	members := `"description":"Two tickets for the evening of 12 December","reference":"order-1815"`
	link := func(more string) map[string]any { return key.link(members + "," + more) }
	visit := func(path, heading, name string) {
		t.Helper()
		b.open(p.url + path)
		b.sees(heading)
		b.audit(name, axe)
	}
	l := link(`"amount":"1250.50"`)
	visit("/", "Payment links", "landing")
	visit("/verify", "Check a payment link", "verify")
	visit("/verify?link="+str(t, l, "url"), "Ours and unaltered", "verify good")
	visit("/verify?link="+p.url+"/l/abc", "This is not our link", "verify bad")
	visit("/nowhere", "", "not found")
	visit("/problems", "Problems", "problems")
	visit("/problems/payment_method_unavailable", "Problem payment_method_unavailable", "problem")
	visit(tokenPath(t, l), "Pay ada", "pay")
	b.click(payButton)
	b.run(waitErrors)
	b.audit("pay errors", axe)
	b.pay("4000000000000002")
	b.sees("The payment was declined")
	b.audit("declined", axe)
	b.click("a.button")
	b.sees("Pay ada")
	b.pay("4242424242424242")
	b.sees("Payment received")
	b.audit("receipt", axe)
	visit(tokenPath(t, l), "Payment received", "paid")

	choose := link(`"minAmount":"5","maxAmount":"5000"`)
	visit(tokenPath(t, choose), "Pay ada", "pay chosen amount")
	canceled := link(`"amount":"10"`)
	key.ok("POST", "/api/links/"+str(t, canceled, "id")+"/cancel", "")
	visit(tokenPath(t, canceled), "This link was canceled", "canceled")

	asked := link(`"amount":"45"`)
	b.open(str(t, asked, "url"))
	b.pay("4000000000003220")
	b.sees("Your bank wants to confirm it is you")
	b.audit("requires action", axe)
	b.click("a.button")
	b.sees("Confirm your payment")
	b.audit("challenge", axe)

	waiting := link(`"amount":"8"`)
	b.open(str(t, waiting, "url"))
	b.pay("4000000000006157")
	b.sees("We are confirming your payment")
	b.audit("confirming", axe)
	b.onlyOwnOrigin(p.url)
}
