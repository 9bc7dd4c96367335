package coordinator

import (
	"context"

	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/payment"
)

// gone is the connector of an issuer that is not in the configuration. Every call is ambiguous:
// the outcome of a payment there is unknown, and the schedule of inquiries goes on. The payment
// continues if the issuer comes back, and otherwise goes to review.
type gone string

func (g gone) Name() string                      { return string(g) }
func (g gone) Capabilities() issuer.Capabilities { return issuer.Capabilities{} }

func (g gone) Authorize(context.Context, issuer.Authorization) issuer.Answer { return g.answer() }
func (g gone) Capture(context.Context, issuer.Operation) issuer.Answer       { return g.answer() }
func (g gone) Refund(context.Context, issuer.Operation) issuer.Answer        { return g.answer() }
func (g gone) Reverse(context.Context, issuer.Operation) issuer.Answer       { return g.answer() }
func (g gone) Lookup(context.Context, string) issuer.Answer                  { return g.answer() }

func (g gone) answer() issuer.Answer {
	return issuer.Answer{Outcome: issuer.Ambiguous, Code: issuer.Gone}
}

// returned resumes work on a payment whose issuer is back in the configuration.
func (c *Local) returned(ctx context.Context, k issuer.Connector, p payment.Payment, extra bool) (payment.Payment, error) {
	switch {
	case !p.Orphaned():
		return p, nil
	case p.VoidFrom != payment.None:
		return c.settle(ctx, p, payment.Input{Kind: payment.VoidAnswer, Actor: "sweep", Answer: c.reverse(ctx, k, p), Extra: extra})
	case p.Capturing > 0:
		return c.askCapture(ctx, k, p, extra)
	case p.AuthorizedMinor > 0:
		return p, nil
	}
	return c.inquire(ctx, k, p, extra)
}
