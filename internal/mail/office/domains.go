package office

import (
	"strings"
	"sync"
	"time"
)

// Bounds of rest.
const (
	refusedInRow = 3                // tries after which a domain rests
	restFirst    = time.Minute      // doubled with each try after a rest that fails too
	restMost     = 15 * time.Minute // and no longer than this
	maxDomains   = 10_000           // remembered; then all are forgiven
)

// domains remembers to which domains mails cannot be sent now, so that ten thousand to
// one of them do not take the place of those to others: after a few tries in a row that
// failed, it rests, and one try after the rest says whether it still does.
type domains struct {
	mu  sync.Mutex
	bad map[string]*rest
}

type rest struct {
	failed int
	until  time.Time
}

func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

// resting is until when nothing is sent to the address; zero: it may be tried.
func (d *domains) resting(address string, now time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.bad[domainOf(address)]
	if r == nil || r.failed < refusedInRow {
		return time.Time{}
	}
	if now.Before(r.until) {
		return r.until
	}
	r.until = now.Add(restFirst) // this one tries; the others wait for what it says
	return time.Time{}
}

// ended notes what a try came to.
func (d *domains) ended(address string, sent bool, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := domainOf(address)
	if sent {
		delete(d.bad, name)
		return
	}
	if d.bad == nil || len(d.bad) >= maxDomains {
		d.bad = map[string]*rest{}
	}
	r := d.bad[name]
	if r == nil {
		r = &rest{}
		d.bad[name] = r
	}
	if r.failed++; r.failed >= refusedInRow {
		r.until = now.Add(min(restFirst<<min(r.failed-refusedInRow, 8), restMost))
	}
}
