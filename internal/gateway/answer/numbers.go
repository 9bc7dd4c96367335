package answer

import (
	"bytes"
	"net/http"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"

	"github.com/paylink/paylink/internal/issuer"
)

// NumberAt returns the place of the first text with a card number in a JSON document, and whether
// there is one. A number in the name of a member is at the object that has it, so the place never
// repeats a number. skip names the members that are not looked into. A document that is not JSON
// is looked through up to the error.
func NumberAt(document []byte, skip func(jsontext.Pointer) bool) (jsontext.Pointer, bool) {
	dec := jsontext.NewDecoder(bytes.NewReader(document), jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true))
	for {
		token, err := dec.ReadToken()
		if err != nil {
			return "", false
		}
		if token.Kind() != '"' {
			continue
		}
		text, at := token.String(), dec.StackPointer()
		kind, n := dec.StackIndex(dec.StackDepth())
		isName := kind == '{' && n%2 == 1
		switch {
		case issuer.HasNumber(text) && isName:
			return at.Parent(), true
		case issuer.HasNumber(text):
			return at, true
		case isName && skip(at):
			if dec.SkipValue() != nil {
				return "", false
			}
		}
	}
}

// WithoutNumbers returns a request for a page without the parameters of its query that contain a
// card number, because a page repeats them in its form and in the addresses of its links and
// redirects. It also returns the names of these parameters; "" is one whose name contains a
// number.
func WithoutNumbers(r *http.Request) (*http.Request, []string) {
	if r.URL.RawQuery == "" {
		return r, nil
	}

	var names []string
	query := r.URL.Query()
	for name, values := range query {
		switch {
		case issuer.HasNumber(name):
			names = append(names, "")
		case slices.ContainsFunc(values, issuer.HasNumber):
			names = append(names, name)
		default:
			continue
		}
		query.Del(name)
	}
	if len(names) == 0 && !issuer.HasNumber(r.URL.RawQuery) { // in a part that cannot be read
		return r, nil
	}

	slices.Sort(names)
	u := *r.URL
	u.RawQuery = query.Encode()
	out := new(http.Request)
	*out = *r
	out.URL, out.RequestURI = &u, strings.TrimSuffix(u.EscapedPath()+"?"+u.RawQuery, "?")
	return out, names
}
