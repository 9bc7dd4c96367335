package feed

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// Limits of a follower.
const (
	batchEvents     = 500                    // events in one read
	gatherWait      = 20 * time.Millisecond  // lets a busy feed fill a batch
	checkpointPause = 250 * time.Millisecond // between two saves of the checkpoint
	gentleLook      = 250 * time.Millisecond // between two reads of a gentle follower
	gentleRest      = 3                      // rests this many times as long as it worked
	gentleMaxRest   = 2 * time.Second
)

// Place is a position in the feed. Event is the id of the event there, if the follower remembers
// it.
type Place struct {
	Position int64
	Event    string
}

// Follower describes a consumer of the feed.
type Follower struct {
	Consumer string
	// Part selects what the consumer needs of an event.
	Part Part
	// Skip lists types of events that the consumer does not need.
	Skip []string
	// Limit is the number of events in one read; 0 means batchEvents.
	Limit int
	// Start returns where the follower continues; nil means at its checkpoint in this database.
	Start func(context.Context, sqldb.Reader) (Place, error)
	// Handle processes events, or gathers them for Save.
	Handle func(context.Context, []stream.Event) error
	// Save moves the checkpoint, in one commit with what Handle gathered.
	Save func(ctx context.Context, feed sqldb.Reader, from, to Place) error
	// Pause is the time between two saves; 0 means checkpointPause.
	Pause time.Duration
	// Full requests a save before the pause is over; may be nil.
	Full func() bool
	// Check runs once in each pause without new events; may be nil.
	Check func(context.Context, Place) error
	// Gentle followers yield the processor after each read, and commits do not wake them.
	Gentle bool
}

// Follow carries the feed to a consumer until ctx ends (nil), and saves what was handled. One of
// several processes works; the others wait to take over. An event that cannot be read, or that
// Handle reports as stream.Unreadable, is set aside and passed over. Follow returns ErrMoved if
// another process has moved the checkpoint. After a crash, events since the last save are handled
// again.
func (f *Feed) Follow(ctx context.Context, c Follower) error {
	if c.Start == nil {
		c.Start = func(ctx context.Context, r sqldb.Reader) (Place, error) {
			position, err := ReadCheckpoint(ctx, r, c.Consumer)
			return Place{Position: position}, err
		}
	}
	if c.Pause == 0 {
		c.Pause = checkpointPause
	}
	if c.Limit == 0 {
		c.Limit = batchEvents
	}
	return f.db.Alone(ctx, c.Consumer, func(ctx context.Context, r sqldb.Reader) error { return f.follow(ctx, r, c) })
}

// follow is Follow within the claim: it reads, hands over and saves until ctx ends, and saves once
// more at the end. A failed read or save ends it, without a save, so that the events come again.
// Saves ignore the end of ctx.
func (f *Feed) follow(ctx context.Context, r sqldb.Reader, c Follower) error {
	saved, err := c.Start(ctx, r)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}

	read, savedAt, checkedAt := saved, time.Now(), time.Now()
	flush := func() error {
		if read.Position == saved.Position {
			return nil
		}
		from := saved
		saved, savedAt = read, time.Now()
		return c.Save(context.WithoutCancel(ctx), r, from, read)
	}

	for ctx.Err() == nil {
		// The channel comes before the read: a commit between the two is not missed.
		began, wake := time.Now(), f.db.Committed()
		events, to, more, err := f.read(ctx, r, c, read)
		if err == nil && len(events) > 0 {
			err = f.hand(ctx, c, events)
		}
		if err != nil {
			if ctx.Err() != nil {
				break
			}
			return err
		}

		read = to
		if time.Since(savedAt) >= c.Pause || (c.Full != nil && c.Full()) {
			err = flush()
		}
		if err == nil && c.Check != nil && read.Position == saved.Position && time.Since(checkedAt) >= c.Pause {
			checkedAt = time.Now()
			err = c.Check(context.WithoutCancel(ctx), saved)
		}
		if err != nil {
			return err
		}

		switch {
		case c.Gentle:
			yield(ctx, time.Since(began), more)
		case !more:
			wait := f.db.Poll()
			if read.Position != saved.Position { // save now: the next event may take long to come
				wait = min(wait, max(0, c.Pause-time.Since(savedAt)))
			}
			idle(ctx, wake, wait)
		}
	}

	return flush()
}

// read returns the new events that the follower needs, the place up to which it read, and whether
// more are likely. The place moves past events that are skipped.
func (f *Feed) read(ctx context.Context, r sqldb.Reader, c Follower, from Place) (list []stream.Event, to Place, more bool, err error) {
	if list = f.recent.after(from.Position, c.Limit); len(list) == 0 {
		if len(c.Skip) > 0 {
			return f.readSome(ctx, r, c, from)
		}
		list, err = f.load(ctx, r, c.Part.columns(), from.Position, c.Limit)
	}
	if err != nil || len(list) == 0 {
		return nil, from, false, err
	}

	last := list[len(list)-1]
	more = len(list) == c.Limit
	if len(c.Skip) > 0 {
		list = slices.DeleteFunc(slices.Clone(list), func(e stream.Event) bool { return slices.Contains(c.Skip, e.Type) })
	}
	return list, Place{last.Position, last.ID}, more, nil
}

// readSome reads the feed without the types that the follower skips, up to the last settled place.
func (f *Feed) readSome(ctx context.Context, r sqldb.Reader, c Follower, from Place) (list []stream.Event, to Place, more bool, err error) {
	to, err = f.Last(ctx, r, from)
	if err != nil || to.Position == from.Position {
		return nil, from, false, err
	}

	args := []any{from.Position, to.Position}
	for _, kind := range c.Skip {
		args = append(args, kind)
	}
	where := "position > $1 AND position <= $2 AND type NOT IN (" + sqldb.Params(3, len(c.Skip)) + ")"
	list, err = f.query(ctx, r, c.Part.columns(), where, "position", c.Limit, args...)
	if err != nil {
		return nil, from, false, err
	}

	if more = len(list) == c.Limit; more {
		last := list[len(list)-1]
		to = Place{last.Position, last.ID}
	}
	return list, to, more, nil
}

// hand passes events to a consumer. An event that cannot be read, or that the consumer can never
// process, is set aside and passed over, because it must not hold up the others.
func (f *Feed) hand(ctx context.Context, c Follower, events []stream.Event) error {
	var aside []stream.Aside
	pass := func(e stream.Event, why error) {
		f.log.ErrorContext(ctx, "an event cannot be read and is skipped",
			"consumer", c.Consumer, "event", e.ID, "position", e.Position, "error", why)
		aside = append(aside, stream.Aside{
			Consumer: c.Consumer, Item: e.ID, Account: e.Account, Position: e.Position, Reason: why.Error(), At: time.Now(),
		})
	}

	sound := slices.DeleteFunc(slices.Clone(events), func(e stream.Event) bool {
		if e.Damaged != nil {
			pass(e, e.Damaged)
		}
		return e.Damaged != nil
	})
	// A consumer may find another event unreadable after the first is taken out, so ask until it
	// takes the rest.
	for len(sound) > 0 {
		err := c.Handle(ctx, sound)
		if err == nil {
			break
		}
		var bad *stream.Unreadable
		if !errors.As(err, &bad) {
			return err
		}
		at := slices.IndexFunc(sound, func(e stream.Event) bool { return e.ID == bad.Event })
		if at < 0 {
			return err
		}
		pass(sound[at], bad.Cause)
		sound = slices.Delete(sound, at, at+1)
	}

	if len(aside) == 0 {
		return nil
	}
	return f.db.Write(context.WithoutCancel(ctx), nil, func(t *sqldb.Tx) error { return PutAside(t, aside) })
}

// idle waits for this process's next commit and a moment longer, or until it is time to look for
// commits of others.
func idle(ctx context.Context, wake <-chan struct{}, most time.Duration) {
	wait := time.NewTimer(most)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return
	case <-wait.C:
		return
	case <-wake:
	}
	pause(ctx, gatherWait)
}

// yield yields the processor after the given working time.
func yield(ctx context.Context, worked time.Duration, more bool) {
	d := gentleRest * worked
	if !more {
		d = max(d, gentleLook)
	}
	pause(ctx, min(d, gentleMaxRest))
}

// pause waits for d or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

var _ stream.Source = (*Feed)(nil)

// Consume implements stream.Source. It saves the checkpoint at most four times a second, so after
// a crash the consumer gets the last events again.
func (f *Feed) Consume(ctx context.Context, consumer string, handle func(context.Context, []stream.Event) error) error {
	return f.Follow(ctx, Follower{Consumer: consumer, Handle: handle, Save: func(ctx context.Context, _ sqldb.Reader, from, to Place) error {
		return f.MoveCheckpoint(ctx, consumer, from.Position, to.Position)
	}})
}

// Alone runs work in one of the processes that share the feed. It is for a consumer whose effects
// lie elsewhere and that keeps its own checkpoints. Two may run for a moment when a session ends,
// so the work must be safe to run twice.
func (f *Feed) Alone(ctx context.Context, name string, work func(context.Context) error) error {
	return f.db.Alone(ctx, name, func(ctx context.Context, _ sqldb.Reader) error { return work(ctx) })
}

// ErrMoved is returned if the checkpoint is not where the consumer left it.
var ErrMoved = errors.New("another process has moved it")

// ReadCheckpoint returns a consumer's position in the database that holds its results, or 0 at
// the start.
func ReadCheckpoint(ctx context.Context, r sqldb.Reader, consumer string) (position int64, err error) {
	err = r.QueryRow(ctx, "SELECT position FROM checkpoints WHERE consumer = $1", consumer).Scan(&position)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return position, err
}

// SaveCheckpoint moves a checkpoint from the position that the consumer read. It returns ErrMoved
// if the checkpoint is elsewhere. What is in the same commit therefore counts once, even if two
// processes believe they are the consumer.
func SaveCheckpoint(t *sqldb.Tx, consumer string, from, to int64) error {
	n, err := t.Exec(`INSERT INTO checkpoints (consumer, position) VALUES ($1, $2)
		ON CONFLICT (consumer) DO UPDATE SET position = excluded.position WHERE checkpoints.position = $3`, consumer, to, from)
	if err == nil && n == 0 {
		return fmt.Errorf("the checkpoint of %s: %w", consumer, ErrMoved)
	}
	return err
}

// Checkpoint returns a consumer's position, or 0 at the start.
func (f *Feed) Checkpoint(ctx context.Context, consumer string) (int64, error) {
	return ReadCheckpoint(ctx, f.db.Reader, consumer)
}

// MoveCheckpoint is SaveCheckpoint in a transaction of its own.
func (f *Feed) MoveCheckpoint(ctx context.Context, consumer string, from, to int64) error {
	return f.db.Write(ctx, nil, func(t *sqldb.Tx) error { return SaveCheckpoint(t, consumer, from, to) })
}

// BeginAtEnd places a new consumer at the end of the feed, so that it handles only later events.
// A consumer with a checkpoint is left unchanged.
func (f *Feed) BeginAtEnd(ctx context.Context, consumer string) error {
	return f.db.Write(ctx, nil, func(t *sqldb.Tx) error {
		_, err := t.Exec(`INSERT INTO checkpoints (consumer, position) SELECT CAST($1 AS TEXT), COALESCE(MAX(position), 0) FROM events
			WHERE TRUE ON CONFLICT (consumer) DO NOTHING`, consumer)
		return err
	})
}

// Lag returns the number of events that the consumer has not handled, up to a million, for
// metrics.
func (f *Feed) Lag(ctx context.Context, consumer string) (int64, error) {
	position, err := f.Checkpoint(ctx, consumer)
	if err != nil {
		return 0, err
	}
	return f.Since(ctx, position)
}

// OldestUnhandled returns the time of the oldest event that the consumer has not handled, or the
// zero time if it has handled all. It is for metrics.
func (f *Feed) OldestUnhandled(ctx context.Context, consumer string) (time.Time, error) {
	position, err := f.Checkpoint(ctx, consumer)
	if err != nil {
		return time.Time{}, err
	}

	var at int64
	err = f.db.QueryRow(ctx, `SELECT COALESCE(MIN(created_at), 0) FROM
		(SELECT created_at FROM events WHERE position > $1 ORDER BY position LIMIT 1) AS next`, position).Scan(&at)
	return sqldb.FromMicros(at), err
}

// heartbeat names the checkpoint that is written to check whether the database accepts writes. No
// consumer reads it.
const heartbeat = "readiness"

// Writable returns why the database accepts no writes, or nil. It is for readiness. It writes at
// most once a second, and not at all while real changes are being confirmed.
func (f *Feed) Writable(ctx context.Context) error {
	return f.db.Writes().Ready(ctx, func(ctx context.Context) error {
		return f.db.Probe(ctx, func(t *sqldb.Tx) error {
			_, err := t.Exec(`INSERT INTO checkpoints (consumer, position) VALUES ($1, 1)
				ON CONFLICT (consumer) DO UPDATE SET position = checkpoints.position + 1`, heartbeat)
			return err
		})
	})
}
