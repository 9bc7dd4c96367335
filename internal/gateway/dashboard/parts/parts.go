// Package parts is what pages are made of, from a button to a chart: a value says what is
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
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// Say returns a text of the catalog in the reader's language.
func Say(ctx context.Context, key string, args ...any) string { return i18n.From(ctx).T(key, args...) }

// SayN is one with a count.
func SayN(ctx context.Context, key string, n int, args ...any) string {
	return i18n.From(ctx).N(key, n, args...)
}

// AmountText is a sum as the reader's language writes it.
func AmountText(ctx context.Context, a money.Amount) string { return i18n.From(ctx).Amount(a) }

// Stamp is a moment for a machine: the script writes it in the reader's own zone.
func Stamp(t time.Time) string { return link.FormatTime(t) }

// Button is a link where it has an Href, and sends its form otherwise.
type Button struct {
	Text, Href  string
	Kind        string // primary, danger, quiet; "" is the second button of a page
	Icon        string
	Name, Value string // of a form's button
	Attrs       templ.Attributes
}

func (b Button) class() string {
	if b.Kind == "" {
		return "button"
	}
	return "button " + b.Kind
}

// Head is a page's heading with what one can do there.
type Head struct {
	Title, Lead string
	Back        Button // one step up
	Actions     []Button
}

// Empty teaches what to do where there is nothing yet.
type Empty struct {
	Icon, Headline, Lead string
	Actions              []Button
}

// Column of a table. Sort is where its heading leads to; Order is ascending or
// descending when the table is sorted by it.
type Column struct {
	Label       string
	Number      bool // set to the end, tabular figures
	Hidden      bool // the label is for screen readers alone
	Sort, Order string
}

// Row is a row of a table. The first cell names the row, and Href makes that cell a link.
type Row struct {
	Fresh bool // came just now
	ID    string
	Href  string
	Cells []templ.Component
}

// Table has a caption, columns and rows. On a narrow screen each row becomes a
// card of labeled lines. Without rows, Empty is shown instead.
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

// Pager leads to older and newer rows; "" is none.
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

func (f Field) name() string {
	if f.Name == "" {
		return f.ID
	}
	return f.Name
}

func (f Field) kind() string {
	if f.Type == "" {
		return "text"
	}
	return f.Type
}

// described is the aria-describedby of a field: its error first, then its hint.
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

// control are the attributes that all controls of a field share.
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

// FieldError is one line of what is wrong with a form; Field "" is about all of it.
type FieldError struct{ Field, Text string }

// Problems are what is wrong with a form.
type Problems []FieldError

// Of is the error of a field, "" when it is right.
func (p Problems) Of(name string) string {
	for _, e := range p {
		if e.Field == name {
			return e.Text
		}
	}
	return ""
}

// Progress of work that goes on; Total 0 is not known.
type Progress struct {
	ID, Label   string
	Done, Total int64
}

// Tab of a row of views of one thing.
type Tab struct {
	Text, Href string
	Current    bool
}

// Chart is a picture of numbers made on the server, with the table behind it.
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

// Series is one of the lines of a chart.
type Series struct {
	Name   string
	Tone   string // accent, good, bad, wait, quiet
	Values []int64
}

// Badge is a word in a color; the word carries the meaning.
type Badge struct {
	Text, Tone string // good, bad, wait, accent, quiet
}

// Attr returns a single attribute.
func Attr(key, value string) templ.Attributes { return templ.Attributes{key: value} }

// Text is a cell of plain words; whatever direction they are written in, they do
// not turn those around them.
func Text(s string) templ.Component { return textCell(s) }

type zoneKey struct{}

// InZone keeps the zone that a page's times are shown in.
func InZone(ctx context.Context, zone *time.Location) context.Context {
	return context.WithValue(ctx, zoneKey{}, zone)
}

// ZoneOf is the zone of a page; UTC where nobody is signed in.
func ZoneOf(ctx context.Context) *time.Location {
	if zone, ok := ctx.Value(zoneKey{}).(*time.Location); ok {
		return zone
	}
	return time.UTC
}
