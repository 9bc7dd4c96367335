package dashboard_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/gateway/dashboard"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail/mailtest"
	"github.com/paylink/paylink/internal/mail/office"
	"github.com/paylink/paylink/internal/mail/smtp"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// world is paylink behind its dashboard, every box the real one on a database of
// its own, with a merchant who is signed in with a browser's cookies.
type world struct {
	t         *testing.T
	server    *httptest.Server
	client    *http.Client
	store     *sqlstore.Store
	links     *link.Local
	coord     *coordinator.Local
	merchants *merchant.Local
	ring      *keyring.Ring
	hooks     *notify.Local
	seal      func([]byte) []byte // a webhook's body, as the notifier keeps it
	mails     *office.Local
	account   string
	reports   *sqlstore.Reports
	analytics *sqlstore.Analytics
	rulebook  *rulebook.Local
	analyst   *analyst
}

const (
	username = "maria"
	password = "correct horse battery"
)

// nowhere is a queue that keeps nothing: these tests send no webhook.
type nowhere struct{}

func (nowhere) Enqueue(context.Context, []notify.Job) error { return nil }

func newWorld(t *testing.T) *world { t.Helper(); return newWorldWith(t, nil) }

// confirm records that maria reads mail under her address.
func (w *world) confirm() {
	w.t.Helper()
	u, err := w.store.UserByLogin(w.t.Context(), username)
	if err == nil {
		err = w.store.Apply(w.t.Context(), merchant.Change{At: time.Now(), Confirmed: u.ID, ConfirmedEmail: u.Email})
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// newWorldWith is newWorld with another box of users; maria signs up in an open one.
func newWorldWith(t *testing.T, change func(*merchant.Config)) *world {
	t.Helper()
	dir, now := t.TempDir(), time.Now
	path := filepath.Join(dir, "paylink.db")
	if _, _, err := sqlstore.Migrate(t.Context(), "sqlite:"+path); err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.OpenSQLite(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	sim, err := simulator.New(simulator.Config{BookPath: filepath.Join(dir, "book"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	w := &world{t: t, store: store}
	w.follow(filepath.Join(dir, "reports.db"))
	w.analyse(filepath.Join(dir, "analytics.db"))
	mux := http.NewServeMux()
	w.server = httptest.NewServer(mux)
	t.Cleanup(w.server.Close)
	ring, log := keyring.NewMemory(now()), slog.New(slog.DiscardHandler)
	public := w.server.URL
	w.links = link.NewLocal(link.LocalConfig{Ring: ring, Store: store, PublicURL: public, Now: now})
	w.coord = coordinator.New(coordinator.Config{Payments: store, Links: store, Connectors: []issuer.Connector{sim}, LinkURL: w.links.URL, Ring: ring, Now: now, Log: log,
		Fraud: byEmail{}, FraudBudget: time.Minute})
	known := []merchant.Connector{{Name: sim.Name(), Capabilities: sim.Capabilities()}}
	users := merchant.Config{Users: store, Keys: store, Sessions: store, Access: store, Ring: ring, PublicURL: public, Now: now, Connectors: known}
	if change != nil {
		change(&users)
	}
	w.ring, w.merchants = ring, merchant.New(users)
	users.SignUp = merchant.Open
	door := merchant.New(users)
	w.hooks = notify.New(notify.Config{Store: store, Queue: nowhere{}, Now: now, Keys: notify.Keys{
		Seal:   func(b []byte) []byte { return ring.Seal(keyring.WebhookSeal, b, nil) },
		Unseal: func(b []byte) ([]byte, error) { return ring.Unseal(keyring.WebhookSeal, b, nil) },
	}})
	w.seal = func(b []byte) []byte { return ring.Seal(keyring.WebhookSeal, b, nil) }
	server := mailtest.Start(t, mailtest.Options{})
	settings, err := smtp.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	settings.TLS = server.TLS()
	carrier := smtp.New(settings)
	t.Cleanup(func() { _ = carrier.Close() })
	w.mails = office.New(office.Config{Outbox: store, Readers: store, Parked: store, Payments: store, Links: store, Ring: ring, Carrier: carrier,
		From: "Payments <pay@shop.example>", PublicURL: public, Now: now, Log: log})
	w.analyst = &analyst{Analytics: w.analytics}
	w.rulebook = rulebook.New(rulebook.Config{Store: store, Now: now, Log: log})
	d, err := dashboard.New(dashboard.Config{Merchants: w.merchants, Links: w.links, Payments: store, Reports: w.reports, Transactions: w.coord, Webhooks: w.hooks, Mail: w.mails, Fraud: fraud.Box{Analyst: w.analyst, Rulebook: w.rulebook, Backtester: learning.NewLocalBacktester(w.analyst, now)},
		Forms: w.links, FormPages: formPages(t, w.links, public),
		Connectors: known, Records: dashboard.Records{Users: store, Links: store, Transactions: store, Webhooks: store, Fraud: store},
		Seal:   func(b, with []byte) ([]byte, error) { return ring.Seal(keyring.AnswerSeal, b, with), nil },
		Unseal: func(b, with []byte) ([]byte, error) { return ring.Unseal(keyring.AnswerSeal, b, with) },
		MAC:    func(b []byte) []byte { return ring.MAC(keyring.MACKey, b) },
		Render: answer.Faces{"": api.Renderer{PublicURL: public, Now: now}.Shapes()}.Render, PublicURL: public, Now: now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	d.Register(mux)
	up, err := door.SignUp(t.Context(), merchant.SignUpRequest{Username: username, Email: "maria@example.com", Password: password}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.account = up.Account.ID
	w.client = w.stranger()
	w.post("/dashboard/sign-in", url.Values{"login": {username}, "password": {password}})
	return w
}

// follow keeps the projection for people behind the store, as a server does.
func (w *world) follow(path string) {
	w.t.Helper()
	var err error
	if w.reports, err = sqlstore.OpenReports(w.t.Context(), w.store, path, slog.New(slog.DiscardHandler)); err != nil {
		w.t.Fatal(err)
	}
	w.runs(w.reports.Run, w.reports.Close)
}

// analyse keeps the analytics store behind the store, as a server does.
func (w *world) analyse(path string) {
	w.t.Helper()
	var err error
	if w.analytics, err = sqlstore.OpenAnalytics(w.t.Context(), w.store, path, slog.New(slog.DiscardHandler)); err != nil {
		w.t.Fatal(err)
	}
	w.runs(w.analytics.Run, w.analytics.Close)
}

func (w *world) runs(run func(context.Context) error, end func() error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	w.t.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, end()); err != nil {
			w.t.Error(err)
		}
	})
}

// reported waits until everything that was done is in the projection for people.
func (w *world) reported() { w.t.Helper(); w.caughtUp("reports", w.reports.Lag) }

func (w *world) caughtUp(what string, lag func(context.Context) (int64, error)) {
	w.t.Helper()
	w.until("the "+what+" catch up", func() bool {
		n, err := lag(w.t.Context())
		if err != nil {
			w.t.Fatal(err)
		}
		return n == 0
	})
}

// until waits for something that comes by itself.
func (w *world) until(what string, done func() bool) {
	w.t.Helper()
	limit, tick := time.After(3*time.Minute), time.NewTicker(10*time.Millisecond)
	defer tick.Stop()
	for {
		if done() {
			return
		}
		select {
		case <-tick.C:
		case <-limit:
			w.t.Fatalf("this did not happen: %s", what)
		}
	}
}

// stranger is a browser of its own, signed in nowhere.
func (w *world) stranger() *http.Client {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// page is an answer, after the redirects that a browser follows.
type page struct {
	status int
	header http.Header
	path   string
	body   string
}

// do sends a request; headers are pairs of name and value.
func (w *world) do(c *http.Client, method, path string, form url.Values, headers ...string) page {
	w.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.server.URL+path, body)
	if err != nil {
		w.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		w.t.Fatal(err)
	}
	return page{resp.StatusCode, resp.Header, resp.Request.URL.RequestURI(), string(raw)}
}

// get reads a page as the merchant, which must be there.
func (w *world) get(path string, headers ...string) page {
	w.t.Helper()
	p := w.do(w.client, http.MethodGet, path, nil, headers...)
	if p.status != http.StatusOK {
		w.t.Fatalf("GET %s answered %d: %s", path, p.status, p.body)
	}
	return p
}

// post sends a form as the merchant, and gives the page that the browser shows then.
func (w *world) post(path string, form url.Values, headers ...string) page {
	w.t.Helper()
	return w.do(w.client, http.MethodPost, path, form, headers...)
}

var hiddenValue = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// sent is the form of the page with its hidden values, and those given.
func (w *world) sent(p page, more url.Values) url.Values {
	w.t.Helper()
	form := url.Values{"attempt": {w.attempt(p)}}
	for _, m := range hiddenValue.FindAllStringSubmatch(p.body[strings.Index(p.body, "<main"):], -1) {
		form.Set(m[1], m[2])
	}
	for k, v := range more {
		form[k] = v
	}
	return form
}

// moves types the amount, and confirms the page that says it again. It returns what was
// confirmed, to be sent again, and the page after it.
func (w *world) moves(path, amount string) (url.Values, page) {
	w.t.Helper()
	said := w.post(path, w.sent(w.get(path), url.Values{"amount": {amount}}))
	if said.status != http.StatusOK {
		w.t.Fatalf("%s of %q is answered %d: %s", path, amount, said.status, said.body)
	}
	form := w.sent(said, nil)
	return form, w.post(path, form)
}

var attemptValue = regexp.MustCompile(`name="attempt" value="([^"]+)"`)

// attempt is the one that the page's form carries.
func (w *world) attempt(p page) string {
	w.t.Helper()
	m := attemptValue.FindStringSubmatch(p.body)
	if m == nil {
		w.t.Fatalf("no attempt in %s: %s", p.path, p.body)
	}
	return m[1]
}

// link makes a link of 12.50 EUR in test mode, but for what change does to it.
func (w *world) link(change func(*link.CreateRequest)) link.Link {
	w.t.Helper()
	account, err := w.merchants.GetAccount(w.t.Context(), w.account)
	if err != nil {
		w.t.Fatal(err)
	}
	r := link.CreateRequest{Account: account.ID, Payee: account.Name, Mode: link.Test, Amount: "12.50", Currency: "EUR"}
	for _, m := range account.Methods {
		r.Methods = append(r.Methods, link.Method{ID: m.ID, Type: m.Type, Issuer: m.Issuer, Currencies: m.Currencies, Enabled: true, Test: true})
	}
	if change != nil {
		change(&r)
	}
	l, err := w.links.Create(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// pay pays a link with a card; the number decides what the issuer says.
func (w *world) pay(l link.Link, number string, change func(*payment.Submit)) payment.Payment {
	w.t.Helper()
	card, err := issuer.NewCard(number, 12, time.Now().Year()+2, "123", "", time.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	s := payment.Submit{Link: l, Attempt: "attempt-" + l.ID + "-" + number[len(number)-4:], Amount: l.Amount, Card: card, PayerName: "Ada Payer", PayerEmail: "ada@example.com"}
	if change != nil {
		change(&s)
	}
	p, err := w.coord.Submit(w.t.Context(), s)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (p page) has(t *testing.T, wants ...string) {
	t.Helper()
	for _, s := range wants {
		if !strings.Contains(p.body, s) {
			t.Errorf("%s (%d) lacks %q: %s", p.path, p.status, s, p.body)
		}
	}
}

func (p page) lacks(t *testing.T, unwanted ...string) {
	t.Helper()
	for _, s := range unwanted {
		if strings.Contains(p.body, s) {
			t.Errorf("%s (%d) has %q", p.path, p.status, s)
		}
	}
}

var _ idempotency.Store = (*sqlstore.Store)(nil)
