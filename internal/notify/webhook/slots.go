package webhook

import (
	"sync"
	"time"
)

const (
	slowAfter = time.Second // a try that took longer makes its endpoint a slow one
	slowFor   = time.Minute // for so long after
	maxSlow   = 10_000      // endpoints remembered as slow; then all are forgiven

	crowdedRetry = 100 * time.Millisecond
	slowRetry    = 2 * time.Second // long, so that a large backlog does not keep the queue busy
)

// slots share the workers out, so that endpoints that hang do not keep the
// others from being told: one endpoint holds at most three quarters of them, and
// all that were slow a moment ago at most half together.
type slots struct {
	mu        sync.Mutex
	now       func() time.Time
	each      int // most running tries of one endpoint
	together  int // most running tries of all slow endpoints
	taken     map[string]int
	slow      map[string]time.Time // until when
	slowTaken int
}

func newSlots(workers int) *slots {
	return &slots{
		now: time.Now, each: max(1, workers*3/4), together: max(1, workers/2),
		taken: map[string]int{}, slow: map[string]time.Time{},
	}
}

// take returns the function that gives the slot back, or nil and when to ask
// again: none is free for this endpoint now.
func (s *slots) take(endpoint string) (give func(), again time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start := s.now()
	until, slow := s.slow[endpoint]
	if slow && !start.Before(until) {
		delete(s.slow, endpoint)
		slow = false
	}
	switch {
	case slow && s.slowTaken >= s.together:
		return nil, slowRetry
	case s.taken[endpoint] >= s.each:
		return nil, crowdedRetry
	}
	s.taken[endpoint]++
	if slow {
		s.slowTaken++
	}
	return func() { s.give(endpoint, slow, start) }, 0
}

func (s *slots) give(endpoint string, slow bool, start time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.taken[endpoint]--; s.taken[endpoint] == 0 {
		delete(s.taken, endpoint)
	}
	if slow {
		s.slowTaken--
	}
	if now := s.now(); now.Sub(start) > slowAfter {
		if len(s.slow) >= maxSlow {
			clear(s.slow)
		}
		s.slow[endpoint] = now.Add(slowFor)
	}
}
