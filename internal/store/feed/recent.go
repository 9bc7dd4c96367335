package feed

import (
	"sync"

	"github.com/paylink/paylink/internal/stream"
)

// Limits of the part of the feed that is kept in memory. It may hold twice as much before it is
// halved.
const (
	recentEvents = 8192
	recentBytes  = 8 << 20
)

// recent holds the last events that this process committed, without a gap, so that its consumers
// need not read them from the file. A consumer that is further back, or that waits for events of
// another process, reads the file. Nothing is stored.
type recent struct {
	mu    sync.Mutex
	list  []stream.Event // never changed in place: readers hold slices of it
	bytes int
}

// add takes the events of a durable commit. Events that do not follow the present ones replace
// them: another process wrote in between, or the feed was emptied.
func (r *recent) add(events []stream.Event) {
	if r == nil || len(events) == 0 {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()

	if n := len(r.list); n > 0 && events[0].Position != r.list[n-1].Position+1 {
		r.list, r.bytes = nil, 0
	}
	r.list = append(r.list, events...)
	for _, e := range events {
		r.bytes += len(e.Data)
	}

	if len(r.list) > 2*recentEvents || r.bytes > 2*recentBytes {
		r.halve()
	}
}

// halve keeps the newer events, within both limits, in a new list.
func (r *recent) halve() {
	from, bytes := len(r.list), 0
	for from > 0 && len(r.list)-from < recentEvents && bytes+len(r.list[from-1].Data) <= recentBytes {
		from--
		bytes += len(r.list[from].Data)
	}
	r.list, r.bytes = append([]stream.Event(nil), r.list[from:]...), bytes
}

// after returns up to most events after a position, oldest first. An empty result means that
// there are no more or that they are not in memory. Callers must not change them.
func (r *recent) after(position int64, most int) []stream.Event {
	if r == nil {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.list) == 0 {
		return nil
	}

	from := position + 1 - r.list[0].Position
	if from < 0 || from >= int64(len(r.list)) {
		return nil
	}
	to := min(from+int64(most), int64(len(r.list)))
	return r.list[from:to:to]
}
