// Package idempotency lets a caller repeat a request without repeating its effect. The record
// of the first answer is written in the same commit as the effect, so neither exists without
// the other.
//
// States of a key: new (no record), in flight (the gateway knows), replay (same fingerprint),
// mismatch (another fingerprint).
package idempotency

import (
	"context"
	"errors"
	"time"
)

// MaxKeyBytes bounds the client's key.
const MaxKeyBytes = 255

// ErrRaced is returned by a store's commit if another request recorded the same key first.
// Nothing of this commit was kept.
var ErrRaced = errors.New("another request recorded the same idempotency key first")

// Record is the first answer to a request with an Idempotency-Key.
type Record struct {
	Scope       string // account and mode, or "public/" and a hash of the user who is named
	Key         string
	Fingerprint []byte // keyed hash of method, path and body
	Status      int
	Answer      []byte // the rendered answer, sealed: it may hold a secret
	CreatedAt   time.Time
}

// Associated returns the data that binds a sealed answer to the key that it was recorded under.
func (r Record) Associated() []byte {
	return []byte("idempotency\x00" + r.Scope + "\x00" + r.Key)
}

// Ticket travels from the gateway to the commit. A nil ticket means that the client sent no
// key.
//
// Within a process Render makes the answer. To a service in another process only Record and
// Shape travel: the answer depends on the committed object alone, so the other side renders it
// by its shape, into its own commit, and sends the bytes back.
type Ticket struct {
	Record
	// Shape names the way in which the object becomes the answer.
	Shape string
	// Render returns the sealed answer for the object that is about to be committed.
	Render func(object any) ([]byte, error)
	// Rendered is the recorded answer, unsealed: the exact bytes that a replay sends. It is nil
	// until a commit has included the record.
	Rendered []byte
}

// NewTicket returns a ticket that renders an answer of the shape with render and seals it with
// seal under the record's key.
func NewTicket(r Record, shape string, render func(shape string, object any) ([]byte, error),
	seal func(plain, associated []byte) ([]byte, error)) *Ticket {
	t := &Ticket{Record: r, Shape: shape}
	t.Render = func(object any) ([]byte, error) {
		plain, err := render(shape, object)
		if err != nil {
			return nil, err
		}
		sealed, err := seal(plain, r.Associated())
		if err != nil {
			return nil, err
		}
		t.Rendered = plain
		return sealed, nil
	}
	return t
}

// Fill renders the answer for the object and returns the record to commit; nil for a nil
// ticket.
func (t *Ticket) Fill(object any, now time.Time) (*Record, error) {
	if t == nil {
		return nil, nil
	}
	body, err := t.Render(object)
	if err != nil {
		return nil, err
	}
	r := t.Record
	r.Answer, r.CreatedAt = body, now
	return &r, nil
}

// Store reads records. The commits that they belong to write them; PutIdempotency is for the
// few answers that change nothing else.
type Store interface {
	GetIdempotency(ctx context.Context, scope, key string) (*Record, error) // nil, nil if there is none
	PutIdempotency(ctx context.Context, r Record) error                     // ErrRaced if there is one
}
