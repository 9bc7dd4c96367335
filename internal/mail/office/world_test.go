package office_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/netip"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/mail/mailtest"
	"github.com/paylink/paylink/internal/mail/office"
	"github.com/paylink/paylink/internal/mail/smtp"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

const public = "https://pay.example"

// world is everything real: a store, an issuer, a mail server, and a merchant.
type world struct {
	t       *testing.T
	clock   *storetest.Clock
	store   *sqlstore.Store
	ring    *keyring.Ring
	links   *link.Local
	coord   *coordinator.Local
	server  *mailtest.Server
	office  *office.Local
	account merchant.Account
	user    merchant.User
	mode    string
	lang    string     // of the payer
	client  netip.Addr // of the payer
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dir := t.TempDir()
	w := &world{t: t, clock: storetest.NewClock(time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)),
		server: mailtest.Start(t, mailtest.Options{User: "shop", Password: "s3cret"}), mode: link.Test}
	w.ring = keyring.NewMemory(w.clock.Now())
	path := filepath.Join(dir, "paylink.db")
	w.store = sqltest.Open(t, "sqlite:"+path)
	sim, err := simulator.New(simulator.Config{BookPath: filepath.Join(dir, "book"), Now: w.clock.Now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = sim.Close() })
	w.links = link.NewLocal(link.LocalConfig{Ring: w.ring, Store: w.store, PublicURL: public, Now: w.clock.Now})
	w.coord = coordinator.New(coordinator.Config{Payments: w.store, Links: w.store, Connectors: []issuer.Connector{sim}, LinkURL: w.links.URL,
		Ring: w.ring, PublicURL: public, Now: w.clock.Now, Log: slog.New(slog.DiscardHandler), Fraud: byEmail{}, FraudBudget: time.Minute})
	w.office = w.openOffice(w.carrier())
	w.user = merchant.User{ID: id.New(id.User), Account: id.New(id.Account), Username: "ada", Email: "ada@shop.example",
		CreatedAt: w.clock.Now(), ConfirmedAt: w.clock.Now()}
	w.account = merchant.Account{ID: w.user.Account, Name: "Ada’s <b>shop</b>", Revision: 1, CreatedAt: w.clock.Now()}
	w.good(w.store.Apply(t.Context(), merchant.Change{At: w.clock.Now(), User: &w.user, Account: &w.account}))
	return w
}

func (w *world) carrier() mail.Carrier {
	c, err := smtp.Parse(w.server.URL())
	w.good(err)
	c.TLS = w.server.TLS()
	k := smtp.New(c)
	w.t.Cleanup(func() { _ = k.Close() })
	return k
}

func (w *world) openOffice(k mail.Carrier) *office.Local {
	return office.New(office.Config{Outbox: w.store, Readers: w.store, DeadLetters: w.store, Payments: w.store, Links: w.store,
		Ring: w.ring, Carrier: k,
		From: "Payments <pay@shop.example>", PublicURL: public, Now: w.clock.Now, Log: slog.New(slog.DiscardHandler),
	})
}

func (w *world) good(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// link makes a link with that lifetime.
func (w *world) link(life time.Duration) link.Link {
	w.t.Helper()
	seconds := int64(life / time.Second)
	l, err := w.links.Create(w.t.Context(), link.CreateRequest{Account: w.account.ID, Mode: w.mode, Payee: w.account.Name,
		Amount: "12.50", Currency: "EUR",
		Description: "Tea & <script>alert(1)</script>\nTotal: 0", Reference: "order-1", ExpiresInSeconds: &seconds,
		Methods: []link.Method{{ID: "pm_1", Type: "card", Issuer: simulator.Name, Currencies: simulator.Capabilities().Currencies,
			Enabled: true, Test: w.mode == link.Test}}})
	w.good(err)
	return l
}

func (w *world) pay(l link.Link, email string) payment.Payment {
	w.t.Helper()
	return w.ends(l, email, payment.Succeeded)
}

// ends pays a link, and expects the payment's final status.
func (w *world) ends(l link.Link, email string, status payment.Status) payment.Payment {
	w.t.Helper()
	c, err := issuer.NewCard("4242424242424242", 12, w.clock.Now().Year()+2, "739", "", w.clock.Now())
	w.good(err)
	p, err := w.coord.Submit(w.t.Context(), payment.Submit{Link: l, Attempt: "attempt-0000000001", Card: c, PayerName: "Grace",
		PayerEmail: email, PayerLang: w.lang, Client: w.client})
	w.good(err)
	if p.Status != status {
		w.t.Fatalf("paid: %s", p.Status)
	}
	return p
}

// byEmail holds and blocks attempts by the payer's address.
type byEmail struct{ fraud.Assessor }

func (byEmail) Assess(_ context.Context, a fraud.Attempt) (fraud.Verdict, error) {
	v := fraud.Verdict{FailOpen: true, Risk: payment.Risk{Action: payment.Allow, Why: "default"}}
	switch name, _, _ := strings.Cut(a.Email, "@"); name {
	case "hold":
		v.Risk.Action, v.Risk.Why = payment.Hold, "list"
	case "block":
		v.Risk.Action, v.Risk.Why = payment.Block, "list"
	}
	return v, nil
}

// events returns the account's events that the office has not handled.
func (w *world) events() []stream.Event {
	w.t.Helper()
	all, err := w.store.Events(w.t.Context(), w.account.ID, w.mode, 0, 1000)
	w.good(err)
	return all
}

// handle passes the office all events, from the first on, although it has seen most of them.
func (w *world) handle() {
	w.t.Helper()
	w.good(w.office.Handle(w.t.Context(), w.events()))
}

// send is one round of the sender.
func (w *world) send() {
	w.t.Helper()
	_, err := w.office.Send(w.t.Context())
	w.good(err)
}

// mails returns the account's mails, by kind and status, oldest first.
func (w *world) mails() string {
	w.t.Helper()
	all, err := w.store.Mails(w.t.Context(), w.account.ID, "", 1000)
	w.good(err)
	counts := map[string]int{}
	for _, m := range all {
		counts[m.Kind+" "+string(m.Status)]++
	}
	return strings.TrimPrefix(fmt.Sprint(counts), "map")
}

func (w *world) only(kind string) mail.Message {
	w.t.Helper()
	all, err := w.store.Mails(w.t.Context(), w.account.ID, "", 1000)
	w.good(err)
	for _, m := range all {
		if m.Kind == kind {
			return m
		}
	}
	w.t.Fatalf("no mail of kind %s", kind)
	return mail.Message{}
}

// carrierFunc is a test's own carrier, for behavior that no server shows.
type carrierFunc func(context.Context, mail.Email) error

func (f carrierFunc) Carry(ctx context.Context, l mail.Email) error { return f(ctx, l) }
