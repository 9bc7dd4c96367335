package report

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Bounds of what a gateway keeps of what browsers told.
const (
	beaconEvery   = 2 * time.Second
	beaconTimeout = 10 * time.Second // of a flush, also of the last
	beaconRoom    = 10_000           // links; more are dropped until the next flush
)

// Beacons gathers what browsers tell, so that a page that is opened costs no call
// and no commit of its own. What has not been handed on is lost with the process:
// a figure is a little too low then.
type Beacons struct {
	service Service
	log     *slog.Logger
	mu      sync.Mutex
	waiting map[Sighting]Step // by Sighting without its step
}

// NewBeacons hands on to the service while Run runs.
func NewBeacons(s Service, log *slog.Logger) *Beacons {
	return &Beacons{service: s, log: log, waiting: map[Sighting]Step{}}
}

// Tell notes a step. It never waits.
func (b *Beacons) Tell(account, mode, link string, step Step) {
	key := Sighting{Account: account, Mode: mode, Link: link}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.waiting[key]; !there && len(b.waiting) >= beaconRoom {
		return
	}
	b.waiting[key] |= step
}

// Run hands on what waits, until ctx ends; then for the last time.
func (b *Beacons) Run(ctx context.Context) error {
	tick := time.NewTicker(beaconEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			b.flush(context.WithoutCancel(ctx))
			return nil
		case <-tick.C:
			b.flush(ctx)
		}
	}
}

// flush hands everything on. What is refused is dropped: browsers tell more, and
// nobody's money hangs on it.
func (b *Beacons) flush(ctx context.Context) {
	b.mu.Lock()
	waiting := b.waiting
	b.waiting = map[Sighting]Step{}
	b.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, beaconTimeout)
	defer cancel()
	batch := make([]Sighting, 0, min(len(waiting), MaxSightings))
	send := func() {
		if len(batch) == 0 {
			return
		}
		if err := b.service.Seen(ctx, batch); err != nil {
			b.log.WarnContext(ctx, "steps that browsers told are lost", "links", len(batch), "error", err)
		}
		batch = batch[:0]
	}
	for s, step := range waiting {
		s.Step = step
		if batch = append(batch, s); len(batch) == MaxSightings {
			send()
		}
	}
	send()
}
