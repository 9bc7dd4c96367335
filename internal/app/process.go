package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// stores is where the data is. Users, webhooks, the feed and balances are in SQL;
// links and payments with their idempotency records may be elsewhere.
type stores struct {
	sql            *sqlstore.Store
	links          link.Store
	payments       payment.Store
	linkRecords    idempotency.Store
	paymentRecords idempotency.Store
}

// known are the connectors of this version; what they can do is known without
// asking them.
func known() []merchant.Connector {
	return []merchant.Connector{{Name: simulator.Name, Capabilities: simulator.Capabilities()}}
}

// shares is what the targets hold of the keys, together.
func shares(targets []string) []keyring.Share {
	var all []keyring.Share
	for _, t := range targets {
		for _, s := range boxes[t].keys {
			at := slices.IndexFunc(all, func(have keyring.Share) bool { return have.Purpose == s.Purpose })
			if at < 0 {
				all = append(all, s)
			} else if !s.VerifyOnly {
				all[at].VerifyOnly = false
			}
		}
	}
	return all
}

// openKeys: the whole ring, made if need be, in one process; in a split one the
// share of its boxes, which must be there.
func (s *services) openKeys(context.Context) (err error) {
	if s.cfg.split() {
		s.ring, err = keyring.OpenShare(s.cfg.keysDir(), shares(s.cfg.Targets), time.Now())
	} else {
		s.ring, err = keyring.Open(s.cfg.keysDir(), time.Now())
	}
	s.background["keys"] = func(ctx context.Context) error { return s.ring.Watch(ctx, keyReloadInterval) }
	return err
}

// openInternal: the credentials between services, and the server that will serve
// the boxes of this process. In one process there is neither.
func (s *services) openInternal(context.Context) (err error) {
	if !s.cfg.split() {
		return nil
	}
	if s.credentials, err = rpc.NewCredentials(s.cfg.InternalSecretFile, s.cfg.InternalTLS, time.Now); err != nil {
		return fmt.Errorf("between services: %w", err)
	}
	s.background["credentials"] = func(ctx context.Context) error { return s.credentials.Watch(ctx, credentialsReload, s.log) }
	renderer := api.Renderer{PublicURL: s.cfg.PublicURL, Now: time.Now}
	s.internal = rpc.NewServer(rpc.ServerConfig{Credentials: s.credentials, Ready: s.ready, Log: s.log, Observe: s.metrics.Call,
		Refused: s.metrics.Refused, Tickets: rpc.Tickets{Render: renderer.Render, Seal: s.seal}})
	for _, name := range s.cfg.calls() {
		pool, err := rpc.NewPool(name, s.cfg.Services[name], s.credentials, s.log)
		if err != nil {
			return fmt.Errorf("--service %s: %w", name, err)
		}
		s.pools[name] = pool
		s.background["way to "+name] = pool.Run
	}
	return nil
}

// openStores: one store for everything.
func (s *services) openStores(ctx context.Context) error {
	if !s.cfg.keepsData() {
		return nil
	}
	url, err := s.cfg.storeURL()
	if err != nil {
		return err
	}
	if _, _, err = sqlstore.Migrate(ctx, url); err != nil {
		return err
	}
	store, err := sqlstore.Open(ctx, url)
	if err != nil {
		return err
	}
	s.closers = append(s.closers, store.Close)
	s.stores = stores{sql: store, links: store, payments: store, linkRecords: store, paymentRecords: store}
	s.gauges()
	return nil
}

// peer is the way to a service that this process calls and does not run; nil
// otherwise.
func (s *services) peer(name string) *rpc.Peer {
	if pool := s.pools[name]; pool != nil {
		return rpc.NewPeer(name, pool, s.metrics.Call)
	}
	return nil
}

// serve adds a box to the internal listener, if there is one.
func (s *services) serve(add func(*rpc.Server)) {
	if s.internal != nil {
		add(s.internal)
	}
}

// ready tells whether this process can do its work: its store answers, and so
// does some instance of each service that it calls. An issuer that is away is no
// reason: payments have an answer for that. Nor does an issuer wait for
// transactions, which would wait for each other.
func (s *services) ready(ctx context.Context) error {
	if s.draining.Load() {
		return errors.New("asked to stop")
	}
	var g errgroup.Group
	if s.stores.sql != nil {
		g.Go(func() error { return s.stores.sql.Ping(ctx) })
	}
	for name, pool := range s.pools {
		if name != "simulator" && !slices.Equal(s.cfg.Targets, []string{"simulator"}) {
			g.Go(func() error { return pool.Answers(ctx) })
		}
	}
	return g.Wait()
}

// close ends what open began, in the opposite order.
func (s *services) close() error {
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

func (s *services) observeIssuer(connector, call string, o issuer.Outcome, took time.Duration) {
	s.metrics.IssuerCall(connector, call, o.String(), took)
}

func (s *services) webhookKeys() notify.Keys {
	about := []byte("webhook")
	return notify.Keys{
		Seal:   func(plain []byte) []byte { return s.ring.Seal(keyring.WebhookSeal, plain, about) },
		Unseal: func(sealed []byte) ([]byte, error) { return s.ring.Unseal(keyring.WebhookSeal, sealed, about) },
		Sign: func(message []byte) []byte {
			_, signature := s.ring.Sign(keyring.WebhookSign, message)
			return signature
		},
	}
}

func (s *services) seal(plain, about []byte) ([]byte, error) {
	return s.ring.Seal(keyring.AnswerSeal, plain, about), nil
}

func (s *services) unseal(sealed, about []byte) ([]byte, error) {
	return s.ring.Unseal(keyring.AnswerSeal, sealed, about)
}

func (s *services) mac(message []byte) []byte { return s.ring.MAC(keyring.MACKey, message) }

// gauges read the store when the metrics are scraped.
func (s *services) gauges() {
	store := s.stores.sql
	read := func(f func(context.Context) (int64, error)) func() float64 {
		return func() float64 {
			ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
			defer cancel()
			n, err := f(ctx)
			if err != nil {
				return -1
			}
			return float64(n)
		}
	}
	for target, consumer := range map[string]string{"notifier": "notify", "payments": "balances"} {
		if s.cfg.runs(target) {
			s.metrics.Gauge("paylink_stream_lag", "Events that the consumer has not handled.", map[string]string{"consumer": consumer},
				read(func(ctx context.Context) (int64, error) { return store.Lag(ctx, consumer) }))
		}
	}
	if s.cfg.runs("notifier") {
		s.metrics.Gauge("paylink_webhook_deliveries_parked", "Webhooks that were given up and that nobody has dealt with.", nil, read(store.CountParked))
	}
	if !s.cfg.runs("transactions") {
		return
	}
	for _, status := range []string{"unknown", "processing", "review"} {
		s.metrics.Gauge("paylink_payments", "Payments that are not settled.", map[string]string{"status": status},
			read(func(ctx context.Context) (int64, error) { return store.CountPayments(ctx, status) }))
	}
	s.metrics.Gauge("paylink_due_payments", "Payments whose time has come and that the sweep has not taken yet.", nil,
		read(func(ctx context.Context) (int64, error) { return store.CountDue(ctx, time.Now()) }))
}

// The targets of a process.

// split reports whether other boxes run elsewhere.
func (c Config) split() bool { return !slices.Equal(c.Targets, []string{"all"}) }

// runs reports whether a box is in this process.
func (c Config) runs(target string) bool { return !c.split() || slices.Contains(c.Targets, target) }

// calls are the services that this process needs from others.
func (c Config) calls() []string {
	if !c.split() {
		return nil
	}
	var all []string
	for _, t := range c.Targets {
		for _, name := range boxes[t].calls {
			if !c.runs(name) && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}

func (c Config) any(has func(box) bool) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(boxes)), func(t string) bool { return c.runs(t) && has(boxes[t]) })
}

// keepsData reports whether a store is needed.
func (c Config) keepsData() bool { return c.any(func(b box) bool { return b.store }) }

func (c Config) servesInternally() bool {
	return c.split() && slices.ContainsFunc(c.Targets, func(t string) bool { return t != "gateway" })
}

func targetNames() string { return strings.Join(slices.Sorted(maps.Keys(boxes)), ", ") }
