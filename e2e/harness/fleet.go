package harness

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/pgtest"
)

const paymentsStore = "PAYLINK_PAYMENTS_STORE"

// PaymentsOn makes every paylink that the test runs keep links and payments in a
// table.
func PaymentsOn(t *testing.T, url string) { t.Helper(); Setenv(t, paymentsStore, url) }

// Distribute deploys every service separately, on PostgreSQL and DynamoDB.
func Distribute(t *testing.T, table string) *Fleet {
	t.Helper()
	database := pgtest.Database(t)
	StoreOn(t, database)
	PaymentsOn(t, table)
	Worked(t, "up to date", "migrate", "--data", t.TempDir())
	return Deploy(t, database, false)
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

// fleetTargets maps the targets of a split deployment to their number of instances: two of each
// without data of its own, one of the simulator, whose book is a file.
var fleetTargets = map[string]int{
	"gateway":      2,
	"users":        2,
	"links":        2,
	"verifier":     2,
	"payments":     2,
	"transactions": 2,
	"notifier":     2,
	"fraud":        2,
	"simulator":    1,
}

// Fleet is a split deployment: every target a separate process, with its share of the keys and
// its own data folder.
type Fleet struct {
	t         testing.TB
	Dir       string // holds the whole ring and the simulator's book, for the tools
	Database  string
	Logs      *Buffer
	scheme    string   // between services
	public    []string // addresses of the gateways
	Internal  map[string][]string
	Instances map[string][]*Process
	stopOnce  sync.Once
}

// fleetsAtOnce limits the deployments of 17 processes that a test binary runs concurrently.
var fleetsAtOnce = make(chan struct{}, 1)

// Deploy starts every process on a database, and waits until all are ready. The services
// authenticate by keys, or by certificates.
func Deploy(t *testing.T, database string, mutualTLS bool) *Fleet {
	t.Helper()
	fleetsAtOnce <- struct{}{}
	t.Cleanup(func() { <-fleetsAtOnce })
	f := &Fleet{t: t, Dir: filepath.Join(t.TempDir(), "data"), Database: database, Logs: &Buffer{},
		Internal: map[string][]string{}, Instances: map[string][]*Process{}}
	StoreOn(t, f.Database) // for the tools, too
	f.roles()
	Worked(t, "created the keys", "keys", "create", "--data", f.Dir)
	f.credentials(mutualTLS)
	for target, n := range fleetTargets {
		if target != "payments" {
			Worked(t, target+": ", "keys", "export", "--data", f.Dir, "--target", target, f.share(target))
		}
		for range n {
			if target == "gateway" {
				f.public = append(f.public, FreeAddress(t))
			} else {
				f.Internal[target] = append(f.Internal[target], FreeAddress(t))
			}
		}
	}
	t.Cleanup(f.Stop)
	for target, n := range fleetTargets {
		for i := range n {
			f.Instances[target] = append(f.Instances[target], &Process{T: t, Logs: f.Logs, URL: "http://" + FreeAddress(t)})
			f.Start(target, i)
		}
	}
	for target := range fleetTargets {
		for _, p := range f.Instances[target] {
			p.Ready()
		}
	}
	return f
}

// roles migrates the store and gives each service a database role with the rights that it needs.
// Roles belong to the whole server, which other tests share.
func (f *Fleet) roles() {
	f.t.Helper()
	for target := range fleetTargets {
		pgtest.Exec(f.t, f.Database, "DO $$ BEGIN CREATE ROLE paylink_"+target+
			" LOGIN; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$")
	}
	Worked(f.t, "the roles paylink_SERVICE have the rights", "migrate", "--roles", "paylink_", "--data", f.Dir)
}

// RoleURL is the store's address for a service, as its own role.
func (f *Fleet) RoleURL(target string) string {
	return strings.Replace(f.Database, "postgres@", "paylink_"+target+"@", 1)
}

// credentials makes what services prove themselves by, and keeps what only the operator holds.
func (f *Fleet) credentials(mutualTLS bool) {
	f.t.Helper()
	if f.scheme = "http://"; mutualTLS {
		f.scheme = "https://"
		Worked(f.t, "certificates for", "certificates", "--host", "127.0.0.1", f.file("certificates"))
		return
	}
	Worked(f.t, "created", "internal-keys", "create", f.file("internal-root.json"))
	for target := range fleetTargets {
		Worked(f.t, target+": keys", "internal-keys", "export", "--root", f.file("internal-root.json"), "--target", target, f.internalKeys(target))
	}
}

// proof returns the flags with a target's credentials.
func (f *Fleet) proof(target string) []string {
	if f.scheme == "https://" {
		return []string{"--internal-tls", filepath.Join(f.file("certificates"), target)}
	}
	return []string{"--internal-keys", f.internalKeys(target)}
}

func (f *Fleet) internalKeys(target string) string {
	return filepath.Join(f.Dir, "internal", target, "internal.json")
}

func (f *Fleet) file(name string) string { return filepath.Join(f.Dir, name) }

func (f *Fleet) share(target string) string { return filepath.Join(f.Dir, "shares", target) }

// Front is the deployment as merchants and payers see it.
func (f *Fleet) Front() *Process {
	return &Process{T: f.t, URL: "http://" + f.public[0], Data: f.Dir, Logs: f.Logs, all: f}
}

// Start runs an instance, for the first time or again.
func (f *Fleet) Start(target string, i int) {
	f.t.Helper()
	data := filepath.Join(f.Dir, fmt.Sprintf("%s-%d", target, i))
	if target == "simulator" {
		data = f.Dir
	}
	p := f.Instances[target][i]
	flags := []string{"--target", target, "--data", data, "--keys", f.share(target), "--admin-listen", strings.TrimPrefix(p.URL, "http://"),
		"--public-url", "http://" + f.public[0], "--store", f.RoleURL(target)}
	flags = append(flags, f.proof(target)...)
	if target == "gateway" {
		flags = append(flags, "--listen", f.public[i])
	} else {
		flags = append(flags, "--internal-listen", f.Internal[target][i])
	}
	for service, addresses := range f.Internal { // the same list for all: a target ignores what it does not call
		var urls []string
		for _, a := range addresses {
			urls = append(urls, f.scheme+a)
		}
		flags = append(flags, "--service", service+"="+strings.Join(urls, ","))
	}
	p.start(flags...)
}

// Kill ends an instance at once.
func (f *Fleet) Kill(target string, i int) {
	f.t.Helper()
	f.Instances[target][i].Kill()
}

// Stop ends every process, the gateways first, and checks that each ends well, and that no role
// lacked a right.
func (f *Fleet) Stop() {
	f.stopOnce.Do(func() {
		for _, target := range []string{"gateway", "simulator", "users", "links", "verifier", "payments", "notifier", "transactions", "fraud"} {
			for _, p := range f.Instances[target] {
				if p.Done != nil {
					p.Stop()
				}
			}
		}
		for line := range strings.Lines(f.Logs.String()) {
			if strings.Contains(line, "permission denied") {
				f.t.Errorf("a service's role lacks a right: %s", line)
			}
		}
	})
}

// GatewayURL is the address of a gateway, each in its turn.
func (f *Fleet) GatewayURL(turn int) string {
	return "http://" + f.public[turn%len(f.public)]
}

// databaseKeepsNoCard reads every row of the deployment's database.
func (f *Fleet) databaseKeepsNoCard() {
	f.t.Helper()
	ctx := f.t.Context()
	conn, err := pgx.Connect(ctx, f.Database)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	rows, err := conn.Query(
		ctx,
		`SELECT table_schema || '.' || table_name FROM information_schema.tables WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
	)
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
