package main_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// refusedWith runs a command that must fail and say why.
func refusedWith(t *testing.T, words string, args ...string) {
	t.Helper()
	out, errs, status := command(t, args...)
	if status != 1 && status != 80 || !strings.Contains(errs, words) {
		t.Errorf("paylink %s: status %d, want words %q, said %q %q", strings.Join(args, " "), status, words, out, errs)
	}
	if strings.Contains(errs, "goroutine ") {
		t.Errorf("paylink %s panicked: %s", strings.Join(args, " "), errs)
	}
}

func worked(t *testing.T, words string, args ...string) {
	t.Helper()
	out, errs, status := command(t, args...)
	if status != 0 || !strings.Contains(out, words) {
		t.Errorf("paylink %s: status %d, want words %q, said %q %q", strings.Join(args, " "), status, words, out, errs)
	}
}

// TestCommands runs every command that an operator has.
func TestCommands(t *testing.T) {
	t.Run("configuration", func(t *testing.T) {
		dir := t.TempDir()
		worked(t, "paylink", "version")
		worked(t, "is good", "check-config", "--data", dir)
		refusedWith(t, "--listen", "check-config", "--data", dir, "--listen", "nowhere")
		refusedWith(t, "--public-url", "check-config", "--data", dir, "--public-url", "ftp://example.com")
		refusedWith(t, "--log-level", "check-config", "--data", dir, "--log-level", "loud")
		for _, verb := range []string{"check-config", "serve"} {
			refusedWith(t, "this version runs the target all", verb, "--data", dir, "--target", "links")
			refusedWith(t, "this version knows sqlite:PATH", verb, "--data", dir, "--store", "mysql://root:hunter2@db/x")
			refusedWith(t, "--payments-store", verb, "--data", dir, "--payments-store", "dynamodb://table")
		}
		if _, errs, _ := command(t, "check-config", "--data", dir, "--store", "mysql://root:hunter2@db/x"); strings.Contains(errs, "hunter2") {
			t.Errorf("the message tells the password: %s", errs)
		}
		refusedWith(t, "unexpected argument", "fly")
		file := filepath.Join(dir, "config.json")
		if err := os.WriteFile(file, []byte(`{"serve":{"listen":"nowhere"},"listen":"nowhere"}`), 0o600); err != nil {
			t.Fatal(err)
		}
		refusedWith(t, "--listen", "check-config", "--config", file, "--data", dir)
	})
	t.Run("probe", func(t *testing.T) {
		health := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/readyz" {
				w.WriteHeader(http.StatusServiceUnavailable)
			}
		}))
		worked(t, "", "probe", health.URL+"/readyz")
		refusedWith(t, "503 Service Unavailable", "probe", health.URL+"/other")
		health.Close()
		refusedWith(t, "connection refused", "probe", health.URL+"/readyz")
	})
	t.Run("migrate", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "data")
		worked(t, "was 0", "migrate", "--data", dir)
		worked(t, "schema", "migrate", "--data", dir)
		refusedWith(t, "no keys", "keys", "rotate", "--data", dir)
	})
	t.Run("backup and restore", restores)
	t.Run("keys and links", rotates)
	t.Run("second process", shares)
	t.Run("drain", drains)
}

func restores(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada")
	l := key.link(`"amount":"12.50","maxUses":2`)
	if a := key.payJSON(l, "attempt-0000000001", "4242424242424242"); a.status != http.StatusOK {
		t.Fatalf("%d %s", a.status, a.body)
	}
	id := onePayment(key, l, "succeeded")
	copied := filepath.Join(t.TempDir(), "backup")
	worked(t, "it holds the keys", "backup", "--data", p.data, copied)
	refusedWith(t, "does not exist yet", "backup", "--data", p.data, copied)
	// After the copy: the restored server must not know it.
	key.link(`"amount":"1"`)
	p.stop()
	verified(t, copied)

	restored := serveOn(t, copied, strings.TrimPrefix(p.url, "http://"))
	if got := onePayment(key, l, "succeeded"); got != id {
		t.Errorf("payment %s became %s", id, got)
	}
	if n := len(list(t, key.ok("GET", "/api/links", ""), "data")); n != 1 {
		t.Errorf("%d links", n)
	}
	if a := key.payJSON(l, "attempt-0000000002", "5555555555554444"); a.status != http.StatusOK {
		t.Errorf("the old link cannot be paid: %d %s", a.status, a.body)
	}
	if out := restored.logs.String(); strings.Contains(out, `"ERROR"`) {
		t.Errorf("%s", out)
	}
}

func rotates(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada")
	l := key.link(`"amount":"12.50"`)
	page := str(t, l, "url")
	altered := []byte(page)
	at := len(page) - 20
	altered[at] = map[bool]byte{true: 'B', false: 'A'}[altered[at] == 'A']

	worked(t, "ours and unaltered", "link", "verify", "--data", p.data, page)
	refusedWith(t, "not a link of ours", "link", "verify", "--data", p.data, string(altered))
	refusedWith(t, "not a link of ours", "link", "verify", "--data", p.data, "https://example.com/")
	_, jwks := p.get(t, "/.well-known/jwks.json")
	file := filepath.Join(t.TempDir(), "jwks.json")
	if err := os.WriteFile(file, []byte(jwks), 0o600); err != nil {
		t.Fatal(err)
	}
	worked(t, "signed by key", "link", "verify", "--data", t.TempDir(), "--jwks", file, page)
	refusedWith(t, "not a link of ours", "link", "verify", "--data", t.TempDir(), "--jwks", file, string(altered))

	worked(t, "link-sign: new key", "keys", "rotate", "--data", p.data)
	refusedWith(t, "purpose", "keys", "rotate", "--data", p.data, "nonsense")
	eventually(t, "the server publishes the new keys", func() bool {
		_, now := p.get(t, "/.well-known/jwks.json")
		return now != "" && now != jwks
	})
	if status, body := p.get(t, tokenPath(t, l)); status != http.StatusOK || !strings.Contains(body, "Pay <bdi>ada") {
		t.Errorf("after the rotation the old link answers %d", status)
	}
	worked(t, "ours and unaltered", "link", "verify", "--data", p.data, str(t, key.link(`"amount":"1"`), "url"))
	if a := key.payJSON(l, "attempt-0000000001", "4242424242424242"); a.status != http.StatusOK {
		t.Errorf("after the rotation the old link cannot be paid: %d %s", a.status, a.body)
	}
}

// shares: a second process on the same folder either serves the same truth or
// refuses; it never harms.
func shares(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada")
	refusedWith(t, "--listen", "serve", "--data", p.data, "--listen", strings.TrimPrefix(p.url, "http://"))
	out, errs, status := command(t, "serve", "--data", p.data, "--listen", freeAddress(t))
	if status == 0 || strings.Contains(errs, "goroutine ") || !strings.Contains(errs, "has it open") {
		t.Errorf("a second server on the same data: %d %s%s", status, out, errs)
	}
	l := key.link(`"amount":"3"`)
	if a := key.payJSON(l, "attempt-0000000001", "4242424242424242"); a.status != http.StatusOK {
		t.Errorf("beside it: %d %s", a.status, a.body)
	}
	worked(t, "schema", "migrate", "--data", p.data)
	verified(t, p.data)
}

// drains: payments under way when the server is told to stop are finished and
// answered, or were never taken; what was answered is there afterwards.
func drains(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada")
	const payers = 8
	var links []map[string]any
	for range payers {
		links = append(links, key.link(`"amount":"7"`))
	}
	type outcome struct{ i, status int }
	answers := make(chan outcome, payers)
	body := `{"attempt":"attempt-0000000001","card":{"number":"4242424242424242","expMonth":12,"expYear":2034,"cvc":"7391"}}`
	for i, l := range links {
		go func() { answers <- outcome{i, postQuietly(t, p.url+tokenPath(t, l)+"/payments", body)} }()
	}
	first := <-answers
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	paid := map[int]bool{first.i: first.status == http.StatusOK}
	for range payers - 1 {
		a := <-answers
		if a.status != 0 && a.status != http.StatusOK {
			t.Errorf("a payment under way was answered %d", a.status)
		}
		paid[a.i] = a.status == http.StatusOK
	}
	<-p.done
	if p.err != nil || !strings.Contains(p.logs.String(), "finishing what is under way") {
		t.Errorf("after SIGTERM: %v\n%s", p.err, p.logs)
	}
	serveOn(t, p.data, strings.TrimPrefix(p.url, "http://"))
	for i, l := range links {
		if paid[i] {
			onePayment(key, l, "succeeded")
		}
	}
	verified(t, p.data)
}

func postQuietly(t *testing.T, url, body string) int {
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return -1
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0
	}
	_ = resp.Body.Close()
	return resp.StatusCode
}
