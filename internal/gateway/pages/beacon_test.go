package pages

import (
	"net/http"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/report"
)

// The type collects the steps of browsers that the pages pass on.
type reportedSteps []report.Sighting

func (b *reportedSteps) Report(account, mode, link string, step report.Step) {
	*b = append(*b, report.Sighting{Account: account, Mode: mode, Link: link, Step: step})
}

// TestF32_OnlyABrowserCounts: reading a link, by GET or HEAD, leaves no trace; the
// steps that the page's script tells do. What is no step, too long, or of no link
// of ours is refused, and nothing is set in the browser.
func TestF32_OnlyABrowserCounts(t *testing.T) {
	w := newWorld(t)
	var b reportedSteps
	w.pages.beacons = &b
	l := w.link("genuine", nil)
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		w.do(method, "/l/genuine", "", nil)
		if a := w.do(method, "/l/genuine/seen", "", nil); a.status != http.StatusMethodNotAllowed {
			t.Errorf("%s of the beacon answers %d", method, a.status)
		}
	}
	if len(b) > 0 {
		t.Fatalf("a scanner counts: %+v", b)
	}
	for body, status := range map[string]int{"": 400, "paid": 400, "submitted": 400, "opened ": 400, strings.Repeat("opened", 1000): 400} {
		if a := w.do(http.MethodPost, "/l/genuine/seen", body, nil); a.status != status {
			t.Errorf("%.20q answers %d", body, a.status)
		}
	}
	if a := w.do(http.MethodPost, "/l/forged/seen", "opened", nil); a.status != http.StatusNotFound {
		t.Errorf("of a forged link: %d", a.status)
	}
	if len(b) > 0 {
		t.Fatalf("what was refused counts: %+v", b)
	}
	for _, step := range []string{"opened", "started"} {
		a := w.do(http.MethodPost, "/l/genuine/seen", step, nil)
		if a.status != http.StatusNoContent || a.body != "" || a.header.Get("Set-Cookie") != "" {
			t.Errorf("%s answers %d %q %v", step, a.status, a.body, a.header)
		}
	}
	want := reportedSteps{
		{Account: l.Account, Mode: l.Mode, Link: l.ID, Step: report.Opened},
		{Account: l.Account, Mode: l.Mode, Link: l.ID, Step: report.Started},
	}
	if len(b) != 2 || b[0] != want[0] || b[1] != want[1] {
		t.Errorf("told %+v", b)
	}
}
