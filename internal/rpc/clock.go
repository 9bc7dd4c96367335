package rpc

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
)

// The test clock: the users service stores it, and the notifier applies it.

// clockForm is a clock in types that JSON can represent.
type clockForm struct {
	Account     string
	AheadMicros int64
	At          time.Time
}

// clockOut and clock convert a clock to its form and back.
func clockOut(c merchant.Clock) clockForm { return clockForm{c.Account, c.Ahead.Microseconds(), c.At} }

func (f clockForm) clock() merchant.Clock {
	return merchant.Clock{Account: f.Account, Ahead: time.Duration(f.AheadMicros) * time.Microsecond, At: f.At}
}

// Clock implements merchant.Service.
func (u *Users) Clock(ctx context.Context, account string) (merchant.Clock, error) {
	form, err := value(call[named, clockForm](ctx, u.peer, "Clock", read, &named{account}))
	return form.clock(), err
}

// MoveClock implements merchant.Service. Repeating a move by a number of seconds moves the clock
// further, so without a ticket it is not repeated.
func (u *Users) MoveClock(ctx context.Context, m merchant.ClockMove, t *idempotency.Ticket) (merchant.Clock, error) {
	form, err := callTicketed[merchant.ClockMove, clockForm](ctx, u.peer, "MoveClock", m, t)
	return form.clock(), err
}

func serveClocks(s *Server, svc merchant.Service) {
	handle(s, UsersService, "Clock", func(ctx context.Context, q *named) (*clockForm, error) {
		c, err := svc.Clock(ctx, q.ID)
		form := clockOut(c)
		return &form, err
	})
	handleTicketed(s, UsersService, "MoveClock", func(ctx context.Context, q merchant.ClockMove, t *idempotency.Ticket) (clockForm, error) {
		c, err := svc.MoveClock(ctx, q, t)
		return clockOut(c), err
	})
}

// aheadForm is how far an account's clock is ahead.
type aheadForm struct {
	Account     string
	AheadMicros int64
}

// MoveClock implements notify.Service.
func (n *Notifier) MoveClock(ctx context.Context, account string, ahead time.Duration) error {
	_, err := call[aheadForm, struct{}](ctx, n.peer, "MoveClock", harmless, &aheadForm{account, ahead.Microseconds()})
	return err
}

// serveAhead serves the notifier's part of a moved clock.
func serveAhead(s *Server, svc notify.Service) {
	handle(s, NotifierService, "MoveClock", func(ctx context.Context, q *aheadForm) (*struct{}, error) {
		return &struct{}{}, svc.MoveClock(ctx, q.Account, time.Duration(q.AheadMicros)*time.Microsecond)
	})
}
