// Package parts has the components of pages, from a button to a chart: a value says what is
// shown, and a template of the same name shows it, in the language and the time zone of the
// context. It knows no request and no service.
package parts

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// Say returns a text of the catalog in the reader's language.
func Say(ctx context.Context, key string, args ...any) string { return i18n.From(ctx).T(key, args...) }

// SayN returns a text of the catalog that contains a count, in the plural form of the
// language.
func SayN(ctx context.Context, key string, n int, args ...any) string {
	return i18n.From(ctx).N(key, n, args...)
}

// AmountText returns an amount as the reader's language writes it.
func AmountText(ctx context.Context, a money.Amount) string { return i18n.From(ctx).Amount(a) }

// Stamp returns a time for programs. The page's script writes it in the reader's own zone.
func Stamp(t time.Time) string { return link.FormatTime(t) }

// Button is a link if it has an Href, and otherwise sends its form.
type Button struct {
	Text, Href  string
	Kind        string // primary, danger, quiet; "" is the second button of a page
	Icon        string
	Name, Value string // of a form's button
	Attrs       templ.Attributes
}

// class returns the class attribute.
func (b Button) class() string {
	if b.Kind == "" {
		return "button"
	}
	return "button " + b.Kind
}

// Head is a page's heading, with what can be done on the page.
type Head struct {
	Title, Lead string
	Back        Button // one step up
	Actions     []Button
}

// Empty is what a table or page shows without content: what to do first.
type Empty struct {
	Icon, Headline, Lead string
	Actions              []Button
}

// Column is a column of a table. Sort is the address to which its heading leads; Order is
// ascending or descending if the table is sorted by it.
type Column struct {
	Label       string
	Number      bool // set to the end, tabular figures
	Hidden      bool // the label is for screen readers alone
	Sort, Order string
}

// Row is a row of a table. The first cell names the row, and Href makes it a link.
type Row struct {
	Fresh bool // came just now
	ID    string
	Href  string
	Cells []templ.Component
}

// Table has a caption, columns and rows. On a narrow screen each row becomes a card of
// labeled lines. Without rows, Empty is shown instead.
type Table struct {
	ID            string
	Caption       string
	CaptionHidden bool
	Columns       []Column
	Rows          []Row
	Empty         Empty
	CSV           string // where the whole table is downloaded
	Pager         Pager
}

// Pager has the addresses of newer and older rows; "" if there are none.
type Pager struct {
	Newest, Older string
}

// Field is one line of a form, with its hint and its error beside it.
type Field struct {
	ID, Name     string // Name "" is ID
	Label, Hint  string
	Error        string
	Value        string
	Type         string // "" is text
	InputMode    string
	Autocomplete string
	Placeholder  string
	Optional     bool
	Lines        int // more than one: a text area
	Max          int // characters
	Focus        bool
	Options      []Option         // a choice among these
	Attrs        templ.Attributes // of the control
}

// Option is one of the choices of a field.
type Option struct {
	Value, Text string
}

// Check is a checkbox.
type Check struct {
	ID, Name, Value, Label, Hint string
	Checked                      bool
	Radio                        bool
}

// name returns the name under which the field is sent.
func (f Field) name() string {
	if f.Name == "" {
		return f.ID
	}
	return f.Name
}

// kind returns the type attribute.
func (f Field) kind() string {
	if f.Type == "" {
		return "text"
	}
	return f.Type
}

// described returns the aria-describedby of a field: its error first, then its hint.
func described(id, failure, hint string) string {
	var ids []string
	if failure != "" {
		ids = append(ids, id+"-error")
	}
	if hint != "" {
		ids = append(ids, id+"-hint")
	}
	return strings.Join(ids, " ")
}

// shown returns the value that the page repeats: none that contains a card number, which the field
// was refused for.
func (f Field) shown() string {
	if issuer.HasNumber(f.Value) {
		return ""
	}
	return f.Value
}

// control returns the attributes that all controls of a field share. Attrs of the field
// come last and may replace them.
func (f Field) control() templ.Attributes {
	a := templ.Attributes{"id": f.ID, "name": f.name()}
	set := func(k, v string) {
		if v != "" {
			a[k] = v
		}
	}
	set("aria-describedby", described(f.ID, f.Error, f.Hint))
	set("inputmode", f.InputMode)
	set("autocomplete", f.Autocomplete)
	set("placeholder", f.Placeholder)
	if f.Error != "" {
		a["aria-invalid"] = "true"
	}
	if f.Max > 0 {
		a["maxlength"] = strconv.Itoa(f.Max)
	}
	if f.Focus {
		a["autofocus"] = true
	}
	for k, v := range f.Attrs {
		a[k] = v
	}
	return a
}

// FieldError is one line of what is wrong with a form; the Field "" means the whole form.
type FieldError struct{ Field, Text string }

// Problems are what is wrong with a form, in the order of its fields.
type Problems []FieldError

// Of returns the error of a field, or "" if it has none.
func (p Problems) Of(name string) string {
	for _, e := range p {
		if e.Field == name {
			return e.Text
		}
	}
	return ""
}

// Progress is how far a piece of work is. A Total of 0 means that it is unknown.
type Progress struct {
	ID, Label   string
	Done, Total int64
}

// Tab is one of several views of the same subject.
type Tab struct {
	Text, Href string
	Current    bool
}

// Chart is a picture of numbers, drawn on the server, with a table of the same numbers.
// Every series has a value for every label.
type Chart struct {
	ID, Title string
	Lines     bool // lines over time; columns otherwise
	Labels    []string
	Series    []Series
	Format    func(int64) string // of the values
	LabelHead string             // heading of the labels' column
	CSV       string
}

// Series is one line, or one set of columns, of a chart.
type Series struct {
	Name   string
	Tone   string // accent, good, bad, wait, quiet
	Values []int64
}

// Badge is a word in a color. The word carries the meaning; the color only repeats it.
type Badge struct {
	Text, Tone string // good, bad, wait, accent, quiet
}

// Attr returns a single attribute.
func Attr(key, value string) templ.Attributes { return templ.Attributes{key: value} }

// Text returns a cell of plain text. Its direction is its own and does not affect the text
// around it.
func Text(s string) templ.Component { return textCell(s) }

// zoneKey is the context key of the time zone.
type zoneKey struct{}

// InZone returns a context in which times are shown in the zone.
func InZone(ctx context.Context, zone *time.Location) context.Context {
	return context.WithValue(ctx, zoneKey{}, zone)
}

// ZoneOf returns the zone in which times are shown, or UTC if none is set, as for a reader
// who is not signed in.
func ZoneOf(ctx context.Context) *time.Location {
	if zone, ok := ctx.Value(zoneKey{}).(*time.Location); ok {
		return zone
	}
	return time.UTC
}
