package dashboard

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/money"
)

// reading is the query of a page. Each value is taken by its name. What no handler
// takes, is given twice or cannot be understood is a problem, so that a filter is never
// silently left out: a list shows the problem and no rows, a file is refused.
type reading struct {
	v        *visit
	values   url.Values
	taken    map[string]bool
	problems problems
}

// reads begins to read the query. The language is common to all pages.
func (v *visit) reads() *reading {
	values, err := url.ParseQuery(v.URL.RawQuery)
	r := &reading{v: v, values: values, taken: v.taken}
	if err != nil {
		r.wrong("", "common.query.spelling")
	}
	return r
}

func (r *reading) wrong(field, key string, args ...any) {
	r.problems = append(r.problems, fieldError{Field: field, Text: r.v.print.T(key, args...)})
}

// text is a value as it was written, without blanks around it.
func (r *reading) text(name string) string {
	r.taken[name] = true
	s := strings.TrimSpace(r.values.Get(name))
	switch {
	case len(r.values[name]) > 1:
		r.wrong(name, "common.query.twice", "Name", name)
	case utf8.RuneCountInString(s) > maxQueryChars:
		r.wrong(name, "common.fault.long")
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		r.wrong(name, "common.query.spelling")
	}
	return clip(s)
}

// clip bounds what a page repeats.
func clip(s string) string {
	if utf8.RuneCountInString(s) > maxQueryChars {
		s = string([]rune(s)[:maxQueryChars])
	}
	return strings.ToValidUTF8(s, "�")
}

// choice is one of some words; "" is none of them.
func (r *reading) choice(name string, known func(string) bool) string {
	s := r.text(name)
	if s == "" || known(s) {
		return s
	}
	r.wrong(name, "common.query.choice", "Value", s)
	return s
}

// currency is a code, in either case.
func (r *reading) currency(name string) money.Currency {
	s := r.text(name)
	if s == "" {
		return ""
	}
	c, err := money.ParseCurrency(strings.ToUpper(s))
	if err != nil {
		r.wrong(name, "common.query.currency", "Value", s)
	}
	return c
}

// id is one of ours, such as the last of the page before.
func (r *reading) id(name, prefix string) string {
	s := r.text(name)
	if s != "" && !id.Valid(prefix, s) {
		r.wrong("", "common.query.page")
	}
	return s
}

// end gives the problems, after all that the page knows was taken.
func (r *reading) end() problems {
	for name := range r.values {
		if !r.taken[name] {
			r.wrong("", "common.query.unknown", "Name", clip(name))
		}
	}
	return r.problems
}

// only ends the reading of a page or a file that takes nothing but what is named.
func (r *reading) only(names ...string) problems {
	for _, name := range names {
		r.text(name)
	}
	return r.end()
}

// param returns a value of the query of a page that understands few, and makes its name
// one that the page understands.
func (v *visit) param(name string) string {
	v.taken[name] = true
	return v.URL.Query().Get(name)
}

// unread returns what is wrong with the query of a page that reads it by param alone.
func (v *visit) unread() problems {
	if v.open || (v.Method != http.MethodGet && v.Method != http.MethodHead) {
		return nil
	}
	return v.reads().end()
}

// refuse answers with what is wrong with the address, and the way to the whole of it.
func (v *visit) refuse(p problems, whole string) error {
	page := refusedView{Head: head{Title: v.print.T("common.query.refused")}, Problems: p, Whole: button{Text: v.print.T("payments.clear"), Href: whole}}
	return v.render(http.StatusBadRequest, page.Head.Title, refusedPage(page))
}

// refusedView is the page of a query that was not understood.
type refusedView struct {
	Head     head
	Problems problems
	Whole    button
}

// unshown stands for the rows of a list that was asked for in a way that is not
// understood.
func (v *visit) unshown(whole string) empty {
	return empty{Icon: "search", Headline: v.print.T("common.query.unshown"), Lead: v.print.T("common.query.unshownLead"),
		Actions: []button{{Text: v.print.T("payments.clear"), Href: whole}}}
}

// statusFor is 400 where something is wrong with the query.
func statusFor(p problems) int {
	if len(p) > 0 {
		return http.StatusBadRequest
	}
	return http.StatusOK
}
