package rpc

import (
	"context"
	"net/netip"
	"time"

	"github.com/paylink/paylink/internal/coordinator"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// TransactionsService is the name of the transactions service.
const TransactionsService = "transactions"

// Transactions is the client of coordinator.Service, with the service's idempotency records. The
// service reads the link again, because it does not trust the gateway with an amount.
type Transactions struct {
	records
	peer  *Peer
	cards Cards
	now   func() time.Time
}

var _ coordinator.Service = (*Transactions)(nil)

// NewTransactions returns the client. cards may be empty where nothing is submitted.
func NewTransactions(p *Peer, cards Cards, now func() time.Time) *Transactions {
	return &Transactions{records: records{p}, peer: p, cards: cards, now: now}
}

// submitForm is an attempt with its card sealed. It names the link, of which the service
// reads the rest.
type submitForm struct {
	Account, Link, Attempt string
	Card                   []byte
	PayerName, PayerEmail  string
	PayerLang              string
	Amount                 money.Amount
	ReturnURL              string
	Client                 netip.Addr
	Country, Proof         string
}

// about names the only attempt for which the card can be opened.
func (f submitForm) about() string { return "submit\x00" + f.Link + "\x00" + f.Attempt }

// linkName names a link, and a payment or an attempt of it.
type linkName struct{ Account, Link, LastPayment, Attempt string }

// foundPayment is a payment, if there is one.
type foundPayment struct {
	paymentForm
	Found bool
}

// operationForm is a capture or a void. An empty amount means all that is left.
type operationForm struct {
	owned
	Amount string
}

// refundForm is a refund of a payment.
type refundForm struct {
	owned
	payment.RefundInput
}

// saidForm is a person's statement about a payment: a verdict or a label.
type saidForm struct {
	owned
	Word, By string
}

// disputeForm is a dispute of a payment, new or changed.
type disputeForm struct {
	owned
	Dispute payment.DisputeInput
}

// disputeAnswer is the dispute and its payment.
type disputeAnswer struct {
	Payment paymentForm
	Dispute payment.Dispute
}

// refundAnswer is the refund and its payment.
type refundAnswer struct {
	Payment paymentForm
	Refund  payment.Refund
}

// Submit implements coordinator.Service. The same attempt is the same payment, so it may be
// repeated.
func (t *Transactions) Submit(ctx context.Context, s payment.Submit) (payment.Payment, error) {
	f := submitForm{
		Account:    s.Link.Account,
		Link:       s.Link.ID,
		Attempt:    s.Attempt,
		PayerName:  s.PayerName,
		PayerEmail: s.PayerEmail,
		PayerLang:  s.PayerLang,
		Amount:     s.Amount,
		ReturnURL:  s.ReturnURL,
		Client:     s.Client,
		Country:    s.Country,
		Proof:      s.Proof,
	}
	var err error
	if f.Card, err = t.cards.seal(s.Card, f.about()); err != nil {
		return payment.Payment{}, err
	}
	form, err := value(call[submitForm, paymentForm](ctx, t.peer, "Submit", harmless, &f))
	return form.payment(), err
}

// ByAttempt implements coordinator.Service.
func (t *Transactions) ByAttempt(ctx context.Context, l link.Link, attempt string) (payment.Payment, bool, error) {
	f, err := value(call[linkName, foundPayment](ctx, t.peer, "ByAttempt", read, &linkName{Account: l.Account, Link: l.ID, Attempt: attempt}))
	return f.payment(), f.Found, err
}

// Latest implements coordinator.Service.
func (t *Transactions) Latest(ctx context.Context, l link.Link) (payment.Payment, bool, error) {
	if l.LastPayment == "" {
		return payment.Payment{}, false, nil
	}
	f, err := value(
		call[linkName, foundPayment](ctx, t.peer, "Latest", read, &linkName{Account: l.Account, Link: l.ID, LastPayment: l.LastPayment}),
	)
	return f.payment(), f.Found, err
}

// Capture implements coordinator.Service.
func (t *Transactions) Capture(ctx context.Context, account, mode, id, amount string, ticket *idempotency.Ticket) (payment.Payment, error) {
	f, err := callTicketed[operationForm, paymentForm](ctx, t.peer, "Capture", operationForm{owned{account, mode, id}, amount}, ticket)
	return f.payment(), err
}

// Void implements coordinator.Service.
func (t *Transactions) Void(ctx context.Context, account, mode, id string, ticket *idempotency.Ticket) (payment.Payment, error) {
	f, err := callTicketed[operationForm, paymentForm](ctx, t.peer, "Void", operationForm{owned: owned{account, mode, id}}, ticket)
	return f.payment(), err
}

// Refund implements coordinator.Service. With a ticket the refund's id derives from it, so a
// repetition is the same refund.
func (t *Transactions) Refund(
	ctx context.Context,
	account, mode, id string,
	in payment.RefundInput,
	ticket *idempotency.Ticket,
) (payment.Payment, payment.Refund, error) {
	a, err := callTicketed[refundForm, refundAnswer](ctx, t.peer, "Refund", refundForm{owned{account, mode, id}, in}, ticket)
	return a.Payment.payment(), a.Refund, err
}

// Review implements coordinator.Service. Repeating a verdict changes nothing, but only a ticket
// shows that the first one was the caller's own.
func (t *Transactions) Review(
	ctx context.Context,
	account, mode, id, verdict, by string,
	ticket *idempotency.Ticket,
) (payment.Payment, error) {
	f, err := callTicketed[saidForm, paymentForm](ctx, t.peer, "Review", saidForm{owned{account, mode, id}, verdict, by}, ticket)
	return f.payment(), err
}

// Mark implements coordinator.Service. Like a verdict it is repeated only with a ticket.
func (t *Transactions) Mark(ctx context.Context, account, mode, id, label, by string, ticket *idempotency.Ticket) (payment.Payment, error) {
	f, err := callTicketed[saidForm, paymentForm](ctx, t.peer, "Mark", saidForm{owned{account, mode, id}, label, by}, ticket)
	return f.payment(), err
}

// Dispute implements coordinator.Service. With a ticket the dispute's id derives from it, so a
// repetition is the same dispute.
func (t *Transactions) Dispute(
	ctx context.Context,
	account, mode, id string,
	d payment.DisputeInput,
	ticket *idempotency.Ticket,
) (payment.Payment, payment.Dispute, error) {
	a, err := callTicketed[disputeForm, disputeAnswer](ctx, t.peer, "Dispute", disputeForm{owned{account, mode, id}, d}, ticket)
	return a.Payment.payment(), a.Dispute, err
}

// Repair implements coordinator.Service. Most payments are not stuck, and no call is made for
// those. If the service cannot be reached, the payment is returned as it is known.
func (t *Transactions) Repair(ctx context.Context, p payment.Payment) payment.Payment {
	if !p.Stuck(p.At(t.now())) {
		return p
	}
	form := paymentOut(p)
	done, err := call[paymentForm, paymentForm](ctx, t.peer, "Repair", harmless, &form)
	if err != nil {
		return p
	}
	return done.payment()
}

// Receipt implements coordinator.Service.
func (t *Transactions) Receipt(ctx context.Context, l link.Link, payment string) (string, error) {
	return value(call[linkName, string](ctx, t.peer, "Receipt", read, &linkName{Account: l.Account, Link: l.ID, LastPayment: payment}))
}

// Notice implements coordinator.Service.
func (t *Transactions) Notice(ctx context.Context, n issuer.Notice) error {
	_, err := call[issuer.Notice, struct{}](ctx, t.peer, "Notice", harmless, &n)
	return err
}

// ServeTransactions serves the transactions service. links are read here, because the
// amount, the expiry and the policy of a link must not come from the gateway.
func ServeTransactions(s *Server, svc coordinator.Service, links link.Reader, cards Cards, store idempotency.Store) {
	const name = TransactionsService
	serveRecords(s, name, store)
	handle(s, name, "Submit", func(ctx context.Context, q *submitForm) (*paymentForm, error) {
		card, err := cards.open(q.Card, q.about())
		if err != nil {
			return nil, err
		}
		defer card.Clear()
		l, err := links.GetLink(ctx, q.Account, q.Link)
		if err != nil {
			return nil, err
		}
		p, err := svc.Submit(
			ctx,
			payment.Submit{Link: l, Attempt: q.Attempt, Card: card, PayerName: q.PayerName, PayerEmail: q.PayerEmail, PayerLang: q.PayerLang,
				Amount: q.Amount, ReturnURL: q.ReturnURL, Client: q.Client, Country: q.Country, Proof: q.Proof},
		)
		form := paymentOut(p)
		return &form, err
	})
	found := func(p payment.Payment, ok bool, err error) (*foundPayment, error) {
		return &foundPayment{paymentOut(p), ok}, err
	}
	handle(s, name, "ByAttempt", func(ctx context.Context, q *linkName) (*foundPayment, error) {
		return found(svc.ByAttempt(ctx, link.Link{ID: q.Link, Account: q.Account}, q.Attempt))
	})
	handle(s, name, "Latest", func(ctx context.Context, q *linkName) (*foundPayment, error) {
		return found(svc.Latest(ctx, link.Link{ID: q.Link, Account: q.Account, LastPayment: q.LastPayment}))
	})
	handleTicketed(s, name, "Capture", func(ctx context.Context, q operationForm, t *idempotency.Ticket) (paymentForm, error) {
		p, err := svc.Capture(ctx, q.Account, q.Mode, q.ID, q.Amount, t)
		return paymentOut(p), err
	})
	handleTicketed(s, name, "Void", func(ctx context.Context, q operationForm, t *idempotency.Ticket) (paymentForm, error) {
		p, err := svc.Void(ctx, q.Account, q.Mode, q.ID, t)
		return paymentOut(p), err
	})
	handleTicketed(s, name, "Refund", func(ctx context.Context, q refundForm, t *idempotency.Ticket) (refundAnswer, error) {
		p, r, err := svc.Refund(ctx, q.Account, q.Mode, q.ID, q.RefundInput, t)
		return refundAnswer{paymentOut(p), r}, err
	})
	serveReviews(s, name, svc)
	handle(s, name, "Repair", func(ctx context.Context, q *paymentForm) (*paymentForm, error) {
		form := paymentOut(svc.Repair(ctx, q.payment()))
		return &form, nil
	})
	handle(s, name, "Receipt", func(ctx context.Context, q *linkName) (*string, error) {
		l, err := links.GetLink(ctx, q.Account, q.Link)
		if err != nil {
			return nil, err
		}
		token, err := svc.Receipt(ctx, l, q.LastPayment)
		return &token, err
	})
	handle(s, name, "Notice", func(ctx context.Context, q *issuer.Notice) (*struct{}, error) {
		return &struct{}{}, svc.Notice(ctx, *q)
	})
}

// serveReviews serves verdicts, labels and disputes.
func serveReviews(s *Server, name string, svc coordinator.Service) {
	handleTicketed(s, name, "Review", func(ctx context.Context, q saidForm, t *idempotency.Ticket) (paymentForm, error) {
		p, err := svc.Review(ctx, q.Account, q.Mode, q.ID, q.Word, q.By, t)
		return paymentOut(p), err
	})
	handleTicketed(s, name, "Mark", func(ctx context.Context, q saidForm, t *idempotency.Ticket) (paymentForm, error) {
		p, err := svc.Mark(ctx, q.Account, q.Mode, q.ID, q.Word, q.By, t)
		return paymentOut(p), err
	})
	handleTicketed(s, name, "Dispute", func(ctx context.Context, q disputeForm, t *idempotency.Ticket) (disputeAnswer, error) {
		p, d, err := svc.Dispute(ctx, q.Account, q.Mode, q.ID, q.Dispute, t)
		return disputeAnswer{paymentOut(p), d}, err
	})
}
