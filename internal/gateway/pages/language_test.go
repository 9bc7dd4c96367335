package pages

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/asset"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

func (w *world) in(lang, target string) response {
	return w.do(http.MethodGet, target, "", map[string]string{"Accept": "text/html", "Accept-Language": lang})
}

var keyInPage = regexp.MustCompile(`\bpay\.[a-z]+\.?[a-z.]*\b`)

// TestEveryPageInEveryLanguage: each state has its page in each language, said to be
// in that language and its direction; only what developers read stays English.
func TestEveryPageInEveryLanguage(t *testing.T) {
	w := newWorld(t)
	list := scenes(w)
	for _, l := range i18n.Languages() {
		for _, s := range list {
			a := w.in(l.Tag, s.target)
			if a.status != s.status {
				t.Errorf("%s, %s: status %d, want %d", l.Tag, s.name, a.status, s.status)
			}
			lang, dir := l.Tag, l.Dir
			if strings.HasPrefix(s.name, "problem") && s.status == 200 {
				lang, dir = "en", "ltr"
				lacks(t, s.name, a.body, `class="languages"`)
			} else {
				contains(t, s.name, a.body, `class="languages"`, `lang="ar" dir="rtl"`)
			}
			contains(t, l.Tag+", "+s.name, a.body, `<html lang="`+lang+`" dir="`+dir+`">`)
			if m := keyInPage.FindString(strings.ReplaceAll(a.body, "pay.example.com", "")); m != "" {
				t.Errorf("%s, %s: a key is shown: %s", l.Tag, s.name, m)
			}
			if n := len(a.body) + len(cssBytes) + len(jsBytes) + len(asset.Icon); n > 60_000 {
				t.Errorf("%s, %s: %d bytes in all", l.Tag, s.name, n)
			}
			if m := inline.FindString(a.body); m != "" {
				t.Errorf("%s, %s: inline %q", l.Tag, s.name, m)
			}
		}
	}
}

// TestLanguageOfAReader: a pick goes before what was picked, that before the browser's
// wish; the pick is kept in a cookie, and the menu's addresses keep the page's query.
func TestLanguageOfAReader(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	for _, c := range []struct{ target, cookie, accept, lang, kept string }{
		{"/l/open", "", "", "en", ""},
		{"/l/open", "", "fr-CA,fr;q=0.9,en;q=0.5", "fr-CA", ""},
		{"/l/open", "ja", "fr", "ja", ""},
		{"/l/open", "xx", "fr", "fr", ""},
		{"/l/open", "\"><script>", "fr", "fr", ""},
		{"/l/open?lang=ar", "ja", "fr", "ar", "ar"},
		{"/l/open?lang=xx", "ja", "fr", "ja", ""},
		{"/l/open?lang=AR", "", "", "ar", "ar"},
		{"/nowhere?lang=de", "", "", "de", "de"},
		{"/verify?lang=pt", "", "", "pt", "pt"},
		{"/?lang=es", "", "", "es", "es"},
	} {
		a := w.do(
			http.MethodGet,
			c.target,
			"",
			map[string]string{"Accept": "text/html", "Accept-Language": c.accept, "Cookie": languageCookie + "=" + c.cookie},
		)
		contains(t, c.target, a.body, `<html lang="`+c.lang+`"`, "<details>")
		set := a.header.Get("Set-Cookie")
		if c.kept == "" && set != "" ||
			c.kept != "" && set != languageCookie+"="+c.kept+"; Path=/; Max-Age=31536000; HttpOnly; Secure; SameSite=Lax" {
			t.Errorf("%s, %q: the cookie is %q", c.target, c.cookie, set)
		}
		if !strings.Contains(strings.Join(a.header.Values("Vary"), ","), "Accept-Language, Cookie") {
			t.Errorf("%s: Vary %q", c.target, a.header.Values("Vary"))
		}
	}
	body := w.in("de", "/l/open/status?attempt="+attempt+"&lang=de&x=%22%3E").body
	contains(t, "menu", body, `href="?attempt=`+attempt+`&amp;x=%22%3E&amp;lang=ja"`)
	// The answer to a form has the form's address; from there a pick leads back to it.
	if a := w.in("de", "/l/open/payments?lang=fr"); a.status != 303 || a.header.Get("Location") != "/l/open?lang=fr" ||
		!strings.Contains(a.header.Get("Set-Cookie"), "=fr;") {
		t.Errorf("%d %v", a.status, a.header)
	}
}

// TestPayersLanguageIsKeptWithThePayment, for the mails about it.
func TestPayersLanguageIsKeptWithThePayment(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	body := `{"attempt":"` + attempt + `","card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"739"}}`
	if a := w.do(http.MethodPost, "/l/open/payments", body, map[string]string{"Content-Type": "application/json",
		"Accept-Language": "ja,en;q=0.5"}); a.status >= 300 {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if w.last.PayerLang != "ja" {
		t.Errorf("the payer's language is %q", w.last.PayerLang)
	}
}

// TestFormIsRefusedInThePayersLanguage: every mistake that a form can have has words in
// every language, which are not the English ones.
func TestFormIsRefusedInThePayersLanguage(t *testing.T) {
	for _, l := range i18n.Languages() {
		w := newWorld(t)
		w.link("choose", func(l *link.Link) { l.Amount, l.MinMinor, l.MaxMinor = money.Of(0, "EUR"), 500, 90000 })
		for _, m := range []map[string]string{
			{"number": ""}, {"number": "4242424242424241"}, {"exp": ""}, {"exp": "13/30"}, {"exp": "01/20"}, {"cvc": ""}, {"cvc": "1"},
			{"name": strings.Repeat("n", 101)}, {"name": "\x01"}, {"email": "@"}, {"amount": ""}, {"amount": "x"}, {"amount": "1.234"},
			{"amount": "1"}, {"amount": "901"}, {"attempt": ""},
		} {
			form := goodForm()
			form.Set("amount", "20")
			for k, v := range m {
				form.Set(k, v)
			}
			a := w.postForm("choose", form, map[string]string{"Accept-Language": l.Tag})
			if a.status != 400 {
				t.Errorf("%s, %v: %d", l.Tag, m, a.status)
			}
			contains(t, l.Tag, a.body, `id="errors"`, html.EscapeString(i18n.For(l.Tag).T("pay.check.title")))
			lacks(t, l.Tag, a.body, html.EscapeString(i18n.For(l.Tag).T("pay.error.other")))
			if l.Tag != "en" {
				lacks(t, l.Tag, a.body, "digits", "Enter ", "expiry", "Nothing was", "amount must", "incomplete")
			}
		}
	}
}

// TestErrorsAreInThePayersLanguage: outside English nobody reads a fault's
// English sentence; the JSON stays English for everybody.
func TestErrorsAreInThePayersLanguage(t *testing.T) {
	w := newWorld(t)
	w.link("open", nil)
	w.decide = failing(fault.New(fault.KindConflict, "odd", "English words."))
	german := map[string]string{"Accept-Language": "de"}
	contains(t, "conflict", w.postForm("open", goodForm(), german).body, "Die Zahlung war nicht möglich")
	w.decide = failing(fault.New(fault.KindRateLimited, "slow", "English words."))
	contains(t, "limited", w.postForm("open", goodForm(), german).body, "Wir können gerade nicht antworten")
	german["Sec-Fetch-Site"] = "cross-site"
	contains(t, "elsewhere", w.postForm("open", goodForm(), german).body, "Das geht nicht")
	w.decide = nil
	w.pay(w.link("no", nil), attempt, payment.Declined, func(p *payment.Payment) { p.DeclineCode = issuer.CodeStolen })
	a := w.in("de", "/l/no/status?attempt="+attempt)
	contains(t, "declined", a.body, "Die Karte wurde abgelehnt")
	lacks(t, "declined", a.body, "gestohlen", "stolen")
	a = w.do(http.MethodGet, "/l/no/status?attempt="+attempt, "", map[string]string{"Accept": "application/json", "Accept-Language": "de"})
	contains(t, "json", a.body, "The card was declined.")
}

// TestDigitsOfOtherScripts: a payer types the digits that the keyboard has.
func TestDigitsOfOtherScripts(t *testing.T) {
	w := newWorld(t)
	w.link("choose", func(l *link.Link) { l.Amount, l.MinMinor, l.MaxMinor = money.Of(0, "EUR"), 0, 0 })
	form := url.Values{"attempt": {attempt}, "amount": {"١٢٫٥٠"}, "number": {"٤٢٤٢ ۴۲۴۲ ４２４２ 4242"}, "exp": {"١٢／３０"}, "cvc": {"１２３"}}
	if a := w.postForm("choose", form, nil); a.status != 303 || w.last.Amount != money.Of(1250, "EUR") {
		t.Errorf("%d %v\n%s", a.status, w.last.Amount, a.body)
	}
}

// TestNamesOfOtherDirections: a payee cannot turn the words around its name.
func TestNamesOfOtherDirections(t *testing.T) {
	w := newWorld(t)
	w.link("open", func(l *link.Link) { l.Payee = "متجر\u202e\u2069 evil" })
	a := w.in("en", "/l/open")
	contains(t, "title", a.body, "<h1>Pay \u2068متجر evil\u2069</h1>")
	w.link("blue", nil)
	contains(t, "arabic", w.in("ar", "/l/blue").body, "<h1>الدفع إلى \u2068Blue Door Books\u2069</h1>", "\u200f12.50\u00a0€", `dir="ltr"`)
}
