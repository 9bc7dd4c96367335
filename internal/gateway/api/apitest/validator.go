// Package apitest holds the HTTP contract against real exchanges, for tests of
// every shape that paylink runs in.
package apitest

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/pb33f/libopenapi-validator/paths"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"

	apispec "github.com/paylink/paylink/docs/api"
)

// contract is the parsed document: parsing it takes a while, so once is enough.
var contract = sync.OnceValues(func() (*v3.Document, error) {
	doc, err := libopenapi.NewDocument(apispec.YAML)
	if err != nil {
		return nil, err
	}
	model, err := doc.BuildV3Model()
	if err != nil {
		return nil, err
	}
	return &model.Model, nil
})

// judge compiles every schema of the document, which takes longer still.
var judge = sync.OnceValue(func() validator.Validator {
	model, _ := contract() // a Validator has asked for it before
	return validator.NewValidatorFromV3Model(model, config.WithFormatAssertions(), config.WithContentAssertions())
})

// judging is held while the judge works: it makes no promise for two at a time.
var judging sync.Mutex

// Model is the parsed document.
func Model(t testing.TB) *v3.Document {
	t.Helper()
	m, err := contract()
	if err != nil {
		t.Fatalf("the OpenAPI document: %v", err)
	}
	return m
}

// Validator returns a check of one exchange against the document. It fails the
// test when the answer is not what the document says for its path, method and
// status, and when a request was accepted that the document forbids. An address
// outside the document may only answer 404 or 405. The bodies are those of the
// exchange; the ones in req and resp may have been read already.
func Validator(t testing.TB) func(req *http.Request, reqBody []byte, resp *http.Response, respBody []byte) {
	t.Helper()
	model := Model(t)
	v := judge()
	return func(req *http.Request, reqBody []byte, resp *http.Response, respBody []byte) {
		t.Helper()
		judging.Lock()
		defer judging.Unlock()
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(reqBody))
		if req.URL.Path == "" || undocumented(req, model) {
			if resp.StatusCode != http.StatusNotFound && resp.StatusCode != http.StatusMethodNotAllowed {
				t.Errorf("%s %s is not in the document and answered %d", req.Method, req.URL.Path, resp.StatusCode)
			}
			return
		}
		if req.Method == http.MethodHead {
			return // no body to judge
		}
		if resp.StatusCode < http.StatusBadRequest {
			if ok, errs := v.ValidateHttpRequestSync(req); !ok {
				for _, e := range errs {
					t.Errorf("%s %s answered %d to a request that the document forbids: %s: %s\n%s", req.Method, req.URL.Path, resp.StatusCode, e.Message, e.Reason, reqBody)
				}
			}
		}
		req.Body = io.NopCloser(bytes.NewReader(reqBody))
		copied := *resp
		copied.Body = io.NopCloser(bytes.NewReader(respBody))
		if !strings.Contains(resp.Header.Get("Content-Type"), "json") {
			checkMediaType(t, req, resp, model)
			return
		}
		if ok, errs := v.ValidateHttpResponse(req, &copied); !ok {
			for _, e := range errs {
				var details strings.Builder
				for _, s := range e.SchemaValidationErrors {
					details.WriteString("\n  " + s.FieldPath + ": " + s.Reason)
				}
				t.Errorf("%s %s answered %d against the document: %s: %s%s\n%s", req.Method, req.URL.Path, resp.StatusCode, e.Message, e.Reason, details.String(), respBody)
			}
		}
	}
}

func undocumented(req *http.Request, model *v3.Document) bool {
	item, errs, _ := paths.FindPath(req, model, nil)
	if item == nil {
		return true
	}
	if req.Method == http.MethodHead {
		return item.Get == nil
	}
	return len(errs) > 0 || item.GetOperations().GetOrZero(strings.ToLower(req.Method)) == nil
}

// checkMediaType judges an answer that is not JSON by its status and type.
func checkMediaType(t testing.TB, req *http.Request, resp *http.Response, model *v3.Document) {
	t.Helper()
	item, _, _ := paths.FindPath(req, model, nil)
	op := item.GetOperations().GetOrZero(strings.ToLower(req.Method))
	r := op.Responses.FindResponseByCode(resp.StatusCode)
	if r == nil {
		t.Errorf("%s %s answered %d, which the document does not know", req.Method, req.URL.Path, resp.StatusCode)
		return
	}
	kind, _, _ := strings.Cut(resp.Header.Get("Content-Type"), ";")
	if r.Content != nil && r.Content.Len() > 0 && r.Content.GetOrZero(kind) == nil {
		t.Errorf("%s %s answered %d as %q, which the document does not know", req.Method, req.URL.Path, resp.StatusCode, kind)
	}
}
