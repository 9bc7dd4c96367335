package main_test

import (
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
)

const paymentsStore = "PAYLINK_PAYMENTS_STORE"

// paymentsOn makes every paylink that the test runs keep links and payments in a
// table.
func paymentsOn(t *testing.T, url string) { t.Helper(); setenv(t, paymentsStore, url) }

// distribute deploys every box apart, on PostgreSQL and DynamoDB.
func distribute(t *testing.T, table string) *fleet {
	t.Helper()
	database := pgtest.Database(t)
	storeOn(t, database)
	paymentsOn(t, table)
	worked(t, "is as it must be", "migrate", "--data", t.TempDir())
	return deploy(t, database, false)
}

// tableKeepsNoCard reads every link and payment of the deployment's table.
func tableKeepsNoCard(t testing.TB, url string) {
	t.Helper()
	store, err := dynamo.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	read := 0
	look := func(v any, damage error) error {
		raw, err := json.Marshal(v)
		keptNowhere(t, "the table of links and payments", raw)
		read++
		if damage != nil {
			return damage
		}
		return err
	}
	err = store.EachLink(t.Context(), func(l link.Link, damage error) error { return look(l, damage) })
	if err == nil {
		err = store.EachPayment(t.Context(), func(p payment.Payment, damage error) error { return look(p, damage) })
	}
	if err != nil || read < 6 {
		t.Fatalf("%d links and payments were read, %v", read, err)
	}
}

// TestDistributedAll is one process of every box on SQLite and DynamoDB: the shape
// in which a developer tries the table.
func TestDistributedAll(t *testing.T) {
	paymentsOn(t, dynamotest.URL(t))
	p := serve(t)
	_, key := p.merchant(t, "ada")
	shop := openShop(t)
	shop.register(key)
	l := key.link(`"amount":"12.50"`)
	if a := key.payJSON(l, "attempt-0000000001", "4242424242424242"); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := key.payJSON(l, "attempt-0000000002", "4242424242424242"); a.status != http.StatusConflict {
		t.Errorf("paid twice: %d %s", a.status, a.body)
	}
	id := onePayment(key, l, "succeeded")
	key.ok("POST", "/api/payments/"+id+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund-1")
	shop.heard("link.created", "payment.succeeded", "link.paid", "refund.succeeded")
	eventually(t, "the balance follows", func() bool {
		return strings.Contains(string(key.do("GET", "/api/balance", "").body), `"available":"10.00"`)
	})
	worked(t, " 0 broken", "verify", "--data", p.data)
}

// narrow is a way to DynamoDB that refuses two requests of three while it is on, as
// the table does when it is asked too much.
type narrow struct {
	on      atomic.Bool
	asked   atomic.Int64
	refused atomic.Int64
}

func (n *narrow) before(t *testing.T, table string) string {
	t.Helper()
	u, err := url.Parse(table)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	target, err := url.Parse(q.Get("endpoint"))
	if err != nil {
		t.Fatal(err)
	}
	pass := httputil.NewSingleHostReverseProxy(target)
	pass.ErrorLog = log.New(io.Discard, "", 0) // services that are killed leave calls half done
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if n.on.Load() && n.asked.Add(1)%3 != 0 {
			n.refused.Add(1)
			w.Header().Set("Content-Type", "application/x-amz-json-1.0")
			w.WriteHeader(http.StatusBadRequest)
			_, _ = w.Write([]byte(`{"__type":"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException","message":"too much"}`))
			return
		}
		pass.ServeHTTP(w, r)
	}))
	t.Cleanup(proxy.Close)
	q.Set("endpoint", proxy.URL)
	u.RawQuery = q.Encode()
	return u.String()
}

// TestF26DistributedServicesKilledInTurn is TestF26EachServiceKilledInTurn on
// PostgreSQL and DynamoDB, which throttles for a while.
func TestF26DistributedServicesKilledInTurn(t *testing.T) {
	t.Parallel()
	var way narrow
	f := distribute(t, way.before(t, dynamotest.URL(t)))
	l := f.load(t)
	f.killInTurn(t, l)
	way.on.Store(true)
	wait(fleetStoreOut)
	way.on.Store(false)
	if way.refused.Load() < 100 {
		t.Errorf("%d requests were throttled: the test shows little", way.refused.Load())
	}
	wait(fleetRunsFor)
	l.end(t)
	t.Logf("%d requests to DynamoDB were throttled", way.refused.Load())
}

// TestMoveToDynamoDB takes a merchant from the embedded file to PostgreSQL and
// DynamoDB, and back: an archive is a backup of the table, too.
func TestMoveToDynamoDB(t *testing.T) {
	t.Parallel()
	stores := []string{"--store", pgtest.Database(t), "--payments-store", dynamotest.URL(t)}
	q := move(t, stores)
	q.end()
	file, back := filepath.Join(t.TempDir(), "archive"), filepath.Join(t.TempDir(), "back")
	worked(t, "exported 2 payments", append([]string{"export", "--data", q.data, file}, stores...)...)
	worked(t, "imported 2 payments", "import", "--data", back, file)
	worked(t, " 0 broken", "verify", "--data", back)
}
