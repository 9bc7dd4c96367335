package sqlstore

import (
	"context"

	"github.com/paylink/paylink/internal/stream"
)

// The feed for a consumer whose effect lies outside of the store, and that keeps its
// checkpoints itself: with Alone, these are all that it needs.

// FeedAfter gives events after the position, oldest first, as far as no other can
// still appear in between; none: there are no more yet.
func (s *Store) FeedAfter(ctx context.Context, position int64) ([]stream.Event, error) {
	return s.eventsAfter(ctx, s.read, position)
}

// Checkpoint is where a consumer is; 0 at the start.
func (s *Store) Checkpoint(ctx context.Context, consumer string) (int64, error) {
	return s.checkpoint(ctx, s.read, consumer)
}

// MoveCheckpoint moves it from where the consumer read it, and from nowhere else.
func (s *Store) MoveCheckpoint(ctx context.Context, consumer string, from, to int64) error {
	return s.write(ctx, nil, func(t *tx) error { return moveCheckpoint(t, consumer, from, to) })
}
