package rpc

import (
	"context"

	"github.com/paylink/paylink/internal/fraud/learning"
)

// Models is the client of learning.Models, which the fraud service serves.
type Models struct{ peer *Peer }

var _ learning.Models = (*Models)(nil)

// NewModels returns the client.
func NewModels(p *Peer) *Models { return &Models{p} }

// modelForm is the request of all calls about models. Each reads the members that it needs.
type modelForm struct {
	Info    learning.Info
	Version string
	State   string
	File    []byte
}

// Models implements learning.Models.
func (m *Models) Models(ctx context.Context) ([]learning.Info, error) {
	return value(call[modelForm, []learning.Info](ctx, m.peer, "Models", read, &modelForm{}))
}

// Model implements learning.Models.
func (m *Models) Model(ctx context.Context, version string) ([]byte, error) {
	return value(call[modelForm, []byte](ctx, m.peer, "Model", read, &modelForm{Version: version}))
}

// AddModel implements learning.Models. An existing model is not an error, so the call may be
// repeated.
func (m *Models) AddModel(ctx context.Context, info learning.Info, file []byte) error {
	_, err := call[modelForm, struct{}](ctx, m.peer, "AddModel", harmless, &modelForm{Info: info, File: file})
	return err
}

// SetModel implements learning.Models. Setting the same state again changes nothing, so the call
// may be repeated.
func (m *Models) SetModel(ctx context.Context, version, state string) error {
	_, err := call[modelForm, struct{}](ctx, m.peer, "SetModel", harmless, &modelForm{Version: version, State: state})
	return err
}

// ServeModels serves the models in the fraud service.
func ServeModels(s *Server, models learning.Models) {
	const name = FraudService
	handle(s, name, "Models", func(ctx context.Context, _ *modelForm) (*[]learning.Info, error) {
		all, err := models.Models(ctx)
		return &all, err
	})
	handle(s, name, "Model", func(ctx context.Context, f *modelForm) (*[]byte, error) {
		file, err := models.Model(ctx, f.Version)
		return &file, err
	})
	handle(s, name, "AddModel", func(ctx context.Context, f *modelForm) (*struct{}, error) {
		return &struct{}{}, models.AddModel(ctx, f.Info, f.File)
	})
	handle(s, name, "SetModel", func(ctx context.Context, f *modelForm) (*struct{}, error) {
		return &struct{}{}, models.SetModel(ctx, f.Version, f.State)
	})
}
