package rpc

import (
	"context"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
)

var (
	_ link.FormService = (*Links)(nil)
	_ link.PublicForms = (*Verifier)(nil)
)

// formUpdate is a change of a form, and the revision that it follows.
type formUpdate struct {
	ID       string
	Revision int64
	Request  link.FormRequest
}

// CreateForm implements link.FormService.
func (l *Links) CreateForm(ctx context.Context, r link.FormRequest) (link.Form, error) {
	t := r.Ticket
	r.Ticket = nil
	return callTicketed[link.FormRequest, link.Form](ctx, l.peer, "CreateForm", r, t)
}

// GetForm implements link.FormService.
func (l *Links) GetForm(ctx context.Context, account, mode, id string) (link.Form, error) {
	return value(call[owned, link.Form](ctx, l.peer, "GetForm", read, &owned{account, mode, id}))
}

// ListForms implements link.FormService.
func (l *Links) ListForms(ctx context.Context, f link.FormFilter) ([]link.Form, error) {
	return value(call[link.FormFilter, []link.Form](ctx, l.peer, "ListForms", read, &f))
}

// UpdateForm implements link.FormService. A repetition would conflict with the revision of a lost
// call, so it is not repeated.
func (l *Links) UpdateForm(ctx context.Context, id string, revision int64, r link.FormRequest) (link.Form, error) {
	return value(call[formUpdate, link.Form](ctx, l.peer, "UpdateForm", once, &formUpdate{id, revision, r}))
}

// ArchiveForm implements link.FormService. A repetition changes nothing.
func (l *Links) ArchiveForm(ctx context.Context, account, mode, id string) (link.Form, error) {
	return value(call[owned, link.Form](ctx, l.peer, "ArchiveForm", harmless, &owned{account, mode, id}))
}

// FormLink implements link.FormService. The same attempt finds the link that a lost call created.
func (l *Links) FormLink(ctx context.Context, r link.FormLinkRequest) (link.Link, error) {
	form, err := value(call[link.FormLinkRequest, linkForm](ctx, l.peer, "FormLink", harmless, &r))
	return form.link(), err
}

// ServeForms serves the forms of the links service.
func ServeForms(s *Server, svc link.FormService) {
	const name = LinksService
	handleTicketed(s, name, "CreateForm", func(ctx context.Context, q link.FormRequest, t *idempotency.Ticket) (link.Form, error) {
		q.Ticket = t
		return svc.CreateForm(ctx, q)
	})
	handle(s, name, "GetForm", func(ctx context.Context, q *owned) (*link.Form, error) {
		f, err := svc.GetForm(ctx, q.Account, q.Mode, q.ID)
		return &f, err
	})
	handle(s, name, "ListForms", func(ctx context.Context, q *link.FormFilter) (*[]link.Form, error) {
		all, err := svc.ListForms(ctx, *q)
		return &all, err
	})
	handle(s, name, "UpdateForm", func(ctx context.Context, q *formUpdate) (*link.Form, error) {
		f, err := svc.UpdateForm(ctx, q.ID, q.Revision, q.Request)
		return &f, err
	})
	handle(s, name, "ArchiveForm", func(ctx context.Context, q *owned) (*link.Form, error) {
		f, err := svc.ArchiveForm(ctx, q.Account, q.Mode, q.ID)
		return &f, err
	})
	handle(s, name, "FormLink", func(ctx context.Context, q *link.FormLinkRequest) (*linkForm, error) {
		l, err := svc.FormLink(ctx, *q)
		form := linkOut(l)
		return &form, err
	})
}

// Form implements link.PublicForms.
func (v *Verifier) Form(ctx context.Context, id string) (link.Form, error) {
	return value(call[named, link.Form](ctx, v.peer, "Form", read, &named{id}))
}

// ServePublicForms serves the verifier's read of a form.
func ServePublicForms(s *Server, svc link.PublicForms) {
	handle(s, VerifierService, "Form", func(ctx context.Context, q *named) (*link.Form, error) {
		f, err := svc.Form(ctx, q.ID)
		return &f, err
	})
}
