package rpc

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
)

// Analyst is the client of history.Analyst, which the fraud service serves.
type Analyst struct{ peer *Peer }

var _ history.Analyst = (*Analyst)(nil)

// NewAnalyst returns the client.
func NewAnalyst(p *Peer) *Analyst { return &Analyst{p} }

// rowQuery names a payment of an account and mode.
type rowQuery struct {
	Account, Mode, ID string
	Limit             int
}

// figuresQuery is a period of an account and mode.
type figuresQuery struct {
	Account, Mode string
	From, To      time.Time
}

// Rows implements history.Analyst.
func (a *Analyst) Rows(ctx context.Context, q history.Query) (history.Page, error) {
	return value(call[history.Query, history.Page](ctx, a.peer, "Rows", read, &q))
}

// Row implements history.Analyst.
func (a *Analyst) Row(ctx context.Context, account, mode, id string) (history.Row, error) {
	return value(call[rowQuery, history.Row](ctx, a.peer, "Row", read, &rowQuery{Account: account, Mode: mode, ID: id}))
}

// Related implements history.Analyst.
func (a *Analyst) Related(ctx context.Context, account, mode, id string, limit int) ([]history.Row, error) {
	return value(call[rowQuery, []history.Row](ctx, a.peer, "Related", read, &rowQuery{account, mode, id, limit}))
}

// Figures implements history.Analyst.
func (a *Analyst) Figures(ctx context.Context, account, mode string, from, to time.Time) (history.Figures, error) {
	return value(call[figuresQuery, history.Figures](ctx, a.peer, "Figures", read, &figuresQuery{account, mode, from, to}))
}

// ServeAnalyst serves the analytics store in the fraud service. All of its calls only read.
func ServeAnalyst(s *Server, svc history.Analyst) {
	const name = FraudService
	handle(s, name, "Rows", func(ctx context.Context, q *history.Query) (*history.Page, error) {
		page, err := svc.Rows(ctx, *q)
		return &page, err
	})
	handle(s, name, "Row", func(ctx context.Context, q *rowQuery) (*history.Row, error) {
		row, err := svc.Row(ctx, q.Account, q.Mode, q.ID)
		return &row, err
	})
	handle(s, name, "Related", func(ctx context.Context, q *rowQuery) (*[]history.Row, error) {
		rows, err := svc.Related(ctx, q.Account, q.Mode, q.ID, q.Limit)
		return &rows, err
	})
	handle(s, name, "Figures", func(ctx context.Context, q *figuresQuery) (*history.Figures, error) {
		f, err := svc.Figures(ctx, q.Account, q.Mode, q.From, q.To)
		return &f, err
	})
}
