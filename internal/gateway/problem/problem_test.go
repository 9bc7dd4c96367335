package problem_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/problem"
)

func write(t *testing.T, method string, err error) (*http.Response, problem.Problem, string) {
	t.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(problem.WithRequestID(t.Context(), "req_1"), method, "/", nil)
	problem.Write(w, r, err, "")
	var p problem.Problem
	body := w.Body.String()
	if body != "" {
		if err := json.Unmarshal([]byte(body), &p); err != nil {
			t.Fatalf("not JSON: %v: %s", err, body)
		}
	}
	res := w.Result()
	t.Cleanup(func() { _ = res.Body.Close() })
	return res, p, body
}

func TestEveryKindHasItsStatus(t *testing.T) {
	for _, c := range []struct {
		kind      fault.Kind
		status    int
		retryable bool
		header    string
	}{
		{fault.KindInternal, 500, true, ""},
		{fault.KindInvalid, 400, false, ""},
		{fault.KindUnauthenticated, 401, false, ""},
		{fault.KindDeclined, 402, false, ""},
		{fault.KindForbidden, 403, false, ""},
		{fault.KindNotFound, 404, false, ""},
		{fault.KindConflict, 409, false, ""},
		{fault.KindTooLarge, 413, false, ""},
		{fault.KindUnsupported, 415, false, ""},
		{fault.KindMismatch, 422, false, ""},
		{fault.KindRateLimited, 429, true, "1"},
		{fault.KindUnavailable, 503, true, "1"},
		{fault.Kind(250), 500, true, ""},
	} {
		res, p, _ := write(t, http.MethodPost, fault.New(c.kind, "some_code", "A sentence."))
		if res.StatusCode != c.status || p.Status != c.status || problem.Status(c.kind) != c.status {
			t.Errorf("kind %d: status %d, body %d, want %d", c.kind, res.StatusCode, p.Status, c.status)
		}
		if p.Retryable != c.retryable || res.Header.Get("Retry-After") != c.header {
			t.Errorf("kind %d: retryable %v, Retry-After %q", c.kind, p.Retryable, res.Header.Get("Retry-After"))
		}
		if p.Title == "" || p.RequestID != "req_1" || res.Header.Get("Content-Type") != problem.ContentType {
			t.Errorf("kind %d: incomplete: %+v", c.kind, p)
		}
		if c.status != 500 && (p.Code != "some_code" || p.Type != "/problems/some_code" || p.Detail != "A sentence.") {
			t.Errorf("kind %d: %+v", c.kind, p)
		}
		if (c.status == 401) != (res.Header.Get("WWW-Authenticate") != "") {
			t.Errorf("kind %d: WWW-Authenticate %q", c.kind, res.Header.Get("WWW-Authenticate"))
		}
	}
}

func TestParamAndRetryAfterAreSent(t *testing.T) {
	f := fault.Invalid("card.number", "card_number_invalid", "Mistyped.")
	if _, p, _ := write(t, http.MethodPost, fmt.Errorf("wrapped: %w", f)); p.Param != "card.number" || p.Code != "card_number_invalid" {
		t.Errorf("%+v", p)
	}
	res, p, _ := write(t, http.MethodPost, fault.Unavailable("issuer_down", 1500*time.Millisecond, nil, "Down."))
	if res.Header.Get("Retry-After") != "2" || !p.Retryable {
		t.Errorf("Retry-After %q, want rounded up", res.Header.Get("Retry-After"))
	}
}

func TestHeadHasNoBody(t *testing.T) {
	if res, _, body := write(t, http.MethodHead, fault.NotFound("link")); body != "" || res.StatusCode != 404 {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

func TestRunningOutOfTimeIsUnavailable(t *testing.T) {
	for _, err := range []error{context.DeadlineExceeded, fmt.Errorf("read: %w", context.Canceled)} {
		if res, p, _ := write(t, http.MethodPost, err); res.StatusCode != 503 || p.Code != "timeout" {
			t.Errorf("%v: %d %s", err, res.StatusCode, p.Code)
		}
	}
}

// FuzzInternalTextNeverLeaves wraps any text in every place an internal error
// may carry it; nothing of it may be in the answer.
func FuzzInternalTextNeverLeaves(f *testing.F) {
	for _, s := range []string{"dial tcp 10.0.0.7:5432: connection refused", "4242424242424242", `"}<script>`, "SELECT * FROM links", "/var/lib/paylink.db: no such file"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		secret := "begin~" + strings.ToValidUTF8(s, "?") + "~end"
		cause := errors.New(secret)
		for _, err := range []error{
			cause,
			fmt.Errorf("%s: %w", secret, cause),
			errors.Join(cause, context.DeadlineExceeded),
			fault.New(fault.KindInternal, "store_"+secret, "%s", secret),
			&fault.Error{Kind: fault.KindInvalid, Code: "x", Detail: "y", Cause: cause},
			fault.Unavailable("store_busy", 0, cause, "The store is busy."),
			fmt.Errorf("%s: %w", secret, fault.NotFound("link")),
		} {
			res, _, body := write(t, http.MethodPost, err)
			if strings.Contains(body, "begin~") || strings.Contains(body, "~end") {
				t.Fatalf("leaked: %s", body)
			}
			if res.StatusCode < 400 {
				t.Fatalf("status %d", res.StatusCode)
			}
		}
	})
}
