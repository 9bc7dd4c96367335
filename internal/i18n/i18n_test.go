package i18n

import (
	"context"
	"math"
	"strings"
	"testing"
	"time"

	"golang.org/x/text/feature/plural"

	"github.com/paylink/paylink/internal/money"
)

func TestMatch(t *testing.T) {
	for _, c := range []struct{ override, accept, tag, locale string }{
		{"", "", "en", "en"},
		{"", "de", "de", "de"},
		{"", "de-CH,de;q=0.9,en;q=0.8", "de", "de-CH"},
		{"", "en-GB,en;q=0.9", "en", "en-GB"},
		{"", "sv-SE,sv;q=0.9,fr;q=0.5,en;q=0.3", "fr", "fr"},
		{"", "en;q=0.1,ja;q=0.9", "ja", "ja"},
		{"", "de;q=0,es", "es", "es"},
		{"", "pt-PT", "pt", "pt-PT"},
		{"", "pt-MZ", "pt", "pt"},
		{"", "ar-EG,ar;q=0.9", "ar", "ar-EG"},
		{"", "sv", "en", "en"},
		{"", "*", "en", "en"},
		{"", "%%%;q=x,,,", "en", "en"},
		{"", strings.Repeat("sv,", 300) + "de", "en", "en"}, // beyond the limit
		{"fr", "de", "fr", "fr"},
		{"de", "de-AT,en", "de", "de-AT"},
		{"de-CH", "de-AT", "de", "de-CH"},
		{"sv", "de", "de", "de"},
		{"<script>", "de", "de", "de"},
		{"DE", "", "de", "de"},
	} {
		for range 2 { // the second answer is cached
			if p := Match(c.override, c.accept); p.Tag() != c.tag || p.Locale() != c.locale {
				t.Errorf("Match(%q, %q) is %s, %s; want %s, %s", c.override, c.accept, p.Tag(), p.Locale(), c.tag, c.locale)
			}
		}
	}
}

func TestFor(t *testing.T) {
	for tag, want := range map[string]string{"": "en", "de": "de", "de-CH": "de-CH", "de-LU": "de", "zh": "en", "no such": "en",
		"EN-gb": "en-GB"} {
		if p := For(tag); p.Locale() != want {
			t.Errorf("For(%q) is %s, want %s", tag, p.Locale(), want)
		}
	}
}

func TestContext(t *testing.T) {
	if p := From(context.Background()); p.Tag() != "en" {
		t.Errorf("without a printer: %s", p.Tag())
	}
	if p := From(With(context.Background(), For("ja"))); p.Tag() != "ja" {
		t.Errorf("with Japanese: %s", p.Tag())
	}
}

func TestRememberedHeadersAreBounded(t *testing.T) {
	before := rememberedCount.Load()
	defer rememberedCount.Store(before)
	rememberedCount.Store(maxRemembered)
	if p := Match("", "de, x-never-seen-before"); p.Tag() != "de" {
		t.Errorf("a full memory answers %s", p.Tag())
	}
	if _, kept := remembered.Load("de, x-never-seen-before"); kept {
		t.Error("a full memory took one more")
	}
}

// printerOf returns a printer of a language with the test's own messages.
func printerOf(t *testing.T, lang string, messages map[string]string) *Printer {
	t.Helper()
	p := *For(lang)
	p.messages = map[string]*message{}
	for key, raw := range messages {
		m, err := parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		p.messages[key] = m
	}
	return &p
}

func TestMessages(t *testing.T) {
	at := time.Date(2026, 11, 24, 15, 4, 0, 0, time.UTC)
	p := printerOf(t, "de", map[string]string{
		"x.plain": `"Zahlungen"`,
		"x.sent":  `"{{.Payee}} hat {{.Sum}} am {{.At}} bekommen, {{.Count}} Mal."`,
		"x.count": `{"one": "{{.N}} Zahlung", "other": "{{.N}} Zahlungen an {{.Payee}}"}`,
	})
	for got, want := range map[string]string{
		p.T("x.plain"): "Zahlungen",
		p.T("x.sent", "Payee", "Blue {{.Sum}}", "Sum", money.Of(125050, "EUR"), "At", at, "Count",
			1200): "Blue {{.Sum}} hat 1.250,50\u00a0€ am 24. November 2026, 15:04 UTC bekommen, 1.200 Mal.",
		p.N("x.count", 1):                            "1 Zahlung",
		p.N("x.count", 1234, "Payee", "Ada"):         "1.234 Zahlungen an Ada",
		p.N("x.count", 0, "Payee", "متجر"):           "0 Zahlungen an \u2068متجر\u2069",
		p.N("x.count", 5, "Payee", "a\u202eb\u2069"): "5 Zahlungen an ab",
		p.T("pay.skip"):                              "Skip to the content", // missing here: English
		p.T("x.unknown"):                             "x.unknown",
		printerOf(t, "ar", map[string]string{"x.to": `"إلى {{.Payee}}"`}).T("x.to", "Payee", "Blue"): "إلى \u2068Blue\u2069",
	} {
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPluralCategories(t *testing.T) {
	for lang, want := range map[string]map[int]plural.Form{
		"ar": {0: plural.Zero, 1: plural.One, 2: plural.Two, 3: plural.Few, 10: plural.Few, 11: plural.Many, 99: plural.Many,
			100: plural.Other, 103: plural.Few, -2: plural.Two},
		"fr": {0: plural.One, 1: plural.One, 2: plural.Other},
		"en": {0: plural.Other, 1: plural.One, 2: plural.Other, 10_000_001: plural.Other},
		"ja": {0: plural.Other, 1: plural.Other},
	} {
		for n, form := range want {
			if got := For(lang).category(n); got != form {
				t.Errorf("%s: %d is %v, want %v", lang, n, got, form)
			}
		}
	}
}

func TestBadCatalogues(t *testing.T) {
	for _, raw := range []string{`1`, `{}`, `{"one": "x"}`, `{"several": "x", "other": "y"}`, `"{{.}}"`, `"{{ .Name }}"`, `"{{.Name"`,
		`"}}"`, `"{{if .A}}"`} {
		if _, err := parse([]byte(raw)); err == nil {
			t.Errorf("%s was taken for a message", raw)
		}
	}
}

func TestFormatsByCLDR(t *testing.T) {
	at := time.Date(2026, 3, 4, 9, 5, 0, 0, time.UTC)
	for locale, want := range map[string][5]string{ // amount, number, percent, date, moment
		"en":    {"€1,250.50", "-1,234,567", "12.5%", "March 4, 2026", "March 4, 2026, 9:05 am UTC"},
		"en-GB": {"€1,250.50", "-1,234,567", "12.5%", "4 March 2026", "4 March 2026, 09:05 UTC"},
		"en-IN": {"€1,250.50", "-12,34,567", "12.5%", "4 March 2026", "4 March 2026, 9:05 am UTC"},
		"de":    {"1.250,50\u00a0€", "-1.234.567", "12,5\u00a0%", "4. März 2026", "4. März 2026, 09:05 UTC"},
		"de-CH": {"€\u00a01'250.50", "-1’234’567", "12.5%", "4. März 2026", "4. März 2026, 09:05 UTC"},
		"fr":    {"1\u202f250,50\u00a0€", "-1\u202f234\u202f567", "12,5\u202f%", "4 mars 2026", "4 mars 2026, 09:05 UTC"},
		"es":    {"1250,50\u00a0€", "-1.234.567", "12,5\u00a0%", "4 de marzo de 2026", "4 de marzo de 2026, 9:05 UTC"},
		"pt":    {"€\u00a01.250,50", "-1.234.567", "12,5%", "4 de março de 2026", "4 de março de 2026, 09:05 UTC"},
		"ar":    {"\u200f1,250.50\u00a0€", "\u200e-1,234,567", "12.5\u200e%\u200e", "4 مارس 2026", "4 مارس 2026، 9:05 ص UTC"},
		"ar-EG": {"\u200f١٬٢٥٠٫٥٠\u00a0€", "\u200e-١٬٢٣٤٬٥٦٧", "١٢٫٥٪\u061c", "٤ مارس ٢٠٢٦", "٤ مارس ٢٠٢٦، ٩:٠٥ ص UTC"},
		"ja":    {"€1,250.50", "-1,234,567", "12.5%", "2026年3月4日", "2026年3月4日 9:05 UTC"},
	} {
		p := For(locale)
		got := [5]string{p.Amount(money.Of(125050, "EUR")), p.Number(-1234567), p.Percent(1, 8), p.Date(at), p.DateTime(at)}
		if got != want {
			t.Errorf("%s:\n got %q\nwant %q", locale, got, want)
		}
	}
	if got := For("es").Number(1234); got != "1234" {
		t.Errorf("Spanish groups four digits: %s", got)
	}
	if got := For("en").Number(math.MinInt64); got != "-9,223,372,036,854,775,808" {
		t.Errorf("the least number: %s", got)
	}
	if got := For("en").Amount(money.Of(1, "???")); got != "??? 0.01" {
		t.Errorf("no currency: %s", got)
	}
}

func TestPercent(t *testing.T) {
	p := For("en")
	for _, c := range []struct {
		part, whole int64
		want        string
	}{
		{0, 0, "0%"}, {5, 0, "0%"}, {0, 7, "0%"}, {1, 3, "33.3%"}, {2, 3, "66.7%"}, {1, 2000, "0.1%"}, {1, 2001, "0%"}, {7, 7, "100%"},
		{-1, 3, "-33.3%"}, {-1, 200, "-0.5%"}, {3, 2, "150%"}, {math.MaxInt64, math.MaxInt64, "100%"},
		{math.MaxInt64 / 4, math.MaxInt64, "25%"}, {-1, -4, "25%"},
	} {
		if got := p.Percent(c.part, c.whole); got != c.want {
			t.Errorf("Percent(%d, %d) is %s, want %s", c.part, c.whole, got, c.want)
		}
	}
}

// TestPlainMessagesCostNothing: a message without placeholders costs one look-up and allocates
// nothing.
func TestPlainMessagesCostNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() { _ = Match("", "de-DE,de;q=0.9,en;q=0.8").T("pay.skip") }); n > 0 {
		t.Errorf("%v allocations", n)
	}
}
