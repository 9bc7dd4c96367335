// Package fault holds the few kinds of error that a caller of paylink sees.
//
// A fault has a kind (which decides the HTTP status), a stable code (which programs branch on),
// the name of the offending parameter, and a sentence for a person. Its cause is for the log
// only and is never rendered. Any error that is not a fault is an internal error.
package fault

import (
	"errors"
	"fmt"
	"time"
)

// Kind is the class of a fault; each maps to exactly one HTTP status.
type Kind uint8

// The kinds, in the order of their HTTP status.
const (
	KindInternal        Kind = iota // 500
	KindInvalid                     // 400
	KindUnauthenticated             // 401
	KindDeclined                    // 402
	KindForbidden                   // 403
	KindNotFound                    // 404
	KindConflict                    // 409
	KindTooLarge                    // 413
	KindUnsupported                 // 415
	KindMismatch                    // 422
	KindRateLimited                 // 429
	KindUnavailable                 // 503
	KindNone                        // no error: what KindOf returns for nil; no fault has it
)

// Error is a fault. Build one with the constructors below.
type Error struct {
	Kind       Kind
	Code       string        // stable, snake_case
	Param      string        // the offending parameter, as the caller spelled its path
	Detail     string        // one sentence for a person; no internal text
	RetryAfter time.Duration // when a retry makes sense; 0 is unknown
	Cause      error         // for the log only
}

func (e *Error) Error() string {
	s := e.Code + ": " + e.Detail
	if e.Param != "" {
		s = e.Param + ": " + s
	}
	if e.Cause != nil {
		s += " (" + e.Cause.Error() + ")"
	}
	return s
}

func (e *Error) Unwrap() error { return e.Cause }

// Is reports equality by kind and code, so that errors.Is works against a
// sentinel built with the same constructor.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Kind == e.Kind && t.Code == e.Code
}

// Invalid returns a fault for a parameter that breaks a rule; detail names the rule.
func Invalid(param, code, format string, args ...any) *Error {
	return &Error{Kind: KindInvalid, Code: code, Param: param, Detail: fmt.Sprintf(format, args...)}
}

// New returns a fault of any kind that names no parameter.
func New(kind Kind, code, format string, args ...any) *Error {
	return &Error{Kind: kind, Code: code, Detail: fmt.Sprintf(format, args...)}
}

// NotFound returns the one fault for what does not exist and for what belongs to another
// tenant.
func NotFound(object string) *Error {
	return New(KindNotFound, "not_found", "There is no such %s.", object)
}

// Unavailable returns a fault for a call that did nothing, or whose outcome is unknown so far.
// The caller may repeat it.
func Unavailable(code string, retry time.Duration, cause error, detail string) *Error {
	return &Error{Kind: KindUnavailable, Code: code, Detail: detail, RetryAfter: retry, Cause: cause}
}

// From returns the fault in err's chain. An error without one becomes an internal fault.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Kind: KindInternal, Code: "internal", Detail: "Something went wrong on our side. The request id helps us find it.",
		Cause: err}
}

// KindOf returns the kind of From(err), and KindNone for nil.
func KindOf(err error) Kind {
	if err == nil {
		return KindNone
	}
	return From(err).Kind
}

// Code returns the code of From(err), and "" for nil.
func Code(err error) string {
	if err == nil {
		return ""
	}
	return From(err).Code
}
