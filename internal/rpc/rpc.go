// Package rpc lets the boxes run as separate processes. For each box it has a
// client, which is the box's own interface over the wire, and the server that
// serves the real thing; one suite holds both to the box's contract.
//
// What crosses: Connect's unary protocol over HTTP/2, plain Go structs as JSON.
// Deadlines and request ids travel along. A fault arrives with its kind, code,
// parameter, detail and retry time, and a sentinel that callers compare with
// arrives as itself; the text of any other error stays in the log of the process
// that it happened in.
//
// Who may call: a process that proves to know the shared secret, or that has a
// certificate of the internal authority. Everybody else is refused, and nothing
// is done (Credentials).
//
// What is repeated: a call that was provably not sent, whatever it is; and one
// that may have been sent, if its contract makes a repetition harmless: reads,
// calls with an idempotency ticket (the second finds the record of the first),
// and those that name what they do (an attempt, a reference, a notice). Each
// repetition goes to another instance, if there is one, within the caller's
// deadline. Anything else is answered with a fault that says that the outcome is
// not known.
//
// If a process dies in the middle of a call, its own commits decide what has
// happened, as in one process; the caller sees a broken connection.
package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/go-json-experiment/json"
)

// Bounds.
const (
	MaxRequestBytes = 1 << 20
	MaxAnswerBytes  = 32 << 20 // a page of an export

	maxTimeout  = time.Minute     // of a call, if its caller allows no less
	readTimeout = 5 * time.Second // of one try to read; then another instance is asked
	maxTries    = 5
	firstPause  = 50 * time.Millisecond // before a second round over the instances; it doubles
)

const requestIDHeader = "Request-Id"

// Observe is told of every try of a call; side is "client" or "server".
type Observe func(side, service, method, code string, took time.Duration)

// path of a procedure.
func path(service, method string) string { return "/paylink." + service + "/" + method }

// message is what connect carries: one type for all procedures, or it would be
// compiled anew for each of them. An initializer says what an incoming one is.
type message struct{ value any }

// codec spells messages as JSON. A member that the reader does not know is passed
// over, so that a newer peer can say more; a repeated one, another spelling or
// invalid UTF-8 is an error. Nil stays apart from empty.
type codec struct{}

func (codec) Name() string { return "paylink+json" }

func (codec) Marshal(m any) ([]byte, error) {
	return json.Marshal(m.(*message).value, json.FormatNilSliceAsNull(true), json.FormatNilMapAsNull(true))
}

func (codec) Unmarshal(raw []byte, m any) error { return json.Unmarshal(raw, m.(*message).value) }

// incomingAs says that a message to read is a T.
func incomingAs[T any](_ connect.Spec, m any) error {
	m.(*message).value = new(T)
	return nil
}

// bounded gives a call that has no deadline one.
func bounded(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= most {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, most)
}
