// Package lake writes the change feed into files that other engines read: Parquet, in
// folders by table and day, on a disk or in storage that speaks S3. DuckDB, Athena,
// Trino, Spark and ClickHouse read them as they are; docs/operate/lake.md has the
// columns. No card number can be in them: the feed has none.
//
// One row is one event, so the rows of an object say all that it ever was, and the
// last by seq says what it is.
//
// Exactly once in effect: which positions of the feed the next files hold is
// committed before the first of them is written, and the files' names and content
// follow from it. After a crash the same files are written again over themselves.
// Then the checkpoint moves. A file appears as a whole or not at all.
//
// The lake holds nothing that is not in the feed. When it does not fit the feed (it
// was emptied, the store was restored, the schema is another) it is made anew.
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

// Consumer is the lake's checkpoint in the feed, and planned the one up to which
// files may have been written.
const (
	Consumer = "lake"
	planned  = "lake planned"
)

// Bounds of the files of one commit.
const (
	maxEvents  = 100_000
	maxBytes   = 64 << 20 // of the events as the feed has them
	look       = time.Second
	DefaultAge = time.Minute
)

// Schema is the version of the columns. A lake of another one is made anew.
const Schema = 1

// Feed is what the lake needs of the store: events in order, and two checkpoints.
type Feed interface {
	// Alone runs the work in one process of those that share the feed.
	Alone(ctx context.Context, name string, work func(context.Context) error) error
	// FeedAfter gives some events after a position, oldest first; none: it has no more.
	FeedAfter(ctx context.Context, position int64) ([]stream.Event, error)
	// Checkpoint is 0 for a consumer that never moved one.
	Checkpoint(ctx context.Context, consumer string) (int64, error)
	// MoveCheckpoint moves it from where the consumer read it, and fails if it is
	// elsewhere by now.
	MoveCheckpoint(ctx context.Context, consumer string, from, to int64) error
}

// Files is where the lake lies. Names are relative, with slashes.
type Files interface {
	// Put makes a file as a whole, in the place of one of that name.
	Put(ctx context.Context, name string, body []byte) error
	// Get gives nil if there is no such file.
	Get(ctx context.Context, name string) ([]byte, error)
	// Clear removes the files of the lake, and none that it did not make.
	Clear(ctx context.Context) error
}

// Lake follows the feed.
type Lake struct {
	feed  Feed
	files Files
	age   time.Duration
	log   *slog.Logger
}

// New lake; age 0 is a minute.
func New(feed Feed, files Files, age time.Duration, log *slog.Logger) *Lake {
	if age == 0 {
		age = DefaultAge
	}
	return &Lake{feed: feed, files: files, age: age, log: log}
}

// Run follows the feed until ctx ends (nil). Files are written when they are old
// enough or large enough; what waits for that is read again after a stop.
func (l *Lake) Run(ctx context.Context) error {
	return l.feed.Alone(ctx, Consumer, func(ctx context.Context) error {
		if err := l.follow(ctx, l.age, nil); ctx.Err() == nil {
			return err
		}
		return nil
	})
}

// CatchUp writes everything that the feed has, and returns.
func (l *Lake) CatchUp(ctx context.Context) error {
	return l.feed.Alone(ctx, Consumer, func(ctx context.Context) error {
		return l.follow(ctx, 0, func() bool { return true })
	})
}

// Reset asks for the lake to be made anew: who writes it finds its checkpoint moved,
// empties it, and begins at the feed's start.
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

// mark is the file that says what a lake is and how far it reaches.
type mark struct {
	Schema  int    `json:"schema"`
	Feed    string `json:"feed"`    // id of the feed's first event: whose lake it is
	Through int64  `json:"through"` // position of the feed up to which files are written
}

const markName = "_paylink.json"

// ErrForeign is the answer to a place where another installation's lake lies.
var ErrForeign = errors.New("the lake there is another installation's: name another place, or empty that one")

// errMoved ends a run whose checkpoint somebody moved; the next one looks where it is.
var errMoved = errors.New("the lake's checkpoint was moved")

func (l *Lake) follow(ctx context.Context, age time.Duration, atEnd func() bool) error {
	from, whose, err := l.begin(ctx)
	if err != nil {
		return err
	}
	g := gather(from)
	since := time.Now()
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

// sleep reports whether the time went by before ctx ended.
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

// begin finds out where to go on, and finishes what was cut short. whose is "" while
// the feed is empty.
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
	done, err := l.feed.Checkpoint(ctx, Consumer)
	if err != nil {
		return 0, whose, err
	}
	next, err := l.feed.Checkpoint(ctx, planned)
	if err != nil {
		return 0, whose, err
	}
	if fits := m.Through == done || m.Through == next; !fits || next < done || (m.Schema != Schema && m.Schema != 0) {
		l.log.WarnContext(ctx, "the lake does not fit the feed; it is made anew", "through", m.Through, "checkpoint", done, "schema", m.Schema)
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
	g, err := l.again(ctx, done, next)
	if err != nil {
		return 0, whose, err
	}
	return next, whose, l.finish(ctx, g, whose)
}

// again reads the events of files whose writing was cut short.
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

// write commits what the files will hold, and writes them.
func (l *Lake) write(ctx context.Context, g *gathered, whose string) error {
	if err := l.feed.MoveCheckpoint(ctx, planned, g.from, g.to); err != nil {
		return err
	}
	return l.finish(ctx, g, whose)
}

// finish writes the files of a range that is committed. Crash in it: all again.
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
