package crash

import (
	"fmt"
	"io"
	"log"
	mathrand "math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// narrow is a proxy to DynamoDB that refuses two requests of three while it is on, as a throttled
// table does.
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
	pass.ErrorLog = log.New(io.Discard, "", 0) // killed services leave calls half done
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

// TestF26DistributedServicesKilledInTurn is TestF26EachServiceKilledInTurn on PostgreSQL and
// DynamoDB, which throttles for a while.
func TestF26DistributedServicesKilledInTurn(t *testing.T) {
	t.Parallel()
	var way narrow
	f := harness.Distribute(t, way.before(t, dynamotest.URL(t)))
	l := startLoad(f, t)
	killInTurn(f, t, l)
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

// Parameters of the load during which services end.
const (
	fleetClients  = 8
	fleetRunsFor  = 700 * time.Millisecond // between two of them
	fleetDeadFor  = 700 * time.Millisecond
	fleetStoreOut = 3 * time.Second // longer than calls are repeated
	fleetPayments = 40              // that the load must have made at least
)

// everyService lists the services in the order in which the tests end them.
var everyService = []string{"users", "links", "verifier", "payments", "transactions", "notifier", "fraud", "simulator", "gateway"}

// load is customers who buy, pay and are refunded while parts of a fleet end.
type load struct {
	*killed
	acknowledged *acknowledged
	running      sync.WaitGroup
}

func startLoad(f *harness.Fleet, t *testing.T) *load {
	t.Helper()
	_, key := f.Front().Merchant(t, "ada")
	l := &load{
		acknowledged: &acknowledged{
			links:    map[string]toldLink{},
			payments: map[string]toldPayment{},
			refunds:  map[string]toldRefund{},
			answers:  map[string]int{},
		},
		killed: &killed{
			t:     t,
			fleet: f,
			logs:  f.Logs,
			http:  &http.Client{Timeout: killCallLimit, Transport: &http.Transport{MaxIdleConnsPerHost: fleetClients}},
		},
	}
	l.id, l.secret = apiKey(t, key)
	for i := range fleetClients {
		own := mathrand.New(mathrand.NewPCG(1, uint64(i)))
		l.running.Go(func() { l.customer(l.acknowledged, fmt.Sprintf("c%d", i), own) })
	}
	return l
}

// end stops the customers, sends again what was not answered, waits until every payment is
// settled, and compares everything that was acknowledged. The whole fleet is then stopped and its
// books are compared with the issuer's.
func (l *load) end(t *testing.T) {
	t.Helper()
	k := l.acknowledged
	l.dying.Store(true)
	l.running.Wait()
	l.dying.Store(false)
	var again []killCall
	k.locked(func() { again, k.unheard = k.unheard, nil; k.again += len(again) })
	l.repeat(k, again)
	l.settle(k)
	l.check(k, k.everything())
	l.report(k)
	t.Logf(
		"%d links, %d payments, %d refunds acknowledged; %d requests sent again; answers %v",
		len(k.links),
		len(k.payments),
		len(k.refunds),
		k.again,
		k.answers,
	)
	if len(k.payments) < fleetPayments {
		t.Errorf("only %d payments: the test shows little", len(k.payments))
	}
	l.fleet.Stop()
	out, errs, status := harness.Command(t, "verify", "--data", l.fleet.Dir)
	if status != 0 || !strings.Contains(out, " 0 broken") {
		t.Fatalf("verify ends with %d:\n%s%s", status, out, errs)
	}
	t.Log(strings.TrimSpace(out))
}

// TestF26EachServiceKilledInTurn kills, under a load of payments, one instance of each service in
// turn, and the only one of the simulator, and stops PostgreSQL for a while. Callers get clear
// errors or no answer, what was acknowledged is there, what was not answered can be sent again,
// and in the end the books agree with the issuer's.
func TestF26EachServiceKilledInTurn(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	f := harness.Deploy(t, server.Database(t), false)
	l := startLoad(f, t)
	killInTurn(f, t, l)
	server.Stop(t)
	wait(fleetStoreOut)
	server.Start(t)
	for _, target := range everyService {
		for _, p := range f.Instances[target] {
			p.Ready()
		}
	}
	wait(fleetRunsFor)
	l.end(t)
}

// killInTurn kills one instance of each service in turn, and restarts it.
func killInTurn(f *harness.Fleet, t *testing.T, l *load) {
	t.Helper()
	for _, target := range everyService {
		wait(fleetRunsFor)
		before := l.acknowledged.count()
		f.Kill(target, 0)
		wait(fleetDeadFor)
		during := 0
		await.Until(t, "something is answered while an instance of "+target+" is dead", func() bool {
			during = l.acknowledged.count() - before
			return during > 0
		})
		f.Start(target, 0)
		f.Instances[target][0].Ready()
		t.Logf("%s was killed and came back; %d answers meanwhile", target, during)
	}
}

// newerSchema migrates the database to where the next version's migration would: running
// processes must keep working, and restarted ones must start.
func newerSchema(f *harness.Fleet, t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), f.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	statements := []string{"INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)"}
	for _, table := range []string{"links", "payments", "events", "event_seqs", "idempotency", "balances", "accounts", "users", "api_keys",
		"sessions",
		"webhook_endpoints", "webhook_deliveries"} {
		statements = append(statements, "ALTER TABLE "+table+" ADD COLUMN added_later TEXT NOT NULL DEFAULT ''")
	}
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// TestF30RollingUpgrade migrates the schema and then ends and restarts one instance of each
// service in turn, as an upgrade does, under a load of payments, with mutual TLS between the
// services. Only the load balancer before the gateways notices.
func TestF30RollingUpgrade(t *testing.T) {
	t.Parallel()
	f := harness.Deploy(t, pgtest.Database(t), true)
	l := startLoad(f, t)
	wait(fleetRunsFor)
	newerSchema(f, t)
	for _, target := range everyService {
		// The gateway has no load balancer with health checks here, the simulator no second instance.
		if target == "gateway" || target == "simulator" {
			continue
		}
		wait(fleetRunsFor)
		f.Instances[target][0].Stop()
		f.Start(target, 0)
		f.Instances[target][0].Ready()
	}
	l.acknowledged.locked(func() {
		for answer, n := range l.acknowledged.answers {
			if strings.HasSuffix(answer, " 503") || strings.HasSuffix(answer, " 409") {
				t.Errorf("%d times %s", n, answer)
			}
		}
		if len(l.acknowledged.unheard) > 0 {
			t.Errorf("%d requests were not answered", len(l.acknowledged.unheard))
		}
	})
	l.end(t)
}

func wait(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

func (k *acknowledged) count() (n int) {
	k.locked(func() {
		for _, c := range k.answers {
			n += c
		}
	})
	return n
}

// apiKey creates a key and returns its id and secret for Basic credentials.
func apiKey(t *testing.T, key *harness.Client) (id, secret string) {
	t.Helper()
	user := key.As(harness.Str(t, key.As("").OK("POST", "/api/sessions", `{"login":"ada","password":"correct horse battery"}`), "token"))
	made := user.OK("POST", "/api/api-keys", `{"name":"load","mode":"test","scopes":`+harness.EveryScope+`}`)
	return harness.Str(t, made, "id"), harness.Str(t, made, "secret")
}
