package apidocs

import (
	"compress/gzip"
	"context"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"

	apispec "github.com/paylink/paylink/docs/api"
	"github.com/paylink/paylink/internal/gateway/api/apitest"
	"github.com/paylink/paylink/internal/gateway/problem"
)

func ask(t *testing.T, public string, header map[string]string) *http.Response {
	t.Helper()
	d, err := New(public)
	if err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	d.Register(mux)
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/docs", nil)
	for k, v := range header {
		r.Header.Set(k, v)
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	return w.Result()
}

func pageOf(t *testing.T, public string) string {
	t.Helper()
	res := ask(t, public, nil)
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%d %v", res.StatusCode, err)
	}
	return string(b)
}

// TestPageHasTheWholeDocument: every operation with its parameters and answers, every
// shape with its members; and every reference inside the page finds what it names.
func TestPageHasTheWholeDocument(t *testing.T) {
	page := pageOf(t, "https://pay.example.com/base")
	want := func(what, s string) {
		t.Helper()
		if !strings.Contains(page, s) {
			t.Errorf("%s: the page has no %q", what, s)
		}
	}
	model := apitest.Model(t)
	for _, o := range model.Operations {
		_, after, ok := strings.Cut(page, `<h3 id="op-`+o.ID+`">`)
		section, _, _ := strings.Cut(after, "</article>")
		if !ok {
			t.Errorf("%s %s is not on the page", o.Method, o.Path)
			continue
		}
		words := []string{
			html.EscapeString(o.Summary),
			o.Method + "</span>",
			"<code>" + o.Path + "</code>",
			"<summary>curl</summary>",
			"<summary>Go</summary>",
			"http.NewRequest",
		}
		for _, p := range o.Parameters {
			words = append(words, "<code>"+p.Name+"</code>")
		}
		for _, status := range o.Statuses {
			words = append(words, `<th scope="row"><code>`+strconv.Itoa(status)+"</code></th>")
		}
		for _, s := range words {
			if !strings.Contains(section, s) {
				t.Errorf("%s %s: there is no %q", o.Method, o.Path, s)
			}
		}
	}
	if len(model.Operations) < 40 {
		t.Errorf("only %d operations", len(model.Operations))
	}
	for _, name := range model.Schemas() {
		want(name, `<h3 id="schema-`+name+`">`)
		for member := range model.Schema(t, name).Properties {
			want(name, "<code>"+member+"</code>")
		}
	}
	for _, name := range model.SecuritySchemes() {
		want("security", "<dt><code>"+name+"</code></dt>")
	}
	want("card table", "4000000000003220")
	want("problem", `href="/base/problems/idempotency_key_in_use"`)
	holdReferences(t, page)
}

func holdReferences(t *testing.T, page string) {
	t.Helper()
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(`\sid="([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]] {
			t.Errorf("the id %s twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`(?:href="#|labelledby=")([^"]+)"`).FindAllStringSubmatch(page, -1) {
		if !ids[m[1]] {
			t.Errorf("nothing has the id %s", m[1])
		}
	}
	for _, m := range regexp.MustCompile(`/problems/([a-z_0-9]+)"`).FindAllStringSubmatch(page, -1) {
		if _, ok := problem.CodeByName(m[1]); !ok {
			t.Errorf("a link leads to the problem %s, which nobody explains", m[1])
		}
	}
	if m := regexp.MustCompile(`(?i)\sstyle=|<style|\son[a-z]+=|<script|javascript:|(?:src|href)="(?:https?:)?//`).FindString(page); m != "" {
		t.Errorf("inline or foreign: %q", m)
	}
}

// TestGoSamplesCompile: what the page tells to write is a program.
func TestGoSamplesCompile(t *testing.T) {
	d, err := read(apispec.YAML, "https://pay.example.com", "")
	if err != nil {
		t.Fatal(err)
	}
	var program strings.Builder
	program.WriteString("package main\n\nimport (\n\t\"io\"\n\t\"log\"\n\t\"net/http\"\n\t\"os\"\n\t\"strings\"\n)\n\nfunc main() {}\n")
	for _, tag := range d.Tags {
		for _, o := range tag.Operations {
			program.WriteString("\nfunc " + strings.ReplaceAll(o.ID, "-", "_") + "() {\n" + o.Go + "\n}\n")
		}
	}
	file := filepath.Join(t.TempDir(), "main.go")
	if err := os.WriteFile(file, []byte(program.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "go", "vet", file).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestCurlSamplesAreRequestsOfTheDocument runs every curl sample against a server that
// holds each request to the document.
func TestCurlSamplesAreRequestsOfTheDocument(t *testing.T) {
	model := apitest.Model(t)
	var mu sync.Mutex
	seen := map[string]bool{}
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		seen[r.Method+" "+r.URL.Path] = true
		body, err := io.ReadAll(r.Body)
		o := model.Find(r.Method, r.URL.EscapedPath())
		if err != nil || o == nil {
			t.Errorf("%s %s is not in the document, %v", r.Method, r.URL.Path, err)
			return
		}
		for _, wrong := range o.CheckRequest(r, body) {
			t.Errorf("%s %s: %s\n%s", r.Method, r.URL.Path, wrong, body)
		}
	}))
	defer server.Close()
	d, err := read(apispec.YAML, server.URL, "")
	if err != nil {
		t.Fatal(err)
	}
	operations := 0
	for _, tag := range d.Tags {
		for _, o := range tag.Operations {
			operations++
			c := exec.CommandContext(t.Context(), "bash", "-euo", "pipefail", "-c", o.Curl)
			c.Env = append(
				os.Environ(),
				"PAYLINK_KEY=key_068n6t5zcdxw3c9p8s5m2k7q1r",
				"PAYLINK_SECRET=pl_test_x",
				"PAYLINK_TOKEN=a.b.c",
				"no_proxy=*",
			)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%s: %v\n%s\n%s", o.ID, err, o.Curl, out)
			}
		}
	}
	if len(seen) != operations {
		t.Errorf("%d operations made %d different requests", operations, len(seen))
	}
}

func TestPageIsSentOnce(t *testing.T) {
	res := ask(t, "https://pay.example.com", map[string]string{"Accept-Encoding": "gzip"})
	z, err := gzip.NewReader(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil || string(b) != pageOf(t, "https://pay.example.com") {
		t.Errorf("the zipped page is another (%v)", err)
	}
	if csp := res.Header.Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("the policy is %q", csp)
	}
	if again := ask(t, "https://pay.example.com", map[string]string{"If-None-Match": res.Header.Get("ETag")}); again.StatusCode != http.StatusNotModified {
		t.Errorf("who has it already is answered %d", again.StatusCode)
	}
	for _, bad := range []string{"", "no host", "/docs"} {
		if _, err := New(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestWords(t *testing.T) {
	r := &reader{}
	got := r.words("**Bold** and `code` and `link_expired`.\nSame.\n\n| a | b |\n|---|---|\n| `c` | d |")
	if len(got) != 2 || len(got[0].Pieces) != 6 || !got[0].Pieces[0].Bold || !got[0].Pieces[2].Code ||
		got[0].Pieces[4].Href != "/problems/link_expired" ||
		plain(got[:1]) != "Bold and code and link_expired. Same." {
		t.Errorf("%+v", got)
	}
	if len(got[1].Table) != 2 || plainPieces(got[1].Table[1][0]) != "c" || plainPieces(got[1].Table[0][1]) != "b" {
		t.Errorf("%+v", got[1])
	}
}

func TestDocumentsThatAreNone(t *testing.T) {
	for _, s := range []string{"", "- a", "a: [", "tags: []\npaths: {/a: {get: {}}}", "tags: []\npaths: {/a: {get: {tags: [x]}}}"} {
		if _, err := read([]byte(s), "https://x", ""); err == nil {
			t.Errorf("%q was read", s)
		}
	}
}
