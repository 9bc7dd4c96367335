package api_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fraud"
	answers "github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/gateway/api/apitest"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
)

// world is paylink without its gateway's outer layers. Every service is the real one, on
// its own database.
type world struct {
	t       *testing.T
	config  api.Config
	mux     *http.ServeMux
	server  *httptest.Server
	store   *sqlstore.Store
	links   *link.Local
	coord   *coordinator.Local
	records *holding
	drain   chan struct{}
	check   func(*http.Request, []byte, *http.Response, []byte)
	token   string // of a signed-in user
	key     string // the secret of a key with every scope
	keyID   string

	mu       sync.Mutex
	answered map[string]map[int]bool // statuses by route
}

// nowhere is a queue that keeps jobs durable enough for these tests.
type nowhere struct{}

func (nowhere) Enqueue(context.Context, []notify.Job) error { return nil }

func newWorld(t *testing.T) *world {
	t.Helper()
	return newWorldWith(t, func(*sqlstore.Store, string) fraud.Services { return fraud.Services{} })
}

// newWorldWith has the service fraud that open makes on the store, in a folder.
func newWorldWith(t *testing.T, open func(*sqlstore.Store, string) fraud.Services) *world {
	t.Helper()
	dir, now := t.TempDir(), time.Now
	log := slog.New(slog.DiscardHandler)
	path := filepath.Join(dir, "paylink.db")
	store := sqltest.Open(t, "sqlite:"+path)
	sim, err := simulator.New(simulator.Config{BookPath: filepath.Join(dir, "book"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	ring := keyring.NewMemory(now())
	const public = "https://pay.example"
	links := link.NewLocal(link.LocalConfig{Ring: ring, Store: store, PublicURL: public, Now: now})
	connectors := []issuer.Connector{sim}
	services := open(store, dir)
	coord := coordinator.New(
		coordinator.Config{Payments: store, Links: store, Connectors: connectors, LinkURL: links.URL, Ring: ring, Now: now, Log: log,
			Fraud: services.Assessor, FraudBudget: time.Minute},
	)
	known := []merchant.Connector{{Name: sim.Name(), Capabilities: sim.Capabilities()}}
	merchants := merchant.New(merchant.Config{
		Users: store, Keys: store, Sessions: store, Clocks: store, Access: store, Activity: store,
		Ring: ring, PublicURL: public, Now: now,
		Connectors: known,
	})
	hooks := notify.New(notify.Config{Store: store, Queue: nowhere{}, Now: now, Keys: notify.Keys{
		Seal:   func(b []byte) []byte { return ring.Seal(keyring.WebhookSeal, b, nil) },
		Unseal: func(b []byte) ([]byte, error) { return ring.Unseal(keyring.WebhookSeal, b, nil) },
	}})
	records, drain := &holding{Store: store}, make(chan struct{})
	config := api.Config{
		Merchants: merchants, Links: links, Forms: links, Payments: store, Transactions: coord, Webhooks: hooks, Fraud: services,
		Connectors: known,
		Records:    api.Records{Users: records, Links: records, Transactions: records, Webhooks: records, Fraud: records},
		Guard: answers.NewGuard(answers.GuardConfig{
			Seal:   func(b, with []byte) ([]byte, error) { return ring.Seal(keyring.AnswerSeal, b, with), nil },
			Unseal: func(b, with []byte) ([]byte, error) { return ring.Unseal(keyring.AnswerSeal, b, with) },
			MAC:    ring.Authenticator(keyring.MACKey),
			Now:    now, Log: log}),
		JWKS: ring.JWKS, PublicURL: public, Now: now, Log: log, Drain: drain,
	}
	w := &world{
		t:        t,
		store:    store,
		links:    links,
		coord:    coord,
		records:  records,
		drain:    drain,
		check:    apitest.Validator(t),
		answered: map[string]map[int]bool{},
	}
	w.serve(config)
	w.ok("POST", "/api/users", "", `{"username":"maria","email":"maria@example.com","password":"correct horse battery"}`)
	w.token = w.ok("POST", "/api/sessions", "", `{"login":"maria","password":"correct horse battery"}`)["token"].(string)
	k := w.ok(
		"POST",
		"/api/api-keys",
		w.token,
		`{"name":"all","mode":"test","scopes":["links:read","links:write","payments:read","payments:write","webhooks:read","webhooks:write","events:read","balance:read","forms:read","forms:write","fraud:read","fraud:write"]}`,
	)
	w.key, w.keyID = k["secret"].(string), k["id"].(string)
	return w
}

// serve answers with another API from now on, on the same services and for the same users.
func (w *world) serve(c api.Config) {
	w.config, w.mux = c, http.NewServeMux()
	api.New(c).Register(w.mux)
	w.server = httptest.NewServer(w.mux)
	w.t.Cleanup(w.server.Close)
}

// holding keeps a request at the point where it looks for its record, for tests of
// what a second one hears meanwhile.
type holding struct {
	*sqlstore.Store
	hold func(key string)
}

func (h *holding) GetIdempotency(ctx context.Context, scope, key string) (*idempotency.Record, error) {
	if h.hold != nil {
		h.hold(key)
	}
	return h.Store.GetIdempotency(ctx, scope, key)
}

type answer struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

// do sends a request; headers are pairs of name and value.
func (w *world) do(method, path, bearer, body string, headers ...string) answer {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, strings.NewReader(body))
	if err != nil {
		w.t.Fatal(err)
	}
	if body != "" && !slices.Contains(headers, "Content-Type") {
		req.Header.Set("Content-Type", "application/json")
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	if w.check != nil {
		w.check(req, []byte(body), resp, raw)
	}
	w.note(req, resp.StatusCode)
	a := answer{status: resp.StatusCode, header: resp.Header, body: raw}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") && len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.json); err != nil {
			w.t.Fatalf("%s %s: %v: %s", method, path, err, raw)
		}
	}
	return a
}

// note keeps which statuses a route has answered.
func (w *world) note(req *http.Request, status int) {
	_, route := w.mux.Handler(req)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.answered[route] == nil {
		w.answered[route] = map[int]bool{}
	}
	w.answered[route][status] = true
}

func (w *world) ok(method, path, bearer, body string, headers ...string) map[string]any {
	w.t.Helper()
	a := w.do(method, path, bearer, body, headers...)
	if a.status != http.StatusOK {
		w.t.Fatalf("%s %s answered %d: %s", method, path, a.status, a.body)
	}
	return a.json
}

// refused asserts status, code and param of a problem.
func (w *world) refused(a answer, status int, code, param string) {
	w.t.Helper()
	got, _ := a.json["param"].(string)
	if a.status != status || a.json["code"] != code || got != param {
		w.t.Errorf("got %d %v %q, want %d %s %q: %s", a.status, a.json["code"], got, status, code, param, a.body)
	}
}

// pay makes a link and pays it with an approving card.
func (w *world) pay(extra string) payment.Payment { w.t.Helper(); return w.payAs(extra, "") }

// payAs is pay by somebody with an e-mail address.
func (w *world) payAs(extra, email string) payment.Payment {
	w.t.Helper()
	made := w.ok("POST", "/api/payment", w.key, `{"amount":"12.50","currency":"EUR"`+extra+`}`)
	token := strings.TrimPrefix(made["url"].(string), "https://pay.example/l/")
	l, err := w.links.Open(w.t.Context(), token)
	if err != nil {
		w.t.Fatal(err)
	}
	card, err := issuer.NewCard("4242424242424242", 12, time.Now().Year()+2, "123", "", time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	p, err := w.coord.Submit(
		w.t.Context(),
		payment.Submit{Link: l, Attempt: "attempt-" + l.ID, Card: card, PayerName: "=A1", PayerEmail: email},
	)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}
