package rule_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fraud/rule"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/money"
)

// attempt has a value for every variable.
func attempt() *rule.Vars {
	var f score.Vector
	set := map[string]float32{"hour": 3, "night": 1, "card.declined.1h": 4, "card.attempted.1h": 5, "card.age_days": -1, "address.cards.1d": 9,
		"account.mean.30d": 2050, "card.mean.1h": -1, "account.amount_ratio": 6.125, "account.attempted.30d": 60}
	for i, name := range score.Names {
		f[i] = set[name]
	}
	return &rule.Vars{
		Amount:      money.Of(1999, "EUR"),
		Fingerprint: "card_424242_4242_3",
		BIN:         "424242",
		Brand:       "visa",
		Email:       "eve@mail.example",
		Address:     "203.0.113.0/24",
		Country:     "DE",
		Link:        "lnk_1",
		Features:    &f,
		Score:       81,
		Scored:      true,
	}
}

func TestConditions(t *testing.T) {
	for when, want := range map[string]bool{
		`card.declined_1h >= 4`:                                       true,
		`card.declined_1h > 4`:                                        false,
		`amount == 19.99`:                                             true, // a decimal is the very amount
		`amount > 19 && amount < 20`:                                  true, // integers compare with decimals
		`amount_minor == 1999`:                                        true,
		`currency == "EUR" && card.bin == "424242"`:                   true,
		`card.fingerprint.startsWith("card_424242_4242")`:             true,
		`payer.email_domain == "mail.example"`:                        true,
		`payer.email.endsWith("@mail.example")`:                       true,
		`payer.country in ["DE", "AT"]`:                               true,
		`!(payer.country in ["DE", "AT"])`:                            false,
		`payer.address == "203.0.113.0/24"`:                           true,
		`["@mail.", "@post."].exists(x, payer.email.contains(x))`:     true,
		`payer.email.matches("^[a-z]+@mail\\.example$")`:              true,
		`night && hour < 6 && !weekend`:                               true,
		`account.mean_30d == 20.5`:                                    true,
		`card.mean_1h == -1.0`:                                        true,
		`account.amount_ratio > 6.1`:                                  true,
		`scored && score >= 80`:                                       true,
		`card.age_days < 0 && account.attempted_30d > 50`:             true,
		`address.cards_1d >= 8 ? amount > 10 : amount > 100`:          true,
		`card.brand == "visa" || link.id == "lnk_2"`:                  true,
		"card.declined_1h >= 4 // four declines\n&& amount_minor > 1": true,
	} {
		p, err := rule.Compile(when)
		if err != nil {
			t.Errorf("%s: %v", when, err)
			continue
		}
		if got, err := p.Eval(attempt()); err != nil || got != want {
			t.Errorf("%s is %v, %v", when, got, err)
		}
	}
}

// TestADomainInAnySpelling checks that a domain in its own script, composed or not, in any case,
// equals that of the payer's address.
func TestADomainInAnySpelling(t *testing.T) {
	for when, want := range map[string]bool{
		`payer.email_domain == "bücher.example"`:                                            true,
		`"Bücher.Example" == payer.email_domain`:                                            true,
		"payer.email_domain == 'bu\u0308cher.example'":                                      true,
		`payer.email_domain == "xn--bcher-kva.example"`:                                     true,
		`payer.email_domain != "bücher.example"`:                                            false,
		`payer.email_domain in ["straße.example", "BÜCHER.example"]`:                        true,
		`payer.email_domain in ["straße.example"]`:                                          false,
		`payer.email_domain.endsWith("cher-kva.example")`:                                   true,
		`("shop." + payer.email_domain).size() > 0 && payer.email_domain.contains("büche")`: false,
		`["straße.example", "bücher.example"].exists(d, payer.email_domain.endsWith(d))`:    true,
		`["straße.example", "bücher.example"].all(d, payer.email_domain != d)`:              false,
		`payer.email == "Jürgen@Bücher.example"`:                                            true,
		`payer.email == "jürgen@xn--bcher-kva.example"`:                                     true,
		`payer.email in ["eve@mail.example", "jürgen@bücher.example"]`:                      true,
		`payer.email.endsWith("@bücher.example")`:                                           true,
		`payer.email.startsWith("jürgen@")`:                                                 true,
		`payer.email.contains("jürgen")`:                                                    true,
		`payer.email.matches("@bücher[.]example$")`:                                         false,
		`payer.country == "bücher.example"`:                                                 false,
	} {
		p, err := rule.Compile(when)
		if err != nil {
			t.Errorf("%s: %v", when, err)
			continue
		}
		v := attempt()
		v.Email = "jürgen@xn--bcher-kva.example"
		if got, err := p.Eval(v); err != nil || got != want {
			t.Errorf("%s is %v, %v", when, got, err)
		}
		v.Email = "eve@shop.xn--bcher-kva.example"
		if p, err = rule.Compile(`payer.email_domain.endsWith(".bücher.example") && payer.email.endsWith(".bücher.example")`); err != nil {
			t.Fatal(err)
		}
		if got, err := p.Eval(v); err != nil || !got {
			t.Errorf("a domain below it: %v, %v", got, err)
		}
	}
}

// TestWrongConditions checks that a merchant gets the position and the reason.
func TestWrongConditions(t *testing.T) {
	long := strings.Repeat("payer.email.contains('a') || ", 60) + "true"
	for _, c := range []struct {
		when         string
		line, column int
		says         string
	}{
		{"", 1, 1, "A rule requires a condition"},
		{"card.declinde_1h > 3", 1, 5, "There is no card.declinde_1h. Did you mean card.declined_1h?"},
		{"amount > 'x'", 1, 8, "> cannot be used between a number and a text."},
		{"amount", 1, 1, "must be true or false, and this one is a number"},
		{"amount >", 1, 9, "is incomplete"},
		{"amount > 3 &&\n  payer.email == 3", 2, 15, "== cannot be used between a text and a whole number."},
		{"amount > 3 && payer.email", 1, 20, "Expected a condition here, but this is a text."},
		{"'a' in payer.email", 1, 5, "in checks whether a list contains a value"},
		{"payer.email.foo()", 1, 16, "There is no foo."},
		{"card > 3", 1, 1, "There is no card."},
		{"amount > 3)", 1, 11, `")" is not expected here.`},
		{"amount > §", 1, 10, `"§" is not expected here.`},
		{"payer.email.matches('(')", 1, 21, "pattern"},
		{"payer.email.matches(currency)", 1, 20, "must be a literal in quotes"},
		{"dyn(amount) == 'x'", 1, 4, "dyn() is not allowed"},
		{long + " && amount > 3.0 && " + long, 1, 1, "at most 2000 characters"},
		{strings.Repeat("(", 200) + "true" + strings.Repeat(")", 200), 1, 0, "nested too deeply"},
		{"card.mean_1h == -1", 1, 14, "write the whole number with a decimal point"},
		{"[1,2,3,4,5,6,7,8,9,10].all(a, [1,2,3,4,5,6,7,8,9,10].all(b, [1,2,3,4].all(c, a + b + c > 0)))", 1, 0, "nested too deeply"},
		{"[" + strings.Repeat("1,", 300) + "1].all(a, [" + strings.Repeat("1,", 300) + "1].all(b, a == b))", 1, 1, "in the worst case"},
		{"\xff", 1, 1, "UTF-8"},
	} {
		_, err := rule.Compile(c.when)
		var wrong *rule.Error
		if !errors.As(err, &wrong) {
			t.Errorf("%.60q: %v", c.when, err)
			continue
		}
		if wrong.Line != c.line || (c.column > 0 && wrong.Column != c.column) || !strings.Contains(wrong.Text, c.says) ||
			strings.Contains(wrong.Text, "\n") {
			t.Errorf("%.60q: line %d, column %d: %s", c.when, wrong.Line, wrong.Column, wrong.Text)
		}
	}
}

func TestValuesThatADecisionKeeps(t *testing.T) {
	p, err := rule.Compile(
		`card.declined_1h >= 3 && (amount > 10 || payer.country == "DE") && account.amount_ratio > 2 && night && card.declined_1h < 9 && account.mean_30d > 1 && score > 1 && scored && amount_minor > 1`,
	)
	if err != nil {
		t.Fatal(err)
	}
	want := []rule.Value{
		{"card.declined_1h", "4"},
		{"amount", "19.99"},
		{"payer.country", "DE"},
		{"account.amount_ratio", "6.12"},
		{"night", "true"},
		{"account.mean_30d", "20.5"},
		{"score", "81"},
		{"scored", "true"},
		{"amount_minor", "1999"},
	}
	got := p.Values(attempt())
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("value %d is %v, want %v", i, got[i], want[i])
		}
	}
}

// TestAConditionThatFails checks that a failing condition does not hold, returns its reason, and
// stops nothing.
func TestAConditionThatFails(t *testing.T) {
	for _, when := range []string{"100 / (card.declined_1h - 4) > 1", "amount_minor * 9223372036854775807 > 1",
		"[1, 2][card.declined_1h] == 1"} {
		p, err := rule.Compile(when)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if ok, err := p.Eval(attempt()); ok || err == nil {
			t.Errorf("%s is %v, %v", when, ok, err)
		}
	}
}

// TestATextIsNeverLongerThanItsCost checks that a payer's input cannot make a rule more expensive
// than estimated.
func TestATextIsNeverLongerThanItsCost(t *testing.T) {
	p, err := rule.Compile(`payer.email.size() <= 256 && ["a","b","c"].all(x, !payer.email.matches("(a|b|c)+x$"))`)
	if err != nil {
		t.Fatal(err)
	}
	v := attempt()
	v.Email = strings.Repeat("é", 10_000)
	if ok, err := p.Eval(v); !ok || err != nil {
		t.Errorf("%v, %v", ok, err)
	}
}

func TestEveryVariableHasItsType(t *testing.T) {
	for _, v := range rule.Variables() {
		when := map[rule.Type]string{rule.Int: v.Name + " == " + v.Name, rule.Double: v.Name + " > -10.0", rule.String: v.Name + " != 'x'",
			rule.Bool: v.Name + " || true"}[v.Type]
		p, err := rule.Compile(when)
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if ok, err := p.Eval(attempt()); !ok || err != nil {
			t.Errorf("%s: %v, %v", when, ok, err)
		}
	}
	if n := len(rule.Variables()); n != 12+score.Width {
		t.Errorf("%d variables", n)
	}
}

func BenchmarkEval(b *testing.B) {
	for name, when := range map[string]string{
		"counts":  "card.declined_1h >= 3 && card.authorised_1h == 0 && amount > 10",
		"counted": `["a@x","b@y","c@z"].exists(x, payer.email.startsWith(x)) || payer.email.matches("^test[0-9]+@")`,
	} {
		b.Run(name, func(b *testing.B) {
			p, err := rule.Compile(when)
			if err != nil {
				b.Fatal(err)
			}
			v := attempt()
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Eval(v); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(p.WorstCost()), "cost")
		})
	}
}
