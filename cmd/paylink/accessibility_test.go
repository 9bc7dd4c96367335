package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/i18n"
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

// What axe-core looks at: all of it, or what another colour scheme can change.
const (
	allRules    = `{type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}`
	colourRules = `{type: "rule", values: ["color-contrast", "link-in-text-block"]}`
)

// axeLimit is for the longest page, the API's documentation, on a busy machine.
const axeLimit = 2 * patience

// runAxe gives what axe-core found; nothing where the page does not have it yet.
const runAxe = `;(async () => {
  if (typeof axe === "undefined") return "";
  const found = await axe.run(document, {runOnly: RULES, resultTypes: ["violations"], selectors: false});
  return JSON.stringify({
    passes: found.passes.length,
    violations: found.violations.map(v => v.id + " (" + v.help + "): " + v.nodes.map(n => n.html + " " + n.failureSummary).join(" | ")),
  });
})()`

// axe runs the rules on the page as it is. The script stays in a page that it was
// given to. It comes through the debugger, so the page's policy against foreign
// scripts stays, and in one step with its run, so that a page that is just coming is
// not left without it.
func (b *browser) axe(script, rules string) string {
	run := strings.Replace(runAxe, "RULES", rules, 1)
	if found := askWithin[string](b, axeLimit, run); found != "" {
		return found
	}
	return askWithin[string](b, axeLimit, script+run)
}

// audit holds the page as it is against axe-core, in every look.
func (b *browser) audit(name, axe string) {
	b.t.Helper()
	for _, l := range b.looks {
		b.wear(l)
		rules := allRules
		if l.colours {
			rules = colourRules
		}
		var found struct {
			Passes     int
			Violations []string
		}
		if err := json.Unmarshal([]byte(b.axe(axe, rules)), &found); err != nil {
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
		if cut := ask[[]string](b, `[...document.querySelectorAll(".panel")].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.id + " " + (e.scrollWidth - e.clientWidth) + " px")`); len(cut) > 0 {
			b.t.Errorf("%s, %s: cut off in its panel: %v", name, l.name, cut)
		}
		b.picture(strings.ReplaceAll(name, " ", "-") + "-" + l.name)
	}
	b.wear(b.looks[0])
}

// gallery is one server and one browser whose pages are shown to axe-core and to
// whoever looks at the pictures.
type gallery struct {
	t   *testing.T
	axe string
	p   *process
	b   *browser
	key *client
	say *i18n.Printer // the language that the browser was told to read
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

// payee is the merchant of the gallery.
const payee = "ada-lovelace-and-daughters"

// shows visits a page whose heading is a message of the catalogue.
func (g *gallery) shows(path, key, name string) {
	g.t.Helper()
	g.visit(path, g.say.T(key), name)
}

// TestAccessibility shows every page of a payer, in every state, to axe-core: from
// left to right and from right to left.
func TestAccessibility(t *testing.T) {
	t.Parallel()
	for _, lang := range []string{"en", "ar"} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			g := &gallery{t: t, axe: axeScript(t), p: serve(t), b: openBrowser(t), say: i18n.For(lang)}
			if g.say.Dir() == "rtl" {
				g.b.looks = looksRightToLeft
			}
			_, g.key = g.p.merchant(t, payee)
			l := g.link(`"amount":"1250.50"`)
			var expired string
			g.p, expired = expiredLink(t, g.p, l)
			g.b.open(g.p.url + "/?lang=" + lang) // a cookie keeps it for all that follows
			g.openToAll(l, expired)
			g.paying(l)
			g.undecided()
			g.afterwards()
			g.b.onlyOwnOrigin(g.p.url)
		})
	}
}

// openToAll shows what needs no link that can be paid.
func (g *gallery) openToAll(l map[string]any, expired string) {
	g.shows(expired, "pay.link.expired", "expired")
	g.shows("/verify?link="+g.p.url+expired, "pay.verify.expired", "verify expired")
	g.shows("/", "pay.landing", "landing")
	g.b.click(".languages summary")
	g.b.audit("landing with its languages", g.axe)
	g.shows("/verify", "pay.verify", "verify")
	g.shows("/verify?link="+str(g.t, l, "url"), "pay.verify.good", "verify good")
	g.shows("/verify?link="+g.p.url+"/l/abc", "pay.verify.bad", "verify bad")
	g.shows("/l/abc", "pay.missing", "not ours")
	g.shows("/nowhere", "pay.missing", "not found")
	if g.say.Tag() == "en" {
		g.visit("/problems", "Problems", "problems")
		g.visit("/problems/payment_method_unavailable", "Problem payment_method_unavailable", "problem")
		g.visit("/docs", "paylink API", "api documentation")
	}
}

// paying shows the form, and a link that is paid at the second card.
func (g *gallery) paying(l map[string]any) {
	title := g.say.T("pay.title", "Payee", payee)
	g.visit(tokenPath(g.t, l), title, "pay")
	g.b.click(payButton)
	g.b.run(waitErrors)
	g.b.audit("pay errors", g.axe)
	g.b.pay("4000000000000002")
	g.b.sees(g.say.T("pay.declined"))
	g.b.audit("declined", g.axe)
	g.b.click("a.button")
	g.b.sees(title)
	g.b.pay("4242424242424242")
	g.b.sees(g.say.T("pay.succeeded"))
	g.b.audit("receipt", g.axe)
	g.shows(tokenPath(g.t, l), "pay.succeeded", "paid")

	g.visit(tokenPath(g.t, g.link(`"minAmount":"5","maxAmount":"5000"`)), title, "pay chosen amount")
	canceled := g.link(`"amount":"10"`)
	g.key.ok("POST", "/api/links/"+str(g.t, canceled, "id")+"/cancel", "")
	g.shows(tokenPath(g.t, canceled), "pay.link.canceled", "canceled")
}

// undecided shows the pages of payments whose outcome is open.
func (g *gallery) undecided() {
	g.paid(g.link(`"amount":"45"`), "4000000000003220", g.say.T("pay.action"))
	g.b.audit("requires action", g.axe)
	if g.say.Tag() == "en" {
		g.b.click("a.button")
		g.b.sees("Confirm your payment")
		g.b.audit("challenge", g.axe)
	}
	g.paid(g.link(`"amount":"8"`), "4000000000006157", g.say.T("pay.confirming"))
	g.b.audit("confirming", g.axe)
	g.paid(g.link(`"amount":"19.90"`), "4000000000006140", g.say.T("pay.review"))
	g.b.audit("being checked", g.axe)
}

// afterwards shows payments with which something was done later.
func (g *gallery) afterwards() {
	l := g.link(`"amount":"120","redirectUrl":"https://shop.example/thanks"`)
	g.paid(l, "4242424242424242", g.say.T("pay.succeeded"))
	g.b.audit("receipt with a way back", g.axe)
	id := onePayment(g.key, l, "succeeded")
	g.key.ok("POST", "/api/payments/"+id+"/refunds", `{"amount":"20"}`, "Idempotency-Key", "part")
	g.shows(tokenPath(g.t, l), "pay.refunded.part", "refunded in part")
	g.key.ok("POST", "/api/payments/"+id+"/refunds", `{}`, "Idempotency-Key", "rest")
	g.shows(tokenPath(g.t, l), "pay.refunded", "refunded")
	held := g.link(`"amount":"300","capture":"manual"`)
	g.paid(held, "4242424242424242", g.say.T("pay.authorized"))
	g.b.audit("approved", g.axe)
}
