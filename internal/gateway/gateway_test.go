package gateway_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/paylink/paylink/internal/gateway"
)

func TestProbes(t *testing.T) {
	var broken error
	mux := http.NewServeMux()
	gateway.Health(mux, func(context.Context) error { return broken })
	answer := func(method, path string) *httptest.ResponseRecorder {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequestWithContext(t.Context(), method, path, nil))
		return rec
	}
	for path, statuses := range map[string][2]int{"/healthz": {200, 200}, "/readyz": {200, 503}} {
		for i, err := range []error{nil, errors.New("the store is away")} {
			broken = err
			if rec := answer(http.MethodGet, path); rec.Code != statuses[i] {
				t.Errorf("%s: %d, want %d", path, rec.Code, statuses[i])
			}
		}
		if rec := answer(http.MethodPost, path); rec.Code != http.StatusMethodNotAllowed || rec.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %d, Allow %q", path, rec.Code, rec.Header().Get("Allow"))
		}
	}
}
