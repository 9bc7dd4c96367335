package api_test

import (
	"flag"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/gateway/api"
	"github.com/paylink/paylink/internal/gateway/api/apitest"
)

var (
	generated     = flag.Int("generated", 1500, "requests that TestGeneratedRequests makes")
	generatedSeed = flag.Uint64("generated.seed", 1, "what they are made from")
)

// rarely are operations that cost a password's hash, or that change what the others
// need.
var rarely = map[string]int{"createUser": 20, "signIn": 20, "moveTestClock": 20, "backtestFraudRule": 3, "setPaymentMethods": 5}

// never is what would end the session of the test.
var never = []string{"signOut"}

// TestGeneratedRequests makes requests out of the document, as it says and with
// faults, and holds each answer to it. No request may be answered by a 5xx.
func TestGeneratedRequests(t *testing.T) {
	f := newFraudWorld(t)
	routed := map[string]bool{}
	for _, rt := range api.Routes() {
		routed[rt.Method+" "+rt.Path] = true
	}
	var operations []*apitest.Operation
	for _, o := range apitest.Model(t).Operations {
		if routed[o.Method+" "+o.Path] && !slices.Contains(never, o.ID) {
			operations = append(operations, o)
		}
	}
	t.Logf("%d requests for %d operations, -generated.seed %d", *generated, len(operations), *generatedSeed)
	g := &apitest.Generator{Rand: rand.New(rand.NewPCG(*generatedSeed, 0)), Known: map[string][]string{}, Now: time.Now()}
	methods := `{"paymentMethods":[{"type":"card","issuer":"simulator","currencies":["EUR","USD","JPY","KWD"]}]}`
	f.ok("PUT", "/api/users", f.token, methods)
	f.payAs("", "held@example.com")
	f.pay("")
	statuses, worked := map[int]int{}, map[string]bool{}
	for n := range *generated {
		if n%200 == 50 {
			g.Known["pay"] = append(g.Known["pay"], f.pay("").ID, f.pay(`,"capture":"manual"`).ID)
		}
		o := operations[g.IntN(len(operations))]
		if often := rarely[o.ID]; often > 0 && g.IntN(often) > 0 {
			continue
		}
		as := "Bearer " + f.key
		if g.IntN(3) == 0 || o.OnlyUsers() {
			as = "Bearer " + f.token
		}
		r := g.Make(o, as)
		before := f.wrong
		status := f.hand(r, g)
		statuses[status]++
		if status == http.StatusOK && r.Method == o.Method {
			worked[o.ID] = true
		}
		if o.ID == "setPaymentMethods" && status == http.StatusOK {
			f.ok("PUT", "/api/users", f.token, methods)
		}
		if f.wrong == before {
			continue
		}
		t.Errorf("request %d of -generated.seed %d: %s %s\n%v\n%.2000s", n, *generatedSeed, r.Method, r.Address, r.Header, r.Body)
		if f.wrong >= mostWrong {
			break
		}
	}
	for _, o := range operations {
		if !worked[o.ID] && *generated >= 20_000 {
			t.Logf("%s never answered 200", o.ID)
		}
	}
	t.Logf("answers by status: %v, %d of %d operations answered 200", statuses, len(worked), len(operations))
	if *generated >= 1000 && (statuses[200]*5 < *generated || statuses[400]*10 < *generated) {
		t.Errorf("too few requests are good, or bad: %v", statuses)
	}
}

// mostWrong ends a run that shows one fault over and over.
const mostWrong = 30

// hand gives a request to the handler, holds the answer to the document, and keeps
// the ids in it.
func (f *fraudWorld) hand(r apitest.Request, g *apitest.Generator) int {
	req, err := http.NewRequestWithContext(f.t.Context(), r.Method, r.Address, strings.NewReader(r.Body))
	if err != nil {
		return 0 // no client can send it
	}
	req.Header, req.RequestURI, req.RemoteAddr = r.Header, r.Address, "203.0.113.7:1"
	rec := httptest.NewRecorder()
	f.mux.ServeHTTP(rec, req)
	resp := rec.Result()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	if resp.StatusCode >= http.StatusInternalServerError {
		f.wrong++
		f.t.Errorf("answered %d: %s", resp.StatusCode, body)
	}
	f.judge(req, r, resp, body)
	for _, id := range anID.FindAllSubmatch(body, 40) {
		prefix, whole := string(id[2]), string(id[1])
		if whole != f.keyID && !slices.Contains(g.Known[prefix], whole) && len(g.Known[prefix]) < 200 {
			g.Known[prefix] = append(g.Known[prefix], whole)
		}
	}
	return resp.StatusCode
}

var anID = regexp.MustCompile(`"id":"(([a-z]+)_[0-9a-z]{26})"`)

// judge holds an exchange to the document. A method or an address outside it is
// answered by 404 or 405; the redirect to an address without ".." is the mux's.
func (f *fraudWorld) judge(req *http.Request, r apitest.Request, resp *http.Response, body []byte) {
	switch resp.StatusCode {
	case http.StatusMethodNotAllowed, http.StatusMovedPermanently, http.StatusTemporaryRedirect:
		return
	}
	o := apitest.Model(f.t).Find(req.Method, req.URL.EscapedPath())
	if o == nil || req.Method == http.MethodHead {
		if req.Method != http.MethodHead && resp.StatusCode != http.StatusNotFound {
			f.wrong++
			f.t.Errorf("an address outside the document answered %d: %s", resp.StatusCode, body)
		}
		return
	}
	var wrong []string
	if resp.StatusCode < http.StatusBadRequest {
		wrong = o.CheckRequest(req, []byte(r.Body))
	}
	for _, what := range append(wrong, o.CheckAnswer(resp, body)...) {
		f.wrong++
		f.t.Errorf("answered %d: %s\n%.600s", resp.StatusCode, what, body)
	}
}
