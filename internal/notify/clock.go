package notify

import (
	"context"
	"time"
)

// MoveClock implements Service. It does nothing if no other store depends on test clocks.
func (l *Local) MoveClock(ctx context.Context, account string, ahead time.Duration) error {
	if l.Clocks == nil {
		return nil
	}
	return l.Clocks.MoveClock(ctx, account, ahead)
}
