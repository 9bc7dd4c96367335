package rpc

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/fraud"
)

// Analyst is fraud.Analyst on the far side. It is served by the box fraud.
type Analyst struct{ peer *Peer }

var _ fraud.Analyst = (*Analyst)(nil)

// NewAnalyst makes the client.
func NewAnalyst(p *Peer) *Analyst { return &Analyst{p} }

type rowQuery struct {
	Account, Mode, ID string
	Limit             int
}

type figuresQuery struct {
	Account, Mode string
	From, To      time.Time
}

// Rows implements fraud.Analyst.
func (a *Analyst) Rows(ctx context.Context, q fraud.Query) (fraud.Page, error) {
	return value(call[fraud.Query, fraud.Page](ctx, a.peer, "Rows", read, &q))
}

// Row implements fraud.Analyst.
func (a *Analyst) Row(ctx context.Context, account, mode, id string) (fraud.Row, error) {
	return value(call[rowQuery, fraud.Row](ctx, a.peer, "Row", read, &rowQuery{Account: account, Mode: mode, ID: id}))
}

// Related implements fraud.Analyst.
func (a *Analyst) Related(ctx context.Context, account, mode, id string, limit int) ([]fraud.Row, error) {
	return value(call[rowQuery, []fraud.Row](ctx, a.peer, "Related", read, &rowQuery{account, mode, id, limit}))
}

// Figures implements fraud.Analyst.
func (a *Analyst) Figures(ctx context.Context, account, mode string, from, to time.Time) (fraud.Figures, error) {
	return value(call[figuresQuery, fraud.Figures](ctx, a.peer, "Figures", read, &figuresQuery{account, mode, from, to}))
}

// ServeAnalyst serves the analytics store in the box fraud.
func ServeAnalyst(s *Server, box fraud.Analyst) {
	const name = FraudService
	handle(s, name, "Rows", func(ctx context.Context, q *fraud.Query) (*fraud.Page, error) {
		page, err := box.Rows(ctx, *q)
		return &page, err
	})
	handle(s, name, "Row", func(ctx context.Context, q *rowQuery) (*fraud.Row, error) {
		row, err := box.Row(ctx, q.Account, q.Mode, q.ID)
		return &row, err
	})
	handle(s, name, "Related", func(ctx context.Context, q *rowQuery) (*[]fraud.Row, error) {
		rows, err := box.Related(ctx, q.Account, q.Mode, q.ID, q.Limit)
		return &rows, err
	})
	handle(s, name, "Figures", func(ctx context.Context, q *figuresQuery) (*fraud.Figures, error) {
		f, err := box.Figures(ctx, q.Account, q.Mode, q.From, q.To)
		return &f, err
	})
}
