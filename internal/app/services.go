package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/gateway"
	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/gateway/pages"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/notify/webhook"
	"github.com/paylink/paylink/internal/obs"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// services is the product on one screen: every box with what it needs. In one
// process the boxes call one another directly.
type services struct {
	cfg     Config
	log     *slog.Logger
	metrics *obs.Metrics
	drain   chan struct{}

	ring  *keyring.Ring
	store *sqlstore.Store
	sim   *simulator.Simulator
	queue *webhook.Queue

	merchants    *merchant.Local
	links        *link.Local
	transactions *coordinator.Local
	notifier     *notify.Local
	handler      http.Handler
}

// open builds the boxes, from the keys and the store up to the gateway.
func open(ctx context.Context, cfg Config, log *slog.Logger) (*services, error) {
	s := &services{cfg: cfg, log: log, metrics: obs.NewMetrics(), drain: make(chan struct{})}
	if err := s.openStores(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	connectors := []issuer.Connector{s.sim}
	s.merchants = merchant.New(merchant.Config{Users: s.store, Keys: s.store, Sessions: s.store, Ring: s.ring,
		Connectors: capabilities(connectors), PublicURL: cfg.PublicURL, Now: time.Now, Log: log})
	s.links = link.NewLocal(link.LocalConfig{Ring: s.ring, Store: s.store, PublicURL: cfg.PublicURL, Now: time.Now, Log: log})
	s.transactions = coordinator.New(coordinator.Config{Payments: s.store, Links: s.store, Connectors: connectors,
		LinkURL: s.links.URL, Now: time.Now, Log: log, Observe: s.observeIssuer})
	s.notifier = notify.New(notify.Config{Store: s.store, Queue: s.queue, Keys: s.webhookKeys(), Now: time.Now, AllowPrivate: cfg.AllowPrivateWebhooks})
	public, err := pages.New(pages.Config{Links: s.links, Payments: s.transactions, Now: time.Now, Log: log, PublicURL: cfg.PublicURL, Drain: s.drain})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	json := api.New(api.Config{Merchants: s.merchants, Links: s.links, Payments: s.store, Transactions: s.transactions, Webhooks: s.notifier,
		Connectors: capabilities(connectors), Records: api.Records{Users: s.store, Links: s.store, Transactions: s.store, Webhooks: s.store}, Seal: s.seal, Unseal: s.unseal, MAC: s.mac, JWKS: s.ring.JWKS,
		PublicURL: cfg.PublicURL, Now: time.Now, Log: log})
	s.handler = gateway.New(gateway.Config{Boxes: []gateway.Registrar{json, public}, NotFound: public.NotFound(),
		Mounts: map[string]http.Handler{simulator.DefaultPublicPath + "/": s.sim.Handler()}, Ready: s.store.Ping, Metrics: s.metrics, Log: log})
	s.gauges()
	return s, nil
}

func (s *services) openStores(ctx context.Context) (err error) {
	url, err := s.cfg.storeURL()
	if err != nil {
		return err
	}
	if s.ring, err = keyring.Open(s.cfg.keysDir(), time.Now()); err != nil {
		return err
	}
	if _, _, err = sqlstore.Migrate(ctx, url); err != nil {
		return err
	}
	if s.store, err = sqlstore.Open(ctx, url); err != nil {
		return err
	}
	if s.sim, err = simulator.New(simulator.Config{BookPath: s.cfg.bookPath(), Seed: 1, Now: time.Now, Log: s.log}); err != nil {
		return err
	}
	s.queue, err = webhook.Open(ctx, webhook.Config{URL: s.cfg.queueURL(), Store: s.store, Keys: s.webhookKeys(), Logger: s.log,
		AllowPrivate: s.cfg.AllowPrivateWebhooks})
	return err
}

// background is what runs beside the listeners; each blocks until ctx ends.
func (s *services) background() map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"sweep":     s.transactions.Run,
		"expiry":    s.links.RunExpiry,
		"balances":  s.store.RunBalances,
		"notify":    func(ctx context.Context) error { return s.store.Consume(ctx, "notify", s.notifier.Handle) },
		"webhooks":  s.queue.Run,
		"last uses": s.merchants.RunTouches,
		"keys":      func(ctx context.Context) error { return s.ring.Watch(ctx, keyReloadInterval) },
	}
}

// close ends what open began, in the opposite order.
func (s *services) close() error {
	var errs []error
	if s.sim != nil {
		errs = append(errs, s.sim.Close())
	}
	if s.queue != nil {
		errs = append(errs, s.queue.Close())
	}
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	return errors.Join(errs...)
}

func capabilities(connectors []issuer.Connector) []merchant.Connector {
	var list []merchant.Connector
	for _, k := range connectors {
		list = append(list, merchant.Connector{Name: k.Name(), Capabilities: k.Capabilities()})
	}
	return list
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
	for _, consumer := range []string{"notify", "balances"} {
		s.metrics.Gauge("paylink_stream_lag", "Events that the consumer has not handled.", map[string]string{"consumer": consumer},
			read(func(ctx context.Context) (int64, error) { return s.store.Lag(ctx, consumer) }))
	}
	for _, status := range []string{"unknown", "processing", "review"} {
		s.metrics.Gauge("paylink_payments", "Payments that are not settled.", map[string]string{"status": status},
			read(func(ctx context.Context) (int64, error) { return s.store.CountPayments(ctx, status) }))
	}
	s.metrics.Gauge("paylink_due_payments", "Payments whose time has come and that the sweep has not taken yet.", nil,
		read(func(ctx context.Context) (int64, error) { return s.store.CountDue(ctx, time.Now()) }))
}
