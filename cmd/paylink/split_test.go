package main_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// shapes are the ways in which the story is told.
var shapes = map[string]func(*testing.T) *process{
	"embedded": func(t *testing.T) *process { return serve(t) },
	"one process on PostgreSQL": func(t *testing.T) *process {
		storeOn(t, pgtest.Database(t))
		return serve(t)
	},
	"split on PostgreSQL":              func(t *testing.T) *process { return deploy(t, pgtest.Database(t), false).front() },
	"split on PostgreSQL and DynamoDB": func(t *testing.T) *process { return distribute(t, dynamotest.URL(t)).front() },
}

// targets of a split deployment with the number of instances: two of each that
// keeps nothing of its own, one of the simulator, whose book is a file.
var fleetTargets = map[string]int{"gateway": 2, "users": 2, "links": 2, "verifier": 2, "payments": 2, "transactions": 2, "notifier": 2, "fraud": 2, "simulator": 1}

// fleet is a split deployment: every target a process of its own, with its share
// of the keys and a data folder of its own.
type fleet struct {
	t         testing.TB
	dir       string // holds the whole ring and the simulator's book, for the tools
	database  string
	logs      *shared
	proof     []string // flags by which services prove themselves
	scheme    string   // between services
	public    []string // addresses of the gateways
	internal  map[string][]string
	instances map[string][]*process
	stopOnce  sync.Once
}

// fleetsAtOnce bounds the deployments of 17 processes that start and run side by side.
var fleetsAtOnce = make(chan struct{}, 2)

// deploy starts every process on a database, and waits until all are ready. The
// services prove themselves by a secret, or by certificates.
func deploy(t *testing.T, database string, mutualTLS bool) *fleet {
	t.Helper()
	fleetsAtOnce <- struct{}{}
	t.Cleanup(func() { <-fleetsAtOnce })
	f := &fleet{t: t, dir: filepath.Join(t.TempDir(), "data"), database: database, logs: &shared{},
		internal: map[string][]string{}, instances: map[string][]*process{}}
	storeOn(t, f.database) // for the tools, too
	worked(t, "made the keys", "keys", "create", "--data", f.dir)
	f.credentials(mutualTLS)
	for target, n := range fleetTargets {
		if target != "payments" {
			worked(t, target+": ", "keys", "export", "--data", f.dir, "--target", target, f.share(target))
		}
		for range n {
			if target == "gateway" {
				f.public = append(f.public, freeAddress(t))
			} else {
				f.internal[target] = append(f.internal[target], freeAddress(t))
			}
		}
	}
	t.Cleanup(f.stop)
	for target, n := range fleetTargets {
		for i := range n {
			f.instances[target] = append(f.instances[target], &process{t: t, logs: f.logs, url: "http://" + freeAddress(t)})
			f.start(target, i)
		}
	}
	for target := range fleetTargets {
		for _, p := range f.instances[target] {
			p.ready()
		}
	}
	return f
}

// credentials makes what services prove themselves by.
func (f *fleet) credentials(mutualTLS bool) {
	f.t.Helper()
	if mutualTLS {
		f.scheme, f.proof = "https://", []string{"--internal-tls", f.certificates()}
		return
	}
	var b [32]byte
	_, _ = rand.Read(b[:])
	file := filepath.Join(f.dir, "internal.secret")
	if err := os.WriteFile(file, []byte(hex.EncodeToString(b[:])+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
	f.scheme, f.proof = "http://", []string{"--internal-secret-file", file}
}

// certificates makes an authority, and one certificate of it for all services,
// which all are on loopback.
func (f *fleet) certificates() string {
	f.t.Helper()
	dir := filepath.Join(f.dir, "internal-tls")
	write := func(name, kind string, der []byte, err error) {
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
		}
		if err != nil {
			f.t.Fatal(err)
		}
	}
	ca, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err := errors.Join(err, os.Mkdir(dir, 0o700)); err != nil {
		f.t.Fatal(err)
	}
	authority := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, authority, authority, ca.Public(), ca)
	write("ca.crt", "CERTIFICATE", der, err)
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		f.t.Fatal(err)
	}
	service := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "service"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err = x509.CreateCertificate(rand.Reader, service, authority, own.Public(), ca)
	write("tls.crt", "CERTIFICATE", der, err)
	der, err = x509.MarshalPKCS8PrivateKey(own)
	write("tls.key", "PRIVATE KEY", der, err)
	return dir
}

func (f *fleet) share(target string) string { return filepath.Join(f.dir, "shares", target) }

// front is the deployment as merchants and payers see it.
func (f *fleet) front() *process {
	return &process{t: f.t, url: "http://" + f.public[0], data: f.dir, logs: f.logs, all: f}
}

// start runs an instance, for the first time or again.
func (f *fleet) start(target string, i int) {
	f.t.Helper()
	data := filepath.Join(f.dir, fmt.Sprintf("%s-%d", target, i))
	if target == "simulator" {
		data = f.dir
	}
	p := f.instances[target][i]
	flags := []string{"--target", target, "--data", data, "--keys", f.share(target), "--admin-listen", strings.TrimPrefix(p.url, "http://"),
		"--public-url", "http://" + f.public[0]}
	flags = append(flags, f.proof...)
	if target == "gateway" {
		flags = append(flags, "--listen", f.public[i])
	} else {
		flags = append(flags, "--internal-listen", f.internal[target][i])
	}
	for service, addresses := range f.internal { // the same list for all: what a target does not call it passes over
		var urls []string
		for _, a := range addresses {
			urls = append(urls, f.scheme+a)
		}
		flags = append(flags, "--service", service+"="+strings.Join(urls, ","))
	}
	p.start(flags...)
}

// kill ends an instance as a power cut does.
func (f *fleet) kill(target string, i int) {
	f.t.Helper()
	p := f.instances[target][i]
	if err := p.cmd.Process.Signal(syscall.SIGKILL); err != nil {
		f.t.Errorf("kill %s: %v", target, err)
	}
	<-p.done
}

// stop ends every process, the gateways first, and checks that each ends well.
func (f *fleet) stop() {
	f.stopOnce.Do(func() {
		for _, target := range []string{"gateway", "simulator", "users", "links", "verifier", "payments", "notifier", "transactions", "fraud"} {
			for _, p := range f.instances[target] {
				if p.done != nil {
					p.end()
				}
			}
		}
	})
}

func (f *fleet) gatewayURL(turn int) string {
	return "http://" + f.public[turn%len(f.public)]
}

// databaseKeepsNoCard reads every row of the deployment's database.
func (f *fleet) databaseKeepsNoCard() {
	f.t.Helper()
	ctx := f.t.Context()
	conn, err := pgx.Connect(ctx, f.database)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(ctx, `SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`)
	if err != nil {
		f.t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(tables) < 8 {
		f.t.Fatalf("tables %v: %v", tables, err)
	}
	read := 0
	for _, table := range tables {
		rows, err := conn.Query(ctx, "SELECT row_to_json(t)::text FROM "+table+" t")
		if err != nil {
			f.t.Fatal(err)
		}
		content, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			f.t.Fatal(err)
		}
		read += len(content)
		keptNowhere(f.t, "the table "+table, []byte(strings.Join(content, "\n")))
	}
	if read < 20 {
		f.t.Errorf("only %d rows were read", read)
	}
	if table := getenv(f.t, paymentsStore); table != "" {
		tableKeepsNoCard(f.t, table)
	}
}

// The bounds of the load under which services end.
const (
	fleetClients  = 8
	fleetRunsFor  = 700 * time.Millisecond // between two of them
	fleetDeadFor  = 700 * time.Millisecond
	fleetStoreOut = 3 * time.Second // longer than calls are repeated
	fleetPayments = 40              // that the load must have made at least
)

// everyService in the order in which the tests end them.
var everyService = []string{"users", "links", "verifier", "payments", "transactions", "notifier", "fraud", "simulator", "gateway"}

// load is customers who buy, pay and are refunded while parts of a fleet end.
type load struct {
	*killed
	told    *told
	running sync.WaitGroup
}

func (f *fleet) load(t *testing.T) *load {
	t.Helper()
	_, key := f.front().merchant(t, "ada")
	l := &load{told: &told{links: map[string]toldLink{}, payments: map[string]toldPayment{}, refunds: map[string]toldRefund{}, answers: map[string]int{}},
		killed: &killed{t: t, fleet: f, logs: f.logs, http: &http.Client{Timeout: killCallLimit, Transport: &http.Transport{MaxIdleConnsPerHost: fleetClients}}}}
	l.id, l.secret = apiKey(t, key)
	for i := range fleetClients {
		own := mathrand.New(mathrand.NewPCG(1, uint64(i))) //nolint:gosec // a test's choices
		l.running.Go(func() { l.customer(l.told, fmt.Sprintf("c%d", i), own) })
	}
	return l
}

// end stops the customers, sends again what was not answered, waits until every
// payment is decided, and compares everything that was acknowledged; then the
// whole fleet is stopped and its books are held against the issuer's.
func (l *load) end(t *testing.T) {
	t.Helper()
	k := l.told
	l.dying.Store(true)
	l.running.Wait()
	l.dying.Store(false)
	var again []killCall
	k.locked(func() { again, k.unheard = k.unheard, nil; k.again += len(again) })
	l.repeat(k, again)
	l.settle(k)
	l.check(k, k.everything())
	l.report(k)
	t.Logf("%d links, %d payments, %d refunds acknowledged; %d requests sent again; answers %v", len(k.links), len(k.payments), len(k.refunds), k.again, k.answers)
	if len(k.payments) < fleetPayments {
		t.Errorf("only %d payments: the test shows little", len(k.payments))
	}
	l.fleet.stop()
	out, errs, status := command(t, "verify", "--data", l.fleet.dir)
	if status != 0 || !strings.Contains(out, " 0 broken") {
		t.Fatalf("verify ends with %d:\n%s%s", status, out, errs)
	}
	t.Log(strings.TrimSpace(out))
}

// TestF26EachServiceKilledInTurn kills, under a load of payments, one instance of
// each service after another, and the only one of the simulator; and stops
// PostgreSQL for a while. Callers hear clear errors or nothing; what was
// acknowledged is there; what was not answered can be sent again; and in the end
// the books agree with the issuer's.
func TestF26EachServiceKilledInTurn(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	f := deploy(t, server.Database(t), false)
	l := f.load(t)
	f.killInTurn(t, l)
	server.Stop(t)
	wait(fleetStoreOut)
	server.Start(t)
	for _, target := range everyService {
		for _, p := range f.instances[target] {
			p.ready()
		}
	}
	wait(fleetRunsFor)
	l.end(t)
}

// killInTurn kills one instance of each service after another, and brings it back.
func (f *fleet) killInTurn(t *testing.T, l *load) {
	t.Helper()
	for _, target := range everyService {
		wait(fleetRunsFor)
		before := l.told.count()
		f.kill(target, 0)
		wait(fleetDeadFor)
		during := 0
		eventually(t, "something is answered while an instance of "+target+" is dead", func() bool {
			during = l.told.count() - before
			return during > 0
		})
		f.start(target, 0)
		f.instances[target][0].ready()
		t.Logf("%s was killed and came back; %d answers meanwhile", target, during)
	}
}

// newerSchema brings the database to where the next version's migration would: what
// runs now must go on working, and what is started again must start.
func (f *fleet) newerSchema(t *testing.T) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), f.database)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	statements := []string{"INSERT INTO goose_db_version (version_id, is_applied) VALUES (9999, true)"}
	for _, table := range []string{"links", "payments", "events", "event_seqs", "idempotency", "balances", "accounts", "users", "api_keys", "sessions",
		"webhook_endpoints", "webhook_deliveries"} {
		statements = append(statements, "ALTER TABLE "+table+" ADD COLUMN added_later TEXT NOT NULL DEFAULT ''")
	}
	for _, statement := range statements {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

// TestF30RollingUpgrade brings the schema forward and then ends one instance of each
// service after another as an upgrade does, and starts it again: under a load of
// payments, with mutual TLS between the services. Nobody but the load balancer
// before the gateways notices.
func TestF30RollingUpgrade(t *testing.T) {
	t.Parallel()
	f := deploy(t, pgtest.Database(t), true)
	l := f.load(t)
	wait(fleetRunsFor)
	f.newerSchema(t)
	for _, target := range everyService {
		if target == "gateway" || target == "simulator" { // the one has no load balancer here that looks, the other no second instance
			continue
		}
		wait(fleetRunsFor)
		f.instances[target][0].end()
		f.start(target, 0)
		f.instances[target][0].ready()
	}
	l.told.locked(func() {
		for answer, n := range l.told.answers {
			if strings.HasSuffix(answer, " 503") || strings.HasSuffix(answer, " 409") {
				t.Errorf("%d times %s", n, answer)
			}
		}
		if len(l.told.unheard) > 0 {
			t.Errorf("%d requests were not answered", len(l.told.unheard))
		}
	})
	l.end(t)
}

func wait(d time.Duration) {
	timer := time.NewTimer(d)
	<-timer.C
}

func (k *told) count() (n int) {
	k.locked(func() {
		for _, c := range k.answers {
			n += c
		}
	})
	return n
}

// apiKey makes a key whose id and secret are known, as Basic credentials want.
func apiKey(t *testing.T, key *client) (id, secret string) {
	t.Helper()
	user := key.as(str(t, key.as("").ok("POST", "/api/sessions", `{"login":"ada","password":"correct horse battery"}`), "token"))
	made := user.ok("POST", "/api/api-keys", `{"name":"load","mode":"test","scopes":`+everyScope+`}`)
	return str(t, made, "id"), str(t, made, "secret")
}

// TestSplit looks at one deployment from outside and from beside.
func TestSplit(t *testing.T) {
	t.Parallel()
	f := deploy(t, pgtest.Database(t), false)
	t.Run("routes", func(t *testing.T) { keepsToItsRoutes(t, f) })
	t.Run("I14 the other gateway replays", func(t *testing.T) { replaysElsewhere(t, f) })
}

// replaysElsewhere sends every kind of request that takes a key to one gateway, and
// again to the other: the answers are equal to the byte.
func replaysElsewhere(t *testing.T, f *fleet) {
	user, key := f.front().merchant(t, "ada")
	twice := func(c *client, path, body string) map[string]any {
		t.Helper()
		name := "key of " + path
		first := c.do("POST", path, body, "Idempotency-Key", name)
		other := *c
		other.url = f.gatewayURL(1)
		again := other.do("POST", path, body, "Idempotency-Key", name)
		if first.status != http.StatusOK || string(first.body) != string(again.body) || first.header.Get("Idempotent-Replayed") != "" || again.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: %d\n%s\nand again: %d\n%s", path, first.status, first.body, again.status, again.body)
		}
		if spaced := other.do("POST", path, strings.TrimSuffix(body, "}")+" }", "Idempotency-Key", name); string(spaced.body) != string(first.body) {
			t.Errorf("%s with a space more: %d %s", path, spaced.status, spaced.body)
		}
		if body == "{}" { // the only one that the call takes
			return first.json
		}
		if third := other.do("POST", path, strings.TrimSuffix(body, "}")+`,"other":1}`, "Idempotency-Key", name); third.status != http.StatusUnprocessableEntity {
			t.Errorf("%s with another body: %d", path, third.status)
		}
		return first.json
	}
	pay := func(members, attempt string) string {
		l := key.link(members)
		if a := key.payJSON(l, attempt, "4242424242424242"); a.status != http.StatusOK {
			t.Fatalf("%d %s", a.status, a.body)
		}
		return str(t, paymentsOf(key, l)[0], "id")
	}
	public := key.as("")
	twice(public, "/api/users", `{"username":"bob","email":"bob@example.com","password":"correct horse battery"}`)
	twice(public, "/api/sessions", `{"login":"bob","password":"correct horse battery"}`)
	made := twice(user, "/api/api-keys", `{"name":"other","mode":"test","scopes":["links:read"]}`)
	twice(user, "/api/api-keys/"+str(t, made, "id")+"/rotate", `{"graceSeconds":60}`)
	l := twice(key, "/api/payment", `{"currency":"EUR","amount":"12.50","description":"<b> & \u2028 \"ü\""}`)
	twice(key, "/api/links/"+str(t, l, "id")+"/cancel", `{}`)
	twice(key, "/api/payments/"+pay(`"amount":"12.50"`, "attempt-0000000001")+"/refunds", `{"amount":"2.50"}`)
	twice(key, "/api/payments/"+pay(`"amount":"12.50","capture":"manual"`, "attempt-0000000002")+"/capture", `{"amount":"10"}`)
	twice(key, "/api/payments/"+pay(`"amount":"12.50","capture":"manual"`, "attempt-0000000003")+"/void", `{}`)
	hook := twice(key, "/api/webhook-endpoints", `{"url":"https://shop.example/hooks"}`)
	twice(key, "/api/webhook-endpoints/"+str(t, hook, "id")+"/rotate", `{}`)
}

// keepsToItsRoutes: what faces the internet serves no internal call, and the
// internal listeners serve nobody who proves nothing.
func keepsToItsRoutes(t *testing.T, f *fleet) {
	front := f.front()
	for _, path := range []string{"/paylink.users/SignUp", "/paylink.transactions/Submit", "/metrics"} {
		if status, body := front.get(t, path); status != http.StatusNotFound {
			t.Errorf("the gateway answers %s with %d %s", path, status, body)
		}
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	raw := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	for target, addresses := range f.internal {
		for _, path := range []string{"/", "/api/payments", "/openapi.yaml", "/.well-known/jwks.json", "/healthz", "/readyz", "/metrics", "/l/x", "/simulator/3ds.css", "/paylink." + target + "/Get"} {
			r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+addresses[0]+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			resp, err := raw.Do(r)
			if err != nil {
				t.Errorf("%s %s: %v", target, path, err)
				continue
			}
			if _ = resp.Body.Close(); resp.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s answers %s with %d", target, path, resp.StatusCode)
			}
		}
		for _, path := range []string{"/healthz", "/readyz", "/metrics"} {
			if status, _ := f.instances[target][0].get(t, path); status != http.StatusOK {
				t.Errorf("%s: the admin listener answers %s with %d", target, path, status)
			}
		}
	}
	// A good look at a false session is a call to users.
	if a := (&process{url: "http://" + f.public[0]}).client(t).as("eyJhbGciOiJFZERTQSJ9.e30.AA").do("GET", "/api/users/me", ""); a.status != http.StatusUnauthorized {
		t.Errorf("a false session: %d", a.status)
	}
	if _, body := f.instances["gateway"][0].get(t, "/metrics"); !strings.Contains(body, `paylink_rpc_seconds_count{code=`) || !strings.Contains(body, "paylink_rpc_refused_total") {
		t.Errorf("the gateway's metrics lack the calls: %.300s", body)
	}
	if slices.Contains(strings.Split(f.logs.String(), "\n"), "panic") {
		t.Error("something panicked")
	}
}
