package pages

import (
	"io"
	"net/http"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/report"
)

// maxBeaconBytes is more than any known step needs.
const maxBeaconBytes = 32

// Beacons takes the steps that payers' browsers report. It never blocks.
type Beacons interface {
	Report(account, mode, link string, step report.Step)
}

// seen takes a step of a link that is ours: "opened" when its page was in view,
// "started" at the first key in the form. It says nothing of who did it, keeps
// nothing in the browser, and counts once for a link, so that sending it again does
// nothing. A scanner that only reads the page never sends it (F32); a browser
// without scripts neither, and what its payer did is known once they submit.
func (p *Pages) seen(w http.ResponseWriter, r *http.Request) {
	secure(w.Header())
	raw, err := io.ReadAll(io.LimitReader(r.Body, maxBeaconBytes+1))
	step, known := report.ParseStep(string(raw))
	if err != nil || !known {
		p.fail(w, r, fault.New(fault.KindInvalid, "value_invalid", "The body must be opened or started."))
		return
	}
	l, ok := p.open(w, r, false)
	if !ok {
		return
	}
	if p.beacons != nil {
		p.beacons.Report(l.Account, l.Mode, l.ID, step)
	}
	// An answer to a post is kept nowhere anyway; saying so would keep the browser
	// from keeping the page that asked, for the way back.
	w.Header().Del("Cache-Control")
	w.WriteHeader(http.StatusNoContent)
}
