package pages_test

import (
	"flag"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/gateway/api/apitest"
	"github.com/paylink/paylink/internal/link"
)

var (
	generated     = flag.Int("generated", 600, "requests that TestGeneratedRequests makes")
	generatedSeed = flag.Uint64("generated.seed", 1, "what they are made from")
)

// typed are the fields of the pages' own forms, with what a payer may type.
var typed = map[string][]string{
	"attempt": {"attempt-of-a-payer-01", "attempt-of-a-payer-02"}, "amount": {"12.50", "5", "12,50"},
	"number": {"4242424242424242", "4000 0000 0000 0002", "378282246310005"},
	"exp":    {"12/40", "1 / 2041"}, "cvc": {"123", "1234"}, "name": {"Ada Lovelace"}, "email": {"ada@example.com"}, "size": {"M"},
	"proof": {"x.1"}, "lang": {"de"},
}

// TestGeneratedRequests makes requests for the payer's and the public operations of the
// document, as it says and with faults, and of the pages' own forms. No request may be
// answered by a 5xx.
func TestGeneratedRequests(t *testing.T) {
	s := openShop(t)
	var operations []*apitest.Operation
	for _, o := range apitest.Model(t).Operations {
		for _, folder := range []string{"/l/", "/f/", "/verify", "/embed.js", "/problems"} {
			if strings.HasPrefix(o.Path, folder) {
				operations = append(operations, o)
			}
		}
	}
	if len(operations) < 8 {
		t.Fatalf("%d operations", len(operations))
	}
	g := &apitest.Generator{Rand: rand.New(rand.NewPCG(*generatedSeed, 0)), Known: map[string][]string{}, Now: s.now}
	form := s.make(nil)
	g.Known["frm"] = []string{form.ID, s.make(func(r *link.FormRequest) { r.Disabled = true }).ID}
	g.Known["link"] = []string{"link_expired"} // a code of a problem
	statuses := map[int]int{}
	for n := range *generated {
		if n%100 == 0 { // tokens have no prefix
			sent := s.do("POST", "/f/"+form.ID, filled(s.attempt(form)))
			g.Known[""] = append(g.Known[""], strings.TrimPrefix(sent.header.Get("Location"), "/l/"))
		}
		s.now = s.now.Add(time.Second)
		r := g.Make(operations[g.IntN(len(operations))], "")
		if r.Method == http.MethodPost && r.Body == "" || g.IntN(10) == 0 {
			r.Body = typedForm(g)
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.Header.Set("Sec-Fetch-Site", "same-origin")
		}
		req, err := http.NewRequestWithContext(t.Context(), r.Method, r.Address, strings.NewReader(r.Body))
		if err != nil {
			continue // no client can send it
		}
		req.Header, req.RequestURI, req.RemoteAddr = r.Header, r.Address, "203.0.113.7:1"
		rec := httptest.NewRecorder()
		s.mux.ServeHTTP(rec, req)
		statuses[rec.Code]++
		if rec.Code >= http.StatusInternalServerError {
			t.Errorf("request %d of -generated.seed %d: %s %s answered %d: %s\n%v\n%.2000s", n, *generatedSeed, r.Method, r.Address, rec.Code,
				rec.Body, r.Header, r.Body)
		}
	}
	t.Logf("answers by status: %v", statuses)
	if *generated >= 500 && (statuses[200]*10 < *generated || statuses[303] == 0 || statuses[400]*50 < *generated ||
		statuses[404]*50 < *generated) {
		t.Errorf("too few requests are good, or bad: %v", statuses)
	}
}

// typedForm is a form as a browser sends it, some of its fields hostile, doubled or left out.
func typedForm(g *apitest.Generator) string {
	form := url.Values{}
	names := make([]string, 0, len(typed))
	for name := range typed {
		names = append(names, name)
	}
	slices.Sort(names)
	faults := max(g.IntN(5)-2, 0)
	for _, name := range names {
		form.Set(name, typed[name][g.IntN(len(typed[name]))])
	}
	for range faults {
		name := names[g.IntN(len(names))]
		switch g.IntN(4) {
		case 0:
			form.Del(name)
		case 1:
			form.Add(name, g.HostileText())
		default:
			form.Set(name, g.HostileText())
		}
	}
	return form.Encode()
}
