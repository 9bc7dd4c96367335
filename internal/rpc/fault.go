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

// ErrUnanswered marks the error of a call that got no answer.
var ErrUnanswered = errors.New("the service did not respond")

// errNotSent marks the error of a call that never reached an instance.
var errNotSent = fmt.Errorf("the call was not sent: %w", ErrUnanswered)

// NotSent reports whether the call provably did nothing.
func NotSent(err error) bool { return errors.Is(err, errNotSent) }

// sentinels maps names on the wire to the errors besides faults on which callers branch.
var sentinels = map[string]error{
	"payment_conflict":  payment.ErrConflict,
	"idempotency_raced": idempotency.ErrRaced,
	"endpoint_conflict": notify.ErrConflict,
}

// kinds maps a fault's kind to its name on the wire, and to Connect's nearest code, which proxies
// and metrics see.
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

// wireFault is the part of an error that may leave the process.
type wireFault struct {
	Kind         string `json:"kind,omitempty"` // empty: only a sentinel
	Code         string `json:"code,omitempty"`
	Param        string `json:"param,omitempty"`
	Detail       string `json:"detail,omitempty"`
	RetryAfterMs int64  `json:"retryAfterMs,omitempty"`
	Sentinel     string `json:"sentinel,omitempty"`
}

// outgoing converts an error to what the caller may see: a fault or a sentinel, the end of
// a context, or only that an internal error occurred. The server logs the cause.
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

// incoming converts the error of a call to the error that the service returned, or to one
// that says that the service could not be reached. ctx is that of the call.
func incoming(ctx context.Context, procedure string, err error) error {
	var c *connect.Error
	if !errors.As(err, &c) {
		return unanswered(procedure, err, ErrUnanswered)
	}
	if encoded := c.Meta().Get(faultHeader); encoded != "" {
		if e := fromWire(procedure, encoded); e != nil {
			return e
		}
	}
	// A stream that the other end cut off looks canceled too. Only our own context shows whether
	// our caller gave up.
	if over := ctx.Err(); over != nil {
		return fmt.Errorf("%s: %w: %w", procedure, ErrUnanswered, over)
	}
	switch c.Code() {
	case connect.CodeInternal:
		if connect.IsWireError(c) {
			return fmt.Errorf("%s failed; see the log of the service", procedure)
		}
	case connect.CodeUnauthenticated:
		// The guard refuses before anything is done.
		return unanswered(
			procedure,
			errors.New("the service does not accept our credentials: compare the internal keys or certificates, and the clocks"),
			errNotSent,
		)
	case connect.CodePermissionDenied: // a fault of this kind was recognized above
		return unanswered(procedure, errors.New("the service does not allow us this call"), errNotSent)
	}
	return unanswered(procedure, err, ErrUnanswered)
}

// unanswered returns the fault for our callers when a service cannot be reached. mark is
// ErrUnanswered or errNotSent.
func unanswered(procedure string, cause, mark error) error {
	return fault.Unavailable("service_unavailable", time.Second, fmt.Errorf("%s: %w: %w", procedure, mark, cause),
		"A service is temporarily unavailable. Retry with the same Idempotency-Key or attempt.")
}

// fromWire rebuilds a fault, a sentinel or both, or returns nil if it cannot be parsed. A
// fault keeps the sentinel as its cause, so errors.Is finds it.
func fromWire(procedure, encoded string) error {
	var w wireFault
	raw, err := base64.RawURLEncoding.DecodeString(encoded)
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
