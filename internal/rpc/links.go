package rpc

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
)

// The names of the links and verifier services.
const (
	LinksService    = "links"
	VerifierService = "verifier"
)

// linkForm is a link with the fields that its stored document omits.
type linkForm struct {
	Link                          link.Link
	Uses, Reserved                int64
	LastPayment                   string
	CanceledAt, ExpiredAt, PaidAt time.Time
	AheadNanos                    int64
}

// linkOut converts a link to its form.
func linkOut(l link.Link) linkForm {
	return linkForm{Link: l, Uses: l.Uses, Reserved: l.Reserved, LastPayment: l.LastPayment,
		CanceledAt: l.CanceledAt, ExpiredAt: l.ExpiredAt, PaidAt: l.PaidAt, AheadNanos: l.Ahead.Nanoseconds()}
}

// link is the inverse of linkOut.
func (f linkForm) link() link.Link {
	l := f.Link
	l.Uses, l.Reserved, l.LastPayment, l.CanceledAt, l.ExpiredAt, l.PaidAt = f.Uses, f.Reserved, f.LastPayment, f.CanceledAt, f.ExpiredAt,
		f.PaidAt
	l.Ahead = time.Duration(f.AheadNanos)
	return l
}

// each converts every item of a list. A nil list stays nil, because the wire keeps nil and
// empty apart.
func each[S, T any](items []S, turn func(S) T) []T {
	if items == nil {
		return nil
	}
	out := make([]T, len(items))
	for i, item := range items {
		out[i] = turn(item)
	}
	return out
}

// owned names an object within its account and mode.
type owned struct{ Account, Mode, ID string }

// Links is the client of link.Service, with the service's idempotency records.
type Links struct {
	records
	peer *Peer
}

var _ link.Service = (*Links)(nil)

// NewLinks returns the client.
func NewLinks(p *Peer) *Links { return &Links{records: records{p}, peer: p} }

// Create implements link.Service.
func (l *Links) Create(ctx context.Context, r link.CreateRequest) (link.Link, error) {
	t := r.Ticket
	r.Ticket = nil
	form, err := callTicketed[link.CreateRequest, linkForm](ctx, l.peer, "Create", r, t)
	return form.link(), err
}

// Get implements link.Service.
func (l *Links) Get(ctx context.Context, account, mode, id string) (link.Link, error) {
	form, err := value(call[owned, linkForm](ctx, l.peer, "Get", read, &owned{account, mode, id}))
	return form.link(), err
}

// List implements link.Service.
func (l *Links) List(ctx context.Context, f link.Filter) ([]link.Link, error) {
	forms, err := value(call[link.Filter, []linkForm](ctx, l.peer, "List", read, &f))
	return each(forms, linkForm.link), err
}

// Cancel implements link.Service. A repetition of a lost call is a 409, so without a ticket it is
// not repeated.
func (l *Links) Cancel(ctx context.Context, account, mode, id string, t *idempotency.Ticket) (link.Link, error) {
	form, err := callTicketed[owned, linkForm](ctx, l.peer, "Cancel", owned{account, mode, id}, t)
	return form.link(), err
}

// ServeLinks serves the links service, with the idempotency records that its commits write.
func ServeLinks(s *Server, svc link.Service, store idempotency.Store) {
	const name = LinksService
	serveRecords(s, name, store)
	handleTicketed(s, name, "Create", func(ctx context.Context, q link.CreateRequest, t *idempotency.Ticket) (linkForm, error) {
		q.Ticket = t
		l, err := svc.Create(ctx, q)
		return linkOut(l), err
	})
	handle(s, name, "Get", func(ctx context.Context, q *owned) (*linkForm, error) {
		l, err := svc.Get(ctx, q.Account, q.Mode, q.ID)
		form := linkOut(l)
		return &form, err
	})
	handle(s, name, "List", func(ctx context.Context, q *link.Filter) (*[]linkForm, error) {
		all, err := svc.List(ctx, *q)
		forms := each(all, linkOut)
		return &forms, err
	})
	handleTicketed(s, name, "Cancel", func(ctx context.Context, q owned, t *idempotency.Ticket) (linkForm, error) {
		l, err := svc.Cancel(ctx, q.Account, q.Mode, q.ID, t)
		return linkOut(l), err
	})
}

// Verifier is the client of link.Verifier.
type Verifier struct{ peer *Peer }

var _ link.Verifier = (*Verifier)(nil)

// NewVerifier returns the client.
func NewVerifier(p *Peer) *Verifier { return &Verifier{p} }

// Open implements link.Verifier.
func (v *Verifier) Open(ctx context.Context, token string) (link.Link, error) {
	if len(token) > link.MaxTokenChars { // the wire has limits of its own
		return link.Link{}, link.ErrToken
	}
	form, err := value(call[named, linkForm](ctx, v.peer, "Open", read, &named{token}))
	return form.link(), err
}

// Verify implements link.Verifier.
func (v *Verifier) Verify(ctx context.Context, tokenOrURL string) (link.Verdict, error) {
	return value(call[named, link.Verdict](ctx, v.peer, "Verify", read, &named{tokenOrURL}))
}

// ServeVerifier serves the verifier.
func ServeVerifier(s *Server, svc link.Verifier) {
	handle(s, VerifierService, "Open", func(ctx context.Context, q *named) (*linkForm, error) {
		l, err := svc.Open(ctx, q.ID)
		form := linkOut(l)
		return &form, err
	})
	handle(s, VerifierService, "Verify", func(ctx context.Context, q *named) (*link.Verdict, error) {
		v, err := svc.Verify(ctx, q.ID)
		return &v, err
	})
}
