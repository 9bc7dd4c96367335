package overview_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
)

// TestOverview: the totals of links and payments are shown as figures, charts and words,
// each with a table and a file, separately for each mode.
func TestOverview(t *testing.T) {
	w := desktest.New(t)
	w.Get("/dashboard/test/overview").Has(t, "Your figures will be here")
	w.Pay(w.Link(nil), "4242424242424242", nil)
	w.Pay(w.Link(nil), "4242424242424242", nil)
	w.Pay(w.Link(nil), "4000000000009995", nil) // declined: insufficient funds
	opened := w.Link(nil)
	if err := w.Reports.Seen(t.Context(), []report.Sighting{{Account: w.Account, Mode: link.Test, Link: opened.ID,
		Step: report.Opened}}); err != nil {
		t.Fatal(err)
	}
	w.Link(nil)
	w.Reported()
	p := w.Get("/dashboard/test/overview?span=7")
	p.Has(t, "€25.00", "66.7%", "Not enough money", "Form begun", "<svg", "Show as a table", "before: €0.00", "60%")
	p.Lacks(t, "Your figures will be here")
	for table, want := range map[string]string{"volume": ",EUR,25.00,0.00\r\n", "payments": ",EUR,3,2,1\r\n",
		"declines": "EUR,insufficient_funds,1\r\n",
		"funnel":   "EUR,created,5\r\nEUR,opened,4\r\nEUR,started,3\r\nEUR,submitted,3\r\nEUR,paid,2\r\n"} {
		file := w.Get("/dashboard/test/overview/" + table + "?span=7&zone=Asia/Tokyo")
		if !strings.HasPrefix(file.Header.Get("Content-Type"), "text/csv") || !strings.Contains(file.Body, want) {
			t.Errorf("%s: %s", table, file.Body)
		}
	}
	w.Get("/dashboard/live/overview").Has(t, "Your figures will be here")
	w.Get("/dashboard/test/overview?span=dates&from=2020-01-01&to=2020-01-31").Has(t, "Nothing in this period")
	for _, lang := range []string{"de", "fr", "es", "pt", "ar", "ja"} {
		w.Get("/dashboard/test/overview?lang="+lang).Lacks(t, "overview.", "Success rate", "Not enough money")
	}
	stranger := w.Do(w.Stranger(), http.MethodGet, "/dashboard/test/overview/volume", nil)
	if !strings.HasPrefix(stranger.Path, "/dashboard/sign-in") {
		t.Errorf("a stranger is at %s", stranger.Path)
	}
}

// TestOverviewHostile: whatever stands in the address or in a payment, the page is a
// page, and nothing of it is markup.
func TestOverviewHostile(t *testing.T) {
	w := desktest.New(t)
	const script = `"><script>alert(1)</script>`
	l := w.Link(func(r *link.CreateRequest) { r.Description, r.Reference, r.Realm = script, script, script })
	w.Pay(l, "4000000000000002", func(s *payment.Submit) { s.PayerName = script })
	w.Reported()
	for _, name := range []string{"span", "from", "to", "currency", "zone"} {
		for _, value := range []string{script, "dates", "9999999", "2026-02-30", "\x00", strings.Repeat("x", 3000), "-1", "../../etc/passwd",
			"Local"} {
			q := url.Values{"span": {"dates"}, "from": {"2026-01-01"}, "to": {"2026-01-02"}}
			q.Set(name, value)
			p := w.Do(w.Client, http.MethodGet, "/dashboard/test/overview?"+q.Encode(), nil)
			if right := name == "span" && value == "dates"; right != (p.Status == http.StatusOK) || !right && p.Status != http.StatusBadRequest {
				t.Errorf("%s=%.20q answers %d", name, value, p.Status)
			}
			p.Lacks(t, "<script>alert")
		}
	}
	p := w.Do(w.Client, http.MethodGet, "/dashboard/test/overview?span=dates&from=2026-01-01&to=2020-01-02", nil)
	p.Has(t, "The last day is before the first", `aria-invalid="true"`)
	if p := w.Do(w.Client, http.MethodGet, "/dashboard/test/overview/"+url.PathEscape(script), nil); p.Status != http.StatusNotFound {
		t.Errorf("a table that is none answers %d", p.Status)
	}
}
