package story

import (
	"net/http"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// TestF11ExpiredLinkTellsWhenAndWhy checks that the page and the answer to a payment both contain
// the time.
func TestF11ExpiredLinkTellsWhenAndWhy(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	l := key.Link(`"amount":"7"`)
	p, path := harness.ExpiredLink(t, p, l)
	status, page := p.Get(t, path)
	if status != http.StatusGone || !strings.Contains(page, "This link has expired") || !strings.Contains(page, "<dt>Expired</dt>") ||
		strings.Contains(page, `id="pay"`) {
		t.Errorf("%d %s", status, page)
	}
	a := key.As(
		"",
	).Do(
		"POST",
		path+"/payments",
		`{"attempt":"attempt-0000000001","card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"7391"}}`,
	)
	if a.Status != http.StatusConflict || a.JSON["code"] != "link_expired" ||
		!strings.Contains(harness.Str(t, a.JSON, "detail"), "This link expired on ") {
		t.Errorf("%d %s", a.Status, a.Body)
	}
	if n := len(harness.List(t, key.OK("GET", "/api/payments", ""), "data")); n != 0 {
		t.Errorf("%d payments", n)
	}
	await.Until(t, "the expiry is recorded", func() bool {
		for _, l := range harness.List(t, key.OK("GET", "/api/links", ""), "data") {
			if l["status"] == "expired" {
				return true
			}
		}
		return false
	})
	harness.Verified(t, p.Data)
}
