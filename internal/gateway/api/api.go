// Package api is the JSON face of paylink: it turns HTTP requests into calls of
// the boxes and their objects into answers. It decides nothing about money.
//
// The contract is docs/api/openapi.yaml; a test holds the route table against
// it. Every request passes the same gates in the same order: route, credentials,
// scope, query, body, idempotency key; then the box is called. A call that
// changes something does not hang on the client: once it has begun it runs to its end, bounded by
// callTimeout, so that a client that hangs up never leaves half an answer.
//
// The caller puts the request id into the context (package problem) and limits
// rates; neither is done here.
package api

import (
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/notify"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/site"
)

// callTimeout bounds a call that changes something: longer than an issuer's 30
// seconds, so that the issuer's own bound is the one that strikes.
const callTimeout = 45 * time.Second

// Transactions is what a merchant may do with a payment; coordinator.Service
// tells the rest.
type Transactions interface {
	Capture(ctx context.Context, account, mode, id, amount string, t *idempotency.Ticket) (payment.Payment, error)
	Void(ctx context.Context, account, mode, id string, t *idempotency.Ticket) (payment.Payment, error)
	Refund(ctx context.Context, account, mode, id string, in payment.RefundInput, t *idempotency.Ticket) (payment.Payment, payment.Refund, error)
	Review(ctx context.Context, account, mode, id, verdict, by string, t *idempotency.Ticket) (payment.Payment, error)
	Mark(ctx context.Context, account, mode, id, label, by string, t *idempotency.Ticket) (payment.Payment, error)
	Dispute(ctx context.Context, account, mode, id string, d payment.DisputeInput, t *idempotency.Ticket) (payment.Payment, payment.Dispute, error)
	Repair(ctx context.Context, p payment.Payment) payment.Payment
}

// Records are the idempotency records: each lies with the box whose commit made
// its effect.
type Records struct{ Users, Links, Transactions, Webhooks, Fraud idempotency.Store }

// Config is what the API speaks to. Every member is required.
type Config struct {
	Merchants    merchant.Service
	Links        link.Service
	Forms        link.FormService
	Payments     payment.Reader
	Transactions Transactions
	Webhooks     notify.Service
	Fraud        fraud.Box
	Connectors   []merchant.Connector // for GET /api/issuers
	Records      Records
	Guard        *answer.Guard // answers requests with an idempotency key
	JWKS         func() []byte // the public keys, rendered
	// Limit counts a call for an account and writes where it stands into the
	// answer's headers; an error refuses the call. Nil: nothing is limited.
	Limit     func(ctx context.Context, h http.Header, account string) error
	PublicURL string // without a slash at the end
	Now       func() time.Time
	Log       *slog.Logger
	Drain     <-chan struct{} // closing it ends the streams of events; nil: only their life does
	// ClockSpread is how long who moves a test clock waits until every process has
	// heard of it; 0 where there is one.
	ClockSpread time.Duration
}

// API serves the JSON calls. It is safe for concurrent use.
type API struct {
	Config
	renderer  Renderer
	contract  func() (*contract, error)
	face      answer.Face
	followers followers
}

// followers counts the live streams of events.
type followers struct {
	sync.Mutex
	all int
	by  map[string]int // by account and mode
}

// New makes an API.
func New(c Config) *API {
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	a := &API{Config: c, renderer: Renderer{PublicURL: c.PublicURL, Now: c.Now},
		contract: sync.OnceValues(func() (*contract, error) { return newContract(c.PublicURL) })}
	a.face = answer.Face{Shapes: a.renderer.Shapes(), Write: a.write, Fail: a.fail, Decline: decline}
	return a
}

// Register adds the routes to mux. It claims everything under /api/, and
// /openapi.yaml and /.well-known/jwks.json whatever the method.
func (a *API) Register(mux *http.ServeMux) {
	paths := map[string]bool{"/api/": true}
	for _, rt := range Routes() {
		mux.Handle(rt.Method+" "+rt.Path, a.serve(rt))
		if !strings.HasPrefix(rt.Path, "/api/") {
			paths[rt.Path] = true
		}
	}
	for path := range paths {
		mux.HandleFunc(path, a.unrouted)
	}
}

// unrouted answers what no route matched: 405 where another method would have
// been, 404 elsewhere.
func (a *API) unrouted(w http.ResponseWriter, r *http.Request) {
	var allow []string
	for _, rt := range Routes() {
		if matches(rt.Path, r.URL.Path) {
			allow = append(allow, rt.Method)
			if rt.Method == http.MethodGet {
				allow = append(allow, http.MethodHead)
			}
		}
	}
	if len(allow) == 0 {
		a.fail(w, r, fault.New(fault.KindNotFound, "not_found", "There is nothing at this address."))
		return
	}
	problem.MethodNotAllowed(w, r, strings.Join(allow, ", "))
}

// matches reports whether a path fits a route's pattern.
func matches(pattern, path string) bool {
	want, got := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(got) {
		return false
	}
	for i := range want {
		if want[i] != got[i] && (!strings.HasPrefix(want[i], "{") || got[i] == "") {
			return false
		}
	}
	return true
}

// request is one call on its way through the gates.
type request struct {
	*http.Request
	w      http.ResponseWriter
	caller caller
	query  query
	body   []byte
	ticket *idempotency.Ticket // nil: no key, or no effect to guard
}

// decode reads the body into dst.
func (q *request) decode(dst any) error { return decode(q.body, dst) }

// serve puts a route behind the gates.
func (a *API) serve(rt Route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rt.Auth != authNone {
			w.Header().Add("Vary", "Authorization")
		}
		q := &request{Request: r, w: w}
		if err := a.admit(rt, q); err != nil {
			a.fail(w, r, err)
			return
		}
		if rt.stream != nil && (rt.handle == nil || wantsStream(r)) {
			rt.stream(a, q)
			return
		}
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), callTimeout)
			defer cancel()
			q.Request = r.WithContext(ctx)
		}
		if r.Method == http.MethodPost {
			a.Guard.Serve(answer.Call{Face: &a.face, W: w, R: q.Request, Scope: q.caller.scope(), Records: rt.records(a.Records), Shape: rt.shape,
				Body: q.body, Meaning: canonical(rt, q.body), Do: func(t *idempotency.Ticket) (any, error) {
					q.ticket = t
					return rt.handle(a, q)
				}})
			return
		}
		object, err := rt.handle(a, q)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		a.respond(q, object)
	})
}

// admit runs the gates; the first that refuses decides the answer.
func (a *API) admit(rt Route, q *request) error {
	var err error
	if q.caller, err = a.authenticate(rt, q.Request, q.w.Header()); err != nil {
		return err
	}
	if a.Limit != nil && q.caller.account != "" {
		if err := a.Limit(q.Context(), q.w.Header(), q.caller.account); err != nil {
			return err
		}
	}
	known := rt.Query
	if rt.Auth == authBoth || rt.Auth == authKey {
		known = append([]string{"mode"}, known...)
	}
	if q.query, err = parseQuery(q.URL.RawQuery, known...); err != nil {
		return err
	}
	if q.caller, err = q.caller.inMode(q.query); err != nil {
		return err
	}
	for name, prefix := range rt.ids {
		// An id that is none names nothing: no store is asked about it.
		if err := pathID(q.Request, name, prefix); err != nil {
			return err
		}
	}
	if rt.body == bodyNone && q.Method != http.MethodPost {
		return noBody(q.Request)
	}
	if q.body, err = readBody(q.w, q.Request); err != nil {
		return err
	}
	switch {
	case rt.body == bodyNone && len(q.body) > 0:
		return decode(q.body, &struct{}{}) // {} is as good as nothing
	case rt.body == bodyOptional && len(q.body) == 0:
		q.body = []byte("{}")
	}
	return nil
}

// decline renders an issuer's decline as it is recorded.
func decline(r *http.Request, err error) (status int, body []byte, failed error) {
	p := problem.From(err, problem.RequestID(r.Context()))
	body, failed = json.Marshal(p)
	return p.Status, body, failed
}

// respond answers 200 with the object.
func (a *API) respond(q *request, object any) {
	body, err := json.Marshal(object)
	if err != nil {
		a.fail(q.w, q.Request, err)
		return
	}
	a.write(q.w, q.Request, http.StatusOK, body)
}

// write sends a rendered answer: JSON, or a problem from status 400 on.
func (a *API) write(w http.ResponseWriter, r *http.Request, status int, body []byte) {
	h := w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	if status >= http.StatusBadRequest {
		h.Set("Content-Type", problem.ContentType)
	}
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	body = site.Of(r.Context()).Document(body)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a failed write means that the client is gone
	}
}

// fail answers with the problem that tells err, and logs what the problem must
// not tell.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problem.From(err, problem.RequestID(r.Context()))
	if p.Status >= http.StatusInternalServerError {
		a.Log.ErrorContext(r.Context(), "request failed",
			"requestId", p.RequestID, "method", r.Method, "path", r.URL.Path, "code", p.Code, "error", err.Error())
	}
	problem.Write(w, r, err, "")
}
