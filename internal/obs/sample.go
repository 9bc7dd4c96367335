package obs

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Limits of what a failure may log: a full disk refuses thousands of requests a minute, and the
// log may be on the same disk.
const (
	sameLines    = 5           // warnings or errors with one message, in one period
	samePeriod   = time.Second // of counting
	sameMessages = 256         // that are counted at the same time
)

// sampler passes on the first sameLines of each message in a period, for warnings and above.
// The next line of that message says how many were left out; metrics count them all.
type sampler struct {
	slog.Handler
	*lines
}

type lines struct {
	now func() time.Time
	mu  sync.Mutex
	by  map[string]*line
}

type line struct {
	since   time.Time
	written int
	left    int64
}

func newSampler(h slog.Handler, now func() time.Time) sampler {
	return sampler{h, &lines{now: now, by: map[string]*line{}}}
}

// take reports whether a line may be written, and how many like it were left out.
func (l *lines) take(message string) (left int64, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	at := l.by[message]
	if at == nil {
		if len(l.by) >= sameMessages {
			l.forget(now)
		}
		at = &line{since: now}
		l.by[message] = at
	}
	if now.Sub(at.since) >= samePeriod {
		at.since, at.written = now, 0
	}
	if at.written >= sameLines {
		at.left++
		return 0, false
	}
	at.written++
	left, at.left = at.left, 0
	return left, true
}

// forget drops the messages that were not written lately, or else all.
func (l *lines) forget(now time.Time) {
	for message, at := range l.by {
		if now.Sub(at.since) >= samePeriod && at.left == 0 {
			delete(l.by, message)
		}
	}
	if len(l.by) >= sameMessages {
		clear(l.by)
	}
}

func (s sampler) Handle(ctx context.Context, r slog.Record) error {
	if r.Level < slog.LevelWarn {
		return s.Handler.Handle(ctx, r)
	}
	left, ok := s.take(r.Message)
	if !ok {
		return nil
	}
	if left > 0 {
		r.AddAttrs(slog.Int64("leftOut", left))
	}
	return s.Handler.Handle(ctx, r)
}

func (s sampler) WithAttrs(a []slog.Attr) slog.Handler {
	return sampler{s.Handler.WithAttrs(a), s.lines}
}

func (s sampler) WithGroup(name string) slog.Handler {
	return sampler{s.Handler.WithGroup(name), s.lines}
}
