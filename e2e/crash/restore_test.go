package crash

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// TestRestoreDynamoDB loses the database of users and of the feed, but not the table of links and
// payments: a dump older than the table is restored, and the relay adds what is missing.
func TestRestoreDynamoDB(t *testing.T) {
	t.Parallel()
	old, fresh := pgtest.New(t), pgtest.New(t)
	lost, restored := old.Database(t), fresh.Database(t)
	table, _ := dynamotest.FreshURL(t)
	harness.StoreOn(t, lost)
	harness.PaymentsOn(t, table)
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	shop := harness.OpenShop(t)
	shop.Register(key)
	pay := func(amount, attempt string) map[string]any {
		t.Helper()
		l := key.Link(`"amount":"` + amount + `"`)
		if a := key.PayJSON(l, attempt, "4242424242424242"); a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		harness.OnePayment(key, l, "succeeded")
		return l
	}
	pay("12.50", "attempt-0000000001")
	shop.Heard("link.created", "payment.succeeded", "link.paid")
	at := regexp.MustCompile(`"metrics":"http://([^/"]+)/metrics"`).FindStringSubmatch(p.Logs.String())
	if at == nil {
		t.Fatalf("the log does not tell where the metrics are\n%s", p.Logs)
	}
	admin := &harness.Process{T: t, URL: "http://" + at[1]}
	if _, body := admin.Get(t, "/metrics"); !regexp.MustCompile(`paylink_relay_seconds_count [1-9]`).MatchString(body) {
		t.Errorf("the relay is not measured")
	}

	old.Copy(t, lost, restored)
	second := pay("7.50", "attempt-0000000002") // not in the dump
	balance := func(sum string) func() bool {
		return func() bool { return strings.Contains(string(key.Do("GET", "/api/balance", "").Body), sum) }
	}
	await.Until(t, "the balance of both payments", balance(`"20.00"`))
	copied := filepath.Join(t.TempDir(), "backup")
	harness.Worked(t, "NOT COPIED: the table", "backup", "--data", p.Data, copied)
	harness.KeysTo(t, p, copied)
	p.Stop()
	old.Kill(t)
	before := strings.Count(shop.Received(), harness.Str(t, second, "id"))

	harness.StoreOn(t, restored)
	q := harness.StartOn(t, copied, strings.TrimPrefix(p.URL, "http://"))
	harness.OnePayment(key, second, "succeeded")
	await.Until(t, "the balance of both payments", balance(`"20.00"`))
	pay("1.00", "attempt-0000000003")
	await.Until(t, "the balance of all three", balance(`"21.00"`))
	await.Until(t, "the webhooks of the second payment, again", func() bool {
		return strings.Count(shop.Received(), harness.Str(t, second, "id")) > before
	})
	harness.Worked(t, " 0 broken", "verify", "--data", q.Data)
}

// TestRestorePostgres restores a served store as docs/operate says: a dump beside the running
// service, then the folder, all of it into a newer cluster, whose transaction ids are below the
// feed's positions.
func TestRestorePostgres(t *testing.T) {
	t.Parallel()
	old, fresh := pgtest.New(t), pgtest.New(t)
	lost, restored := old.Database(t), fresh.Database(t)
	harness.StoreOn(t, lost)
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	shop := harness.OpenShop(t)
	shop.Register(key)
	paid, open := key.Link(`"amount":"12.50"`), key.Link(`"amount":"7.50"`)
	if a := key.PayJSON(paid, "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	id := harness.OnePayment(key, paid, "succeeded")
	key.OK("POST", "/api/payments/"+id+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund-1")
	shop.Heard("link.created", "payment.succeeded", "link.paid")
	before := key.OK("GET", "/api/payments/"+id, "")

	old.Copy(t, lost, restored)
	copied := filepath.Join(t.TempDir(), "backup")
	harness.Worked(t, "NOT COPIED: the database", "backup", "--data", p.Data, copied)
	harness.KeysTo(t, p, copied)
	after := key.Link(`"amount":"1.00"`) // not in the backup
	p.Stop()
	old.Kill(t)

	harness.StoreOn(t, restored)
	harness.Worked(t, " 0 broken", "verify", "--data", copied)
	q := harness.StartOn(t, copied, strings.TrimPrefix(p.URL, "http://"))
	goesOn(t, key, before, paid, open)
	if a := key.PayJSON(after, "attempt-0000000004", "4242424242424242"); a.Status == http.StatusOK {
		t.Errorf("a link that the backup does not have was paid: %s", a.Body)
	}
	await.Until(t, "the webhook of the second payment", func() bool { return strings.Contains(shop.Received(), harness.Str(t, open, "id")) })
	await.Until(t, "the balance of both payments", func() bool {
		return strings.Contains(string(key.Do("GET", "/api/balance", "").Body), `"17.50"`)
	})
	harness.Worked(t, " 0 broken", "verify", "--data", q.Data)
}
