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

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/ledger"
)

// Event records a change of an object. Data is the object as the API shows it, after the
// change.
type Event struct {
	Position  int64             `json:"-"` // position in the feed; set by the store
	ID        string            `json:"id"`
	Type      string            `json:"type"`
	Account   string            `json:"-"`
	Mode      string            `json:"mode"`
	Object    string            `json:"-"`         // id of the object whose log it belongs to
	Seq       int64             `json:"seq"`       // per account and mode, without gaps; set by the store
	ObjectSeq int64             `json:"objectSeq"` // per object
	CreatedAt time.Time         `json:"createdAt"`
	Data      json.RawMessage   `json:"data"`
	Transfers []ledger.Transfer `json:"-"` // the money that the change moved

	// Damaged is the reason why the stored event can't be read; Data and Transfers are empty
	// then.
	Damaged error `json:"-"`
}

// OfPayment reports whether the event is about a payment.
func (e Event) OfPayment() bool { return id.Valid(id.Payment, e.Object) }

// OfLink reports whether the event is about a link.
func (e Event) OfLink() bool { return id.Valid(id.Link, e.Object) }

// Unreadable is a consumer's error for an event that it can never process: the event is set
// aside, and the feed goes on. After any other error the batch comes again.
type Unreadable struct {
	Event string // its id
	Cause error
}

func (u *Unreadable) Error() string {
	return "event " + u.Event + " cannot be read: " + u.Cause.Error()
}
func (u *Unreadable) Unwrap() error { return u.Cause }

// Aside is an event or object that a consumer or a relay skipped because it can't be read.
type Aside struct {
	Consumer string
	Item     string // id of the event, or of the object whose events could not be read
	Account  string
	Position int64
	Reason   string
	At       time.Time
}

// Batch is what a sharded source delivers at once, with the checkpoints after it.
type Batch struct {
	Events      []Event
	Activity    []activity.Event  // who made changes
	Aside       []Aside           // what could not be read
	Checkpoints map[string]string // shard to its new checkpoint; empty: forget the shard
	// Fresh says that Checkpoints are complete: the source was read again from what it keeps,
	// and older checkpoints are void.
	Fresh bool
}

// Sharded is a source in several parts, each with a checkpoint of its own. Events of one object
// come in order; those of different objects may not.
type Sharded interface {
	// Follow calls handle with batches, one at a time, from the checkpoints on. If there is no
	// checkpoint, or one is too old, it delivers everything that it keeps first. It blocks
	// until ctx ends (nil) or the source or handle fails.
	Follow(ctx context.Context, from map[string]string, handle func(context.Context, Batch) error) error
}

// Feed takes the events of another store into its own feed.
type Feed interface {
	// Checkpoints returns the source's checkpoints after the last batch.
	Checkpoints(ctx context.Context, source string) (map[string]string, error)
	// AppendBatch appends the events and stores the checkpoints, in one commit. It drops an
	// event that the feed already has.
	AppendBatch(ctx context.Context, source string, b Batch) error
}

// Relay copies a source's events into the feed, until ctx ends (nil). After a crash it resumes
// at the last checkpoint in the feed, which drops what comes twice.
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
	// Consume calls handle with batches from the consumer's checkpoint on, and moves the
	// checkpoint after handle has returned nil. It blocks until ctx ends (nil) or the source or
	// handle fails.
	Consume(ctx context.Context, consumer string, handle func(context.Context, []Event) error) error
}
