package harness

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/paylink/paylink/internal/await"
)

// Shop is a merchant's webhook receiver: it accepts only what it can verify.
type Shop struct {
	t      testing.TB
	server *httptest.Server

	mu      sync.Mutex
	hook    *standardwebhooks.Webhook
	types   []string
	bodies  []string
	refused []string
	closed  bool // answers 503
	knocked int  // while it was closed
}

// OpenShop starts a shop, which Register makes an endpoint.
func OpenShop(t testing.TB) *Shop {
	t.Helper()
	s := &Shop{t: t}
	s.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.closed {
			s.knocked++
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		var event struct{ ID, Type string }
		if err == nil {
			err = s.hook.Verify(body, r.Header)
		}
		if err == nil {
			err = json.Unmarshal(body, &event)
		}
		if err != nil || event.ID != r.Header.Get("webhook-id") {
			s.refused = append(s.refused, string(body))
			w.WriteHeader(http.StatusBadRequest)
			return
		}
		s.types, s.bodies = append(s.types, event.Type), append(s.bodies, string(body))
	}))
	t.Cleanup(s.server.Close)
	return s
}

// Shut makes the shop answer 503, or succeed again.
func (s *Shop) Shut(closed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = closed
}

// Knocks returns the number of deliveries while the shop was shut.
func (s *Shop) Knocks() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.knocked
}

// Register makes the shop an endpoint of the merchant.
func (s *Shop) Register(key *Client) {
	s.t.Helper()
	e := key.OK("POST", "/api/webhook-endpoints", `{"url":"`+s.server.URL+`/hooks"}`)
	hook, err := standardwebhooks.NewWebhook(Str(s.t, e, "secret"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hook = hook
}

// Heard waits for events of these types.
func (s *Shop) Heard(types ...string) {
	s.t.Helper()
	for _, want := range types {
		await.Until(s.t, "a verified webhook "+want, func() bool {
			s.mu.Lock()
			defer s.mu.Unlock()
			return slices.Contains(s.types, want)
		})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.refused) > 0 {
		s.t.Errorf("deliveries that do not verify: %v", s.refused)
	}
}

// Received are the bodies of all deliveries.
func (s *Shop) Received() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.bodies, "\n")
}
