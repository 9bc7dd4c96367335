package story

import (
	"net/http"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
)

// TestCountryHeader checks that rules see the payer's country as named by our proxy, and none if
// the value is not a country code. The same header from any other sender is ignored.
func TestCountryHeader(t *testing.T) {
	const header = "CF-IPCountry"
	open := func(proxies string) func(country string) map[string]any {
		p := harness.Start(t, "--trusted-proxies", proxies, "--country-header", header)
		_, key := p.Merchant(t, harness.Payee)
		key.OK("POST", "/api/fraud/rules", `{"name":"Not from there","action":"block","when":"payer.country == \"AQ\"","state":"on"}`)
		n := 0
		return func(country string) map[string]any {
			t.Helper()
			n++
			l := key.Link(`"amount":"12.50"`)
			a := key.As(
				"",
			).Do(
				"POST",
				harness.TokenPath(t, l)+"/payments",
				`{"attempt":"country-attempt-`+string(rune('a'+n))+`","card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"739"}}`,
				header,
				country,
				"X-Forwarded-For",
				"203.0.113.7",
			)
			if a.Status != http.StatusOK && a.Status != http.StatusPaymentRequired {
				t.Fatalf("paying from %q answers %d: %s", country, a.Status, a.Body)
			}
			return harness.PaymentsOf(key, l)[0]
		}
	}
	pay := open("127.0.0.1/32")
	for _, c := range []struct{ header, status, country, action string }{
		{"AQ", "declined", "AQ", "block"}, {"aq", "declined", "AQ", "block"}, {"DE", "succeeded", "DE", "allow"},
		{"XX", "succeeded", "", "allow"}, {"T1", "succeeded", "", "allow"}, {"Antarctica", "succeeded", "", "allow"},
	} {
		got := pay(c.header)
		risk, _ := got["risk"].(map[string]any)
		country, _ := risk["country"].(string)
		if got["status"] != c.status || country != c.country || risk["action"] != c.action || risk["address"] != "203.0.113.0/24" {
			t.Errorf("a proxy of ours says %q: %v, %v", c.header, got["status"], risk)
		}
	}
	pay = open("198.51.100.0/24") // differs from the sender
	got := pay("AQ")
	if risk, _ := got["risk"].(map[string]any); got["status"] != "succeeded" || risk["country"] != nil || risk["action"] != "allow" ||
		risk["address"] == "203.0.113.0/24" {
		t.Errorf("whoever is no proxy of ours says a country: %v, %v", got["status"], risk)
	}
	harness.Refused(t, "--country-header", "check-config", "--data", t.TempDir(), "--country-header", header)
}
