package i18n

import (
	"errors"
	"strings"
	"testing"

	"github.com/bojanz/currency"

	"github.com/paylink/paylink/internal/money"
)

func TestReadAmount(t *testing.T) {
	const ambiguous, other, syntax, precise, large = "ambiguous", "other", "syntax", "precise", "large"
	refusals := map[string]error{ambiguous: ErrAmbiguous, other: ErrOtherCurrency, syntax: money.ErrSyntax,
		precise: money.ErrPrecision, large: money.ErrOverflow}
	for _, row := range []struct {
		c    money.Currency
		want string // the amount, or why it is refused
		as   []string
	}{
		{"EUR", "12.50", []string{"12.50", "12,50", "12.5", "12,5", " 12.50 ", "€12.50", "€ 12,50", "12,50 €", "12.50€",
			"EUR 12.50", "12.50 eur", "€ 12.50 EUR", "12,50 Euro", "١٢،٥٠", "١٢٫٥٠", "۱۲٫۵۰", "१२.५०",
			"１２．５０", "１２，５０", "ＥＵＲ１２．５０", "\u200e12.50", "\u200f12.50\u00a0€", "12\u00ad.50",
			"\ufeff12,50\u202f€", "12 ,50", "12, 50", "12。50", "12·50", "12.500000"}},
		{"EUR", "1234.56", []string{"1234.56", "1234,56", "1.234,56", "1,234.56", "1 234,56", "1\u202f234,56", "1\u00a0234.56",
			"1\u2009234,56", "1’234.56", "1'234,56", "1٬234٫56", "١٬٢٣٤٫٥٦", "١,٢٣٤.٥٦", "1 234.560"}},
		{"EUR", "1234567.80", []string{"1.234.567,8", "1,234,567.80", "1 234 567,80", "12,34,567.80", "1’234’567.8", "12٬34٬567٫8"}},
		{"EUR", "1234567.00", []string{"1.234.567", "1,234,567", "12,34,567", "1 234 567", "1234567", "1.234.567,-", "1,234,567."}},
		{"EUR", "12.00", []string{"12.", "12,", "12,-", "12.–", "12.-- €", "12, €", "12", "€12"}},
		{"EUR", "0.50", []string{".50", ",50", ".5", "0.5", "0,500", ".500", "€.50", "٫٥٠"}},
		{"EUR", "0.00", []string{"0", "0.00", "0,000"}},
		{"EUR", ambiguous, []string{"1.234", "1,234", "12,345", "123.456", "€1,500", "1.500 €", "١،٥٠٠", "1 . 500"}},
		{"EUR", other, []string{"$12.50", "12.50 USD", "£12.50", "12,50 CHF", "¥12", "kr 12"}},
		{"EUR", precise, []string{"1234.567", "1 234,567", "0.001", "1.2345", "1٫٢٣٤"}},
		{"EUR", syntax, []string{"", " ", ".", ",", "-", "€", "-12.50", "12.50-", "(12.50)", "+12.50", "1e2", "0x10", "12 50", "1 2 3",
			"1.23.4", "1,2,3", "1.234.56", "1,234.567,8", "1.234’567", "1’234 567", "0.123.456", "12..50", "12.50.", "twelve", "12.50 x", "½",
			"1/2", "12\u202650", "NaN", "012.50", "1,23,456,7", "1234,567,890", "€€12", "1" + strings.Repeat(" ", 300)}},
		{"EUR", large, []string{"99999999999999", "10,000,000,000.00", "99.999.999.999.999"}},
		{"CHF", "1234.50", []string{"1’234.50", "1'234.50", "1`234.50", "CHF 1’234.50", "Fr. 1’234.50", "1234.50 SFr."}},
		{"JPY", "1500", []string{"1500", "1,500", "1.500", "1500円", "￥1500", "¥1,500", "１，５００円", "１５００",
			"JPY 1500", "1 500", "1500.", "1500.00", "1,500.00", "١٥٠٠"}},
		{"JPY", precise, []string{"12.50", "1,500.5"}},
		{"JPY", other, []string{"€1500", "$15"}},
		{"KWD", "1.500", []string{"1.5", "1,50", "1.5000", "1٫500", "١٫٥٠٠", "1.50 KD", "1,50 د.ك", "د.ك.\u200f 1.50"}},
		{"KWD", "1234.567", []string{"1234.567", "1234,567", "1,234.567", "1.234,567", "1 234,567"}},
		{"KWD", "0.500", []string{"0.500", "0,500", ".500"}},
		{"KWD", "1500.000", []string{"1500", "1 500", "1,500.000", "1.500,0", "1٬500", "1’500"}},
		{"KWD", ambiguous, []string{"1.500", "1,500", "12.345", "KWD 1.500", "١،٥٠٠"}},
		{"INR", "123456.00", []string{"1,23,456.00", "₹1,23,456", "Rs. 1,23,456.00", "123456"}},
		{"CAD", "12.50", []string{"$12.50", "CA$12.50", "C$ 12.50", "12,50 $"}},
		{"USD", "12.50", []string{"$12.50", "US$ 12.50", "＄12.50"}},
		{"USD", other, []string{"CA$12.50", "€12.50", "12.50 CAD"}},
	} {
		for _, s := range row.as {
			a, err := ReadAmount(s, row.c)
			why, refused := refusals[row.want]
			switch {
			case refused && (!errors.Is(err, why) || a != (money.Amount{})):
				t.Errorf("%s %q is %v, %v; want %s", row.c, s, a, err, row.want)
			case !refused && (err != nil || a.Decimal() != row.want || a.Currency != row.c):
				t.Errorf("%s %q is %v, %v; want %s", row.c, s, a, err, row.want)
			}
		}
	}
}

func TestAmountFaultIsInTheReadersWriting(t *testing.T) {
	for _, row := range []struct {
		lang  string
		c     money.Currency
		typed string
		want  []string
	}{
		{"en", "KWD", "1.500", []string{"1,500.000", "1.500", " 1500 ", "1.5000"}},
		{"en", "EUR", "1,234", []string{"1,234.00", "1.234", " 1234 ", " 1.23 "}},
		{"de", "KWD", "1.500", []string{"1.500,000", "1,500", " 1500 ", "1,5000"}},
		{"de", "EUR", "1.234", []string{"1.234,00", "1,234"}},
		{"fr", "EUR", "1.234", []string{"1\u202f234,00", "1,234"}},
		{"es", "EUR", "12.345", []string{"12.345,00", "12,345"}},
		{"pt", "EUR", "1.234", []string{"1.234,00", "1,234"}},
		{"ja", "KWD", "1.500", []string{"1,500.000", "1.500"}},
		{"ar", "KWD", "1.500", []string{"1,500.000", "1.500"}},
		{"ar-EG", "KWD", "1.500", []string{"١٬٥٠٠٫٠٠٠", "١٫٥٠٠"}},
		{"en", "EUR", "$12.50", []string{"$", "EUR"}},
		{"de", "EUR", "x", []string{"12,50"}},
		{"de", "JPY", "x", []string{"1250"}},
		{"de", "KWD", "x", []string{"1250,500"}},
		{"en", "EUR", "12.505", []string{"12,505.00"}},
		{"en", "JPY", "12.50", []string{"JPY", "0 decimals"}},
		{"en", "EUR", "99999999999999", []string{"9,999,999,999.99"}},
	} {
		_, err := ReadAmount(row.typed, row.c)
		words := For(row.lang).AmountFault(err)
		for _, w := range row.want {
			if !strings.Contains(words, w) {
				t.Errorf("%s %s %q: %q lacks %q", row.lang, row.c, row.typed, words, w)
			}
		}
	}
	if words := For("en").AmountFault(errors.New("another")); words != "" {
		t.Errorf("another error: %q", words)
	}
}

// TestWrittenAmountsReadAsThemselves: an amount that a page shows may be typed back. It is read
// as itself or refused as ambiguous, in every language and currency, and never as another sum.
func TestWrittenAmountsReadAsThemselves(t *testing.T) {
	minors := []int64{1, 5, 10, 99, 100, 123, 1000, 1050, 1250, 1500, 12345, 100000, 123400, 123456, 1234000, 1234567, 100000000,
		123456789, 99999999999, money.MaxMinor}
	for _, l := range Languages() {
		for locale := range formats(l.Tag) {
			p := For(locale)
			for _, code := range currency.GetCurrencyCodes() {
				c := money.Currency(code)
				for _, minor := range minors {
					a := money.Of(minor, c)
					if got, err := ReadAmount(p.Typed(a), c); err != nil || got != a {
						t.Fatalf("%s: %q reads as %v, %v", locale, p.Typed(a), got, err)
					}
					got, err := ReadAmount(p.Amount(a), c)
					if errors.Is(err, ErrAmbiguous) && c.Exponent() == 3 {
						continue
					}
					if err != nil || got != a {
						t.Fatalf("%s: %q of %v reads as %v, %v", locale, p.Amount(a), a, got, err)
					}
				}
				if got, err := ReadAmount(p.Example(c), c); err != nil || got.Minor == 0 {
					t.Fatalf("%s: the example %q reads as %v, %v", locale, p.Example(c), got, err)
				}
			}
		}
	}
}

// FuzzReadAmount: a spelling is read as at most one sum, whatever is around it: the sum that a
// plain decimal number of the same digits means.
func FuzzReadAmount(f *testing.F) {
	for _, s := range []string{"1.234,56", "1,234.56", "1’234.50", "€12.50", "12,50 €", "12.", ".50", "1500円", "١٢،٥٠",
		"1,23,456.00", "1.500", "12,-", "1 234,5", "$1", "\u200f12.50\u00a0€", "1.234.567", "0,000", "٫"} {
		f.Add(s, "EUR")
		f.Add(s, "KWD")
		f.Add(s, "JPY")
	}
	f.Fuzz(func(t *testing.T, s, code string) {
		c, err := money.ParseCurrency(code)
		if err != nil {
			return
		}
		a, err := ReadAmount(s, c)
		if err != nil {
			if a != (money.Amount{}) || For("de").AmountFault(err) == "" {
				t.Fatalf("%q: %v with %v", s, a, err)
			}
			return
		}
		if a.Minor < 0 || a.Minor > money.MaxMinor || a.Currency != c {
			t.Fatalf("%q is %v", s, a)
		}
		// The digits that were typed are the digits of the result.
		keep := func(s string) string {
			return strings.Map(func(r rune) rune {
				if r < '0' || r > '9' {
					return -1
				}
				return r
			}, s)
		}
		typed, read := strings.TrimLeft(keep(plainSigns(s)), "0"), strings.TrimLeft(keep(a.Decimal()), "0")
		if strings.TrimRight(typed, "0") != strings.TrimRight(read, "0") {
			t.Fatalf("%q reads as %v", s, a)
		}
		if plain, err := money.Parse(s, c); err == nil && plain != a {
			t.Fatalf("%q is %v, and %v as plain decimal", s, a, plain)
		}
	})
}
