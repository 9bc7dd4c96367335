package coordinator

import (
	"context"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/receipt"
)

// Receipt reads the payment and signs its current state. It writes nothing.
func (c *Local) Receipt(ctx context.Context, l link.Link, payment string) (string, error) {
	p, err := c.cfg.Payments.GetPayment(ctx, l.Account, payment)
	if err != nil {
		return "", err
	}
	if p.Link != l.ID || p.Mode != l.Mode {
		return "", fault.NotFound("payment")
	}
	s := receipt.Of(p, l)
	s.Issuer = c.cfg.PublicURL
	return receipt.Sign(c.cfg.Ring, s)
}
