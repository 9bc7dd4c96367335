package main_test

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/store/pgtest"
)

// storeOn makes every paylink that the test runs keep everything in a database.
func storeOn(t *testing.T, url string) { t.Helper(); setenv(t, "PAYLINK_STORE", url) }

// grants are what docs/operate/postgresql.md gives to the role that serves.
const grants = `CREATE ROLE paylink_app LOGIN; GRANT USAGE ON SCHEMA public TO paylink_app;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO paylink_app;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO paylink_app;
	ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO paylink_app;
	ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO paylink_app`

// TestPostgres is a merchant's day with everything on PostgreSQL, which an operator
// restarts in the middle of it.
func TestPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	owner := server.Database(t)
	storeOn(t, owner)
	worked(t, "was 0", "migrate", "--data", t.TempDir())
	pgtest.Exec(t, owner, grants)
	storeOn(t, strings.Replace(owner, "postgres@", "paylink_app@", 1))
	p := serve(t)
	_, key := p.merchant(t, "ada")
	shop := openShop(t)
	shop.register(key)
	l := key.link(`"amount":"12.50"`)
	if a := key.payJSON(l, "attempt-0000000001", "4242424242424242"); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	onePayment(key, l, "succeeded")
	shop.heard("link.created", "payment.succeeded", "link.paid")

	server.Stop(t)
	eventually(t, "the server says that it is not ready", func() bool {
		status, _ := p.get(t, "/readyz")
		return status == http.StatusServiceUnavailable
	})
	for _, call := range [][3]string{{"GET", "/api/payments", ""}, {"POST", "/api/payment", `{"currency":"EUR","amount":"1"}`}, {"GET", "/api/balance", ""}} {
		if a := key.do(call[0], call[1], call[2]); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %d %s", call[0], call[1], a.status, a.body)
		}
	}
	server.Start(t)
	eventually(t, "the server is ready again", func() bool {
		status, _ := p.get(t, "/readyz")
		return status == http.StatusOK
	})
	second := key.link(`"amount":"7.50"`)
	if a := key.payJSON(second, "attempt-0000000002", "4242424242424242"); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	eventually(t, "the webhook of the second payment", func() bool {
		return strings.Contains(shop.received(), str(t, second, "id"))
	})
	readOnly(t, p, server, key, owner)
	worked(t, " 0 broken", "verify", "--data", p.data)
	if strings.Contains(p.logs.String(), "permission denied") || strings.Contains(p.logs.String(), "must be owner") {
		t.Errorf("the role lacks a right:\n%s", p.logs)
	}
	copied := filepath.Join(t.TempDir(), "backup")
	worked(t, "NOT COPIED: the database postgres://127.0.0.1", "backup", "--data", p.data, copied)
}

// readOnly makes the database one that takes no changes, as a replica that took over or a
// full disk does: the server says that it is not ready, and which check failed; reads go
// on; and it is ready again once the database is.
func readOnly(t *testing.T, p *process, server *pgtest.Server, key *client, owner string) {
	t.Helper()
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	again := "; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + name + "'"
	server.Exec(t, `ALTER DATABASE "`+name+`" SET default_transaction_read_only = on`+again)
	eventually(t, "the server says that it is not ready while its database is read-only", func() bool {
		status, body := p.get(t, "/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"checks":{`)
	})
	eventually(t, "payments can be read meanwhile", func() bool { return key.do("GET", "/api/payments", "").status == http.StatusOK })
	if a := key.do("POST", "/api/payment", `{"currency":"EUR","amount":"1"}`); a.status != http.StatusServiceUnavailable {
		t.Errorf("a link in a read-only database: %d %s", a.status, a.body)
	}
	server.Exec(t, `ALTER DATABASE "`+name+`" RESET default_transaction_read_only`+again)
	eventually(t, "the server is ready again", func() bool {
		status, _ := p.get(t, "/readyz")
		return status == http.StatusOK
	})
}

// TestRestorePostgres restores a served store as docs/operate says: a dump beside
// the running service, then the folder; all of it into a younger cluster, whose
// transaction ids the feed's positions are ahead of.
func TestRestorePostgres(t *testing.T) {
	t.Parallel()
	old, fresh := pgtest.New(t), pgtest.New(t)
	lost, restored := old.Database(t), fresh.Database(t)
	storeOn(t, lost)
	p := serve(t)
	_, key := p.merchant(t, "ada")
	shop := openShop(t)
	shop.register(key)
	paid, open := key.link(`"amount":"12.50"`), key.link(`"amount":"7.50"`)
	if a := key.payJSON(paid, "attempt-0000000001", "4242424242424242"); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	id := onePayment(key, paid, "succeeded")
	key.ok("POST", "/api/payments/"+id+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund-1")
	shop.heard("link.created", "payment.succeeded", "link.paid")
	before := key.ok("GET", "/api/payments/"+id, "")

	old.Copy(t, lost, restored)
	copied := filepath.Join(t.TempDir(), "backup")
	worked(t, "NOT COPIED: the database", "backup", "--data", p.data, copied)
	after := key.link(`"amount":"1.00"`) // which the backup does not have
	p.end()
	old.Kill(t)

	storeOn(t, restored)
	worked(t, " 0 broken", "verify", "--data", copied)
	q := serveOn(t, copied, strings.TrimPrefix(p.url, "http://"))
	goesOn(t, key, before, paid, open)
	if a := key.payJSON(after, "attempt-0000000004", "4242424242424242"); a.status == http.StatusOK {
		t.Errorf("a link that the backup does not have was paid: %s", a.body)
	}
	eventually(t, "the webhook of the second payment", func() bool { return strings.Contains(shop.received(), str(t, open, "id")) })
	eventually(t, "the balance of both payments", func() bool {
		return strings.Contains(string(key.do("GET", "/api/balance", "").body), `"17.50"`)
	})
	worked(t, " 0 broken", "verify", "--data", q.data)
}

// TestI10Kill9UnderLoadPostgres is TestI10Kill9UnderLoad on the other engine.
func TestI10Kill9UnderLoadPostgres(t *testing.T) {
	t.Parallel()
	storeOn(t, pgtest.Database(t))
	killUnderLoad(t, killRounds/4)
}

// Two processes share the database. What one does counts for the other at once;
// one is killed, and the other goes on with what both did.
func TestPostgresTwoProcesses(t *testing.T) {
	storeOn(t, pgtest.Database(t))
	a := serve(t)
	data := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(filepath.Join(data, "keys"), os.DirFS(filepath.Join(a.data, "keys"))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(data, 0o700), os.Chmod(filepath.Join(data, "keys"), 0o700), os.Chmod(filepath.Join(data, "keys", "keys.json"), 0o600)); err != nil {
		t.Fatal(err)
	}
	b := serveOn(t, data, freeAddress(t))
	user, key := a.merchant(t, "ada")
	shop := openShop(t)
	shop.register(key)
	other := *key
	other.url = b.url // the same merchant at the other process
	l := key.link(`"amount":"12.50"`)
	if p := other.payJSON(l, "attempt-0000000001", "4242424242424242"); p.status != http.StatusOK {
		t.Fatalf("%d %s", p.status, p.body)
	}
	onePayment(key, l, "succeeded")
	shop.heard("link.created", "payment.succeeded", "link.paid")
	spare := user.ok("POST", "/api/api-keys", `{"name":"spare","mode":"test","scopes":`+everyScope+`}`)
	seen := other.as(str(t, spare, "secret"))
	seen.ok("GET", "/api/balance", "")
	user.ok("DELETE", "/api/api-keys/"+str(t, spare, "id"), "")
	if gone := seen.do("GET", "/api/balance", ""); gone.status != http.StatusUnauthorized {
		t.Fatalf("a key revoked at one process is taken by the other: %d", gone.status)
	}

	if err := a.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-a.done
	second := other.link(`"amount":"7.50"`)
	if p := other.payJSON(second, "attempt-0000000002", "4242424242424242"); p.status != http.StatusOK {
		t.Fatalf("%d %s", p.status, p.body)
	}
	eventually(t, "the webhook of the second payment", func() bool { return strings.Contains(shop.received(), str(t, second, "id")) })
	shop.heard()
	worked(t, " 0 broken", "verify", "--data", b.data)
}
