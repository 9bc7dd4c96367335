//go:build linux

package bench

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/paylink/paylink/internal/store/dynamotest"
	"github.com/paylink/paylink/internal/store/pgtest"
)

func TestMain(m *testing.M) { os.Exit(dynamotest.Main(m)) }

// shapeLevels are the numbers of clients at which the shapes are compared.
var shapeLevels = []int{16, 64}

// commitsOfPayment are those that a complete payment waits for: the link, the
// attempt, the issuer's answer.
const commitsOfPayment = 3

// BenchmarkShapes pays in each shape, and measures beside it how many commits of
// the same size the shape's engine takes from its plain driver.
func BenchmarkShapes(b *testing.B) {
	for range b.N {
		warm, level, raw := times(b)
		before := load()
		out := &strings.Builder{}
		t := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
		_, _ = fmt.Fprintln(t, "shape\tclients\tpayments/s\tp50\tp99\tservers' CPU each\tplain commits/s\tshare of the engine\t")
		for _, shape := range []struct {
			name   string
			start  func(*testing.B) (*server, plain)
			longer time.Duration // the emulator is slow: it needs time to tell
		}{{"embedded, SQLite", embedded, 1}, {"one process, PostgreSQL", onPostgres, 1}, {"eight processes, PostgreSQL and DynamoDB Local", distributed, 3}} {
			b.Run(shape.name, func(b *testing.B) {
				s, engine := shape.start(b)
				for _, clients := range shapeLevels {
					limit, err := engine(clients, raw)
					if err != nil {
						b.Fatal(err)
					}
					m, err := s.measure(shape.name, clients, warm, shape.longer*level, s.payments)
					if err != nil {
						b.Fatalf("%s at %d clients: %v", shape.name, clients, err)
					}
					_, _ = fmt.Fprintf(t, "%s\t%d\t%.0f\t%s\t%s\t%s\t%.0f\t%.0f %%\t\n", shape.name, clients, m.rate(), ms(percentile(m.whole, 0.5)),
						ms(percentile(m.whole, 0.99)), ms(m.each(m.serverCPU)), limit, 100*commitsOfPayment*m.rate()/limit)
				}
			})
		}
		_ = t.Flush()
		_, _ = fmt.Fprintf(os.Stdout, "\ncomplete payments in three shapes, load average %s before and %s after\n\n%s\n", before, load(), out)
	}
}

func embedded(b *testing.B) (*server, plain) { return start(b), plainSQLite(b) }

func onPostgres(b *testing.B) (*server, plain) {
	url := pgtest.Database(b)
	return start(b, "--store", url), plainPostgres(b, url)
}

// distributed runs every box in a process of its own.
func distributed(b *testing.B) (*server, plain) {
	dir, database, table := b.TempDir(), pgtest.Database(b), dynamotest.URL(b)
	tool(b, "migrate", "--data", dir, "--store", database, "--payments-store", table)
	tool(b, "keys", "create", "--data", dir)
	secret := filepath.Join(dir, "internal.secret")
	if err := os.WriteFile(secret, []byte(strings.Repeat("0123456789abcdef", 4)+"\n"), 0o600); err != nil {
		b.Fatal(err)
	}
	s, public := &server{}, port(b)
	common := []string{"--store", database, "--payments-store", table, "--internal-secret-file", secret, "--public-url", "http://" + public}
	services := []string{"users", "links", "verifier", "payments", "transactions", "notifier", "simulator"}
	at := map[string]string{}
	for _, target := range services {
		at[target] = port(b)
		common = append(common, "--service", target+"=http://"+at[target])
	}
	flags := func(target string, more ...string) []string {
		share := filepath.Join(dir, "shares", target)
		if target != "payments" { // it holds no key
			tool(b, "keys", "export", "--data", dir, "--target", target, share)
		}
		return append(append([]string{"--target", target, "--data", filepath.Join(dir, target), "--keys", share}, common...), more...)
	}
	s.host = public
	s.launch(b, flags("gateway", "--listen", public)...)
	for _, target := range services {
		s.launch(b, flags(target, "--internal-listen", at[target])...)
	}
	s.signUp(b)
	return s, plainDynamoDB(b, table)
}

// tool runs a command of the binary.
func tool(b *testing.B, args ...string) {
	b.Helper()
	if out, err := exec.Command(binary(b), args...).CombinedOutput(); err != nil { //nolint:gosec,noctx // short, and ours
		b.Fatalf("paylink %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// port is a loopback address that nobody listens on now.
func port(b *testing.B) string {
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

// signUp makes an account and a key, once every service answers.
func (s *server) signUp(b *testing.B) {
	b.Helper()
	for status := 0; status != http.StatusOK; {
		status, _ = s.call(b, "GET", "/readyz", "", "")
	}
	const login = `{"login":"bench","password":"correct horse battery"}`
	s.must(b, "/api/users", "", `{"username":"bench","email":"bench@example.com","password":"correct horse battery"}`, nil)
	var session struct{ Token string }
	s.must(b, "/api/sessions", "", login, &session)
	var key struct{ ID, Secret string }
	s.must(b, "/api/api-keys", session.Token, `{"name":"bench","mode":"test","scopes":["links:write"]}`, &key)
	s.authenticate(key.ID, key.Secret)
}

func (s *server) must(b *testing.B, path, token, body string, into any) {
	b.Helper()
	status, answer := s.call(b, "POST", path, token, body)
	if status != http.StatusOK {
		b.Fatalf("POST %s: %d %s", path, status, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		b.Fatal(err)
	}
}

func (s *server) call(b *testing.B, method, path, token, body string) (status int, answer []byte) {
	b.Helper()
	r, err := http.NewRequestWithContext(b.Context(), method, "http://"+s.host+path, bytes.NewReader([]byte(body)))
	if err != nil {
		b.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if answer, err = io.ReadAll(resp.Body); err != nil {
		b.Fatal(err)
	}
	return resp.StatusCode, answer
}
