package main_test

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// TestMoveToPostgres takes a merchant who has outgrown the embedded file to
// PostgreSQL: nothing is lost on the way, a link that was given out before is paid
// after, and a webhook that the old server could not deliver comes from the new one.
func TestMoveToPostgres(t *testing.T) {
	t.Parallel()
	move(t, []string{"--store", pgtest.Database(t)})
}

// move exports what a server kept embedded, imports it into the stores that the
// flags name, and goes on there.
func move(t *testing.T, stores []string) *process {
	t.Helper()
	p := serve(t)
	_, key := p.merchant(t, "ada")
	shop := openShop(t)
	paid, open := key.link(`"amount":"12.50"`), key.link(`"amount":"7.50"`)
	if a := key.payJSON(paid, "attempt-0000000001", "4242424242424242"); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	id := onePayment(key, paid, "succeeded")
	key.ok("POST", "/api/payments/"+id+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund-1")
	guarded := guard(t, key, id)
	shop.register(key)
	shop.shut(true)
	late := key.link(`"amount":"1.00"`)
	eventually(t, "the shop has refused a webhook", func() bool { return shop.knocks() > 0 })
	before := key.ok("GET", "/api/payments/"+id, "")
	p.end()
	model := promoted(t, p.data)

	file := filepath.Join(t.TempDir(), "archive")
	out, _, _ := command(t, "export", "--data", p.data, file)
	for _, kind := range []string{"1 payments", "1 rules", "2 rule versions", "1 list entries", "1 policies", "1 models"} {
		if !strings.Contains(out, "exported "+kind) {
			t.Errorf("not exported: %s\n%s", kind, out)
		}
	}
	refusedWith(t, "file exists", "export", "--data", p.data, file)
	to := func(verb string, more ...string) []string {
		return append(append([]string{verb, "--data", p.data}, stores...), more...)
	}
	half := filepath.Join(t.TempDir(), "half")
	cut(t, file, half)
	refusedWith(t, "the archive is damaged", to("import", half)...)
	worked(t, "imported 1 payments", to("import", file)...)
	refusedWith(t, "the store is not empty", to("import", file)...)
	worked(t, "imported 1 payments", to("import", "--again", file)...)
	worked(t, " 0 broken", "verify", "--data", p.data)
	worked(t, " 0 broken", to("verify")...)

	shop.shut(false)
	q := serveWith(t, p.data, strings.TrimPrefix(p.url, "http://"), stores...)
	goesOn(t, key, before, paid, open)
	if after := guards(key, guarded); !reflect.DeepEqual(after, guarded) {
		t.Errorf("against fraud there is\n%v\nwas\n%v", after, guarded)
	}
	eventually(t, "the model scores", func() bool { return strings.Contains(q.logs.String(), `"version":"`+model+`","state":"running"`) })
	shop.heard("link.created", "payment.succeeded", "link.paid")
	eventually(t, "the webhook that the old server could not deliver", func() bool { return strings.Contains(shop.received(), str(t, late, "id")) })
	eventually(t, "the feed tells of the last payment", func() bool {
		return strings.Count(string(key.do("GET", "/api/events?limit=100", "").body), `"type":"link.paid"`) == 2
	})
	worked(t, " 0 broken", to("verify")...)
	return q
}

// goesOn looks at a store that took another's place: the payment is as it was before,
// its refund is replayed, the link that is open is paid, and the one that was paid is
// not paid again.
func goesOn(t *testing.T, key *client, before, paid, open map[string]any) {
	t.Helper()
	id := str(t, before, "id")
	if after := key.ok("GET", "/api/payments/"+id, ""); !reflect.DeepEqual(before, after) {
		t.Errorf("the payment became %v, was %v", after, before)
	}
	again := key.do("POST", "/api/payments/"+id+"/refunds", `{"amount":"2.50"}`, "Idempotency-Key", "refund-1")
	if again.status != http.StatusOK || again.header.Get("Idempotent-Replayed") != "true" {
		t.Errorf("the refund was not replayed: %d %s", again.status, again.body)
	}
	if a := key.payJSON(open, "attempt-0000000002", "4242424242424242"); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	if a := key.payJSON(paid, "attempt-0000000003", "4242424242424242"); a.status != http.StatusConflict {
		t.Errorf("a paid link was paid again: %d %s", a.status, a.body)
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

// guard marks and disputes a payment, and keeps a rule with two versions, a list entry
// and a policy; it gives what the API says of them then.
func guard(t *testing.T, key *client, payment string) map[string]any {
	t.Helper()
	rule := str(t, key.ok("POST", "/api/fraud/rules", `{"name":"Large","action":"review","when":"amount > 500"}`), "id")
	key.ok("PUT", "/api/fraud/rules/"+rule, `{"state":"on"}`)
	key.ok("POST", "/api/fraud/lists", `{"kind":"email","value":"@mail.example","action":"block","note":"seen"}`)
	key.ok("PUT", "/api/fraud/policy", `{"onTimeout":"block","reviewSeconds":7200}`)
	key.ok("POST", "/api/payments/"+payment+"/mark", `{"label":"legitimate"}`)
	key.ok("POST", "/api/payments/"+payment+"/disputes", `{"reason":"fraudulent","amount":"2.50","reference":"CB-2044","evidenceDueAt":"2036-03-01T23:59:59Z"}`)
	return guards(key, map[string]any{"/api/fraud/rules": nil, "/api/fraud/rules/" + rule + "/versions": nil, "/api/fraud/lists": nil, "/api/fraud/policy": nil})
}

// guards asks again.
func guards(key *client, paths map[string]any) map[string]any {
	key.t.Helper()
	all := map[string]any{}
	for path := range paths {
		all[path] = key.ok("GET", path, "")
	}
	return all
}

// promoted gives a stopped server's store a model that runs.
func promoted(t *testing.T, data string) (version string) {
	t.Helper()
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(data, "paylink.db"))
	if err != nil {
		t.Fatal(err)
	}
	info, file := fitted(t, 1)
	err = errors.Join(store.AddModel(t.Context(), info, file), store.SetModel(t.Context(), info.Version, learning.Running))
	if err := errors.Join(err, store.Close()); err != nil {
		t.Fatal(err)
	}
	return info.Version
}
