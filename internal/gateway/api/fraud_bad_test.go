package api_test

import (
	"strings"
	"testing"
)

// TestBadFraudValues holds every field of every call about fraud to its rule.
func TestBadFraudValues(t *testing.T) {
	f := newFraudWorld(t)
	rule := "/api/fraud/rules/" + f.ok("POST", "/api/fraud/rules", f.key, heldRule)["id"].(string)
	entry := "/api/fraud/lists/" + f.ok("POST", "/api/fraud/lists", f.key, `{"kind":"bin","value":"400000","action":"block"}`)["id"].(string)
	paid := "/api/payments/" + f.pay("").ID
	dispute := paid + "/disputes/" + f.ok("POST", paid+"/disputes", f.key, `{"reason":"other"}`)["id"].(string)
	words := func(n int) string { return strings.Repeat("x", n) }
	write := func(member string) string { return `{"name":"R","action":"block","when":"amount > 1",` + member + `}` }
	list := func(kind, value string) string {
		return `{"kind":"` + kind + `","value":"` + value + `","action":"block"}`
	}
	rows := []struct {
		call, body  string
		code, param string
	}{
		{"POST /api/fraud/rules", `{}`, "parameter_missing", "name"},
		{"POST /api/fraud/rules", `{"name":"R"}`, "parameter_missing", "action"},
		{"POST /api/fraud/rules", `{"name":"R","action":"block"}`, "parameter_missing", "when"},
		{"POST /api/fraud/rules", `{"name":"","action":"block","when":"amount > 1"}`, "rule_name_invalid", "name"},
		{"POST /api/fraud/rules", `{"name":"` + words(101) + `","action":"block","when":"amount > 1"}`, "rule_name_invalid", "name"},
		{"POST /api/fraud/rules", `{"name":"a\nb","action":"block","when":"amount > 1"}`, "rule_name_invalid", "name"},
		{"POST /api/fraud/rules", `{"name":"a\u001b[1mb","action":"block","when":"amount > 1"}`, "rule_name_invalid", "name"},
		{"POST /api/fraud/rules", `{"name":5,"action":"block","when":"amount > 1"}`, "parameter_invalid", "name"},
		{"POST /api/fraud/rules", `{"name":"R","action":"stop","when":"amount > 1"}`, "rule_action_invalid", "action"},
		{"POST /api/fraud/rules", `{"name":"R","action":null,"when":"amount > 1"}`, "parameter_invalid", "action"},
		{"POST /api/fraud/rules", `{"name":"R","action":"block","when":""}`, "rule_condition_invalid", "when"},
		{"POST /api/fraud/rules", `{"name":"R","action":"block","when":"amount >"}`, "rule_condition_invalid", "when"},
		{"POST /api/fraud/rules", `{"name":"R","action":"block","when":"amount"}`, "rule_condition_invalid", "when"},
		{"POST /api/fraud/rules", `{"name":"R","action":"block","when":"amount > 1\u0000"}`, "rule_condition_invalid", "when"},
		{"POST /api/fraud/rules", `{"name":"R","action":"block","when":"amount > 1 //` + words(2000) + `"}`, "rule_condition_invalid", "when"},
		{"POST /api/fraud/rules", write(`"state":"paused"`), "rule_state_invalid", "state"},
		{"POST /api/fraud/rules", write(`"state":""`), "rule_state_invalid", "state"},
		{"POST /api/fraud/rules", write(`"version":1`), "parameter_unknown", "version"},
		{"PUT " + rule, `{"version":0}`, "parameter_invalid", "version"},
		{"PUT " + rule, `{"version":"1"}`, "parameter_invalid", "version"},
		{"PUT " + rule, `{"name":""}`, "rule_name_invalid", "name"},
		{"PUT " + rule, `{"action":""}`, "rule_action_invalid", "action"},
		{"PUT " + rule, `{"when":""}`, "rule_condition_invalid", "when"},
		{"PUT " + rule, `{"when":"payer.shoe == 1"}`, "rule_condition_invalid", "when"},
		{"PUT " + rule, `{"state":""}`, "rule_state_invalid", "state"},
		{"PUT " + rule, `{"id":"x"}`, "parameter_unknown", "id"},
		{"DELETE " + rule, `{}`, "body_unexpected", ""},
		{"POST /api/fraud/lists", `{}`, "parameter_missing", "kind"},
		{"POST /api/fraud/lists", `{"kind":"bin"}`, "parameter_missing", "value"},
		{"POST /api/fraud/lists", `{"kind":"bin","value":"400000"}`, "parameter_missing", "action"},
		{"POST /api/fraud/lists", list("shoe", "43"), "list_kind_invalid", "kind"},
		{"POST /api/fraud/lists", list("bin", "40000"), "list_value_invalid", "value"},
		{"POST /api/fraud/lists", list("card", "4242424242424242"), "card_number_in_text", "value"},
		{"POST /api/fraud/lists", list("card", "4242424242424241"), "list_value_invalid", "value"},
		{"POST /api/fraud/lists", list("email", "4242424242424242@mail.example"), "card_number_in_text", "value"},
		{"POST /api/fraud/lists", `{"kind":"bin","value":"400001","action":"block","note":"4242 4242 4242 4242"}`, "card_number_in_text", "note"},
		{"PUT " + entry, `{"action":"block","note":"was 4242 4242 4242 4242"}`, "card_number_in_text", "note"},
		{"PUT " + rule, `{"name":"stop 4242 4242 4242 4242"}`, "card_number_in_text", "name"},
		{"PUT " + rule, `{"when":"payer.email == \"4242424242424242@a.example\""}`, "card_number_in_text", "when"},
		{"POST /api/fraud/backtests", `{"action":"block","when":"payer.email == \"4242424242424242@a.example\""}`, "card_number_in_text", "when"},
		{"POST /api/fraud/lists", list("email", "nobody"), "list_value_invalid", "value"},
		{"POST /api/fraud/lists", list("email", `a\u0000b@mail.example`), "list_value_invalid", "value"},
		{"POST /api/fraud/lists", list("email", `a\u001bb@mail.example`), "list_value_invalid", "value"},
		{"POST /api/fraud/lists", list("address", "192.0.2.0/8"), "list_value_invalid", "value"},
		{"POST /api/fraud/lists", list("country", "DEU"), "list_value_invalid", "value"},
		{"POST /api/fraud/lists", list("country", ""), "list_value_invalid", "value"},
		{"POST /api/fraud/lists", `{"kind":"bin","value":"400001","action":"request_3ds"}`, "list_action_invalid", "action"},
		{"POST /api/fraud/lists", `{"kind":"bin","value":"400001","action":"block","note":"` + words(501) + `"}`, "note_too_long", "note"},
		{"POST /api/fraud/lists", `{"kind":"bin","value":"400001","action":"block","expiresAt":"soon"}`, "parameter_invalid", "expiresAt"},
		{"POST /api/fraud/lists", `{"kind":"bin","value":"400001","action":"block","expiresAt":""}`, "parameter_invalid", "expiresAt"},
		{"POST /api/fraud/lists", `{"kind":"bin","value":"400001","action":"block","expiresAt":"2020-01-01"}`, "expiry_invalid", "expiresAt"},
		{"PUT " + entry, `{}`, "parameter_missing", "action"},
		{"PUT " + entry, `{"action":""}`, "list_action_invalid", "action"},
		{"PUT " + entry, `{"action":"block","value":"400001"}`, "parameter_unknown", "value"},
		{"PUT " + entry, `{"action":"block","note":5}`, "parameter_invalid", "note"},
		{"GET /api/fraud/lists?kind=shoe", ``, "parameter_invalid", "kind"},
		{"GET /api/fraud/lists?limit=0", ``, "parameter_invalid", "limit"},
		{"GET /api/fraud/lists?cursor=x", ``, "cursor_invalid", "cursor"},
		{"GET /api/fraud/rules?limit=1", ``, "parameter_unknown", "limit"},
		{"PUT /api/fraud/policy", `{"onTimeout":"wait"}`, "parameter_invalid", "onTimeout"},
		{"PUT /api/fraud/policy", `{"reviewSeconds":-1}`, "review_time_invalid", "reviewSeconds"},
		{"PUT /api/fraud/policy", `{"reviewSeconds":59}`, "review_time_invalid", "reviewSeconds"},
		{"PUT /api/fraud/policy", `{"reviewSeconds":604801}`, "review_time_invalid", "reviewSeconds"},
		{"PUT /api/fraud/policy", `{"reviewSeconds":9223372036854775807}`, "review_time_invalid", "reviewSeconds"},
		{"PUT /api/fraud/policy", `{"reviewSeconds":1.5}`, "parameter_invalid", "reviewSeconds"},
		{"POST /api/fraud/backtests", `{}`, "parameter_missing", "when"},
		{"POST /api/fraud/backtests", `{"when":"1 +"}`, "rule_condition_invalid", "when"},
		{"POST /api/fraud/backtests", `{"when":"amount > 1","action":"stop"}`, "rule_action_invalid", "action"},
		{"POST /api/fraud/backtests", `{"when":"amount > 1","action":""}`, "rule_action_invalid", "action"},
		{"POST /api/fraud/backtests", `{"when":"amount > 1","from":"soon"}`, "parameter_invalid", "from"},
		{"POST /api/fraud/backtests", `{"when":"amount > 1","to":"0001-01-01"}`, "parameter_invalid", "to"},
		{"POST /api/fraud/backtests", `{"when":"amount > 1","from":"2026-03-02","to":"2026-03-01"}`, "range_invalid", "to"},
		{"POST /api/fraud/backtests", `{"when":"amount > 1","from":"2020-01-01"}`, "range_invalid", "from"},
		{"GET /api/reviews?state=done", ``, "parameter_invalid", "state"},
		{"GET /api/reviews?limit=101", ``, "parameter_invalid", "limit"},
		{"GET /api/reviews?cursor=x", ``, "cursor_invalid", "cursor"},
		{"GET /api/reviews?cursor=eyJiIjoiLSJ9", ``, "cursor_invalid", "cursor"},
		{"GET /api/reviews?from=x", ``, "parameter_invalid", "from"},
		{"GET /api/reviews?from=2026-01-02&to=2026-01-01", ``, "parameter_invalid", "to"},
		{"POST " + paid + "/review", `{}`, "parameter_missing", "verdict"},
		{"POST " + paid + "/review", `{"verdict":"approved"}`, "parameter_invalid", "verdict"},
		{"POST " + paid + "/review", `{"verdict":null}`, "parameter_invalid", "verdict"},
		{"POST " + paid + "/mark", `{}`, "parameter_missing", "label"},
		{"POST " + paid + "/mark", `{"label":""}`, "parameter_invalid", "label"},
		{"POST " + paid + "/mark", `{"label":"bad"}`, "parameter_invalid", "label"},
		{"POST " + paid + "/mark", `{"label":true}`, "parameter_invalid", "label"},
		{"GET " + paid + "/related?limit=0", ``, "parameter_invalid", "limit"},
		{"GET " + paid + "/related?cursor=x", ``, "parameter_unknown", "cursor"},
		{"POST " + paid + "/disputes", `{}`, "parameter_missing", "reason"},
		{"POST " + paid + "/disputes", `{"reason":""}`, "parameter_invalid", "reason"},
		{"POST " + paid + "/disputes", `{"reason":"rude"}`, "parameter_invalid", "reason"},
		{"POST " + paid + "/disputes", `{"reason":"other","amount":"x"}`, "amount_invalid", "amount"},
		{"POST " + paid + "/disputes", `{"reason":"other","amount":""}`, "amount_invalid", "amount"},
		{"POST " + paid + "/disputes", `{"reason":"other","amount":0}`, "amount_too_small", "amount"},
		{"POST " + paid + "/disputes", `{"reason":"other","amount":"12.51"}`, "amount_too_large", "amount"},
		{"POST " + paid + "/disputes", `{"reason":"other","amount":"1.001"}`, "amount_too_many_decimals", "amount"},
		{"POST " + paid + "/disputes", `{"reason":"other","reference":"` + words(101) + `"}`, "too_long", "reference"},
		{"POST " + paid + "/disputes", `{"reason":"other","state":"open"}`, "parameter_invalid", "state"},
		{"POST " + paid + "/disputes", `{"reason":"other","state":""}`, "parameter_invalid", "state"},
		{"POST " + paid + "/disputes", `{"reason":"other","evidenceDueAt":"2026-03-01"}`, "parameter_invalid", "evidenceDueAt"},
		{"POST " + dispute, `{}`, "parameter_missing", "state"},
		{"POST " + dispute, `{"state":""}`, "parameter_invalid", "state"},
		{"POST " + dispute, `{"state":"open"}`, "parameter_invalid", "state"},
		{"POST " + dispute, `{"reason":"other"}`, "parameter_unknown", "reason"},
		{"GET /api/disputes?state=open", ``, "parameter_invalid", "state"},
		{"GET /api/disputes?cursor=eyJhIjoieCJ9", ``, "cursor_invalid", "cursor"},
		{"GET /api/disputes?to=x", ``, "parameter_invalid", "to"},
	}
	for _, row := range rows {
		method, path, _ := strings.Cut(row.call, " ")
		name := strings.NewReplacer(rule, "rule", entry, "entry", dispute, "dispute", paid, "paid").Replace(row.call)
		t.Run(name+" "+row.body[:min(len(row.body), 80)], func(t *testing.T) {
			f.t = t
			a := f.do(method, path, f.key, row.body)
			f.refused(a, 400, row.code, row.param)
			if detail, _ := a.json["detail"].(string); len(detail) < 10 || strings.Contains(detail, "%!") {
				t.Errorf("the rule is not named: %q", detail)
			}
		})
	}
	f.t = t
}
