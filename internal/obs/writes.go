package obs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds of watching a store's writes.
const (
	confirmedFor = 10 * time.Second // a write that was confirmed speaks for so long
	probePause   = time.Second      // between two probes at least
	refusedFor   = 5 * time.Second  // a small probe does not outweigh a change refused since
)

var errProbed = errors.New("the last attempt to write failed")

// Writes knows whether a store takes changes: from what became of real ones, and from
// a small probe when there were none lately. Make it with NewWrites; it is safe for
// concurrent use.
type Writes struct {
	now     func() time.Time
	refused atomic.Int64
	probing chan struct{} // holds a place while a probe is under way

	mu          sync.Mutex
	failing     error // nil: the last write was confirmed, or there was none
	confirmedAt time.Time
	refusedAt   time.Time // of the last real change that was refused
	probedAt    time.Time
}

// NewWrites returns a Writes that knows nothing yet.
func NewWrites(now func() time.Time) *Writes {
	return &Writes{now: now, probing: make(chan struct{}, 1)}
}

// Confirmed notes a change that is durable.
func (w *Writes) Confirmed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing, w.confirmedAt, w.refusedAt = nil, w.now(), time.Time{}
}

// Refused notes a change that the store could not make durable.
func (w *Writes) Refused(err error) {
	w.refused.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing, w.refusedAt = err, w.now()
}

// Refusals returns how many changes were refused since the start.
func (w *Writes) Refusals() int64 { return w.refused.Load() }

// Failing returns why the last change was refused; nil while changes are taken, or
// while nothing is known.
func (w *Writes) Failing() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failing
}

// Ready returns nil when the store takes changes. It calls probe, which writes
// something small, when no change was confirmed lately, at most once a second however
// often it is asked. An error is what the store said, or that ctx ended first.
func (w *Writes) Ready(ctx context.Context, probe func(context.Context) error) error {
	select {
	case w.probing <- struct{}{}:
		defer func() { <-w.probing }()
	case <-ctx.Done():
		return errors.Join(ctx.Err(), w.Failing())
	}
	w.mu.Lock()
	now, failing := w.now(), w.failing
	known := (failing == nil && now.Sub(w.confirmedAt) < confirmedFor) || now.Sub(w.probedAt) < probePause
	if !known {
		w.probedAt = now
	}
	w.mu.Unlock()
	if known {
		return failing
	}
	err := probe(ctx)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case err != nil:
		w.failing = errors.Join(errProbed, err)
	case w.refusedAt.IsZero() || w.now().Sub(w.refusedAt) >= refusedFor:
		w.failing, w.confirmedAt = nil, w.now()
	}
	return w.failing
}
