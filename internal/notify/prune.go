package notify

import (
	"context"
	"time"
)

// How long the record of a try is kept, even a parked one, and how it is removed. No job of the
// queue lives so long: its last try is parked within ten days, even if a receiver asks for the
// longest wait before each try.
const (
	DeliveryLife = 30 * 24 * time.Hour
	pruneEvery   = time.Hour
	pruneBatch   = 100 // deliveries in one commit; each may hold a body of MaxPayloadBytes
)

// RunPrune removes old deliveries once an hour, until ctx ends (nil). Each batch is a commit of
// its own, so that other commits can run between two, and a crash loses nothing. After a
// store's failure the next round tries again.
func (l *Local) RunPrune(ctx context.Context) error {
	tick := time.NewTicker(pruneEvery)
	defer tick.Stop()
	for {
		if _, err := l.Prune(ctx); err != nil && ctx.Err() == nil {
			l.Log.WarnContext(ctx, "old deliveries could not be removed; trying again", "error", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Prune removes every delivery and bulk redelivery that is older than DeliveryLife, and returns
// the number of deliveries.
func (l *Local) Prune(ctx context.Context) (int, error) {
	before := l.Now().Add(-DeliveryLife)
	if _, err := all(ctx, before, l.Store.PruneRedeliveries); err != nil {
		return 0, err
	}
	return all(ctx, before, l.Store.PruneDeliveries)
}

// all prunes batch by batch, until one is not full, and returns how many rows were removed.
// When ctx ends it returns without an error; the rest is removed in the next round.
func all(ctx context.Context, before time.Time, prune func(context.Context, time.Time, int) (int, error)) (int, error) {
	total := 0
	for ctx.Err() == nil {
		n, err := prune(ctx, before, pruneBatch)
		total += n
		if err != nil || n < pruneBatch {
			return total, err
		}
	}

	return total, nil
}
