package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
)

// Limits of bulk redeliveries.
const (
	MaxRedelivered      = 100_000 // events of one
	redeliveryPage      = 50      // events queued in one step
	redeliveryPending   = 100     // of one that wait for their first try; then it pauses
	redeliveryLook      = 500 * time.Millisecond
	maxRunning          = 100 // bulk redeliveries advanced in one round
	ReasonNoEndpoint    = "endpoint_deleted"
	ReasonNotEnabled    = "endpoint_disabled"
	redeliverySeparator = "_"
)

// Filter selects the events to send again: those whose newest delivery to the endpoint has the
// status, the type, and a time in [From, To). Tests, and deliveries without a body, never
// match.
type Filter struct {
	Status    Status // Parked when empty
	EventType string // empty: any
	From, To  time.Time
}

// RedeliveryState is the state of a bulk redelivery.
type RedeliveryState string

// The states. Done: everything had its first try. Stopped: it could not go on, and Reason says
// why.
const (
	Running  RedeliveryState = "running"
	Done     RedeliveryState = "done"
	Canceled RedeliveryState = "canceled"
	Stopped  RedeliveryState = "stopped"
)

// Redelivery is a bulk redelivery. It goes through the endpoint's deliveries from the oldest, a
// page at a time, and pauses while many of its own are not sent yet. So it never crowds out new
// events, its progress is that of the sending, and canceling it ends it soon.
type Redelivery struct {
	ID       string
	Account  string
	Mode     string
	Endpoint string
	Filter   Filter
	State    RedeliveryState
	Reason   string
	Total    int64  // events that matched when it was asked for
	Cursor   string // the last delivery that it has processed
	// Outcomes of the first tries; read with it, stored in their own rows.
	Pending, Succeeded, Failed int64
	CreatedAt, UpdatedAt       time.Time
	EndedAt                    time.Time // zero: it is running
	Revision                   int64     // kept by the store; 1 when created
}

// Queued returns how many deliveries were passed to the sender so far. At the end it is less
// than Total by those whose status changed meanwhile.
func (r Redelivery) Queued() int64 { return r.Pending + r.Succeeded + r.Failed }

// Boundary returns the id before which its deliveries are: it ignores younger ones, its own
// among them.
func (r Redelivery) Boundary() string {
	_, made, _ := strings.Cut(r.ID, redeliverySeparator)
	return id.Delivery + redeliverySeparator + made
}

// RedeliveryStore keeps bulk redeliveries; a part of Store.
type RedeliveryStore interface {
	// CountRedelivery returns how many events the redelivery would send again. It stops
	// counting after limit.
	CountRedelivery(ctx context.Context, r Redelivery, limit int64) (int64, error)
	// CreateRedelivery is repeatable. It fails with redelivery_running if the endpoint already
	// has one that is running.
	CreateRedelivery(context.Context, Redelivery, *idempotency.Record) error
	// Redelivery returns a bulk redelivery by id, or fault.NotFound if the account has none.
	Redelivery(ctx context.Context, account, id string) (Redelivery, error)
	// Redeliveries returns an endpoint's bulk redeliveries, newest id first, strictly older
	// than before.
	Redeliveries(ctx context.Context, account, endpoint, before string, limit int) ([]Redelivery, error)
	// RunningRedeliveries returns all running ones after an id, oldest first.
	RunningRedeliveries(ctx context.Context, after string, limit int) ([]Redelivery, error)
	// RedeliveryPage returns the deliveries after its cursor, oldest first, with bodies.
	RedeliveryPage(ctx context.Context, r Redelivery, limit int) ([]Delivery, error)
	// UpdateRedelivery replaces the one whose revision is r.Revision, raises the revision, and
	// records the pending deliveries, in one commit. It fails with ErrConflict if the revision
	// differs.
	UpdateRedelivery(ctx context.Context, r Redelivery, pending []Delivery) error
	// PruneRedeliveries removes at most limit bulk redeliveries made before the time, running
	// or not, and returns how many.
	PruneRedeliveries(ctx context.Context, before time.Time, limit int) (int, error)
}

// RedeliveryRunning returns the fault of a second bulk redelivery to an endpoint.
func RedeliveryRunning() *fault.Error {
	return fault.New(
		fault.KindConflict,
		"redelivery_running",
		"A bulk redelivery to this endpoint is already running; wait for it or cancel it.",
	)
}

// RedeliverAll begins a bulk redelivery, which RunRedeliveries carries on. A crash before the
// commit leaves nothing; after it, the next process carries it on.
func (l *Local) RedeliverAll(ctx context.Context, account, mode, endpoint string, f Filter, t *idempotency.Ticket) (Redelivery, error) {
	if f.Status == "" {
		f.Status = DeadLetter
	}
	if bad := f.check(); bad != nil {
		return Redelivery{}, bad
	}

	e, err := l.Get(ctx, account, mode, endpoint)
	if err != nil {
		return Redelivery{}, err
	}
	if !e.Enabled() {
		return Redelivery{}, disabled(e)
	}

	now := l.Now()
	r := Redelivery{ID: id.New(id.Redelivery), Account: account, Mode: mode, Endpoint: endpoint, Filter: f, State: Running,
		CreatedAt: now, UpdatedAt: now, Revision: 1}
	if r.Total, err = l.Store.CountRedelivery(ctx, r, MaxRedelivered+1); err != nil {
		return Redelivery{}, err
	}
	if r.Total > MaxRedelivered {
		return Redelivery{}, fault.New(fault.KindConflict, "redelivery_too_large", "More than %d events match; choose a shorter period.",
			MaxRedelivered)
	}

	record, err := t.Fill(r, now)
	if err != nil {
		return Redelivery{}, err
	}
	if err := l.Store.CreateRedelivery(ctx, r, record); err != nil {
		return Redelivery{}, err
	}

	select {
	case l.nudge <- struct{}{}:
	default: // it was nudged already
	}

	return r, nil
}

// check returns the fault of a filter with a status that cannot be sent again, an unknown
// type, or a period that ends before it begins.
func (f Filter) check() *fault.Error {
	switch {
	case !slices.Contains([]Status{Succeeded, Failed, DeadLetter}, f.Status):
		return fault.Invalid("status", "status_invalid", "status must be succeeded, failed or parked.")
	case f.EventType != "" && !slices.Contains(EventTypes(), f.EventType):
		return unknownType("eventType", f.EventType, EventTypes())
	case !f.From.IsZero() && !f.To.IsZero() && !f.From.Before(f.To):
		return fault.Invalid("to", "range_invalid", "to must be later than from.")
	}

	return nil
}

// Redelivery returns a bulk redelivery, or fault.NotFound if it belongs to another endpoint
// or mode.
func (l *Local) Redelivery(ctx context.Context, account, mode, endpoint, redelivery string) (Redelivery, error) {
	r, err := l.Store.Redelivery(ctx, account, redelivery)
	if err == nil && (r.Mode != mode || r.Endpoint != endpoint) {
		return Redelivery{}, fault.NotFound("redelivery")
	}
	return r, err
}

// Redeliveries returns an endpoint's bulk redeliveries, newest first.
func (l *Local) Redeliveries(ctx context.Context, account, mode, endpoint, before string, limit int) ([]Redelivery, error) {
	if _, err := l.Get(ctx, account, mode, endpoint); err != nil {
		return nil, err
	}
	if err := checkPage(id.Redelivery, before, limit); err != nil {
		return nil, err
	}
	return l.Store.Redeliveries(ctx, account, endpoint, before, limit)
}

// CancelRedelivery ends a bulk redelivery and returns it. It repeats the change while steps
// are committed concurrently. One that has ended is returned as it is.
func (l *Local) CancelRedelivery(ctx context.Context, account, mode, endpoint, redelivery string) (Redelivery, error) {
	for n := 1; ; n++ {
		r, err := l.Redelivery(ctx, account, mode, endpoint, redelivery)
		if err != nil || r.State != Running {
			return r, err
		}
		ended := r.end(Canceled, "", l.Now())
		err = l.Store.UpdateRedelivery(ctx, ended, nil)
		if errors.Is(err, ErrConflict) && n < maxChangeTries {
			continue
		}
		ended.Revision++
		return ended, conflict(err)
	}
}

// end returns the redelivery in a state in which nothing follows anymore.
func (r Redelivery) end(s RedeliveryState, reason string, now time.Time) Redelivery {
	r.State, r.Reason, r.UpdatedAt, r.EndedAt = s, reason, now, now
	return r
}

// RunRedeliveries carries bulk redeliveries on until ctx ends (nil). One process is enough; two
// are harmless, because each step is conditional and a job is unique. It retries a store or a
// queue that fails.
func (l *Local) RunRedeliveries(ctx context.Context) error {
	tick := time.NewTicker(redeliveryLook)
	defer tick.Stop()
	for {
		moved, err := l.CarryOn(ctx)
		if err != nil && ctx.Err() == nil {
			l.Log.WarnContext(ctx, "a bulk redelivery was delayed", "error", err)
		}
		if moved && err == nil && ctx.Err() == nil {
			continue
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.nudge:
		case <-tick.C:
		}
	}
}

// CarryOn makes one step of each running redelivery, or of the next maxRunning of them, and
// reports whether another round should follow at once. It must not be called concurrently.
func (l *Local) CarryOn(ctx context.Context) (moved bool, err error) {
	running, err := l.Store.RunningRedeliveries(ctx, l.lastRedelivery, maxRunning)
	if err != nil {
		return false, err
	}

	l.lastRedelivery = ""
	if len(running) == maxRunning { // those behind them come in the next round
		l.lastRedelivery = running[maxRunning-1].ID
		moved = true
	}

	var all []error
	for _, r := range running {
		m, err := l.step(ctx, r)
		if err != nil && !errors.Is(err, ErrConflict) { // another process made this step
			all = append(all, fmt.Errorf("%s: %w", r.ID, err))
		}
		moved = moved || m
	}

	return moved, errors.Join(all...)
}

// step queues the next page. A crash between the queue and the commit repeats the part of the
// page that has had no try by then. The queue drops what it has, because the id of each
// delivery derives from the redelivery and the event.
func (l *Local) step(ctx context.Context, r Redelivery) (moved bool, err error) {
	e, err := l.Store.Endpoint(ctx, r.Account, r.Endpoint)
	now := l.Now()
	switch {
	case fault.KindOf(err) == fault.KindNotFound:
		return true, l.Store.UpdateRedelivery(ctx, r.end(Stopped, ReasonNoEndpoint, now), nil)
	case err != nil:
		return false, err
	case !e.Enabled():
		return true, l.Store.UpdateRedelivery(ctx, r.end(Stopped, ReasonNotEnabled, now), nil)
	case r.Pending >= redeliveryPending:
		return false, nil
	}

	page, err := l.Store.RedeliveryPage(ctx, r, redeliveryPage)
	if err != nil {
		return false, err
	}
	if len(page) == 0 {
		if r.Pending > 0 {
			return false, nil
		}
		return true, l.Store.UpdateRedelivery(ctx, r.end(Done, "", now), nil)
	}

	// Queue first, then commit: the other order could lose a page in a crash.
	jobs, pending := make([]Job, 0, len(page)), make([]Delivery, 0, len(page))
	for _, old := range page {
		d := Delivery{ID: id.Derive(id.Delivery, r.ID, old.Event), Account: r.Account, Mode: r.Mode, Endpoint: r.Endpoint,
			Event: old.Event, EventType: old.EventType, Status: Pending, At: now, NextAt: now, SealedBody: old.SealedBody, Redelivery: r.ID}
		pending = append(pending, d)
		jobs = append(jobs, Job{Account: d.Account, Mode: d.Mode, Endpoint: d.Endpoint, Event: d.Event, EventType: d.EventType,
			Delivery: d.ID, Redelivery: r.ID, SealedBody: d.SealedBody})
	}

	if err := l.Queue.Enqueue(ctx, jobs); err != nil {
		return false, err
	}

	r.Cursor, r.UpdatedAt = page[len(page)-1].ID, now
	return true, l.Store.UpdateRedelivery(ctx, r, pending)
}
