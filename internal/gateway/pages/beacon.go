package pages

import (
	"io"
	"net/http"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/report"
)

// maxBeaconBytes is more than any known step needs.
const maxBeaconBytes = 32

// Beacons takes the steps that payers' browsers report. Tell never blocks, and may be
// called concurrently; a step that is repeated counts once.
type Beacons interface {
	Report(account, mode, link string, step report.Step)
}

// seen takes a step of a link that is ours: "opened" when its page was in view, "started"
// at the first key in the form. It does not identify the payer, stores nothing in the
// browser, and counts once for a link, so a repetition has no effect. A scanner that only
// reads the page never sends it (F32). Neither does a browser without scripts; for its
// payer, only the submission is known.
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
	// A response to a POST is never cached anyway. Chromium drops a page from its
	// back-forward cache if one of its requests was answered with no-store.
	w.Header().Del("Cache-Control")
	w.WriteHeader(http.StatusNoContent)
}
