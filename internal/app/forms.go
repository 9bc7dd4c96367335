package app

import (
	"context"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/rpc"
)

// openForms: payment forms, which the box links keeps, and the verifier's box reads.
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
