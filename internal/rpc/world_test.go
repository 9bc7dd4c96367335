package rpc_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/mail/office"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
)

const public = "https://pay.example"

// serviceSet holds all services as a gateway has them: the real ones, or clients.
type serviceSet struct {
	users        merchant.Service
	links        link.Service
	verifier     link.Verifier
	forms        link.FormService
	publicForms  link.PublicForms
	payments     payment.Reader
	reports      report.Service
	transactions coordinator.Service
	notifier     notify.Service
	mail         mail.Service
	records      api.Records
	assessor     fraud.Assessor
	models       learning.Catalog
	world        *world
}

// world is everything real: a database, an issuer, keys, and the services on them.
type world struct {
	t       *testing.T
	store   *sqlstore.Store
	reports *projection.Reports
	ring    *keyring.Ring
	sim     *simulator.Simulator
	local   serviceSet
	logs    *buffer
	log     *slog.Logger
	queue   *jobs
	// mailbox holds the emails that were sent.
	mailbox *mailbox
}

// mailbox is a mail server that keeps what it receives.
type mailbox struct {
	mu  sync.Mutex
	all []mail.Email
}

func (l *mailbox) Carry(_ context.Context, m mail.Email) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all = append(l.all, m)
	return nil
}

type buffer struct {
	mu  sync.Mutex
	all strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.all.String()
}

// jobs is a queue that keeps what it receives.
type jobs struct {
	mu  sync.Mutex
	all []notify.Job
}

func (q *jobs) Enqueue(_ context.Context, j []notify.Job) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.all = append(q.all, j...)
	return nil
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir, now := t.TempDir(), time.Now
	w := &world{t: t, ring: keyring.NewMemory(now()), logs: &buffer{}, queue: &jobs{}, mailbox: &mailbox{}}
	w.log = slog.New(slog.NewTextHandler(w.logs, nil))
	path := filepath.Join(dir, "paylink.db")
	w.store = sqltest.Open(t, "sqlite:"+path)
	var err error
	if w.reports, err = projection.OpenReports(t.Context(), w.store.Feed, filepath.Join(dir, "reports.db"), w.log); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.reports.Close() })
	if w.sim, err = simulator.New(simulator.Config{BookPath: filepath.Join(dir, "book"), Now: now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = w.sim.Close() })
	links := link.NewLocal(link.LocalConfig{Ring: w.ring, Store: w.store, PublicURL: public, Now: now})
	webhook := []byte("webhook")
	w.local = serviceSet{world: w, links: links, verifier: links, forms: links, publicForms: links, payments: w.store, reports: w.reports,
		users: merchant.New(
			merchant.Config{
				Users:      w.store,
				Keys:       w.store,
				Sessions:   w.store,
				Clocks:     w.store,
				Access:     w.store,
				Activity:   w.store,
				Ring:       w.ring,
				PublicURL:  public,
				Now:        now,
				Connectors: []merchant.Connector{{Name: simulator.Name, Capabilities: simulator.Capabilities()}},
			},
		),
		transactions: coordinator.New(
			coordinator.Config{
				Payments:    w.store,
				Links:       w.store,
				Connectors:  []issuer.Connector{w.sim},
				LinkURL:     links.URL,
				Ring:        w.ring,
				PublicURL:   public,
				Now:         now,
				Log:         w.log,
				Fraud:       byName{},
				FraudBudget: time.Second,
			},
		),
		notifier: notify.New(notify.Config{Store: w.store, Queue: w.queue, Now: now, Keys: notify.Keys{
			Seal:   func(b []byte) []byte { return w.ring.Seal(keyring.WebhookSeal, b, webhook) },
			Unseal: func(b []byte) ([]byte, error) { return w.ring.Unseal(keyring.WebhookSeal, b, webhook) }}}),
		mail: office.New(office.Config{Outbox: w.store, Readers: w.store, DeadLetters: w.store, Payments: w.store, Links: w.store, Ring: w.ring,
			Carrier: w.mailbox, From: "pay@shop.example", PublicURL: public, Now: now, Log: w.log}),
		assessor: fraud.NewLocal(fraud.LocalConfig{Feed: w.store, Now: now, Log: w.log}),
		models:   w.store,
		records:  api.Records{Users: w.store, Links: w.store, Transactions: w.store, Webhooks: w.store}}
	return w
}

func (w *world) tickets() rpc.Tickets {
	return rpc.Tickets{Render: answer.Faces{"": api.Renderer{PublicURL: public, Now: time.Now}.Shapes()}.Render,
		Seal: func(b, with []byte) ([]byte, error) { return w.ring.Seal(keyring.AnswerSeal, b, with), nil }}
}

func (w *world) cards() rpc.Cards { return rpc.Cards{Ring: w.ring} }

// everyService lists the services of a split deployment.
var everyService = append(rpc.Calls(rpc.GatewayService), rpc.GatewayService)

// rootFile writes a new root of the keys between services.
func rootFile(t *testing.T) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root.json")
	good(t, rpc.CreateRoot(root, time.Now().Add(-time.Minute)))
	return root
}

// exported writes the keys of a process that runs the services.
func exported(t *testing.T, root string, services ...string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "internal.json")
	_, err := rpc.ExportKeys(root, services, file)
	good(t, err)
	return file
}

// keysFile writes the keys of a process that runs every service, of a new root.
func keysFile(t *testing.T) string {
	t.Helper()
	return exported(t, rootFile(t), everyService...)
}

// credentials returns those of a process that runs every service.
func credentials(t *testing.T, file, tlsDir string) *rpc.Credentials {
	t.Helper()
	return credentialsOf(t, everyService, file, tlsDir)
}

// credentialsOf returns those of a process that runs the services.
func credentialsOf(t *testing.T, services []string, file, tlsDir string) *rpc.Credentials {
	t.Helper()
	c, err := rpc.NewCredentials(services, file, tlsDir, time.Now)
	good(t, err)
	return c
}

// serve runs a process: all services on one internal listener.
func (w *world) serve(c *rpc.Credentials) *rpc.Server {
	s := rpc.NewServer(rpc.ServerConfig{Credentials: c, Ready: w.store.Ping, Log: w.log, Tickets: w.tickets()})
	b := w.local
	rpc.ServeUsers(s, b.users, w.store)
	rpc.ServeLinks(s, b.links, w.store)
	rpc.ServeVerifier(s, b.verifier)
	rpc.ServeForms(s, b.forms)
	rpc.ServePublicForms(s, b.publicForms)
	rpc.ServePayments(s, b.payments)
	rpc.ServeReports(s, b.reports)
	rpc.ServeTransactions(s, b.transactions, w.store, w.cards(), w.store)
	rpc.ServeNotifier(s, b.notifier, w.store)
	rpc.ServeMail(s, b.mail)
	rpc.ServeAssessor(s, b.assessor)
	rpc.ServeModels(s, w.store)
	rpc.ServeConnector(s, rpc.SimulatorService, w.sim, w.cards())
	s.Mount(simulator.DefaultPublicPath+"/", w.sim.Handler())
	return s
}

// listen serves on loopback until the test or stop ends.
func listen(t *testing.T, s *rpc.Server, wrap func(net.Listener) net.Listener) (url string, stop func()) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listenOn(t, s, l, wrap)
}

func listenOn(t *testing.T, s *rpc.Server, l net.Listener, wrap func(net.Listener) net.Listener) (url string, stop func()) {
	t.Helper()
	address := l.Addr().String()
	if wrap != nil {
		l = wrap(l)
	}
	h := s.HTTP()
	done := make(chan error, 1)
	go func() {
		if s.Credentials.Secured() {
			done <- h.ServeTLS(l, "", "")
		} else {
			done <- h.Serve(l)
		}
	}()
	stop = sync.OnceFunc(func() {
		_ = h.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("the internal listener ended with %v", err)
		}
	})
	t.Cleanup(stop)
	scheme := "http://"
	if s.Credentials.Secured() {
		scheme = "https://"
	}
	return scheme + address, stop
}

// clients returns clients of the services.
func (w *world) clients(c *rpc.Credentials, urls ...string) serviceSet {
	w.t.Helper()
	peer := func(service string) *rpc.Peer { return rpc.NewPeer(service, w.pool(service, c, urls...), nil) }
	users, links, notifier := rpc.NewUsers(peer("users")), rpc.NewLinks(peer("links")), rpc.NewNotifier(peer("notifier"))
	transactions := rpc.NewTransactions(peer("transactions"), w.cards(), time.Now)
	return serviceSet{
		world:        w,
		users:        users,
		links:        links,
		verifier:     rpc.NewVerifier(peer("verifier")),
		forms:        links,
		publicForms:  rpc.NewVerifier(peer("verifier")),
		payments:     rpc.NewPayments(peer("payments")),
		reports:      rpc.NewReports(peer("payments")),
		transactions: transactions,
		notifier:     notifier,
		mail:         rpc.NewMail(peer("notifier")),
		assessor:     rpc.NewAssessor(peer("fraud")),
		models:       rpc.NewModels(peer("fraud")),
		records:      api.Records{Users: users, Links: links, Transactions: transactions, Webhooks: notifier},
	}
}

func (w *world) pool(service string, c *rpc.Credentials, urls ...string) *rpc.Pool {
	w.t.Helper()
	p, err := rpc.NewPool(service, urls, c, w.log)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// remote returns a world whose services are called over loopback.
func remote(t *testing.T) serviceSet {
	w := newWorld(t)
	c := credentials(t, keysFile(t), "")
	url, _ := listen(t, w.serve(c), nil)
	return w.clients(c, url)
}

func local(t *testing.T) serviceSet { return newWorld(t).local }

// both runs a suite of a service's contract on the real implementation and over the wire.
func both(t *testing.T, suite func(t *testing.T, b serviceSet)) {
	t.Run("local", func(t *testing.T) { suite(t, local(t)) })
	t.Run("over the wire", func(t *testing.T) { suite(t, remote(t)) })
}

// is checks a fault's fields.
func is(t *testing.T, err error, kind fault.Kind, code, param string) {
	t.Helper()
	var f *fault.Error
	if !errors.As(err, &f) || f.Kind != kind || f.Code != code || f.Param != param || f.Detail == "" {
		t.Errorf("want fault %d %s %q, have %#v", kind, code, param, err)
	}
}

func good(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// ticket returns a request's ticket, as the gateway makes it for its own process.
func (w *world) ticket(scope, key, shape string) *idempotency.Ticket {
	t := &idempotency.Ticket{Shape: shape, Record: idempotency.Record{Scope: scope, Key: key, Fingerprint: []byte{1, 2, 3}, Status: 200}}
	t.Render = func(object any) ([]byte, error) {
		plain, err := w.tickets().Render(shape, object)
		if err != nil {
			return nil, err
		}
		t.Rendered = plain
		return w.tickets().Seal(plain, t.Associated())
	}
	return t
}

// kept checks that the record of a ticket is in the store, and replays exactly the bytes that the
// first caller received.
func (w *world) kept(t *testing.T, store idempotency.Store, ticket *idempotency.Ticket) {
	t.Helper()
	r, err := store.GetIdempotency(t.Context(), ticket.Scope, ticket.Key)
	good(t, err)
	if r == nil || r.Status != 200 || string(r.Fingerprint) != "\x01\x02\x03" {
		t.Fatalf("record %+v", r)
	}
	plain, err := w.ring.Unseal(keyring.AnswerSeal, r.Answer, ticket.Associated())
	good(t, err)
	if len(plain) == 0 || string(plain) != string(ticket.Rendered) {
		t.Errorf("a replay would give\n%s\nthe first caller got\n%s", plain, ticket.Rendered)
	}
}

// account signs a merchant up.
func (b serviceSet) account(t *testing.T) merchant.SignedUp {
	t.Helper()
	up, err := b.users.SignUp(
		t.Context(),
		merchant.SignUpRequest{Username: "ada", Email: "ada@example.com", Password: "correct horse battery"},
		nil,
	)
	good(t, err)
	return up
}

func linkRequest(a merchant.Account) link.CreateRequest {
	can := simulator.Capabilities()
	m := a.Methods[0]
	return link.CreateRequest{
		Account:  a.ID,
		Mode:     link.Test,
		Payee:    a.Name,
		Amount:   "12.50",
		Currency: "EUR",
		Metadata: map[string]string{"<k>": "ü"},
		Methods: []link.Method{
			{
				ID:         m.ID,
				Type:       m.Type,
				Issuer:     m.Issuer,
				Currencies: m.Currencies,
				Enabled:    true,
				MinMinor:   can.MinMinor,
				MaxMinor:   can.MaxMinor,
				Test:       true,
			},
		},
	}
}

func card(t *testing.T, number string) issuer.Card {
	t.Helper()
	c, err := issuer.NewCard(number, 12, time.Now().Year()+2, "739", "Ada Payer", time.Now())
	good(t, err)
	return c
}

// known returns an existing account.
func (b serviceSet) known(t *testing.T, account string) merchant.Account {
	t.Helper()
	a, err := b.users.GetAccount(t.Context(), account)
	good(t, err)
	return a
}
