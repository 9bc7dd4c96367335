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

// Generator makes requests out of the document: some as it says, and some with a
// fault in them. Equal seeds and equal histories make equal requests.
type Generator struct {
	*rand.Rand
	// Known are ids of objects that exist, by prefix.
	Known map[string][]string
	Now   time.Time
}

// Request is one that a Generator made.
type Request struct {
	Method, Address, Body string
	Header                http.Header
}

// maxDepth ends a schema that contains itself.
const maxDepth = 8

func (g *Generator) one(in int) bool { return g.IntN(in) == 0 }

func pick[T any](g *Generator, from []T) T { return from[g.IntN(len(from))] }

// Make makes a request for the operation, with the given credentials. About half of
// them have a fault.
func (g *Generator) Make(o *Operation, authorization string) Request {
	faults := max(g.IntN(5)-2, 0) // 0, 0, 0, 1, 2
	r := Request{Method: o.Method, Header: http.Header{}}
	if len(o.schemes) > 0 {
		r.Header.Set("Authorization", authorization)
	}
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
	if key := r.Header.Get("Idempotency-Key"); key != "" && g.one(2) {
		r.Header.Set("Idempotency-Key", "again-"+strconv.Itoa(g.IntN(20)))
	}
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
	if faults > 0 && (r.Body == "" || g.one(3)) {
		g.spoilRequest(&r)
	}
	return r
}

// copied is a value of the document that may be changed.
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

// identifier is a path's id: mostly one of an object that exists.
func (g *Generator) identifier(schema place) string {
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

// word is a value as a query or a header writes it.
func (g *Generator) word(schema place) string {
	v := g.value(schema, 0)
	if s, ok := v.(string); ok {
		return s
	}
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// value is one that the schema allows, as far as a schema says it.
func (g *Generator) value(s place, depth int) any {
	if v, ok := s.value.(map[string]any)["const"]; ok {
		return v
	}
	if all := s.get("enum").items(); len(all) > 0 {
		return pick(g, all).value
	}
	for _, name := range []string{"oneOf", "anyOf"} {
		if all := s.get(name).items(); len(all) > 0 && s.get("properties").value == nil {
			one := pick(g, all)
			if one.get("type").value == nil && one.get("format").value != nil {
				return g.text(one)
			}
			return g.value(one, depth)
		}
	}
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
		least, most := int(number(s, "minItems", 0)), int(number(s, "maxItems", 4))
		for range least + g.IntN(min(most, least+3)-least+1) {
			out = append(out, g.value(s.get("items"), depth+1))
		}
		return out
	case "integer":
		return g.integer(s)
	case "number":
		return json.Number(fmt.Sprintf("%d.%02d", g.IntN(5000), g.IntN(100)))
	case "boolean":
		return g.one(2)
	case "null":
		return nil
	}
	return g.text(s)
}

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
	if _, is := s.get("additionalProperties").value.(map[string]any); is {
		for range g.IntN(3) {
			out["key"+strconv.Itoa(g.IntN(9))] = g.value(s.get("additionalProperties"), depth+1)
		}
	}
	return out
}

func number(s place, name string, otherwise float64) float64 {
	switch v := s.get(name).value.(type) {
	case json.Number:
		if f, err := v.Float64(); err == nil {
			return f
		}
	case float64:
		return v
	}
	return otherwise
}

// integer is often at a bound.
func (g *Generator) integer(s place) any {
	low, high := int64(number(s, "minimum", 0)), int64(number(s, "maximum", 1<<31))
	switch g.IntN(4) {
	case 0:
		return low
	case 1:
		return high
	}
	return low + g.Int64N(min(high-low, 1<<20)+1)
}

func (g *Generator) text(s place) any {
	switch s.get("format").text() {
	case "date":
		return g.Now.AddDate(0, 0, g.IntN(60)-30).Format(time.DateOnly)
	case "date-time":
		return g.Now.Add(time.Duration(g.IntN(2_000_000)-300_000) * time.Second).UTC().Format(pick(g, []string{time.RFC3339, time.RFC3339Nano, "2006-01-02T15:04:05.000Z", "2006-01-02T15:04:05+14:00"}))
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
	n := least + g.IntN(min(most-least, 30)+1)
	if g.one(20) {
		n = most
	}
	letters, out := []rune("abcdefghijklmnop qrstuvwxyz0123456789ÄéЖ中😀-_.@/"), make([]rune, 0, n)
	for range n {
		out = append(out, pick(g, letters))
	}
	return string(out)
}

// fromPattern is a text that a regular expression of the document matches.
func (g *Generator) fromPattern(pattern string) string {
	if pattern == "^[A-Z]{3}$" && !g.one(8) {
		return pick(g, []string{"EUR", "EUR", "EUR", "USD", "JPY", "KWD"})
	}
	tree, err := syntax.Parse(pattern, syntax.Perl)
	if err != nil {
		panic(err)
	}
	var b strings.Builder
	g.match(&b, tree)
	return b.String()
}

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
		at := 2 * g.IntN(len(re.Rune)/2)
		b.WriteRune(re.Rune[at] + rune(g.IntN(int(min(re.Rune[at+1]-re.Rune[at], 200))+1)))
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
