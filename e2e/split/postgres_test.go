package split

import (
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// grants are the rights that docs/operate/postgresql.md gives to the serving role.
const grants = `CREATE ROLE paylink_app LOGIN; GRANT USAGE ON SCHEMA public TO paylink_app;
	GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO paylink_app;
	GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO paylink_app;
	ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO paylink_app;
	ALTER DEFAULT PRIVILEGES IN SCHEMA public GRANT USAGE ON SEQUENCES TO paylink_app`

// TestPostgres is a merchant's day with everything on PostgreSQL, which an operator restarts in
// the middle.
func TestPostgres(t *testing.T) {
	t.Parallel()
	server := pgtest.New(t)
	owner := server.Database(t)
	harness.StoreOn(t, owner)
	harness.Worked(t, "was 0", "migrate", "--data", t.TempDir())
	pgtest.Exec(t, owner, grants)
	harness.StoreOn(t, strings.Replace(owner, "postgres@", "paylink_app@", 1))
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	shop := harness.OpenShop(t)
	shop.Register(key)
	l := key.Link(`"amount":"12.50"`)
	if a := key.PayJSON(l, "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	harness.OnePayment(key, l, "succeeded")
	shop.Heard("link.created", "payment.succeeded", "link.paid")

	server.Stop(t)
	await.Until(t, "the server says that it is not ready", func() bool {
		status, _ := p.Get(t, "/readyz")
		return status == http.StatusServiceUnavailable
	})
	for _, call := range [][3]string{{"GET", "/api/payments", ""}, {"POST", "/api/payment", `{"currency":"EUR","amount":"1"}`}, {"GET", "/api/balance", ""}} {
		if a := key.Do(call[0], call[1], call[2]); a.Status != http.StatusServiceUnavailable || a.Header.Get("Retry-After") == "" {
			t.Errorf("%s %s: %d %s", call[0], call[1], a.Status, a.Body)
		}
	}
	server.Start(t)
	await.Until(t, "the server is ready again", func() bool {
		status, _ := p.Get(t, "/readyz")
		return status == http.StatusOK
	})
	second := key.Link(`"amount":"7.50"`)
	if a := key.PayJSON(second, "attempt-0000000002", "4242424242424242"); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	await.Until(t, "the webhook of the second payment", func() bool {
		return strings.Contains(shop.Received(), harness.Str(t, second, "id"))
	})
	readOnly(t, server, p, key, owner)
	harness.Worked(t, " 0 broken", "verify", "--data", p.Data)
	if strings.Contains(p.Logs.String(), "permission denied") || strings.Contains(p.Logs.String(), "must be owner") {
		t.Errorf("the role lacks a right:\n%s", p.Logs)
	}
	copied := filepath.Join(t.TempDir(), "backup")
	harness.Worked(t, "NOT COPIED: the database postgres://127.0.0.1", "backup", "--data", p.Data, copied)
}

// readOnly makes the database refuse writes, as a standby or a full disk does: the server reports
// that it is not ready and which check failed, reads continue, and it is ready again once the
// database is.
func readOnly(t *testing.T, server *pgtest.Server, p *harness.Process, key *harness.Client, owner string) {
	t.Helper()
	u, err := url.Parse(owner)
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimPrefix(u.Path, "/")
	reconnect := "; SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '" + name + "'"
	server.Exec(t, `ALTER DATABASE "`+name+`" SET default_transaction_read_only = on`+reconnect)
	await.Until(t, "the server reports that it is not ready", func() bool {
		status, body := p.Get(t, "/readyz")
		return status == http.StatusServiceUnavailable && strings.Contains(body, `"checks":{`)
	})
	await.Until(t, "payments can be read", func() bool { return key.Do("GET", "/api/payments", "").Status == http.StatusOK })
	if a := key.Do("POST", "/api/payment", `{"currency":"EUR","amount":"1"}`); a.Status != http.StatusServiceUnavailable {
		t.Errorf("a link in a read-only database: %d %s", a.Status, a.Body)
	}
	server.Exec(t, `ALTER DATABASE "`+name+`" RESET default_transaction_read_only`+reconnect)
	await.Until(t, "the server is ready again", func() bool {
		status, _ := p.Get(t, "/readyz")
		return status == http.StatusOK
	})
}

// Two processes share the database. What one does counts for the other at once; one is killed,
// and the other continues with the work of both.
func TestPostgresTwoProcesses(t *testing.T) {
	harness.StoreOn(t, pgtest.Database(t))
	a := harness.Start(t)
	data := filepath.Join(t.TempDir(), "data")
	if err := os.CopyFS(filepath.Join(data, "keys"), os.DirFS(filepath.Join(a.Data, "keys"))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(os.Chmod(data, 0o700), os.Chmod(filepath.Join(data, "keys"), 0o700),
		os.Chmod(filepath.Join(data, "keys", "keys.json"), 0o600)); err != nil {
		t.Fatal(err)
	}
	b := harness.StartOn(t, data, harness.FreeAddress(t))
	user, key := a.Merchant(t, "ada")
	shop := harness.OpenShop(t)
	shop.Register(key)
	other := *key
	other.URL = b.URL // the same merchant at the other process
	l := key.Link(`"amount":"12.50"`)
	if p := other.PayJSON(l, "attempt-0000000001", "4242424242424242"); p.Status != http.StatusOK {
		t.Fatalf("%d %s", p.Status, p.Body)
	}
	harness.OnePayment(key, l, "succeeded")
	shop.Heard("link.created", "payment.succeeded", "link.paid")
	spare := user.OK("POST", "/api/api-keys", `{"name":"spare","mode":"test","scopes":`+harness.EveryScope+`}`)
	seen := other.As(harness.Str(t, spare, "secret"))
	seen.OK("GET", "/api/balance", "")
	user.OK("DELETE", "/api/api-keys/"+harness.Str(t, spare, "id"), "")
	if gone := seen.Do("GET", "/api/balance", ""); gone.Status != http.StatusUnauthorized {
		t.Fatalf("a key revoked at one process is taken by the other: %d", gone.Status)
	}

	a.Kill()
	second := other.Link(`"amount":"7.50"`)
	if p := other.PayJSON(second, "attempt-0000000002", "4242424242424242"); p.Status != http.StatusOK {
		t.Fatalf("%d %s", p.Status, p.Body)
	}
	await.Until(t, "the webhook of the second payment", func() bool { return strings.Contains(shop.Received(), harness.Str(t, second, "id")) })
	shop.Heard()
	harness.Worked(t, " 0 broken", "verify", "--data", b.Data)
}
