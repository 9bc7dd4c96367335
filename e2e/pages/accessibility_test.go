// Package pages checks every page, as Chromium shows it, against what people need of it.
package pages

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/i18n"
)

// axeScript is axe-core, which scripts/needs.sh fetches.
func axeScript(t testing.TB) string {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(harness.ModuleRoot(t), ".cache", "axe-*", "package", "axe.min.js"))
	if err != nil || len(found) == 0 {
		t.Fatalf("axe-core is not there; run scripts/needs.sh (%v)", err)
	}
	script, err := os.ReadFile(found[len(found)-1])
	if err != nil {
		t.Fatal(err)
	}
	return string(script)
}

// What axe-core checks: everything, or what another color scheme or another width can
// change.
const (
	allRules    = `{type: "tag", values: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}`
	colourRules = `{type: "rule", values: ["color-contrast", "link-in-text-block"]}`
	widthRules  = `{type: "rule", values: ["target-size", "scrollable-region-focusable"]}`
)

// everyLook makes axe-core check everything in every look, which takes minutes.
// scripts/test.sh sets it for make large.
var everyLook = os.Getenv("PAYLINK_TEST_FULL") != ""

// axeLimit is for the longest page, the API's documentation, on a busy machine.
const axeLimit = 4 * await.Patience

// runAxe gives what axe-core found; nothing where the page does not have it yet.
const runAxe = `;(async () => {
  if (typeof axe === "undefined") return "";
  const found = await axe.run(document, {runOnly: RULES, resultTypes: ["violations"], selectors: false});
  return JSON.stringify({
    passes: found.passes.length,
    violations: found.violations.map(v => v.id + " (" + v.help + "): " + v.nodes.map(n => n.html + " " + n.failureSummary).join(" | ")),
  });
})()`

// run runs the rules on the page as it is. The script stays in a page that it was
// given to. It comes through the debugger, so the page's policy against foreign
// scripts stays, and in one step with its run, so that a page that is just coming is
// not left without it.
func (g *gallery) run(rules string) string {
	g.t.Helper()
	run := strings.Replace(runAxe, "RULES", rules, 1)
	if found := harness.AskWithin[string](g.b, axeLimit, run); found != "" {
		return found
	}
	return harness.AskWithin[string](g.b, axeLimit, g.axe+run)
}

// audit holds the page as it is against axe-core: everything in the gallery's first
// look, and in each other look what that look can change.
func (g *gallery) audit(name string) {
	g.t.Helper()
	for i, l := range g.looks {
		rules := l.rules
		if i == 0 {
			rules = allRules
		}
		g.auditIn(name, l, rules)
	}
	g.wear(g.looks[0])
}

// auditIn checks the page against these rules, if any, in one look: nothing is wider than the
// screen or cut off.
func (g *gallery) auditIn(name string, l look, rules string) {
	g.t.Helper()
	g.wear(l)
	if everyLook && rules != colourRules {
		rules = allRules
	}
	if rules != "" {
		g.obeys(name+", "+l.name, rules)
	}
	if over := harness.Ask[float64](g.b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		g.t.Errorf("%s, %s: %v px wider than the screen", name, l.name, over)
	}
	if cut := harness.Ask[[]string](g.b, `[...document.querySelectorAll(".panel")].filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.id + " " + (e.scrollWidth - e.clientWidth) + " px")`); len(
		cut,
	) > 0 {
		g.t.Errorf("%s, %s: cut off in its panel: %v", name, l.name, cut)
	}
	g.b.Picture(strings.ReplaceAll(name, " ", "-") + "-" + l.name)
}

// obeys reports every violation of the rules on the page as it is.
func (g *gallery) obeys(where, rules string) {
	g.t.Helper()
	var found struct {
		Passes     int
		Violations []string
	}
	if err := json.Unmarshal([]byte(g.run(rules)), &found); err != nil {
		g.t.Fatal(err)
	}
	if found.Passes == 0 && rules != widthRules { // a page may have nothing to press
		g.t.Errorf("%s: axe-core checked nothing", where)
	}
	for _, v := range found.Violations {
		g.t.Errorf("%s: %s", where, v)
	}
}

// look is how a page is looked at.
type look struct {
	name, scheme  string
	width, height int64
	rules         string // what axe-core checks, unless the look is a gallery's first
}

var looks = []look{
	{"light", "light", 1000, 900, allRules},
	{"dark", "dark", 1000, 900, colourRules},
	{"narrow", "light", 320, 700, widthRules},
}

// looksRightToLeft are for pages in a language that is written so.
var looksRightToLeft = []look{{"rtl", "light", 1000, 900, ""}, {"rtl-dark-narrow", "dark", 320, 700, ""}}

func (g *gallery) wear(l look) {
	g.t.Helper()
	_, err := chromedp.Call(g.b.Ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: l.scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}}})
	if err != nil {
		g.t.Fatal(err)
	}
	g.b.Run(chromedp.EmulateViewport(l.width, l.height))
}

// gallery is one server and one browser whose pages are shown to axe-core and saved as pictures.
type gallery struct {
	t     *testing.T
	axe   string
	p     *harness.Process
	b     *harness.Browser
	key   *harness.Client
	say   *i18n.Printer // the browser's language
	looks []look        // how audit looks at a page
}

// newGallery shows a server to a browser of its own.
func newGallery(t *testing.T, p *harness.Process) *gallery {
	t.Helper()
	return &gallery{t: t, axe: axeScript(t), p: p, b: harness.OpenBrowser(t), looks: looks}
}

// newGalleryIn is newGallery for payers who read a language.
func newGalleryIn(t *testing.T, p *harness.Process, lang string) *gallery {
	t.Helper()
	g := newGallery(t, p)
	if g.say = i18n.For(lang); g.say.Dir() == "rtl" {
		g.looks = looksRightToLeft
	}
	return g
}

func (g *gallery) link(more string) map[string]any {
	g.t.Helper()
	return g.key.Link(harness.LinkMembers + "," + more)
}

func (g *gallery) visit(path, heading, name string) {
	g.t.Helper()
	g.b.Open(g.p.URL + path)
	g.b.Sees(heading)
	g.audit(name)
}

// paid opens a link and pays it, until the heading is seen.
func (g *gallery) paid(l map[string]any, number, heading string) {
	g.t.Helper()
	g.b.Open(harness.Str(g.t, l, "url"))
	g.b.Pay(number)
	g.b.Sees(heading)
}

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
			g := newGalleryIn(t, harness.Start(t), lang)
			_, g.key = g.p.Merchant(t, harness.Payee)
			l := g.link(`"amount":"1250.50"`)
			var expired string
			g.p, expired = harness.ExpiredLink(t, g.p, l)
			g.b.Open(g.p.URL + "/?lang=" + lang) // a cookie keeps it for all that follows
			g.openToAll(l, expired)
			g.paying(l)
			g.undecided()
			g.afterwards()
			g.b.OnlyOwnOrigin(g.p.URL)
		})
	}
}

// openToAll shows what needs no link that can be paid.
func (g *gallery) openToAll(l map[string]any, expired string) {
	g.shows(expired, "pay.link.expired", "expired")
	g.shows("/verify?link="+g.p.URL+expired, "pay.verify.expired", "verify expired")
	g.shows("/", "pay.landing", "landing")
	g.b.Click(".languages summary")
	g.audit("landing with its languages")
	g.shows("/verify", "pay.verify", "verify")
	g.shows("/verify?link="+harness.Str(g.t, l, "url"), "pay.verify.good", "verify good")
	g.shows("/verify?link="+g.p.URL+"/l/abc", "pay.verify.bad", "verify bad")
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
	title := g.say.T("pay.title", "Payee", harness.Payee)
	g.visit(harness.TokenPath(g.t, l), title, "pay")
	g.b.Click(harness.PayButton)
	g.b.Run(harness.WaitErrors)
	g.audit("pay errors")
	g.b.Pay("4000000000000002")
	g.b.Sees(g.say.T("pay.declined"))
	g.audit("declined")
	g.b.Click("a.button")
	g.b.Sees(title)
	g.b.Pay("4242424242424242")
	g.b.Sees(g.say.T("pay.succeeded"))
	g.audit("receipt")
	g.shows(harness.TokenPath(g.t, l), "pay.succeeded", "paid")

	g.visit(harness.TokenPath(g.t, g.link(`"minAmount":"5","maxAmount":"5000"`)), title, "pay chosen amount")
	canceled := g.link(`"amount":"10"`)
	g.key.OK("POST", "/api/links/"+harness.Str(g.t, canceled, "id")+"/cancel", "")
	g.shows(harness.TokenPath(g.t, canceled), "pay.link.canceled", "canceled")
}

// undecided shows the pages of payments whose outcome is open.
func (g *gallery) undecided() {
	g.paid(g.link(`"amount":"45"`), "4000000000003220", g.say.T("pay.action"))
	g.audit("requires action")
	if g.say.Tag() == "en" {
		g.b.Click("a.button")
		g.b.Sees("Confirm your payment")
		g.audit("challenge")
	}
	g.paid(g.link(`"amount":"8"`), "4000000000006157", g.say.T("pay.confirming"))
	g.audit("confirming")
	g.paid(g.link(`"amount":"19.90"`), "4000000000006140", g.say.T("pay.review"))
	g.audit("being checked")
}

// afterwards shows payments with which something was done later.
func (g *gallery) afterwards() {
	l := g.link(`"amount":"120","redirectUrl":"https://shop.example/thanks"`)
	g.paid(l, "4242424242424242", g.say.T("pay.succeeded"))
	g.audit("receipt with a way back")
	id := harness.OnePayment(g.key, l, "succeeded")
	g.key.OK("POST", "/api/payments/"+id+"/refunds", `{"amount":"20"}`, "Idempotency-Key", "part")
	g.shows(harness.TokenPath(g.t, l), "pay.refunded.part", "refunded in part")
	g.key.OK("POST", "/api/payments/"+id+"/refunds", `{}`, "Idempotency-Key", "rest")
	g.shows(harness.TokenPath(g.t, l), "pay.refunded", "refunded")
	held := g.link(`"amount":"300","capture":"manual"`)
	g.paid(held, "4242424242424242", g.say.T("pay.authorized"))
	g.audit("approved")
}
