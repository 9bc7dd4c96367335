package rpc

import (
	"context"

	"github.com/paylink/paylink/internal/fraud/learning"
)

// Models is the client of learning.Catalog, which the fraud service serves. Models are changed by
// the operator's commands, and never by a call.
type Models struct{ peer *Peer }

var _ learning.Catalog = (*Models)(nil)

// NewModels returns the client.
func NewModels(p *Peer) *Models { return &Models{p} }

// Models implements learning.Catalog.
func (m *Models) Models(ctx context.Context) ([]learning.Info, error) {
	return value(call[none, []learning.Info](ctx, m.peer, "Models", read, &none{}))
}

// ServeModels serves the list of models in the fraud service.
func ServeModels(s *Server, models learning.Catalog) {
	handle(s, FraudService, "Models", func(ctx context.Context, _ *none) (*[]learning.Info, error) {
		all, err := models.Models(ctx)
		return &all, err
	})
}
