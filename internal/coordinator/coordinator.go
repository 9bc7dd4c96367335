// Package coordinator is the service that carries a payment through the issuer. It commits what
// is about to be done, calls the issuer, and commits the answer.
//
// Every step keeps this order: commit the intent with its reference, call the issuer, commit
// the answer. A crash between any two of these leaves a payment that the sweep finds by its due
// time and resolves by asking the issuer under the same reference. Recovery never authorizes
// twice, because the card is gone by then.
package coordinator

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// Limits of a coordinator's work.
const (
	CallTimeout   = 30 * time.Second // of one call to an issuer; shorter than a lease
	maxConflicts  = 20               // re-reads when others change the same payment
	maxResends    = 4                // of a commit whose outcome is unknown
	resendPause   = 50 * time.Millisecond
	repairEvery   = time.Second // between inquiries triggered by reads
	sweepEvery    = time.Second
	sweepBatch    = 100
	sweepParallel = 16
	maxFollowUps  = 3 // steps that fall due at once, such as a late refund
)

// Service carries payments through the issuer. Local implements it, and so does a client over
// the wire. An empty amount means all that is left. If a ticket is given, its record is part of
// the commit, rendered from the payment.Payment after the step, or from a refund's
// payment.RefundView.
type Service interface {
	// Submit pays a link. A decline is a payment, not an error. If the link can't be paid, the
	// fault's code is link_paying, link_paid, link_expired or link_canceled.
	Submit(context.Context, payment.Submit) (payment.Payment, error)
	ByAttempt(ctx context.Context, l link.Link, attempt string) (payment.Payment, bool, error)
	// Latest returns the payment that last reserved a use of the link, and whether there is
	// one.
	Latest(ctx context.Context, l link.Link) (payment.Payment, bool, error)
	Capture(ctx context.Context, account, mode, id, amount string, t *idempotency.Ticket) (payment.Payment, error)
	Void(ctx context.Context, account, mode, id string, t *idempotency.Ticket) (payment.Payment, error)
	// Refund refunds captured money. It fails with refundable_amount_changed if the refundable
	// amount is not what the caller saw, and with payment_disputed if disputes claim the money.
	Refund(ctx context.Context, account, mode, id string, in payment.RefundInput,
		t *idempotency.Ticket) (payment.Payment, payment.Refund, error)
	// Review decides on a payment that waits in review. The verdict is payment.ReviewApproved
	// (captured, if its link captures automatically), ReviewDeclined (voided), or
	// ReviewRefunded, which refunds any payment as fraud. By names the user or API key that
	// decided.
	Review(ctx context.Context, account, mode, id, verdict, by string, t *idempotency.Ticket) (payment.Payment, error)
	// Mark labels a payment as payment.LabelFraud or LabelLegitimate; "" removes the label.
	Mark(ctx context.Context, account, mode, id, label, by string, t *idempotency.Ticket) (payment.Payment, error)
	// Dispute opens a dispute or changes its state. Its record is rendered from the
	// payment.DisputeObject.
	Dispute(ctx context.Context, account, mode, id string, d payment.DisputeInput,
		t *idempotency.Ticket) (payment.Payment, payment.Dispute, error)
	// Repair asks the issuer about a stuck payment, within a short time, and returns the
	// payment as it is then.
	Repair(ctx context.Context, p payment.Payment) payment.Payment
	// Receipt returns the signed statement (package receipt) about a payment made with the
	// link, as the payment is now. It fails with fault.NotFound if the link has no such
	// payment.
	Receipt(ctx context.Context, l link.Link, payment string) (string, error)
	// Notice processes an answer that an issuer sent unasked. It returns nil once the notice
	// needs no redelivery.
	Notice(context.Context, issuer.Notice) error
}

// Config holds the settings and dependencies of a coordinator.
type Config struct {
	Payments   payment.Store
	Links      link.Reader
	Connectors []issuer.Connector
	LinkURL    func(link.Link) string
	Ring       *keyring.Ring // signs receipts
	PublicURL  string        // the address of this installation, for receipts
	Now        func() time.Time
	Log        *slog.Logger
	// Fraud assesses attempts before the issuer is asked; nil disables assessment.
	Fraud fraud.Assessor
	// FraudBudget bounds an assessment. After that the account's policy decides.
	FraudBudget time.Duration // DefaultFraudBudget when zero
	// ObserveFraud is called after each assessment with its duration and whether it came in
	// time; may be nil.
	ObserveFraud func(took time.Duration, inTime bool)
	// ObserveGone is called whenever the sweep takes up a payment whose issuer is not among the
	// connectors; may be nil.
	ObserveGone func(issuer string)
	// Observe is called after every call to an issuer; may be nil.
	Observe func(connector, call string, outcome issuer.Outcome, took time.Duration)
}

// Local implements Service in this process.
type Local struct {
	cfg        Config
	policies   policies
	connectors map[string]issuer.Connector
	lanes      lanes
}

var _ Service = (*Local)(nil)

// New returns a coordinator that listens to its connectors' notices.
func New(cfg Config) *Local {
	c := &Local{cfg: cfg, connectors: map[string]issuer.Connector{}}
	if cfg.Observe == nil {
		c.cfg.Observe = func(string, string, issuer.Outcome, time.Duration) {}
	}
	if cfg.ObserveGone == nil {
		c.cfg.ObserveGone = func(string) {}
	}
	if cfg.ObserveFraud == nil {
		c.cfg.ObserveFraud = func(time.Duration, bool) {}
	}
	if cfg.FraudBudget <= 0 {
		c.cfg.FraudBudget = DefaultFraudBudget
	}
	for _, k := range cfg.Connectors {
		c.connectors[k.Name()] = k
		if n, ok := k.(issuer.Notifier); ok {
			n.OnNotice(c.Notice)
		}
	}
	return c
}

// ByAttempt returns the payment that an attempt at a link made, and whether there is one.
func (c *Local) ByAttempt(ctx context.Context, l link.Link, attempt string) (payment.Payment, bool, error) {
	return c.get(ctx, l.Account, payment.IDFor(l.ID, attempt))
}

// Latest returns the payment that last reserved a use of the link, and whether there is one.
func (c *Local) Latest(ctx context.Context, l link.Link) (payment.Payment, bool, error) {
	if l.LastPayment == "" {
		return payment.Payment{}, false, nil
	}
	return c.get(ctx, l.Account, l.LastPayment)
}

func (c *Local) get(ctx context.Context, account, id string) (payment.Payment, bool, error) {
	p, err := c.cfg.Payments.GetPayment(ctx, account, id)
	if fault.KindOf(err) == fault.KindNotFound {
		return p, false, nil
	}
	return p, err == nil, err
}

// Submit pays a link. The same attempt is the same payment, so a repetition is answered with
// that payment's state. Once the attempt is committed, the work goes on even if ctx is
// canceled.
func (c *Local) Submit(ctx context.Context, s payment.Submit) (payment.Payment, error) {
	ctx = context.WithoutCancel(ctx)
	now := c.cfg.Now()
	connector, fresh, err := c.check(s, now)
	if err == nil {
		err = s.Link.Unpayable(now)
	}
	if err != nil {
		return c.orExisting(ctx, s, err)
	}
	if s.Link.LastPayment == fresh.ID { // usually a repetition: the decision stands, so assess nothing
		if p, ok, err := c.ByAttempt(ctx, s.Link, s.Attempt); err == nil && ok && p.Status != payment.Created {
			return p, nil
		}
	}
	risk, err := c.assess(ctx, s, fresh)
	if err != nil {
		return c.orExisting(ctx, s, err)
	}
	p, change, err := c.begin(ctx, s, fresh, risk)
	if err != nil {
		return c.orExisting(ctx, s, err)
	}
	if change.Nothing || p.Status != payment.Processing { // a repetition, or blocked
		return p, nil
	}
	answer := c.call(ctx, connector, "authorize", func(ctx context.Context) issuer.Answer {
		return connector.Authorize(ctx, issuer.Authorization{Reference: p.IssuerKey(), Amount: p.Amount, Card: s.Card,
			Capture: p.Capture == link.CaptureAutomatic && p.Risk.Action != payment.Hold, Challenge: p.Risk.Challenge,
			Statement: s.Link.Payee, ReturnURL: s.ReturnURL, ExpiresAt: p.LinkEndsAt.Add(-p.Ahead)})
	})
	done, err := c.settle(ctx, p, payment.Input{Kind: payment.Sync, Actor: "issuer", Answer: answer, Link: s.Link})
	if err != nil {
		// The attempt is durable, so the sweep asks the issuer.
		c.cfg.Log.ErrorContext(ctx, "the issuer's answer could not be committed; the sweep will ask again", "payment", p.ID, "error", err)
		return p, nil
	}
	return c.followUp(ctx, done), nil
}

// begin commits the attempt before anything is sent to the issuer.
func (c *Local) begin(ctx context.Context, s payment.Submit, fresh payment.Payment,
	risk payment.Risk) (payment.Payment, payment.Change, error) {
	for range maxConflicts {
		in := payment.Input{Kind: payment.Begin, Change: id.New(id.Change), At: s.Link.At(c.cfg.Now()), Actor: "payer",
			Owner: id.New(id.Change), Link: s.Link, Risk: risk}
		change, err := payment.Next(fresh, in)
		if err != nil || change.Nothing {
			return change.Payment, change, err
		}
		err = c.commit(ctx, change)
		if !errors.Is(err, payment.ErrConflict) {
			return change.Payment, change, err
		}
		seen, ok, err := c.ByAttempt(ctx, s.Link, s.Attempt)
		if err != nil {
			return seen, payment.Change{}, err
		}
		if ok { // the same attempt came before
			if seen.Status != payment.Created {
				return seen, payment.Change{Nothing: true}, nil
			}
			// Nothing was sent yet, so the payer's latest input counts.
			seen.CardBrand, seen.CardLast4, seen.Amount = fresh.CardBrand, fresh.CardLast4, fresh.Amount
			seen.PayerName, seen.PayerEmail, seen.PayerLang = fresh.PayerName, fresh.PayerEmail, fresh.PayerLang
			fresh = seen
		}
	}
	return fresh, payment.Change{}, busy()
}

// orExisting answers a refused submit with the attempt's own payment, if there is one, so a
// page that is sent twice gets the first answer.
func (c *Local) orExisting(ctx context.Context, s payment.Submit, refusal error) (payment.Payment, error) {
	if p, ok, err := c.ByAttempt(ctx, s.Link, s.Attempt); err == nil && ok && p.Status != payment.Created {
		return p, nil
	}
	return payment.Payment{}, refusal
}

// check validates a submit and returns the connector and the payment that it begins.
func (c *Local) check(s payment.Submit, now time.Time) (issuer.Connector, payment.Payment, error) {
	l := s.Link
	none := payment.Payment{}
	connector, ok := c.connectors[l.Issuer]
	if !ok {
		return nil, none, fault.Unavailable("issuer_unavailable", time.Minute, nil, "The payment method of this link is not available now.")
	}
	if s.Card.Empty() {
		return nil, none, fault.Invalid("card", "parameter_missing", "A card is required.")
	}
	amount := l.Amount
	if l.PayerChooses() {
		amount = s.Amount
		switch {
		case amount.Currency != l.Amount.Currency || amount.Minor <= 0:
			return nil, none, fault.Invalid("amount", "parameter_missing", "Choose an amount in %s.", l.Amount.Currency)
		case amount.Minor < l.MinMinor:
			return nil, none, fault.Invalid("amount", "amount_too_small", "The amount is at least %s.", money.Of(l.MinMinor, amount.Currency))
		case amount.Minor > l.MaxMinor:
			return nil, none, fault.Invalid("amount", "amount_too_large", "The amount is at most %s.", money.Of(l.MaxMinor, amount.Currency))
		}
	} else if s.Amount.Minor != 0 && s.Amount != amount {
		return nil, none, fault.Invalid("amount", "amount_mismatch", "The amount of this link is %s.", amount)
	}
	now = l.At(now).UTC().Truncate(time.Microsecond)
	return connector, payment.Payment{Ahead: l.Ahead,
		ID: payment.IDFor(l.ID, s.Attempt), Account: l.Account, Mode: l.Mode, Link: l.ID, Attempt: s.Attempt, Issuer: l.Issuer,
		Amount: amount, Capture: l.Capture, LatePolicy: l.LatePolicy, LinkEndsAt: l.ExpiresAt, LinkUses: l.MaxUses,
		CardBrand: s.Card.Brand(), CardLast4: s.Card.Last4(), PayerName: s.PayerName, PayerEmail: s.PayerEmail, PayerLang: s.PayerLang,
		Realm: l.Realm, Reference: l.Reference, Metadata: l.Metadata, CreatedAt: now, UpdatedAt: now,
	}, nil
}

// call makes one call to an issuer under its own deadline.
func (c *Local) call(ctx context.Context, k issuer.Connector, name string, do func(context.Context) issuer.Answer) issuer.Answer {
	ctx, cancel := context.WithTimeout(ctx, CallTimeout)
	defer cancel()
	start := time.Now()
	answer := do(ctx)
	c.cfg.Observe(k.Name(), name, answer.Outcome, time.Since(start))
	return answer
}

// settle feeds an input to the machine and commits the change. It reads the payment again as
// often as others change it. Repetitions are harmless to the machine.
func (c *Local) settle(ctx context.Context, p payment.Payment, in payment.Input) (payment.Payment, error) {
	return c.settleWith(ctx, p, in, nil)
}

// settleWith is settle with a record of the answer.
func (c *Local) settleWith(ctx context.Context, p payment.Payment, in payment.Input, ticket *ticketFor) (payment.Payment, error) {
	p, _, err := c.advance(ctx, p, in, ticket)
	return p, err
}

// advance is settleWith, and also reports whether this call changed the payment. A call that did
// not start an operation must not send it: "not sent" of one call would be taken for the answer
// while another call is at the issuer.
func (c *Local) advance(ctx context.Context, p payment.Payment, in payment.Input, ticket *ticketFor) (payment.Payment, bool, error) {
	for range maxConflicts {
		in.Change, in.At = id.New(id.Change), p.At(c.cfg.Now())
		change, err := payment.Next(p, inTimeOf(p, in))
		if err != nil || change.Nothing {
			return p, false, err
		}
		if err := c.complete(ctx, &change, &in, ticket); err != nil {
			return p, false, err
		}
		err = c.commit(ctx, change)
		switch {
		case err == nil:
			c.logChange(ctx, change)
			return change.Payment, true, nil
		case change.Use == payment.UseRetake && fault.KindOf(err) == fault.KindConflict:
			in.NoUse = true // another payer used the link meanwhile
		case errors.Is(err, payment.ErrConflict):
			if p, err = c.cfg.Payments.GetPayment(ctx, p.Account, p.ID); err != nil {
				return p, false, err
			}
			if in.Reference == "" || in.Reference == p.IssuerKey() {
				in.Answer = c.reassess(ctx, p, in.Answer)
			}
		default:
			return p, false, err
		}
	}
	return p, false, busy()
}

// inTimeOf moves the times in an issuer's answer to the payment's clock, because an issuer
// lives in real time.
func inTimeOf(p payment.Payment, in payment.Input) payment.Input {
	if !in.Answer.At.IsZero() {
		in.Answer.At = p.At(in.Answer.At)
	}
	return in
}

// reassess re-evaluates an issuer's answer after a concurrent change. "Not sent" says
// nothing about the calls that others made, and an approval of an attempt that was abandoned
// meanwhile may have been reversed since, so both become ambiguous and the issuer is asked.
func (c *Local) reassess(ctx context.Context, p payment.Payment, a issuer.Answer) issuer.Answer {
	k, ok := c.connectors[p.Issuer]
	switch {
	case a.Outcome == issuer.NotSent:
		a.Outcome = issuer.Ambiguous
	case a.Outcome == issuer.Approved && abandoned(p.Status) && ok:
		return c.lookup(ctx, k, p.IssuerKey())
	}
	return a
}

// abandoned reports whether the payment holds no use of its link, and no approval is expected.
func abandoned(s payment.Status) bool {
	return s == payment.Canceled || s == payment.Declined || s == payment.Created
}

// ticketFor renders the first answer of an idempotent request into the commit that decides it.
type ticketFor struct {
	ticket *idempotency.Ticket
	object func(payment.Payment) (object any, ready bool)
}

func (c *Local) complete(ctx context.Context, change *payment.Change, in *payment.Input, t *ticketFor) error {
	p := change.Payment
	if change.Use == payment.UseComplete || change.Use == payment.UseRetake {
		if in.Link.ID == "" {
			l, err := c.cfg.Links.GetLink(ctx, p.Account, p.Link)
			if err != nil {
				return err
			}
			in.Link = l
		}
		if in.Link.MaxUses > 0 {
			paid, err := link.PaidEvent(in.Link, c.cfg.LinkURL(in.Link), change.At)
			if err != nil {
				return err
			}
			change.WhenLinkPaid = []stream.Event{paid}
		}
	}
	if t == nil || t.ticket == nil {
		return nil
	}
	object, ready := t.object(p)
	if !ready {
		return nil
	}
	record, err := t.ticket.Fill(object, change.At)
	change.Record = record
	return err
}

// commit sends a change until its outcome is known. The store recognizes a change that it has
// already committed. If ctx ends between two tries, the last error is returned.
func (c *Local) commit(ctx context.Context, change payment.Change) error {
	var err error
	for i := range maxResends {
		err = c.cfg.Payments.CommitPayment(ctx, change)
		if err == nil || errors.Is(err, payment.ErrConflict) || errors.Is(err, idempotency.ErrRaced) {
			return err
		}
		var f *fault.Error
		if errors.As(err, &f) && f.Kind != fault.KindUnavailable {
			return err
		}
		if i == maxResends-1 {
			break
		}
		select {
		case <-time.After(resendPause << i):
		case <-ctx.Done():
			return err
		}
	}
	return err
}

// logChange logs what an operator must know about a change.
func (c *Local) logChange(ctx context.Context, change payment.Change) {
	for _, e := range change.Entries {
		details := []any{"payment", change.Payment.ID, "reason", e.Reason}
		if e.Code != "" {
			details = append(details, "code", e.Code)
		}
		if e.Amount.Currency != "" {
			details = append(details, "amount", e.Amount.String())
		}
		switch e.To {
		case payment.Review:
			c.cfg.Log.ErrorContext(ctx, "a payment needs a person", details...)
		case payment.Unknown, payment.Late:
			c.cfg.Log.WarnContext(ctx, "payment is "+string(e.To), details...)
		default: // as expected
		}
	}
}

// Notice processes an answer that an issuer sent unasked. It goes through the same machine as
// the synchronous answer; whichever comes second changes nothing.
func (c *Local) Notice(ctx context.Context, n issuer.Notice) error {
	paymentID, _, ok := strings.Cut(n.Reference, "-")
	if !ok {
		return fmt.Errorf("notice for an unknown reference %q", n.Reference)
	}
	p, err := c.cfg.Payments.FindPayment(ctx, paymentID)
	if err != nil {
		return err
	}
	k, ok := c.connectors[p.Issuer]
	if !ok {
		return fmt.Errorf("notice for issuer %s, which is not configured", p.Issuer)
	}
	if n.Reference != p.IssuerKey() {
		return c.reverseEarlier(ctx, k, p, n.Reference)
	}
	if n.Dispute != nil {
		return c.disputeNoticed(ctx, p, *n.Dispute)
	}
	answer := n.Answer
	if answer.Outcome == issuer.Approved && abandoned(p.Status) {
		answer = c.reassess(ctx, p, answer)
		if answer.Outcome == issuer.Ambiguous || answer.Outcome == issuer.NotSent || answer.Outcome == issuer.Pending {
			return fmt.Errorf("notice for %s, which was abandoned, could not be confirmed: %s", n.Reference, answer.Outcome)
		}
	}
	done, err := c.settle(ctx, p, payment.Input{Kind: payment.Noticed, Actor: "issuer", Answer: answer, Reference: n.Reference})
	if err != nil {
		return err
	}
	if n.Reference != done.IssuerKey() { // the payer tried again meanwhile
		return c.reverseEarlier(ctx, k, done, n.Reference)
	}
	if answer.Outcome == issuer.Approved && answer.Amount != done.Amount && done.CapturedMinor > 0 {
		c.cfg.Log.ErrorContext(ctx, "a notice contradicts a captured payment; a person must look", "payment", done.ID,
			"amount", done.Amount.String(), "noticed", answer.Amount.String())
	}
	c.followUp(ctx, done)
	return nil
}

// reverseEarlier reverses what the issuer approved for an earlier try that had been taken as
// not sent. An error makes the issuer send its notice again.
func (c *Local) reverseEarlier(ctx context.Context, k issuer.Connector, p payment.Payment, reference string) error {
	c.cfg.Log.ErrorContext(ctx, "notice for an earlier try; it is reversed", "payment", p.ID, "reference", reference)
	a := c.call(ctx, k, "reverse", func(ctx context.Context) issuer.Answer {
		return k.Reverse(ctx, issuer.Operation{ID: reference + "-v", Authorization: reference, Amount: p.Amount})
	})
	if a.Outcome != issuer.Reversed {
		return fmt.Errorf("the earlier try %s could not be reversed: %s", reference, a.Outcome)
	}
	return nil
}

func busy() error {
	return fault.Unavailable("payment_busy", time.Second, nil, "Many requests change this payment at once. Try again.")
}
