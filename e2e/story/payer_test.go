package story

import (
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/i18n"
)

// becomePhone makes the browser a phone whose owner reads the given languages.
func becomePhone(b *harness.Browser, languages string) {
	b.T.Helper()
	do := func(_ any, err error) {
		if err != nil {
			b.T.Fatal(err)
		}
	}
	do(
		chromedp.Call(
			b.Ctx,
			emulation.SetDeviceMetricsOverride,
			emulation.SetDeviceMetricsOverrideParams{Width: 390, Height: 844, DeviceScaleFactor: 2, Mobile: true},
		),
	)
	do(chromedp.Call(b.Ctx, emulation.SetTouchEmulationEnabled, emulation.SetTouchEmulationEnabledParams{Enabled: true, MaxTouchPoints: 5}))
	do(chromedp.Call(b.Ctx, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent:      "Mozilla/5.0 (Linux; Android 14; Pixel 8) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Mobile Safari/537.36",
		AcceptLanguage: languages}))
}

// fits fails when the page is wider than the phone, or a thing to tap is too small for
// a finger (WCAG 2.2, 2.5.8: 24 CSS pixels).
func fits(b *harness.Browser, page string) {
	b.T.Helper()
	if over := harness.Ask[float64](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		b.T.Errorf("%s is %v px wider than the phone", page, over)
	}
	small := harness.Ask[[]string](b, `[...document.querySelectorAll("a, button, input:not([type=hidden]), summary")]
  .filter(e => e.checkVisibility() && !e.matches(".skip") && e.getBoundingClientRect().height < 24).map(e => e.outerHTML)`)
	for _, s := range small {
		b.T.Errorf("%s has something to tap that is too small: %s", page, s)
	}
}

// TestPayerStory is the payer on a phone with JavaScript off, who reads German, checks that the
// link is genuine, selects Arabic and switches back, mistypes, is declined, is challenged by the
// bank, pays, and finds the same result when the link is opened again.
func TestPayerStory(t *testing.T) {
	t.Parallel()
	p, b := harness.Start(t), harness.OpenBrowser(t)
	_, key := p.Merchant(t, harness.Payee)
	becomePhone(b, "de-DE,de,en")
	b.Scripts(false)
	say, arabic := i18n.For("de"), i18n.For("ar")
	l := key.Link(harness.LinkMembers + `,"amount":"1250.50"`)
	b.Open(harness.Str(t, l, "url"))
	b.Sees(say.T("pay.title", "Payee", harness.Payee))
	for selector, want := range map[string]string{".amount": "1.250,50\u00a0€", ".what": "Two tickets",
		harness.PayButton: "1.250,50\u00a0€ zahlen", "time": " UTC"} {
		if got := harness.Ask[string](b, `document.querySelector("`+selector+`").textContent`); !strings.Contains(got, want) {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	fits(b, "the form")
	b.Picture("payer-1-form")

	b.Click(".aside a")
	b.Sees(say.T("pay.verify.good"))
	fits(b, "the check")
	b.Picture("payer-2-genuine")
	b.Click("main a.button")
	b.Sees(say.T("pay.title", "Payee", harness.Payee))

	pick(b, "ar")
	b.Sees(arabic.T("pay.title", "Payee", harness.Payee))
	if dir := harness.Ask[string](b, `getComputedStyle(document.body).direction`); dir != "rtl" {
		t.Errorf("Arabic runs %s", dir)
	}
	fits(b, "the form in Arabic")
	b.Picture("payer-3-arabic")
	b.Open(harness.Str(t, l, "url")) // the pick is kept
	b.Sees(arabic.T("pay.title", "Payee", harness.Payee))
	pick(b, "de")
	b.Sees(say.T("pay.title", "Payee", harness.Payee))
	storyMistakes(t, b, say)
	storyBank(t, b, key, l, say)
	b.OnlyOwnOrigin(p.URL)
	for _, r := range b.Requests() {
		if strings.HasSuffix(r, ".js") {
			t.Errorf("with JavaScript off %s was asked for", r)
		}
	}
}

// pick opens the menu of languages and takes one.
func pick(b *harness.Browser, lang string) {
	b.T.Helper()
	b.Click(".languages summary")
	b.Click(`.languages a[hreflang="` + lang + `"]`)
}

// storyMistakes checks that errors are shown in the payer's language, that the first wrong field
// has the focus, and that the other input is still there, except number and code.
func storyMistakes(t *testing.T, b *harness.Browser, say *i18n.Printer) {
	t.Helper()
	b.Run(chromedp.SendKeys(harness.CSS("#name"), "Ada Zahlerin"))
	b.Pay("4242 4242 4242 4241")
	b.Run(harness.WaitErrors)
	for selector, want := range map[string]string{"#errors-title": say.T("pay.check.title"), "#number-error": say.T("pay.error.number")} {
		if got := harness.Ask[string](b, `document.querySelector("`+selector+`").textContent`); !strings.Contains(got, want) {
			t.Errorf("%s says %q, want %q", selector, got, want)
		}
	}
	if got := harness.Ask[string](b, `[document.activeElement.id, document.querySelector("#name").value, document.querySelector("#number").value, document.querySelector("#cvc").value].join("|")`); got != "number|Ada Zahlerin||" {
		t.Errorf("after a mistake the form has %q", got)
	}
	fits(b, "the form with mistakes")
	b.Picture("payer-4-mistake")
}

// storyBank checks a decline, in neutral words; then a card that the bank challenges; then the
// result, which the link shows from then on.
func storyBank(t *testing.T, b *harness.Browser, key *harness.Client, l map[string]any, say *i18n.Printer) {
	t.Helper()
	b.Pay("4000 0000 0000 9979") // stolen, which the page does not reveal
	b.Sees(say.T("pay.declined"))
	if lead := harness.Ask[string](b, `document.querySelector(".lead").textContent`); lead != say.T("pay.decline.other") {
		t.Errorf("a stolen card is told as %q", lead)
	}
	fits(b, "the decline")
	b.Picture("payer-5-declined")
	b.Click("main a.button")
	b.Sees(say.T("pay.title", "Payee", harness.Payee))
	b.Pay("4000 0000 0000 3220")
	b.Sees(say.T("pay.action"))
	fits(b, "the bank's question")
	b.Picture("payer-6-bank")
	b.Click("main a.button")
	b.Sees("Confirm your payment") // the simulated bank speaks English
	b.Click("#approve")
	b.Sees(say.T("pay.succeeded"))
	fits(b, "the receipt")
	b.Picture("payer-7-paid")
	made := map[any]string{}
	for _, payment := range harness.PaymentsOf(key, l) {
		made[payment["status"]] = harness.Str(t, payment, "id")
	}
	if len(made) != 2 || made["declined"] == "" || made["succeeded"] == "" {
		t.Errorf("the payments are %v", made)
	}
	b.Open(harness.Str(t, l, "url"))
	b.Sees(say.T("pay.succeeded"))
	if seen := harness.Ask[string](b, `document.querySelector("dd.code").textContent`); strings.TrimSpace(seen) != made["succeeded"] {
		t.Errorf("the link tells of payment %q, want %s", seen, made["succeeded"])
	}
	if harness.Ask[bool](b, `document.querySelector("#pay") !== null`) {
		t.Error("a link that is paid has a form")
	}
}
