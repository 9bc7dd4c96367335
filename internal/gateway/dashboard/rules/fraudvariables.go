package rules

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/paylink/paylink/internal/fraud/rule"
)

// variables are what conditions may name, of one kind.
type variables struct {
	Title string
	Names []variable
}

// variable is one, or one for each of several windows of time.
type variable struct {
	Name    string
	Windows []string // further endings in place of the first
	Type    string
	Says    string
}

// kinds of variables, in the order in which they are shown.
var variableKinds = []struct{ entity, words string }{{"", "fraud.of.attempt"}, {"card", "fraud.of.card"}, {"address", "fraud.of.address"}, {"email", "fraud.of.email"},
	{"link", "fraud.of.link"}, {"account", "fraud.of.account"}, {"bin", "fraud.of.bin"}}

// variableWords say what a variable is: those of the attempt by their name, those that
// count by what they count.
var variableWords = map[string]string{
	"amount": "fraud.var.amount", "amount_minor": "fraud.var.amountMinor", "currency": "fraud.var.currency", "card.fingerprint": "fraud.var.fingerprint", "card.bin": "fraud.var.bin",
	"card.brand": "fraud.var.brand", "payer.email": "fraud.var.email", "payer.email_domain": "fraud.var.domain", "payer.address": "fraud.var.address", "payer.country": "fraud.var.country",
	"link.id": "fraud.var.link", "score": "fraud.var.score", "scored": "fraud.var.scored", "hour": "fraud.var.hour", "weekend": "fraud.var.weekend", "night": "fraud.var.night",

	"attempted": "fraud.var.attempted", "authorised": "fraud.var.authorised", "declined": "fraud.var.declined", "disputed": "fraud.var.disputed", "mean": "fraud.var.mean",
	"dispute_rate": "fraud.var.disputeRate", "age_days": "fraud.var.age", "hours_since": "fraud.var.since", "amount_ratio": "fraud.var.ratio", "amount_deviation": "fraud.var.deviation",
	"amount_peak": "fraud.var.peak", "unrest": "fraud.var.unrest", "recent_disputes": "fraud.var.recent", "cards": "fraud.var.cards",
}

// windowed takes a variable's window off its end.
var windowed = regexp.MustCompile(`^(.+)_(1h|1d|7d|30d)$`)

// variables are what a condition may name, with what each means. Those that differ
// in their window alone are one line.
func (v *visit) variables() []variables {
	out := make([]variables, len(variableKinds))
	for i, k := range variableKinds {
		out[i].Title = v.Print.T(k.words)
	}
	for _, r := range rule.Variables() {
		entity, what, found := strings.Cut(r.Name, ".")
		at, window := 0, ""
		if m := windowed.FindStringSubmatch(what); m != nil {
			what, window = m[1], m[2]
		}
		words, alone := variableWords[r.Name]
		for i, k := range variableKinds {
			if found && !alone && k.entity == entity {
				at = i
				words = variableWords[what]
			}
		}
		group := &out[at]
		if n := len(group.Names); window != "" && n > 0 && strings.HasPrefix(group.Names[n-1].Name, entity+"."+what+"_") {
			group.Names[n-1].Windows = append(group.Names[n-1].Windows, "_"+window)
			continue
		}
		line := variable{Name: r.Name, Type: string(r.Type)}
		if words != "" {
			line.Says = v.Print.T(words)
		}
		group.Names = append(group.Names, line)
	}
	return out
}

// example is a condition with what it is for.
type example struct{ Says, When string }

// examples are conditions to begin with.
func (v *visit) examples() []example {
	p := v.Print
	return []example{
		{p.T("fraud.example.testing"), `link.declined_1h >= 10 && link.cards_1d >= 5`},
		{p.T("fraud.example.address"), `address.cards_1d >= 4`},
		{p.T("fraud.example.amount"), `amount > 500 && card.age_days < 0`},
		{p.T("fraud.example.domain"), `payer.email_domain in ["mailinator.com", "example.org"]`},
	}
}

// place is where a condition is wrong, as the Rulebook says it.
var place = regexp.MustCompile(`[Ll]ine (\d+), column (\d+)`)

// placeOf shows the line of a condition that a message names, with a mark under the
// place; "" when it names none.
func placeOf(when, message string) string {
	m := place.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	line, errLine := strconv.Atoi(m[1])
	column, errColumn := strconv.Atoi(m[2])
	lines := strings.Split(strings.ReplaceAll(when, "\r\n", "\n"), "\n")
	if errLine != nil || errColumn != nil || line < 1 || line > len(lines) || column < 1 || column > len([]rune(lines[line-1]))+1 {
		return ""
	}
	return lines[line-1] + "\n" + strings.Repeat(" ", column-1) + "^"
}
