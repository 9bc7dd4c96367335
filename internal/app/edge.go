package app

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/gateway"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/gateway/apidocs"
	"github.com/paylink/paylink/internal/gateway/pages"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/rpc"
)

// openGateway opens the gateway, the only service that faces the internet. It has no database: it
// calls the other services, directly or over the network. It is built last, because it needs all of
// them.
func (s *services) openGateway(context.Context) error {
	if !s.cfg.runs("gateway") {
		return nil
	}

	// Without an assessor the pages ask no payer for a proof of work.
	var asks pages.Challenge
	if s.fraud.Assessor != nil {
		asks = s.fraud.Assessor.Challenge
	}
	public, err := pages.New(
		pages.Config{
			Challenge:     asks,
			CountryHeader: s.cfg.CountryHeader,
			Links:         s.verifier,
			Payments:      s.transactions,
			Receipts:      s.ring,
			Mails:         s.mail,
			Beacons:       s.beacons,
			Now:           time.Now,
			Log:           s.log,
			PublicURL:     s.cfg.PublicURL,
			Drain:         s.drain,
			Forms:         s.publicDesk(),
			Receipt:       s.transactions.Receipt,
		},
	)
	if err != nil {
		return err
	}

	gate, err := s.openGate(public.Refuse)
	if err != nil {
		return err
	}

	// The faces: the JSON API, the payers' pages, the dashboard and the documentation.
	json := api.New(
		api.Config{
			Merchants:    s.users,
			Links:        s.links,
			Forms:        s.forms,
			Payments:     s.payments,
			Transactions: s.transactions,
			Webhooks:     s.notifier,
			Fraud:        s.fraud,
			Connectors:   known(),
			Records:      s.records,
			JWKS:         s.ring.JWKS,
			Guard:        answer.NewGuard(answer.GuardConfig{Seal: s.seal, Unseal: s.unseal, MAC: s.mac(), Now: time.Now, Log: s.log}),
			PublicURL:    s.cfg.PublicURL,
			Now:          time.Now,
			Log:          s.log,
			Drain:        s.drain,
			ClockSpread:  s.clockSpread(),
			Limit:        gate.Account,
		},
	)

	merchants, err := s.newDashboard(public)
	if err != nil {
		return err
	}
	docs, err := apidocs.New(s.cfg.PublicURL)
	if err != nil {
		return err
	}
	// The issuer's own pages for payers, from this process or passed on from the simulator's.
	issuers := map[string]http.Handler{}
	if pool := s.pools["simulator"]; pool != nil {
		issuers[simulator.DefaultPublicPath+"/"] = rpc.Pages(pool)
	}
	if at := slices.IndexFunc(s.connectors, func(k issuer.Connector) bool { _, here := k.(*simulator.Simulator); return here }); at >= 0 {
		issuers[simulator.DefaultPublicPath+"/"] = s.connectors[at].(*simulator.Simulator).Handler() // checked above
	}

	hosts, err := s.site.Names(s.cfg.Listen, s.cfg.AllowedHosts)
	if err != nil {
		return err
	}
	s.handler = gateway.New(
		gateway.Config{Faces: []gateway.Registrar{json, public, merchants, docs}, NotFound: public.NotFound(), Mounts: issuers,
			Site: s.site, Hosts: hosts, HSTS: s.cfg.hsts(), Ready: s.ready, Metrics: s.metrics, Log: s.log, Limit: gate.Wrap},
	)
	return nil
}
