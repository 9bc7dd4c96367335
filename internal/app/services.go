package app

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/notify/webhook"
	"github.com/paylink/paylink/internal/obs"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/site"
	"github.com/paylink/paylink/internal/store/projection"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// targetSpec describes what a target needs: its share of the keys, the store of users and the feed,
// the store of links and payments (which may be the same), and the public URL. rpc.Calls lists the
// services that it calls.
type targetSpec struct {
	keys     []keyring.Share
	sql      bool
	payments bool
	writes   bool // it changes links or payments
	public   bool
}

// use is the share of a purpose whose private keys a target needs.
func use(p keyring.Purpose) keyring.Share { return keyring.Share{Purpose: p} }

// verify is the share of a purpose whose public keys are enough.
func verify(p keyring.Purpose) keyring.Share { return keyring.Share{Purpose: p, VerifyOnly: true} }

// targetSpecs lists the targets of a split deployment. `all` runs every one of them in one process, with
// direct calls. docs/operate/keys.md repeats the shares of the keys.
var targetSpecs = map[string]targetSpec{
	"gateway": {public: true,
		keys: []keyring.Share{
			verify(keyring.LinkSign),
			verify(keyring.SessionSign),
			verify(keyring.WebhookSign),
			verify(keyring.ReceiptSign),
			use(keyring.AnswerSeal),
			use(keyring.CardSeal),
			use(keyring.MACKey),
		}},
	"users": {
		sql:    true,
		public: true,
		keys: []keyring.Share{
			use(keyring.SessionSign),
			use(keyring.StoreSeal),
			use(keyring.TOTPSeal),
			use(keyring.AnswerSeal),
			use(keyring.MailSeal),
		},
	},
	"links": {
		payments: true,
		writes:   true,
		public:   true,
		keys:     []keyring.Share{use(keyring.LinkSign), use(keyring.LinkSeal), use(keyring.AnswerSeal)},
	},
	"verifier": {payments: true, public: true, keys: []keyring.Share{verify(keyring.LinkSign), use(keyring.LinkSeal)}},
	"payments": {sql: true, payments: true},
	"transactions": {
		payments: true,
		writes:   true,
		public:   true,
		keys: []keyring.Share{
			use(keyring.StoreSeal),
			use(keyring.AnswerSeal),
			use(keyring.CardSeal),
			use(keyring.ReceiptSign),
		},
	},
	"notifier": {
		sql:      true,
		payments: true,
		keys: []keyring.Share{
			use(keyring.WebhookSign),
			use(keyring.WebhookSeal),
			use(keyring.AnswerSeal),
			use(keyring.MailSeal),
			use(keyring.ReceiptSign),
		},
	},
	"fraud":     {sql: true, payments: true, keys: []keyring.Share{use(keyring.AnswerSeal), use(keyring.PuzzleMAC)}},
	"simulator": {keys: []keyring.Share{use(keyring.CardSeal)}},
}

// services is one process: the services that it runs, and clients of the others. A field is nil if
// this process neither runs the service nor calls it. background has the jobs that run until
// shutdown, by the name that the log uses, and closers what close calls, in reverse order.
type services struct {
	cfg        Config
	site       site.Site // the public address
	log        *slog.Logger
	metrics    *obs.Metrics
	drain      chan struct{} // closed at shutdown
	draining   atomic.Bool
	background map[string]func(context.Context) error
	closers    []func() error

	ring        *keyring.Ring
	stores      stores
	credentials *rpc.Credentials // nil in `all`
	internal    *rpc.Server      // nil in `all`
	pools       map[string]*rpc.Pool

	users        merchant.Service
	links        link.Service
	verifier     link.Verifier
	forms        link.FormService
	publicForms  link.PublicForms
	payments     payment.Reader
	reports      report.Service
	beacons      *report.Beacons       // nil without the gateway
	analytics    *projection.Analytics // nil without the fraud service
	fraud        fraud.Services
	models       *learning.Holder // nil without the fraud service
	rules        *fraud.Rulesets  // nil without the fraud service
	transactions coordinator.Service
	notifier     notify.Service
	mail         mail.Service
	connectors   []issuer.Connector
	records      api.Records
	handler      http.Handler // of the public listener; nil without the gateway
}

// open builds the process, from the stores and the keys up to the gateway. The steps are in order:
// each uses what the steps before it opened. If one fails, what is open is closed again. Nothing
// runs or is served yet.
func open(ctx context.Context, cfg Config, public site.Site, log *slog.Logger) (*services, error) {
	s := &services{
		cfg:        cfg,
		site:       public,
		log:        log,
		metrics:    obs.NewMetrics(),
		drain:      make(chan struct{}),
		background: map[string]func(context.Context) error{},
		pools:      map[string]*rpc.Pool{},
	}
	for _, step := range []func(context.Context) error{s.openStores, s.openKeys, s.openInternal, s.openClocks, s.openUsers, s.openLinks,
		s.openForms, s.openPayments, s.openReports, s.openFraud,
		s.openSimulator, s.openTransactions, s.openNotifier, s.openMail, s.openGateway} {
		if err := step(ctx); err != nil {
			return nil, errors.Join(err, s.close())
		}
	}
	return s, nil
}

// openUsers opens accounts, payment methods, sessions and API keys. Like every step below, it runs
// the service if the process has its target, and otherwise makes a client if the process calls it.
func (s *services) openUsers(context.Context) error {
	if !s.cfg.runs("users") {
		if p := s.peer("users"); p != nil {
			far := rpc.NewUsers(p)
			s.users, s.records.Users = far, far
		}
		return nil
	}

	local := merchant.New(
		merchant.Config{
			Users:      s.stores.sql,
			Keys:       s.stores.sql,
			Sessions:   s.stores.sql,
			Access:     s.stores.sql,
			Activity:   s.stores.sql,
			SignUp:     s.cfg.SignUp,
			Mails:      s.cfg.mails(),
			Clocks:     s.stores.sql,
			Ring:       s.ring,
			Connectors: known(),
			PublicURL:  s.cfg.PublicURL,
			Now:        time.Now,
			Log:        s.log,
		},
	)
	s.metrics.Counter("paylink_hashing_busy_total", "Requests refused because too many passwords waited to be hashed.", nil,
		func() float64 { return float64(local.HashingBusy()) })
	s.users, s.records.Users = local, s.stores.sql
	s.background["last uses"], s.background["old sessions"], s.background["resets"] = local.RunTouches, local.RunPrune, local.RunResets
	s.background["authenticators"] = local.RunReseal
	s.serve(func(r *rpc.Server) { rpc.ServeUsers(r, local, s.stores.sql) })
	return nil
}

// openLinks opens the creation and expiry of links, and the verifier. The verifier only reads, and
// is a service of its own because it answers payers.
func (s *services) openLinks(context.Context) error {
	switch p := s.peer("links"); {
	case s.cfg.runs("links"):
		local := link.NewLocal(link.LocalConfig{Ring: s.ring, Store: s.stores.links, PublicURL: s.cfg.PublicURL, Now: time.Now, Log: s.log})
		s.links, s.records.Links = local, s.stores.linkRecords
		s.background["expiry"] = local.RunExpiry
		s.serve(func(r *rpc.Server) { rpc.ServeLinks(r, local, s.stores.linkRecords) })
	case p != nil:
		far := rpc.NewLinks(p)
		s.links, s.records.Links = far, far
	}

	switch p := s.peer("verifier"); {
	case s.cfg.runs("verifier"):
		s.verifier = link.NewVerifier(
			link.VerifierConfig{Ring: s.ring, Store: s.stores.links, Forms: s.stores.links, PublicURL: s.cfg.PublicURL, Now: time.Now},
		)
		s.serve(func(r *rpc.Server) { rpc.ServeVerifier(r, s.verifier) })
	case p != nil:
		s.verifier = rpc.NewVerifier(p)
	}

	return nil
}

// openPayments opens the reading of payments, events and balances. The process also adds up the
// balances.
func (s *services) openPayments(context.Context) error {
	switch p := s.peer("payments"); {
	case s.cfg.runs("payments"):
		s.payments = s.stores.payments
		s.background["balances"] = s.stores.sql.RunBalances
		s.serve(func(r *rpc.Server) { rpc.ServePayments(r, s.payments) })
	case p != nil:
		s.payments = rpc.NewPayments(p)
	}
	return nil
}

// openSimulator opens the issuer of test mode, which sends its notices to transactions. Its book is
// one file, so it runs in one process. Cards travel to it sealed.
func (s *services) openSimulator(context.Context) error {
	cards := rpc.Cards{Ring: s.ring}
	if !s.cfg.runs("simulator") {
		if p := s.peer("simulator"); p != nil {
			s.connectors = []issuer.Connector{rpc.NewConnector(p, simulator.Name, simulator.Capabilities(), cards)}
		}
		return nil
	}
	// The seed determines the issuer's references, and stays as the book has it.
	sim, err := simulator.New(simulator.Config{BookPath: s.cfg.bookPath(), Seed: 1, Now: time.Now, Log: s.log})
	if err != nil {
		return err
	}

	s.closers = append(s.closers, sim.Close)
	s.connectors = []issuer.Connector{sim}
	if p := s.peer("transactions"); p != nil {
		sim.OnNotice(rpc.NewTransactions(p, cards, time.Now).Notice)
	}
	s.serve(func(r *rpc.Server) {
		rpc.ServeConnector(r, rpc.SimulatorService, sim, cards)
		r.Mount(simulator.DefaultPublicPath+"/", sim.Handler())
	})
	return nil
}

// openTransactions opens the processing of payments at their issuer, and recovery. Without an
// assessor, payments are processed without an assessment.
func (s *services) openTransactions(context.Context) error {
	cards := rpc.Cards{Ring: s.ring}
	if !s.cfg.runs("transactions") {
		if p := s.peer("transactions"); p != nil {
			far := rpc.NewTransactions(p, cards, time.Now)
			s.transactions, s.records.Transactions = far, far
		}
		return nil
	}

	local := coordinator.New(coordinator.Config{Payments: s.stores.payments, Links: s.stores.links, Connectors: s.connectors,
		LinkURL: func(l link.Link) string { return s.cfg.PublicURL + "/l/" + l.Token }, Ring: s.ring, PublicURL: s.cfg.PublicURL,
		Now: time.Now, Log: s.log, Observe: s.observeIssuer, ObserveGone: s.metrics.Gone, Fraud: s.fraud.Assessor,
		FraudBudget: s.cfg.FraudBudget})
	for _, k := range s.connectors {
		s.metrics.Configured(k.Name())
	}

	s.transactions, s.records.Transactions = local, s.stores.paymentRecords
	s.background["sweep"] = local.Run
	s.serve(func(r *rpc.Server) { rpc.ServeTransactions(r, local, s.stores.links, cards, s.stores.paymentRecords) })
	return nil
}

// openNotifier opens webhook endpoints, and the sending queue. The process also carries the table's
// events into the feed, applies moved test clocks, and follows the feed for webhooks.
func (s *services) openNotifier(ctx context.Context) error {
	if !s.cfg.runs("notifier") {
		if p := s.peer("notifier"); p != nil {
			far := rpc.NewNotifier(p)
			s.notifier, s.records.Webhooks = far, far
		}
		return nil
	}
	queue, err := webhook.Open(
		ctx,
		webhook.Config{
			URL:          s.cfg.queueURL(),
			Store:        s.stores.sql,
			Keys:         s.webhookKeys(),
			Logger:       s.log,
			AllowPrivate: s.cfg.AllowPrivateWebhooks,
		},
	)
	if err != nil {
		return err
	}

	// The queue opens before the service that fills it, and closes after it.
	s.closers = append(s.closers, queue.Close)
	clocks := &clockwork{feed: s.stores.sql, table: s.stores.table, queue: queue}
	s.background["clockwork"] = clocks.run

	local := notify.New(
		notify.Config{
			Store:        s.stores.sql,
			Queue:        queue,
			Clocks:       clocks,
			Keys:         s.webhookKeys(),
			Site:         s.site,
			Now:          time.Now,
			AllowPrivate: s.cfg.AllowPrivateWebhooks,
			Log:          s.log,
		},
	)
	s.notifier, s.records.Webhooks = local, s.stores.sql
	s.relay()

	s.background["webhooks"], s.background["old deliveries"], s.background["redeliveries"] = queue.Run, local.RunPrune, local.RunRedeliveries
	s.background["notify"] = func(ctx context.Context) error {
		return s.stores.sql.Consume(ctx, sqlstore.NotifyConsumer, local.Handle)
	}
	s.serve(func(r *rpc.Server) { rpc.ServeNotifier(r, local, s.stores.sql) })
	return nil
}
