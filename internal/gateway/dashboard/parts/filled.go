package parts

import (
	"net/url"
	"slices"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/issuer"
)

// Filled is a form as its reader filled it in, and what is wrong with it. A page that shows
// a refused form again makes its fields from both.
type Filled struct {
	Values   url.Values
	Problems Problems
}

// Emptied returns the values without those that contain a card number, which the form was refused
// for: the page that shows it again does not repeat them.
func Emptied(values url.Values) url.Values {
	out := url.Values{}
	for name, all := range values {
		if !slices.ContainsFunc(all, issuer.HasNumber) {
			out[name] = all
		}
	}
	return out
}

// Field returns the field of an id as it was filled in.
func (p Filled) Field(id, label, hint string) Field {
	return Field{ID: id, Label: label, Hint: hint, Value: p.Values.Get(id), Error: p.Problems.Of(id)}
}

// Money returns the field of an amount, for a keyboard with a decimal separator.
func (p Filled) Money(id, label string) Field {
	f := p.Field(id, label, "")
	f.InputMode, f.Max, f.Attrs = "decimal", 40, templ.Attributes{"autocomplete": "off"}
	return f
}

// Choice returns a field with options.
func (p Filled) Choice(id, label, hint string, options []Option) Field {
	f := p.Field(id, label, hint)
	f.Options = options
	return f
}

// Long returns an optional field of at most that many characters.
func (p Filled) Long(id, label, hint string, most int) Field {
	f := p.Field(id, label, hint)
	f.Optional, f.Max = true, most
	return f
}

// Radio returns one button of a choice, checked if it is the one that was picked.
func (p Filled) Radio(name, value, label, hint string) Check {
	return Check{ID: name + "-" + value, Name: name, Value: value, Label: label, Hint: hint, Radio: true, Checked: p.Values.Get(name) == value}
}
