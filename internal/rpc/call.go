package rpc

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/obs"
)

// repeat states whether a call may be repeated if no answer came.
type repeat uint8

const (
	once     repeat = iota // only if it was provably not sent
	harmless               // a repetition finds the effect of the first
	read                   // nothing changes; a slow instance is left for another
)

// Peer is one service as its callers see it.
type Peer struct {
	service string
	pool    *Pool
	observe Observe
	clients sync.Map // procedure to *connect.Client
}

// NewPeer returns the peer of the pool's service.
func NewPeer(service string, pool *Pool, observe Observe) *Peer {
	if observe == nil {
		observe = func(string, string, string, string, time.Duration) {}
	}
	return &Peer{service: service, pool: pool, observe: observe}
}

// client returns the client of a procedure, and creates it on the first call.
func (p *Peer) client(method string, initialize func(connect.Spec, any) error) *connect.Client[message, message] {
	if c, ok := p.clients.Load(method); ok {
		return c.(*connect.Client[message, message])
	}
	c := connect.NewClient[message, message](p.pool, "http://"+p.service+path(p.service, method), connect.WithCodec(codec{}),
		connect.WithResponseInitializer(initialize), connect.WithReadMaxBytes(MaxAnswerBytes), connect.WithSendMaxBytes(MaxRequestBytes),
		connect.WithAcceptCompression("gzip", nil, nil))
	kept, _ := p.clients.LoadOrStore(method, c)
	return kept.(*connect.Client[message, message])
}

// call calls the service, and repeats the call at another instance where that is allowed.
func call[Q, A any](ctx context.Context, p *Peer, method string, again repeat, q *Q) (*A, error) {
	answer, _, err := callTwice[Q, A](ctx, p, method, again, q)
	return answer, err
}

// callTwice is call. doubt is the error of an earlier try whose outcome is unknown.
func callTwice[Q, A any](ctx context.Context, p *Peer, method string, again repeat, q *Q) (answer *A, doubt, err error) {
	value, doubt, err := p.call(ctx, p.client(method, incomingAs[A]), method, again, q)
	if err != nil {
		return nil, doubt, err
	}
	return value.(*A), doubt, nil // a procedure has one pair of types
}

// call makes up to maxTries tries, on another instance each as long as there are some. It
// stops when ctx ends or when no repetition can help. doubt is the last error before the
// final try whose outcome is unknown.
func (p *Peer) call(
	ctx context.Context,
	client *connect.Client[message, message],
	method string,
	again repeat,
	q any,
) (answer any, doubt, err error) {
	ctx, cancel := bounded(ctx, maxTimeout)
	defer cancel()
	route := &route{}
	for n := range maxTries {
		if answer, err = p.try(ctx, client, method, again, route, q); err == nil {
			return answer, doubt, nil
		}
		if ctx.Err() != nil || !worthwhile(err, again) || n == maxTries-1 {
			break
		}

		if !NotSent(err) {
			doubt = err
		}
		if p.pool.exhausted(route) && !pause(ctx, firstPause<<n) {
			break
		}
	}
	return nil, doubt, err
}

// try makes one call. Its error is the service's own, or marked ErrUnanswered or
// errNotSent. r.sent is true once a connection was used.
func (p *Peer) try(
	ctx context.Context,
	client *connect.Client[message, message],
	method string,
	again repeat,
	r *route,
	q any,
) (any, error) {
	if again == read {
		var cancel context.CancelFunc
		ctx, cancel = bounded(ctx, readTimeout)
		defer cancel()
	}
	request := connect.NewRequest(&message{q})
	if id := obs.RequestID(ctx); id != "" {
		request.Header().Set(requestIDHeader, id)
	}
	setActor(ctx, request.Header())
	r.sent = false
	start := time.Now()
	response, err := client.CallUnary(withRoute(ctx, r), request)
	if err == nil {

		p.observe("client", p.service, method, "ok", time.Since(start))
		return response.Msg.value, nil
	}
	p.observe("client", p.service, method, connect.CodeOf(err).String(), time.Since(start))
	if out := incoming(ctx, path(p.service, method), err); !errors.Is(out, ErrUnanswered) || r.sent {
		return nil, out
	}
	return nil, unanswered(path(p.service, method), err, errNotSent)
}

// worthwhile reports whether a call that failed should be repeated: always if it was not
// sent, and otherwise if a repetition is harmless and another instance may succeed.
func worthwhile(err error, again repeat) bool {
	switch {
	case NotSent(err):
		return true
	case again == once:
		return false
	}
	return errors.Is(err, ErrUnanswered) || fault.KindOf(err) == fault.KindUnavailable
}

// pause waits for half of d to one and a half d. It returns false if ctx ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d/2 + mathrand.N(d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// ServerConfig configures a Server. All fields except Observe and Refused are required.
type ServerConfig struct {
	Credentials *Credentials
	Ready       func(context.Context) error
	Log         *slog.Logger
	Observe     Observe
	Refused     func() // called for every request that is refused; may be nil
	Tickets     Tickets
}

// Server serves services on the internal listener.
type Server struct {
	ServerConfig
	mux      *http.ServeMux
	instance string // a random name, new at each start
	seen     seenSet
}

// NewServer returns a server without any service yet, with the two health addresses:
// /healthz while the process lives, /readyz while it can work.
func NewServer(c ServerConfig) *Server {
	if c.Observe == nil {
		c.Observe = func(string, string, string, string, time.Duration) {}
	}
	if c.Refused == nil {
		c.Refused = func() {}
	}
	s := &Server{ServerConfig: c, mux: http.NewServeMux(), instance: rand.Text()}
	s.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	s.mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := c.Ready(r.Context()); err != nil {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	return s
}

// Mount adds pages that only our gateway may request (methodPages). They are behind the same
// guard as calls.
func (s *Server) Mount(prefix string, h http.Handler) { s.mux.Handle(prefix, h) }

// Handler returns the handler of the internal listener. It serves permitted requests of
// authenticated callers only, each for at most maxTimeout.
func (s *Server) Handler() http.Handler {
	return s.guard(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(obs.WithRequestID(r.Context(), r.Header.Get(requestIDHeader)), maxTimeout)
		defer cancel()
		s.mux.ServeHTTP(w, r.WithContext(withActor(ctx, r.Header)))
	}))
}

// handle serves one procedure. Its errors are converted by outgoing; internal ones are
// logged here, with their cause.
func handle[Q, A any](s *Server, service, method string, do func(context.Context, *Q) (*A, error)) {
	s.handle(service, method, incomingAs[Q], func(ctx context.Context, q any) (any, error) { return do(ctx, q.(*Q)) })
}

// handle registers the procedure. A panic is an internal error of the one call.
func (s *Server) handle(service, method string, initialize func(connect.Spec, any) error, do func(context.Context, any) (any, error)) {
	h := connect.NewUnaryHandler(
		path(service, method),
		func(ctx context.Context, q *connect.Request[message]) (*connect.Response[message], error) {
			start := time.Now()
			answer, err := do(ctx, q.Msg.value)
			if err == nil {
				s.Observe("server", service, method, "ok", time.Since(start))
				return connect.NewResponse(&message{answer}), nil
			}
			out := outgoing(err)
			s.Observe("server", service, method, out.Code().String(), time.Since(start))
			busy := errors.Is(err, merchant.ErrBusy) // which the service counts and logs
			if !busy && (out.Code() == connect.CodeInternal || out.Code() == connect.CodeUnavailable) {
				s.Log.ErrorContext(ctx, "an internal call failed", "procedure", path(service, method), "error", err)
			}
			return nil, out
		},
		connect.WithCodec(codec{}),
		connect.WithRequestInitializer(initialize),
		connect.WithReadMaxBytes(MaxRequestBytes),
		connect.WithSendMaxBytes(MaxAnswerBytes),
		connect.WithCompression("gzip", nil, nil),
		connect.WithRequireConnectProtocolHeader(),
		connect.WithRecover(func(ctx context.Context, _ connect.Spec, _ http.Header, p any) error {
			s.Log.ErrorContext(ctx, "panic in an internal call", "procedure", path(service, method), "panic", p)
			return connect.NewError(connect.CodeInternal, errors.New("internal error"))
		}),
	)
	s.mux.Handle(path(service, method), h)
}
