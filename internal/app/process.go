package app

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/issuer/simulator"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/rpc"
)

// known lists the connectors of this version, with their capabilities, which are known without a
// call.
func known() []merchant.Connector {
	return []merchant.Connector{{Name: simulator.Name, Capabilities: simulator.Capabilities()}}
}

// shares returns what the targets hold of the keys, together. A target that only verifies with a
// key holds its public part, unless another of the targets uses it.
func shares(targets []string) []keyring.Share {
	var all []keyring.Share
	for _, t := range targets {
		for _, s := range targetSpecs[t].keys {
			// Several targets may share a purpose; the larger right counts.
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

// openInternal opens the credentials between services, the server for this process's services, and
// a pool of connections to each service that it calls. A single process has none of them. Nothing
// is contacted yet.
func (s *services) openInternal(context.Context) (err error) {
	if !s.cfg.split() {
		return nil
	}

	if s.credentials, err = rpc.NewCredentials(s.cfg.Targets, s.cfg.InternalKeys, s.cfg.InternalTLS, time.Now); err != nil {
		return fmt.Errorf("credentials between services: %w", err)
	}
	s.background["credentials"] = func(ctx context.Context) error { return s.credentials.Watch(ctx, credentialsReload, s.log) }

	if _, ok := s.credentials.CertificateEnds(); ok {
		s.metrics.Gauge("paylink_rpc_certificate_seconds", "Seconds until the certificate between services expires.", nil, func() float64 {
			end, _ := s.credentials.CertificateEnds()
			return time.Until(end).Seconds()
		})
	}

	s.internal = rpc.NewServer(rpc.ServerConfig{Credentials: s.credentials, Ready: s.reads, Log: s.log, Observe: s.metrics.Call,
		Refused: s.metrics.Refused, Tickets: rpc.Tickets{Render: s.faces().Render, Seal: s.seal}})

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

// peer returns the client of a service that this process calls and does not run, or nil.
func (s *services) peer(name string) *rpc.Peer {
	if pool := s.pools[name]; pool != nil {
		return rpc.NewPeer(name, pool, s.metrics.Call)
	}
	return nil
}

// serve adds a service to the internal listener, if there is one. Every service that runs here
// offers itself; in a single process nobody calls it that way.
func (s *services) serve(add func(*rpc.Server)) {
	if s.internal != nil {
		add(s.internal)
	}
}

// close undoes what open did, in reverse order, and returns all errors.
func (s *services) close() error {
	var errs []error
	for _, c := range slices.Backward(s.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// observeIssuer exports the outcome and the duration of a call to an issuer.
func (s *services) observeIssuer(connector, call string, o issuer.Outcome, took time.Duration) {
	s.metrics.IssuerCall(connector, call, o.String(), took)
}

// aboutWebhooks is authenticated with what is sealed for webhooks.
var aboutWebhooks = []byte("webhook")

// webhookKeys returns what the notifier does with keys: it seals endpoint secrets and bodies, and
// signs requests.
func (s *services) webhookKeys() notify.Keys {
	return notify.Keys{
		Seal:   func(plain []byte) []byte { return s.ring.Seal(keyring.WebhookSeal, plain, aboutWebhooks) },
		Unseal: func(sealed []byte) ([]byte, error) { return s.ring.Unseal(keyring.WebhookSeal, sealed, aboutWebhooks) },
		Sign: func(message []byte) []byte {
			_, signature := s.ring.Sign(keyring.WebhookSign, message)
			return signature
		},
	}
}

// faces lists the API's faces. Every process knows them, because every service renders answers
// into its own commits.
func (s *services) faces() answer.Faces {
	return answer.Faces{"": api.Renderer{PublicURL: s.cfg.PublicURL, Now: time.Now}.Shapes()}
}

// seal protects a recorded answer; about is what it belongs to.
func (s *services) seal(plain, about []byte) ([]byte, error) {
	return s.ring.Seal(keyring.AnswerSeal, plain, about), nil
}

// unseal is the reverse of seal. It fails for what was sealed about something else.
func (s *services) unseal(sealed, about []byte) ([]byte, error) {
	return s.ring.Unseal(keyring.AnswerSeal, sealed, about)
}

// mac makes and checks tags under the keys for general use.
func (s *services) mac() keyring.Authenticator { return s.ring.Authenticator(keyring.MACKey) }

// The targets of a process.

// split reports whether other services run elsewhere.
func (c Config) split() bool { return !slices.Equal(c.Targets, []string{"all"}) }

// runs reports whether a service runs in this process.
func (c Config) runs(target string) bool { return !c.split() || slices.Contains(c.Targets, target) }

// calls returns the services that this process calls in others.
func (c Config) calls() []string {
	if !c.split() {
		return nil
	}
	var all []string
	for _, t := range c.Targets {
		for _, name := range rpc.Calls(t) {
			if !c.runs(name) && !slices.Contains(all, name) {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return all
}

// any reports whether a service that runs in this process has a property.
func (c Config) any(has func(targetSpec) bool) bool {
	return slices.ContainsFunc(slices.Collect(maps.Keys(targetSpecs)), func(t string) bool { return c.runs(t) && has(targetSpecs[t]) })
}

// needsSQL reports whether --store is needed: by a service that uses it, or for links and payments
// without a table.
func (c Config) needsSQL() bool {
	return c.any(func(b targetSpec) bool { return b.sql || (b.payments && c.PaymentsStore == "") })
}

// needsPayments reports whether the store of links and payments is needed.
func (c Config) needsPayments() bool { return c.any(func(b targetSpec) bool { return b.payments }) }

// servesInternally reports whether the process offers services to others. A gateway alone does not.
func (c Config) servesInternally() bool {
	return c.split() && slices.ContainsFunc(c.Targets, func(t string) bool { return t != "gateway" })
}

// targetNames returns the names of all targets, for messages.
func targetNames() string { return strings.Join(slices.Sorted(maps.Keys(targetSpecs)), ", ") }
