package cli

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/paylink/paylink/e2e/harness"
)

// TestEveryRuntimesClient calls the API as other backends do: with the HTTP client of their
// language or the most common one. Checks that were only ever tested with our own client could
// refuse what these send.
func TestEveryRuntimesClient(t *testing.T) {
	t.Parallel()
	p, _, key := harness.Developer(t)
	id, secret, _ := strings.Cut(key, ":")
	programs := filepath.Join("testdata", "clients")
	modules, bun, deno := fetched(t, "http-clients-*/node_modules"), fetched(t, "bun-*/bun"), fetched(t, "deno-*/deno")
	script := []string{"fetch-built-in", "undici-fetch", "undici-request", "http-chunked"}
	withAxios := slices.Concat(script, []string{"axios-http", "axios-fetch"}) // Deno cannot load axios from a folder of npm's
	for _, c := range []struct {
		name string
		run  []string
		want []string
	}{
		{"node", slices.Concat([]string{"node", "clients.mjs"}, withAxios), withAxios},
		{"bun", slices.Concat([]string{bun, "clients.mjs"}, withAxios), withAxios},
		{"deno", slices.Concat([]string{deno, "run", "--allow-all", "--no-config", "--no-lock", "clients.mjs"}, script), script},
		{"python", []string{"/usr/bin/python3", "clients.py"}, []string{"python-requests", "python-httpx", "python-urllib3", "python-urllib"}},
		{"java", []string{"java", "-XX:TieredStopAtLevel=1", "Client.java"}, []string{"java-httpclient"}},
		{"curl", []string{"bash", "curl.sh"}, []string{"curl", "curl-chunked-expect", "curl-http1.0", "curl-h2c"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			cmd := exec.CommandContext(t.Context(), c.run[0], c.run[1:]...)
			cmd.Dir = programs
			cmd.Env = append(
				os.Environ(),
				"PAYLINK_URL="+p.URL,
				"PAYLINK_KEY="+id,
				"PAYLINK_SECRET="+secret,
				"CLIENTS="+filepath.Dir(modules),
				"NO_PROXY=*",
				"DENO_DIR="+t.TempDir(),
				"DENO_NO_UPDATE_CHECK=1",
			)
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

// fetched returns the path of what scripts/needs.sh keeps in .cache under pattern.
func fetched(t *testing.T, pattern string) string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(harness.ModuleRoot(t), ".cache", filepath.FromSlash(pattern)))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no .cache/%s; run scripts/needs.sh (%v)", pattern, err)
	}
	return paths[len(paths)-1]
}
