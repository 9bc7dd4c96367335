// Package gateway is the only service that faces the internet. It gives every request
// an id, applies the limits, routes the request to the JSON API, the pages or an
// issuer's own pages, and recovers from panics.
package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/obs"
	"github.com/paylink/paylink/internal/site"
)

// Limits of a connection.
const (
	ReadHeaderTimeout = 5 * time.Second
	ReadTimeout       = 30 * time.Second
	IdleTimeout       = 2 * time.Minute
	MaxHeaderBytes    = 32 << 10
	// ServerHeaderBytes is the limit of net/http, which answers in plain text. It is
	// larger than ours, so that we can answer with a problem that says what is too
	// large.
	ServerHeaderBytes = 2 * MaxHeaderBytes
	readyTimeout      = 2 * time.Second
)

// Registrar adds its routes to a mux.
type Registrar interface{ Register(*http.ServeMux) }

// Config has the handlers and settings of a gateway.
type Config struct {
	Faces    []Registrar             // the API and the pages
	Mounts   map[string]http.Handler // issuers' own pages, by prefix
	NotFound http.Handler
	Limit    func(http.Handler) http.Handler // nil: no limits
	Site     site.Site                       // where we are reached
	Hosts    []string                        // the hosts that requests may name, in lower case, without ports; none: any
	Ready    func(context.Context) error
	// HSTS is how long a browser uses only https for this host (RFC 6797); 0 sends no
	// header.
	HSTS    time.Duration
	Metrics *obs.Metrics
	Log     *slog.Logger
}

// New returns the handler of the public listener.
func New(c Config) http.Handler {
	mux := http.NewServeMux()
	for _, b := range c.Faces {
		b.Register(mux)
	}
	for prefix, h := range c.Mounts {
		mux.Handle(prefix, h)
	}
	mux.Handle("/", c.NotFound)
	Health(mux, c.Ready)
	inner := c.hosted(mux)
	if c.Limit != nil {
		inner = c.Limit(inner)
	}
	return c.wrap(c.below(mux, inner))
}

// probes are the addresses that the platform asks, by whatever host it knows.
var probes = []string{"/healthz", "/readyz"}

// Health adds the probes to mux: /healthz says that the process runs, /readyz that it
// can serve.
func Health(mux *http.ServeMux, ready func(context.Context) error) {
	for _, path := range probes {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { problem.MethodNotAllowed(w, r, "GET, HEAD") })
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, `{"status":"ok"}`) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
		defer cancel()
		if err := ready(ctx); err != nil {
			say(w, http.StatusServiceUnavailable, unready(err))
			return
		}
		say(w, http.StatusOK, `{"status":"ok"}`)
	})
}

// NotReady is the reason why a process is not ready: the failed check and its meaning,
// in public words. Err is for the log.
type NotReady struct {
	Check, Reason string
	Err           error
}

func (n NotReady) Error() string {
	if n.Err == nil {
		return n.Check + ": " + n.Reason
	}
	return n.Check + ": " + n.Reason + ": " + n.Err.Error()
}

// Unwrap returns the cause.
func (n NotReady) Unwrap() error { return n.Err }

// unready answers with the failed checks. An error that is not a NotReady is not shown.
func unready(err error) string {
	body := struct {
		Status string            `json:"status"`
		Checks map[string]string `json:"checks,omitempty"`
	}{"unavailable", map[string]string{}}
	all := []error{err}
	if joined, ok := err.(interface{ Unwrap() []error }); ok { // what errors.Join made, itself
		all = joined.Unwrap()
	}
	for _, err := range all {
		if n, ok := errors.AsType[NotReady](err); ok {
			body.Checks[n.Check] = n.Reason
		}
	}
	raw, _ := json.Marshal(body) // strings: cannot fail
	return string(raw)
}

func say(w http.ResponseWriter, status int, body string) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body + "\n"))
}

func (c Config) wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		start := time.Now()
		requestID := id.New(id.Request)
		ctx := obs.WithRequestID(problem.WithRequestID(r.Context(), requestID), requestID)
		r = r.WithContext(site.With(ctx, c.Site))
		h := w.Header()
		h.Set("Request-Id", requestID)
		h.Set("X-Content-Type-Options", "nosniff")
		if c.HSTS > 0 {
			h.Set("Strict-Transport-Security", "max-age="+strconv.FormatInt(int64(c.HSTS/time.Second), 10))
		}
		if len(r.TransferEncoding) > 0 || !r.ProtoAtLeast(1, 1) {
			h.Set("Connection", "close") // Framed does not follow what comes after such a request
		}
		rec := &recorder{ResponseWriter: w}
		defer func() {
			if p := recover(); p != nil {
				if p == http.ErrAbortHandler { //nolint:errorlint // net/http compares it like this
					panic(p) //nolint:forbidigo // net/http ends the response
				}
				c.Log.ErrorContext(ctx, "panic in a handler", "route", r.Pattern, "panic", p)
				if rec.status == 0 {
					problem.Write(rec, r, fault.New(fault.KindInternal, "internal", "Something went wrong on our side."), requestID)
				}
			}
			route := r.Pattern
			if route == "" {
				route = "none"
			}
			c.Metrics.Request(route, strconv.Itoa(rec.code()), time.Since(start))
		}()
		if headerBytes(r) > MaxHeaderBytes {
			problem.HeadersTooLarge(rec, r, MaxHeaderBytes)
			return
		}
		next.ServeHTTP(rec, r)
		// What answers 503 has logged its reason, or counts it.
		if rec.code() >= http.StatusInternalServerError && rec.code() != http.StatusServiceUnavailable {
			c.Log.ErrorContext(ctx, "responded with an error", "route", r.Pattern, "status", rec.code())
		}
	})
}

// headerBytes returns the size of a request's address and headers as they were sent.
func headerBytes(r *http.Request) int {
	const around = len(": \r\n")
	n := len(r.Method) + len(r.RequestURI) + len(r.Proto) + len(r.Host)
	for name, values := range r.Header {
		for _, v := range values {
			n += len(name) + len(v) + around
		}
	}
	return n
}

// recorder records the status. Its Unwrap keeps flushing and deadlines working.
type recorder struct {
	http.ResponseWriter
	status int
}

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= http.StatusOK {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) code() int {
	if r.status == 0 {
		return http.StatusOK
	}
	return r.status
}
