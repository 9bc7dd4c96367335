//go:build linux

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os/exec"
	"path/filepath"
	"testing"
)

// services of the distributed deployment in the order in which they stop: callers first.
var services = []string{"gateway", "simulator", "users", "links", "verifier", "payments", "notifier", "transactions", "fraud"}

// distributed starts one process for each service, on the stores from the environment, and
// creates a merchant with a key.
func distributed(b *testing.B) *server {
	b.Helper()
	s := &server{data: b.TempDir()}
	b.Cleanup(func() { s.stop(b) })
	program := binary(b)
	tool(b, program, "migrate", "--data", s.data)
	tool(b, program, "keys", "create", "--data", s.data)
	root := filepath.Join(s.data, "internal-root.json")
	tool(b, program, "internal-keys", "create", root)
	listen := map[string]string{}
	var all []string // the same list for all: a service ignores what it does not call
	for _, name := range services {
		if listen[name] = freeAddress(b); name != "gateway" {
			all = append(all, "--service", name+"=http://"+listen[name])
		}
		tool(b, program, "internal-keys", "export", "--root", root, "--target", name, s.internalKeys(name))
		if name != "payments" { // it needs no key
			tool(b, program, "keys", "export", "--data", s.data, "--target", name, s.share(name))
		}
	}
	s.host = listen["gateway"]
	for _, name := range services {
		data, public := filepath.Join(s.data, name), "--internal-listen"
		switch name {
		case "simulator":
			data = s.data
		case "gateway":
			public = "--listen"
		}
		s.launch(b, program, append([]string{"--target", name, "--data", data, "--keys", s.share(name), "--admin-listen", "127.0.0.1:0",
			"--public-url", "http://" + s.host, "--internal-keys", s.internalKeys(name), public, listen[name]}, all...)...)
	}
	s.merchant(b)
	return s
}

func (s *server) share(service string) string { return filepath.Join(s.data, "shares", service) }

func (s *server) internalKeys(service string) string {
	return filepath.Join(s.data, "internal", service+".json")
}

// tool runs a command of the binary that ends by itself.
func tool(b *testing.B, binary string, args ...string) {
	b.Helper()
	if out, err := exec.CommandContext(b.Context(), binary, args...).CombinedOutput(); err != nil {
		b.Fatalf("%v: %v\n%s", args, err, out)
	}
}

func freeAddress(b *testing.B) string {
	b.Helper()
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
	return l.Addr().String()
}

// merchant signs up, accepts cards, and creates the key for the load.
func (s *server) merchant(b *testing.B) {
	b.Helper()
	s.ask(b, "", "POST", "/api/users", `{"username":"ada","email":"ada@example.com","password":"correct horse battery"}`)
	session := s.ask(b, "", "POST", "/api/sessions", `{"login":"ada","password":"correct horse battery"}`)
	token, _ := session["token"].(string)
	s.ask(b, token, "PUT", "/api/users", `{"paymentMethods":[{"type":"card","issuer":"simulator","currencies":["EUR"],"enabled":true}]}`)
	key := s.ask(b, token, "POST", "/api/api-keys", `{"name":"load","mode":"test","scopes":["links:read","links:write"]}`)
	id, _ := key["id"].(string)
	secret, _ := key["secret"].(string)
	s.authenticate(id, secret)
}

func (s *server) ask(b *testing.B, token, method, path, body string) (answer map[string]any) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, "http://"+s.host+path, bytes.NewReader([]byte(body)))
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = got.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(got.Body, answerBytes))
	if err == nil && got.StatusCode != http.StatusOK {
		err = fmt.Errorf("%d %s", got.StatusCode, raw)
	}
	if err == nil {
		err = json.Unmarshal(raw, &answer)
	}
	if err != nil {
		b.Fatalf("%s %s: %v", method, path, err)
	}
	return answer
}
