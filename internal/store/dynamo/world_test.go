package dynamo_test

import (
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"testing"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/storetest"
)

const (
	goodCard     = "4242424242424242"
	declinedCard = "4000000000000002"
)

// world is the product's own services on a store.
type world struct {
	t       testing.TB
	clock   *storetest.Clock
	store   storetest.Store
	sim     *simulator.Simulator
	links   *link.Local
	c       *coordinator.Local
	account string
}

func newWorld(t testing.TB, store storetest.Store) *world {
	t.Helper()
	w := &world{t: t, clock: storetest.NewClock(storetest.Epoch), store: store, account: id.New(id.Account)}
	var err error
	if w.sim, err = simulator.New(simulator.Config{BookPath: filepath.Join(t.TempDir(), "book"), Now: w.clock.Now}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.sim.Close(); err != nil {
			t.Error(err)
		}
	})
	w.links = link.NewLocal(
		link.LocalConfig{Ring: keyring.NewMemory(storetest.Epoch), Store: store, PublicURL: "https://pay.example.com", Now: w.clock.Now},
	)
	w.c = coordinator.New(coordinator.Config{Payments: store, Links: store, Connectors: []issuer.Connector{w.sim}, LinkURL: w.links.URL,
		Now: w.clock.Now, Log: slog.New(slog.NewTextHandler(io.Discard, nil))})
	return w
}

// request returns an ordinary merchant's request, with the usual fields.
func (w *world) request(n int) link.CreateRequest {
	day := int64(24 * 3600)
	return link.CreateRequest{
		Account:          w.account,
		Mode:             link.Test,
		Payee:            "Ada's shop",
		Amount:           "12.50",
		Currency:         "EUR",
		ExpiresInSeconds: &day,
		Realm:            "shop",
		Description:      "Two tickets for the concert",
		Reference:        fmt.Sprintf("order-%06d", n),
		Metadata:         map[string]string{"customer": "4711"},
		Methods: []link.Method{
			{ID: id.New(id.Method), Type: "card", Issuer: simulator.Name, Currencies: w.sim.Capabilities().Currencies, Enabled: true,
				MinMinor: 1, MaxMinor: 99_999_999, Test: true},
		},
	}
}

func (w *world) link(change ...func(*link.CreateRequest)) link.Link {
	w.t.Helper()
	r := w.request(1)
	for _, c := range change {
		c(&r)
	}
	l, err := w.links.Create(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

func (w *world) submission(l link.Link, n int, number string) payment.Submit {
	w.t.Helper()
	card, err := issuer.NewCard(number, 12, 2040, "123", "Grace Hopper", w.clock.Now())
	if err != nil {
		w.t.Fatal(err)
	}
	return payment.Submit{
		Link:       l,
		Attempt:    fmt.Sprintf("01jf8m4q7zk3v5x9w2b%07d", n),
		Card:       card,
		PayerName:  "Grace Hopper",
		PayerEmail: "grace@example.com",
		ReturnURL:  "https://pay.example.com/s",
	}
}

// pay pays with a card that is approved.
func (w *world) pay(l link.Link, n int) payment.Payment {
	w.t.Helper()
	p, err := w.c.Submit(w.t.Context(), w.submission(l, n, goodCard))
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

// ticket returns what the gateway passes for a request with an Idempotency-Key.
func ticket(account, name string) *idempotency.Ticket {
	return &idempotency.Ticket{Record: idempotency.Record{Scope: account + "/test", Key: name, Fingerprint: make([]byte, 32), Status: 201},
		Render: func(any) ([]byte, error) { return make([]byte, 1100), nil }} // a link, sealed
}
