// Package housekeeping does in rounds what nobody waits for, such as removing what has been kept long
// enough: batch by batch, so that other commits can run between two and a crash loses nothing.
package housekeeping

import (
	"context"
	"log/slog"
	"time"
)

// Run calls round at once and then at each interval, until ctx ends (nil). After a failure, which it
// logs with the text failed, the next round tries again.
func Run(ctx context.Context, every time.Duration, log *slog.Logger, failed string, round func(context.Context) error) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		if err := round(ctx); err != nil && ctx.Err() == nil {
			log.WarnContext(ctx, failed+"; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Remove calls remove, which removes at most limit rows older than the time and returns how many,
// until a batch is not full. It returns the number of rows. When ctx ends it returns without an
// error; the rest is removed in the next round.
func Remove(ctx context.Context, before time.Time, limit int, remove func(context.Context, time.Time, int) (int, error)) (int, error) {
	total := 0
	for ctx.Err() == nil {
		n, err := remove(ctx, before, limit)
		total += n
		if err != nil || n < limit {
			return total, err
		}
	}
	return total, nil
}
