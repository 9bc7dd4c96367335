package split

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// TestF26PaymentsGoOnWithoutTheFraudService kills every instance of the fraud service: the account's
// policy decides, payments continue, and no other service stops being ready. When an instance is
// back, attempts are assessed again.
func TestF26PaymentsGoOnWithoutTheFraudService(t *testing.T) {
	t.Parallel()
	f := harness.Deploy(t, pgtest.Database(t), false)
	_, key := f.Front().Merchant(t, "ada")
	n := 0
	why := func() string {
		n++
		l := key.Link(`"amount":"12.50"`)
		if a := key.PayJSON(l, fmt.Sprintf("attempt-%010d", n), "4242424242424242"); a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		p := key.OK("GET", "/api/payments/"+harness.OnePayment(key, l, "succeeded"), "")
		risk, _ := p["risk"].(map[string]any)
		said, _ := risk["why"].(string)
		return said
	}
	looked := func() bool { // the time limit is short, and the machine may be busy
		tick, limit := time.NewTicker(100*time.Millisecond), time.After(await.Patience)
		defer tick.Stop()
		for why() != "default" {
			select {
			case <-tick.C:
			case <-limit:
				return false
			}
		}
		return true
	}
	if !looked() {
		t.Fatal("nobody looks at attempts")
	}
	for i := range f.Instances["fraud"] {
		f.Kill("fraud", i)
	}
	for range 3 {
		if got := why(); got != "policy" {
			t.Errorf("with nobody to look, %q decided", got)
		}
	}
	for _, target := range []string{"gateway", "transactions"} {
		for _, p := range f.Instances[target] {
			p.Ready()
		}
	}
	for i := range f.Instances["fraud"] {
		f.Start("fraud", i)
		f.Instances["fraud"][i].Ready()
	}
	if !looked() {
		t.Error("nobody looks at attempts again")
	}
}
