package office

import (
	"strings"
	"sync"
	"time"
)

// Limits of pausing a domain.
const (
	refusedInRow = 3                // tries after which a domain rests
	restFirst    = time.Minute      // doubled with each try after a rest that fails too
	restMost     = 15 * time.Minute // and no longer than this
	maxDomains   = 10_000           // remembered; past that all are forgotten
)

// domains remembers the domains to which mails cannot be sent now, so that ten thousand mails
// to one of them do not delay those to others. After a few failed tries in a row a domain
// rests, and one try after the rest decides whether it rests again.
type domains struct {
	mu  sync.Mutex
	bad map[string]*rest
}

// rest is how often a domain failed in a row, and until when nothing is tried. probed says that the
// one try after a rest is under way.
type rest struct {
	failed int
	until  time.Time
	probed bool
}

// domainOf returns the domain of an address, which may be written in any case.
func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

// resting returns until when nothing is sent to the address; zero: it may be tried.
func (d *domains) resting(address string, now time.Time) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	r := d.bad[domainOf(address)]
	// Single failures are normal and do not stop a domain.
	if r == nil || r.failed < refusedInRow {
		return time.Time{}
	}
	// While the rest lasts, nothing is sent there.
	if now.Before(r.until) {
		return r.until
	}
	r.until, r.probed = now.Add(restFirst), true // this one tries; the others wait for its outcome
	return time.Time{}
}

// ended records the outcome of a try. sent says that the server took the mail or refused it
// for good; either way the domain can be reached. A try that was under way when the rest began does
// not make it longer.
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
	if r.failed >= refusedInRow && !r.probed {
		return
	}
	r.probed = false
	if r.failed++; r.failed >= refusedInRow {
		r.until = now.Add(min(restFirst<<min(r.failed-refusedInRow, 8), restMost))
	}
}
