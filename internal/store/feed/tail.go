package feed

import (
	"context"
	"slices"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// tailColumns omits the money that moved and the details of a payment's status.
const tailColumns = "position, id, type, account, mode, object, seq, object_seq, created_at, " +
	"CASE WHEN object_seq = 1 OR type NOT LIKE 'payment.%' THEN data ELSE '' END, ''"

// tailGather lets a quiet feed fill a batch. What must count at once was counted before its
// commit.
const tailGather = 30 * time.Millisecond

// End returns the position below which no event can still appear.
func (f *Feed) End(ctx context.Context) (position int64, err error) {
	err = f.db.QueryRow(ctx, "SELECT COALESCE(MAX(position), 0) FROM events WHERE position > 0"+f.settled()).Scan(&position)
	return position, err
}

// Since returns the number of events after the position, up to a million.
func (f *Feed) Since(ctx context.Context, position int64) (n int64, err error) {
	err = f.db.QueryRow(ctx, "SELECT COUNT(*) FROM (SELECT 1 FROM events WHERE position > $1 LIMIT 1000000) AS behind", position).Scan(&n)
	return n, err
}

// Tail follows the feed as a consumer does, without a checkpoint and beside any number of others,
// until ctx ends (nil) or handle fails. handle gets the events after position in order, and whether
// they reach the end of the feed; it is called without events too. Damaged events are left out.
func (f *Feed) Tail(ctx context.Context, position int64, handle func(events []stream.Event, end bool) error) error {
	for ctx.Err() == nil {
		wake := f.db.Committed()
		events, err := f.after(ctx, tailColumns, position)
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
			idle(ctx, wake, f.db.Poll())
			pause(ctx, tailGather)
		}
	}

	return nil
}

// HasAfter reports whether there are events after the position, settled or not.
func (f *Feed) HasAfter(ctx context.Context, position int64) (yes bool, err error) {
	err = f.db.QueryRow(ctx, "SELECT EXISTS (SELECT 1 FROM events WHERE position > $1)", position).Scan(&yes)
	return yes, err
}

// Stored returns up to limit events after a position in order, with their data as it is stored, and
// without their money.
func (f *Feed) Stored(ctx context.Context, position int64, limit int) (list []stream.Event, err error) {
	err = f.db.Each(ctx, func(row sqldb.Scanner) error {
		var e stream.Event
		var data string
		err := row.Scan(&e.Position, &e.ID, &e.Account, &e.Mode, &e.Object, &data)
		e.Data = []byte(data)
		list = append(list, e)
		return err
	}, "SELECT position, id, account, mode, object, data FROM events WHERE position > $1"+f.settled()+" ORDER BY position LIMIT "+
		strconv.Itoa(limit), position)
	return list, err
}
