package issuer_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
)

const number, code, holder = "4000000000009995", "7391", "Grace Hopper"

var now = time.Date(2026, 6, 30, 12, 0, 0, 0, time.UTC)

func newCard(t testing.TB) issuer.Card {
	t.Helper()
	c, err := issuer.NewCard(number, 11, 2031, code, holder, now)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// reveal returns the digits of a card as text.
func reveal(t testing.TB, c issuer.Card) (number, cvc string) {
	t.Helper()
	if err := c.Reveal(func(s issuer.Secret) error {
		number, cvc = string(s.Number), string(s.CVC)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return number, cvc
}

// TestI15CardNeverLeaves prints, logs and encodes a card in every way that a mistake might,
// alone and inside other values.
func TestI15CardNeverLeaves(t *testing.T) {
	c := newCard(t)
	within := struct {
		Card   issuer.Card
		Any    any
		hidden issuer.Card
	}{c, c, c}
	values := map[string]any{"value": c, "pointer": &c, "struct": within, "struct pointer": &within, "slice": []issuer.Card{c},
		"map": map[string]issuer.Card{"card": c}, "authorization": issuer.Authorization{Reference: "r", Card: c}}
	for name, v := range values {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%08b", "%20.3s", "%U", "%t"} {
			check(t, name+" "+verb, fmt.Sprintf(verb, v))
		}
		check(t, name+" Print", fmt.Sprint(v))
		check(t, name+" error", fmt.Errorf("card %v", v).Error())
		var out bytes.Buffer
		raw, err := json.Marshal(v)
		check(t, name+" json", string(raw)+fmt.Sprint(err))
		raw, err = xml.Marshal(v)
		check(t, name+" xml", string(raw)+fmt.Sprint(err))
		err = gob.NewEncoder(&out).Encode(v)
		check(t, name+" gob", out.String()+fmt.Sprint(err))
		out.Reset()
		slog.New(slog.NewTextHandler(&out, nil)).Info("paying", "card", v, slog.Group("g", "card", v))
		slog.New(slog.NewJSONHandler(&out, nil)).Info("paying", "card", v, slog.Group("g", "card", v))
		log.New(&out, "", 0).Println(v)
		check(t, name+" logs", out.String())
	}
	for _, encode := range []func() ([]byte, error){c.MarshalText, c.MarshalJSON, c.GobEncode} {
		if b, err := encode(); err == nil || len(b) > 0 {
			t.Errorf("a card was encoded as %q", b)
		}
	}
	if _, err := json.Marshal(c); err == nil {
		t.Error("a card was marshalled")
	}
	for _, s := range []string{c.String(), c.GoString(), c.LogValue().String(), fmt.Sprintf("%v %+v %#v %s %q", c, c, c, c, c)} {
		if strings.ReplaceAll(strings.ReplaceAll(s, "[card]", ""), " ", "") != "" {
			t.Errorf("a card prints as %q", s)
		}
	}
}

func check(t *testing.T, what, out string) {
	t.Helper()
	for _, secret := range []string{number, code, holder, fmt.Sprintf("%x", number), fmt.Sprintf("%X", number), number[:6]} {
		if strings.Contains(out, secret) {
			t.Errorf("%s gives away %q in %q", what, secret, out)
		}
	}
}

func TestCardCannotBeDecoded(t *testing.T) {
	var c issuer.Card
	err := json.Unmarshal([]byte(`{"secret":{"number":"4242424242424242"}}`), &c) //nolint:staticcheck // nothing must be decoded
	if err == nil && !c.Empty() {
		t.Error("a card came out of JSON")
	}
	if c.Reveal(func(issuer.Secret) error { return nil }) == nil || c.Last4() != "" || c.Brand() != "" || !c.Empty() {
		t.Error("an empty card has something in it")
	}
}

func TestNewCard(t *testing.T) {
	const good = "4242424242424242"
	cases := []struct {
		name, number string
		month, year  int
		cvc, holder  string
		code, param  string // of the fault; empty: accepted
	}{
		{"plain", good, 12, 2030, "123", "", "", ""},
		{"spaces and dashes", "4242 4242-4242 4242", 12, 2030, "123", "", "", ""},
		{"two-digit year", good, 12, 30, "1234", "A", "", ""},
		{"12 digits", "400000000004"[:11] + luhnDigit("40000000000"), 1, 2030, "123", "", "", ""},
		{"19 digits", "400000000000000000" + luhnDigit("400000000000000000"), 1, 2030, "123", "", "", ""},
		{"11 digits", "4000000000" + luhnDigit("4000000000"), 1, 2030, "123", "", "card_number_invalid", "card.number"},
		{"20 digits", "4000000000000000000" + luhnDigit("4000000000000000000"), 1, 2030, "123", "", "card_number_invalid", "card.number"},
		{"empty", "", 1, 2030, "123", "", "card_number_invalid", "card.number"},
		{"check digit", "4242424242424241", 1, 2030, "123", "", "card_number_invalid", "card.number"},
		{"swapped digits", "2442424242424242", 1, 2030, "123", "", "card_number_invalid", "card.number"},
		{"letters", "424242424242424O", 1, 2030, "123", "", "card_number_invalid", "card.number"},
		{"other digits", "٤242424242424242", 1, 2030, "123", "", "card_number_invalid", "card.number"},
		{"month 0", good, 0, 2030, "123", "", "card_expiry_invalid", "card.expMonth"},
		{"month 13", good, 13, 2030, "123", "", "card_expiry_invalid", "card.expMonth"},
		{"year 1999", good, 1, 1999, "123", "", "card_expiry_invalid", "card.expYear"},
		{"year -1", good, 1, -1, "123", "", "card_expiry_invalid", "card.expYear"},
		{"50 years ahead", good, 1, 2076, "123", "", "", ""},
		{"51 years ahead", good, 1, 2077, "123", "", "card_expiry_invalid", "card.expYear"},
		{"this month", good, 6, 2026, "123", "", "", ""},
		{"last month", good, 5, 2026, "123", "", "card_expired", "card.expYear"},
		{"short code", good, 1, 2030, "12", "", "card_cvc_invalid", "card.cvc"},
		{"long code", good, 1, 2030, "12345", "", "card_cvc_invalid", "card.cvc"},
		{"letters in the code", good, 1, 2030, "12a", "", "card_cvc_invalid", "card.cvc"},
		{"long name", good, 1, 2030, "123", strings.Repeat("n", 101), "too_long", "card.name"},
		{"name at the bound", good, 1, 2030, "123", strings.Repeat("n", 100), "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			card, err := issuer.NewCard(c.number, c.month, c.year, c.cvc, c.holder, now)
			if c.code == "" {
				if err != nil || card.Empty() {
					t.Fatal(err)
				}
				return
			}
			f := fault.From(err)
			if f.Kind != fault.KindInvalid || f.Code != c.code || f.Param != c.param || f.Detail == "" || !card.Empty() {
				t.Fatalf("%v", err)
			}
			if c.number != "" && strings.Contains(err.Error(), c.number) {
				t.Fatalf("the error repeats the number: %v", err)
			}
		})
	}
}

func TestCardExpiresWhereTheMonthEndsLast(t *testing.T) {
	end := time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)
	if _, err := issuer.NewCard(number, 6, 2026, code, "", end.Add(-time.Second)); err != nil {
		t.Error(err)
	}
	if _, err := issuer.NewCard(number, 6, 2026, code, "", end); fault.Code(err) != "card_expired" {
		t.Error(err)
	}
	if _, err := issuer.NewCard(number, 12, 2026, code, "", time.Date(2026, 12, 31, 23, 0, 0, 0, time.UTC)); err != nil {
		t.Error(err)
	}
}

func TestBrand(t *testing.T) {
	for prefix, brand := range map[string]string{"4": "visa", "51": "mastercard", "55": "mastercard", "2221": "mastercard",
		"2720": "mastercard",
		"2220": "card", "2721": "card", "34": "amex", "37": "amex", "6011": "discover", "65": "discover", "35": "jcb", "62": "unionpay",
		"36": "diners", "30": "diners", "9": "card"} {
		body := prefix + strings.Repeat("1", 15-len(prefix))
		c, err := issuer.NewCard(body+luhnDigit(body), 1, 2030, "123", "", now)
		if err != nil || c.Brand() != brand || c.Last4() != (body + luhnDigit(body))[12:] {
			t.Errorf("%s: %s %s %v", prefix, c.Brand(), c.Last4(), err)
		}
	}
}

// luhnDigit is independent of the code under test: by ISO/IEC 7812-1 annex B, from the right,
// beginning with a doubled digit.
func luhnDigit(body string) string {
	doubled := [10]int{0, 2, 4, 6, 8, 1, 3, 5, 7, 9}
	sum, double := 0, true
	for i := len(body) - 1; i >= 0; i-- {
		d := int(body[i] - '0')
		if double {
			d = doubled[d]
		}
		sum += d
		double = !double
	}
	return string(rune('0' + (10-sum%10)%10))
}

// FuzzNewCard: no input makes it panic; what is accepted obeys the rules, and is
// never printed.
func FuzzNewCard(f *testing.F) {
	f.Add("4242 4242 4242 4242", 12, 2030, "123", "Ada")
	f.Add("4000-0000-0000-0002", 1, 26, "1234", "")
	f.Add("", 0, 0, "", "")
	f.Add("99999999999999999999", 13, -1, "abc", strings.Repeat("x", 200))
	f.Fuzz(func(t *testing.T, number string, month, year int, cvc, name string) {
		c, err := issuer.NewCard(number, month, year, cvc, name, now)
		if err != nil {
			if fault.KindOf(err) != fault.KindInvalid || !c.Empty() {
				t.Fatalf("%v", err)
			}
			return
		}
		n, v := reveal(t, c)
		if len(n) < 12 || len(n) > 19 || luhnDigit(n[:len(n)-1]) != n[len(n)-1:] || v != cvc {
			t.Fatalf("accepted %q %q", n, v)
		}
		if c.Last4() != n[len(n)-4:] || c.Brand() == "" || fmt.Sprintf("%v%+v%#v%s", c, c, c, c) != "[card][card][card][card]" {
			t.Fatal("printed")
		}
	})
}

func TestOutcomeNames(t *testing.T) {
	seen := map[string]bool{}
	for o := issuer.Ambiguous; o <= issuer.Pending; o++ {
		if n := o.String(); n == "" || seen[n] {
			t.Errorf("outcome %d is %q", o, n)
		} else {
			seen[n] = true
		}
	}
}
