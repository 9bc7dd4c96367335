package notify

import (
	"context"
	"time"
)

// Clocks are told of test clocks on behalf of the box.
type Clocks interface {
	MoveClock(ctx context.Context, account string, ahead time.Duration) error
}

// MoveClock implements Service.
func (l *Local) MoveClock(ctx context.Context, account string, ahead time.Duration) error {
	if l.Clocks == nil {
		return nil
	}
	return l.Clocks.MoveClock(ctx, account, ahead)
}
