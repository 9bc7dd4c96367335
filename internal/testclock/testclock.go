// Package testclock keeps how far an account's test data lives ahead of real time. A clock only
// moves forward, is kept for good, and moves nothing of live mode: Ahead of live data is always
// zero.
//
// Every process caches all clocks and reads them again every Refresh. For an account without a
// clock, Ahead is one look-up in a map that is almost always empty. For up to Spread after a
// move another process may still use the previous time, so the mover waits for Spread before it
// reports the move as done.
package testclock

import (
	"context"
	"maps"
	"sync"
	"sync/atomic"
	"time"
)

// Limits.
const (
	MaxAhead = 2 * 366 * 24 * time.Hour // of an account, together
	Refresh  = 500 * time.Millisecond   // how often a process reads the clocks again
	Spread   = 1500 * time.Millisecond  // until every process that reads its store knows a move

	// A round over the clocks takes at most this share of a process's time, because it makes a
	// query per clock.
	roundShare = 20
)

// testMode is the mode whose data may live ahead.
const testMode = "test"

// Mover is implemented by a store whose test data follows test clocks. ClockMoved returns a
// channel that is closed when a clock moves, because other objects may be due then.
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

// Set holds the clocks of all accounts, as one process knows them. The zero value has none. It
// is safe for concurrent use.
type Set struct {
	all   atomic.Pointer[map[string]time.Duration]
	mu    sync.Mutex // serializes changes of all, and guards what follows
	woken chan struct{}
	next  map[string]time.Time // by kind of round: when it may run again
}

// Ahead returns how far ahead of real time the account's data of the mode is.
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

// Put makes a move visible in this process at once. A clock never goes back.
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

// Moved returns a channel that is closed when a clock moves, because other objects may be due
// then.
func (s *Set) Moved() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.woken == nil {
		s.woken = make(chan struct{})
	}
	return s.woken
}

// Learn merges the clocks of the store. Clocks that were moved here meanwhile stay.
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

// Run reads the clocks with load every Refresh, until ctx ends (nil). While load fails, the
// known clocks stay.
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

// Round visits every clock, for work that the store's own time order does not find because it
// is due only by the account's time. An expensive round pauses before the next of its kind,
// unless a clock moves.
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
	if s.all.Load() != all { // moved meanwhile: run again at once
		return nil
	}
	if s.next == nil {
		s.next = map[string]time.Time{}
	}
	s.next[kind] = start.Add(roundShare * time.Since(start))
	return nil
}
