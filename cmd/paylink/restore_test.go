package main_test

import (
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// TestRestoreDynamoDB loses the database of users and of the feed, but not the table
// of links and payments: a dump that is older than the table is restored, and the
// relay brings what it lacks.
func TestRestoreDynamoDB(t *testing.T) {
	t.Parallel()
	old, fresh := pgtest.New(t), pgtest.New(t)
	lost, restored := old.Database(t), fresh.Database(t)
	table, _ := dynamotest.FreshURL(t)
	storeOn(t, lost)
	paymentsOn(t, table)
	p := serve(t)
	_, key := p.merchant(t, "ada")
	shop := openShop(t)
	shop.register(key)
	pay := func(amount, attempt string) map[string]any {
		t.Helper()
		l := key.link(`"amount":"` + amount + `"`)
		if a := key.payJSON(l, attempt, "4242424242424242"); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		onePayment(key, l, "succeeded")
		return l
	}
	pay("12.50", "attempt-0000000001")
	shop.heard("link.created", "payment.succeeded", "link.paid")
	at := regexp.MustCompile(`"metrics":"http://([^/"]+)/metrics"`).FindStringSubmatch(p.logs.String())
	if at == nil {
		t.Fatalf("the log does not tell where the metrics are\n%s", p.logs)
	}
	admin := &process{t: t, url: "http://" + at[1]}
	if _, body := admin.get(t, "/metrics"); !regexp.MustCompile(`paylink_relay_seconds_count [1-9]`).MatchString(body) {
		t.Errorf("the relay is not measured")
	}

	old.Copy(t, lost, restored)
	second := pay("7.50", "attempt-0000000002") // which the dump does not have
	balance := func(sum string) func() bool {
		return func() bool { return strings.Contains(string(key.do("GET", "/api/balance", "").body), sum) }
	}
	eventually(t, "the balance of both payments", balance(`"20.00"`))
	copied := filepath.Join(t.TempDir(), "backup")
	worked(t, "NOT COPIED: the table", "backup", "--data", p.data, copied)
	p.end()
	old.Kill(t)
	before := strings.Count(shop.received(), str(t, second, "id"))

	storeOn(t, restored)
	q := serveOn(t, copied, strings.TrimPrefix(p.url, "http://"))
	onePayment(key, second, "succeeded")
	eventually(t, "the balance of both payments", balance(`"20.00"`))
	pay("1.00", "attempt-0000000003")
	eventually(t, "the balance of all three", balance(`"21.00"`))
	eventually(t, "the webhooks of the second payment, again", func() bool {
		return strings.Count(shop.received(), str(t, second, "id")) > before
	})
	worked(t, " 0 broken", "verify", "--data", q.data)
}
