package apidocs

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// Bounds of what is shown of a shape in one place; deeper shapes have names.
const (
	maxFieldDepth   = 4
	maxExampleDepth = 6
)

const schemaRef = "#/components/schemas/"

func schemaID(name string) string { return "schema-" + name }

func (r *reader) schema(name string, n *yaml.Node) schema {
	return schema{
		ID:     schemaID(name),
		Name:   name,
		Words:  r.words(text(n, "description")),
		Type:   r.typeOf(n),
		Rules:  rules(n),
		Fields: r.fields("", n),
	}
}

func (r *reader) field(name string, s *yaml.Node) field {
	f := field{Name: name, Type: r.typeOf(s), Rules: rules(s)}
	d := text(s, "description")
	if d == "" && text(s, "$ref") == "" {
		d = text(get(s, "items"), "description")
	}
	f.Words = r.words(d)
	return f
}

// fields are the members of an object and of the unnamed objects in it.
func (r *reader) fields(prefix string, s *yaml.Node) []field {
	return r.fieldsTo(prefix, s, 0)
}

func (r *reader) fieldsTo(prefix string, s *yaml.Node, depth int) (all []field) {
	if s == nil || depth > maxFieldDepth {
		return nil
	}
	if depth == 0 {
		s = r.resolve(s)
	}
	for _, part := range items(get(s, "allOf")) {
		all = append(all, r.fieldsTo(prefix, r.resolve(part), depth)...)
	}
	var required []string
	for _, n := range items(get(s, "required")) {
		required = append(required, n.Value)
	}
	for name, p := range members(get(s, "properties")) {
		f := r.field(prefix+name, p)
		f.Required = slices.Contains(required, name)
		all = append(all, f)
		if text(p, "$ref") != "" {
			continue // it has a place of its own
		}
		all = append(all, r.fieldsTo(prefix+name+".", p, depth+1)...)
		if item := get(p, "items"); item != nil && text(item, "$ref") == "" {
			all = append(all, r.fieldsTo(prefix+name+"[].", item, depth+1)...)
		}
	}
	return all
}

// typeOf is a type in words, with links to the shapes that have names.
func (r *reader) typeOf(s *yaml.Node) []piece {
	if s == nil {
		return nil
	}
	if ref := text(s, "$ref"); strings.HasPrefix(ref, schemaRef) {
		name := strings.TrimPrefix(ref, schemaRef)
		return []piece{{Text: name, Href: "#" + schemaID(name)}}
	}
	for _, c := range []struct{ member, between string }{{"oneOf", " or "}, {"anyOf", " or "}, {"allOf", " and "}} {
		parts := items(get(s, c.member))
		if len(parts) == 0 {
			continue
		}
		var all []piece
		for i, p := range parts {
			if i > 0 {
				all = append(all, piece{Text: c.between})
			}
			all = append(all, r.typeOf(p)...)
		}
		if t := text(s, "type"); t != "" && c.member != "allOf" {
			all = append([]piece{{Text: t + ": "}}, all...)
		}
		return all
	}
	if item := get(s, "items"); item != nil {
		return append([]piece{{Text: "array of "}}, r.typeOf(item)...)
	}
	t := text(s, "type")
	if many := items(get(s, "type")); len(many) > 0 {
		var names []string
		for _, n := range many {
			names = append(names, n.Value)
		}
		t = strings.Join(names, " or ")
	}
	if f := text(s, "format"); f != "" {
		t = strings.TrimSpace(t + " (" + f + ")")
	}
	if values := get(s, "additionalProperties"); values != nil && values.Kind == yaml.MappingNode && get(s, "properties") == nil {
		return append([]piece{{Text: "object of "}}, r.typeOf(values)...)
	}
	if t == "" && get(s, "const") != nil {
		t = "string"
	}
	return []piece{{Text: t}}
}

// rules are what a value must keep to, in words.
func rules(s *yaml.Node) (all []string) {
	say := func(member, before, after string) {
		if v := text(s, member); v != "" {
			all = append(all, before+v+after)
		}
	}
	if v := get(s, "const"); v != nil {
		all = append(all, "always "+v.Value)
	}
	if values := items(get(s, "enum")); len(values) > 0 {
		var names []string
		for _, v := range values {
			names = append(names, v.Value)
		}
		all = append(all, "one of "+strings.Join(names, ", "))
	}
	if text(s, "minLength") == "1" {
		all = append(all, "not empty")
	} else {
		say("minLength", "at least ", " characters")
	}
	say("maxLength", "at most ", " characters")
	say("minimum", "from ", "")
	say("maximum", "up to ", "")
	say("minItems", "at least ", " items")
	say("maxItems", "at most ", " items")
	say("maxProperties", "at most ", " members")
	say("pattern", "pattern ", "")
	say("default", "by default ", "")
	if text(s, "writeOnly") == "true" {
		all = append(all, "never given back")
	}
	if item := get(s, "items"); item != nil && text(item, "$ref") == "" {
		for _, rule := range rules(item) {
			all = append(all, "each: "+rule)
		}
	}
	return all
}

// exampleText is a made-up value of a shape, as JSON. A request has what it must have,
// an answer everything.
func (r *reader) exampleText(s *yaml.Node, request bool) string {
	return encode(r.example("", s, request, 0))
}

// example is a made-up value as a tree.
func (r *reader) example(name string, s *yaml.Node, request bool, depth int) *yaml.Node {
	for _, member := range []string{"example", "const", "default"} {
		if v := get(s, member); v != nil && (member != "default" || v.Tag != "!!null") {
			return v
		}
	}
	if many := items(get(s, "examples")); len(many) > 0 {
		return many[0]
	}
	if values := items(get(s, "enum")); len(values) > 0 {
		return values[0]
	}
	if ref := text(s, "$ref"); ref != "" {
		short := strings.TrimPrefix(ref, schemaRef)
		if id, ok := strings.CutSuffix(short, "Identifier"); ok {
			return scalar(exampleID(id, text(r.resolve(s), "pattern")))
		}
		return r.example(name, r.resolve(s), request, depth+1)
	}
	for _, member := range []string{"oneOf", "anyOf"} {
		if parts := items(get(s, member)); len(parts) > 0 {
			return r.example(name, parts[0], request, depth)
		}
	}
	if parts := items(get(s, "allOf")); len(parts) > 0 {
		whole := &yaml.Node{Kind: yaml.MappingNode}
		for _, p := range parts {
			whole.Content = append(whole.Content, r.example(name, p, request, depth).Content...)
		}
		return whole
	}
	return r.exampleOf(name, s, request, depth)
}

func (r *reader) exampleOf(name string, s *yaml.Node, request bool, depth int) *yaml.Node {
	kind := text(s, "type")
	if many := items(get(s, "type")); len(many) > 0 {
		kind = many[0].Value
	}
	switch kind {
	case "object":
		return r.exampleObject(s, request, depth)
	case "array":
		list := &yaml.Node{Kind: yaml.SequenceNode}
		if depth < maxExampleDepth {
			list.Content = append(list.Content, r.example(name, get(s, "items"), request, depth+1))
		}
		return list
	case "integer", "number":
		n := text(s, "minimum")
		if n == "" || n == "0" {
			n = "1"
		}
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: n}
	case "boolean":
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "true"}
	}
	return scalar(exampleString(name, text(s, "format"), text(s, "pattern")))
}

func (r *reader) exampleObject(s *yaml.Node, request bool, depth int) *yaml.Node {
	o := &yaml.Node{Kind: yaml.MappingNode}
	if depth >= maxExampleDepth {
		return o
	}
	var required []string
	for _, n := range items(get(s, "required")) {
		required = append(required, n.Value)
	}
	for name, p := range members(get(s, "properties")) {
		if request && !slices.Contains(required, name) || !request && text(p, "writeOnly") == "true" {
			continue
		}
		o.Content = append(o.Content, scalar(name), r.example(name, p, request, depth+1))
	}
	if len(o.Content) == 0 && slices.Contains(required, "self") {
		o.Content = append(o.Content, scalar("self"), scalar("/api/…"))
	}
	return o
}

func scalar(s string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
}

// exampleID is an id of the kind whose pattern begins with its prefix.
func exampleID(kind, pattern string) string {
	prefix, _, found := strings.Cut(strings.TrimPrefix(pattern, "^"), "_")
	if !found {
		prefix = strings.ToLower(kind)
	}
	return prefix + "_068n6t5zcdxw3c9p8s5m2k7q1r"
}

// exampleString is a text that a person would find in such a place.
func exampleString(name, format, pattern string) string {
	switch format {
	case "date-time":
		return "2026-03-01T12:00:00.000Z"
	case "email":
		return "maria@example.com"
	case "uri":
		return "https://shop.example/thanks"
	case "uri-reference":
		return "/api/…"
	}
	if known, ok := exampleStrings[name]; ok {
		return known
	}
	if strings.HasPrefix(pattern, "^pl_") {
		return "pl_test_…"
	}
	return "text"
}

var exampleStrings = map[string]string{
	"description": "Two coffees", "reference": "order-1042", "name": "backend", "url": "https://shop.example/hooks", "username": "maria",
	"login": "maria", "password": "correct horse battery staple", "message": "The card was declined.", "code": "card_declined",
	"last4": "4242", "brand": "visa",
	"attempt": "attempt-0123456789_ab", "number": "4242424242424242", "cvc": "123", "email": "maria@example.com", "issuer": "simulator",
}

// encode writes a tree as JSON, indented, with the members in their order.
func encode(n *yaml.Node) string {
	if n == nil {
		return ""
	}
	var b, pretty bytes.Buffer
	encodeTo(&b, n)
	if err := json.Indent(&pretty, b.Bytes(), "", "  "); err != nil {
		return b.String()
	}
	return pretty.String()
}

func encodeTo(b *bytes.Buffer, n *yaml.Node) {
	switch n.Kind {
	case yaml.MappingNode:
		b.WriteByte('{')
		first := true
		for k, v := range members(n) {
			if !first {
				b.WriteByte(',')
			}
			first = false
			writeString(b, k)
			b.WriteByte(':')
			encodeTo(b, v)
		}
		b.WriteByte('}')
	case yaml.SequenceNode:
		b.WriteByte('[')
		for i, v := range n.Content {
			if i > 0 {
				b.WriteByte(',')
			}
			encodeTo(b, v)
		}
		b.WriteByte(']')
	default:
		if n.Tag == "!!int" || n.Tag == "!!float" || n.Tag == "!!bool" || n.Tag == "!!null" {
			if n.Tag == "!!null" {
				b.WriteString("null")
				return
			}
			b.WriteString(n.Value)
			return
		}
		writeString(b, n.Value)
	}
}

func writeString(b *bytes.Buffer, s string) {
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(s); err != nil {
		b.WriteString(strconv.Quote(s)) // a string is always encoded
		return
	}
	b.Truncate(b.Len() - 1) // the encoder ends it with a line
}
