// Package apitest holds the HTTP contract against real exchanges, for tests of
// every shape that paylink runs in.
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

// Validator returns a check of one exchange against the document. It fails the
// test when the answer is not what the document says for its path, method and
// status, and when a request was accepted that the document forbids. An address
// outside the document may only answer 404 or 405. The bodies are those of the
// exchange; the ones in req and resp may have been read already.
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
		if o == nil {
			if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s is not in the document and answered %d", req.Method, req.URL.Path, resp.StatusCode)
			}
			return
		}
		if req.Method == http.MethodHead {
			return // no body to judge
		}
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

// CheckRequest tells what the document does not allow about a request for the operation.
func (o *Operation) CheckRequest(r *http.Request, body []byte) (wrong []string) {
	path, query := o.values(r.URL.EscapedPath()), r.URL.Query()
	if path == nil {
		return []string{r.URL.Path + " is not an address of " + o.Path}
	}
	known := map[string]bool{}
	for _, p := range o.Parameters {
		var values []string
		switch p.In {
		case "path":
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
	for name := range query {
		if !known[name] {
			wrong = append(wrong, "the query has "+name)
		}
	}
	scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if len(o.schemes) > 0 && !slices.Contains(o.schemes, strings.ToLower(scheme)) {
		wrong = append(wrong, fmt.Sprintf("it is authorised by %q, want one of %v", scheme, o.schemes))
	}
	return append(wrong, o.checkBody(r, body)...)
}

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

// CheckAnswer tells what the document does not allow about an answer of the operation.
func (o *Operation) CheckAnswer(resp *http.Response, body []byte) (wrong []string) {
	if !slices.Contains(o.Statuses, resp.StatusCode) {
		return []string{"the status is not known"}
	}
	want := o.at.get("responses").get(strconv.Itoa(resp.StatusCode))
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
	if len(body) > 0 && strings.Contains(resp.Header.Get("Content-Type"), "json") {
		wrong = append(wrong, "it has a body")
	}
	return wrong
}

// inMedia holds a body against what the document says for its type.
func inMedia(content place, kind string, body []byte) []string {
	media, _, err := mime.ParseMediaType(kind)
	if err != nil || !slices.Contains(content.keys(), media) {
		return []string{fmt.Sprintf("the type %q is not one of %v", kind, content.keys())}
	}
	var value any
	switch {
	case strings.HasSuffix(media, "json"):
		if value, err = jsonschema.UnmarshalJSON(bytes.NewReader(body)); err != nil {
			return []string{"it is not JSON: " + err.Error()}
		}
	case media == "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return []string{"it is not a form: " + err.Error()}
		}
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

// inText is a value of an address or a header, where a number is written as a text too.
type inText string

// as is the value as the schema wants it.
func (v inText) as(s *jsonschema.Schema) any {
	for s != nil && s.Ref != nil {
		s = s.Ref
	}
	if _, err := strconv.ParseInt(string(v), 10, 64); err == nil && s != nil && s.Types != nil && slices.Contains(s.Types.ToStrings(), "integer") {
		return json.Number(v)
	}
	return string(v)
}

// judge holds a value against the schema of what stands at a place.
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
