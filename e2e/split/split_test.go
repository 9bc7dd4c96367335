// Package split checks deployments of several processes, and their stores.
package split

import (
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
)

func TestMain(m *testing.M) { os.Exit(dynamotest.Main(m)) }

// TestSplit checks one deployment from the public and the internal network.
func TestSplit(t *testing.T) {
	t.Parallel()
	f := harness.Deploy(t, pgtest.Database(t), false)
	t.Run("routes", func(t *testing.T) { keepsToItsRoutes(t, f) })
	t.Run("I14 the other gateway replays", func(t *testing.T) { replaysElsewhere(t, f) })
}

// replaysElsewhere sends every kind of request with a key to one gateway, and again to the other:
// the answers are byte for byte the same.
func replaysElsewhere(t *testing.T, f *harness.Fleet) {
	user, key := f.Front().Merchant(t, "ada")
	twice := func(c *harness.Client, path, body string) map[string]any {
		t.Helper()
		name := "key of " + path
		first := c.Do("POST", path, body, "Idempotency-Key", name)
		other := c.At(f.GatewayURL(1))
		again := other.Do("POST", path, body, "Idempotency-Key", name)
		if first.Status != http.StatusOK || string(first.Body) != string(again.Body) || first.Header.Get("Idempotent-Replayed") != "" ||
			again.Header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: %d\n%s\nand again: %d\n%s", path, first.Status, first.Body, again.Status, again.Body)
		}
		if spaced := other.Do("POST", path, strings.TrimSuffix(body, "}")+" }", "Idempotency-Key", name); string(
			spaced.Body,
		) != string(
			first.Body,
		) {
			t.Errorf("%s with a space more: %d %s", path, spaced.Status, spaced.Body)
		}
		if body == "{}" { // the only one that the call takes
			return first.JSON
		}
		if third := other.Do("POST", path, strings.TrimSuffix(body, "}")+`,"other":1}`, "Idempotency-Key", name); third.Status != http.StatusUnprocessableEntity {
			t.Errorf("%s with another body: %d", path, third.Status)
		}
		return first.JSON
	}
	pay := func(members, attempt string) string {
		l := key.Link(members)
		if a := key.PayJSON(l, attempt, "4242424242424242"); a.Status != http.StatusOK {
			t.Fatalf("%d %s", a.Status, a.Body)
		}
		return harness.Str(t, harness.PaymentsOf(key, l)[0], "id")
	}
	public := key.As("")
	twice(public, "/api/users", `{"username":"bob","email":"bob@example.com","password":"correct horse battery"}`)
	twice(public, "/api/sessions", `{"login":"bob","password":"correct horse battery"}`)
	made := twice(user, "/api/api-keys", `{"name":"other","mode":"test","scopes":["links:read"]}`)
	twice(user, "/api/api-keys/"+harness.Str(t, made, "id")+"/rotate", `{"graceSeconds":60}`)
	l := twice(key, "/api/payment", `{"currency":"EUR","amount":"12.50","description":"<b> & \u2028 \"ü\""}`)
	twice(key, "/api/links/"+harness.Str(t, l, "id")+"/cancel", `{}`)
	twice(key, "/api/payments/"+pay(`"amount":"12.50"`, "attempt-0000000001")+"/refunds", `{"amount":"2.50"}`)
	twice(key, "/api/payments/"+pay(`"amount":"12.50","capture":"manual"`, "attempt-0000000002")+"/capture", `{"amount":"10"}`)
	twice(key, "/api/payments/"+pay(`"amount":"12.50","capture":"manual"`, "attempt-0000000003")+"/void", `{}`)
	hook := twice(key, "/api/webhook-endpoints", `{"url":"https://shop.example/hooks"}`)
	twice(key, "/api/webhook-endpoints/"+harness.Str(t, hook, "id")+"/rotate", `{}`)
}

// keepsToItsRoutes checks that the public listener serves no internal call, and that internal
// listeners serve no unauthenticated caller.
func keepsToItsRoutes(t *testing.T, f *harness.Fleet) {
	front := f.Front()
	for _, path := range []string{"/paylink.users/SignUp", "/paylink.transactions/Submit", "/metrics"} {
		if status, body := front.Get(t, path); status != http.StatusNotFound {
			t.Errorf("the gateway answers %s with %d %s", path, status, body)
		}
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	raw := &http.Client{Transport: &http.Transport{Protocols: protocols}}
	for target, addresses := range f.Internal {
		for _, path := range []string{"/", "/api/payments", "/openapi.yaml", "/.well-known/jwks.json", "/healthz", "/readyz", "/metrics",
			"/l/x", "/simulator/3ds.css", "/paylink." + target + "/Get"} {
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
			if status, _ := f.Instances[target][0].Get(t, path); status != http.StatusOK {
				t.Errorf("%s: the admin listener answers %s with %d", target, path, status)
			}
		}
	}
	// Verifying a forged session needs a call to users.
	if a := front.Client(t).As("eyJhbGciOiJFZERTQSJ9.e30.AA").Do("GET", "/api/users/me", ""); a.Status != http.StatusUnauthorized {
		t.Errorf("a false session: %d", a.Status)
	}
	if _, body := f.Instances["gateway"][0].Get(t, "/metrics"); !strings.Contains(body, `paylink_rpc_seconds_count{code=`) ||
		!strings.Contains(body, "paylink_rpc_refused_total") {
		t.Errorf("the gateway's metrics lack the calls: %.300s", body)
	}
	if slices.Contains(strings.Split(f.Logs.String(), "\n"), "panic") {
		t.Error("something panicked")
	}
}
