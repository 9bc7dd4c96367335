package main_test

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/store/pgtest"
)

// TestF26PaymentsGoOnWithoutTheFraudBox kills every instance of the box that looks at
// attempts: the account's policy decides, payments go on, no other service stops
// being ready; and when an instance is back, attempts are looked at again.
func TestF26PaymentsGoOnWithoutTheFraudBox(t *testing.T) {
	t.Parallel()
	f := deploy(t, pgtest.Database(t), false)
	_, key := f.front().merchant(t, "ada")
	n := 0
	why := func() string {
		n++
		l := key.link(`"amount":"12.50"`)
		if a := key.payJSON(l, fmt.Sprintf("attempt-%010d", n), "4242424242424242"); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		p := key.ok("GET", "/api/payments/"+onePayment(key, l, "succeeded"), "")
		risk, _ := p["risk"].(map[string]any)
		said, _ := risk["why"].(string)
		return said
	}
	looked := func() bool { // the budget is short, and the machine may be busy
		tick, limit := time.NewTicker(100*time.Millisecond), time.After(patience)
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
	for i := range f.instances["fraud"] {
		f.kill("fraud", i)
	}
	for range 3 {
		if got := why(); got != "policy" {
			t.Errorf("with nobody to look, %q decided", got)
		}
	}
	for _, target := range []string{"gateway", "transactions"} {
		for _, p := range f.instances[target] {
			p.ready()
		}
	}
	for i := range f.instances["fraud"] {
		f.start("fraud", i)
		f.instances["fraud"][i].ready()
	}
	if !looked() {
		t.Error("nobody looks at attempts again")
	}
}
