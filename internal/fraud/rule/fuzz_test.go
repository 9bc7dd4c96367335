package rule_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fraud/rule"
)

// FuzzRule checks that for any text the compiler returns an error with its position, or a program
// with bounded cost, and that neither panics.
func FuzzRule(f *testing.F) {
	for _, when := range []string{
		"card.declined_1h >= 3", "amount > 500 && payer.country in ['DE', 'AT']", `payer.email.matches("^[a-z]+@")`, "[1,2,3].exists(x, x > score)",
		"[[1,2],[3]].all(l, l.all(x, x < 9223372036854775807))", "{'a': 1}['a'] == 1", "1 / (amount_minor - amount_minor) > 0",
		"((((((((((true))))))))))",
		"'a' + 'b' == \"ab\"", "b'a' == bytes('a')", "timestamp('2020-01-01T00:00:00Z') < timestamp('2030-01-01T00:00:00Z')", "has(card.bin)",
		"dyn(1) == 'x'",
		"true ? false : true", "size(payer.email) > 3u", "-9223372036854775808 < amount", "payer.email", "amount >", "\x00", "\xff",
		"a.b.c.d", "//", "'\\", "[",
		"[0,1,2,3,4,5,6,7,8,9].map(x, [x,x].map(y, y*y)).size() > 1", "type(1) == int",
	} {
		f.Add(when, "eve@mail.example")
	}
	f.Fuzz(func(t *testing.T, when, email string) {
		p, err := rule.Compile(when)
		var wrong *rule.Error
		switch {
		case errors.As(err, &wrong):
			if wrong.Line < 1 || wrong.Column < 1 || wrong.Text == "" || strings.ContainsAny(wrong.Text, "\n") {
				t.Fatalf("%q: %+v", when, wrong)
			}
			return
		case err != nil:
			t.Fatalf("%q: %v", when, err)
		case p.WorstCost() > rule.MaxCost:
			t.Fatalf("%q costs %d", when, p.WorstCost())
		}
		v := attempt()
		v.Email = email
		if _, err := p.Eval(v); errors.Is(err, rule.ErrCost) {
			t.Fatalf("%q was estimated at %d and cost more than %d", when, p.WorstCost(), rule.MaxCost)
		}
		for _, value := range p.Values(v) {
			if value.Name == "" || len(value.Text) > 400 {
				t.Fatalf("%q saw %+v", when, value)
			}
		}
	})
}
