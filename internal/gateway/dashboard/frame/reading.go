package frame

import (
	"net/http"
	"net/url"
	"strings"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/money"
)

// MaxQueryChars bounds a value of a query.
const MaxQueryChars = 200

// Reading is the query of a page. Handlers take each value by its name. A parameter that
// is unknown, given twice or malformed is a problem, so that a filter is never silently
// ignored: a list shows the problem and no rows, a file is refused.
type Reading struct {
	v        *Visit
	values   url.Values
	taken    map[string]bool
	Problems parts.Problems
}

// Reads starts reading the query. All pages know the language parameter.
func (v *Visit) Reads() *Reading {
	values, err := url.ParseQuery(v.URL.RawQuery)
	r := &Reading{v: v, values: values, taken: v.taken}
	if err != nil {
		r.Wrong("", "common.query.spelling")
	}
	for _, name := range v.hidden {
		r.Wrong(name, "common.fault.card")
	}
	return r
}

// Wrong adds a problem about a field of the page; the field "" means the whole address. key
// and args are those of the catalog.
func (r *Reading) Wrong(field, key string, args ...any) {
	r.Problems = append(r.Problems, parts.FieldError{Field: field, Text: r.v.Print.T(key, args...)})
}

// Text returns a value as it was written, without surrounding spaces, and bounded. It adds
// a problem for a value that is given twice, too long or malformed.
func (r *Reading) Text(name string) string {
	r.taken[name] = true
	s := strings.TrimSpace(r.values.Get(name))
	switch {
	case len(r.values[name]) > 1:
		r.Wrong(name, "common.query.twice", "Name", name)
	case utf8.RuneCountInString(s) > MaxQueryChars:
		r.Wrong(name, "common.fault.long")
	case !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		r.Wrong(name, "common.query.spelling")
	}
	return Clip(s)
}

// Given returns a value for the page to repeat, valid or not.
func (r *Reading) Given(name string) string { return Clip(r.values.Get(name)) }

// Clip bounds what a page repeats of the reader's text, to MaxQueryChars in valid UTF-8.
func Clip(s string) string {
	if utf8.RuneCountInString(s) > MaxQueryChars {
		s = string([]rune(s)[:MaxQueryChars])
	}
	return strings.ToValidUTF8(s, "�")
}

// Choice returns one of some words, or "" if there is none. An unknown word is a problem.
func (r *Reading) Choice(name string, known func(string) bool) string {
	s := r.Text(name)
	if s == "" || known(s) {
		return s
	}
	r.Wrong(name, "common.query.choice", "Value", s)
	return s
}

// Currency returns a currency, whose code may be written in either case, or "".
func (r *Reading) Currency(name string) money.Currency {
	s := r.Text(name)
	if s == "" {
		return ""
	}
	c, err := money.ParseCurrency(strings.ToUpper(s))
	if err != nil {
		r.Wrong(name, "common.query.currency", "Value", s)
	}
	return c
}

// ID returns one of our ids, such as the last of the page before, or "".
func (r *Reading) ID(name, prefix string) string {
	s := r.Text(name)
	if s != "" && !id.Valid(prefix, s) {
		r.Wrong("", "common.query.page")
	}
	return s
}

// End returns the problems, after the page has taken all parameters that it knows.
func (r *Reading) End() parts.Problems {
	for name := range r.values {
		if !r.taken[name] {
			r.Wrong("", "common.query.unknown", "Name", Clip(name))
		}
	}
	return r.Problems
}

// Only ends the reading of a page or file that takes only the named parameters.
func (r *Reading) Only(names ...string) parts.Problems {
	for _, name := range names {
		r.Text(name)
	}
	return r.End()
}

// Param returns a value of the query of a page that understands few, and makes its name
// one that the page understands.
func (v *Visit) Param(name string) string {
	v.taken[name] = true
	return v.URL.Query().Get(name)
}

// Unread returns what is wrong with the query of a page that reads it by Param alone.
func (v *Visit) Unread() parts.Problems {
	if v.open || (v.Method != http.MethodGet && v.Method != http.MethodHead) {
		return nil
	}
	return v.Reads().End()
}

// Refuse answers 400 with what is wrong with the address, and a link to the page without
// its query.
func (v *Visit) Refuse(p parts.Problems, whole string) error {
	page := refusedView{
		Head:     parts.Head{Title: v.Print.T("common.query.refused")},
		Problems: p,
		Whole:    parts.Button{Text: v.Print.T("payments.clear"), Href: whole},
	}
	return v.Render(http.StatusBadRequest, page.Head.Title, refusedPage(page))
}

// refusedView is the page of a query that was not understood.
type refusedView struct {
	Head     parts.Head
	Problems parts.Problems
	Whole    parts.Button
}

// Unshown returns what a list shows in place of its rows if the query has problems.
func (v *Visit) Unshown(whole string) parts.Empty {
	return parts.Empty{Icon: "search", Headline: v.Print.T("common.query.unshown"), Lead: v.Print.T("common.query.unshownLead"),
		Actions: []parts.Button{{Text: v.Print.T("payments.clear"), Href: whole}}}
}

// StatusFor returns 400 if something is wrong with the query, else 200.
func StatusFor(p parts.Problems) int {
	if len(p) > 0 {
		return http.StatusBadRequest
	}
	return http.StatusOK
}

// AsQuery returns the query of a URL with its question mark, or "" without values.
func AsQuery(q url.Values) string {
	if len(q) == 0 {
		return ""
	}
	return "?" + q.Encode()
}
