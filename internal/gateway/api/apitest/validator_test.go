package apitest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

const small = `
openapi: 3.1.0
security: [{user: []}]
paths:
  /things/{thing}:
    parameters: [{$ref: '#/components/parameters/Thing'}]
    get:
      operationId: getThing
      parameters:
        - {name: limit, in: query, schema: {$ref: '#/components/schemas/Limit', description: items}}
        - {name: Since, in: header, required: true, schema: {type: string, format: date}}
      responses:
        '200':
          headers: {Age: {required: true, schema: {type: string, pattern: '^[0-9]+$'}}}
          content: {application/json: {schema: {$ref: '#/components/schemas/Thing'}}, text/plain: {schema: {type: string}}}
        '204': {description: nothing}
    post:
      operationId: setThing
      security: []
      requestBody:
        required: true
        content:
          application/json: {schema: {$ref: '#/components/schemas/Thing'}}
          application/x-www-form-urlencoded: {schema: {type: object, required: [name]}}
      responses: {'200': {description: done}}
  /things/all:
    get: {operationId: allThings, responses: {'200': {description: all}}}
  /~files/{name}.svg:
    get: {operationId: picture, responses: {'200': {content: {image/svg+xml: {schema: {type: string}}}}}}
components:
  securitySchemes: {user: {type: http, scheme: bearer}}
  parameters: {Thing: {name: thing, in: path, required: true, schema: {type: string, pattern: '^t_[a-z]+$'}}}
  schemas:
    Limit: {type: integer, minimum: 1}
    Thing:
      type: object
      required: [name]
      properties: {name: {type: string}, parent: {anyOf: [{$ref: '#/components/schemas/Thing'}, {type: 'null'}]}}
      additionalProperties: false
`

func document(t *testing.T) *Document {
	t.Helper()
	d, err := load([]byte(small))
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func TestFind(t *testing.T) {
	d := document(t)
	for address, want := range map[string]string{
		"GET /things/t_a": "getThing", "POST /things/t_a": "setThing", "GET /things/all": "allThings", "GET /~files/a%2Fb.svg": "picture",
		"GET /things": "", "GET /things/": "", "GET /things/a/b": "", "PUT /things/t_a": "", "GET /~files/.svg": "", "GET /~files/a.png": "",
		"GET /": "",
	} {
		method, path, _ := strings.Cut(address, " ")
		got := ""
		if o := d.Find(method, path); o != nil {
			got = o.ID
		}
		if got != want {
			t.Errorf("%s leads to %q, want %q", address, got, want)
		}
	}
}

func TestCheckRequest(t *testing.T) {
	d := document(t)
	for _, c := range []struct{ method, address, headers, body, wrong string }{
		{"GET", "/things/t_a?limit=3", "Authorization: Bearer x\nSince: 2026-01-31", "", ""},
		{"GET", "/things/a", "Authorization: Bearer x\nSince: 2026-01-31", "", "thing: "},
		{"GET", "/things/t_a?limit=0", "Authorization: Bearer x\nSince: 2026-01-31", "", "limit: "},
		{"GET", "/things/t_a?limit=many", "Authorization: Bearer x\nSince: 2026-01-31", "", "limit: "},
		{"GET", "/things/t_a?limit=1&limit=-1", "Authorization: Bearer x\nSince: 2026-01-31", "", "limit: "},
		{"GET", "/things/t_a?page=3", "Authorization: Bearer x\nSince: 2026-01-31", "", "the query has page"},
		{"GET", "/things/t_a", "Authorization: Basic x\nSince: 2026-01-31", "", `authorised by "Basic"`},
		{"GET", "/things/t_a", "Since: 2026-01-31", "", `authorised by ""`},
		{"GET", "/things/t_a", "Authorization: Bearer x", "", "Since is missing"},
		{"GET", "/things/t_a", "Authorization: Bearer x\nSince: 2026-02-31", "", "Since: "},
		{"POST", "/things/t_a", "Content-Type: application/json; charset=utf-8", `{"name":"a","parent":{"name":"b","parent":null}}`, ""},
		{"POST", "/things/t_a", "Content-Type: application/json", `{"name":"a","parent":{"nom":"b"}}`, "the body: "},
		{"POST", "/things/t_a", "Content-Type: application/json", `{"name":1}`, "the body: "},
		{"POST", "/things/t_a", "Content-Type: application/json", `{"name":`, "not JSON"},
		{"POST", "/things/t_a", "Content-Type: application/json", "", "it has no body"},
		{"POST", "/things/t_a", "Content-Type: text/plain", "a", `"text/plain" is not one of`},
		{"POST", "/things/t_a", "", "a", `"" is not one of`},
		{"POST", "/things/t_a", "Content-Type: application/x-www-form-urlencoded", "name=a", ""},
		{"POST", "/things/t_a", "Content-Type: application/x-www-form-urlencoded", "nom=a", "the body: "},
		{"POST", "/things/t_a", "Content-Type: application/x-www-form-urlencoded", "name=%", "not a form"},
	} {
		r := httptest.NewRequestWithContext(t.Context(), c.method, c.address, nil)
		r.Header = headers(c.headers)
		holds(
			t,
			c.method+" "+c.address+"\n"+c.headers+"\n"+c.body,
			d.Find(c.method, r.URL.EscapedPath()).CheckRequest(r, []byte(c.body)),
			c.wrong,
		)
	}
}

func TestCheckAnswer(t *testing.T) {
	d := document(t)
	for _, c := range []struct {
		status               int
		headers, body, wrong string
	}{
		{200, "Age: 1\nContent-Type: application/json", `{"name":"a"}`, ""},
		{200, "Age: 1\nContent-Type: text/plain", "a", ""},
		{204, "", "", ""},
		{201, "Age: 1\nContent-Type: application/json", `{"name":"a"}`, "the status is not known"},
		{200, "Content-Type: application/json", `{"name":"a"}`, "Age is missing"},
		{200, "Age: old\nContent-Type: application/json", `{"name":"a"}`, "Age: "},
		{200, "Age: 1\nContent-Type: application/json", `{}`, "the body: "},
		{200, "Age: 1\nContent-Type: application/json", `{"name":"a","more":1}`, "the body: "},
		{200, "Age: 1\nContent-Type: application/json", "", "not JSON"},
		{200, "Age: 1\nContent-Type: text/html", "a", `"text/html" is not one of`},
		{204, "Content-Type: application/json", `{}`, "it has a body"},
	} {
		holds(
			t,
			c.headers+"\n"+c.body,
			d.Find("GET", "/things/t_a").CheckAnswer(&http.Response{StatusCode: c.status, Header: headers(c.headers)}, []byte(c.body)),
			c.wrong,
		)
	}
}

func headers(lines string) http.Header {
	h := http.Header{}
	for line := range strings.Lines(lines) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		h.Add(name, value)
	}
	return h
}

func holds(t *testing.T, what string, got []string, want string) {
	t.Helper()
	switch {
	case want == "" && len(got) > 0:
		t.Errorf("%s\nis refused: %v", what, got)
	case want != "" && (len(got) != 1 || !strings.Contains(got[0], want)):
		t.Errorf("%s\nis refused for %v, want %q", what, got, want)
	}
}

// TestNoSentenceIsCut: in YAML a comma in an unquoted text between braces ends the
// text, and what follows becomes a member without a value.
func TestNoSentenceIsCut(t *testing.T) {
	var visit func(at string, v any)
	visit = func(at string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for name, member := range v {
				if member == nil {
					t.Errorf("%s has a member %q without a value: put the text before it in quotes", at, name)
				}
				if name != "value" && name != "example" { // what an example says may be null
					visit(at+"/"+name, member)
				}
			}
		case []any:
			for i, item := range v {
				visit(fmt.Sprintf("%s/%d", at, i), item)
			}
		}
	}
	visit("", Model(t).root.value)
}

// TestTheDocumentItself: every schema of it is one.
func TestTheDocumentItself(t *testing.T) {
	d := Model(t)
	for _, name := range d.Schemas() {
		if d.Schema(t, name) == nil {
			t.Errorf("%s is none", name)
		}
	}
	var visit func(p place)
	visited := 0
	visit = func(p place) {
		if _, err := p.schema("schema"); err != nil {
			t.Error(err)
		}
		visited++
		for _, name := range p.keys() {
			if name != "schema" && name != "examples" {
				visit(p.get(name))
			}
		}
		for _, item := range p.items() {
			visit(item)
		}
	}
	visit(d.root.get("paths"))
	if visited < 1000 {
		t.Errorf("only %d places", visited)
	}
}
