package rpc

import (
	"context"

	"github.com/paylink/paylink/internal/report"
)

// Reports is the client of report.Service, which the payments service serves.
type Reports struct{ peer *Peer }

var _ report.Service = (*Reports)(nil)

// NewReports returns the client.
func NewReports(p *Peer) *Reports { return &Reports{p} }

// Overview implements report.Service.
func (r *Reports) Overview(ctx context.Context, p report.Period) (report.Overview, error) {
	return value(call[report.Period, report.Overview](ctx, r.peer, "Overview", read, &p))
}

// Search implements report.Service.
func (r *Reports) Search(ctx context.Context, q report.Query) (report.Page, error) {
	return value(call[report.Query, report.Page](ctx, r.peer, "Search", read, &q))
}

// Seen implements report.Service.
func (r *Reports) Seen(ctx context.Context, all []report.Sighting) error {
	_, err := call[[]report.Sighting, struct{}](ctx, r.peer, "Seen", harmless, &all)
	return err
}

// ServeReports serves the projection in the payments service.
func ServeReports(s *Server, svc report.Service) {
	const name = PaymentsService
	handle(s, name, "Overview", func(ctx context.Context, p *report.Period) (*report.Overview, error) {
		o, err := svc.Overview(ctx, *p)
		return &o, err
	})
	handle(s, name, "Search", func(ctx context.Context, q *report.Query) (*report.Page, error) {
		page, err := svc.Search(ctx, *q)
		return &page, err
	})
	handle(s, name, "Seen", func(ctx context.Context, all *[]report.Sighting) (*struct{}, error) {
		return &struct{}{}, svc.Seen(ctx, *all)
	})
}
