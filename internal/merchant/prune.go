package merchant

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/housekeeping"
)

// How long a session is kept after it has expired, and how it is removed. Its token is refused
// from the expiry on, whether or not the session still exists.
const (
	ExpiredSessionLife = 7 * 24 * time.Hour
	// ActivityLife is how long it is kept who did what. PCI DSS 10.5.1 asks for a year.
	ActivityLife = 400 * 24 * time.Hour
	pruneEvery   = time.Hour
	pruneBatch   = 500 // sessions in one commit
)

// RunPrune removes sessions that expired long ago, once an hour, until ctx ends (nil). Each
// batch is a commit of its own, so a crash between two loses nothing. After a store's failure
// the next round tries again.
func (l *Local) RunPrune(ctx context.Context) error {
	return housekeeping.Run(ctx, pruneEvery, l.log, "expired sessions could not be removed", func(ctx context.Context) error {
		_, err := l.Prune(ctx)
		return err
	})
}

// Prune removes every session that expired more than ExpiredSessionLife ago, with tokens of
// that age, old guesses and old activity, and returns the number of sessions.
func (l *Local) Prune(ctx context.Context) (int, error) {
	now := l.now()
	total, err := housekeeping.Remove(ctx, now.Add(-ExpiredSessionLife), pruneBatch, l.sessions.PruneSessions)
	if err == nil {
		_, err = housekeeping.Remove(ctx, now.Add(-ExpiredSessionLife), pruneBatch, l.access.PruneTokens)
	}
	if err == nil {
		_, err = housekeeping.Remove(ctx, now.Add(-guessLife), pruneBatch, l.access.PruneGuesses)
	}
	if err == nil {
		_, err = housekeeping.Remove(ctx, now.Add(-ActivityLife), pruneBatch, l.activity.PruneActivity)
	}
	return total, err
}
