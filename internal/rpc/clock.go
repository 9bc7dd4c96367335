package rpc

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
)

// The test clock: users keeps it, and notifier tells it on.

// Clock implements merchant.Service.
func (u *Users) Clock(ctx context.Context, account string) (merchant.Clock, error) {
	return value(call[named, merchant.Clock](ctx, u.peer, "Clock", read, &named{account}))
}

// MoveClock implements merchant.Service. Moving by a number of seconds again moves
// further, so without a ticket it is not repeated.
func (u *Users) MoveClock(ctx context.Context, m merchant.ClockMove, t *idempotency.Ticket) (merchant.Clock, error) {
	return callTicketed[merchant.ClockMove, merchant.Clock](ctx, u.peer, "MoveClock", m, t)
}

func serveClocks(s *Server, box merchant.Service) {
	handle(s, UsersService, "Clock", func(ctx context.Context, q *named) (*merchant.Clock, error) {
		c, err := box.Clock(ctx, q.ID)
		return &c, err
	})
	handleTicketed(s, UsersService, "MoveClock", func(ctx context.Context, q merchant.ClockMove, t *idempotency.Ticket) (merchant.Clock, error) {
		return box.MoveClock(ctx, q, t)
	})
}

type aheadForm struct {
	Account     string
	AheadMicros int64
}

// MoveClock implements notify.Service.
func (n *Notifier) MoveClock(ctx context.Context, account string, ahead time.Duration) error {
	_, err := call[aheadForm, struct{}](ctx, n.peer, "MoveClock", harmless, &aheadForm{account, ahead.Microseconds()})
	return err
}

func serveAhead(s *Server, box notify.Service) {
	handle(s, NotifierService, "MoveClock", func(ctx context.Context, q *aheadForm) (*struct{}, error) {
		return &struct{}{}, box.MoveClock(ctx, q.Account, time.Duration(q.AheadMicros)*time.Microsecond)
	})
}
