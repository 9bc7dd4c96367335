package rules

import (
	"regexp"
	"strconv"
	"strings"

	"github.com/paylink/paylink/internal/fraud/rule"
)

// variables are what conditions may name, about one entity.
type variables struct {
	Title string
	Names []variable
}

// variable is one variable, or one for each of several windows of time.
type variable struct {
	Name    string
	Windows []string // further endings in place of the first
	Type    string
	Says    string
}

// variableKinds are the entities of variables, in the order in which they are shown.
var variableKinds = []struct{ entity, words string }{
	{"", "fraud.of.attempt"},
	{"card", "fraud.of.card"},
	{"address", "fraud.of.address"},
	{"email", "fraud.of.email"},
	{"link", "fraud.of.link"},
	{"account", "fraud.of.account"},
	{"bin", "fraud.of.bin"},
}

// variableWords say what a variable means: those of the attempt by their whole name, the
// others by the part after the entity.
var variableWords = map[string]string{
	"amount": "fraud.var.amount", "amount_minor": "fraud.var.amountMinor", "currency": "fraud.var.currency",
	"card.fingerprint": "fraud.var.fingerprint", "card.bin": "fraud.var.bin",
	"card.brand": "fraud.var.brand", "payer.email": "fraud.var.email", "payer.email_domain": "fraud.var.domain",
	"payer.address": "fraud.var.address", "payer.country": "fraud.var.country",
	"link.id": "fraud.var.link", "score": "fraud.var.score", "scored": "fraud.var.scored", "hour": "fraud.var.hour",
	"weekend": "fraud.var.weekend", "night": "fraud.var.night",

	"attempted": "fraud.var.attempted", "authorised": "fraud.var.authorised", "declined": "fraud.var.declined",
	"disputed": "fraud.var.disputed", "mean": "fraud.var.mean",
	"dispute_rate": "fraud.var.disputeRate", "age_days": "fraud.var.age", "hours_since": "fraud.var.since",
	"amount_ratio": "fraud.var.ratio", "amount_deviation": "fraud.var.deviation",
	"amount_peak": "fraud.var.peak", "unrest": "fraud.var.unrest", "recent_disputes": "fraud.var.recent", "cards": "fraud.var.cards",
}

// windowed separates a variable's window from the end of its name.
var windowed = regexp.MustCompile(`^(.+)_(1h|1d|7d|30d)$`)

// variables returns what a condition may name, with its meaning. Variables that differ only
// in their window are one line. The names come from the compiler, so the list is complete.
func (v *visit) variables() []variables {
	out := make([]variables, len(variableKinds))
	for i, k := range variableKinds {
		out[i].Title = v.Print.T(k.words)
	}
	for _, r := range rule.Variables() {
		// Most names are an entity and a property, such as card.declined_1h.
		entity, what, found := strings.Cut(r.Name, ".")
		at, window := 0, ""
		if m := windowed.FindStringSubmatch(what); m != nil {
			what, window = m[1], m[2]
		}
		// A variable whose whole name has words belongs to the attempt, even if it looks
		// like one of an entity.
		words, alone := variableWords[r.Name]
		for i, k := range variableKinds {
			if found && !alone && k.entity == entity {
				at = i
				words = variableWords[what]
			}
		}
		group := &out[at]
		// The compiler lists the windows of a variable one after the other.
		if n := len(group.Names); window != "" && n > 0 && strings.HasPrefix(group.Names[n-1].Name, entity+"."+what+"_") {
			group.Names[n-1].Windows = append(group.Names[n-1].Windows, "_"+window)
			continue
		}
		// A variable without words is still shown, by its name and type.
		line := variable{Name: r.Name, Type: string(r.Type)}
		if words != "" {
			line.Says = v.Print.T(words)
		}
		group.Names = append(group.Names, line)
	}

	return out
}

// example is a condition, and what it is for.
type example struct{ Says, When string }

// examples returns conditions to begin with.
func (v *visit) examples() []example {
	p := v.Print
	return []example{
		{p.T("fraud.example.testing"), `link.declined_1h >= 10 && link.cards_1d >= 5`},
		{p.T("fraud.example.address"), `address.cards_1d >= 4`},
		{p.T("fraud.example.amount"), `amount > 500 && card.age_days < 0`},
		{p.T("fraud.example.domain"), `payer.email_domain in ["mailinator.com", "example.org"]`},
	}
}

// place finds where a condition is wrong in the compiler's message.
var place = regexp.MustCompile(`[Ll]ine (\d+), column (\d+)`)

// placeOf returns the line of a condition that a message names, with a mark under the
// place, or "" if it names none.
func placeOf(when, message string) string {
	m := place.FindStringSubmatch(message)
	if m == nil {
		return ""
	}
	line, errLine := strconv.Atoi(m[1])
	column, errColumn := strconv.Atoi(m[2])
	lines := strings.Split(strings.ReplaceAll(when, "\r\n", "\n"), "\n")
	// The text may have changed since the message was written. A wrong mark would be worse
	// than none.
	if errLine != nil || errColumn != nil || line < 1 || line > len(lines) || column < 1 || column > len([]rune(lines[line-1]))+1 {
		return ""
	}
	return lines[line-1] + "\n" + strings.Repeat(" ", column-1) + "^"
}
