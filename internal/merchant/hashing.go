package merchant

import (
	"context"
	"log/slog"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// How many hashes run at once, and how long callers wait for one. Strangers get half of the cores,
// so that the rest of the process, such as payments, keeps the other half whatever they do. Known
// devices and signed-in users have slots besides.
const (
	hashesPerCore      = 0.5
	knownHashesPerCore = 0.25
	hashWait           = 15 * time.Second
	maxHashWaiters     = 1024 // of strangers, and of known users
	busyLogEvery       = time.Minute
)

// ErrBusy means that too many passwords wait to be hashed. It is counted, so the layers above do
// not log it one by one.
var ErrBusy error = fault.Unavailable("hashing_busy", time.Second, nil, "Too many people are signing in right now; retry.")

// share is the party for which a password is hashed. Parties take turns.
type share struct {
	party string
	known bool // it may use the slots of known devices and users
}

// stranger returns the share of everybody in the network of an address.
func stranger(address string) share { return share{party: network(address)} }

// familiar returns the share of a known device or a signed-in user.
func familiar(party string) share { return share{party, true} }

// hasher bounds how many hashes are computed at once, and how long a caller waits. Callers queue by
// party, so that one party's flood delays itself.
type hasher struct {
	now    func() time.Time
	log    *slog.Logger
	busy   atomic.Int64 // refused callers
	logged atomic.Int64 // Unix seconds of the last line about them

	mu        sync.Mutex
	free      int // slots
	reserved  int // slots for known callers
	strangers queue
	known     queue
}

// newHasher returns a hasher for the cores of this machine.
func newHasher(now func() time.Time, log *slog.Logger) *hasher {
	cores := float64(runtime.GOMAXPROCS(0))
	return &hasher{now: now, log: log, free: max(1, int(hashesPerCore*cores)), reserved: max(1, int(knownHashesPerCore*cores))}
}

// enter takes a slot, and leave returns it. It fails with ErrBusy after hashWait, or if the caller's
// party has the most waiters when there are too many.
func (h *hasher) enter(ctx context.Context, s share) (leave func(), err error) {
	h.mu.Lock()
	if slot := h.slot(s); slot != nil {
		*slot--
		h.mu.Unlock()
		return func() { h.leave(slot) }, nil
	}

	line, me := &h.strangers, &waiter{party: s.party, called: make(chan *int, 1)}
	if s.known {
		line = &h.known
	}
	line.join(me)
	if line.waiting > maxHashWaiters {
		line.drop().called <- nil
	}
	h.mu.Unlock()

	limit := time.NewTimer(hashWait)
	defer limit.Stop()
	var slot *int
	select {
	case slot = <-me.called:
	case <-limit.C:
	case <-ctx.Done():
		err = ctx.Err()
	}

	if slot == nil {
		slot = h.giveUp(line, me)
	}
	switch {
	case slot != nil: // even if it was called at the last moment
		return func() { h.leave(slot) }, nil
	case err != nil:
		return nil, err
	}
	h.refused(ctx)
	return nil, ErrBusy
}

// slot returns the counter of free slots from which the share may take one now; nil: it must wait.
func (h *hasher) slot(s share) *int {
	switch {
	case s.known && h.reserved > 0:
		return &h.reserved
	case h.free > 0:
		return &h.free
	}
	return nil
}

// leave hands a slot to the next caller who may have it, or frees it.
func (h *hasher) leave(slot *int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	var next *waiter
	if slot == &h.free {
		next = h.strangers.next()
	}
	if next == nil {
		next = h.known.next()
	}
	if next == nil {
		*slot++
		return
	}
	next.called <- slot
}

// giveUp removes a waiter from its queue. It returns the slot if the waiter was called meanwhile.
func (h *hasher) giveUp(line *queue, me *waiter) *int {
	h.mu.Lock()
	defer h.mu.Unlock()
	line.remove(me)
	select {
	case slot := <-me.called:
		return slot
	default:
		return nil
	}
}

// refused counts a refused caller, and logs the count now and then.
func (h *hasher) refused(ctx context.Context) {
	n, now, last := h.busy.Add(1), h.now().Unix(), h.logged.Load()
	if now-last >= int64(busyLogEvery/time.Second) && h.logged.CompareAndSwap(last, now) {
		h.log.WarnContext(ctx, "passwords wait too long for their hash and are refused", "refusedSinceStart", n)
	}
}

// waiter is a caller in a queue. It is called with a slot, or with nil if it is refused.
type waiter struct {
	party  string
	called chan *int
}

// queue holds waiters by party. The zero value is empty.
type queue struct {
	waiting int
	turns   []string // parties with waiters; the first is next
	of      map[string][]*waiter
}

// join adds a waiter behind those of its party.
func (q *queue) join(w *waiter) {
	if q.of == nil {
		q.of = make(map[string][]*waiter)
	}
	if len(q.of[w.party]) == 0 {
		q.turns = append(q.turns, w.party)
	}
	q.of[w.party] = append(q.of[w.party], w)
	q.waiting++
}

// next removes and returns the waiter whose turn it is; nil: nobody waits. Its party is last then.
func (q *queue) next() *waiter {
	if len(q.turns) == 0 {
		return nil
	}
	w := q.of[q.turns[0]][0]
	q.remove(w)
	if len(q.turns) > 0 && q.turns[0] == w.party {
		q.turns = append(q.turns[1:], w.party)
	}
	return w
}

// drop removes and returns the newest waiter of the party that has the most.
func (q *queue) drop() *waiter {
	most := slices.MaxFunc(q.turns, func(a, b string) int { return len(q.of[a]) - len(q.of[b]) })
	w := q.of[most][len(q.of[most])-1]
	q.remove(w)
	return w
}

// remove removes a waiter, if it is still there.
func (q *queue) remove(w *waiter) {
	at := slices.Index(q.of[w.party], w)
	if at < 0 {
		return
	}
	q.waiting--
	if q.of[w.party] = slices.Delete(q.of[w.party], at, at+1); len(q.of[w.party]) == 0 {
		delete(q.of, w.party)
		q.turns = slices.DeleteFunc(q.turns, func(party string) bool { return party == w.party })
	}
}
