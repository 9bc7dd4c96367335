package split

import (
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// TestFraudBudget checks that a caller waits for a service that accepts the call and never answers
// for as long as --fraud-budget and no longer; then the account's policy decides.
func TestFraudBudget(t *testing.T) {
	silent, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0") // connections wait in its queue
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := silent.Close(); err != nil {
			t.Error(err)
		}
	}()
	const here = "gateway,users,links,verifier,payments,transactions,notifier,simulator"
	root, keys := filepath.Join(t.TempDir(), "root.json"), filepath.Join(t.TempDir(), "internal.json")
	harness.Worked(t, "created", "internal-keys", "create", root)
	harness.Worked(t, "keys for", "internal-keys", "export", "--root", root, "--target", here, keys)
	for _, budget := range []time.Duration{time.Second, time.Millisecond} {
		t.Run(budget.String(), func(t *testing.T) {
			harness.StoreOn(t, pgtest.Database(t))
			data := filepath.Join(t.TempDir(), "data")
			harness.Worked(t, "created the keys", "keys", "create", "--data", data)
			p := harness.StartOn(
				t,
				data,
				harness.FreeAddress(t),
				"--target",
				here,
				"--internal-listen",
				harness.FreeAddress(t),
				"--internal-keys",
				keys,
				"--service",
				"fraud=http://"+silent.Addr().String(),
				"--fraud-budget",
				budget.String(),
			)
			_, key := p.Merchant(t, harness.Payee)
			n := 0
			took := func() time.Duration {
				n++
				l, start := key.Link(`"amount":"12.50"`), time.Now()
				if a := key.PayJSON(l, fmt.Sprintf("budget-attempt-%04d", n), "4242424242424242"); a.Status != http.StatusOK {
					t.Fatalf("%d %s", a.Status, a.Body)
				}
				took := time.Since(start)
				if risk, _ := harness.PaymentsOf(key, l)[0]["risk"].(map[string]any); risk["why"] != "policy" || risk["action"] != "allow" {
					t.Fatalf("decided by %v", risk)
				}
				return took
			}
			if budget == time.Second {
				if waited := took(); waited < budget {
					t.Errorf("the payment took %s", waited)
				}
				return
			}
			await.Until(t, "a payment takes less than a second", func() bool { return took() < time.Second })
		})
	}
}
