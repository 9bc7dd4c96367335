package merchant

import (
	"context"
	"time"
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

// Prune removes every session that expired more than ExpiredSessionLife ago, with tokens of
// that age, old guesses and old activity, and returns the number of sessions.
func (l *Local) Prune(ctx context.Context) (int, error) {
	now := l.now()
	total, err := pruned(ctx, l.sessions.PruneSessions, now.Add(-ExpiredSessionLife))
	if err == nil {
		_, err = pruned(ctx, l.access.PruneTokens, now.Add(-ExpiredSessionLife))
	}
	if err == nil {
		_, err = pruned(ctx, l.access.PruneGuesses, now.Add(-guessLife))
	}
	if err == nil {
		_, err = pruned(ctx, l.activity.PruneActivity, now.Add(-ActivityLife))
	}
	return total, err
}

// pruned calls prune until a batch is not full, and returns the number of rows removed.
// When ctx ends it returns without an error.
func pruned(ctx context.Context, prune func(context.Context, time.Time, int) (int, error), before time.Time) (total int, err error) {
	for ctx.Err() == nil {
		n, err := prune(ctx, before, pruneBatch)
		total += n
		if err != nil || n < pruneBatch {
			return total, err
		}
	}
	return total, nil
}
