package rpc

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// PaymentsService is the name of the payments service.
const PaymentsService = "payments"

// paymentForm is a payment with the fields that its stored document omits.
type paymentForm struct {
	Payment    payment.Payment
	Revision   int64
	AheadNanos int64
}

// paymentOut converts a payment to its form.
func paymentOut(p payment.Payment) paymentForm {
	return paymentForm{p, p.Revision, p.Ahead.Nanoseconds()}
}

// payment is the inverse of paymentOut.
func (f paymentForm) payment() payment.Payment {
	f.Payment.Revision, f.Payment.Ahead = f.Revision, time.Duration(f.AheadNanos)
	return f.Payment
}

// eventForm is an event with the fields that the API's shape omits. Data is bytes: they are
// rendered once and never change.
type eventForm struct {
	Position       int64
	ID, Type       string
	Account, Mode  string
	Object         string
	Seq, ObjectSeq int64
	CreatedAt      time.Time
	Data           []byte
	Transfers      []ledger.Transfer
}

// eventOut converts an event to its form.
func eventOut(e stream.Event) eventForm {
	return eventForm{e.Position, e.ID, e.Type, e.Account, e.Mode, e.Object, e.Seq, e.ObjectSeq, e.CreatedAt, e.Data, e.Transfers}
}

// event is the inverse of eventOut.
func (f eventForm) event() stream.Event {
	return stream.Event{Position: f.Position, ID: f.ID, Type: f.Type, Account: f.Account, Mode: f.Mode, Object: f.Object,
		Seq: f.Seq, ObjectSeq: f.ObjectSeq, CreatedAt: f.CreatedAt, Data: f.Data, Transfers: f.Transfers}
}

// Payments is the client of payment.Reader.
type Payments struct{ peer *Peer }

var _ payment.Reader = (*Payments)(nil)

// NewPayments returns the client.
func NewPayments(p *Peer) *Payments { return &Payments{p} }

// eventsForm is a page of events, oldest first.
type eventsForm struct {
	Account, Mode string
	AfterSeq      int64
	Limit         int
}

// movesForm is a page of the events that moved money, newest first.
type movesForm struct {
	Account, Mode string
	BeforeSeq     int64
	Limit         int
}

// GetPayment implements payment.Reader.
func (p *Payments) GetPayment(ctx context.Context, account, id string) (payment.Payment, error) {
	form, err := value(call[owned, paymentForm](ctx, p.peer, "Get", read, &owned{Account: account, ID: id}))
	return form.payment(), err
}

// ListPayments implements payment.Reader.
func (p *Payments) ListPayments(ctx context.Context, f payment.Filter) ([]payment.Payment, error) {
	forms, err := value(call[payment.Filter, []paymentForm](ctx, p.peer, "List", read, &f))
	return each(forms, paymentForm.payment), err
}

// Balances implements payment.Reader.
func (p *Payments) Balances(ctx context.Context, account, mode string) (map[money.Currency]ledger.Balance, error) {
	return value(call[owned, map[money.Currency]ledger.Balance](ctx, p.peer, "Balances", read, &owned{Account: account, Mode: mode}))
}

// Events implements payment.Reader.
func (p *Payments) Events(ctx context.Context, account, mode string, afterSeq int64, limit int) ([]stream.Event, error) {
	forms, err := value(call[eventsForm, []eventForm](ctx, p.peer, "Events", read, &eventsForm{account, mode, afterSeq, limit}))
	return each(forms, eventForm.event), err
}

// Moves implements payment.Reader.
func (p *Payments) Moves(ctx context.Context, account, mode string, beforeSeq int64, limit int) ([]stream.Event, error) {
	forms, err := value(call[movesForm, []eventForm](ctx, p.peer, "Moves", read, &movesForm{account, mode, beforeSeq, limit}))
	return each(forms, eventForm.event), err
}

// ServePayments serves the payments service.
func ServePayments(s *Server, svc payment.Reader) {
	const name = PaymentsService
	handle(s, name, "Get", func(ctx context.Context, q *owned) (*paymentForm, error) {
		p, err := svc.GetPayment(ctx, q.Account, q.ID)
		form := paymentOut(p)
		return &form, err
	})
	handle(s, name, "List", func(ctx context.Context, q *payment.Filter) (*[]paymentForm, error) {
		all, err := svc.ListPayments(ctx, *q)
		forms := each(all, paymentOut)
		return &forms, err
	})
	handle(s, name, "Balances", func(ctx context.Context, q *owned) (*map[money.Currency]ledger.Balance, error) {
		b, err := svc.Balances(ctx, q.Account, q.Mode)
		return &b, err
	})
	handle(s, name, "Events", func(ctx context.Context, q *eventsForm) (*[]eventForm, error) {
		all, err := svc.Events(ctx, q.Account, q.Mode, q.AfterSeq, q.Limit)
		forms := each(all, eventOut)
		return &forms, err
	})
	handle(s, name, "Moves", func(ctx context.Context, q *movesForm) (*[]eventForm, error) {
		all, err := svc.Moves(ctx, q.Account, q.Mode, q.BeforeSeq, q.Limit)
		forms := each(all, eventOut)
		return &forms, err
	})
}
