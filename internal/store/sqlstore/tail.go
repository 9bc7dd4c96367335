package sqlstore

import (
	"context"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/stream"
)

var _ fraud.Feed = (*Store)(nil)

// tailColumns leave out the money that moved, and what only a payment's status tells.
const tailColumns = "position, id, type, account, mode, object, seq, object_seq, created_at, " +
	"CASE WHEN object_seq = 1 OR type NOT LIKE 'payment.%' THEN data ELSE '' END, ''"

// tailGather lets a feed that is not busy fill a batch: what counts at once was
// counted before it was committed.
const tailGather = 30 * time.Millisecond

// End implements fraud.Feed: the place below which no event can still appear.
func (s *Store) End(ctx context.Context) (position int64, err error) {
	settled := s.dialect.settled()
	err = s.read.QueryRowContext(ctx, "SELECT COALESCE(MAX(position), 0) FROM events WHERE position > 0"+settled).Scan(&position)
	return position, s.dialect.explain(err)
}

// Since implements fraud.Feed.
func (s *Store) Since(ctx context.Context, position int64) (int64, error) {
	return s.behind(ctx, position)
}

// Tail implements fraud.Feed: as a consumer follows, without a checkpoint and beside
// any number of others.
func (s *Store) Tail(ctx context.Context, position int64, handle func(events []stream.Event, end bool) error) error {
	for ctx.Err() == nil {
		wake := s.wake.wait()
		events, err := s.after(ctx, s.read, tailColumns, position)
		if err == nil {
			sound := slices.DeleteFunc(slices.Clone(events), func(e stream.Event) bool { return e.Damaged != nil })
			err = handle(sound, len(events) < batchEvents)
		}
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if n := len(events); n > 0 {
			position = events[n-1].Position
		}
		if len(events) < batchEvents {
			s.idle(ctx, wake, s.dialect.poll())
			pause := time.NewTimer(tailGather)
			select {
			case <-ctx.Done():
				pause.Stop()
			case <-pause.C:
			}
		}
	}
	return nil
}
