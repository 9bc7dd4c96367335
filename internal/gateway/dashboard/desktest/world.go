// Package desktest runs paylink behind its dashboard, for the tests of the dashboard's
// pages.
package desktest

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

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/gateway/dashboard"
	"github.com/paylink/paylink/internal/gateway/dashboard/forms"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/pages"
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
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
)

// World is paylink behind its dashboard. Every service is the real one on a database of the
// test, and a merchant is signed in with a browser's cookies.
type World struct {
	T         *testing.T
	Server    *httptest.Server
	Client    *http.Client
	Store     *sqlstore.Store
	Links     *link.Local
	Coord     *coordinator.Local
	Merchants *merchant.Local
	Ring      *keyring.Ring
	Hooks     *notify.Local
	Seal      func([]byte) []byte // a webhook's body, as the notifier keeps it
	Mails     *office.Local
	Account   string
	Reports   *projection.Reports
	Analytics *projection.Analytics
	Rulebook  *rulebook.Local
	Dashboard *dashboard.Dashboard
	analyst   *analyst
}

// The merchant who is signed in.
const (
	Username = "maria"
	Password = "correct horse battery"
)

// nowhere is a queue that drops everything: these tests send no webhook.
type nowhere struct{}

// Enqueue implements notify.Queue.
func (nowhere) Enqueue(context.Context, []notify.Job) error { return nil }

// New returns a new world, with maria signed in.
func New(t *testing.T) *World { t.Helper(); return NewWith(t, nil) }

// Confirm records that maria reads mail at her address.
func (w *World) Confirm() {
	w.T.Helper()
	// Without the email and its link: the tests of the users service follow those.
	u, err := w.Store.UserByLogin(w.T.Context(), Username)
	if err == nil {
		err = w.Store.Apply(w.T.Context(), merchant.Change{At: time.Now(), Confirmed: u.ID, ConfirmedEmail: u.Email})
	}
	if err != nil {
		w.T.Fatal(err)
	}
}

// NewWith is New with another configuration of the users service. maria signs up in one
// that is open to everyone, so that change may close sign-ups.
func NewWith(t *testing.T, change func(*merchant.Config)) *World {
	t.Helper()
	dir, now := t.TempDir(), time.Now
	store := sqltest.Open(t, "sqlite:"+filepath.Join(dir, "paylink.db"))
	// The issuer keeps a book of its own, as in production.
	sim, err := simulator.New(simulator.Config{BookPath: filepath.Join(dir, "book"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })

	w := &World{T: t, Store: store}
	w.follow(filepath.Join(dir, "reports.db"))
	w.analyse(filepath.Join(dir, "analytics.db"))
	// The server exists before the services, because they need its address.
	mux := http.NewServeMux()
	w.Server = httptest.NewServer(mux)
	t.Cleanup(w.Server.Close)

	ring, log := keyring.NewMemory(now()), slog.New(slog.DiscardHandler)
	public := w.Server.URL
	w.Links = link.NewLocal(link.LocalConfig{Ring: ring, Store: store, PublicURL: public, Now: now})
	w.Coord = coordinator.New(coordinator.Config{Payments: store, Links: store, Connectors: []issuer.Connector{sim}, LinkURL: w.Links.URL,
		Ring: ring, Now: now, Log: log,
		Fraud: byEmail{}, FraudBudget: time.Minute})
	known := []merchant.Connector{{Name: sim.Name(), Capabilities: sim.Capabilities()}}
	users := merchant.Config{Users: store, Keys: store, Sessions: store, Access: store, Activity: store,
		Ring: ring, PublicURL: public, Now: now,
		Connectors: known}
	if change != nil {
		change(&users)
	}
	w.Ring, w.Merchants = ring, merchant.New(users)
	// maria signs up through a service that allows it, on the same store.
	users.SignUp = merchant.Open
	signUps := merchant.New(users)
	w.Hooks = notify.New(notify.Config{Store: store, Queue: nowhere{}, Now: now, Keys: notify.Keys{
		Seal:   func(b []byte) []byte { return ring.Seal(keyring.WebhookSeal, b, nil) },
		Unseal: func(b []byte) ([]byte, error) { return ring.Unseal(keyring.WebhookSeal, b, nil) },
	}})
	w.Seal = func(b []byte) []byte { return ring.Seal(keyring.WebhookSeal, b, nil) }

	server := mailtest.Start(t, mailtest.Options{})
	settings, err := smtp.Parse(server.URL())
	if err != nil {
		t.Fatal(err)
	}
	settings.TLS = server.TLS()
	carrier := smtp.New(settings)
	t.Cleanup(func() { _ = carrier.Close() })
	w.Mails = office.New(office.Config{Outbox: store, Readers: store, DeadLetters: store, Payments: store, Links: store, Ring: ring,
		Carrier: carrier,
		From:    "Payments <pay@shop.example>", PublicURL: public, Now: now, Log: log})

	w.analyst = &analyst{Analytics: w.Analytics}
	w.Rulebook = rulebook.New(rulebook.Config{Store: store, Now: now, Log: log})
	d, err := dashboard.New(dashboard.Config{
		Config: frame.Config{Merchants: w.Merchants, PublicURL: public, Now: now, Log: log,
			Render: answer.Faces{"": api.Renderer{PublicURL: public, Now: now}.Shapes()}.Render,
			Seal:   func(b, with []byte) ([]byte, error) { return ring.Seal(keyring.AnswerSeal, b, with), nil },
			Unseal: func(b, with []byte) ([]byte, error) { return ring.Unseal(keyring.AnswerSeal, b, with) },
			MAC:    ring.Authenticator(keyring.MACKey)},
		Links: w.Links, Forms: w.Links, FormPages: formPages(t, w.Links, public), Payments: store, Reports: w.Reports, Transactions: w.Coord,
		Webhooks: w.Hooks, Mail: w.Mails, Fraud: fraud.Services{Analyst: w.analyst, Rulebook: w.Rulebook,
			Backtester: learning.NewLocalBacktester(w.analyst, now)}, Connectors: known,
		Records: dashboard.Records{Users: store, Links: store, Transactions: store, Webhooks: store, Fraud: store},
	})
	if err != nil {
		t.Fatal(err)
	}

	d.Register(mux)
	w.Dashboard = d
	up, err := signUps.SignUp(t.Context(), merchant.SignUpRequest{Username: Username, Email: "maria@example.com", Password: Password}, nil)
	if err != nil {
		t.Fatal(err)
	}
	w.Account = up.Account.ID
	// The merchant signs in by the real form.
	w.Client = w.Stranger()
	w.Post("/dashboard/sign-in", url.Values{"login": {Username}, "password": {Password}})
	return w
}

// follow keeps the reports up to date with the feed, as a server does.
func (w *World) follow(path string) {
	w.T.Helper()
	var err error
	if w.Reports, err = projection.OpenReports(w.T.Context(), w.Store.Feed, path, slog.New(slog.DiscardHandler)); err != nil {
		w.T.Fatal(err)
	}
	w.runs(w.Reports.Run, w.Reports.Close)
}

// analyse keeps the analytics store up to date with the feed, as a server does.
func (w *World) analyse(path string) {
	w.T.Helper()
	var err error
	if w.Analytics, err = projection.OpenAnalytics(w.T.Context(), w.Store.Feed, w.Store.Pages(), path,
		slog.New(slog.DiscardHandler)); err != nil {
		w.T.Fatal(err)
	}
	w.runs(w.Analytics.Run, w.Analytics.Close)
}

// runs runs a consumer until the test ends, and fails the test if it or end fails.
func (w *World) runs(run func(context.Context) error, end func() error) {
	ctx, cancel := context.WithCancel(w.T.Context())
	ended := make(chan error, 1)
	go func() { ended <- run(ctx) }()
	w.T.Cleanup(func() {
		cancel()
		if err := errors.Join(<-ended, end()); err != nil {
			w.T.Error(err)
		}
	})
}

// Reported waits until the reports contain everything that was committed.
func (w *World) Reported() { w.T.Helper(); w.caughtUp("reports", w.Reports.Lag) }

// caughtUp waits until a consumer is not behind.
func (w *World) caughtUp(what string, lag func(context.Context) (int64, error)) {
	w.T.Helper()
	w.Until("the "+what+" catch up", func() bool {
		n, err := lag(w.T.Context())
		if err != nil {
			w.T.Fatal(err)
		}
		return n == 0
	})
}

// Until polls until something that comes by itself has happened.
func (w *World) Until(what string, done func() bool) {
	w.T.Helper()
	await.Until(w.T, what, done)
}

// Stranger returns a browser that is not signed in.
func (w *World) Stranger() *http.Client {
	// Cookies are kept as a browser keeps them.
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// Page is a response, after the redirects that a browser follows.
type Page struct {
	Status int
	Header http.Header
	Path   string
	Body   string
}

// Do sends a request, as a form if there is one; headers are pairs of name and value.
func (w *World) Do(c *http.Client, method, path string, form url.Values, headers ...string) Page {
	w.T.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequestWithContext(w.T.Context(), method, w.Server.URL+path, body)
	if err != nil {
		w.T.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		// A browser says this of a form of our own page. Without it the form would be
		// refused as one of another site.
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}

	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}

	resp, err := c.Do(req)
	if err != nil {
		w.T.Fatal(err)
	}
	// Tests compare the whole text, so it is read at once.
	raw, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		w.T.Fatal(err)
	}
	for _, tag := range loads.FindAllString(string(raw), -1) {
		if !strings.Contains(tag, ` integrity="sha384-`) {
			w.T.Errorf("%s loads a file without its hash: %s", path, tag)
		}
	}
	return Page{resp.StatusCode, resp.Header, resp.Request.URL.RequestURI(), string(raw)}
}

// loads finds what a page loads and runs.
var loads = regexp.MustCompile(`<script [^>]*>|<link [^>]*rel="stylesheet"[^>]*>`)

// Get reads a page as the merchant, and fails the test unless the status is 200.
func (w *World) Get(path string, headers ...string) Page {
	w.T.Helper()
	p := w.Do(w.Client, http.MethodGet, path, nil, headers...)
	if p.Status != http.StatusOK {
		w.T.Fatalf("GET %s answered %d: %s", path, p.Status, p.Body)
	}
	return p
}

// Post sends a form as the merchant, and returns the page that the browser shows then.
func (w *World) Post(path string, form url.Values, headers ...string) Page {
	w.T.Helper()
	return w.Do(w.Client, http.MethodPost, path, form, headers...)
}

// hiddenValue finds the hidden fields of a form.
var hiddenValue = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)"`)

// Sent returns the form of the page with its hidden values, and those given.
func (w *World) Sent(p Page, more url.Values) url.Values {
	w.T.Helper()
	form := url.Values{"attempt": {w.Attempt(p)}}
	// Only fields of the page itself: the header of the page has forms, too.
	for _, m := range hiddenValue.FindAllStringSubmatch(p.Body[strings.Index(p.Body, "<main"):], -1) {
		form.Set(m[1], m[2])
	}
	for k, v := range more {
		form[k] = v
	}
	return form
}

// Moves types the amount, and confirms the page that repeats it. It returns what was
// confirmed, so that it can be sent again, and the page after it.
func (w *World) Moves(path, amount string) (url.Values, Page) {
	w.T.Helper()
	said := w.Post(path, w.Sent(w.Get(path), url.Values{"amount": {amount}}))
	if said.Status != http.StatusOK {
		w.T.Fatalf("%s of %q is answered %d: %s", path, amount, said.Status, said.Body)
	}
	form := w.Sent(said, nil)
	return form, w.Post(path, form)
}

// attemptValue finds the attempt id of a form.
var attemptValue = regexp.MustCompile(`name="attempt" value="([^"]+)"`)

// Attempt returns the attempt id of the page's form, or fails the test.
func (w *World) Attempt(p Page) string {
	w.T.Helper()
	m := attemptValue.FindStringSubmatch(p.Body)
	if m == nil {
		w.T.Fatalf("no attempt in %s: %s", p.Path, p.Body)
	}
	return m[1]
}

// Link makes a link of 12.50 EUR in test mode, as changed by change.
func (w *World) Link(change func(*link.CreateRequest)) link.Link {
	w.T.Helper()
	account, err := w.Merchants.GetAccount(w.T.Context(), w.Account)
	if err != nil {
		w.T.Fatal(err)
	}
	r := link.CreateRequest{Account: account.ID, Payee: account.Name, Mode: link.Test, Amount: "12.50", Currency: "EUR"}
	for _, m := range account.Methods {
		r.Methods = append(r.Methods, link.Method{ID: m.ID, Type: m.Type, Issuer: m.Issuer, Currencies: m.Currencies, Enabled: true, Test: true})
	}

	if change != nil {
		change(&r)
	}
	l, err := w.Links.Create(w.T.Context(), r)
	if err != nil {
		w.T.Fatal(err)
	}
	return l
}

// Pay pays a link with a card, whose number decides what the issuer answers.
func (w *World) Pay(l link.Link, number string, change func(*payment.Submit)) payment.Payment {
	w.T.Helper()
	// Everything about the card except its number is valid.
	card, err := issuer.NewCard(number, 12, time.Now().Year()+2, "123", "", time.Now())
	if err != nil {
		w.T.Fatal(err)
	}
	s := payment.Submit{Link: l, Attempt: "attempt-" + l.ID + "-" + number[len(number)-4:], Amount: l.Amount, Card: card,
		PayerName: "Ada Payer", PayerEmail: "ada@example.com"}
	if change != nil {
		change(&s)
	}
	p, err := w.Coord.Submit(w.T.Context(), s)
	if err != nil {
		w.T.Fatal(err)
	}
	return p
}

// Has checks that the page contains each text.
func (p Page) Has(t *testing.T, wants ...string) {
	t.Helper()
	for _, s := range wants {
		if !strings.Contains(p.Body, s) {
			t.Errorf("%s (%d) lacks %q: %s", p.Path, p.Status, s, p.Body)
		}
	}
}

// Lacks checks that the page contains none of the texts.
func (p Page) Lacks(t *testing.T, unwanted ...string) {
	t.Helper()
	for _, s := range unwanted {
		if strings.Contains(p.Body, s) {
			t.Errorf("%s (%d) has %q", p.Path, p.Status, s)
		}
	}
}

var _ idempotency.Store = (*sqlstore.Store)(nil)

// Cards that are approved and declined, and a text that must be escaped wherever it is
// shown.
const (
	Good      = "4242424242424242"
	Declining = "4000000000000002"
	Hostile   = `"><script>alert(1)</script><img src=x onerror=alert(2)>`
)

// Paid makes a link and pays it.
func (w *World) Paid() payment.Payment { return w.Pay(w.Link(nil), Good, nil) }

// Payment reads a payment of the account.
func (w *World) Payment(id string) payment.Payment {
	w.T.Helper()
	p, err := w.Store.GetPayment(w.T.Context(), w.Account, id)
	if err != nil {
		w.T.Fatal(err)
	}
	return p
}

// Walk follows a list's pages to their end, and checks that each wanted payment is on
// exactly one.
func (w *World) Walk(path string, want map[string]bool) {
	w.T.Helper()
	// The page is read as a person uses it: by the links of its rows and the one to the
	// next page.
	row := regexp.MustCompile(`class="rowlink" href="/dashboard/test/payments/(pay_[a-z0-9]+)"`)
	older := regexp.MustCompile(`rel="next" href="([^"]+)"`)
	// More pages than that mean that a link leads back.
	for most := len(want)/10 + 2; path != ""; most-- {
		p := w.Get(path)
		for _, m := range row.FindAllStringSubmatch(p.Body, -1) {
			// A payment is removed when it is seen, so a second time counts as unknown.
			if !want[m[1]] {
				w.T.Errorf("%s is shown twice, or is nobody's", m[1])
			}
			delete(want, m[1])
		}
		path = ""
		if m := older.FindStringSubmatch(p.Body); m != nil {
			path = strings.ReplaceAll(m[1], "&amp;", "&")
		}
		if most < 0 {
			w.T.Fatal("the pages have no end")
		}
	}

	if len(want) > 0 {
		w.T.Errorf("%d payments are on no page", len(want))
	}
}

// SecretValue finds the secret on the page that shows it.
var SecretValue = regexp.MustCompile(`id="secret" type="text" readonly value="(whsec_[^"]+|[^"]+)"`)

// Endpoint adds an endpoint by the form, and returns its path and its secret.
func (w *World) Endpoint(form url.Values) (path, secret string) {
	w.T.Helper()
	if !form.Has("which") {
		form.Set("which", "every")
	}
	form.Set("attempt", w.Attempt(w.Get("/dashboard/test/webhooks"+"/new")))
	p := w.Post("/dashboard/test/webhooks", form)
	// The secret is shown on this page only.
	m := SecretValue.FindStringSubmatch(p.Body)
	if p.Status != http.StatusOK || m == nil {
		w.T.Fatalf("%d: %s", p.Status, p.Body)
	}
	// The newest endpoint is the first of the list.
	all, err := w.Hooks.List(w.T.Context(), w.Account, link.Test)
	if err != nil || len(all) == 0 {
		w.T.Fatal(err)
	}
	return "/dashboard/test/webhooks" + "/" + all[0].ID, m[1]
}

// formPages returns the real pages of payers, as far as previews of forms need them.
func formPages(t *testing.T, links *link.Local, public string) forms.PayerPages {
	t.Helper()
	p, err := pages.New(pages.Config{Links: links, Forms: noLinks{links}, Now: time.Now, Log: slog.New(slog.DiscardHandler),
		PublicURL: public})
	if err != nil {
		t.Fatal(err)
	}
	// The script and its hash, as a snippet names them.
	src, integrity := pages.Embed(public)
	return forms.PayerPages{Script: src, Integrity: integrity, Preview: p.PreviewForm}
}

// noLinks are forms that are never filled in here.
type noLinks struct{ link.PublicForms }

// Fill panics, because no test of the dashboard pays a form.
func (noLinks) Fill(context.Context, link.Form, link.FormLinkRequest) (link.Link, error) {
	panic("a form of the dashboard's tests was filled in")
}

// analyst is the analytics store, whose figures a test may replace: a model and months of
// labels take longer to make than a test has.
type analyst struct {
	*projection.Analytics

	figures *history.Figures
}

// Figures implements history.Analyst.
func (a *analyst) Figures(ctx context.Context, account, mode string, from, to time.Time) (history.Figures, error) {
	if a.figures != nil {
		return *a.figures, nil
	}
	return a.Analytics.Figures(ctx, account, mode, from, to)
}

// Figures replaces the figures that the world's analyst returns from now on.
func (w *World) Figures(f history.Figures) { w.analyst.figures = &f }

// byEmail holds or blocks an attempt if the payer's address begins with that word.
type byEmail struct{ fraud.Assessor }

// Assess implements fraud.Assessor. A held attempt has every part that a page can show,
// some of it hostile.
func (byEmail) Assess(_ context.Context, a fraud.Attempt) (fraud.Verdict, error) {
	v := fraud.Verdict{FailOpen: true, Risk: payment.Risk{Action: payment.Allow, Why: "default", Basis: "no_model"}}
	switch name, _, _ := strings.Cut(a.Email, "@"); name {
	case "hold":
		v.Risk = payment.Risk{Action: payment.Hold, Why: "rule", Rule: "frl_1", Version: 3, Score: 81, Basis: "known", Model: "2026-11-01",
			Values: []payment.RiskValue{{Name: "card.attempted_1h", Value: "14"}, {Name: "note", Value: Hostile}},
			Reasons: []payment.RiskReason{{Feature: "card.attempted.1h", Value: 14, Share: 0.6},
				{Feature: "address.cards.1d", Value: 5, Share: 0.3}, {Feature: Hostile, Value: 1, Share: 0.1}},
			Shadow: []payment.ShadowHit{{Rule: Hostile, Version: 1, Action: payment.Block}}}
	case "block":
		v.Risk = payment.Risk{Action: payment.Block, Why: "list"}
	}

	return v, nil
}

// Analysed waits until the analytics store contains everything that was committed.
func (w *World) Analysed() { w.T.Helper(); w.caughtUp("analytics store", w.Analytics.Lag) }

// RuleAt finds the id of a rule in an address.
var RuleAt = regexp.MustCompile(`frl_[A-Za-z0-9]+`)

// MakeRule stores a rule by the form, and returns its id.
func (w *World) MakeRule(name, action, when, state string) string {
	w.T.Helper()
	form := url.Values{"name": {name}, "action": {action}, "when": {when}, "state": {state},
		"attempt": {w.Attempt(w.Get(FraudPath + "/rules/new"))}, "do": {"save"}}
	p := w.Post(FraudPath+"/rules", form)
	p.Has(w.T, "The rule is saved.", name)
	return RuleAt.FindString(p.Path)
}

// FraudPath is the address of the pages about fraud.
const FraudPath = "/dashboard/test/fraud"
