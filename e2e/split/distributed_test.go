package split

import (
	"net/http"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/dynamotest"
)

// TestDistributedAll is one process of every service on SQLite and DynamoDB: the deployment with
// which a developer tries the table.
func TestDistributedAll(t *testing.T) {
	harness.PaymentsOn(t, dynamotest.URL(t))
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	shop := harness.OpenShop(t)
	shop.Register(key)
	l := key.Link(`"amount":"12.50"`)
	if a := key.PayJSON(l, "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := key.PayJSON(l, "attempt-0000000002", "4242424242424242"); a.Status != http.StatusConflict {
		t.Errorf("paid twice: %d %s", a.Status, a.Body)
	}
	id := harness.OnePayment(key, l, "succeeded")
	key.OK("POST", "/api/payments/"+id+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund-1")
	shop.Heard("link.created", "payment.succeeded", "link.paid", "refund.succeeded")
	await.Until(t, "the balance follows", func() bool {
		return strings.Contains(string(key.Do("GET", "/api/balance", "").Body), `"available":"10.00"`)
	})
	harness.Worked(t, " 0 broken", "verify", "--data", p.Data)
}
