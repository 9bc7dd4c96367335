package coordinator

import (
	"context"
	"errors"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// find returns a payment of the account in the mode of its key, or fault.NotFound.
func (c *Local) find(ctx context.Context, account, mode, paymentID string) (payment.Payment, issuer.Connector, error) {
	p, err := c.cfg.Payments.GetPayment(ctx, account, paymentID)
	if err != nil {
		return p, nil, err
	}
	if p.Mode != mode {
		return p, nil, fault.NotFound("payment")
	}
	k, ok := c.connectors[p.Issuer]
	if !ok {
		return p, nil, fault.Unavailable("issuer_unavailable", time.Minute, nil, "The payment's issuer is not configured here.")
	}
	return p, k, nil
}

// parse reads an optional amount; an empty one is zero.
func parse(s string, c money.Currency) (money.Amount, error) {
	if s == "" {
		return money.Amount{}, nil
	}
	a, err := money.Parse(s, c)
	switch {
	case errors.Is(err, money.ErrPrecision):
		return a, fault.Invalid("amount", "amount_too_many_decimals", "%s has %d decimals.", c, c.Exponent())
	case errors.Is(err, money.ErrOverflow):
		return a, fault.Invalid("amount", "amount_too_large", "An amount in %s is at most %s.", c, money.Of(money.MaxMinor, c).Decimal())
	case err != nil:
		return a, fault.Invalid("amount", "amount_invalid", "The amount is a decimal number with at most %d decimals for %s: %v.",
			c.Exponent(), c, err)
	}
	if a.Minor == 0 {
		return a, fault.Invalid("amount", "amount_too_small", "The amount must be greater than zero.")
	}
	return a, nil
}

// seen parses the refundable amount that the caller saw. It returns nil if none was given.
func seen(s string, c money.Currency) (*money.Amount, error) {
	if s == "" {
		return nil, nil
	}
	a, err := money.Parse(s, c)
	if err != nil {
		return nil, fault.Invalid("refundableAmount", "amount_invalid",
			"refundableAmount is a decimal number with at most %d decimals for %s: %v.", c.Exponent(), c, err)
	}
	return &a, nil
}

// did returns ctx with an event about a payment, which the next commit writes. what is the amount,
// verdict or label that was asked for.
func (c *Local) did(ctx context.Context, p payment.Payment, kind, what string) context.Context {
	return activity.Record(ctx, activity.Event{Account: p.Account, At: c.cfg.Now(), Kind: kind, Target: p.ID,
		Details: map[string]string{"mode": p.Mode, "currency": string(p.Amount.Currency), "value": what}})
}

// whole renders the payment itself, once the operation is decided or left to the sweep.
func whole(p payment.Payment) (any, bool) { return p, true }

// Capture captures the authorized money, all or part of it, or accepts a late success. If the
// issuer's answer is unclear, the payment stays authorized and the sweep asks again.
func (c *Local) Capture(ctx context.Context, account, mode, paymentID, amount string, t *idempotency.Ticket) (payment.Payment, error) {
	ctx = context.WithoutCancel(ctx)
	p, k, err := c.find(ctx, account, mode, paymentID)
	if err != nil {
		return p, err
	}
	sum, err := parse(amount, p.Amount.Currency)
	if err != nil {
		return p, err
	}
	asked := &ticketFor{ticket: t, object: func(p payment.Payment) (any, bool) { return p, p.Status == payment.Succeeded }}
	p, err = c.settleWith(c.did(ctx, p, activity.CaptureAsked, amount), p, payment.Input{Kind: payment.CaptureAsked,
		Actor: "merchant", By: activity.By(ctx), Amount: sum, Owner: id.New(id.Change)}, asked)
	if err != nil || p.Status != payment.Capturing {
		return p, err
	}
	answer := c.capture(ctx, k, p)
	done, err := c.settleWith(ctx, p, payment.Input{Kind: payment.CaptureAnswer, Actor: "issuer", Answer: answer},
		&ticketFor{t, unlessRefused(answer)})
	if err != nil {
		return p, err
	}
	return done, refusal(answer)
}

func (c *Local) capture(ctx context.Context, k issuer.Connector, p payment.Payment) issuer.Answer {
	return c.call(ctx, k, "capture", func(ctx context.Context) issuer.Answer {
		return k.Capture(ctx, issuer.Operation{ID: p.CaptureKey(), Authorization: p.IssuerKey(),
			Amount: money.Of(p.Capturing, p.Amount.Currency)})
	})
}

// Void releases an authorization.
func (c *Local) Void(ctx context.Context, account, mode, paymentID string, t *idempotency.Ticket) (payment.Payment, error) {
	ctx = context.WithoutCancel(ctx)
	p, k, err := c.find(ctx, account, mode, paymentID)
	if err != nil {
		return p, err
	}
	p, err = c.settle(c.did(ctx, p, activity.VoidAsked, ""), p, payment.Input{Kind: payment.VoidAsked, Actor: "merchant",
		By: activity.By(ctx), Owner: id.New(id.Change)})
	if err != nil || p.Status != payment.Voiding {
		return p, err
	}
	answer := c.reverse(ctx, k, p)
	done, err := c.settleWith(ctx, p, payment.Input{Kind: payment.VoidAnswer, Actor: "issuer", Answer: answer},
		&ticketFor{t, unlessRefused(answer)})
	if err != nil {
		return p, err
	}
	if answer.Outcome == issuer.NotSent {
		return done, nil // the decision stands; the sweep carries it out
	}
	return done, refusal(answer)
}

func (c *Local) reverse(ctx context.Context, k issuer.Connector, p payment.Payment) issuer.Answer {
	return c.call(ctx, k, "reverse", func(ctx context.Context) issuer.Answer {
		return k.Reverse(ctx, issuer.Operation{ID: p.VoidKey(), Authorization: p.IssuerKey(), Amount: p.Amount})
	})
}

// Refund refunds captured money, all or part of it. With an idempotency key the refund's id
// derives from the key, so repetitions and crashes still make one refund. The refundable amount
// that the caller saw, and what disputes claim, are checked against the revision that the
// commit builds on.
func (c *Local) Refund(ctx context.Context, account, mode, paymentID string, asked payment.RefundInput,
	t *idempotency.Ticket) (payment.Payment, payment.Refund, error) {
	ctx = context.WithoutCancel(ctx)
	none := payment.Refund{}
	p, k, err := c.find(ctx, account, mode, paymentID)
	if err != nil {
		return p, none, err
	}
	sum, err := parse(asked.Amount, p.Amount.Currency)
	if err != nil {
		return p, none, err
	}
	refundable, err := seen(asked.Refundable, p.Amount.Currency)
	if err != nil {
		return p, none, err
	}
	refundID := id.New(id.Refund)
	if t != nil {
		refundID = id.Derive(id.Refund, p.ID, t.Key)
	}
	p, started, err := c.advance(c.did(ctx, p, activity.RefundAsked, asked.Amount), p, payment.Input{Kind: payment.RefundAsked,
		Actor: "merchant", Amount: sum, Refund: refundID,
		Refundable: refundable, AllowDisputed: asked.AllowDisputed, By: asked.By}, nil)
	if err != nil {
		return p, none, err
	}
	r, ok := p.RefundByID(refundID)
	if !ok || !r.Asking() || !started { // what another call started, that call or the sweep completes
		return p, r, nil
	}
	answer := c.refund(ctx, k, p, r)
	view := func(p payment.Payment) (any, bool) {
		r, _ := p.RefundByID(refundID)
		return payment.RefundObject(p, r), true
	}
	done, err := c.settleWith(ctx, p, payment.Input{Kind: payment.RefundAnswer, Actor: "issuer", Answer: answer, Refund: refundID},
		&ticketFor{t, view})
	if err != nil {
		return p, r, err
	}
	r, _ = done.RefundByID(refundID)
	return done, r, nil
}

func (c *Local) refund(ctx context.Context, k issuer.Connector, p payment.Payment, r payment.Refund) issuer.Answer {
	return c.call(ctx, k, "refund", func(ctx context.Context) issuer.Answer {
		return k.Refund(ctx, issuer.Operation{ID: r.ID, Authorization: p.IssuerKey(), Amount: money.Of(r.Minor, p.Amount.Currency)})
	})
}

// unlessRefused keeps an answer for replay unless the caller may try again.
func unlessRefused(a issuer.Answer) func(payment.Payment) (any, bool) {
	if a.Outcome == issuer.Declined || a.Outcome == issuer.NotSent {
		return func(payment.Payment) (any, bool) { return nil, false }
	}
	return whole
}

// refusal returns the fault for an operation that the issuer refused, or nil.
func refusal(a issuer.Answer) error {
	switch a.Outcome {
	case issuer.Declined:
		code := a.Code
		if code == "" {
			code = issuer.CodeDeclined
		}
		return fault.New(fault.KindDeclined, code, "The issuer refused: %s", a.Message)
	case issuer.NotSent:
		return fault.Unavailable("issuer_unreachable", time.Second, nil, "The issuer could not be reached; nothing was changed. Try again.")
	default:
		return nil
	}
}
