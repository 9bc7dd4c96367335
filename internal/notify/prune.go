package notify

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/housekeeping"
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
	return housekeeping.Run(ctx, pruneEvery, l.Log, "old deliveries could not be removed", func(ctx context.Context) error {
		_, err := l.Prune(ctx)
		return err
	})
}

// Prune removes every delivery and bulk redelivery that is older than DeliveryLife, and returns
// the number of deliveries.
func (l *Local) Prune(ctx context.Context) (int, error) {
	before := l.Now().Add(-DeliveryLife)
	if _, err := housekeeping.Remove(ctx, before, pruneBatch, l.Store.PruneRedeliveries); err != nil {
		return 0, err
	}
	return housekeeping.Remove(ctx, before, pruneBatch, l.Store.PruneDeliveries)
}
