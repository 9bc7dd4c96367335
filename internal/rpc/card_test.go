package rpc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/storetest"
)

// cardKeeper keeps the card of a call, and sees its data during the call.
type cardKeeper struct {
	card   issuer.Card
	number string
	err    error // of Submit
}

// keepingConnector and keepingService are a connector and a coordinator that keep cards.
type (
	keepingConnector struct {
		issuer.Connector
		*cardKeeper
	}
	keepingService struct {
		coordinator.Service
		*cardKeeper
	}
)

func (k *cardKeeper) keep(c issuer.Card) {
	k.card = c
	_ = c.Reveal(func(s issuer.Secret) error {
		k.number = string(s.Number) + " " + string(s.CVC) + " " + s.Name
		return nil
	})
}

func (k keepingConnector) Authorize(_ context.Context, a issuer.Authorization) issuer.Answer {
	k.keep(a.Card)
	return issuer.Answer{Outcome: issuer.NotSent}
}

func (k keepingService) Submit(_ context.Context, s payment.Submit) (payment.Payment, error) {
	k.keep(s.Card)
	return payment.Payment{}, k.err
}

// TestI15_CardIsClearedAtTheFarSide checks that a service that gets a sealed card clears it when its
// work has ended, well or not, and that a card that was cleared before is not sent.
func TestI15_CardIsClearedAtTheFarSide(t *testing.T) {
	w := newWorld(t)
	l := storetest.NewLink(id.New(id.Account), 0)
	good(t, w.store.CreateLink(t.Context(), l, nil, nil))
	for name, call := range map[string]func(k *cardKeeper, c issuer.Card) error{
		"connector": func(k *cardKeeper, c issuer.Card) error {
			at := credentials(t, keysFile(t), "")
			s := rpc.NewServer(rpc.ServerConfig{Credentials: at, Ready: w.store.Ping, Log: w.log, Tickets: w.tickets()})
			rpc.ServeConnector(s, rpc.SimulatorService, keepingConnector{w.sim, k}, w.cards())
			address, _ := listen(t, s, nil)
			peer := rpc.NewPeer("simulator", w.pool("simulator", at, address), nil)
			far := rpc.NewConnector(peer, simulator.Name, simulator.Capabilities(), w.cards())
			far.Authorize(t.Context(), issuer.Authorization{Reference: "pay_1-1", Amount: testAmount, Card: c, ExpiresAt: time.Now().Add(time.Hour)})
			return nil
		},
		"transactions": func(k *cardKeeper, c issuer.Card) error {
			at := credentials(t, keysFile(t), "")
			s := rpc.NewServer(rpc.ServerConfig{Credentials: at, Ready: w.store.Ping, Log: w.log, Tickets: w.tickets()})
			rpc.ServeTransactions(s, keepingService{w.local.transactions, k}, w.store, w.cards(), w.store)
			address, _ := listen(t, s, nil)
			far := rpc.NewTransactions(rpc.NewPeer("transactions", w.pool("transactions", at, address), nil), w.cards(), nil)
			_, err := far.Submit(t.Context(), payment.Submit{Link: l, Attempt: "attempt-000000000001", Card: c})
			return err
		},
	} {
		for _, failure := range []error{nil, errors.New("the store is gone")} {
			k, mine := &cardKeeper{err: failure}, card(t, "4000000000009995")
			if err := call(k, mine); (err != nil) != (failure != nil && name == "transactions") {
				t.Fatalf("%s: %v", name, err)
			}
			if k.number != "4000000000009995 739 Ada Payer" {
				t.Fatalf("%s: the card arrived as %q", name, k.number)
			}
			if err := k.card.Reveal(func(issuer.Secret) error { return nil }); !errors.Is(err, issuer.ErrNoCard) {
				t.Errorf("%s, %v: the far side still has the card: %v", name, failure, err)
			}
			if err := mine.Reveal(func(issuer.Secret) error { return nil }); err != nil {
				t.Errorf("%s: the caller's card belongs to the caller: %v", name, err)
			}
			mine.Clear()
			k.number = ""
			if _ = call(k, mine); k.number != "" {
				t.Errorf("%s: a cleared card was sent as %q", name, k.number)
			}
		}
	}
}
