package main_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/internal/i18n"
)

// becomePhone makes the browser a phone whose owner reads the given languages.
func (b *browser) becomePhone(languages string) {
	b.t.Helper()
	do := func(_ any, err error) {
		if err != nil {
			b.t.Fatal(err)
		}
	}
	do(chromedp.Call(b.ctx, emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 2, Mobile: true}))
	do(chromedp.Call(b.ctx, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true, MaxTouchPoints: 5}))
	do(chromedp.Call(b.ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36", AcceptLanguage: languages}))
}

// fits fails when the page is wider than the phone, or a thing to tap is too small for
// a finger (WCAG 2.2, 2.5.8: 24 CSS pixels).
func (b *browser) fits(page string) {
	b.t.Helper()
	if over := ask[float64](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		b.t.Errorf("%s is %v px wider than the phone", page, over)
	}
	small := ask[[]string](b, `[...document.querySelectorAll("a, button, input:not([type=hidden]), summary")]
  .filter(e => e.checkVisibility() && !e.matches(".skip") && e.getBoundingClientRect().height < 24).map(e => e.outerHTML)`)
	for _, s := range small {
		b.t.Errorf("%s has something to tap that is too small: %s", page, s)
	}
}

// TestPayerStory: the payer on a phone with JavaScript off. It reads German, looks
// whether the link is genuine, picks Arabic and comes back, mistypes, is declined, is
// asked by the bank, pays, and finds the same truth when the link is opened again.
func TestPayerStory(t *testing.T) {
	t.Parallel()
	p, b := serve(t), openBrowser(t)
	_, key := p.merchant(t, payee)
	b.becomePhone("de-DE,de,en")
	b.scripts(false)
	say, arabic := i18n.For("de"), i18n.For("ar")
	l := key.link(galleryMembers + `,"amount":"1250.50"`)
	b.open(str(t, l, "url"))
	b.sees(say.T("pay.title", "Payee", payee))
	for selector, want := range map[string]string{".amount": "1.250,50\u00a0€", ".what": "Two tickets", payButton: "1.250,50\u00a0€ zahlen", "time": " UTC"} {
		if got := ask[string](b, `document.querySelector("`+selector+`").textContent`); !strings.Contains(got, want) {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	b.fits("the form")
	b.picture("payer-1-form")

	b.click(".aside a")
	b.sees(say.T("pay.verify.good"))
	b.fits("the check")
	b.picture("payer-2-genuine")
	b.click("main a.button")
	b.sees(say.T("pay.title", "Payee", payee))

	b.pick("ar")
	b.sees(arabic.T("pay.title", "Payee", payee))
	if dir := ask[string](b, `getComputedStyle(document.body).direction`); dir != "rtl" {
		t.Errorf("Arabic runs %s", dir)
	}
	b.fits("the form in Arabic")
	b.picture("payer-3-arabic")
	b.open(str(t, l, "url")) // the pick is kept
	b.sees(arabic.T("pay.title", "Payee", payee))
	b.pick("de")
	b.sees(say.T("pay.title", "Payee", payee))
	tellMistakes(t, b, say)
	tellBank(t, b, key, l, say)
	b.onlyOwnOrigin(p.url)
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, r := range b.requests {
		if strings.HasSuffix(r, ".js") {
			t.Errorf("with JavaScript off %s was asked for", r)
		}
	}
}

// pick opens the menu of languages and takes one.
func (b *browser) pick(lang string) {
	b.t.Helper()
	b.click(".languages summary")
	b.click(`.languages a[hreflang="` + lang + `"]`)
}

// tellMistakes: what is mistyped is told in the payer's language, and the first wrong
// field has the focus; what was typed is still there, but for number and code.
func tellMistakes(t *testing.T, b *browser, say *i18n.Printer) {
	t.Helper()
	b.run(chromedp.SendKeys(css("#name"), "Ada Zahlerin"))
	b.pay("4242 4242 4242 4241")
	b.run(waitErrors)
	for selector, want := range map[string]string{"#errors-title": say.T("pay.check.title"), "#number-error": say.T("pay.error.number")} {
		if got := ask[string](b, `document.querySelector("`+selector+`").textContent`); !strings.Contains(got, want) {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	if got := ask[string](b, `[document.activeElement.id, document.querySelector("#name").value, document.querySelector("#number").value, document.querySelector("#cvc").value].join("|")`); got != "number|Ada Zahlerin||" {
		t.Errorf("after a mistake the form has %q", got)
	}
	b.fits("the form with mistakes")
	b.picture("payer-4-mistake")
}

// tellBank: declined, in neutral words; then a card that the bank asks about; then the
// outcome, which the link tells from then on.
func tellBank(t *testing.T, b *browser, key *client, l map[string]any, say *i18n.Printer) {
	t.Helper()
	b.pay("4000 0000 0000 9979") // stolen, which is nobody's business here
	b.sees(say.T("pay.declined"))
	if lead := ask[string](b, `document.querySelector(".lead").textContent`); lead != say.T("pay.decline.other") {
		t.Errorf("a stolen card is told as %q", lead)
	}
	b.fits("the decline")
	b.picture("payer-5-declined")
	b.click("main a.button")
	b.sees(say.T("pay.title", "Payee", payee))
	b.pay("4000 0000 0000 3220")
	b.sees(say.T("pay.action"))
	b.fits("the bank's question")
	b.picture("payer-6-bank")
	b.click("main a.button")
	b.sees("Confirm your payment") // the simulated bank speaks English
	b.click("#approve")
	b.sees(say.T("pay.succeeded"))
	b.fits("the receipt")
	b.picture("payer-7-paid")
	made := map[any]string{}
	for _, payment := range paymentsOf(key, l) {
		made[payment["status"]] = str(t, payment, "id")
	}
	if len(made) != 2 || made["declined"] == "" || made["succeeded"] == "" {
		t.Errorf("the payments are %v", made)
	}
	b.open(str(t, l, "url"))
	b.sees(say.T("pay.succeeded"))
	if seen := ask[string](b, `document.querySelector("dd.code").textContent`); strings.TrimSpace(seen) != made["succeeded"] {
		t.Errorf("the link tells of payment %q, want %s", seen, made["succeeded"])
	}
	if ask[bool](b, `document.querySelector("#pay") !== null`) {
		t.Error("a link that is paid has a form")
	}
}

// TestPayerQuickStart types what docs/quickstart/payer.md tells to type, into one shell.
func TestPayerQuickStart(t *testing.T) {
	raw, err := os.ReadFile(filepath.Join(moduleRoot(t), "docs", "quickstart", "payer.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for i, part := range strings.Split(string(raw), "\n```") {
		if i%2 == 1 {
			blocks = append(blocks, part)
		}
	}
	if len(blocks) != 4 {
		t.Fatalf("%d blocks", len(blocks))
	}
	p := serveWith(t, filepath.Join(t.TempDir(), "data"), freeAddress(t), "--demo")
	var found []string
	eventually(t, "the server prints the key", func() bool {
		found = regexp.MustCompile(`API key +(key_\S+) +secret +(pl_test_\S+)\n`).FindStringSubmatch(p.logs.String())
		return found != nil
	})
	script := strings.NewReplacer("key_…", found[1], "pl_test_…", found[2], "http://127.0.0.1:8080", p.url).Replace(strings.Join(blocks, "\n"))
	lines := strings.Split(strings.TrimSpace(shell(t, script)), "\n")
	say := i18n.For("de")
	if len(lines) != 5 || !strings.HasPrefix(lines[0], p.url+"/l/") {
		t.Fatalf("it printed %q", lines)
	}
	var verdict struct{ Ours, Expired bool }
	if err := json.Unmarshal([]byte(lines[3]), &verdict); err != nil || !verdict.Ours || verdict.Expired {
		t.Errorf("the verdict: %s, %v", lines[3], err)
	}
	if !strings.HasPrefix(lines[1], "<h1>Zahlung an ") || lines[2] != `<html lang="ar" dir="rtl">` || lines[4] != "<h1>"+say.T("pay.succeeded")+"</h1>" {
		t.Errorf("it printed %q", lines)
	}
}
