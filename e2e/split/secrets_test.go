package split

import (
	"fmt"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
)

// TestI15NoCardAnywhere pays in every way that accepts a card, with success and failure, and then
// searches everything stored.
func TestI15NoCardAnywhere(t *testing.T) {
	p := harness.Start(t)
	s := harness.OpenShop(t)
	_, key := p.Merchant(t, "grace")
	s.Register(key)
	for i, number := range harness.CardsUsed {
		l := key.Link(fmt.Sprintf(`"amount":"%d.99"`, i+1))
		key.PayJSON(l, fmt.Sprintf("attempt-%010d", i), number)
		key.As(
			"",
		).Do(
			"POST",
			harness.TokenPath(t, l)+"/payments",
			`{"attempt":"attempt-bad-0000001","colour":"`+number+`","card":{"number":"`+number+`","cvc":"7391"}}`,
		)
		key.As("").Do("POST", harness.TokenPath(t, l)+"/payments", `{"attempt":"`+number+`","card":{"number":["`+number+`"],"cvc":"7391"}`)
		key.As("").Do("GET", harness.TokenPath(t, l)+"/status?attempt=attempt-0000000000", "", "Accept", "application/json")
	}
	s.Heard("payment.succeeded", "payment.declined", "payment.unknown")
	harness.NoCardAnywhere(t, p, key, s)
}
