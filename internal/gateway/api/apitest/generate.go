package apitest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp/syntax"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Generator makes requests from the document: some that it allows, and some with a fault.
// Equal seeds and equal histories make equal requests, so a failure can be repeated.
type Generator struct {
	*rand.Rand
	// Known are ids of objects that exist, by prefix.
	Known map[string][]string
	Now   time.Time
}

// Request is a request that a Generator made.
type Request struct {
	Method, Address, Body string
	Header                http.Header
}

// maxDepth ends a schema that contains itself.
const maxDepth = 8

// one reports true once in that many calls, at random.
func (g *Generator) one(in int) bool { return g.IntN(in) == 0 }

// pick returns one of the values at random.
func pick[T any](g *Generator, from []T) T { return from[g.IntN(len(from))] }

// Make returns a request for the operation, with the given credentials. About two in five
// have one or two faults, in the body or around it.
func (g *Generator) Make(o *Operation, authorization string) Request {
	faults := max(g.IntN(5)-2, 0) // 0, 0, 0, 1, 2
	r := Request{Method: o.Method, Header: http.Header{}}
	if len(o.schemes) > 0 {
		r.Header.Set("Authorization", authorization)
	}
	// Every path has all its parameters. Those of the query and the header are often left
	// out.
	path, query := o.Path, url.Values{}
	for _, p := range o.Parameters {
		schema := p.at.get("schema")
		switch p.In {
		case "path":
			path = strings.Replace(path, "{"+p.Name+"}", url.PathEscape(g.identifier(schema)), 1)
		case "query":
			if p.Required || g.one(3) {
				query.Set(p.Name, g.word(schema))
			}
		case "header":
			if p.Required || g.one(3) {
				r.Header.Set(p.Name, g.word(schema))
			}
		}
	}

	// Half of the keys come from a small set, so that many requests repeat a key that was
	// used before, for the same or another request.
	if key := r.Header.Get("Idempotency-Key"); key != "" && g.one(2) {
		r.Header.Set("Idempotency-Key", "again-"+strconv.Itoa(g.IntN(20)))
	}

	// An example of the document is sometimes the better start than a random value, because
	// it passes the checks that no schema expresses.
	body := o.at.get("requestBody")
	if media := body.get("content").get("application/json"); media.value != nil && (body.get("required").value == true || g.one(2)) {
		value := g.value(media.get("schema"), 0)
		if examples := media.get("examples"); len(examples.keys()) > 0 && g.one(3) {
			value = copied(examples.get(pick(g, examples.keys())).get("value").value)
		}
		for range faults {
			value = g.spoil(value, 0)
		}
		text, err := json.Marshal(value)
		if err != nil {
			panic(err) // what value makes always marshals
		}
		r.Body = string(text)
		r.Header.Set("Content-Type", "application/json")
	}

	r.Address = path
	if len(query) > 0 {
		r.Address += "?" + query.Encode()
	}
	// A request without a body has no other place for a fault.
	if faults > 0 && (r.Body == "" || g.one(3)) {
		g.spoilRequest(&r)
	}
	return r
}

// copied returns a value of the document that may be changed.
func copied(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, member := range v {
			out[name] = copied(member)
		}
		return out
	case []any:
		out := make([]any, 0, len(v))
		for _, item := range v {
			out = append(out, copied(item))
		}
		return out
	}

	return v
}

// identifier returns an id for a path: mostly that of an object that exists, so that
// requests reach beyond the check of ids.
func (g *Generator) identifier(schema place) string {
	// The example of a path's id begins with the prefix of its objects.
	prefix, _, _ := strings.Cut(schema.get("example").text(), "_")
	known := g.Known[prefix]
	switch {
	case len(known) > 0 && !g.one(10):
		return pick(g, known)
	case g.one(2):
		return prefix + "_" + g.fromPattern("^[0-9a-hjkmnp-tv-z]{26}$")
	}

	return g.HostileText()
}

// word returns a value as a query or a header writes it.
func (g *Generator) word(schema place) string {
	v := g.value(schema, 0)
	if s, ok := v.(string); ok {
		return s
	}

	// A number, a boolean or a list has in a query the text that it has in JSON.
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}

	return string(text)
}

// value returns a value that the schema allows, as far as a schema expresses it. It knows
// the parts of JSON Schema that the document uses.
func (g *Generator) value(s place, depth int) any {
	// A const may be null, so its presence counts.
	if v, ok := s.value.(map[string]any)["const"]; ok {
		return v
	}
	if all := s.get("enum").items(); len(all) > 0 {
		return pick(g, all).value
	}

	for _, name := range []string{"oneOf", "anyOf"} {
		if all := s.get(name).items(); len(all) > 0 && s.get("properties").value == nil {
			one := pick(g, all)
			// Alternatives of the document are often only formats of one string.
			if one.get("type").value == nil && one.get("format").value != nil {
				return g.text(one)
			}
			return g.value(one, depth)
		}
	}

	// A type may be a list, most often of a type and null.
	kinds := []string{s.get("type").text()}
	if list := s.get("type").items(); len(list) > 0 {
		kinds = nil
		for _, k := range list {
			kinds = append(kinds, k.text())
		}
	}

	switch pick(g, kinds) {
	case "object":
		return g.object(s, depth)
	case "array":
		out := []any{}
		// Lists stay short, even if the document allows long ones.
		least, most := int(number(s, "minItems", 0)), int(number(s, "maxItems", 4))
		for range least + g.IntN(min(most, least+3)-least+1) {
			out = append(out, g.value(s.get("items"), depth+1))
		}
		return out
	case "integer":
		return g.integer(s)
	case "number":
		// With two decimals, as most numbers of the API have.
		return json.Number(fmt.Sprintf("%d.%02d", g.IntN(5000), g.IntN(100)))
	case "boolean":
		return g.one(2)
	case "null":
		return nil
	}

	return g.text(s)
}

// object returns an object with its required members and some of the others. Below maxDepth
// only the required ones are made.
func (g *Generator) object(s place, depth int) any {
	out, required := map[string]any{}, []string{}
	for _, r := range s.get("required").items() {
		required = append(required, r.text())
	}
	properties := s.get("properties")
	for _, name := range properties.keys() {
		if slices.Contains(required, name) || (depth < maxDepth && g.one(4)) {
			out[name] = g.value(properties.get(name), depth+1)
		}
	}

	// Such an object is a map, as metadata is. The keys repeat now and then.
	if _, is := s.get("additionalProperties").value.(map[string]any); is {
		for range g.IntN(3) {
			out["key"+strconv.Itoa(g.IntN(9))] = g.value(s.get("additionalProperties"), depth+1)
		}
	}

	return out
}

// number returns a numeric member of a schema, or otherwise.
func number(s place, name string, otherwise float64) float64 {
	switch v := s.get(name).value.(type) {
	// UnmarshalJSON decodes numbers as json.Number.
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f
		}
	case float64:
		return v
	}

	return otherwise
}

// integer returns a number within the bounds, often one of them.
func (g *Generator) integer(s place) any {
	low, high := int64(number(s, "minimum", 0)), int64(number(s, "maximum", 1<<31))
	switch g.IntN(4) {
	case 0:
		return low
	case 1:
		return high
	}

	// Otherwise not far above the lower bound: large numbers are rarely accepted.
	return low + g.Int64N(min(high-low, 1<<20)+1)
}

// text returns a string of the schema's format or pattern, or else of its length. It
// prefers ids that exist.
func (g *Generator) text(s place) any {
	switch s.get("format").text() {
	case "date":
		// A month before and after now, where the API's periods are.
		return g.Now.AddDate(0, 0, g.IntN(60)-30).Format(time.DateOnly)
	case "date-time":
		return g.Now.Add(
			time.Duration(g.IntN(2_000_000)-300_000) * time.Second,
		).UTC().Format(
			pick(g, []string{time.RFC3339, time.RFC3339Nano, "2006-01-02T15:04:05.000Z", "2006-01-02T15:04:05+14:00"}),
		)
	case "email":
		return fmt.Sprintf("payer%d@example.com", g.IntN(1000))
	case "uri":
		return pick(g, []string{"https://shop.example.com/thanks", "https://shop.example.com/hooks?a=b#c", "http://localhost:3000/"})
	}

	if pattern := s.get("pattern").text(); pattern != "" {
		made := g.fromPattern(pattern)
		prefix, _, _ := strings.Cut(made, "_")
		if known := g.Known[prefix]; len(known) > 0 && !g.one(4) {
			return pick(g, known)
		}
		if strings.Contains(pattern, `(\.[0-9]{1,4})`) { // digits at random are rarely an amount that a call takes
			return pick(g, []string{"1.00", "12.50", "5", "0.5", made})
		}
		return made
	}

	least, most := int(number(s, "minLength", 0)), int(number(s, "maxLength", 40))
	// Short texts, and once in a while the longest one.
	n := least + g.IntN(min(most-least, 30)+1)
	if g.one(20) {
		n = most
	}
	// Letters of several scripts, an emoji, and the characters of addresses.
	letters, out := []rune("abcdefghijklmnop qrstuvwxyz0123456789ÄéЖ中😀-_.@/"), make([]rune, 0, n)
	for range n {
		out = append(out, pick(g, letters))
	}
	return string(out)
}

// fromPattern returns a text that a regular expression of the document matches. Currencies
// are mostly those that a test account can use.
func (g *Generator) fromPattern(pattern string) string {
	if pattern == "^[A-Z]{3}$" && !g.one(8) {
		return pick(g, []string{"EUR", "EUR", "EUR", "USD", "JPY", "KWD"})
	}

	// A pattern that does not parse is a fault of the document, which no request can
	// repair.
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err)
	}

	var b strings.Builder
	g.match(&b, tree)
	return b.String()
}

// match writes a text that the expression matches. Repetitions without a bound have at most
// five more than they need.
func (g *Generator) match(b *strings.Builder, re *syntax.Regexp) {
	repeat := func(least, most int) {
		if most < 0 {
			most = least + 5
		}
		for range least + g.IntN(most-least+1) {
			g.match(b, re.Sub[0])
		}
	}
	switch re.Op {
	case syntax.OpLiteral:
		b.WriteString(string(re.Rune))
	case syntax.OpCharClass:
		// The ranges of a class are pairs of runes. Large ranges are cut, so that negated
		// classes do not give only rare characters.
		at := 2 * g.IntN(len(re.Rune)/2)
		b.WriteRune(re.Rune[at] + rune(g.IntN(int(min(re.Rune[at+1]-re.Rune[at], 200))+1)))
	// Anchors match nothing by themselves and need no case here.
	case syntax.OpAnyChar, syntax.OpAnyCharNotNL:
		b.WriteByte('x')
	case syntax.OpStar:
		repeat(0, -1)
	case syntax.OpPlus:
		repeat(1, -1)
	case syntax.OpQuest:
		repeat(0, 1)
	case syntax.OpRepeat:
		repeat(re.Min, re.Max)
	case syntax.OpConcat, syntax.OpCapture:
		for _, sub := range re.Sub {
			g.match(b, sub)
		}
	case syntax.OpAlternate:
		g.match(b, pick(g, re.Sub))
	}
}
