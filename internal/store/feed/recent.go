package feed

import (
	"sync"

	"github.com/paylink/paylink/internal/stream"
)

// Bounds of what is kept of the feed in memory.
const (
	recentEvents = 8192
	recentBytes  = 8 << 20
)

// recent are the last events of the feed that this process committed, without a gap:
// every consumer of the process reads them here instead of in the file. Who is further
// back, or waits for what another process wrote, reads the file. In memory alone.
type recent struct {
	mu    sync.Mutex
	list  []stream.Event // never changed in place: readers hold parts of it
	bytes int
}

// add takes what a commit wrote, after it is durable. Events that do not follow those
// that are here (another process wrote in between, or the feed was emptied) take their
// place.
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

// halve keeps the newer ones, within both bounds, in a new list.
func (r *recent) halve() {
	from, bytes := len(r.list), 0
	for from > 0 && len(r.list)-from < recentEvents && bytes+len(r.list[from-1].Data) <= recentBytes {
		from--
		bytes += len(r.list[from].Data)
	}
	r.list, r.bytes = append([]stream.Event(nil), r.list[from:]...), bytes
}

// after gives at most so many events after a position, oldest first. None: there are
// no more, or they are not here. Nobody may change them.
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
