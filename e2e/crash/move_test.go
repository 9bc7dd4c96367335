package crash

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// TestMoveToPostgres moves a merchant from the embedded file to PostgreSQL: nothing is lost, an
// existing link is paid afterwards, and a webhook that the old server could not deliver comes
// from the new one.
func TestMoveToPostgres(t *testing.T) {
	t.Parallel()
	move(t, []string{"--store", pgtest.Database(t)})
}

// move exports a server's embedded store, imports it into the stores that the flags name, and
// continues there.
func move(t *testing.T, stores []string) *harness.Process {
	t.Helper()
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	shop := harness.OpenShop(t)
	paid, open := key.Link(`"amount":"12.50"`), key.Link(`"amount":"7.50"`)
	if a := key.PayJSON(paid, "attempt-0000000001", "4242424242424242"); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	id := harness.OnePayment(key, paid, "succeeded")
	key.OK("POST", "/api/payments/"+id+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund-1")
	guarded := guard(t, key, id)
	shop.Register(key)
	shop.Shut(true)
	late := key.Link(`"amount":"1.00"`)
	await.Until(t, "the shop has refused a webhook", func() bool { return shop.Knocks() > 0 })
	before := key.OK("GET", "/api/payments/"+id, "")
	p.Stop()
	model := promoted(t, p.Data)

	file := filepath.Join(t.TempDir(), "archive")
	out, _, _ := harness.Command(t, "export", "--data", p.Data, file)
	for _, kind := range []string{"1 payments", "1 rules", "2 rule versions", "1 list entries", "1 policies", "1 models"} {
		if !strings.Contains(out, "exported "+kind) {
			t.Errorf("not exported: %s\n%s", kind, out)
		}
	}
	harness.Refused(t, "file exists", "export", "--data", p.Data, file)
	to := func(verb string, more ...string) []string {
		return append(append([]string{verb, "--data", p.Data}, stores...), more...)
	}
	half := filepath.Join(t.TempDir(), "half")
	cut(t, file, half)
	harness.Refused(t, "the archive is damaged", to("import", half)...)
	harness.Worked(t, "imported 1 payments", to("import", file)...)
	harness.Refused(t, "the store is not empty", to("import", file)...)
	harness.Worked(t, "imported 1 payments", to("import", "--again", file)...)
	harness.Worked(t, " 0 broken", "verify", "--data", p.Data)
	harness.Worked(t, " 0 broken", to("verify")...)

	shop.Shut(false)
	q := harness.StartOn(t, p.Data, strings.TrimPrefix(p.URL, "http://"), stores...)
	goesOn(t, key, before, paid, open)
	if after := guards(t, key, guarded); !reflect.DeepEqual(after, guarded) {
		t.Errorf("against fraud there is\n%v\nwas\n%v", after, guarded)
	}
	await.Until(t, "the model scores", func() bool { return strings.Contains(q.Logs.String(), `"version":"`+model+`","state":"running"`) })
	shop.Heard("link.created", "payment.succeeded", "link.paid")
	await.Until(
		t,
		"the webhook that the old server could not deliver",
		func() bool { return strings.Contains(shop.Received(), harness.Str(t, late, "id")) },
	)
	await.Until(t, "the feed tells of the last payment", func() bool {
		return strings.Count(string(key.Do("GET", "/api/events?limit=100", "").Body), `"type":"link.paid"`) == 2
	})
	harness.Worked(t, " 0 broken", to("verify")...)
	return q
}

// goesOn checks a store that replaced another: the payment is unchanged, its refund is replayed,
// the open link is paid, and the paid one is not paid again.
func goesOn(t *testing.T, key *harness.Client, before, paid, open map[string]any) {
	t.Helper()
	id := harness.Str(t, before, "id")
	if after := key.OK("GET", "/api/payments/"+id, ""); !reflect.DeepEqual(before, after) {
		t.Errorf("the payment became %v, was %v", after, before)
	}
	again := key.Do("POST", "/api/payments/"+id+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund-1")
	if again.Status != http.StatusOK || again.Header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the refund was not replayed: %d %s", again.Status, again.Body)
	}
	if a := key.PayJSON(open, "attempt-0000000002", "4242424242424242"); a.Status != http.StatusOK {
		t.Fatalf("%d %s", a.Status, a.Body)
	}
	if a := key.PayJSON(paid, "attempt-0000000003", "4242424242424242"); a.Status != http.StatusConflict {
		t.Errorf("a paid link was paid again: %d %s", a.Status, a.Body)
	}
}

// cut writes the first half of a file.
func cut(t *testing.T, from, to string) {
	t.Helper()
	raw, err := os.ReadFile(from)
	if err == nil {
		err = os.WriteFile(to, raw[:len(raw)/2], 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// guard labels and disputes a payment, and creates a rule with two versions, a list entry and a
// policy; it returns what the API says of them.
func guard(t *testing.T, key *harness.Client, payment string) map[string]any {
	t.Helper()
	rule := harness.Str(t, key.OK("POST", "/api/fraud/rules", `{"name":"Large","action":"review","when":"amount > 500"}`), "id")
	key.OK("PUT", "/api/fraud/rules/"+rule, `{"state":"on"}`)
	key.OK("POST", "/api/fraud/lists", `{"kind":"email","value":"@mail.example","action":"block","note":"seen"}`)
	key.OK("PUT", "/api/fraud/policy", `{"onTimeout":"block","reviewSeconds":7200}`)
	key.OK("POST", "/api/payments/"+payment+"/mark", `{"label":"legitimate"}`)
	key.OK(
		"POST",
		"/api/payments/"+payment+"/disputes",
		`{"reason":"fraudulent","amount":"2.50","reference":"CB-2044","evidenceDueAt":"2036-03-01T23:59:59Z"}`,
	)
	return guards(
		t,
		key,
		map[string]any{"/api/fraud/rules": nil, "/api/fraud/rules/" + rule + "/versions": nil, "/api/fraud/lists": nil, "/api/fraud/policy": nil},
	)
}

// guards reads them again.
func guards(t *testing.T, key *harness.Client, paths map[string]any) map[string]any {
	t.Helper()
	all := map[string]any{}
	for path := range paths {
		all[path] = key.OK("GET", path, "")
	}
	return all
}

// promoted gives a stopped server's store an active model.
func promoted(t *testing.T, data string) (version string) {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(data, "paylink.db"))
	if err != nil {
		t.Fatal(err)
	}
	info, file := harness.Model(t, 1)
	err = errors.Join(store.AddModel(t.Context(), info, file), store.SetModel(t.Context(), info.Version, learning.Running))
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	return info.Version
}

// TestMoveToDynamoDB moves a merchant from the embedded file to PostgreSQL and DynamoDB, and
// back: an archive is also a backup of the table.
func TestMoveToDynamoDB(t *testing.T) {
	t.Parallel()
	stores := []string{"--store", pgtest.Database(t), "--payments-store", dynamotest.URL(t)}
	q := move(t, stores)
	q.Stop()
	file, back := filepath.Join(t.TempDir(), "archive"), filepath.Join(t.TempDir(), "back")
	harness.Worked(t, "exported 2 payments", append([]string{"export", "--data", q.Data, file}, stores...)...)
	harness.Worked(t, "imported 2 payments", "import", "--data", back, file)
	harness.Worked(t, " 0 broken", "verify", "--data", back)

	// The table knows its keys too.
	foreign := filepath.Join(t.TempDir(), "keys")
	harness.Worked(t, "created the keys", "keys", "create", "--keys", foreign)
	with := func(args ...string) string {
		out, errs, status := harness.Command(t, append(args, "--keys", foreign)...)
		if status == 0 {
			t.Errorf("%v with foreign keys: %s%s", args, out, errs)
		}
		return out + errs
	}
	if got := with(append([]string{"verify", "--data", q.Data}, stores...)...); !strings.Contains(got, "BROKEN response under the idempotency key refund-1") {
		t.Errorf("verify with foreign keys: %s", got)
	}
	if got := with("serve", "--data", t.TempDir(), "--payments-store", stores[3], "--listen", "127.0.0.1:0"); !strings.Contains(got,
		"the table of payments: it was written with key") {
		t.Errorf("serve with foreign keys: %s", got)
	}
}
