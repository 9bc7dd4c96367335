package rpc

import (
	"context"
	"fmt"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
)

// Tickets renders and seals answers into the commits of this process, for gateways in other
// processes.
type Tickets struct {
	Render func(shape string, object any) ([]byte, error)
	Seal   func(plain, associated []byte) ([]byte, error)
}

// ticketForm is a ticket on its way to the service: the record without its response, and
// the name of the response's shape.
type ticketForm struct {
	Scope, Key  string
	Fingerprint []byte
	Status      int
	Shape       string
}

// ticketed is a request with a ticket. recorded is its answer with the bytes that the commit
// recorded.
type ticketed[Q any] struct {
	In     Q
	Ticket *ticketForm
}

type recorded[A any] struct {
	Out      A
	Rendered []byte
}

// callTicketed is call with an optional ticket. With a ticket the call may be repeated: either
// the first was not carried out, or the second finds its record (ErrRaced). The conflict of a
// repetition may be the effect of the first call, such as capturing what is captured. The record
// then decides, and without one the outcome stays unknown.
func callTicketed[Q, A any](ctx context.Context, p *Peer, method string, q Q, t *idempotency.Ticket) (A, error) {
	request, again := &ticketed[Q]{In: q}, once
	if t != nil {
		request.Ticket = &ticketForm{Scope: t.Scope, Key: t.Key, Fingerprint: t.Fingerprint, Status: t.Status, Shape: t.Shape}
		again = harmless
	}
	answer, doubt, err := callTwice[ticketed[Q], recorded[A]](ctx, p, method, again, request)
	if err != nil {
		var none A
		if t != nil && doubt != nil && fault.KindOf(err) == fault.KindConflict {
			err = settleDoubt(ctx, p, t, doubt)
		}
		return none, err
	}
	if t != nil {
		t.Rendered = answer.Rendered
	}
	return answer.Out, nil
}

// settleDoubt decides a conflict after a try whose outcome is unknown: ErrRaced if the
// record shows that the first try was carried out, and else doubt.
func settleDoubt(ctx context.Context, p *Peer, t *idempotency.Ticket, doubt error) error {
	record, err := records{p}.GetIdempotency(ctx, t.Scope, t.Key)
	switch {
	case err != nil:
		return err
	case record != nil:
		return fmt.Errorf("%s: %w", p.service, idempotency.ErrRaced)
	}
	return doubt
}

// handleTicketed serves such a call. The service fills the ticket in its commit, and the
// answer returns the bytes that were recorded.
func handleTicketed[Q, A any](s *Server, service, method string, do func(context.Context, Q, *idempotency.Ticket) (A, error)) {
	handle(s, service, method, func(ctx context.Context, q *ticketed[Q]) (*recorded[A], error) {
		t := s.Tickets.open(q.Ticket)
		out, err := do(ctx, q.In, t)
		if err != nil {
			return nil, err
		}
		answer := &recorded[A]{Out: out}
		if t != nil {
			answer.Rendered = t.Rendered
		}
		return answer, nil
	})
}

// open returns the ticket that the service fills, or nil if the call has none.
func (t Tickets) open(f *ticketForm) *idempotency.Ticket {
	if f == nil {
		return nil
	}
	return idempotency.NewTicket(
		idempotency.Record{Scope: f.Scope, Key: f.Key, Fingerprint: f.Fingerprint, Status: f.Status},
		f.Shape,
		t.Render,
		t.Seal,
	)
}

// records is the client of a service's idempotency.Store.
type records struct{ peer *Peer }

var _ idempotency.Store = records{}

// recordName names an idempotency record.
type recordName struct{ Scope, Key string }

// GetIdempotency implements idempotency.Store.
func (r records) GetIdempotency(ctx context.Context, scope, key string) (*idempotency.Record, error) {
	answer, err := call[recordName, struct{ Record *idempotency.Record }](ctx, r.peer, "GetIdempotency", read, &recordName{scope, key})
	if err != nil {
		return nil, err
	}
	return answer.Record, nil
}

// PutIdempotency implements idempotency.Store. Repeating a lost call returns ErrRaced, and the
// record that won is the same.
func (r records) PutIdempotency(ctx context.Context, record idempotency.Record) error {
	_, err := call[idempotency.Record, struct{}](ctx, r.peer, "PutIdempotency", harmless, &record)
	return err
}

// serveRecords serves the records of a service to the gateway.
func serveRecords(s *Server, service string, store idempotency.Store) {
	handle(s, service, "GetIdempotency", func(ctx context.Context, q *recordName) (*struct{ Record *idempotency.Record }, error) {
		r, err := store.GetIdempotency(ctx, q.Scope, q.Key)
		return &struct{ Record *idempotency.Record }{r}, err
	})
	handle(s, service, "PutIdempotency", func(ctx context.Context, q *idempotency.Record) (*struct{}, error) {
		return &struct{}{}, store.PutIdempotency(ctx, *q)
	})
}
