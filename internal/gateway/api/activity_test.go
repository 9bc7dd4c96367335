package api_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/paylink/paylink/internal/activity"
)

// TestActivityOfEveryChange makes each change that an API key or a user can make, and finds its
// entry: who, from where, what, and under which request.
func TestActivityOfEveryChange(t *testing.T) {
	w := newFraudWorld(t)
	newest := func() map[string]any {
		t.Helper()
		data := w.ok("GET", "/api/activity?limit=1", w.token, "")["data"].([]any)
		if len(data) == 0 {
			return map[string]any{}
		}
		return data[0].(map[string]any)
	}
	seen := map[string]bool{}
	did := func(kind, method, path, body string) map[string]any {
		t.Helper()
		was := newest()["id"]
		a := w.do(method, path, w.key, body)
		if a.status != http.StatusOK {
			t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
		}
		e := newest()
		actor := e["actor"].(map[string]any)
		if e["id"] == was || e["kind"] != kind || actor["type"] != activity.Key || actor["id"] != w.keyID || actor["network"] != "127.0.0.0/24" ||
			actor["userAgent"] != "Go-http-client/1.1" || e["outcome"] != activity.Done {
			t.Errorf("%s %s: %v, want %s", method, path, e, kind)
		}
		seen[kind] = true
		return a.json
	}

	hook := did(activity.EndpointCreated, "POST", "/api/webhook-endpoints", `{"url":"https://shop.example/hooks?token=secret"}`)["id"].(string)
	if url := newest()["details"].(map[string]any)["url"]; url != "https://shop.example/hooks" {
		t.Errorf("the address of the endpoint is noted as %v", url)
	}
	did(activity.EndpointUpdated, "PUT", "/api/webhook-endpoints/"+hook, `{"events":["link.paid"]}`)
	did(activity.EndpointRotated, "POST", "/api/webhook-endpoints/"+hook+"/rotate", "")
	did(activity.EndpointDeleted, "DELETE", "/api/webhook-endpoints/"+hook, "")
	rule := did(activity.RuleSaved, "POST", "/api/fraud/rules", `{"name":"Large","action":"block","when":"amount > 500.0"}`)["id"].(string)
	did(activity.RuleDeleted, "DELETE", "/api/fraud/rules/"+rule, "")
	entry := did(activity.ListEntrySaved, "POST", "/api/fraud/lists", `{"kind":"email","value":"@mail.example","action":"block"}`)["id"].(string)
	did(activity.ListEntryDeleted, "DELETE", "/api/fraud/lists/"+entry, "")
	did(activity.FraudPolicySaved, "PUT", "/api/fraud/policy", `{"onTimeout":"block"}`)

	held := w.pay(`,"capture":"manual"`)
	did(activity.CaptureAsked, "POST", "/api/payments/"+held.ID+"/capture", `{"amount":"12.50"}`)
	did(activity.RefundAsked, "POST", "/api/payments/"+held.ID+"/refunds", `{"amount":"1.00"}`)
	did(activity.Labeled, "POST", "/api/payments/"+held.ID+"/mark", `{"label":"legitimate"}`)
	did(activity.DisputeStated, "POST", "/api/payments/"+held.ID+"/disputes", `{"reason":"fraudulent","amount":"2.00"}`)
	voided := w.pay(`,"capture":"manual"`)
	did(activity.VoidAsked, "POST", "/api/payments/"+voided.ID+"/void", "")
	did(activity.Exported, "GET", "/api/payments.csv", "")

	// The payment's own log names the key too.
	for id, reasons := range map[string][]string{held.ID: {"capture_requested", "refund_requested"}, voided.ID: {"void_requested"}} {
		p, err := w.store.GetPayment(t.Context(), held.Account, id)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range p.Log {
			if slices.Contains(reasons, string(e.Reason)) && e.By != w.keyID {
				t.Errorf("%s of %s by %q", e.Reason, id, e.By)
			}
		}
		if broken := p.Verify(); len(broken) != 0 {
			t.Errorf("%s: %v", id, broken)
		}
	}
	found := w.ok("GET", "/api/activity?target="+held.ID+"&actor="+w.keyID, w.token, "")["data"].([]any)
	if len(found) != 4 {
		t.Errorf("%d entries about the payment", len(found))
	}
	for _, kind := range activity.Kinds {
		if user := kind[:5] == "user." || kind[:7] == "member." || kind[:8] == "account." || kind[:8] == "api_key."; !user && !seen[kind] &&
			kind != activity.Reviewed { // TestReviews
			t.Errorf("nothing here makes %s", kind)
		}
	}
}

// TestActivityIsFiltered: filters that are not understood are refused, a key needs its scope, and
// nobody sees another account.
func TestActivityIsFiltered(t *testing.T) {
	w := newWorld(t)
	w.refused(w.do("GET", "/api/activity", w.key, ""), http.StatusForbidden, "scope_missing", "")
	reader := w.ok("POST", "/api/api-keys", w.token, `{"name":"siem","mode":"test","scopes":["activity:read"]}`)["secret"].(string)
	list := func(query string) []any {
		t.Helper()
		return w.ok("GET", "/api/activity"+query, reader, "")["data"].([]any)
	}
	if n := len(list("")); n != 4 { // signed up, signed in, two keys
		t.Errorf("%d entries", n)
	}
	if n := len(list("?kind=api_key.created")); n != 2 {
		t.Errorf("%d keys", n)
	}
	if n := len(list("?to=2020-01-01")); n != 0 {
		t.Errorf("%d entries before the account", n)
	}
	w.refused(w.do("GET", "/api/activity?kind=nonsense", reader, ""), http.StatusBadRequest, "parameter_invalid", "kind")
	w.refused(w.do("GET", "/api/activity?user=ada", reader, ""), http.StatusBadRequest, "parameter_unknown", "user")
	w.refused(w.do("GET", "/api/activity?cursor=x", reader, ""), http.StatusBadRequest, "cursor_invalid", "cursor")

	w.ok("POST", "/api/users", "", `{"username":"bob","email":"bob@example.com","password":"correct horse battery"}`)
	bob := w.ok("POST", "/api/sessions", "", `{"login":"bob","password":"correct horse battery"}`)["token"].(string)
	if n := len(w.ok("GET", "/api/activity", bob, "")["data"].([]any)); n != 2 {
		t.Errorf("bob sees %d entries", n)
	}
}
