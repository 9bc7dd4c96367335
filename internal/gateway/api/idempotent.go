package api

import (
	"crypto/hmac"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/idempotency"
)

// inUseRetry is when a request whose key is in use may be repeated: most are done.
const inUseRetry = time.Second

// publicScope holds the keys of callers without an account.
const publicScope = "public"

// flights are the idempotency keys that this process is working on.
type flights struct {
	mu   sync.Mutex
	keys map[string]bool
}

// begin takes a key; false when a request with it is under way.
func (f *flights) begin(key string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys == nil {
		f.keys = make(map[string]bool)
	}
	if f.keys[key] {
		return false
	}
	f.keys[key] = true
	return true
}

func (f *flights) end(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, key)
}

// idempotencyKey reads the header: absent is "", empty is an error.
func idempotencyKey(h http.Header) (string, error) {
	values := h.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	invalid := fault.Invalid("Idempotency-Key", "idempotency_key_invalid", "Must be one header of 1 to %d printable ASCII characters.", idempotency.MaxKeyBytes)
	if len(values) > 1 || values[0] == "" || len(values[0]) > idempotency.MaxKeyBytes {
		return "", invalid
	}
	for _, c := range []byte(values[0]) {
		if c < 0x20 || c > 0x7e {
			return "", invalid
		}
	}
	return values[0], nil
}

// guard is one POST with an idempotency key.
type guard struct {
	api     *API
	rt      Route
	q       *request
	records idempotency.Store
	record  idempotency.Record
	// fingerprints are those that a record of the same request may have.
	fingerprints [2][]byte
}

// servePost runs a POST. With a key, the first answer is recorded in the commit
// of the effect where the box takes a ticket, and right after it elsewhere: a
// crash in between repeats such a call, which is why those that move money all
// take the ticket. Errors are not recorded, except a decline, which is an answer.
func (a *API) servePost(rt Route, q *request) {
	key, err := idempotencyKey(q.Header)
	if err != nil {
		a.fail(q.w, q.Request, err)
		return
	}
	if key == "" {
		object, err := rt.handle(a, q)
		if err != nil {
			a.fail(q.w, q.Request, err)
			return
		}
		a.respond(q, object)
		return
	}
	g := &guard{api: a, rt: rt, q: q, records: rt.records(a.Records), record: idempotency.Record{
		Scope: q.caller.scope(), Key: key, Status: http.StatusOK,
	}, fingerprints: a.fingerprints(rt, q)}
	g.record.Fingerprint = g.fingerprints[0]
	flight := g.record.Scope + "\x00" + key
	if !a.flights.begin(flight) {
		f := fault.New(fault.KindConflict, "idempotency_key_in_use", "A request with this Idempotency-Key is under way. Repeat it in a moment to read its answer.")
		f.RetryAfter = inUseRetry
		a.fail(q.w, q.Request, f)
		return
	}
	defer a.flights.end(flight)
	// The record is read inside the flight: a request that finished between a
	// read and the flight would otherwise be missed.
	if done := g.replay(); done {
		return
	}
	g.run()
}

// replay answers from the record; false when there is none.
func (g *guard) replay() bool {
	a, q := g.api, g.q
	rec, err := g.records.GetIdempotency(q.Context(), g.record.Scope, g.record.Key)
	if err != nil {
		a.fail(q.w, q.Request, err)
		return true
	}
	if rec == nil {
		return false
	}
	if !hmac.Equal(rec.Fingerprint, g.fingerprints[0]) && !hmac.Equal(rec.Fingerprint, g.fingerprints[1]) {
		a.fail(q.w, q.Request, fault.New(fault.KindMismatch, "idempotency_key_reused", "This Idempotency-Key was used for another request. Use a new key for a new request."))
		return true
	}
	body, err := a.Unseal(rec.Answer, g.record.Associated())
	if err != nil {
		a.fail(q.w, q.Request, err)
		return true
	}
	q.w.Header().Set("Idempotent-Replayed", "true")
	a.write(q.w, q.Request, rec.Status, body)
	return true
}

// run makes the call and sees to its record.
func (g *guard) run() {
	a, q := g.api, g.q
	if g.rt.shape != "" {
		q.ticket = &idempotency.Ticket{Record: g.record, Shape: g.rt.shape, Render: g.render}
	}
	object, err := g.rt.handle(a, q)
	switch {
	case errors.Is(err, idempotency.ErrRaced):
		g.afterRace()
	case fault.KindOf(err) == fault.KindDeclined:
		p := problem.From(err, problem.RequestID(q.Context()))
		body, marshalErr := json.Marshal(p)
		if marshalErr != nil {
			a.fail(q.w, q.Request, marshalErr)
			return
		}
		g.record.Status = p.Status
		g.finish(body)
	case err != nil:
		a.fail(q.w, q.Request, err)
	case q.ticket != nil && q.ticket.Rendered != nil:
		// The very bytes that a replay will give.
		a.write(q.w, q.Request, http.StatusOK, q.ticket.Rendered)
	default:
		body, marshalErr := json.Marshal(object)
		if marshalErr != nil {
			a.fail(q.w, q.Request, marshalErr)
			return
		}
		g.finish(body)
	}
}

// render is the ticket's: it turns the object of the commit into the answer.
func (g *guard) render(object any) ([]byte, error) {
	body, err := g.api.renderer.Render(g.rt.shape, object)
	if err != nil {
		return nil, err
	}
	sealed, err := g.api.Seal(body, g.record.Associated())
	if err != nil {
		return nil, err
	}
	g.q.ticket.Rendered = body
	return sealed, nil
}

// finish records an answer that no commit carried, and gives it. When the record
// can't be written the effect has happened all the same, so the answer stands;
// a repetition then meets the effect instead of the record.
func (g *guard) finish(body []byte) {
	a, q := g.api, g.q
	sealed, err := a.Seal(body, g.record.Associated())
	if err == nil {
		g.record.Answer, g.record.CreatedAt = sealed, a.Now()
		err = g.records.PutIdempotency(q.Context(), g.record)
	}
	if errors.Is(err, idempotency.ErrRaced) {
		g.afterRace()
		return
	}
	if err != nil {
		a.Log.ErrorContext(q.Context(), "an answer was not recorded under its idempotency key",
			"requestId", problem.RequestID(q.Context()), "path", q.URL.Path, "error", err.Error())
	}
	a.write(q.w, q.Request, g.record.Status, body)
}

// afterRace answers when another process recorded the key first: with its
// answer, or with the mismatch.
func (g *guard) afterRace() {
	if !g.replay() {
		g.api.fail(g.q.w, g.q.Request, fault.Unavailable("idempotency_key_raced", 0, idempotency.ErrRaced, "Another request with this Idempotency-Key came first. Repeat the request to read its answer."))
	}
}
