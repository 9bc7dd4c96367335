package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/payment"
)

const heldRule = `{"name":"Hold them","action":"review","when":"payer.email.startsWith(\"held\")","state":"on"}`

// TestRules: a rule is written, read, changed by who has read it, decides about
// payments, and leaves its versions behind.
func TestRules(t *testing.T) {
	f := newFraudWorld(t)
	made := f.ok("POST", "/api/fraud/rules", f.key, heldRule, "Idempotency-Key", "rule-1")
	again := f.do("POST", "/api/fraud/rules", f.key, heldRule, "Idempotency-Key", "rule-1")
	path := "/api/fraud/rules/" + made["id"].(string)
	if again.json["id"] != made["id"] || again.header.Get("Idempotent-Replayed") != "true" || made["version"] != 1.0 ||
		made["scope"] != "account" ||
		made["updatedBy"] != f.keyID {
		t.Errorf("made %v, again %s", made, again.body)
	}
	held, free := f.payAs("", "held@example.com"), f.payAs("", "free@example.com")
	if r := held.Risk; held.Status != payment.Authorized || r.Review != payment.ReviewOpen || r.Rule != made["id"] ||
		free.Status != payment.Succeeded {
		t.Errorf("held %s %+v, free %s", held.Status, held.Risk, free.Status)
	}
	changed := f.ok("PUT", path, f.token, `{"action":"block","version":1}`)
	if changed["version"] != 2.0 || changed["name"] != "Hold them" || changed["updatedBy"] != f.ok("GET", "/api/users/me", f.token, "")["id"] {
		t.Errorf("changed %v", changed)
	}
	if blocked := f.payAs("", "held@example.com"); blocked.DeclineCode != payment.CodeBlocked || blocked.Risk.Version != 2 {
		t.Errorf("blocked %s %+v", blocked.Status, blocked.Risk)
	}
	f.refused(f.do("PUT", path, f.key, `{"state":"off","version":1}`), http.StatusConflict, "changed_meanwhile", "")
	if got := f.ok("GET", path, f.key, ""); got["action"] != "block" {
		t.Errorf("read %v", got)
	}
	f.defaults()
	f.ok("DELETE", path, f.key, "")
	f.refused(f.do("GET", path, f.key, ""), http.StatusNotFound, "not_found", "")
	var states []string
	for _, v := range f.ok("GET", path+"/versions", f.key, "")["data"].([]any) {
		states = append(states, fmt.Sprintf("%v %v", v.(map[string]any)["version"], v.(map[string]any)["state"]))
	}
	if !slices.Equal(states, []string{"3 deleted", "2 on", "1 on"}) {
		t.Errorf("versions %v", states)
	}
	if freed := f.payAs("", "held@example.com"); freed.Status != payment.Succeeded {
		t.Errorf("a deleted rule decides: %+v", freed.Risk)
	}
}

// defaults: the default set is switched, and not rewritten.
func (f *fraudWorld) defaults() {
	f.t.Helper()
	all := f.ok("GET", "/api/fraud/rules", f.key, "")["data"].([]any)
	last := all[len(all)-1].(map[string]any)
	if last["builtin"] != true || last["scope"] != "installation" || last["state"] != "off" {
		f.t.Errorf("the default set in test mode: %v", last)
	}
	path := "/api/fraud/rules/" + last["id"].(string)
	if on := f.ok("PUT", path, f.key, `{"state":"on"}`); on["state"] != "on" || on["when"] != last["when"] || on["updatedBy"] != f.keyID {
		f.t.Errorf("switched %v", on)
	}
	f.refused(f.do("PUT", path, f.key, `{"when":"amount > 1"}`), http.StatusConflict, "rule_builtin", "")
	f.refused(f.do("DELETE", path, f.key, ""), http.StatusConflict, "rule_builtin", "")
}

// TestLists: a value is put on a list, decides, is changed and taken off.
func TestLists(t *testing.T) {
	f := newFraudWorld(t)
	body := `{"kind":"email","value":"@Bad.example","action":"block","note":"testers"}`
	made := f.ok("POST", "/api/fraud/lists", f.key, body, "Idempotency-Key", "entry-1")
	again := f.do("POST", "/api/fraud/lists", f.key, body, "Idempotency-Key", "entry-1")
	path := "/api/fraud/lists/" + made["id"].(string)
	if again.json["id"] != made["id"] || made["value"] != "@bad.example" || made["createdBy"] != f.keyID {
		t.Errorf("made %v, again %s", made, again.body)
	}
	if p := f.payAs("", "eve@bad.example"); p.DeclineCode != payment.CodeBlocked || p.Risk.Rule != made["id"] || p.Risk.Why != "list" {
		t.Errorf("%s %+v", p.Status, p.Risk)
	}
	f.refused(f.do("POST", "/api/fraud/lists", f.key, body), http.StatusConflict, "list_entry_exists", "")
	later := time.Now().Add(time.Hour).UTC().Format(time.RFC3339)
	changed := f.ok("PUT", path, f.token, `{"action":"review","expiresAt":"`+later+`"}`)
	if changed["action"] != "review" || changed["note"] != nil || changed["value"] != "@bad.example" || changed["createdBy"] != f.keyID ||
		changed["expiresAt"] == nil {
		t.Errorf("changed %v", changed)
	}
	var two []string
	for n := range 2 {
		two = append(
			two,
			f.ok("POST", "/api/fraud/lists", f.key, fmt.Sprintf(`{"kind":"bin","value":"40000%d","action":"allow"}`, n))["id"].(string),
		)
	}
	page := f.ok("GET", "/api/fraud/lists?limit=1&kind=bin", f.key, "")
	next := f.ok("GET", "/api/fraud/lists?limit=1&kind=bin&cursor="+page["nextCursor"].(string), f.key, "")
	if one, other := ids(page), ids(next); !slices.Equal(append(one, other...), []string{two[1], two[0]}) || next["hasMore"] != false {
		t.Errorf("pages %v and %v of %v", page, next, two)
	}
	// Another entry that takes the value in the meantime keeps it.
	f.books.between = func() {
		f.books.between = nil
		f.ok("DELETE", path, f.key, "")
		f.ok("POST", "/api/fraud/lists", f.key, body)
	}
	f.refused(f.do("PUT", path, f.key, `{"action":"allow"}`), http.StatusConflict, "list_entry_exists", "")
	f.refused(f.do("DELETE", path, f.key, ""), http.StatusNotFound, "not_found", "")
}

func ids(list map[string]any) (all []string) {
	for _, one := range list["data"].([]any) {
		all = append(all, one.(map[string]any)["id"].(string))
	}
	return all
}

// TestPolicyAndBacktests: what nobody assesses, and what a rule would have done.
func TestPolicyAndBacktests(t *testing.T) {
	f := newFraudWorld(t)
	if p := f.ok("GET", "/api/fraud/policy", f.key, ""); p["onTimeout"] != "allow" || p["reviewSeconds"] != 0.0 {
		t.Errorf("the first policy %v", p)
	}
	f.ok("PUT", "/api/fraud/policy", f.key, `{"onTimeout":"block"}`)
	if p := f.ok("PUT", "/api/fraud/policy", f.token, `{"reviewSeconds":3600}`); p["onTimeout"] != "block" || p["reviewSeconds"] != 3600.0 ||
		p["updatedAt"] == nil {
		t.Errorf("the policy %v", p)
	}
	if live := f.ok("GET", "/api/fraud/policy?mode=live", f.token, ""); live["onTimeout"] != "allow" || live["mode"] != "live" {
		t.Errorf("test mode reaches live mode: %v", live)
	}
	bad, good := f.payAs("", "bad@example.com"), f.payAs("", "good@example.com")
	f.ok("POST", "/api/payments/"+bad.ID+"/mark", f.key, `{"label":"fraud"}`)
	f.ok("POST", "/api/payments/"+good.ID+"/mark", f.key, `{"label":"legitimate"}`)
	f.analysed()
	r := f.ok("POST", "/api/fraud/backtests", f.key, `{"when":"payer.email.startsWith(\"bad\")","action":"block","from":"2026-01-01"}`)
	if r["payments"] != 2.0 || r["matched"] != 1.0 || r["fraud"] != 1.0 || r["precision"] != 1.0 || r["recall"] != 1.0 ||
		r["money"].(map[string]any)["EUR"].(map[string]any)["fraudStopped"] != "12.50" || r["examples"].([]any)[0] != bad.ID {
		t.Errorf("%v", r)
	}
	if none := f.ok("POST", "/api/fraud/backtests", f.token, `{"when":"amount > 1000"}`); none["precision"] != nil || none["recall"] != 0.0 ||
		none["missedFraud"] != 1.0 {
		t.Errorf("%v", none)
	}
}

// TestReviews: the queue, verdicts, marks, and what payments share.
func TestReviews(t *testing.T) {
	f := newFraudWorld(t)
	f.ok("POST", "/api/fraud/rules", f.key, heldRule)
	var held []string
	for n := range 3 {
		held = append(held, f.payAs("", fmt.Sprintf("held%d@example.com", n)).ID)
	}
	free := f.payAs("", "free@example.com").ID
	f.analysed()
	page := f.ok("GET", "/api/reviews?limit=2", f.key, "")
	rest := f.ok("GET", "/api/reviews?limit=2&cursor="+page["nextCursor"].(string), f.key, "")
	if all := append(ids(page), ids(rest)...); !slices.Equal(all, []string{held[2], held[1], held[0]}) {
		t.Errorf("the queue %v, want %v", all, held)
	}
	verdict := func(n int, verdict, status, review string) {
		t.Helper()
		p := f.ok("POST", "/api/payments/"+held[n]+"/review", f.key, `{"verdict":"`+verdict+`"}`, "Idempotency-Key", "review-"+verdict)
		risk := p["risk"].(map[string]any)
		if p["status"] != status || risk["review"] != review || risk["reviewedBy"] != f.keyID {
			t.Errorf("%s: %v", verdict, p)
		}
	}
	verdict(0, "approve", "succeeded", "approved")
	verdict(1, "decline", "canceled", "declined")
	verdict(2, "refund", "canceled", "refunded")
	f.refused(
		f.do("POST", "/api/payments/"+held[1]+"/review", f.key, `{"verdict":"approve"}`),
		http.StatusConflict,
		"payment_not_in_review",
		"",
	)
	refunded := f.ok("POST", "/api/payments/"+free+"/review", f.token, `{"verdict":"refund"}`)
	if refunded["status"] != "refunded" || refunded["risk"].(map[string]any)["label"] != "fraud" {
		t.Errorf("%v", refunded)
	}
	if open := f.ok("GET", "/api/reviews", f.key, ""); len(ids(open)) != 0 {
		t.Errorf("still open: %v", ids(open))
	}
	f.analysed()
	for state, n := range map[string]int{"closed": 4, "approved": 1, "declined": 1, "refunded": 2, "lapsed": 0, "open": 0} {
		if got := ids(f.ok("GET", "/api/reviews?state="+state+"&from=2026-01-01", f.key, "")); len(got) != n {
			t.Errorf("%s: %v", state, got)
		}
	}
	marked := f.ok("POST", "/api/payments/"+held[0]+"/mark", f.key, `{"label":"legitimate"}`)["risk"].(map[string]any)
	unmarked := f.ok("POST", "/api/payments/"+held[0]+"/mark", f.key, `{"label":null}`)["risk"].(map[string]any)
	if marked["label"] != "legitimate" || marked["labelledBy"] != f.keyID || unmarked["label"] != nil {
		t.Errorf("marked %v, then %v", marked, unmarked)
	}
	related := f.ok("GET", "/api/payments/"+free+"/related?limit=2", f.key, "")["data"].([]any)
	if len(related) != 2 || related[0].(map[string]any)["shared"].([]any)[0] != "card" ||
		related[0].(map[string]any)["payment"].(map[string]any)["id"] != held[2] {
		t.Errorf("related %v", related)
	}
}

// TestDisputes: recorded, moved on, listed.
func TestDisputes(t *testing.T) {
	f := newFraudWorld(t)
	p := f.pay("").ID
	path, body := "/api/payments/"+p+"/disputes", `{"reason":"fraudulent","amount":"2.50","reference":"CB-1","evidenceDueAt":"2030-01-02T03:04:05Z"}`
	made := f.ok("POST", path, f.key, body, "Idempotency-Key", "dispute-1")
	again := f.do("POST", path, f.key, body, "Idempotency-Key", "dispute-1")
	if again.header.Get("Idempotent-Replayed") != "true" || made["amount"] != "2.50" || made["state"] != "needs_response" ||
		made["payment"] != p {
		t.Errorf("made %v, again %s", made, again.body)
	}
	self := path + "/" + made["id"].(string)
	if same := f.ok("POST", path, f.token, `{"reason":"fraudulent","reference":"CB-1","state":"under_review"}`); same["id"] != made["id"] ||
		same["state"] != "under_review" {
		t.Errorf("the same reference: %v", same)
	}
	f.refused(f.do("POST", self, f.key, `{"state":"needs_response"}`), http.StatusConflict, "dispute_state_conflict", "")
	if lost := f.ok("POST", self, f.key, `{"state":"lost"}`); lost["state"] != "lost" || lost["closedAt"] == nil {
		t.Errorf("%v", lost)
	}
	f.refused(f.do("POST", self, f.key, `{"state":"won"}`), http.StatusConflict, "dispute_closed", "")
	f.refused(f.do("POST", path+"/"+id.New(id.Dispute), f.key, `{"state":"won"}`), http.StatusNotFound, "not_found", "")
	second := f.ok("POST", path, f.key, `{"reason":"other"}`)["id"]
	third := f.ok("POST", path, f.key, `{"reason":"duplicate"}`)["id"]
	f.refused(
		f.do("POST", "/api/payments/"+f.pay(`,"capture":"manual"`).ID+"/disputes", f.key, `{"reason":"other"}`),
		http.StatusConflict,
		"payment_not_disputable",
		"",
	)
	newest := f.ok("POST", "/api/payments/"+f.pay("").ID+"/disputes", f.key, `{"reason":"other"}`)["id"]
	f.analysed()
	var seen []any
	for at := "/api/disputes?limit=2"; at != "" && len(seen) < 9; {
		page := f.ok("GET", at, f.key, "")
		for _, d := range page["data"].([]any) {
			seen = append(seen, d.(map[string]any)["id"])
		}
		if at = ""; page["hasMore"] == true {
			at = "/api/disputes?limit=2&cursor=" + page["nextCursor"].(string)
		}
	}
	if !slices.Equal(seen, []any{newest, made["id"], second, third}) {
		t.Errorf("listed %v", seen)
	}
	if lost := ids(f.ok("GET", "/api/disputes?state=lost", f.key, "")); !slices.Equal(lost, []string{made["id"].(string)}) {
		t.Errorf("lost %v", lost)
	}
}
