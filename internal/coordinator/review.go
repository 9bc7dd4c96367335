package coordinator

import (
	"context"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/payment"
)

// Review commits a verdict together with the intent that follows from it, calls the issuer, and
// commits the answer. A crash after the first commit leaves a payment that is capturing,
// voiding or refunding, and the sweep carries it out.
func (c *Local) Review(ctx context.Context, account, mode, paymentID, verdict, by string, t *idempotency.Ticket) (payment.Payment, error) {
	ctx = context.WithoutCancel(ctx)
	p, k, err := c.find(ctx, account, mode, paymentID)
	if err != nil {
		return p, err
	}
	refundID := id.Derive(id.Refund, p.ID, "\x00review") // only one verdict refunds
	settled := func(p payment.Payment) (any, bool) {
		r, _ := p.RefundByID(refundID)
		return p, p.Status != payment.Capturing && p.Status != payment.Voiding && !r.Asking()
	}
	p, started, err := c.advance(c.did(ctx, p, activity.Reviewed, verdict), p, payment.Input{Kind: payment.Reviewed, Actor: "merchant",
		Verdict: verdict, By: by, Refund: refundID, Owner: id.New(id.Change)},
		&ticketFor{t, settled})
	if err != nil || !started { // what another call started, that call or the sweep completes
		return p, err
	}
	in := payment.Input{Actor: "issuer", Refund: refundID}
	switch r, _ := p.RefundByID(refundID); {
	case p.Status == payment.Capturing:
		in.Kind, in.Answer = payment.CaptureAnswer, c.capture(ctx, k, p)
	case p.Status == payment.Voiding:
		in.Kind, in.Answer = payment.VoidAnswer, c.reverse(ctx, k, p)
	case r.Asking():
		in.Kind, in.Answer = payment.RefundAnswer, c.refund(ctx, k, p, r)
	default:
		return p, nil
	}
	// The verdict stands whatever the issuer answers; the payment shows how far its consequence
	// is.
	return c.settleWith(ctx, p, in, &ticketFor{t, whole})
}

// Mark sets or removes a payment's label.
func (c *Local) Mark(ctx context.Context, account, mode, paymentID, label, by string, t *idempotency.Ticket) (payment.Payment, error) {
	ctx = context.WithoutCancel(ctx)
	p, err := c.read(ctx, account, mode, paymentID)
	if err != nil {
		return p, err
	}
	return c.settleWith(c.did(ctx, p, activity.Labeled, label), p, payment.Input{Kind: payment.Marked, Actor: "merchant", Label: label,
		By: by}, &ticketFor{t, whole})
}

// Dispute records a dispute that the merchant learned of from an issuer.
func (c *Local) Dispute(ctx context.Context, account, mode, paymentID string, d payment.DisputeInput,
	t *idempotency.Ticket) (payment.Payment, payment.Dispute, error) {
	ctx = context.WithoutCancel(ctx)
	p, err := c.read(ctx, account, mode, paymentID)
	if err != nil {
		return p, payment.Dispute{}, err
	}
	sum, err := parse(d.Amount, p.Amount.Currency)
	if err != nil {
		return p, payment.Dispute{}, err
	}
	fresh := id.New(id.Dispute)
	if t != nil { // a repetition whose first answer was lost is the same dispute
		fresh = id.Derive(id.Dispute, p.ID, "key\x00"+t.Key)
	}
	named := func(p payment.Payment) (payment.Dispute, bool) {
		if found, ok := p.DisputeByID(d.ID); ok {
			return found, true
		}
		if found, ok := p.DisputeByReference(d.Reference); ok {
			return found, true
		}
		return p.DisputeByID(fresh)
	}
	view := func(p payment.Payment) (any, bool) {
		found, ok := named(p)
		return payment.NewDisputeObject(p, found), ok
	}
	p, err = c.settleWith(c.did(ctx, p, activity.DisputeStated, d.State), p, payment.Input{Kind: payment.Disputed, Actor: "merchant",
		By: activity.By(ctx), Dispute: d, DisputeID: fresh, Amount: sum},
		&ticketFor{t, view})
	if err != nil {
		return p, payment.Dispute{}, err
	}
	found, _ := named(p)
	return p, found, nil
}

// disputeNoticed records a dispute that an issuer reported. A notice that comes twice or out of
// order changes nothing and needs no redelivery. The same content under the same reference is
// the same dispute.
func (c *Local) disputeNoticed(ctx context.Context, p payment.Payment, d issuer.Dispute) error {
	in := payment.Input{Kind: payment.Disputed, Actor: "issuer", DisputeID: id.Derive(id.Dispute, p.ID, "reference\x00"+d.Reference),
		Amount:  d.Amount,
		Dispute: payment.DisputeInput{Reference: d.Reference, Reason: d.Reason, State: d.State, EvidenceDueAt: d.EvidenceDueAt}}
	if !d.EvidenceDueAt.IsZero() {
		in.Dispute.EvidenceDueAt = p.At(d.EvidenceDueAt) // an issuer lives in real time
	}
	_, err := c.settle(ctx, p, in)
	if fault.Code(err) == "payment_not_disputable" {
		return err // the success may be about to be committed: the issuer sends the notice again
	}
	if kind := fault.KindOf(err); kind == fault.KindConflict || kind == fault.KindInvalid {
		c.cfg.Log.ErrorContext(ctx, "a dispute notice cannot be recorded; a person must decide", "payment", p.ID,
			"reference", d.Reference, "error", err)
		return nil
	}
	return err
}

// read is find for operations that ask no issuer.
func (c *Local) read(ctx context.Context, account, mode, paymentID string) (payment.Payment, error) {
	p, err := c.cfg.Payments.GetPayment(ctx, account, paymentID)
	if err == nil && p.Mode != mode {
		return p, fault.NotFound("payment")
	}
	return p, err
}
