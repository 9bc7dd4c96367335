// Package testclock says how far ahead of real time the test data of an account
// lives. A clock only ever moves forward, is kept for good, and moves nothing of
// live mode: Ahead of live data is nought, whatever the clocks say.
//
// Every process keeps the set of all clocks at hand, read anew every Refresh; an
// account without a clock costs one look into a map that is empty almost always.
// What a process does within Spread of a move may still be by the time before it;
// whoever moves a clock waits for so long before it says that it has moved.
package testclock

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Bounds.
const (
	MaxAhead = 2 * 366 * 24 * time.Hour // of an account, together
	Refresh  = 500 * time.Millisecond   // how often a process reads the clocks anew
	Spread   = 1500 * time.Millisecond  // until every process that reads its store knows of a move

	// A round over the clocks takes at most this part of a process's time: each
	// clock has a query of its own there.
	roundShare = 20
)

// testMode is the mode whose data may live ahead.
const testMode = "test"

// Mover is the optional power of a store whose test data lives by clocks. ClockMoved
// returns a channel that is closed when a clock moves: what is due may have changed.
type Mover interface {
	ClockMoved() <-chan struct{}
}

// Moved returns the channel of a store that is a Mover, and nil for any other.
func Moved(store any) <-chan struct{} {
	if m, ok := store.(Mover); ok {
		return m.ClockMoved()
	}
	return nil
}

// Set is the clocks of all accounts, as one process knows them. The zero value has
// none; it is safe for concurrent use.
type Set struct {
	all   atomic.Pointer[map[string]time.Duration]
	mu    sync.Mutex // of who changes all, and of what follows
	woken chan struct{}
	next  map[string]time.Time // of each kind of round: when it may run again
}

// Ahead is how far ahead the account's data of the mode lives.
func (s *Set) Ahead(account, mode string) time.Duration {
	if mode != testMode {
		return 0
	}
	all := s.all.Load()
	if all == nil {
		return 0
	}
	return (*all)[account]
}

// Put makes a move known in this process at once. A clock never goes back.
func (s *Set) Put(account string, ahead time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := map[string]time.Duration{}
	if all := s.all.Load(); all != nil {
		now = maps.Clone(*all)
	}
	if now[account] >= ahead {
		return
	}
	now[account] = ahead
	s.put(now)
}

func (s *Set) put(now map[string]time.Duration) {
	s.all.Store(&now)
	s.next = nil
	if s.woken != nil {
		close(s.woken)
		s.woken = nil
	}
}

// Moved is closed when a clock has moved since it was asked for: what is due may
// have changed.
func (s *Set) Moved() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.woken == nil {
		s.woken = make(chan struct{})
	}
	return s.woken
}

// Learn takes what the store has. Clocks that were moved here meanwhile stay.
func (s *Set) Learn(stored map[string]time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, changed := map[string]time.Duration{}, false
	if all := s.all.Load(); all != nil {
		now = maps.Clone(*all)
	}
	for account, ahead := range stored {
		if now[account] < ahead {
			now[account], changed = ahead, true
		}
	}
	if changed {
		s.put(now)
	}
}

// Run reads the clocks with load every Refresh, until ctx ends (nil). While the
// store cannot be read, what is known stays.
func (s *Set) Run(ctx context.Context, load func(context.Context) (map[string]time.Duration, error)) error {
	tick := time.NewTicker(Refresh)
	defer tick.Stop()
	for {
		if stored, err := load(ctx); err == nil {
			s.Learn(stored)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Round visits every clock, for work that the store's own order of time does not
// find because it is due by the account's time only. A round that was dear rests
// before the next of its kind, unless a clock moves.
func (s *Set) Round(kind string, visit func(account string, ahead time.Duration) error) error {
	all := s.all.Load()
	if all == nil {
		return nil
	}
	start := time.Now()
	s.mu.Lock()
	resting := start.Before(s.next[kind])
	s.mu.Unlock()
	if resting {
		return nil
	}
	for account, ahead := range *all {
		if err := visit(account, ahead); err != nil {
			return err
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all.Load() != all { // moved meanwhile: look again at once
		return nil
	}
	if s.next == nil {
		s.next = map[string]time.Time{}
	}
	s.next[kind] = start.Add(roundShare * time.Since(start))
	return nil
}
