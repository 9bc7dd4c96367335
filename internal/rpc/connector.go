package rpc

import (
	"context"
	"net/http"
	"net/http/httputil"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/obs"
)

// SimulatorService is the name of the issuer that runs as a service.
const SimulatorService = "simulator"

// Connector is an issuer.Connector whose other half runs as a service. Its name and capabilities
// are known without a call. A call that provably was not sent is NotSent, and any other without
// an answer is Ambiguous, as the contract requires.
type Connector struct {
	peer  *Peer
	name  string
	can   issuer.Capabilities
	cards Cards
}

var _ issuer.Connector = (*Connector)(nil)

// NewConnector returns the client.
func NewConnector(p *Peer, name string, can issuer.Capabilities, cards Cards) *Connector {
	return &Connector{peer: p, name: name, can: can, cards: cards}
}

// authorizeForm is an authorization with its card sealed.
type authorizeForm struct {
	Reference string
	Amount    money.Amount
	Card      []byte
	Capture   bool
	Challenge bool
	Statement string
	ReturnURL string
	ExpiresAt time.Time
}

// about names the only authorization for which the card can be opened.
func (f authorizeForm) about() string { return "authorize\x00" + f.Reference }

// Name implements issuer.Connector.
func (c *Connector) Name() string { return c.name }

// Capabilities implements issuer.Connector.
func (c *Connector) Capabilities() issuer.Capabilities {
	can := c.can // the caller may keep the lists
	can.Types, can.Currencies = slices.Clone(can.Types), slices.Clone(can.Currencies)
	return can
}

// Authorize implements issuer.Connector. Without a key to seal the card, nothing is sent.
func (c *Connector) Authorize(ctx context.Context, a issuer.Authorization) issuer.Answer {
	f := authorizeForm{
		Reference: a.Reference,
		Amount:    a.Amount,
		Capture:   a.Capture,
		Statement: a.Statement,
		ReturnURL: a.ReturnURL,
		ExpiresAt: a.ExpiresAt,
		Challenge: a.Challenge,
	}
	var err error
	if f.Card, err = c.cards.seal(a.Card, f.about()); err != nil {
		return issuer.Answer{Outcome: issuer.NotSent}
	}
	return oneOutcome(call[authorizeForm, issuer.Answer](ctx, c.peer, "Authorize", harmless, &f))
}

// Capture implements issuer.Connector.
func (c *Connector) Capture(ctx context.Context, o issuer.Operation) issuer.Answer {
	return oneOutcome(call[issuer.Operation, issuer.Answer](ctx, c.peer, "Capture", harmless, &o))
}

// Refund implements issuer.Connector.
func (c *Connector) Refund(ctx context.Context, o issuer.Operation) issuer.Answer {
	return oneOutcome(call[issuer.Operation, issuer.Answer](ctx, c.peer, "Refund", harmless, &o))
}

// Reverse implements issuer.Connector.
func (c *Connector) Reverse(ctx context.Context, o issuer.Operation) issuer.Answer {
	return oneOutcome(call[issuer.Operation, issuer.Answer](ctx, c.peer, "Reverse", harmless, &o))
}

// Lookup implements issuer.Connector.
func (c *Connector) Lookup(ctx context.Context, reference string) issuer.Answer {
	return oneOutcome(call[named, issuer.Answer](ctx, c.peer, "Lookup", harmless, &named{reference}))
}

// oneOutcome returns exactly one outcome for an answer or an error: NotSent only if the
// call provably was not sent.
func oneOutcome(a *issuer.Answer, err error) issuer.Answer {
	switch {
	case NotSent(err):
		return issuer.Answer{Outcome: issuer.NotSent}
	case err != nil || a.Outcome > issuer.Pending: // an unknown outcome of a newer peer is ambiguous
		return issuer.Answer{Outcome: issuer.Ambiguous}
	}
	return *a
}

// ServeConnector serves an issuer's connector under the name of its service. A card that
// cannot be opened is answered with NotSent, because the issuer was not asked.
func ServeConnector(s *Server, service string, k issuer.Connector, cards Cards) {
	handle(s, service, "Authorize", func(ctx context.Context, q *authorizeForm) (*issuer.Answer, error) {
		card, err := cards.open(q.Card, q.about())
		if err != nil {
			s.Log.ErrorContext(ctx, "a card could not be received", "reference", q.Reference, "error", err)
			return &issuer.Answer{Outcome: issuer.NotSent}, nil
		}
		defer card.Clear()
		a := k.Authorize(ctx, issuer.Authorization{Reference: q.Reference, Amount: q.Amount, Card: card, Capture: q.Capture,
			Statement: q.Statement, ReturnURL: q.ReturnURL, ExpiresAt: q.ExpiresAt, Challenge: q.Challenge})
		return &a, nil
	})

	operation := func(method string, do func(context.Context, issuer.Operation) issuer.Answer) {
		handle(s, service, method, func(ctx context.Context, q *issuer.Operation) (*issuer.Answer, error) {
			a := do(ctx, *q)
			return &a, nil
		})
	}
	operation("Capture", k.Capture)
	operation("Refund", k.Refund)
	operation("Reverse", k.Reverse)
	handle(s, service, "Lookup", func(ctx context.Context, q *named) (*issuer.Answer, error) {
		a := k.Lookup(ctx, q.ID)
		return &a, nil
	})
}

// Pages forwards a payer's request to the pages of an issuer that runs as a service,
// authenticated as the gateway. The payer's own credentials and cookies are removed.
func Pages(p *Pool) http.Handler {
	return &httputil.ReverseProxy{
		Transport: p,
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme, r.Out.URL.Host = "http", p.service // the pool selects the address
			for _, h := range []string{"Authorization", "Cookie", requestIDHeader} {
				r.Out.Header.Del(h)
			}
			r.Out.Header.Set(requestIDHeader, obs.RequestID(r.In.Context()))
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			p.log.WarnContext(r.Context(), "an issuer's page could not be fetched", "service", p.service, "error", err)
			problem.Write(
				w,
				r,
				fault.Unavailable("issuer_unavailable", time.Second, err, "Your bank's verification page is temporarily unavailable. Try again."),
				"",
			)
		},
	}
}
