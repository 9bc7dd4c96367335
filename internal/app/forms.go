package app

import (
	"context"

	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/gateway/dashboard/forms"
	"github.com/paylink/paylink/internal/gateway/pages"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/rpc"
)

// openForms opens payment forms, which the links service stores and the verifier reads. Both are
// part of services that are open already; a client of theirs implements the same interfaces.
func (s *services) openForms(context.Context) error {
	if forms, ok := s.links.(link.FormService); ok {
		s.forms = forms
		if s.cfg.runs("links") {
			s.serve(func(r *rpc.Server) { rpc.ServeForms(r, forms) })
		}
	}

	if forms, ok := s.verifier.(link.PublicForms); ok {
		s.publicForms = forms
		if s.cfg.runs("verifier") {
			s.serve(func(r *rpc.Server) { rpc.ServePublicForms(r, forms) })
		}
	}
	return nil
}

// desk provides what the pages of forms need of other services: the public forms, the service that
// creates links, and the name and payment methods of an account.
type desk struct {
	link.PublicForms
	service link.FormService
	payee   func(ctx context.Context, account string) (string, []link.Method, error)
}

var _ pages.Forms = desk{}

// publicDesk returns the desk of the gateway.
func (s *services) publicDesk() pages.Forms {
	payee := api.New(api.Config{Merchants: s.users, Connectors: known()}).Payee
	return desk{s.publicForms, s.forms, payee}
}

// Fill implements pages.Forms. It creates the link of a submitted form with the account's current
// name and payment methods, which the form does not store.
func (d desk) Fill(ctx context.Context, f link.Form, r link.FormLinkRequest) (link.Link, error) {
	var err error
	if r.Payee, r.Methods, err = d.payee(ctx, f.Account); err != nil {
		return link.Link{}, err
	}
	return d.service.FormLink(ctx, r)
}

// formPages returns what the dashboard's pages of forms show of the payer's pages: the script to
// embed, its hash, and a preview.
func (s *services) formPages(public *pages.Pages) forms.PayerPages {
	src, integrity := pages.Embed(s.cfg.PublicURL)
	return forms.PayerPages{Script: src, Integrity: integrity, Preview: public.PreviewForm}
}
