package dashboard

import (
	"net/url"

	"github.com/a-h/templ"
)

// filled is a form as its reader filled it in, and what is wrong with that: the
// fields of a page that asks again know both.
type filled struct {
	Values   url.Values
	Problems problems
}

func (p filled) field(id, label, hint string) field {
	return field{ID: id, Label: label, Hint: hint, Value: p.Values.Get(id), Error: p.Problems.of(id)}
}

func (p filled) money(id, label string) field {
	f := p.field(id, label, "")
	f.InputMode, f.Max, f.Attrs = "decimal", 40, templ.Attributes{"autocomplete": "off"}
	return f
}

func (p filled) choice(id, label, hint string, options []option) field {
	f := p.field(id, label, hint)
	f.Options = options
	return f
}

func (p filled) long(id, label, hint string, most int) field {
	f := p.field(id, label, hint)
	f.Optional, f.Max = true, most
	return f
}

func (p filled) radio(name, value, label, hint string) check {
	return check{ID: name + "-" + value, Name: name, Value: value, Label: label, Hint: hint, Radio: true, Checked: p.Values.Get(name) == value}
}
