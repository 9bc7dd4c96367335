package fraud

import (
	"context"
	"errors"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// Limits of following.
const (
	followAgain = time.Second      // before the feed is read again after a failure
	recallAgain = 10 * time.Second // before the past is read again after a failure
	recallLook  = 100 * time.Millisecond
)

// Feed is the change feed for a follower that keeps its own position.
type Feed interface {
	// End returns the position of the last event. Later commits come after it.
	End(ctx context.Context) (int64, error)
	// Since returns the number of events after a position, up to a million.
	Since(ctx context.Context, position int64) (int64, error)
	// Tail calls handle with the events after a position, as they come, until ctx ends (nil), or
	// the feed or handle fails. end means that there are no more for now. Only an object's first
	// event, and events that do not carry a payment's status, are sure to have their data.
	Tail(ctx context.Context, position int64, handle func(events []stream.Event, end bool) error) error
}

// Run fills and updates the memory until ctx ends (nil). It follows the feed from now on, so that
// every event counts from the first moment. At the same time it reads the month before into a
// second memory, brings that one to the feed's end too, and then replaces the first one. It returns
// an error only if the feed's end cannot be read at the start.
func (l *Local) Run(ctx context.Context) error {
	from, err := l.cfg.Feed.End(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}

	if l.cfg.Refused != nil {
		counted := make(chan struct{})
		go func() {
			defer close(counted)
			l.refused.run(ctx, l.cfg.Refused, l.cfg.Log)
		}()
		defer func() { <-counted }()
	}

	started := l.cfg.Now()
	cold := l.memory.Load()
	if l.cfg.History == nil {
		l.warm.Store(true) // there is no past to read
		l.follow(ctx, cold, from, func() {})
		return nil
	}

	coldContext, stop := context.WithCancel(ctx)
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		l.follow(coldContext, cold, from, func() {})
	}()

	if warm := l.recall(ctx, from, started); warm != nil {
		l.follow(ctx, warm, from, func() {
			if l.memory.CompareAndSwap(cold, warm) {
				l.warm.Store(true)
				stop()
				l.cfg.Log.InfoContext(ctx, "the past month has been counted", "entities", warm.entities(), "took", l.cfg.Now().Sub(started).String())
			}
		})
	}
	<-ended
	return nil
}

// recall reads the past into a separate memory, and retries until it succeeds, or returns nil if
// ctx ended. It waits until the past reaches the position from which the feed is followed:
// otherwise events between the two would be in neither.
func (l *Local) recall(ctx context.Context, from int64, started time.Time) *memory {
	for ctx.Err() == nil {
		since, err := l.cfg.Feed.Since(ctx, from)
		var behind int64
		if err == nil {
			behind, err = l.cfg.Behind(ctx)
		}
		if err == nil && behind > since {
			pause(ctx, recallLook)
			continue
		}

		var m *memory
		if err == nil {
			m, err = l.recalled(ctx, started)
		}
		if err == nil {
			return m
		}
		if ctx.Err() == nil {
			l.cfg.Log.ErrorContext(ctx, "the past month could not be read; trying again", "error", err)
			pause(ctx, recallAgain)
		}
	}

	return nil
}

// recalled counts the rows of the past. Those whose events may come again in the feed are recorded
// as open or known, so that none counts twice. Nobody else has the memory yet, so its lock is not
// needed.
func (l *Local) recalled(ctx context.Context, started time.Time) (*memory, error) {
	const overlap = 10 * time.Minute // more than the difference of our processes' clocks
	until := l.cfg.Now()
	past := history.NewPast(until, history.MaxEntities)
	m := newMemory(nil)
	err := l.cfg.History.Replay(ctx, "", "", started.Add(-history.Window), started.Add(time.Hour), func(r history.Row) error {
		keys := past.Next(&r, nil)
		if r.CreatedAt.After(started.Add(-overlap)) || r.AnsweredAt.IsZero() {
			m.put(r.ID, opened{keys: keys, blocked: r.Risk.Action == payment.Block || !r.AnsweredAt.IsZero()})
		}
		if fraud, since, known := r.Fraud(); known {
			if since.After(until) {
				since = until
			}
			m.label(r.ID, counted{keys, true, fraud, since})
		}
		return ctx.Err()
	})

	if err != nil {
		return nil, err
	}
	m.history = past.Close()
	return m, nil
}

// follow counts the feed in a memory until ctx ends, and calls atEnd whenever it reaches the feed's
// end. If the feed fails, it continues from where it was. An event that cannot be read is logged
// and passed over.
func (l *Local) follow(ctx context.Context, m *memory, position int64, atEnd func()) {
	for ctx.Err() == nil {
		err := l.cfg.Feed.Tail(ctx, position, func(events []stream.Event, end bool) error {
			now := l.cfg.Now()
			for i := range events {
				w, err := m.apply(&events[i], now)
				if err != nil {
					l.cfg.Log.ErrorContext(ctx, "an event cannot be read and is skipped", "error", err)
				}
				if w != nil && l.cfg.Shield != nil {
					l.cfg.Shield.Answered(w.attempt, w.authorised)
				}
				position = events[i].Position
			}

			if m == l.memory.Load() {
				l.place.Store(position)
			}
			if end {
				l.lag.Store(0)
				atEnd()
			} else if n := len(events); n > 0 {
				l.lag.Store(max(0, now.Sub(events[n-1].CreatedAt)).Nanoseconds())
			}
			return nil
		})

		if err != nil && ctx.Err() == nil && !errors.Is(err, context.Canceled) {
			l.cfg.Log.ErrorContext(ctx, "the feed could not be read; trying again", "error", err)
			pause(ctx, followAgain)
		}
	}
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

// entities returns the number of entities in memory.
func (m *memory) entities() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.history.Entities()
}
