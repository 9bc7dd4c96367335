package apidocs

import (
	"fmt"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

// document is the OpenAPI document as the page shows it, in the document's order.
type document struct {
	Title, Version, Summary string
	Intro                   []block
	Schemes                 []named
	Tags                    []tag
	Schemas                 []schema
}

// named is a name with what it means.
type named struct {
	Name  string
	Words []block
}

type tag struct {
	ID, Name, Words string
	Operations      []operation
}

type operation struct {
	ID, Method, Path, Summary string
	Words                     []block
	Auth                      []string // names of schemes; none: open to everyone
	Params                    []field
	Body                      *body
	Answers                   []answer
	Curl, Go                  string
}

type body struct {
	Required bool
	Media    string
	Type     []piece
	Fields   []field
	Examples []example
}

type example struct{ Name, Text string }

type answer struct {
	Status, Media string
	Words         []block
	Headers       []field
	Type          []piece
	Example       string
}

// schema is a shape with a name, to which others refer.
type schema struct {
	ID, Name string
	Words    []block
	Type     []piece
	Rules    []string
	Fields   []field
}

// field is a parameter, a header, or a member of an object at any depth.
type field struct {
	Name, In string
	Required bool
	Type     []piece
	Rules    []string
	Words    []block
}

// reader walks the document's tree.
type reader struct {
	root *yaml.Node
	base string // path of our site, before every address
	site string // where samples send their requests
}

// read makes the document from its YAML.
func read(raw []byte, public, base string) (*document, error) {
	var file yaml.Node
	if err := yaml.Unmarshal(raw, &file); err != nil {
		return nil, fmt.Errorf("the OpenAPI document: %w", err)
	}
	if len(file.Content) != 1 || file.Content[0].Kind != yaml.MappingNode {
		return nil, fmt.Errorf("the OpenAPI document is no mapping")
	}
	r := &reader{root: file.Content[0], base: base, site: public}
	info := get(r.root, "info")
	d := &document{
		Title:   text(info, "title"),
		Version: text(info, "version"),
		Summary: text(info, "summary"),
		Intro:   r.words(text(info, "description")),
	}
	for name, s := range members(get(get(r.root, "components"), "securitySchemes")) {
		d.Schemes = append(d.Schemes, named{name, r.words(text(s, "description"))})
	}
	for _, t := range items(get(r.root, "tags")) {
		name := text(t, "name")
		d.Tags = append(d.Tags, tag{ID: "tag-" + name, Name: name, Words: text(t, "description")})
	}
	if err := r.operations(d); err != nil {
		return nil, err
	}
	for name, s := range members(get(get(r.root, "components"), "schemas")) {
		d.Schemas = append(d.Schemas, r.schema(name, s))
	}
	return d, nil
}

// methods that a path may have; other members of a path are not operations.
var methods = []string{"get", "put", "post", "patch", "delete", "head", "options"}

func (r *reader) operations(d *document) error {
	for path, p := range members(get(r.root, "paths")) {
		shared := items(get(p, "parameters"))
		for method, o := range members(p) {
			if !slices.Contains(methods, method) {
				continue
			}
			op := r.operation(strings.ToUpper(method), path, o, shared)
			tags := items(get(o, "tags"))
			if len(tags) == 0 {
				return fmt.Errorf("%s %s has no tag", method, path)
			}
			at := slices.IndexFunc(d.Tags, func(t tag) bool { return t.Name == tags[0].Value })
			if at < 0 {
				return fmt.Errorf("%s %s has the tag %q, which is not in the list", method, path, tags[0].Value)
			}
			d.Tags[at].Operations = append(d.Tags[at].Operations, op)
		}
	}
	return nil
}

func (r *reader) operation(method, path string, o *yaml.Node, shared []*yaml.Node) operation {
	op := operation{
		ID:      "op-" + text(o, "operationId"),
		Method:  method,
		Path:    path,
		Summary: text(o, "summary"),
		Words:   r.words(text(o, "description")),
	}
	for _, s := range items(get(o, "security")) {
		for name := range members(s) {
			op.Auth = append(op.Auth, name)
		}
	}
	params := append(slices.Clone(shared), items(get(o, "parameters"))...)
	for i, p := range params {
		params[i] = r.resolve(p)
		op.Params = append(op.Params, r.param(params[i]))
	}
	if b := get(o, "requestBody"); b != nil {
		op.Body = r.body(r.resolve(b))
	}
	for status, a := range members(get(o, "responses")) {
		op.Answers = append(op.Answers, r.answer(status, r.resolve(a)))
	}
	s := r.sample(op, params)
	op.Curl, op.Go = s.curl(), s.golang()
	return op
}

func (r *reader) param(p *yaml.Node) field {
	f := r.field(text(p, "name"), get(p, "schema"))
	f.In, f.Required = text(p, "in"), text(p, "required") == "true"
	if d := text(p, "description"); d != "" {
		f.Words = r.words(d)
	}
	return f
}

// body shows the first kind of content; the others are the same under another name.
func (r *reader) body(n *yaml.Node) *body {
	b := &body{Required: text(n, "required") == "true"}
	for media, m := range members(get(n, "content")) {
		if b.Media != "" {
			b.Media += " or " + media
			continue
		}
		s := get(m, "schema")
		b.Media, b.Type, b.Fields = media, r.typeOf(s), r.fields("", s)
		for name, e := range members(get(m, "examples")) {
			b.Examples = append(b.Examples, example{name, encode(get(r.resolve(e), "value"))})
		}
		if len(b.Examples) == 0 {
			b.Examples = append(b.Examples, example{"example", r.exampleText(s, true)})
		}
	}
	return b
}

func (r *reader) answer(status string, n *yaml.Node) answer {
	a := answer{Status: status, Words: r.words(text(n, "description"))}
	for name, h := range members(get(n, "headers")) {
		h = r.resolve(h)
		f := r.field(name, get(h, "schema"))
		f.Words = r.words(text(h, "description"))
		a.Headers = append(a.Headers, f)
	}
	for media, m := range members(get(n, "content")) {
		if a.Media != "" {
			a.Media += ", " + media
			continue
		}
		s := get(m, "schema")
		a.Media, a.Type = media, r.typeOf(s)
		for _, e := range members(get(m, "examples")) {
			a.Example = encode(get(r.resolve(e), "value"))
			break
		}
		if a.Example == "" && strings.Contains(media, "json") {
			a.Example = r.exampleText(s, false)
		}
	}
	return a
}

// resolve follows a reference inside the document.
func (r *reader) resolve(n *yaml.Node) *yaml.Node {
	for range 16 { // a circle of references ends here
		ref := text(n, "$ref")
		if ref == "" {
			return n
		}
		at := r.root
		for _, part := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
			at = get(at, part)
		}
		if at == nil {
			return n
		}
		n = at
	}
	return n
}

// get is a mapping's member, nil for none.
func get(n *yaml.Node, key string) *yaml.Node {
	for k, v := range members(n) {
		if k == key {
			return v
		}
	}
	return nil
}

// text is a scalar member, "" for none.
func text(n *yaml.Node, key string) string {
	if v := get(n, key); v != nil && v.Kind == yaml.ScalarNode {
		return strings.TrimSpace(v.Value)
	}
	return ""
}

// members are a mapping's, in order.
func members(n *yaml.Node) func(func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if n == nil || n.Kind != yaml.MappingNode {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			v := n.Content[i+1]
			if v.Kind == yaml.AliasNode {
				v = v.Alias
			}
			if !yield(n.Content[i].Value, v) {
				return
			}
		}
	}
}

// items are a sequence's.
func items(n *yaml.Node) []*yaml.Node {
	if n == nil || n.Kind != yaml.SequenceNode {
		return nil
	}
	return n.Content
}
