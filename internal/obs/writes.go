package obs

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// Limits of observing a store's writes.
const (
	confirmedFor = 10 * time.Second // how long a confirmed write counts
	probePause   = time.Second      // least time between two probes
	refusedFor   = 5 * time.Second  // a small probe does not outweigh a change that was refused since
)

var errProbed = errors.New("the last attempt to write failed")

// Writes knows whether a store accepts changes: from the outcome of real ones, and from a small
// probe if there were none lately. Make one with NewWrites; it is safe for concurrent use.
type Writes struct {
	now     func() time.Time
	refused atomic.Int64
	probing chan struct{} // full while a probe is running

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

// Confirmed records a change that is durable.
func (w *Writes) Confirmed() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing, w.confirmedAt, w.refusedAt = nil, w.now(), time.Time{}
}

// Refused records a change that the store could not make durable.
func (w *Writes) Refused(err error) {
	w.refused.Add(1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failing, w.refusedAt = err, w.now()
}

// Refusals returns how many changes were refused since the start.
func (w *Writes) Refusals() int64 { return w.refused.Load() }

// Failing returns why the last change was refused. It returns nil while changes succeed, or if
// nothing is known.
func (w *Writes) Failing() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.failing
}

// Ready returns nil if the store accepts changes. If no change was confirmed lately, it calls
// probe, which writes something small, at most once a second however often Ready is called. The
// error is the store's, or says that ctx ended first.
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
