package merchant

import (
	"context"
	"time"
)

// How long a session is kept after it has expired, and how it is removed. Its
// token is refused from the expiry on, whether the session is still there or not.
const (
	ExpiredSessionLife = 7 * 24 * time.Hour
	pruneEvery         = time.Hour
	pruneBatch         = 500 // sessions in one commit
)

// RunPrune removes sessions that expired long ago once an hour, until ctx ends
// (nil). Each batch is a commit of its own: a crash between two loses nothing. A
// store that fails is tried again in the next round.
func (l *Local) RunPrune(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if _, err := l.Prune(ctx); err != nil && ctx.Err() == nil {
			l.log.WarnContext(ctx, "expired sessions could not be removed; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Prune removes every session that expired more than ExpiredSessionLife ago, and
// returns how many there were.
func (l *Local) Prune(ctx context.Context) (int, error) {
	total := 0
	for ctx.Err() == nil {
		n, err := l.sessions.PruneSessions(ctx, l.now().Add(-ExpiredSessionLife), pruneBatch)
		total += n
		if err != nil || n < pruneBatch {
			return total, err
		}
	}
	return total, nil
}
