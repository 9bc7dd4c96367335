package report

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Limits of what a gateway keeps of what browsers reported.
const (
	beaconEvery    = 2 * time.Second
	beaconTimeout  = 10 * time.Second // of a flush, including the last
	maxBeaconLinks = 10_000           // links; more are dropped until the next flush
)

// Beacons collects what browsers report, so that opening a page costs no call and no commit of
// its own. What has not been handed on is lost with the process, and a figure is then a little
// too low.
type Beacons struct {
	service Service
	log     *slog.Logger
	mu      sync.Mutex
	waiting map[Sighting]Step // keyed by Sighting without its step
}

// NewBeacons returns Beacons that hand on to the service while Run runs.
func NewBeacons(s Service, log *slog.Logger) *Beacons {
	return &Beacons{service: s, log: log, waiting: map[Sighting]Step{}}
}

// Report records a step. It never waits.
func (b *Beacons) Report(account, mode, link string, step Step) {
	key := Sighting{Account: account, Mode: mode, Link: link}
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, there := b.waiting[key]; !there && len(b.waiting) >= maxBeaconLinks {
		return
	}
	b.waiting[key] |= step
}

// Run hands on what waits until ctx ends (nil), and then a last time.
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

// flush hands everything on, in batches of MaxSightings. What is refused is dropped:
// browsers report more, and no money depends on it.
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
			b.log.WarnContext(ctx, "steps reported by browsers were lost", "links", len(batch), "error", err)
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
