package answer

import (
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/problem"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
)

// The headers, which are the same on every face.
const (
	keyHeader      = "Idempotency-Key"
	replayedHeader = "Idempotent-Replayed"
)

// inUseRetry is after how long a request whose key is in use may be repeated. Most requests
// are done by then.
const inUseRetry = time.Second

// decodedPrefix distinguishes a fingerprint of a decoded request from one of its bytes,
// which earlier versions made.
const decodedPrefix = "decoded request\n"

// GuardConfig is what a guard needs. Every member is required.
type GuardConfig struct {
	// Seal and Unseal keep answers secret at rest; associated binds an answer to the
	// key that it was recorded under.
	Seal   func(plain, associated []byte) ([]byte, error)
	Unseal func(sealed, associated []byte) ([]byte, error)
	MAC    keyring.Authenticator // fingerprints of requests
	Now    func() time.Time
	Log    *slog.Logger
}

// Guard lets a request take effect once under its idempotency key. The faces of a
// process share one. It is safe for concurrent use.
type Guard struct {
	GuardConfig
	flights flights
}

// NewGuard returns a guard.
func NewGuard(c GuardConfig) *Guard { return &Guard{GuardConfig: c} }

// Call is one POST whose checks have passed, with its body.
type Call struct {
	Face *Face
	W    http.ResponseWriter
	R    *http.Request
	// Scope is the space that the caller's keys live in: the same on every face.
	Scope   string
	Records idempotency.Store // of the service whose commit makes the effect
	// Shape names the answer that the effect's commit carries, among the face's shapes;
	// "" where the service takes no ticket.
	Shape string
	Body  []byte // as the caller sent it
	// Meaning is the body in its one spelling, so that a repetition may be spelled
	// otherwise; nil if the body has no meaning but its bytes.
	Meaning []byte
	// Do makes the call and returns the object to answer with. The ticket is nil if the
	// request has no key, or Shape is "".
	Do func(*idempotency.Ticket) (any, error)
}

// flight is a call with a key that is under way.
type flight struct {
	*Guard
	Call
	record idempotency.Record
	// meanings are what the fingerprint of a record of the same request may cover.
	meanings [2][]byte
}

// Serve answers a call. With a key, the first answer is recorded in the commit of the
// effect where the service takes a ticket, and right after it elsewhere: a crash in
// between repeats such a call, which is why those that move money all take the ticket.
// Errors are not recorded, except a decline, which is an answer.
//
// It fails with idempotency_key_invalid, idempotency_key_in_use (a request with the
// key is under way in this process), idempotency_key_reused (the key was used for
// another request, or on another face) and idempotency_key_raced.
func (g *Guard) Serve(c Call) {
	key, err := headerKey(c.R.Header)
	if err != nil {
		c.Face.Fail(c.W, c.R, err)
		return
	}

	if key == "" {
		object, err := c.Do(nil)
		c.respond(object, err)
		return
	}

	name := c.Scope + "\x00" + key
	if !g.flights.begin(name) {
		f := fault.New(fault.KindConflict, "idempotency_key_in_use",
			"A request with this Idempotency-Key is in progress. Retry in a moment to get its response.")
		f.RetryAfter = inUseRetry
		c.Face.Fail(c.W, c.R, f)
		return
	}
	defer g.flights.end(name)
	f := &flight{Guard: g, Call: c, meanings: meanings(&c)}
	f.record = idempotency.Record{Scope: c.Scope, Key: key, Status: http.StatusOK, Fingerprint: g.MAC.Tag(f.meanings[0])}
	// The record is read inside the flight: a request that finished between a
	// read and the flight would otherwise be missed.
	if !f.replay() {
		f.run()
	}
}

// headerKey returns the key in the header, or "" if there is no header. An empty, repeated
// or invalid one is idempotency_key_invalid, one with a card number card_number_in_text.
func headerKey(h http.Header) (string, error) {
	values := h.Values(keyHeader)
	if len(values) == 0 {
		return "", nil
	}

	invalid := fault.Invalid(keyHeader, "idempotency_key_invalid",
		"Idempotency-Key must be sent once, with 1 to %d printable ASCII characters.", idempotency.MaxKeyBytes)
	if len(values) > 1 || values[0] == "" || len(values[0]) > idempotency.MaxKeyBytes {
		return "", invalid
	}

	for _, c := range []byte(values[0]) {
		if c < 0x20 || c > 0x7e {
			return "", invalid
		}
	}

	return values[0], issuer.NoNumber(keyHeader, values[0])
}

// meanings returns what the fingerprint of a record of the same request may cover, the one
// to record first. Records of earlier versions have the second, which fits only an exact
// repetition.
func meanings(c *Call) [2][]byte {
	at := c.R.Method + "\n" + c.R.URL.EscapedPath() + "\n"
	if c.Face.Name != "" {
		at = "face " + c.Face.Name + "\n" + at
	}
	bytewise := []byte(at + string(c.Body))
	if c.Meaning == nil {
		return [2][]byte{bytewise, bytewise}
	}

	return [2][]byte{[]byte(decodedPrefix + at + string(c.Meaning)), bytewise}
}

// respond answers a call that is not recorded.
func (c *Call) respond(object any, err error) {
	var body []byte
	if err == nil {
		body, err = json.Marshal(object)
	}
	if err != nil {
		c.Face.Fail(c.W, c.R, err)
		return
	}

	c.Face.Write(c.W, c.R, http.StatusOK, body)
}

// replay answers from the record, or with the reason why that is impossible. It returns
// false if there is no record: nothing was written then.
func (f *flight) replay() bool {
	rec, err := f.Records.GetIdempotency(f.R.Context(), f.Scope, f.record.Key)
	if err == nil && rec == nil {
		return false
	}

	var body []byte
	switch {
	case err != nil:
	case !f.MAC.Check(f.meanings[0], rec.Fingerprint) && !f.MAC.Check(f.meanings[1], rec.Fingerprint):
		err = fault.New(fault.KindMismatch, "idempotency_key_reused",
			"This Idempotency-Key was already used for a different request. Use a new key for a new request.")
	default:
		body, err = f.Unseal(rec.Answer, f.record.Associated())
	}

	if err != nil {
		f.Face.Fail(f.W, f.R, err)
		return true
	}

	f.W.Header().Set(replayedHeader, "true")
	f.Face.Write(f.W, f.R, rec.Status, body)
	return true
}

// run makes the call, records its response if no commit did, and answers.
func (f *flight) run() {
	var t *idempotency.Ticket
	if f.Shape != "" {
		t = idempotency.NewTicket(f.record, f.Face.shape(f.Shape), Faces{f.Face.Name: f.Face.Shapes}.Render, f.Seal)
	}
	object, err := f.Do(t)
	switch {
	case errors.Is(err, idempotency.ErrRaced):
		f.afterRace()
	case fault.KindOf(err) == fault.KindDeclined:
		status, body, failed := f.Face.Decline(f.R, err)
		f.record.Status = status
		f.finish(body, failed)
	case err != nil:
		f.Face.Fail(f.W, f.R, err)
	case t != nil && t.Rendered != nil:
		// The very bytes that a replay will give.
		f.Face.Write(f.W, f.R, http.StatusOK, t.Rendered)
	default:
		f.finish(json.Marshal(object))
	}
}

// finish records a response that is part of no commit, and sends it. If the record cannot
// be written the effect has happened nevertheless, so the response is sent; a repetition
// then meets the effect instead of the record.
func (f *flight) finish(body []byte, failed error) {
	if failed != nil {
		f.Face.Fail(f.W, f.R, failed)
		return
	}

	sealed, err := f.Seal(body, f.record.Associated())
	if err == nil {
		f.record.Answer, f.record.CreatedAt = sealed, f.Now()
		err = f.Records.PutIdempotency(f.R.Context(), f.record)
	}
	if errors.Is(err, idempotency.ErrRaced) {
		f.afterRace()
		return
	}
	if err != nil {
		f.Log.ErrorContext(f.R.Context(), "a response was not recorded under its idempotency key",
			"requestId", problem.RequestID(f.R.Context()), "route", f.R.Pattern, "error", err.Error())
	}
	f.Face.Write(f.W, f.R, f.record.Status, body)
}

// afterRace answers if another process recorded the key first: with its response, or with
// the mismatch.
func (f *flight) afterRace() {
	if !f.replay() {
		f.Face.Fail(f.W, f.R, fault.Unavailable("idempotency_key_raced", 0, idempotency.ErrRaced,
			"Another request with this Idempotency-Key was processed first. Retry to get its response."))
	}
}

// flights are the idempotency keys that this process is working on. The zero value is ready
// for use.
type flights struct {
	mu   sync.Mutex
	keys map[string]bool
}

// begin takes a key. It returns false if a request with it is under way.
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

// end releases a key.
func (f *flights) end(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.keys, key)
}
