package webhook

import (
	"sync"
	"time"
)

// When an endpoint counts as slow, and when its jobs are tried again.
const (
	slowAfter = time.Second // a try that took longer makes its endpoint a slow one
	slowFor   = time.Minute // for so long after
	maxSlow   = 10_000      // endpoints remembered as slow; past that all are forgotten

	crowdedRetry = 100 * time.Millisecond
	movePause    = 500 * time.Millisecond
	slowRetry    = 2 * time.Second // long, so that a large backlog does not keep the queue busy
)

// slots shares the workers out, so that endpoints that hang do not delay the others. In the
// first queue, which all webhooks enter, one endpoint holds at most a quarter of the workers,
// one account half of them, and an endpoint that was slow a moment ago none. What they cannot
// take moves to the queue of crowded endpoints. There one endpoint holds at most three
// quarters, and all that were slow at most half together.
type slots struct {
	mu        sync.Mutex
	now       func() time.Time
	first     int // most running tries of one endpoint in the first queue
	each      int // in the crowded one
	together  int // most running tries of all slow endpoints there
	taken     map[slot]int
	slow      map[string]time.Time // until when
	moved     map[string]time.Time // when an endpoint's backlog was moved
	slowTaken int
}

// slot is what an endpoint or an account holds in one of the queues.
type slot struct {
	of      string
	crowded bool
}

// newSlots returns the shares of that many workers, at least one each.
func newSlots(workers int) *slots {
	return &slots{
		now: time.Now, first: max(1, workers/4), each: max(1, workers*3/4), together: max(1, workers/2),
		taken: map[slot]int{}, slow: map[string]time.Time{}, moved: map[string]time.Time{},
	}
}

// mayMove reports, at most once in movePause, that an endpoint's backlog is to be moved.
func (s *slots) mayMove(endpoint string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.now()
	if since := now.Sub(s.moved[endpoint]); since >= 0 && since < movePause {
		return false
	}
	if len(s.moved) >= maxSlow {
		clear(s.moved)
	}
	s.moved[endpoint] = now
	return true
}

// take returns the function that releases the slot, which must be called once. If none is
// free for this endpoint now, it returns nil and when to ask again.
func (s *slots) take(account, endpoint string, crowded bool) (give func(), again time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	start, own, all := s.now(), slot{endpoint, crowded}, slot{account, crowded}
	until, slow := s.slow[endpoint]
	if slow && !start.Before(until) {
		delete(s.slow, endpoint)
		slow = false
	}
	switch {
	case slow && (!crowded || s.slowTaken >= s.together):
		return nil, slowRetry
	case !crowded && (s.taken[own] >= s.first || s.taken[all] >= 2*s.first), crowded && s.taken[own] >= s.each:
		return nil, crowdedRetry
	}

	s.taken[own]++
	s.taken[all]++
	if slow {
		s.slowTaken++
	}
	return func() { s.give(own, all, slow, start) }, 0
}

// give releases a slot, and remembers an endpoint whose try was slow. slow is what take
// saw, so that the counts match even if the endpoint recovered in between.
func (s *slots) give(own, all slot, slow bool, start time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, held := range []slot{own, all} {
		if s.taken[held]--; s.taken[held] == 0 {
			delete(s.taken, held)
		}
	}

	if slow {
		s.slowTaken--
	}
	if now := s.now(); now.Sub(start) > slowAfter {
		if len(s.slow) >= maxSlow {
			clear(s.slow)
		}
		s.slow[own.of] = now.Add(slowFor)
	}
}
