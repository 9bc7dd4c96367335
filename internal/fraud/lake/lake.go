// Package lake writes the change feed into files that other engines read: Parquet, in folders by
// table and day, on a disk or in S3-compatible storage. DuckDB, Athena, Trino, Spark and
// ClickHouse read them directly; docs/operate/lake.md lists the columns. They cannot contain a
// card number, because the feed has none.
//
// One row is one event, so the rows of an object are its history, and the last by seq is its
// present state.
//
// Exactly once in effect: the range of positions in the next files is committed before the first
// of them is written, and determines the files' names and content. After a crash the same files
// are written again over themselves. Then the checkpoint moves. A file appears complete or not at
// all.
//
// The lake contains nothing that is not in the feed. If it does not match the feed (the lake was
// emptied, the store was restored, the schema changed), it is rebuilt. A lake of another feed is
// refused.
package lake

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/paylink/paylink/internal/stream"
)

// Consumer is the lake's checkpoint in the feed. planned is the one up to which files may have
// been written.
const (
	Consumer = "lake"
	planned  = "lake planned"
)

// Limits of the files of one commit.
const (
	maxEvents  = 100_000
	maxBytes   = 64 << 20 // of the events as stored in the feed
	look       = time.Second
	DefaultAge = time.Minute
)

// Schema is the version of the columns. A lake of another version is rebuilt.
const Schema = 1

// Feed is what the lake needs of the store: events in order, and two checkpoints.
type Feed interface {
	// Alone runs work in one of the processes that share the feed.
	Alone(ctx context.Context, name string, work func(context.Context) error) error
	// FeedAfter returns some events after a position, oldest first, or none if there are no more.
	FeedAfter(ctx context.Context, position int64) ([]stream.Event, error)
	// Checkpoint returns 0 for a consumer that has never moved its checkpoint.
	Checkpoint(ctx context.Context, consumer string) (int64, error)
	// MoveCheckpoint moves a checkpoint from the position that the consumer read, and fails if it
	// is elsewhere.
	MoveCheckpoint(ctx context.Context, consumer string, from, to int64) error
}

// Files is the storage of the lake. Names are relative, with slashes.
type Files interface {
	// Put creates or replaces a file atomically.
	Put(ctx context.Context, name string, body []byte) error
	// Get returns nil if there is no such file.
	Get(ctx context.Context, name string) ([]byte, error)
	// Clear removes the lake's files, and no others.
	Clear(ctx context.Context) error
}

// Lake follows the feed. One process at a time may run it; Alone sees to that.
type Lake struct {
	feed  Feed
	files Files
	age   time.Duration
	log   *slog.Logger
}

// New returns a lake. An age of 0 means a minute.
func New(feed Feed, files Files, age time.Duration, log *slog.Logger) *Lake {
	if age == 0 {
		age = DefaultAge
	}
	return &Lake{feed: feed, files: files, age: age, log: log}
}

// Run follows the feed until ctx ends (nil). Files are written when they are old or large enough.
// Events that wait for that are read again after a stop.
func (l *Lake) Run(ctx context.Context) error {
	return l.feed.Alone(ctx, Consumer, func(ctx context.Context) error {
		if err := l.follow(ctx, l.age, nil); ctx.Err() == nil {
			return err
		}
		return nil
	})
}

// CatchUp writes everything in the feed, and returns. It waits while another process writes the
// lake.
func (l *Lake) CatchUp(ctx context.Context) error {
	return l.feed.Alone(ctx, Consumer, func(ctx context.Context) error {
		return l.follow(ctx, 0, func() bool { return true })
	})
}

// Reset requests a rebuild: the process that writes the lake finds its checkpoint moved, empties
// the lake, and begins at the feed's start.
func Reset(ctx context.Context, feed Feed) error {
	for _, name := range []string{planned, Consumer} {
		at, err := feed.Checkpoint(ctx, name)
		if err == nil && at != 0 {
			err = feed.MoveCheckpoint(ctx, name, at, 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mark is the file that identifies a lake and states how far it reaches. It is written after the
// files that it covers and before the checkpoint moves.
type mark struct {
	Schema  int    `json:"schema"`
	Feed    string `json:"feed"`    // id of the feed's first event, which identifies the feed
	Through int64  `json:"through"` // position of the feed up to which files are written
}

// markName is the name of the mark. Readers of lakes ignore names that begin with an underscore.
const markName = "_paylink.json"

// ErrForeign is returned if the location contains another installation's lake.
var ErrForeign = errors.New("the lake there is another installation's: name another place, or empty that one")

// errMoved ends a run whose checkpoint another process moved. The next run reads it again.
var errMoved = errors.New("the lake's checkpoint was moved")

// follow gathers events and writes them when they are age old or many, until ctx ends (nil) or
// atEnd returns true at the feed's end. It returns errMoved if another process has moved the
// checkpoint, such as by a Reset.
func (l *Lake) follow(ctx context.Context, age time.Duration, atEnd func() bool) error {
	from, whose, err := l.begin(ctx)
	if err != nil {
		return err
	}

	g := gather(from)
	since := time.Now()
	// A Reset moves the checkpoint at any time; what was gathered is then void.
	for {
		at, err := l.feed.Checkpoint(ctx, planned)
		if err != nil {
			return err
		}
		if at != from {
			return errMoved
		}

		events, err := l.feed.FeedAfter(ctx, g.to)
		if err != nil {
			return err
		}

		if len(events) > 0 && g.events == 0 {
			since = time.Now()
		}
		if whose == "" && len(events) > 0 {
			whose = events[0].ID
		}
		if err := g.add(events); err != nil {
			return err
		}

		var rest time.Duration
		if g.events > 0 && (time.Since(since) >= age || g.full()) {
			start := time.Now()
			if err := l.write(ctx, g, whose); err != nil {
				return err
			}
			if g.full() {
				rest = time.Since(start) // a lake that catches up leaves half of the time to payments
			}
			g, from = gather(g.to), g.to
		}

		if len(events) == 0 {
			if atEnd != nil && atEnd() {
				return nil
			}
			rest = look
		}

		if !sleep(ctx, rest) {
			return nil
		}
	}
}

// sleep returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return ctx.Err() == nil
	}
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wait.C:
		return true
	}
}

// begin finds where to continue, and completes an interrupted write. whose is the id of the feed's
// first event, or empty while the feed is empty. It returns ErrForeign if the files there are of
// another feed. A lake that does not match its checkpoints is emptied.
func (l *Lake) begin(ctx context.Context) (from int64, whose string, err error) {
	first, err := l.feed.FeedAfter(ctx, 0)
	if err != nil {
		return 0, "", err
	}
	if len(first) > 0 {
		whose = first[0].ID
	}

	m, err := l.mark(ctx)
	if err != nil {
		return 0, whose, err
	}
	if m.Feed != "" && m.Feed != whose {
		return 0, whose, ErrForeign
	}

	// Two checkpoints: everything up to done is written, and everything up to next may be.
	done, err := l.feed.Checkpoint(ctx, Consumer)
	if err != nil {
		return 0, whose, err
	}
	next, err := l.feed.Checkpoint(ctx, planned)
	if err != nil {
		return 0, whose, err
	}

	if fits := m.Through == done || m.Through == next; !fits || next < done || (m.Schema != Schema && m.Schema != 0) {
		l.log.WarnContext(ctx, "the lake does not match the feed; it is rebuilt", "through", m.Through, "checkpoint", done, "schema", m.Schema)
		if err := Reset(ctx, l.feed); err != nil {
			return 0, whose, err
		}
		done, next = 0, 0
	}

	if done == 0 && next == 0 {
		return 0, whose, l.files.Clear(ctx)
	}
	if next == done {
		return done, whose, nil
	}

	// A crash came between the plan and its end: write the same files again.
	g, err := l.again(ctx, done, next)
	if err != nil {
		return 0, whose, err
	}
	return next, whose, l.finish(ctx, g, whose)
}

// again reads the events of files whose writing was interrupted: exactly those after from, up to
// to.
func (l *Lake) again(ctx context.Context, from, to int64) (*gathered, error) {
	g := gather(from)
	for g.to < to {
		events, err := l.feed.FeedAfter(ctx, g.to)
		if err != nil {
			return nil, err
		}
		for len(events) > 0 && events[len(events)-1].Position > to {
			events = events[:len(events)-1]
		}
		if len(events) == 0 {
			return nil, fmt.Errorf("the feed has no event at %d, up to which the lake was written", to)
		}
		if err := g.add(events); err != nil {
			return nil, err
		}
	}

	return g, nil
}

// write commits the range of the files, and writes them. After a crash between the two, begin
// writes them.
func (l *Lake) write(ctx context.Context, g *gathered, whose string) error {
	if err := l.feed.MoveCheckpoint(ctx, planned, g.from, g.to); err != nil {
		return err
	}
	return l.finish(ctx, g, whose)
}

// finish writes the files of a committed range, then the mark, and moves the checkpoint. After a
// crash all are written again, with the same names and contents.
func (l *Lake) finish(ctx context.Context, g *gathered, whose string) error {
	files, err := g.files()
	if err != nil {
		return err
	}

	for _, f := range files {
		if err := l.files.Put(ctx, f.name, f.body); err != nil {
			return fmt.Errorf("write %s into the lake: %w", f.name, err)
		}
	}

	raw, err := json.Marshal(mark{Schema: Schema, Feed: whose, Through: g.to})
	if err != nil {
		return err
	}
	if err := l.files.Put(ctx, markName, raw); err != nil {
		return fmt.Errorf("write %s into the lake: %w", markName, err)
	}
	return l.feed.MoveCheckpoint(ctx, Consumer, g.from, g.to)
}

// mark returns the mark, or the zero mark if there is none.
func (l *Lake) mark(ctx context.Context) (m mark, err error) {
	raw, err := l.files.Get(ctx, markName)
	if err != nil || raw == nil {
		return m, err
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, fmt.Errorf("%s in the lake: %w", markName, err)
	}
	return m, nil
}
