// Package stream is the change feed: every state change of a link or payment is
// one event, written in the commit that made the change.
//
// A source delivers events oldest first, per object in order, at least once.
// Consumers are idempotent: they may see an event again after a crash.
package stream

import (
	"context"
	"encoding/json"
	"time"

	"github.com/paylink/paylink/internal/ledger"
)

// Event says that an object changed. Data is the object as the API shows it,
// after the change.
type Event struct {
	Position  int64             `json:"-"` // place in the feed; set by the store
	ID        string            `json:"id"`
	Type      string            `json:"type"`
	Account   string            `json:"-"`
	Mode      string            `json:"mode"`
	Object    string            `json:"-"`         // id of the object whose log it belongs to
	Seq       int64             `json:"seq"`       // per account and mode, without gaps; set by the store
	ObjectSeq int64             `json:"objectSeq"` // per object
	CreatedAt time.Time         `json:"createdAt"`
	Data      json.RawMessage   `json:"data"`
	Transfers []ledger.Transfer `json:"-"` // the money that moved with this change

	// Damaged is why the stored event cannot be read; Data and Transfers are empty then.
	Damaged error `json:"-"`
}

// Unreadable is what a consumer answers to an event that it can never work on: it is set
// aside, and the feed goes on. Any other error makes the batch come again.
type Unreadable struct {
	Event string // its id
	Cause error
}

func (u *Unreadable) Error() string {
	return "event " + u.Event + " cannot be read: " + u.Cause.Error()
}
func (u *Unreadable) Unwrap() error { return u.Cause }

// Aside is something that a consumer or a relay passed over because it cannot be read.
type Aside struct {
	Consumer string
	Item     string // id of the event, or of the object whose events could not be carried
	Account  string
	Position int64
	Reason   string
	At       time.Time
}

// Batch is what a sharded source gives at once, with the checkpoints after it.
type Batch struct {
	Events      []Event
	Aside       []Aside           // what could not be read
	Checkpoints map[string]string // shard to its new checkpoint; empty: forget the shard
	// Fresh says that Checkpoints are all there are: the source was read anew from
	// what it keeps, and older checkpoints are void.
	Fresh bool
}

// Sharded is a source in several parts, each with a checkpoint of its own. Events
// of one object come in order; those of different objects may not.
type Sharded interface {
	// Follow calls handle with batches, one at a time, from the checkpoints on. A
	// checkpoint that is too old, or none at all, makes it give everything that it
	// keeps first. It blocks until ctx ends (nil) or the source or handle fails.
	Follow(ctx context.Context, from map[string]string, handle func(context.Context, Batch) error) error
}

// Feed takes the events of another store into its own feed.
type Feed interface {
	// Checkpoints of the source, as the last batch left them.
	Checkpoints(ctx context.Context, source string) (map[string]string, error)
	// AppendBatch gives the events their places and keeps the checkpoints, in one
	// commit. An event that the feed has is dropped.
	AppendBatch(ctx context.Context, source string, b Batch) error
}

// Relay carries a source's events into the feed, until ctx ends (nil). After a
// crash it goes on at the last checkpoint that the feed has; what comes twice is
// dropped there.
func Relay(ctx context.Context, name string, source Sharded, feed Feed) error {
	from, err := feed.Checkpoints(ctx, name)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return err
	}
	return source.Follow(ctx, from, func(ctx context.Context, b Batch) error { return feed.AppendBatch(ctx, name, b) })
}

// Source is a feed with a stored checkpoint per consumer.
type Source interface {
	// Consume calls handle with batches from the consumer's checkpoint on, and
	// moves the checkpoint when handle has returned nil. It blocks until ctx
	// ends (nil) or the source or handle fails.
	Consume(ctx context.Context, consumer string, handle func(context.Context, []Event) error) error
}
