package harness

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	sdk "github.com/paylink/paylink/client"
)

// Receiver is a merchant's local server, which verifies what it gets.
type Receiver struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	got    []sdk.Event
	bad    int
}

// NewReceiver starts one that trusts no secret yet.
func NewReceiver(t testing.TB) *Receiver {
	t.Helper()
	r := &Receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		e, err := sdk.NewWebhookVerifier(r.secret).Request(req)
		if err != nil {
			r.bad++
			http.Error(w, "who are you?", http.StatusBadRequest)
			return
		}
		r.got = append(r.got, e)
		_, _ = io.WriteString(w, "thank you\nvery \x1b[31mmuch")
	}))
	t.Cleanup(r.Close)
	return r
}

// Trust sets the secret that webhooks are verified with.
func (r *Receiver) Trust(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret
}

// Events are those that verified, and the number of requests that did not.
func (r *Receiver) Events() (got []sdk.Event, bad int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.got), r.bad
}

// Types of the events that verified.
func (r *Receiver) Types() (all []string) {
	got, _ := r.Events()
	for _, e := range got {
		all = append(all, e.Type)
	}
	return all
}
