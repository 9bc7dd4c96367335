package api_test

import (
	"log/slog"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/gateway/api/apitest"
	"github.com/paylink/paylink/internal/gateway/limit"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/rpc"
)

// fraudCall is a call about fraud with things that are there and a body that it takes.
type fraudCall struct{ method, path, body string }

// fraudCalls are all of them; what they are about is made first.
func (f *fraudWorld) fraudCalls() []fraudCall {
	f.t.Helper()
	rule := "/api/fraud/rules/" + f.ok("POST", "/api/fraud/rules", f.key, heldRule)["id"].(string)
	entry := "/api/fraud/lists/" + f.ok("POST", "/api/fraud/lists", f.key, `{"kind":"country","value":"aq","action":"block"}`)["id"].(string)
	held := "/api/payments/" + f.payAs("", "held@example.com").ID
	paid := "/api/payments/" + f.pay("").ID
	dispute := paid + "/disputes/" + f.ok("POST", paid+"/disputes", f.key, `{"reason":"other"}`)["id"].(string)
	f.analysed()
	return []fraudCall{
		{"GET", "/api/fraud/rules", ""},
		{"POST", "/api/fraud/rules", `{"name":"Large","action":"block","when":"amount > 9000"}`},
		{"GET", rule, ""},
		{"PUT", rule, `{"name":"Hold them too"}`},
		{"GET", rule + "/versions", ""},
		{"GET", "/api/fraud/lists", ""},
		{"POST", "/api/fraud/lists", `{"kind":"bin","value":"400000","action":"block"}`},
		{"PUT", entry, `{"action":"review"}`},
		{"GET", "/api/fraud/policy", ""},
		{"PUT", "/api/fraud/policy", `{"onTimeout":"block"}`},
		{"POST", "/api/fraud/backtests", `{"when":"amount > 1"}`},
		{"GET", "/api/reviews", ""},
		{"POST", held + "/review", `{"verdict":"approve"}`},
		{"POST", held + "/mark", `{"label":"legitimate"}`},
		{"GET", paid + "/related", ""},
		{"POST", paid + "/disputes", `{"reason":"other","reference":"CB-1"}`},
		{"POST", dispute, `{"state":"under_review"}`},
		{"GET", "/api/disputes", ""},
		{"DELETE", entry, ""},
		{"DELETE", rule, ""},
	}
}

// TestEveryAnswerOfFraud: each status that the document tells of a call about fraud is
// one that the call answers.
func TestEveryAnswerOfFraud(t *testing.T) {
	f := newFraudWorld(t)
	calls := f.fraudCalls()
	f.gates(calls)
	f.conflicts(calls)
	other := f.stranger()
	for i, c := range calls {
		if strings.Count(c.path, "_") > 0 { // it names something
			f.refused(f.do(c.method, c.path, other, c.body), http.StatusNotFound, "not_found", "")
			f.refused(f.do(c.method, c.path+"?mode=live", f.token, c.body), http.StatusNotFound, "not_found", "")
		}
		if c.method != "POST" {
			f.ok(c.method, c.path, f.key, c.body)
			continue
		}
		key := "key-" + strconv.Itoa(i)
		first := f.ok(c.method, c.path, f.key, c.body, "Idempotency-Key", key)
		if replayed := f.do(c.method, c.path, f.key, c.body, "Idempotency-Key", key); replayed.json["id"] != first["id"] ||
			replayed.header.Get("Idempotent-Replayed") != "true" {
			t.Errorf("%s: %v, again %s", c.path, first, replayed.body)
		}
		f.refused(
			f.do(c.method, c.path, f.key, strings.Replace(c.body, "{", `{"other":1,`, 1), "Idempotency-Key", key),
			http.StatusUnprocessableEntity,
			"idempotency_key_reused",
			"",
		)
	}
	f.busy(calls)
	f.farAway(calls)
	f.broken(calls)
	f.everyStatus("fraud")
}

// gates: what is refused before a service is called.
func (f *fraudWorld) gates(calls []fraudCall) {
	f.t.Helper()
	narrow := f.ok("POST", "/api/api-keys", f.token, `{"name":"narrow","mode":"test","scopes":["links:read"]}`)["secret"].(string)
	for _, c := range calls {
		f.refused(f.do(c.method, c.path, "", c.body), http.StatusUnauthorized, "unauthenticated", "")
		f.refused(f.do(c.method, c.path, narrow, c.body), http.StatusForbidden, "scope_missing", "")
		f.refused(f.do(c.method, c.path+"?mode=both", f.token, c.body), http.StatusBadRequest, "parameter_invalid", "mode")
		f.refused(f.do(c.method, c.path+"?colour=red", f.key, c.body), http.StatusBadRequest, "parameter_unknown", "colour")
		if c.body == "" {
			continue
		}
		f.refused(f.do(c.method, c.path, f.key, strings.Repeat(" ", api.MaxBodyBytes+1)), http.StatusRequestEntityTooLarge, "body_too_large", "")
		f.refused(
			f.do(c.method, c.path, f.key, c.body, "Content-Type", "text/plain"),
			http.StatusUnsupportedMediaType,
			"unsupported_media_type",
			"",
		)
		f.refused(f.do(c.method, c.path, f.key, "["), http.StatusBadRequest, "json_invalid", "")
		f.refused(f.do(c.method, c.path, f.key, `{"colour":"red"}`), http.StatusBadRequest, "parameter_unknown", "colour")
	}
	// An id that is none names nothing, and the answer says what it would have named.
	for path, noun := range map[string]string{"/api/fraud/rules/x": "rule", "/api/fraud/lists/x": "list entry",
		"/api/payments/x/review": "payment", "/api/payments/" + id.New(id.Payment) + "/disputes/x": "dispute"} {
		method, body := "POST", "{}"
		if strings.HasPrefix(path, "/api/fraud") {
			method = "PUT"
		}
		a := f.do(method, path, f.key, body)
		f.refused(a, http.StatusNotFound, "not_found", "")
		if want := "There is no such " + noun + "."; a.json["detail"] != want {
			f.t.Errorf("%s: %v, want %q", path, a.json["detail"], want)
		}
	}
}

// conflicts: a key in use, what changed meanwhile, what cannot be changed.
func (f *fraudWorld) conflicts(calls []fraudCall) {
	f.t.Helper()
	entered, release := make(chan struct{}), make(chan struct{})
	f.records.hold = func(key string) {
		if strings.HasPrefix(key, "slow") {
			entered <- struct{}{}
			<-release
		}
	}
	for i, c := range calls {
		if c.method != "POST" {
			continue
		}
		key, ended := "slow-"+strconv.Itoa(i), make(chan struct{})
		go func() {
			defer close(ended)
			f.do(c.method, c.path, f.key, "{", "Idempotency-Key", key)
		}()
		<-entered
		f.refused(f.do(c.method, c.path, f.key, c.body, "Idempotency-Key", key), http.StatusConflict, "idempotency_key_in_use", "")
		release <- struct{}{}
		<-ended
	}
	f.records.hold = nil
	f.defaults()
	rule := f.ok("POST", "/api/fraud/rules", f.key, heldRule)["id"].(string)
	f.refused(f.do("PUT", "/api/fraud/rules/"+rule, f.key, `{"version":2}`), http.StatusConflict, "changed_meanwhile", "")
	f.ok("DELETE", "/api/fraud/rules/"+rule, f.key, "")
	body := `{"kind":"country","value":"TV","action":"block"}`
	entry := "/api/fraud/lists/" + f.ok("POST", "/api/fraud/lists", f.key, body)["id"].(string)
	f.books.between = func() {
		f.books.between = nil
		f.ok("DELETE", entry, f.key, "")
		f.ok("POST", "/api/fraud/lists", f.key, body)
	}
	f.refused(f.do("PUT", entry, f.key, `{"action":"allow"}`), http.StatusConflict, "list_entry_exists", "")
}

// stranger is somebody of another account.
func (f *fraudWorld) stranger() string {
	f.t.Helper()
	f.ok("POST", "/api/users", "", `{"username":"eve-other","email":"eve@example.com","password":"correct horse battery"}`)
	return f.ok("POST", "/api/sessions", "", `{"login":"eve-other","password":"correct horse battery"}`)["token"].(string)
}

// busy: a gateway that has let through what the account may ask.
func (f *fraudWorld) busy(calls []fraudCall) {
	f.t.Helper()
	was := f.config
	gate, err := limit.New(
		limit.Config{Policies: []limit.Policy{{Name: limit.Account, Count: 1, Per: time.Hour, Burst: 1}}, MAC: was.Guard.MAC.Tag, Now: time.Now,
			Limited: func(string) {}, Log: was.Log},
	)
	if err != nil {
		f.t.Fatal(err)
	}
	limited := was
	limited.Limit = gate.Account
	f.serve(limited)
	f.ok("GET", "/api/balance", f.key, "")
	for _, c := range calls {
		a := f.do(c.method, c.path, f.key, c.body)
		f.refused(a, http.StatusTooManyRequests, "rate_limited", "")
		if a.header.Get("Retry-After") == "" {
			f.t.Errorf("%s %s does not say when to come again", c.method, c.path)
		}
	}
	f.serve(was)
}

// farAway: a gateway whose services are elsewhere, and do not answer.
func (f *fraudWorld) farAway(calls []fraudCall) {
	f.t.Helper()
	dir := f.t.TempDir()
	root, file := filepath.Join(dir, "root.json"), filepath.Join(dir, "internal.json")
	if err := rpc.CreateRoot(root, time.Now()); err != nil {
		f.t.Fatal(err)
	}
	gateway := []string{rpc.GatewayService}
	if _, err := rpc.ExportKeys(root, gateway, file); err != nil {
		f.t.Fatal(err)
	}
	known, err := rpc.NewCredentials(gateway, file, "", time.Now)
	if err != nil {
		f.t.Fatal(err)
	}
	peer := func(service string) *rpc.Peer {
		pool, err := rpc.NewPool(service, []string{"http://127.0.0.1:1"}, known, slog.New(slog.DiscardHandler))
		if err != nil {
			f.t.Fatal(err)
		}
		return rpc.NewPeer(service, pool, nil)
	}
	was := f.config
	far := was
	book := rpc.NewRulebook(peer(rpc.FraudService))
	far.Fraud.Rulebook, far.Fraud.Backtester, far.Fraud.Analyst = book, book, rpc.NewAnalyst(peer(rpc.FraudService))
	far.Transactions = rpc.NewTransactions(peer("transactions"), rpc.Cards{}, time.Now)
	f.serve(far)
	var all sync.WaitGroup // each tries for a while
	for _, c := range calls {
		all.Go(func() {
			a := f.do(c.method, c.path, f.key, c.body)
			if a.status != http.StatusServiceUnavailable || a.json["retryable"] != true || a.header.Get("Retry-After") == "" {
				f.t.Errorf("%s %s without its box: %d %s", c.method, c.path, a.status, a.body)
			}
		})
	}
	all.Wait()
	none := was
	none.Fraud.Rulebook, none.Fraud.Backtester, none.Fraud.Analyst = nil, nil, nil
	f.serve(none)
	for _, c := range calls {
		if strings.HasPrefix(c.path, "/api/fraud") || c.method == "GET" {
			f.refused(f.do(c.method, c.path, f.key, c.body), http.StatusServiceUnavailable, "fraud_unavailable", "")
		}
	}
	f.serve(was)
}

// broken: a store that is gone under the process. The cause is not shown.
func (f *fraudWorld) broken(calls []fraudCall) {
	f.t.Helper()
	f.stop()
	if err := f.store.Close(); err != nil {
		f.t.Fatal(err)
	}
	for _, c := range calls {
		f.refused(f.do(c.method, c.path, f.key, c.body), http.StatusInternalServerError, "internal", "")
	}
}

// everyStatus checks that each documented status of each call with a tag was answered.
func (w *world) everyStatus(tag string) {
	w.t.Helper()
	n := 0
	for _, op := range apitest.Model(w.t).Operations {
		if !slices.Contains(op.Tags, tag) {
			continue
		}
		n++
		route := op.Method + " " + op.Path
		for _, status := range op.Statuses {
			if !w.answered[route][status] {
				w.t.Errorf("%s never answered %d: it answered %v", route, status, w.answered[route])
			}
		}
	}
	if n < 20 {
		w.t.Errorf("only %d calls", n)
	}
}
