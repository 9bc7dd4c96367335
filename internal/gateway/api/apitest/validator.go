// Package apitest checks real HTTP exchanges against the API's document, in tests of every
// deployment of paylink.
package apitest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Validator returns a check of one exchange against the document. It fails the test if the
// response is not what the document says for its path, method and status, and if a request
// was accepted that the document forbids. An address outside the document may only answer
// 404 or 405. The bodies are passed separately, because those in req and resp may have been
// read already.
func Validator(t testing.TB) func(req *http.Request, reqBody []byte, resp *http.Response, respBody []byte) {
	t.Helper()
	d := Model(t)
	return func(req *http.Request, reqBody []byte, resp *http.Response, respBody []byte) {
		t.Helper()
		method := req.Method
		if method == http.MethodHead {
			method = http.MethodGet // which it is answered as
		}
		o := d.Find(method, req.URL.EscapedPath())
		// The API must not answer what the document does not know.
		if o == nil {
			if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s is not in the document and answered %d", req.Method, req.URL.Path, resp.StatusCode)
			}
			return
		}
		if req.Method == http.MethodHead {
			return // no body to judge
		}
		// A refused request may be anything; an accepted one must be allowed.
		if resp.StatusCode < http.StatusBadRequest {
			for _, wrong := range o.CheckRequest(req, reqBody) {
				t.Errorf("%s %s answered %d to a request that the document forbids: %s\n%s", req.Method, req.URL.Path, resp.StatusCode, wrong, reqBody)
			}
		}
		for _, wrong := range o.CheckAnswer(resp, respBody) {
			t.Errorf("%s %s answered %d against the document: %s\n%s", req.Method, req.URL.Path, resp.StatusCode, wrong, respBody)
		}
	}
}

// CheckRequest returns what the document forbids about a request for the operation.
func (o *Operation) CheckRequest(r *http.Request, body []byte) (wrong []string) {
	path, query := o.values(r.URL.EscapedPath()), r.URL.Query()
	if path == nil {
		return []string{r.URL.Path + " is not an address of " + o.Path}
	}

	// The parameters of path, query and header are checked in the same way, each against
	// its schema.
	known := map[string]bool{}
	for _, p := range o.Parameters {
		var values []string
		switch p.In {
		case "path":
			// The path matched, so it has the parameter.
			values = []string{path[p.Name]}
		case "query":
			known[p.Name], values = true, query[p.Name]
		case "header":
			values = r.Header.Values(p.Name)
		default:
			wrong = append(wrong, "parameters in "+p.In+" are not understood here")
		}
		if p.Required && len(values) == 0 {
			wrong = append(wrong, p.Name+" is missing")
		}
		for _, v := range values {
			wrong = append(wrong, judge(p.at, p.Name, inText(v))...)
		}
	}

	// The document lists every parameter, and the API refuses all others.
	for name := range query {
		if !known[name] {
			wrong = append(wrong, "the query has "+name)
		}
	}

	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	// The name of a scheme is not case-sensitive (RFC 9110). Which credentials are valid is
	// not for the document to say.
	if len(o.schemes) > 0 && !slices.Contains(o.schemes, strings.ToLower(scheme)) {
		wrong = append(wrong, fmt.Sprintf("it is authorised by %q, want one of %v", scheme, o.schemes))
	}
	return append(wrong, o.checkBody(r, body)...)
}

// checkBody returns what the document forbids about the body.
func (o *Operation) checkBody(r *http.Request, body []byte) []string {
	want := o.at.get("requestBody")
	switch {
	case want.value == nil:
		return nil
	case len(body) == 0 && want.get("required").value == true:
		return []string{"it has no body"}
	case len(body) == 0:
		return nil
	}

	return inMedia(want.get("content"), r.Header.Get("Content-Type"), body)
}

// CheckAnswer returns what the document forbids about a response of the operation: its
// status, headers and body.
func (o *Operation) CheckAnswer(resp *http.Response, body []byte) (wrong []string) {
	if !slices.Contains(o.Statuses, resp.StatusCode) {
		return []string{"the status is not known"}
	}

	want := o.at.get("responses").get(strconv.Itoa(resp.StatusCode))
	// A header that the document does not list is allowed: servers and proxies add their
	// own.
	for _, name := range want.get("headers").keys() {
		header, values := want.get("headers").get(name), resp.Header.Values(name)
		if header.get("required").value == true && len(values) == 0 {
			wrong = append(wrong, name+" is missing")
		}
		for _, v := range values {
			wrong = append(wrong, judge(header, name, inText(v))...)
		}
	}

	content := want.get("content")
	if len(content.keys()) > 0 {
		return append(wrong, inMedia(content, resp.Header.Get("Content-Type"), body)...)
	}

	// Without content in the document, only text that is no JSON may come.
	if len(body) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		wrong = append(wrong, "it has a body")
	}
	return wrong
}

// inMedia checks a body against the schema of its media type.
func inMedia(content place, kind string, body []byte) []string {
	// Parameters such as charset do not matter.
	media, _, err := mime.ParseMediaType(kind)
	if err != nil || !slices.Contains(content.keys(), media) {
		return []string{fmt.Sprintf("the type %q is not one of %v", kind, content.keys())}
	}

	var value any
	switch {
	case strings.HasSuffix(media, "json"):
		// This keeps numbers exact, and it refuses a second value after the first.
		if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
			return []string{"it is not JSON: " + err.Error()}
		}
	case media == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return []string{"it is not a form: " + err.Error()}
		}
		// The schema of a form is an object of strings. A repeated field counts once.
		fields := map[string]any{}
		for name := range form {
			fields[name] = form.Get(name)
		}
		value = fields
	default:
		value = string(body)
	}

	return judge(content.get(media), "the body", value)
}

// inText is a value of an address or a header, which writes numbers as text.
type inText string

// as returns the value in the type that the schema wants.
func (v inText) as(s *jsonschema.Schema) any {
	// The type may be behind several references.
	for s != nil && s.Ref != nil {
		s = s.Ref
	}
	// Only where the schema wants an integer: an id of digits stays text.
	if _, err := strconv.ParseInt(string(v), 10, 64); err == nil && s != nil && s.Types != nil &&
		slices.Contains(s.Types.ToStrings(), "integer") {
		return json.Number(v)
	}

	return string(v)
}

// judge checks a value against the schema of a place, and returns what is wrong with it.
func judge(at place, name string, value any) []string {
	s, err := at.schema("schema")
	if text, ok := value.(inText); ok {
		value = text.as(s)
	}
	if err == nil && s != nil {
		err = s.Validate(value)
	}
	if err != nil {
		return []string{name + ": " + err.Error()}
	}

	return nil
}
