package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
)

// TestEveryRuntimesClient calls the API as the backends of others do: with the HTTP
// client that their language brings or that most of them use. Guards that were only
// ever met by our own client would refuse what these send of themselves.
func TestEveryRuntimesClient(t *testing.T) {
	t.Parallel()
	p, _, key := harness.Developer(t)
	id, secret, _ := strings.Cut(key, ":")
	programs := filepath.Join("testdata", "clients")
	modules, err := filepath.Glob(filepath.Join(harness.ModuleRoot(t), ".cache", "http-clients-*", "node_modules"))
	if err != nil || len(modules) == 0 {
		t.Fatalf("undici and axios are not there; run scripts/needs.sh (%v)", err)
	}
	for _, c := range []struct {
		run  []string
		want []string
	}{
		{[]string{"node", "node.mjs"}, []string{"node-fetch-built-in", "undici-fetch", "undici-request", "axios-http", "axios-fetch", "node-http-chunked"}},
		{[]string{"/usr/bin/python3", "clients.py"}, []string{"python-requests", "python-httpx", "python-urllib3", "python-urllib"}},
		{[]string{"java", "-XX:TieredStopAtLevel=1", "Client.java"}, []string{"java-httpclient"}},
		{[]string{"bash", "curl.sh"}, []string{"curl", "curl-chunked-expect", "curl-http1.0", "curl-h2c"}},
	} {
		t.Run(c.run[0], func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), c.run[0], c.run[1:]...)
			cmd.Dir = programs
			cmd.Env = append(os.Environ(), "PAYLINK_URL="+p.URL, "PAYLINK_KEY="+id, "PAYLINK_SECRET="+secret, "CLIENTS="+filepath.Dir(modules[len(modules)-1]), "NO_PROXY=*")
			out, err := cmd.CombinedOutput()
			want := strings.Join(c.want, " ok\n") + " ok\n"
			if err != nil || string(out) != want {
				t.Errorf("%v\n%s\nwant\n%s", err, out, want)
			}
		})
	}
	t.Run("go", func(t *testing.T) {
		t.Parallel()
		for _, call := range []struct{ method, path, body string }{{"POST", "/api/payment", `{"amount":"12.50","currency":"EUR"}`}, {"GET", "/api/payments", ""}} {
			req, err := http.NewRequestWithContext(t.Context(), call.method, p.URL+call.path, strings.NewReader(call.body))
			if err != nil {
				t.Fatal(err)
			}
			req.SetBasicAuth(id, secret)
			if call.body != "" {
				req.Header.Set("Content-Type", "application/json")
			}
			resp, err := http.DefaultClient.Do(req)
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(resp.Body)
			_ = resp.Body.Close()
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Error(fmt.Errorf("%s %s: %d %s %w", call.method, call.path, resp.StatusCode, body, err))
			}
		}
	})
}
