package rule

import (
	"strconv"
	"strings"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"

	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/money"
)

// Type is a variable's type, as in the documents.
type Type string

// The types.
const (
	Int    Type = "int"
	Double Type = "double"
	String Type = "string"
	Bool   Type = "bool"
)

// Variable is a value that a condition may read. docs/fraud-rules.md explains each.
type Variable struct {
	Name string
	Type Type
	kind kind
	at   int // of a feature: its index in the vector
}

// celType returns the variable's type in CEL.
func (v *Variable) celType() *cel.Type {
	switch v.Type {
	case Int:
		return cel.IntType
	case Double:
		return cel.DoubleType
	case Bool:
		return cel.BoolType
	default: // String
		return cel.StringType
	}
}

// kind is the source of a variable's value.
type kind uint8

// The kinds of variables, by their source.
const (
	amount kind = iota
	amountMinor
	currency
	cardFingerprint
	cardBIN
	cardBrand
	payerEmail
	payerDomain
	payerAddress
	payerCountry
	linkID
	risk
	scored
	count   // a feature that counts
	ratio   // a feature that measures
	flag    // a feature that is 0 or 1
	average // a feature in minor units, exposed in units of the currency
)

// variables lists all variables.
var variables = all()

// byName is the index of each variable by its name.
var byName = func() map[string]int {
	out := make(map[string]int, len(variables))
	for i, v := range variables {
		out[v.Name] = i
	}

	return out
}()

// Variables returns all that a condition may read, those of the attempt first.
func Variables() []Variable { return variables }

// all returns the variables: those of the attempt, then one for each feature.
func all() []Variable {
	out := []Variable{
		{Name: "amount", Type: Double, kind: amount},
		{Name: "amount_minor", Type: Int, kind: amountMinor},
		{Name: "currency", Type: String, kind: currency},
		{Name: "card.fingerprint", Type: String, kind: cardFingerprint},
		{Name: "card.bin", Type: String, kind: cardBIN},
		{Name: "card.brand", Type: String, kind: cardBrand},
		{Name: "payer.email", Type: String, kind: payerEmail},
		{Name: "payer.email_domain", Type: String, kind: payerDomain},
		{Name: "payer.address", Type: String, kind: payerAddress},
		{Name: "payer.country", Type: String, kind: payerCountry},
		{Name: "link.id", Type: String, kind: linkID},
		{Name: "score", Type: Int, kind: risk},
		{Name: "scored", Type: Bool, kind: scored},
	}

	for i, name := range score.Names {
		if name == "amount" {
			continue // exposed exactly, above
		}
		v := Variable{Name: spelled(name), at: i}
		v.Type, v.kind = typeOf(name)
		out = append(out, v)
	}

	return out
}

// spelled returns a feature's name in CEL: card.declined.1h is card.declined_1h.
func spelled(name string) string {
	entity, rest, found := strings.Cut(name, ".")
	if !found {
		return name
	}
	return entity + "." + strings.ReplaceAll(rest, ".", "_")
}

// typeOf returns the type and kind of a feature, which follow from its name.
func typeOf(name string) (Type, kind) {
	_, what, found := strings.Cut(name, ".")
	what, _, _ = strings.Cut(what, ".")
	if !found {
		what = name
	}
	switch what {
	case "attempted", "authorised", "declined", "disputed", "cards", "hour":
		return Int, count
	case "weekend", "night":
		return Bool, flag
	case "mean":
		return Double, average
	}

	return Double, ratio
}

// Vars holds the values of one attempt. It implements CEL's activation, so that nothing is copied
// to evaluate a condition.
type Vars struct {
	Amount      money.Amount
	Fingerprint string
	BIN         string
	Brand       string
	Email       string // as score.EmailKey returns it: in lower case, its domain in ASCII
	Address     string
	Country     string
	Link        string
	Features    *score.Vector
	Score       int
	Scored      bool
}

// See fills v with what rules see of an attempt, present or past: raw in its canonical spelling,
// and the score if a model scored it.
func (v *Vars) See(raw Vars, a *score.Assessment) {
	*v = raw
	v.Email, v.Country = score.EmailKey(raw.Email), strings.ToUpper(raw.Country)
	if a != nil && a.Basis != "" && a.Basis != score.NoModel {
		v.Score, v.Scored = a.Score, true
	}
}

var _ cel.Activation = (*Vars)(nil)

// Parent implements CEL's activation.
func (v *Vars) Parent() cel.Activation { return nil }

// ResolveName implements CEL's activation. An unknown name is not resolved, but the compiler
// refuses those.
func (v *Vars) ResolveName(name string) (any, bool) {
	i, ok := byName[name]
	if !ok {
		return nil, false
	}
	at := &variables[i]
	switch at.kind {
	case amount:
		return types.Double(v.units(v.Amount.Minor)), true
	case amountMinor:
		return types.Int(v.Amount.Minor), true
	case risk:
		return types.Int(v.Score), true
	case scored:
		return types.Bool(v.Scored), true
	case count:
		return types.Int(v.feature(at.at)), true
	case ratio:
		return types.Double(v.feature(at.at)), true
	case flag:
		return types.Bool(v.feature(at.at) != 0), true
	case average:
		return types.Double(v.mean(at.at)), true
	default:
		return types.String(v.string(at.kind)), true
	}

}

// string returns a text of the attempt, cut to the length with which the cost was estimated.
func (v *Vars) string(k kind) string {
	s := ""
	switch k {
	case currency:
		s = string(v.Amount.Currency)
	case cardFingerprint:
		s = v.Fingerprint
	case cardBIN:
		s = v.BIN
	case cardBrand:
		s = v.Brand
	case payerEmail:
		s = v.Email
	case payerDomain:
		_, s, _ = strings.Cut(v.Email, "@")
	case payerAddress:
		s = v.Address
	case payerCountry:
		s = v.Country
	case linkID:
		s = v.Link
	default: // no text
	}

	if len(s) > maxTextBytes { // the length with which the cost was estimated
		s = strings.ToValidUTF8(s[:maxTextBytes], "")
	}

	return s
}

// feature returns a feature, or 0 without features.
func (v *Vars) feature(at int) float32 {
	if v.Features == nil {
		return 0
	}
	return v.Features[at]
}

// units returns an amount in units of the currency. The quotient of two integers below 2^53 is
// rounded once, like a decimal in a condition, so 19.99 equals 19.99.
func (v *Vars) units(minor int64) float64 {
	whole := 1.0
	for range v.Amount.Currency.Exponent() {
		whole *= 10
	}
	return float64(minor) / whole
}

// mean converts a feature in minor units; -1, which means unknown, stays.
func (v *Vars) mean(at int) float64 {
	f := v.feature(at)
	if f < 0 {
		return float64(f)
	}
	return v.units(int64(f))
}

// text returns a variable as text, as stored with a decision.
func (v *Vars) text(i int) string {
	at := &variables[i]
	switch at.kind {
	case amount:
		return v.Amount.Decimal()
	case amountMinor:
		return strconv.FormatInt(v.Amount.Minor, 10)
	case risk:
		return strconv.Itoa(v.Score)
	case scored:
		return strconv.FormatBool(v.Scored)
	case count:
		return strconv.Itoa(int(v.feature(at.at)))
	case flag:
		return strconv.FormatBool(v.feature(at.at) != 0)
	case ratio:
		return decimal(float64(v.feature(at.at)))
	case average:
		return decimal(v.mean(at.at))
	default:
		s := v.string(at.kind)
		if len(s) > maxValueBytes {
			s = strings.ToValidUTF8(s[:maxValueBytes], "")
		}
		return s
	}

}

// decimal returns a number with at most two decimals.
func decimal(f float64) string {
	s := strconv.FormatFloat(f, 'f', 2, 64)
	return strings.TrimSuffix(strings.TrimRight(s, "0"), ".")
}
