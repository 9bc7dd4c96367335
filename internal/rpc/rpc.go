// Package rpc lets the services run as separate processes. For each service it has a client,
// which implements the service's own interface over the wire, and the server for the real
// implementation; one suite holds both to the service's contract.
//
// What crosses: Connect's unary protocol over HTTP/2, with plain Go structs as JSON, deadlines
// and request ids. A fault arrives with its kind, code, parameter, detail and retry time, and a
// sentinel that callers compare with arrives as itself. The text of any other error stays in the
// log of the process in which it happened.
//
// Who may call: services have names, which they prove by a key that only the caller and the called
// service hold, or by a certificate of the internal authority (Credentials). A caller may make the
// calls that the table permits lists for it. Any other request is refused without side effects.
//
// What is repeated: any call that was provably not sent; and one that may have been sent, if its
// contract makes a repetition harmless. Those are reads, calls with an idempotency ticket (the
// second finds the record of the first), and calls that name what they do (an attempt, a
// reference, a notice). Each repetition goes to another instance, if there is one, within the
// caller's deadline. Any other failure is a fault that says that the outcome is unknown.
//
// If a process dies in the middle of a call, its own commits decide what has happened, as in one
// process. The caller sees a broken connection.
package rpc

import (
	"context"
	"time"

	"connectrpc.com/connect"
	"github.com/go-json-experiment/json"
)

// Limits of a call.
const (
	MaxRequestBytes = 1 << 20
	MaxAnswerBytes  = 32 << 20 // a page of an export

	maxTimeout  = time.Minute     // of a call whose caller sets no shorter one
	readTimeout = 5 * time.Second // of one read try; then another instance is called
	maxTries    = 5
	firstPause  = 50 * time.Millisecond // before a second round over the instances; doubles
)

// requestIDHeader carries the id of the request that a caller of ours made.
const requestIDHeader = "Request-Id"

// Observe is called after every try of a call; side is "client" or "server".
type Observe func(side, service, method, code string, took time.Duration)

// path returns the path of a procedure.
func path(service, method string) string { return "/paylink." + service + "/" + method }

// message is what Connect carries: one type for all procedures, because Go would compile Connect
// again for each type. An initializer sets the type of an incoming value.
type message struct{ value any }

// codec encodes messages as JSON. The reader ignores unknown members, so that a newer peer can
// send more. A duplicate member, another spelling or invalid UTF-8 is an error. Nil and empty
// stay distinct.
type codec struct{}

// Name returns the name of the encoding, which is part of the content type.
func (codec) Name() string { return "paylink+json" }

func (codec) Marshal(m any) ([]byte, error) {
	return json.Marshal(m.(*message).value, json.FormatNilSliceAsNull(true), json.FormatNilMapAsNull(true))
}

func (codec) Unmarshal(raw []byte, m any) error { return json.Unmarshal(raw, m.(*message).value) }

// incomingAs sets the type of an incoming message to T.
func incomingAs[T any](_ connect.Spec, m any) error {
	m.(*message).value = new(T)
	return nil
}

// bounded sets a deadline on a call that has none, or a later one than most allows.
func bounded(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	if end, ok := ctx.Deadline(); ok && time.Until(end) <= most {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, most)
}
