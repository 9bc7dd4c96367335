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
}

// Source is a feed with a stored checkpoint per consumer.
type Source interface {
	// Consume calls handle with batches from the consumer's checkpoint on, and
	// moves the checkpoint when handle has returned nil. It blocks until ctx
	// ends (nil) or the source or handle fails.
	Consume(ctx context.Context, consumer string, handle func(context.Context, []Event) error) error
}
