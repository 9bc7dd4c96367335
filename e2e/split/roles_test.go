package split

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// readers lists for each table the services that may read it, written by hand. A name that ends in
// an asterisk stands for all tables that begin with it.
var readers = map[string]string{
	"users": "users", "logins": "users", "api_keys": "users", "sessions": "users", "guards": "users", "guesses": "users", "tokens": "users",
	"activity": "users",
	"accounts": "users notifier", "mails": "users notifier",
	"links": "links verifier transactions notifier fraud", "forms": "links verifier",
	"payments": "payments transactions notifier fraud", "event_seqs": "links transactions notifier",
	"events": "payments notifier fraud", "balances": "payments", "report_*": "payments",
	"webhook_*": "notifier", "mail_*": "notifier", "relay*": "notifier", "river_*": "notifier",
	"fraud_*": "fraud", "analytics_*": "fraud", "set_aside": "payments notifier fraud",
	"checkpoints": "users links payments transactions notifier fraud", "idempotency": "users links transactions notifier fraud",
	"goose_db_version": "users links verifier payments transactions notifier fraud",
	"needed_keys":      "users links verifier payments transactions notifier fraud", "feed": "users links verifier payments transactions notifier fraud",
	"test_clocks": "users links verifier payments transactions notifier fraud",
}

// readersOf returns the entry of a table, or nil if the list above lacks it.
func readersOf(table string) []string {
	for name, services := range readers {
		if prefix, family := strings.CutSuffix(name, "*"); name == table || family && strings.HasPrefix(table, prefix) {
			return strings.Fields(services)
		}
	}
	return nil
}

// TestRolesKeepToTheirTables reads every table as the role of every service: only its own answer.
func TestRolesKeepToTheirTables(t *testing.T) {
	t.Parallel()
	f := harness.Deploy(t, pgtest.Database(t), false)
	ask := func(service, query string) error {
		t.Helper()
		conn, err := pgx.Connect(t.Context(), f.RoleURL(service))
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(t.Context()) }()
		_, err = conn.Exec(t.Context(), query)
		return err
	}
	denied := func(err error) bool {
		var e *pgconn.PgError
		return errors.As(err, &e) && e.Code == "42501" // insufficient_privilege
	}

	owner, err := pgx.Connect(t.Context(), f.Database)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := owner.Query(t.Context(), "SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err := errors.Join(err, owner.Close(t.Context())); err != nil || len(tables) < 40 {
		t.Fatalf("tables %v, %v", tables, err)
	}
	services := append(strings.Fields(readers["feed"]), "gateway", "simulator")
	for _, service := range services {
		for _, table := range tables {
			want := readersOf(table)
			if want == nil {
				t.Errorf("the table %s is not in the list of this test", table)
			}
			err := ask(service, "SELECT * FROM "+table+" LIMIT 1")
			if may := slices.Contains(want, service); may && err != nil || !may && !denied(err) {
				t.Errorf("%s reads %s: %v; it may: %t", service, table, err, may)
			}
		}
		if err := ask(service, "CREATE TABLE mine (x INT)"); !denied(err) {
			t.Errorf("%s makes tables: %v", service, err)
		}
	}

	// Some rights are for a few columns, or do not include a change.
	for query, service := range map[string]string{
		"SELECT email FROM users LIMIT 1": "notifier", "SELECT MAX(position) FROM events": "users",
	} {
		if err := ask(service, query); err != nil {
			t.Errorf("%s: %s: %v", service, query, err)
		}
	}
	for query, service := range map[string]string{
		"SELECT password_hash FROM users": "notifier", "SELECT data FROM events": "links", "UPDATE payments SET status = ''": "payments",
		"UPDATE links SET open = 0": "verifier", "DELETE FROM events": "transactions", "UPDATE api_keys SET hash = ''": "transactions",
		"UPDATE users SET password_hash = ''": "notifier", "UPDATE fraud_models SET state = ''": "fraud",
	} {
		if err := ask(service, query); !denied(err) {
			t.Errorf("%s: %s: %v", service, query, err)
		}
	}
	busyDay(t, f)
}

// busyDay makes every service do all that it does with its tables. A right that a role lacks is
// found in the logs when the fleet stops.
func busyDay(t *testing.T, f *harness.Fleet) {
	user, key := f.Front().Merchant(t, "ada")
	shop := harness.OpenShop(t)
	shop.Register(key)
	pay := func(members, attempt string) string {
		t.Helper()
		l := key.Link(members)
		if a := key.PayJSON(l, attempt, "4242424242424242"); a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return harness.Str(t, harness.PaymentsOf(key, l)[0], "id")
	}
	key.OK("POST", "/api/fraud/rules", `{"name":"Large","action":"review","when":"amount >= 200.0","state":"on"}`)
	gone := harness.Str(t, key.OK("POST", "/api/fraud/rules", `{"name":"Gone","action":"block","when":"amount > 500.0"}`), "id")
	key.OK("PUT", "/api/fraud/rules/"+gone, `{"state":"shadow"}`)
	key.OK("GET", "/api/fraud/rules/"+gone+"/versions", "")
	key.OK("DELETE", "/api/fraud/rules/"+gone, "")
	entry := harness.Str(t, key.OK("POST", "/api/fraud/lists", `{"kind":"email","value":"@mail.example","action":"block","note":"seen"}`), "id")
	key.OK("DELETE", "/api/fraud/lists/"+entry, "")
	key.OK("PUT", "/api/fraud/policy", `{"onTimeout":"block","reviewSeconds":7200}`)
	key.OK("POST", "/api/fraud/backtests", `{"when":"amount > 1.0"}`)

	form := harness.Str(t, key.OK("POST", "/api/forms", `{"name":"Donation","currency":"EUR","amounts":["5","10"]}`), "id")
	key.OK("PUT", "/api/forms/"+form, `{"name":"Gift","currency":"EUR","amounts":["5","20"]}`)
	key.OK("DELETE", "/api/forms/"+form, "")
	unused := harness.Str(t, key.Link(`"amount":"3"`), "id")
	key.OK("POST", "/api/links/"+unused+"/cancel", `{}`, "Idempotency-Key", "cancel")

	paid := pay(`"amount":"12.50"`, "attempt-0000000001")
	key.OK("POST", "/api/payments/"+paid+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund")
	key.OK("POST", "/api/payments/"+paid+"/disputes", `{"reason":"duplicate","amount":"5"}`, "Idempotency-Key", "dispute")
	key.OK("POST", "/api/payments/"+pay(`"amount":"12.50","capture":"manual"`, "attempt-0000000002")+"/capture", `{"amount":"10"}`)
	key.OK("POST", "/api/payments/"+pay(`"amount":"12.50","capture":"manual"`, "attempt-0000000003")+"/void", `{}`)
	await.Until(t, "the rule is in force", func() bool {
		held := pay(`"amount":"250"`, "attempt-0000000004")
		return key.Do("POST", "/api/payments/"+held+"/review", `{"verdict":"approve"}`).Status == http.StatusOK
	})
	key.OK("POST", "/api/payments/"+paid+"/mark", `{"label":"legitimate"}`)
	for _, path := range []string{"/api/payments", "/api/balance", "/api/events", "/api/reviews", "/api/disputes", "/api/payments/" + paid + "/related"} {
		key.OK("GET", path, "")
	}

	shop.Heard("link.created", "payment.succeeded", "link.paid", "refund.succeeded")
	hook := harness.Str(t, key.OK("POST", "/api/webhook-endpoints", `{"url":"https://shop.example/hooks"}`), "id")
	key.OK("POST", "/api/webhook-endpoints/"+hook+"/rotate", `{}`)
	key.OK("POST", "/api/webhook-endpoints/"+hook+"/test", `{"type":"payment.succeeded"}`)
	key.OK("POST", "/api/webhook-endpoints/"+hook+"/redeliver", `{"status":"parked"}`)
	key.OK("DELETE", "/api/webhook-endpoints/"+hook, "")
	user.OK("POST", "/api/test-clock", `{"advanceSeconds":60}`)
	spare := user.OK("POST", "/api/api-keys", `{"name":"spare","mode":"test","scopes":["links:read"]}`)
	user.OK("POST", "/api/api-keys/"+harness.Str(t, spare, "id")+"/rotate", `{"graceSeconds":60}`)
	user.OK("DELETE", "/api/api-keys/"+harness.Str(t, spare, "id"), "")
	if a := user.As("").Do("POST", "/api/sessions", `{"login":"ada","password":"wrong horse battery"}`); a.Status != http.StatusUnauthorized {
		t.Errorf("a wrong password: %d %s", a.Status, a.Body)
	}
	user.OK("DELETE", "/api/sessions/current", "")
}
