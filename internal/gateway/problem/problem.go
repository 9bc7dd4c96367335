// Package problem renders faults over HTTP. It is the only place where an error becomes
// a response (RFC 9457, application/problem+json). The API and the hosted pages use it.
//
// A response has only the code, the parameter and the detail of a fault. The cause, and
// the text of an error that is not a fault, never leave the process; the caller logs
// them under the request id of the response.
package problem

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/site"
)

// ContentType is the media type of a problem (RFC 9457, section 3).
const ContentType = "application/problem+json"

// typeBase makes a problem's type: a relative reference (RFC 9457, section
// 3.1.1), resolved by the client against the address that it called. Below a path of
// the public host, that path is put before it on the way out.
const typeBase = "/problems/"

// defaultRetryAfter is sent for a fault that needs Retry-After and has none.
const defaultRetryAfter = time.Second

// Problem is the body of an error response.
type Problem struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Detail    string `json:"detail"`
	Code      string `json:"code"`
	Param     string `json:"param,omitempty"`
	Payment   string `json:"payment,omitempty"` // id of the payment that a decline is about
	RequestID string `json:"requestId,omitempty"`
	Retryable bool   `json:"retryable,omitempty"`

	retryAfter time.Duration
}

// status is how a kind of fault is sent over HTTP.
type status struct {
	code      int
	title     string
	retryable bool // the same request may succeed later
}

// statuses has every fault.Kind; an unknown kind is treated as internal.
var statuses = map[fault.Kind]status{
	fault.KindInternal:        {http.StatusInternalServerError, "Internal error", true},
	fault.KindInvalid:         {http.StatusBadRequest, "Invalid request", false},
	fault.KindUnauthenticated: {http.StatusUnauthorized, "Not authenticated", false},
	fault.KindDeclined:        {http.StatusPaymentRequired, "Payment declined", false},
	fault.KindForbidden:       {http.StatusForbidden, "Forbidden", false},
	fault.KindNotFound:        {http.StatusNotFound, "Not found", false},
	fault.KindConflict:        {http.StatusConflict, "Conflict", false},
	fault.KindTooLarge:        {http.StatusRequestEntityTooLarge, "Too large", false},
	fault.KindUnsupported:     {http.StatusUnsupportedMediaType, "Unsupported media type", false},
	fault.KindMismatch:        {http.StatusUnprocessableEntity, "Request does not match", false},
	fault.KindRateLimited:     {http.StatusTooManyRequests, "Too many requests", true},
	fault.KindUnavailable:     {http.StatusServiceUnavailable, "Unavailable", true},
}

// statusOf returns the status of a kind.
func statusOf(k fault.Kind) status {
	if s, ok := statuses[k]; ok {
		return s
	}
	return statuses[fault.KindInternal]
}

// Status returns the HTTP status of a kind of fault.
func Status(k fault.Kind) int { return statusOf(k).code }

// From returns the problem for err. An error that is not a fault, and a fault of kind
// internal, become a generic internal error, because their text may name hosts, tables
// or files. A request that was canceled or timed out is unavailable: its outcome is
// unknown, and the caller should retry.
func From(err error, requestID string) Problem {
	f := fault.From(err)
	var known *fault.Error
	if !errors.As(err, &known) && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)) {
		f = fault.Unavailable(
			"timeout",
			defaultRetryAfter,
			err,
			"The request timed out and its outcome is not known yet. Retry with the same Idempotency-Key or attempt.",
		)
	}

	s := statusOf(f.Kind)
	// The text of an internal error is for our log only.
	if s.code == http.StatusInternalServerError {
		f = fault.From(nil)
	}

	// Every text was refused before that contains a card number, so this hides a mistake of ours.
	if issuer.HasNumber(f.Param) || issuer.HasNumber(f.Detail) {
		hidden := *f
		hidden.Param, hidden.Detail = "", "The request contains a card number where none is allowed."
		f = &hidden
	}

	p := Problem{
		Type: typeBase + f.Code, Title: s.title, Status: s.code, Detail: f.Detail,
		Code: f.Code, Param: f.Param, RequestID: requestID,
		Retryable: s.retryable || f.RetryAfter > 0, retryAfter: f.RetryAfter,
	}

	// Without a time from the fault, a caller that may repeat gets the shortest one.
	if p.retryAfter <= 0 && (f.Kind == fault.KindRateLimited || f.Kind == fault.KindUnavailable) {
		p.retryAfter = defaultRetryAfter
	}
	return p
}

// RetryAfterSeconds returns the value of the Retry-After header, rounded up, or "" if
// none is sent.
func (p Problem) RetryAfterSeconds() string {
	if p.retryAfter <= 0 {
		return ""
	}
	return strconv.FormatInt(int64((p.retryAfter+time.Second-1)/time.Second), 10)
}

// Write answers with the problem for err. If requestID is "", it uses the one in the
// request's context. It must be the first write to w.
func Write(w http.ResponseWriter, r *http.Request, err error, requestID string) {
	if requestID == "" {
		requestID = RequestID(r.Context())
	}
	From(err, requestID).Write(w, r)
}

// Write answers with p; it must be the first write to w.
func (p Problem) Write(w http.ResponseWriter, r *http.Request) {
	body, err := json.Marshal(p)
	if err != nil { // strings, a number and a bool: cannot fail
		http.Error(w, http.StatusText(p.Status), p.Status)
		return
	}

	// Addresses in the body get the path below which this server is reached.
	body = site.Of(r.Context()).Document(body)
	h := w.Header()
	h.Set("Content-Type", ContentType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if s := p.RetryAfterSeconds(); s != "" {
		h.Set("Retry-After", s)
	}
	// A response of 401 must name a way to authenticate (RFC 9110, section 15.5.2).
	if p.Status == http.StatusUnauthorized && h.Get("WWW-Authenticate") == "" {
		h.Set("WWW-Authenticate", `Bearer realm="paylink"`)
	}

	// With the line break that ends the body.
	h.Set("Content-Length", strconv.Itoa(len(body)+1))
	w.WriteHeader(p.Status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(append(body, '\n')) // a failed write means that the client has disconnected
	}
}

// MethodNotAllowed answers a method that an existing address does not support (RFC 9110,
// section 15.5.6), and lists the supported ones.
func MethodNotAllowed(w http.ResponseWriter, r *http.Request, allow string) {
	p := Problem{
		Type: typeBase + "method_not_allowed", Title: "Method not allowed", Status: http.StatusMethodNotAllowed,
		Detail: "This address supports only " + allow + ".", Code: "method_not_allowed", RequestID: RequestID(r.Context()),
	}
	w.Header().Set("Allow", allow)
	p.Write(w, r)
}

// HeadersTooLarge answers a request whose address and headers are too large (RFC 6585,
// section 5), and closes the connection.
func HeadersTooLarge(w http.ResponseWriter, r *http.Request, most int) {
	p := Problem{
		Type: typeBase + "headers_too_large", Title: "Headers too large", Status: http.StatusRequestHeaderFieldsTooLarge,
		Detail: "The URL and headers of a request must be at most " + strconv.Itoa(
			most,
		) + " bytes together.", Code: "headers_too_large", RequestID: RequestID(r.Context()),
	}
	// What follows on the connection may be the rest of these headers.
	w.Header().Set("Connection", "close")
	p.Write(w, r)
}

// Misdirected answers a request for a host that is not ours (RFC 9110, section 15.5.20).
func Misdirected(w http.ResponseWriter, r *http.Request) {
	p := Problem{
		Type: typeBase + "host_unknown", Title: "Misdirected request", Status: http.StatusMisdirectedRequest,
		Detail: "This server does not serve the host that the request names. Use the address that you were given.", Code: "host_unknown",
		RequestID: RequestID(r.Context()),
	}
	p.Write(w, r)
}

// requestIDKey is the context key of the request id.
type requestIDKey struct{}

// WithRequestID returns a context with the request id.
func WithRequestID(ctx context.Context, id string) context.Context {
	return context.WithValue(ctx, requestIDKey{}, id)
}

// RequestID returns the request id in ctx, or "" if there is none.
func RequestID(ctx context.Context) string {
	id, _ := ctx.Value(requestIDKey{}).(string)
	return id
}
