package notify

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/site"
	"github.com/paylink/paylink/internal/stream"
)

// Config holds the dependencies of a Local.
type Config struct {
	Store        Store
	Queue        Queue
	Clocks       Clocks           // nil: no test data lives ahead
	Keys         Keys             // Seal and Unseal are used; Sign is the sender's
	Site         site.Site        // base of the addresses in bodies
	Now          func() time.Time // time.Now when nil
	AllowPrivate bool             // development: http and private addresses
	Log          *slog.Logger     // nil: nothing is logged
}

// Local implements Service, and is the stream's consumer. RunPrune and RunRedeliveries must run
// beside it.
type Local struct {
	Config
	cache cache
	nudge chan struct{} // a bulk redelivery was begun

	lastRedelivery string // where the last round over the running ones ended
}

var _ Service = (*Local)(nil)

// New returns a Local for the dependencies of c. It starts nothing and does no I/O.
func New(c Config) *Local {
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Local{Config: c, cache: cache{endpoints: map[Owner]cached{}}, nudge: make(chan struct{}, 1)}
}

// Create makes an endpoint. A crash before the commit leaves nothing. After it, the client's
// repetition under its idempotency key gets the same secret, and one without a key fails with
// endpoint_exists.
func (l *Local) Create(ctx context.Context, d Draft, t *idempotency.Ticket) (Revealed, error) {
	url, f := checkURL(d.URL, l.AllowPrivate)
	if f != nil {
		return Revealed{}, f
	}
	if d.Events == nil {
		d.Events = []string{All}
	}
	events, f := checkEvents(d.Events)
	if f != nil {
		return Revealed{}, f
	}

	now := l.Now()
	secret, sealed := l.newSecret()
	out := Revealed{Secret: secret, Endpoint: Endpoint{
		ID: id.New(id.Endpoint), Account: d.Account, Mode: d.Mode, URL: url, Events: events,
		SealedSecret: sealed, CreatedAt: now, Revision: 1,
	}}
	record, err := t.Fill(out, now)
	if err != nil {
		return Revealed{}, err
	}

	// Whatever the outcome, the cache may be wrong now: a commit whose answer was lost may have
	// happened.
	defer l.cache.invalidate()
	if err := l.Store.CreateEndpoint(l.did(ctx, out.Endpoint, activity.EndpointCreated), out.Endpoint, record); err != nil {
		return Revealed{}, err
	}

	return out, nil
}

// newSecret returns a new secret of SecretBytes random bytes, as it is shown and as it is
// stored.
func (l *Local) newSecret() (shown string, sealed []byte) {
	raw := make([]byte, SecretBytes)
	_, _ = rand.Read(raw) // never fails: it ends the process instead
	return SecretPrefix + base64.StdEncoding.EncodeToString(raw), l.Keys.Seal(raw)
}

// Get returns one endpoint, or fault.NotFound if it belongs to another account or to the
// other mode.
func (l *Local) Get(ctx context.Context, account, mode, endpoint string) (Endpoint, error) {
	e, err := l.Store.Endpoint(ctx, account, endpoint)
	if err == nil && e.Mode != mode {
		return Endpoint{}, fault.NotFound("webhook endpoint")
	}
	return e, err
}

// List returns all of the owner's endpoints, newest first.
func (l *Local) List(ctx context.Context, account, mode string) ([]Endpoint, error) {
	return l.Store.Endpoints(ctx, account, mode)
}

// Delete removes an endpoint. Its queued jobs are dropped when their turn comes; its
// deliveries stay until they are pruned.
func (l *Local) Delete(ctx context.Context, account, mode, endpoint string) error {
	e, err := l.Get(ctx, account, mode, endpoint)
	if err != nil {
		return err
	}
	defer l.cache.invalidate()
	return l.Store.DeleteEndpoint(l.did(ctx, e, activity.EndpointDeleted), account, endpoint)
}

// did returns ctx with an event about an endpoint, which the next commit writes.
func (l *Local) did(ctx context.Context, e Endpoint, kind string) context.Context {
	address, _, _ := strings.Cut(e.URL, "?") // what follows may be a secret
	return activity.Record(ctx, activity.Event{Account: e.Account, At: l.Now(), Kind: kind, Target: e.ID,
		Details: map[string]string{"mode": e.Mode, "url": address, "events": strings.Join(e.Events, " ")}})
}

// Rotate replaces the endpoint's secret. Rotating again within the overlap retires the older of
// the two at once. It keeps concurrent changes, such as the start of a failure; but of two
// concurrent rotations one fails, or the receiver would lose the secret that it knows.
func (l *Local) Rotate(ctx context.Context, account, mode, endpoint string, t *idempotency.Ticket) (Revealed, error) {
	secret, sealed := l.newSecret()
	defer l.cache.invalidate()
	var before []byte // the secret that this rotation replaces
	for n := 1; ; n++ {
		e, err := l.Get(ctx, account, mode, endpoint)
		if err != nil {
			return Revealed{}, err
		}
		if n > 1 && !bytes.Equal(e.SealedSecret, before) {
			return Revealed{}, conflict(ErrConflict)
		}
		now := l.Now()
		before = e.SealedSecret
		e.PreviousSealedSecret, e.PreviousUntil = before, now.Add(RotationOverlap)
		e.SealedSecret = sealed
		// The ticket's record is made again in each round, because the response shows the
		// endpoint's present state.
		out := Revealed{Endpoint: e, Secret: secret}
		record, err := t.Fill(out, now)
		if err != nil {
			return Revealed{}, err
		}
		err = l.Store.UpdateEndpoint(l.did(ctx, e, activity.EndpointRotated), e, nil, record)
		if errors.Is(err, ErrConflict) && n < maxChangeTries {
			continue
		}
		if err != nil {
			return Revealed{}, conflict(err)
		}
		out.Endpoint.Revision++
		return out, nil
	}
}

// conflict turns ErrConflict into a fault that says what the caller may do.
func conflict(err error) error {
	if !errors.Is(err, ErrConflict) {
		return err
	}
	f := fault.New(
		fault.KindConflict,
		"endpoint_changed",
		"The endpoint was changed by another request. Read it again, then repeat your change.",
	)
	f.Cause = err
	return f
}

// Deliveries returns the tries to reach an endpoint, newest first, without bodies. The
// limit is 1 to MaxPage, plus one by which the caller sees that there is another page.
func (l *Local) Deliveries(ctx context.Context, account, mode, endpoint string, q DeliveryQuery) ([]Delivery, error) {
	if _, err := l.Get(ctx, account, mode, endpoint); err != nil {
		return nil, err
	}
	if err := checkPage(id.Delivery, q.Before, q.Limit); err != nil {
		return nil, err
	}
	return l.Store.Deliveries(ctx, account, endpoint, q)
}

// checkPage checks the limit and the cursor of a list whose ids have the prefix.
func checkPage(prefix, before string, limit int) error {
	if limit < 1 || limit > MaxPage+1 {
		return fault.Invalid("limit", "limit_out_of_range", "limit must be 1 to %d.", MaxPage)
	}
	if before != "" && !id.Valid(prefix, before) {
		return fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass nextCursor from a previous page.")
	}
	return nil
}

// Delivery returns one try with its body, opened. A try that sent nothing has no body.
func (l *Local) Delivery(ctx context.Context, account, mode, endpoint, delivery string) (Shown, error) {
	if _, err := l.Get(ctx, account, mode, endpoint); err != nil {
		return Shown{}, err
	}

	d, err := l.Store.Delivery(ctx, account, delivery)
	switch {
	case err != nil:
		return Shown{}, err
	case d.Endpoint != endpoint || d.Mode != mode:
		return Shown{}, fault.NotFound("delivery")
	case len(d.SealedBody) == 0:
		return Shown{Delivery: d}, nil
	}

	body, err := l.Keys.Unseal(d.SealedBody)
	if err != nil {
		return Shown{}, fmt.Errorf("unseal the body of %s: %w", d.ID, err)
	}

	return Shown{Delivery: d, Body: body}, nil
}

// Redeliver sends the event of an earlier delivery once more. The job is queued before the
// pending row is written. A crash in between sends it without a row until its try is recorded,
// and a repetition sends it twice, never zero times.
func (l *Local) Redeliver(ctx context.Context, account, mode, endpoint, delivery string, t *idempotency.Ticket) (Delivery, error) {
	e, err := l.Get(ctx, account, mode, endpoint)
	if err != nil {
		return Delivery{}, err
	}

	old, err := l.Store.Delivery(ctx, account, delivery)
	if err != nil {
		return Delivery{}, err
	}

	switch {
	case old.Endpoint != endpoint || old.Mode != mode:
		return Delivery{}, fault.NotFound("delivery")
	case !e.Enabled():
		return Delivery{}, disabled(e)
	case old.Test:
		return Delivery{}, fault.New(fault.KindConflict, "delivery_not_repeatable", "A test delivery cannot be repeated; send another test.")
	case len(old.SealedBody) == 0:
		return Delivery{}, fault.New(fault.KindConflict, "delivery_not_repeatable", "This delivery has no body to send again.")
	}

	now := l.Now()
	d := Delivery{
		ID: id.New(id.Delivery), Account: account, Mode: mode, Endpoint: endpoint,
		Event: old.Event, EventType: old.EventType, Status: Pending, At: now, NextAt: now, SealedBody: old.SealedBody,
	}
	record, err := t.Fill(d, now)
	if err != nil {
		return Delivery{}, err
	}

	job := Job{
		Account: account, Mode: mode, Endpoint: endpoint, Event: d.Event, EventType: d.EventType,
		Delivery: d.ID, SealedBody: d.SealedBody,
	}
	if err := l.Queue.Enqueue(ctx, []Job{job}); err != nil {
		return Delivery{}, notQueued(err)
	}

	return d, l.Store.RecordDelivery(ctx, d, record)
}

// notQueued returns the fault of a queue that did not take a job. The job may be there
// nevertheless, if only the answer was lost.
func notQueued(err error) error {
	return fault.Unavailable("queue_unavailable", time.Second, err, "The delivery could not be queued; try again.")
}

// disabled returns the fault for sending to a disabled endpoint.
func disabled(e Endpoint) error {
	return fault.New(fault.KindConflict, "endpoint_disabled", "The endpoint is disabled (%s); enable it first.", e.DisabledReason)
}

// Handle is the stream's consumer: it queues each event for each subscribed endpoint. After
// an error the batch must come again; nothing is lost and, because jobs are unique, nothing
// is queued twice. An event whose data is not JSON is a stream.Unreadable, which the stream
// sets aside.
func (l *Local) Handle(ctx context.Context, events []stream.Event) error {
	var jobs []Job
	for i := range events {
		e := &events[i]
		endpoints, err := l.endpoints(ctx, Owner{e.Account, e.Mode})
		if err != nil {
			return fmt.Errorf("read the endpoints of %s: %w", e.Account, err)
		}
		var sealed []byte
		for j := range endpoints {
			ep := &endpoints[j]
			if !ep.Enabled() || !ep.Subscribed(e.Type) {
				continue
			}
			// The body is the same for all endpoints, so it is made and sealed once, and
			// only if somebody is subscribed.
			if sealed == nil {
				plain, err := Body(*e)
				if err != nil {
					return &stream.Unreadable{Event: e.ID, Cause: err}
				}
				plain = l.Site.Document(plain)
				if len(plain) > MaxPayloadBytes {
					if err := l.addDeadLetter(ctx, *e, endpoints, len(plain)); err != nil {
						return err
					}
					break
				}
				sealed = l.Keys.Seal(plain)
			}
			jobs = append(jobs, Job{
				Account: e.Account, Mode: e.Mode, Endpoint: ep.ID, Event: e.ID, EventType: e.Type, SealedBody: sealed,
			})
		}
	}

	if len(jobs) == 0 {
		return nil
	}

	return l.Queue.Enqueue(ctx, jobs)
}

// park records for each subscribed endpoint that an event is too large to send. The ids of
// these deliveries are derived, so a repeated batch records each once.
func (l *Local) addDeadLetter(ctx context.Context, e stream.Event, endpoints []Endpoint, size int) error {
	for _, ep := range endpoints {
		if !ep.Enabled() || !ep.Subscribed(e.Type) {
			continue
		}
		err := l.Store.RecordDelivery(ctx, Delivery{
			ID: id.Derive(id.Delivery, e.ID, ep.ID), Account: e.Account, Mode: e.Mode, Endpoint: ep.ID,
			Event: e.ID, EventType: e.Type, Status: DeadLetter, At: l.Now(),
			Error: fmt.Sprintf("payload_too_large: the body has %d bytes and a webhook at most %d; read the event at /api/events", size,
				MaxPayloadBytes),
		}, nil)
		if err != nil {
			return fmt.Errorf("park event %s for %s: %w", e.ID, ep.ID, err)
		}
	}

	return nil
}

// cache saves Handle a read per event. The set of owners with endpoints is read once a
// second, so an event of any other owner costs a map lookup. Changes of this process
// invalidate it at once; those of other processes are seen after cacheLife.
type cache struct {
	mu         sync.Mutex
	generation int // raised by each change: an earlier read is not cached
	owners     map[Owner]struct{}
	ownersAt   time.Time
	endpoints  map[Owner]cached
}

// cached is an owner's endpoints, and when they were read.
type cached struct {
	all []Endpoint
	at  time.Time
}

// invalidate drops everything, and marks reads that are under way as too old to be kept.
func (c *cache) invalidate() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.generation++
	c.owners = nil
	clear(c.endpoints)
}

// fresh reports whether what was read at a time may still be used. A time in the future
// means that the clock was set back, and is not fresh.
func fresh(at, now time.Time) bool {
	age := now.Sub(at)
	return age >= 0 && age < cacheLife
}

// endpoints returns an owner's endpoints, at most cacheLife old, or nil if the owner has
// none. The lock is not held during a read: two concurrent calls may both read, which is
// harmless.
func (l *Local) endpoints(ctx context.Context, o Owner) ([]Endpoint, error) {
	c, now := &l.cache, l.Now()
	c.mu.Lock()
	generation, known := c.generation, c.owners != nil && fresh(c.ownersAt, now)
	_, subscribed := c.owners[o]
	hit, ok := c.endpoints[o]
	c.mu.Unlock()
	if !known {
		owners, err := l.Store.Owners(ctx)
		if err != nil {
			return nil, err
		}
		set := make(map[Owner]struct{}, len(owners))
		for _, owner := range owners {
			set[owner] = struct{}{}
		}
		_, subscribed = set[o]
		c.mu.Lock()
		if c.generation == generation {
			c.owners, c.ownersAt = set, now
			clear(c.endpoints) // bounded by the number of owners with endpoints
		}
		c.mu.Unlock()
	}

	if !subscribed {
		return nil, nil
	}
	if ok && fresh(hit.at, now) {
		return hit.all, nil
	}

	all, err := l.Store.Endpoints(ctx, o.Account, o.Mode)
	if err != nil {
		return nil, err
	}

	c.mu.Lock()
	if c.generation == generation {
		c.endpoints[o] = cached{all, now}
	}
	c.mu.Unlock()
	return all, nil
}
