package rpc

import (
	"context"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/link"
)

// FraudService is the name of the fraud service.
const FraudService = "fraud"

// Assessor is the client of fraud.Assessor.
type Assessor struct{ peer *Peer }

var _ fraud.Assessor = (*Assessor)(nil)

// NewAssessor returns the client.
func NewAssessor(p *Peer) *Assessor { return &Assessor{p} }

// Assess implements fraud.Assessor. It may be repeated: an instance counts a payment once, and
// the others learn of it from the feed.
func (a *Assessor) Assess(ctx context.Context, attempt fraud.Attempt) (fraud.Verdict, error) {
	return value(call[fraud.Attempt, fraud.Verdict](ctx, a.peer, "Assess", harmless, &attempt))
}

// challenged is an attempt on a link, before anything of it is stored.
type challenged struct {
	Link             linkForm
	Attempt, Address string
}

// Challenge implements fraud.Assessor.
func (a *Assessor) Challenge(ctx context.Context, l link.Link, attempt, address string) (fraud.Puzzle, error) {
	return value(call[challenged, fraud.Puzzle](ctx, a.peer, "Challenge", read, &challenged{linkOut(l), attempt, address}))
}

// ServeAssessor serves the fraud service.
func ServeAssessor(s *Server, svc fraud.Assessor) {
	handle(s, FraudService, "Assess", func(ctx context.Context, q *fraud.Attempt) (*fraud.Verdict, error) {
		v, err := svc.Assess(ctx, *q)
		return &v, err
	})
	handle(s, FraudService, "Challenge", func(ctx context.Context, q *challenged) (*fraud.Puzzle, error) {
		p, err := svc.Challenge(ctx, q.Link.link(), q.Attempt, q.Address)
		return &p, err
	})
}
