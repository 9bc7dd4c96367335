package apitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v4"

	apispec "github.com/paylink/paylink/docs/api"
)

// Document is the OpenAPI document of the API. Version 3.1's schemas are JSON Schema
// 2020-12, so a library for that checks values; what is around them is read here. It is
// safe for concurrent use.
type Document struct {
	Operations []*Operation // by path, then by method
	root       place
	compiling  sync.Mutex
	compiler   *jsonschema.Compiler
}

// Operation is one method of one path.
type Operation struct {
	ID, Method, Path, Summary string
	Tags                      []string
	Parameters                []Parameter
	Statuses                  []int
	at                        place
	schemes                   []string // any one of these HTTP authentication schemes; none: open to everyone
}

// Parameter is what an operation takes besides its body.
type Parameter struct {
	Name, In string
	Required bool
	at       place
}

// resource is the name by which the compiler knows the document.
const resource = "paylink:openapi.yaml"

// loaded parses the document once for all tests of a binary, because that takes a while.
var loaded = sync.OnceValues(func() (*Document, error) { return load(apispec.YAML) })

// Model returns the parsed document, or fails the test.
func Model(t testing.TB) *Document {
	t.Helper()
	d, err := loaded()
	if err != nil {
		t.Fatalf("the OpenAPI document: %v", err)
	}
	return d
}

// load parses a document. It fails if the document is not YAML or has a status that is not
// a number.
func load(file []byte) (*Document, error) {
	var tree any
	if err := yaml.Unmarshal(file, &tree); err != nil {
		return nil, err
	}

	// By way of JSON, because the compiler wants its own types: numbers as json.Number, and
	// maps with keys of strings.
	text, err := json.Marshal(tree)
	if err != nil {
		return nil, err
	}

	whole, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}

	d := &Document{compiler: jsonschema.NewCompiler()}
	d.compiler.DefaultDraft(jsonschema.Draft2020)
	d.compiler.AssertFormat()
	if err := d.compiler.AddResource(resource, whole); err != nil {
		return nil, err
	}

	d.root = place{d, "", whole}
	paths := d.root.get("paths")
	for _, path := range paths.keys() {
		for _, method := range paths.get(path).keys() {
			// These belong to all methods of the path, which read them themselves.
			if method == "parameters" {
				continue
			}
			o, err := d.operation(method, path, paths.get(path))
			if err != nil {
				return nil, err
			}
			d.Operations = append(d.Operations, o)
		}
	}

	return d, nil
}

// operation reads one method of a path. Parameters of the path apply to each of its
// methods. Without a security entry of its own, the operation has the document's.
func (d *Document) operation(method, path string, item place) (*Operation, error) {
	at := item.get(method)
	o := &Operation{ID: at.get("operationId").text(), Method: strings.ToUpper(method), Path: path, Summary: at.get("summary").text(), at: at}
	for _, t := range at.get("tags").items() {
		o.Tags = append(o.Tags, t.text())
	}
	for _, p := range slices.Concat(item.get("parameters").items(), at.get("parameters").items()) {
		o.Parameters = append(o.Parameters, Parameter{p.get("name").text(), p.get("in").text(), p.get("required").value == true, p})
	}
	// Ranges such as 4XX are not used: each status has a meaning of its own.
	for _, status := range at.get("responses").keys() {
		n, err := strconv.Atoi(status)
		if err != nil {
			return nil, fmt.Errorf("%s %s answers %q, which is no status", o.Method, path, status)
		}
		o.Statuses = append(o.Statuses, n)
	}

	// An empty list is not absent: it opens the operation to everyone.
	security := at.get("security")
	if security.value == nil {
		security = d.root.get("security")
	}
	for _, way := range security.items() {
		for _, name := range way.keys() {
			o.schemes = append(o.schemes, d.root.get("components").get("securitySchemes").get(name).get("scheme").text())
		}
	}

	return o, nil
}

// Find returns the operation that a method and an escaped path lead to, or nil. A literal
// path wins over one with a parameter.
func (d *Document) Find(method, path string) (found *Operation) {
	for _, o := range d.Operations {
		if o.Method != method || o.values(path) == nil {
			continue
		}
		if found == nil || strings.Count(o.Path, "{") < strings.Count(found.Path, "{") {
			found = o
		}
	}

	return found
}

// values returns the values of a path's parameters, or nil if the path is not of this form.
func (o *Operation) values(path string) map[string]string {
	want, got := strings.Split(o.Path, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return nil
	}

	found := map[string]string{}
	for i, segment := range want {
		// Each segment is decoded on its own, so that an escaped slash stays within its
		// value.
		value, err := url.PathUnescape(got[i])
		before, name, parameter := strings.Cut(segment, "{")
		name, after, _ := strings.Cut(name, "}")
		switch {
		case err != nil, !strings.HasPrefix(value, before), !strings.HasSuffix(value, after):
			return nil
		// A segment may have text around its parameter, such as a suffix.
		case parameter && len(value) > len(before)+len(after):
			found[name] = value[len(before) : len(value)-len(after)]
		case parameter || value != segment:
			return nil
		}
	}

	return found
}

// Schemas returns the names of the schemas to which others refer.
func (d *Document) Schemas() []string { return d.root.get("components").get("schemas").keys() }

// SecuritySchemes returns the names of the ways to sign in.
func (d *Document) SecuritySchemes() []string {
	return d.root.get("components").get("securitySchemes").keys()
}

// Schema returns the schema with this name, or nil.
func (d *Document) Schema(t testing.TB, name string) *jsonschema.Schema {
	t.Helper()
	all := d.root.get("components").get("schemas")
	if !slices.Contains(all.keys(), name) {
		return nil
	}

	s, err := all.schema(name)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// place is a value of the document, with its JSON pointer. A value of nil means that it is
// absent.
type place struct {
	in    *Document
	at    string
	value any
}

// get returns a member, or what the member refers to.
func (p place) get(name string) place {
	of, _ := p.value.(map[string]any)
	return p.in.follow(place{p.in, p.at + "/" + pointer.Replace(name), of[name]})
}

// items returns the items of a list, or what they refer to.
func (p place) items() (all []place) {
	list, _ := p.value.([]any)
	for i, v := range list {
		all = append(all, p.in.follow(place{p.in, p.at + "/" + strconv.Itoa(i), v}))
	}
	return all
}

// keys returns the names of an object's members, sorted.
func (p place) keys() []string {
	of, _ := p.value.(map[string]any)
	return slices.Sorted(maps.Keys(of))
}

// text returns a string, or "" for anything else.
func (p place) text() string {
	s, _ := p.value.(string)
	return s
}

// schema returns the compiled schema of a member, or nil if there is none. The compiler
// resolves references. The lock is needed because the compiler is not safe for concurrent
// use.
func (p place) schema(name string) (*jsonschema.Schema, error) {
	if of, _ := p.value.(map[string]any); of[name] == nil {
		return nil, nil
	}
	p.in.compiling.Lock()
	defer p.in.compiling.Unlock()
	return p.in.compiler.Compile(resource + "#" + (&url.URL{Path: p.at + "/" + pointer.Replace(name)}).EscapedPath())
}

// pointer escapes a name for a JSON pointer (RFC 6901), and plain takes it back.
var (
	pointer = strings.NewReplacer("~", "~0", "/", "~1")
	plain   = strings.NewReplacer("~1", "/", "~0", "~")
)

// follow returns what a place refers to, or the place itself.
func (d *Document) follow(p place) place {
	of, _ := p.value.(map[string]any)
	ref, ok := of["$ref"].(string)
	if !ok {
		return p
	}

	to := d.root
	for name := range strings.SplitSeq(strings.TrimPrefix(ref, "#/"), "/") {
		to = to.get(plain.Replace(name))
	}
	return to
}

// OnlyUsers reports whether the operation accepts no API key.
func (o *Operation) OnlyUsers() bool {
	ways := o.at.get("security").items()
	return len(ways) == 1 && slices.Contains(ways[0].keys(), "user")
}
