package rpc

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"connectrpc.com/connect"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
)

// faultHeader carries a fault beside Connect's own code.
const faultHeader = "Paylink-Fault"

// ErrUnanswered marks an error of a call that no answer came to.
var ErrUnanswered = errors.New("no answer came from the service")

// errNotSent marks one that never reached an instance.
var errNotSent = fmt.Errorf("the call was not sent: %w", ErrUnanswered)

// NotSent reports whether the call provably did nothing.
func NotSent(err error) bool { return errors.Is(err, errNotSent) }

// sentinels are the errors besides faults that somebody branches on, by their
// name on the wire.
var sentinels = map[string]error{
	"payment_conflict":  payment.ErrConflict,
	"idempotency_raced": idempotency.ErrRaced,
	"endpoint_conflict": notify.ErrConflict,
}

// kinds spell a fault's kind on the wire, and Connect's nearest code, which
// proxies and metrics see.
var kinds = map[fault.Kind]struct {
	name string
	code connect.Code
}{
	fault.KindInternal:        {"internal", connect.CodeInternal},
	fault.KindInvalid:         {"invalid", connect.CodeInvalidArgument},
	fault.KindUnauthenticated: {"unauthenticated", connect.CodeUnauthenticated},
	fault.KindDeclined:        {"declined", connect.CodeFailedPrecondition},
	fault.KindForbidden:       {"forbidden", connect.CodePermissionDenied},
	fault.KindNotFound:        {"not_found", connect.CodeNotFound},
	fault.KindConflict:        {"conflict", connect.CodeAborted},
	fault.KindTooLarge:        {"too_large", connect.CodeOutOfRange},
	fault.KindUnsupported:     {"unsupported", connect.CodeUnimplemented},
	fault.KindMismatch:        {"mismatch", connect.CodeFailedPrecondition},
	fault.KindRateLimited:     {"rate_limited", connect.CodeResourceExhausted},
	fault.KindUnavailable:     {"unavailable", connect.CodeUnavailable},
}

// wireFault is what of an error may leave the process.
type wireFault struct {
	Kind         string `json:"kind,omitempty"` // "": only a sentinel
	Code         string `json:"code,omitempty"`
	Param        string `json:"param,omitempty"`
	Detail       string `json:"detail,omitempty"`
	RetryAfterMs int64  `json:"retryAfterMs,omitempty"`
	Sentinel     string `json:"sentinel,omitempty"`
}

// outgoing turns an error into what the caller may know of it. The cause is the
// server's to log.
func outgoing(err error) *connect.Error {
	var w wireFault
	for name, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			w.Sentinel = name
		}
	}
	code := connect.CodeAborted
	var f *fault.Error
	switch {
	case errors.As(err, &f):
		k, known := kinds[f.Kind]
		if !known {
			k = kinds[fault.KindInternal]
		}
		code = k.code
		w.Kind, w.Code, w.Param, w.Detail, w.RetryAfterMs = k.name, f.Code, f.Param, f.Detail, f.RetryAfter.Milliseconds()
	case w.Sentinel != "":
	case errors.Is(err, context.DeadlineExceeded):
		return connect.NewError(connect.CodeDeadlineExceeded, errors.New("the deadline passed"))
	case errors.Is(err, context.Canceled):
		return connect.NewError(connect.CodeCanceled, errors.New("the caller gave up"))
	default:
		return connect.NewError(connect.CodeInternal, errors.New("internal error"))
	}
	raw, jsonErr := json.Marshal(w)
	if jsonErr != nil { // strings and a number: cannot fail
		return connect.NewError(connect.CodeInternal, errors.New("internal error"))
	}
	out := connect.NewError(code, errors.New(code.String()))
	out.Meta().Set(faultHeader, base64.RawURLEncoding.EncodeToString(raw))
	return out
}

// incoming turns what a call failed with into the error that the box gave, or
// into one that tells that the box could not be asked.
func incoming(ctx context.Context, procedure string, err error) error {
	var c *connect.Error
	if !errors.As(err, &c) {
		return unanswered(procedure, err, ErrUnanswered)
	}
	if told := c.Meta().Get(faultHeader); told != "" {
		if e := fromWire(procedure, told); e != nil {
			return e
		}
	}
	// A stream that the other end cut off looks canceled too: whether it was our
	// caller who gave up, our own context knows.
	if over := ctx.Err(); over != nil {
		return fmt.Errorf("%s: %w: %w", procedure, ErrUnanswered, over)
	}
	switch c.Code() {
	case connect.CodeInternal:
		if connect.IsWireError(c) {
			return fmt.Errorf("%s failed; the log of the service tells why", procedure)
		}
	case connect.CodeUnauthenticated:
		// The guard refuses before anything is done.
		return unanswered(procedure, errors.New("the service does not accept our credentials: compare the internal secrets and clocks"), errNotSent)
	}
	return unanswered(procedure, err, ErrUnanswered)
}

// unanswered is the fault for callers of ours when a service cannot be asked.
func unanswered(procedure string, cause, mark error) error {
	return fault.Unavailable("service_unavailable", time.Second, fmt.Errorf("%s: %w: %w", procedure, mark, cause),
		"A part of the service cannot be reached at the moment. Repeat the request, with the same key or attempt.")
}

// fromWire rebuilds the error; nil when it cannot be read.
func fromWire(procedure, told string) error {
	var w wireFault
	raw, err := base64.RawURLEncoding.DecodeString(told)
	if err != nil || json.Unmarshal(raw, &w) != nil {
		return nil
	}
	sentinel := sentinels[w.Sentinel]
	if w.Kind == "" {
		if sentinel == nil {
			return nil
		}
		return fmt.Errorf("%s: %w", procedure, sentinel)
	}
	kind := fault.KindInternal // an unknown kind of a newer peer
	for k, spelled := range kinds {
		if spelled.name == w.Kind {
			kind = k
		}
	}
	return &fault.Error{Kind: kind, Code: w.Code, Param: w.Param, Detail: w.Detail,
		RetryAfter: time.Duration(w.RetryAfterMs) * time.Millisecond, Cause: sentinel}
}
