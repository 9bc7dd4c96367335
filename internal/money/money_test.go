package money_test

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/paylink/paylink/internal/money"
)

func TestParse(t *testing.T) {
	cases := []struct {
		text     string
		currency money.Currency
		minor    int64
		err      error
		decimal  string // "": as text
	}{
		{"0", "JPY", 0, nil, ""},
		{"1200", "JPY", 1200, nil, ""},
		{"12.5", "JPY", 0, money.ErrPrecision, ""},
		{"12.0", "JPY", 0, money.ErrPrecision, ""},
		{"999999999999", "JPY", money.MaxMinor, nil, ""},
		{"1000000000000", "JPY", 0, money.ErrOverflow, ""},
		{"0", "EUR", 0, nil, "0.00"},
		{"0.01", "EUR", 1, nil, ""},
		{"0.1", "EUR", 10, nil, "0.10"},
		{"12.50", "EUR", 1250, nil, ""},
		{"1200", "EUR", 120000, nil, "1200.00"},
		{"12.505", "EUR", 0, money.ErrPrecision, ""},
		{"9999999999.99", "EUR", money.MaxMinor, nil, ""},
		{"10000000000.00", "EUR", 0, money.ErrOverflow, ""},
		{"0.005", "KWD", 5, nil, ""},
		{"12.5", "KWD", 12500, nil, "12.500"},
		{"0.0005", "KWD", 0, money.ErrPrecision, ""},
		{"999999999.999", "KWD", money.MaxMinor, nil, ""},
		{"1000000000", "KWD", 0, money.ErrOverflow, ""},
		{"99999999999999999999999999", "EUR", 0, money.ErrOverflow, ""},
	}
	for _, c := range cases {
		got, err := money.Parse(c.text, c.currency)
		if !errors.Is(err, c.err) || (c.err == nil) != (err == nil) {
			t.Errorf("%s %s: %v, want %v", c.currency, c.text, err, c.err)
			continue
		}
		if err != nil {
			if got != (money.Amount{}) {
				t.Errorf("%s %s: an amount beside an error: %v", c.currency, c.text, got)
			}
			continue
		}
		if c.decimal == "" {
			c.decimal = c.text
		}
		if got != money.Of(c.minor, c.currency) || got.Decimal() != c.decimal || got.String() != string(c.currency)+" "+c.decimal {
			t.Errorf("%s %s is %d, %s", c.currency, c.text, got.Minor, got.Decimal())
		}
	}
}

func TestParseRefusesOtherSpellings(t *testing.T) {
	for _, text := range []string{"", ".", ".5", "5.", "-1", "+1", " 1", "1 ", "1,5", "1e3", "0x1", "01", "00", "00.5", "1.2.3",
		"1_000", "NaN", "Inf", "١", "1\x00", "--"} {
		if got, err := money.Parse(text, "EUR"); !errors.Is(err, money.ErrSyntax) {
			t.Errorf("%q: %v %v", text, got, err)
		}
	}
}

func TestCurrency(t *testing.T) {
	for code, exponent := range map[string]int{"JPY": 0, "KRW": 0, "EUR": 2, "USD": 2, "HUF": 2, "KWD": 3, "BHD": 3} {
		c, err := money.ParseCurrency(code)
		if err != nil || c.Exponent() != exponent {
			t.Errorf("%s: %v, %d decimals, want %d", code, err, c.Exponent(), exponent)
		}
	}
	for _, bad := range []string{"", "EU", "EURO", "eur", "Eur", "XXQ", "123", "€", "EU\x00"} {
		if c, err := money.ParseCurrency(bad); !errors.Is(err, money.ErrCurrency) || c != "" {
			t.Errorf("%q: %q %v", bad, c, err)
		}
	}
}

func TestArithmeticBounds(t *testing.T) {
	eur := func(n int64) money.Amount { return money.Of(n, "EUR") }
	cases := []struct {
		name string
		f    func(a, b money.Amount) (money.Amount, error)
		a, b money.Amount
		want int64
		err  error
	}{
		{"add", money.Amount.Add, eur(1), eur(2), 3, nil},
		{"add to the top", money.Amount.Add, eur(math.MaxInt64 - 1), eur(1), math.MaxInt64, nil},
		{"add over the top", money.Amount.Add, eur(math.MaxInt64), eur(1), 0, money.ErrOverflow},
		{"add under the bottom", money.Amount.Add, eur(math.MinInt64), eur(-1), 0, money.ErrOverflow},
		{"sub to the bottom", money.Amount.Sub, eur(-1), eur(math.MaxInt64), math.MinInt64, nil},
		{"sub under the bottom", money.Amount.Sub, eur(-2), eur(math.MaxInt64), 0, money.ErrOverflow},
		{"sub of the bottom", money.Amount.Sub, eur(-1), eur(math.MinInt64), 0, money.ErrOverflow},
		{"mixed", money.Amount.Add, eur(1), money.Of(1, "USD"), 0, money.ErrMixed},
		{"mixed with none", money.Amount.Sub, eur(1), money.Amount{}, 0, money.ErrMixed},
	}
	for _, c := range cases {
		got, err := c.f(c.a, c.b)
		if !errors.Is(err, c.err) || err == nil && got != eur(c.want) || err != nil && got != (money.Amount{}) {
			t.Errorf("%s: %v %v", c.name, got, err)
		}
	}
}

func TestNegativeDecimals(t *testing.T) {
	for want, a := range map[string]money.Amount{"-0.05": money.Of(-5, "EUR"), "-1": money.Of(-1, "JPY"), "-1.234": money.Of(-1234, "KWD"),
		"-92233720368547758.08": money.Of(math.MinInt64, "EUR"), "92233720368547758.07": money.Of(math.MaxInt64, "EUR")} {
		if a.Decimal() != want {
			t.Errorf("%d %s is %s, want %s", a.Minor, a.Currency, a.Decimal(), want)
		}
	}
}

func TestJSONAndLocalized(t *testing.T) {
	raw, err := json.Marshal(money.Of(1250, "EUR"))
	if err != nil || string(raw) != `{"minor":1250,"currency":"EUR"}` {
		t.Errorf("%s %v", raw, err)
	}
	for locale, want := range map[string]string{"en": "€1,250.50", "de": "1.250,50\u00a0€"} {
		if got := money.Of(125050, "EUR").Localized(locale); got != want {
			t.Errorf("%s: %q, want %q", locale, got, want)
		}
	}
	if got := money.Of(1200, "JPY").Localized("en"); got != "¥1,200" {
		t.Errorf("%q", got)
	}
}

var currencies = rapid.SampledFrom([]money.Currency{"JPY", "EUR", "KWD"})

// TestI13SumsAreExact: sums are exact or refused; they are checked against big integers.
func TestI13SumsAreExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := currencies.Draw(t, "currency")
		a, b := money.Of(rapid.Int64().Draw(t, "a"), c), money.Of(rapid.Int64().Draw(t, "b"), c)
		exact := func(name string, got money.Amount, err error, want *big.Int) {
			switch {
			case want.IsInt64() && err == nil && (got.Minor != want.Int64() || got.Currency != c):
				t.Fatalf("%s is %v, want %v", name, got, want)
			case !want.IsInt64() && !errors.Is(err, money.ErrOverflow):
				t.Fatalf("%s overflows unseen: %v %v", name, got, err)
			case err != nil && got != (money.Amount{}):
				t.Fatalf("%s: %v beside %v", name, got, err)
			case want.IsInt64() && err != nil && b.Minor != math.MinInt64:
				t.Fatalf("%s was refused: %v", name, err)
			}
		}
		x, y := big.NewInt(a.Minor), big.NewInt(b.Minor)
		sum, err := a.Add(b)
		exact("sum", sum, err, new(big.Int).Add(x, y))
		if err == nil {
			if swapped, err := b.Add(a); err != nil || swapped != sum {
				t.Fatalf("%v %v", swapped, err)
			}
		}
		difference, err := a.Sub(b)
		exact("difference", difference, err, new(big.Int).Sub(x, y))
		if err == nil {
			if back, err := difference.Add(b); err != nil || back != a {
				t.Fatalf("a-b+b is %v (%v), want %v", back, err, a)
			}
		}
	})
}

// TestI13DecimalRoundTrip: Decimal and Parse are each other's inverse over all amounts that may
// be parsed.
func TestI13DecimalRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := money.Of(rapid.Int64Range(0, money.MaxMinor).Draw(t, "minor"), currencies.Draw(t, "currency"))
		back, err := money.Parse(a.Decimal(), a.Currency)
		if err != nil || back != a {
			t.Fatalf("%v became %v (%v)", a, back, err)
		}
	})
}

// FuzzParse: an accepted text is exactly the number that it says.
func FuzzParse(f *testing.F) {
	f.Add("12.50", uint8(1))
	f.Fuzz(func(t *testing.T, text string, pick uint8) {
		c := []money.Currency{"JPY", "EUR", "KWD"}[pick%3]
		a, err := money.Parse(text, c)
		if err != nil {
			if a != (money.Amount{}) {
				t.Fatalf("%q: %v beside %v", text, a, err)
			}
			return
		}
		said, ok := new(big.Rat).SetString(text)
		if !ok || strings.ContainsAny(text, "+-eE/_xX ") {
			t.Fatalf("%q was accepted as %v", text, a)
		}
		scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(c.Exponent())), nil)
		if said.Mul(said, new(big.Rat).SetInt(scale)).Cmp(new(big.Rat).SetInt64(a.Minor)) != 0 || a.Minor < 0 || a.Minor > money.MaxMinor {
			t.Fatalf("%q is %v", text, a)
		}
		if back, err := money.Parse(a.Decimal(), c); err != nil || back != a {
			t.Fatalf("%q: %v does not come back: %v %v", text, a, back, err)
		}
	})
}
