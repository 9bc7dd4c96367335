package dashboard

import (
	"context"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// say is a text of the catalogue in the reader's language.
func say(ctx context.Context, key string, args ...any) string { return i18n.From(ctx).T(key, args...) }

// sayN is one with a count.
func sayN(ctx context.Context, key string, n int, args ...any) string {
	return i18n.From(ctx).N(key, n, args...)
}

// amountText is a sum as the reader's language writes it.
func amountText(ctx context.Context, a money.Amount) string { return i18n.From(ctx).Amount(a) }

// stamp is a moment for a machine: the script writes it in the reader's own zone.
func stamp(t time.Time) string { return link.FormatTime(t) }

// button is a link where it has an Href, and sends its form otherwise.
type button struct {
	Text, Href  string
	Kind        string // primary, danger, quiet; "" is the second button of a page
	Icon        string
	Name, Value string // of a form's button
	Attrs       templ.Attributes
}

func (b button) class() string {
	if b.Kind == "" {
		return "button"
	}
	return "button " + b.Kind
}

// head is a page's heading with what one can do there.
type head struct {
	Title, Lead string
	Back        button // one step up
	Actions     []button
}

// empty teaches what to do where there is nothing yet.
type empty struct {
	Icon, Headline, Lead string
	Actions              []button
}

// column of a table. Sort is where its heading leads to; Order is ascending or
// descending when the table is sorted by it.
type column struct {
	Label       string
	Number      bool // set to the end, tabular figures
	Hidden      bool // the label is for screen readers alone
	Sort, Order string
}

// tableRow: the first cell names the row. Href makes that cell a link.
type tableRow struct {
	Fresh bool // came just now
	ID    string
	Href  string
	Cells []templ.Component
}

// table has a caption, columns and rows. On a narrow screen each row becomes a
// card of labelled lines. Without rows, Empty is shown instead.
type table struct {
	ID            string
	Caption       string
	CaptionHidden bool
	Columns       []column
	Rows          []tableRow
	Empty         empty
	CSV           string // where the whole table is downloaded
	Pager         pager
}

// pager leads to older and newer rows; "" is none.
type pager struct {
	Newest, Older string
}

// field is one line of a form, with its hint and its error beside it.
type field struct {
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
	Options      []option         // a choice among these
	Attrs        templ.Attributes // of the control
}

type option struct {
	Value, Text string
}

// check is a box to tick.
type check struct {
	ID, Name, Value, Label, Hint string
	Checked                      bool
	Radio                        bool
}

func (f field) name() string {
	if f.Name == "" {
		return f.ID
	}
	return f.Name
}

func (f field) kind() string {
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
func (f field) control() templ.Attributes {
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

// fieldError is one line of what is wrong with a form; Field "" is about all of it.
type fieldError struct{ Field, Text string }

// problems are what is wrong with a form.
type problems []fieldError

// of is the error of a field, "" when it is right.
func (p problems) of(name string) string {
	for _, e := range p {
		if e.Field == name {
			return e.Text
		}
	}
	return ""
}

// problems turns a fault that the reader can mend into lines of the form; nil when
// it is none of these, and the error is to be returned. The form's ids are the
// names of the API's parameters.
func (v *visit) problems(err error) problems {
	f := fault.From(err)
	if words := v.print.AmountFault(f.Cause); words != "" {
		return problems{{Field: f.Param, Text: words}}
	}
	switch f.Kind {
	case fault.KindInvalid, fault.KindConflict, fault.KindDeclined, fault.KindMismatch, fault.KindUnauthenticated, fault.KindRateLimited, fault.KindTooLarge:
		return problems{{Field: f.Param, Text: v.explain(f.Code, f.Detail)}}
	}
	return nil
}

// progress of work that goes on; Total 0 is not known.
type progress struct {
	ID, Label   string
	Done, Total int64
}

// tab of a row of views of one thing.
type tab struct {
	Text, Href string
	Current    bool
}

// chart is a picture of numbers made on the server, with the table behind it.
// Every series has a value for every label.
type chart struct {
	ID, Title string
	Lines     bool // lines over time; columns otherwise
	Labels    []string
	Series    []series
	Format    func(int64) string // of the values
	LabelHead string             // heading of the labels' column
	CSV       string
}

type series struct {
	Name   string
	Tone   string // accent, good, bad, wait, quiet
	Values []int64
}

// badge is a word in a colour; the word carries the meaning.
type badge struct {
	Text, Tone string // good, bad, wait, accent, quiet
}

func attr(key, value string) templ.Attributes { return templ.Attributes{key: value} }

// text is a cell of plain words; whatever direction they are written in, they do
// not turn those around them.
func text(s string) templ.Component { return textCell(s) }
