package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
)

// TestOverview: what links and payments came to is told in figures, charts and
// words, each with a table and a file; in each mode its own.
func TestOverview(t *testing.T) {
	w := newWorld(t)
	w.get("/dashboard/test/overview").has(t, "Your figures will be here")
	w.pay(w.link(nil), "4242424242424242", nil)
	w.pay(w.link(nil), "4242424242424242", nil)
	w.pay(w.link(nil), "4000000000009995", nil) // declined: insufficient funds
	opened := w.link(nil)
	if err := w.reports.Seen(t.Context(), []report.Sighting{{Account: w.account, Mode: link.Test, Link: opened.ID, Step: report.Opened}}); err != nil {
		t.Fatal(err)
	}
	w.link(nil)
	w.reported()
	p := w.get("/dashboard/test/overview?span=7")
	p.has(t, "€25.00", "66.7%", "Not enough money", "Form begun", "<svg", "Show as a table", "before: €0.00", "60%")
	p.lacks(t, "Your figures will be here")
	for table, want := range map[string]string{"volume": ",EUR,25.00,0.00\r\n", "payments": ",EUR,3,2,1\r\n", "declines": "EUR,insufficient_funds,1\r\n",
		"funnel": "EUR,created,5\r\nEUR,opened,4\r\nEUR,started,3\r\nEUR,submitted,3\r\nEUR,paid,2\r\n"} {
		file := w.get("/dashboard/test/overview/" + table + "?span=7&zone=Asia/Tokyo")
		if !strings.HasPrefix(file.header.Get("Content-Type"), "text/csv") || !strings.Contains(file.body, want) {
			t.Errorf("%s: %s", table, file.body)
		}
	}
	w.get("/dashboard/live/overview").has(t, "Your figures will be here")
	w.get("/dashboard/test/overview?span=dates&from=2020-01-01&to=2020-01-31").has(t, "Nothing in this period")
	for _, lang := range []string{"de", "fr", "es", "pt", "ar", "ja"} {
		w.get("/dashboard/test/overview?lang="+lang).lacks(t, "overview.", "Success rate", "Not enough money")
	}
	stranger := w.do(w.stranger(), http.MethodGet, "/dashboard/test/overview/volume", nil)
	if !strings.HasPrefix(stranger.path, "/dashboard/sign-in") {
		t.Errorf("a stranger is at %s", stranger.path)
	}
}

// TestOverviewHostile: whatever stands in the address or in a payment, the page is a
// page, and nothing of it is markup.
func TestOverviewHostile(t *testing.T) {
	w := newWorld(t)
	const script = `"><script>alert(1)</script>`
	l := w.link(func(r *link.CreateRequest) { r.Description, r.Reference, r.Realm = script, script, script })
	w.pay(l, "4000000000000002", func(s *payment.Submit) { s.PayerName = script })
	w.reported()
	for _, name := range []string{"span", "from", "to", "currency", "zone"} {
		for _, value := range []string{script, "dates", "9999999", "2026-02-30", "\x00", strings.Repeat("x", 3000), "-1", "../../etc/passwd", "Local"} {
			q := url.Values{"span": {"dates"}, "from": {"2026-01-01"}, "to": {"2026-01-02"}}
			q.Set(name, value)
			p := w.do(w.client, http.MethodGet, "/dashboard/test/overview?"+q.Encode(), nil)
			if right := name == "span" && value == "dates"; right != (p.status == http.StatusOK) || !right && p.status != http.StatusBadRequest {
				t.Errorf("%s=%.20q answers %d", name, value, p.status)
			}
			p.lacks(t, "<script>alert")
		}
	}
	p := w.do(w.client, http.MethodGet, "/dashboard/test/overview?span=dates&from=2026-01-01&to=2020-01-02", nil)
	p.has(t, "The last day is before the first", `aria-invalid="true"`)
	if p := w.do(w.client, http.MethodGet, "/dashboard/test/overview/"+url.PathEscape(script), nil); p.status != http.StatusNotFound {
		t.Errorf("a table that is none answers %d", p.status)
	}
}
