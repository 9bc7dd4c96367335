// Package api is the JSON API of paylink. It turns HTTP requests into calls to the
// services, and their objects into responses. It makes no decision about money.
//
// The contract is docs/api/openapi.yaml; a test compares the route table with it.
// Every request passes the same checks in the same order: route, credentials, scope,
// query, body, idempotency key. Then the service is called. A call that changes
// something does not depend on the client's connection: it runs to its end, bounded
// by callTimeout, even if the client disconnects.
//
// The caller of this package puts the request id into the context (package problem)
// and limits rates.
package api

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/activity"
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

// callTimeout bounds a call that changes something. It is longer than the 30 seconds
// of an issuer call, so that the issuer's timeout ends first.
const callTimeout = 45 * time.Second

// Transactions is what a merchant may do with a payment. coordinator.Service
// documents the methods.
type Transactions interface {
	Capture(ctx context.Context, account, mode, id, amount string, t *idempotency.Ticket) (payment.Payment, error)
	Void(ctx context.Context, account, mode, id string, t *idempotency.Ticket) (payment.Payment, error)
	Refund(
		ctx context.Context,
		account, mode, id string,
		in payment.RefundInput,
		t *idempotency.Ticket,
	) (payment.Payment, payment.Refund, error)
	Review(ctx context.Context, account, mode, id, verdict, by string, t *idempotency.Ticket) (payment.Payment, error)
	Mark(ctx context.Context, account, mode, id, label, by string, t *idempotency.Ticket) (payment.Payment, error)
	Dispute(
		ctx context.Context,
		account, mode, id string,
		d payment.DisputeInput,
		t *idempotency.Ticket,
	) (payment.Payment, payment.Dispute, error)
	Repair(ctx context.Context, p payment.Payment) payment.Payment
}

// Records are the stores of idempotency records. Each record is stored by the service
// whose commit made its effect.
type Records struct{ Users, Links, Transactions, Webhooks, Fraud idempotency.Store }

// Config has the services that the API calls. Every member is required.
type Config struct {
	Merchants    merchant.Service
	Links        link.Service
	Forms        link.FormService
	Payments     payment.Reader
	Transactions Transactions
	Webhooks     notify.Service
	Fraud        fraud.Services
	Connectors   []merchant.Connector // for GET /api/issuers
	Records      Records
	Guard        *answer.Guard // answers requests with an idempotency key
	JWKS         func() []byte // the public keys, rendered
	// Limit counts a call for an account and writes the quota into the response's
	// headers. An error refuses the call. If it is nil, nothing is limited.
	Limit     func(ctx context.Context, h http.Header, account string) error
	PublicURL string // without a slash at the end
	Now       func() time.Time
	Log       *slog.Logger
	Drain     <-chan struct{} // closing it ends the event streams; if it is nil, only their lifetime does
	// ClockSpread is how long a move of a test clock waits until every process has
	// read it; 0 if there is one process.
	ClockSpread time.Duration
}

// API serves the JSON calls. It is safe for concurrent use.
type API struct {
	Config
	renderer  Renderer
	contract  func() (*contract, error)
	face      answer.Face
	followers *answer.Streams // the live event streams
}

// New returns an API for the services of c. It does no I/O: the OpenAPI document is
// rendered at its first request and then kept.
func New(c Config) *API {
	c.PublicURL = strings.TrimRight(c.PublicURL, "/")
	a := &API{Config: c, renderer: Renderer{PublicURL: c.PublicURL, Now: c.Now}, followers: answer.NewStreams(maxFollowers),
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

	// These patterns have no method, so they get the requests that match no route, which
	// net/http would answer in plain text.
	for path := range paths {
		mux.HandleFunc(path, a.unrouted)
	}
}

// unrouted answers requests that match no route: 405 if another method would match,
// else 404.
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
		a.fail(w, r, fault.New(fault.KindNotFound, "not_found", "This address does not exist."))
		return
	}
	problem.MethodNotAllowed(w, r, strings.Join(allow, ", "))
}

// matches reports whether a path matches a route's pattern, segment by segment. A
// placeholder such as {id} takes any segment except an empty one.
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

// request is one call on its way through the checks. admit fills it, and the handlers read
// it. It belongs to the goroutine of its HTTP request.
type request struct {
	*http.Request
	w      http.ResponseWriter
	caller caller
	query  query
	body   []byte
	ticket *idempotency.Ticket // nil: no key, or no effect to guard
}

// decode reads the body into dst, a pointer to a struct of field values. Its faults are
// those of the function decode.
func (q *request) decode(dst any) error { return decode(q.body, dst) }

// serve returns the handler of a route behind the checks. A POST runs under the guard,
// which replays the stored response for a known idempotency key and otherwise passes a
// ticket that the handler hands to the service. Any other method goes straight to the
// handler.
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

		// Streams write their own response and end with the client's connection.
		if rt.stream != nil && (rt.handle == nil || wantsStream(r)) {
			rt.stream(a, q)
			return
		}

		// A change survives the client: it keeps the request's values but not its
		// cancellation.
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(q.Context()), callTimeout)
			defer cancel()
			q.Request = q.WithContext(ctx)
		}

		if r.Method == http.MethodPost {
			a.Guard.Serve(answer.Call{Face: &a.face, W: w, R: q.Request, Scope: a.scopeOf(q), Records: rt.records(a.Records), Shape: rt.shape,
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

// admit runs the checks in the order that the package comment gives, and fills caller,
// query and body. The first check that fails decides the response. The rate limit counts a
// call as soon as its account is known, so calls that fail a later check count too.
func (a *API) admit(rt Route, q *request) error {
	var err error
	q.Request = answer.By(q.Request, activity.Actor{})
	if q.caller, err = a.authenticate(rt, q.Request, q.w.Header()); err != nil {
		return err
	}
	q.Request = answer.By(q.Request, q.caller.actor())

	if a.Limit != nil && q.caller.account != "" {
		if err := a.Limit(q.Context(), q.w.Header(), q.caller.account); err != nil {
			return err
		}
	}

	// Mode is a parameter of every call with an account that a key may make.
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
		// A malformed id cannot exist, so no store is queried.
		if err := pathID(q.Request, name, prefix); err != nil {
			return err
		}
	}

	// Without a body to decode, a single byte is enough to refuse. A POST is read in full,
	// because its bytes are compared under an idempotency key.
	if rt.body == bodyNone && q.Method != http.MethodPost {
		return noBody(q.Request)
	}
	if q.body, err = readBody(q.w, q.Request); err != nil {
		return err
	}
	if err := noNumbers(q.body); err != nil {
		return err
	}

	switch {
	case rt.body == bodyNone && len(q.body) > 0:
		return decode(q.body, &struct{}{}) // {} counts as no body
	case rt.body == bodyOptional && len(q.body) == 0:
		q.body = []byte("{}")
	}

	return nil
}

// decline renders an issuer's decline for the idempotency record: its status, its body as a
// problem, and an error only if the problem cannot be encoded.
func decline(r *http.Request, err error) (status int, body []byte, failed error) {
	p := problem.From(err, problem.RequestID(r.Context()))
	body, failed = json.Marshal(p)
	return p.Status, body, failed
}

// respond answers 200 with the object as JSON. An object that cannot be encoded is an
// internal error.
func (a *API) respond(q *request, object any) {
	body, err := json.Marshal(object)
	if err != nil {
		a.fail(q.w, q.Request, err)
		return
	}
	a.write(q.w, q.Request, http.StatusOK, body)
}

// write sends a rendered response: JSON, or a problem if status is 400 or more. The site of
// the request replaces the addresses in the body, so a stored response can be replayed
// under another public host. HEAD gets the headers of GET.
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
		_, _ = w.Write(body) // a failed write means that the client has disconnected
	}
}

// fail answers with the problem for err, and logs the details that callers must not
// see.
func (a *API) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problem.From(err, problem.RequestID(r.Context()))
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, merchant.ErrBusy) { // which its service counts and logs
		a.Log.ErrorContext(r.Context(), "request failed",
			"requestId", p.RequestID, "method", r.Method, "route", r.Pattern, "code", p.Code, "error", err.Error())
	}
	problem.Write(w, r, err, "")
}
