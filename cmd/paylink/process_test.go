// The end-to-end tests run the binary as its operators do: as a process, over
// its public addresses, ended by SIGTERM.
package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/paylink/paylink/internal/gateway/api/apitest"
	"github.com/paylink/paylink/internal/store/pgtest"
)

// Bounds of the tests: how long something may take on a machine that is busy with other
// things. Only a test that fails waits this long.
const (
	patience = 3 * time.Minute
	lookPace = 20 * time.Millisecond
)

var builtBinary = sync.OnceValues(func() (string, error) {
	if b := os.Getenv("PAYLINK_BINARY"); b != "" {
		return b, nil
	}
	dir, err := os.MkdirTemp("", "paylink-test-")
	if err != nil {
		return "", err
	}
	b := filepath.Join(dir, "paylink")
	out, err := exec.Command("go", "build", "-o", b, "github.com/paylink/paylink/cmd/paylink").CombinedOutput() //nolint:noctx // the build ends by itself
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return b, nil
})

func paylinkBinary(t testing.TB) string {
	t.Helper()
	b, err := builtBinary()
	if err != nil {
		t.Fatalf("build paylink: %v", err)
	}
	return b
}

// environments are what tests set for the processes that they start, by the tests'
// names. This process keeps its own, so that tests run side by side.
var environments = struct {
	sync.Mutex
	of map[string][]string
}{of: map[string][]string{}}

// setenv sets a variable for what the test and its subtests start from now on.
func setenv(t testing.TB, name, value string) {
	t.Helper()
	environments.Lock()
	defer environments.Unlock()
	if environments.of[t.Name()] == nil {
		t.Cleanup(func() {
			environments.Lock()
			defer environments.Unlock()
			delete(environments.of, t.Name())
		})
	}
	environments.of[t.Name()] = append(environments.of[t.Name()], name+"="+value)
}

// environ is what the test's processes start with; of a variable that is there twice,
// the last counts.
func environ(t testing.TB) []string {
	t.Helper()
	environments.Lock()
	defer environments.Unlock()
	all, at := os.Environ(), ""
	for part := range strings.SplitSeq(t.Name(), "/") {
		at += part
		all = append(all, environments.of[at]...)
		at += "/"
	}
	return all
}

func getenv(t testing.TB, name string) (value string) {
	t.Helper()
	for _, v := range environ(t) {
		if n, is, _ := strings.Cut(v, "="); n == name {
			value = is
		}
	}
	return value
}

// shared is a buffer that a process writes while a test reads.
type shared struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

func (s *shared) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// process is one running server.
type process struct {
	t    testing.TB
	url  string // of its public listener, or else of its admin listener
	data string
	logs *shared
	cmd  *exec.Cmd
	done chan struct{} // closed when it has ended
	err  error         // how it ended
	all  *fleet        // the deployment of which this is the gateway; nil: one process is all
}

// freeAddress is a loopback address that nobody listens on, nor will while the server
// that gets it is down.
func freeAddress(t testing.TB) string {
	t.Helper()
	return "127.0.0.1:" + strconv.Itoa(pgtest.FreePort(t, 12_000, 32_000))
}

// serveOn starts a server on a data folder and an address, and waits until it is
// ready. When the test ends it is stopped, and must end well.
func serveOn(t testing.TB, data, address string) *process {
	t.Helper()
	return serveWith(t, data, address)
}

func serveWith(t testing.TB, data, address string, flags ...string) *process {
	t.Helper()
	if getenv(t, "PAYLINK_STORE") == "" {
		t.Log("engine: SQLite") // scripts/test.sh counts these
	}
	p := &process{t: t, url: "http://" + address, data: data, logs: &shared{}}
	p.start(append([]string{"--data", data, "--listen", address, "--public-url", p.url}, flags...)...)
	t.Cleanup(p.stop)
	p.ready()
	return p
}

// start runs the binary with these flags.
func (p *process) start(flags ...string) {
	p.t.Helper()
	p.done = make(chan struct{})
	p.cmd = exec.Command(paylinkBinary(p.t), append([]string{"serve", "--allow-private-webhooks", "--log-level", "debug"}, flags...)...) //nolint:noctx,gosec // stop ends it, and the binary is ours
	p.cmd.Env, p.cmd.Stdout, p.cmd.Stderr = environ(p.t), p.logs, p.logs
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	cmd, done := p.cmd, p.done
	go func() { p.err = cmd.Wait(); close(done) }()
}

func (p *process) ready() {
	p.t.Helper()
	eventually(p.t, "the server is ready", func() bool {
		select {
		case <-p.done:
			p.t.Fatalf("the server ended: %v\n%s", p.err, p.logs)
		default:
		}
		status, _ := p.get(p.t, "/readyz")
		return status == http.StatusOK
	})
}

func serve(t testing.TB) *process {
	t.Helper()
	return serveOn(t, filepath.Join(t.TempDir(), "data"), freeAddress(t))
}

// stop asks the server to end, and checks that it ends well. A second stop does
// nothing.
func (p *process) stop() {
	p.t.Helper()
	if p.all != nil {
		p.all.stop()
		return
	}
	p.end()
}

func (p *process) end() {
	p.t.Helper()
	select {
	case <-p.done:
		return
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.t.Errorf("SIGTERM: %v", err)
	}
	select {
	case <-p.done:
		if p.err != nil {
			p.t.Errorf("after SIGTERM: %v\n%s", p.err, p.logs)
		}
	case <-time.After(2 * patience):
		_ = p.cmd.Process.Kill()
		p.t.Errorf("the server did not end after SIGTERM\n%s", p.logs)
	}
}

// get is a plain GET without credentials; status 0 is no answer.
func (p *process) get(t testing.TB, path string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, p.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, ""
	}
	return resp.StatusCode, string(body)
}

// eventually looks until something is so.
func eventually(t testing.TB, what string, so func() bool) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(lookPace)
	defer tick.Stop()
	for !so() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}

// command runs the binary to its end and returns what it said and its exit status.
func command(t testing.TB, args ...string) (out, errs string, status int) {
	t.Helper()
	binary := paylinkBinary(t) // making it may take longer than what it does
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...) //nolint:gosec // our own binary
	var o, e bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = environ(t), &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("paylink %s: %v", strings.Join(args, " "), err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// client calls the API; each exchange is held against the OpenAPI document.
type client struct {
	t      testing.TB
	url    string
	bearer string
	check  func(*http.Request, []byte, *http.Response, []byte)
}

type answered struct {
	status int
	header http.Header
	body   []byte
	json   map[string]any
}

func (p *process) client(t testing.TB) *client {
	t.Helper()
	return &client{t: t, url: p.url, check: apitest.Validator(t)}
}

func (c *client) as(bearer string) *client {
	other := *c
	other.bearer = bearer
	return &other
}

// do sends a request; headers are pairs of name and value.
func (c *client) do(method, path, body string, headers ...string) answered {
	c.t.Helper()
	req, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.bearer != "" {
		req.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		c.t.Fatal(err)
	}
	raw, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		c.t.Fatal(err)
	}
	c.check(req, []byte(body), resp, raw)
	a := answered{status: resp.StatusCode, header: resp.Header, body: raw}
	if strings.Contains(resp.Header.Get("Content-Type"), "json") && len(raw) > 0 {
		if err := json.Unmarshal(raw, &a.json); err != nil {
			c.t.Fatalf("%s %s: %v: %s", method, path, err, raw)
		}
	}
	return a
}

// ok is do where only 200 will do. A 503 that may be tried again is tried again under
// the same idempotency key, as the API's document asks of every client: a store on a
// busy machine may miss its bounds.
func (c *client) ok(method, path, body string, headers ...string) map[string]any {
	c.t.Helper()
	if method == http.MethodPost && !slices.Contains(headers, "Idempotency-Key") {
		headers = append(headers, "Idempotency-Key", uuid.NewString())
	}
	var a answered
	eventually(c.t, method+" "+path+" is not answered 503", func() bool {
		a = c.do(method, path, body, headers...)
		return a.status != http.StatusServiceUnavailable || a.json["retryable"] != true
	})
	if a.status != http.StatusOK {
		c.t.Fatalf("%s %s: %d %s", method, path, a.status, a.body)
	}
	return a.json
}

func str(t testing.TB, o map[string]any, member string) string {
	t.Helper()
	s, ok := o[member].(string)
	if !ok {
		t.Fatalf("%q is no text in %v", member, o)
	}
	return s
}

func list(t testing.TB, o map[string]any, member string) []map[string]any {
	t.Helper()
	items, ok := o[member].([]any)
	if !ok {
		t.Fatalf("%q is no list in %v", member, o)
	}
	var all []map[string]any
	for _, i := range items {
		m, ok := i.(map[string]any)
		if !ok {
			t.Fatalf("%q has %v in it", member, i)
		}
		all = append(all, m)
	}
	return all
}

const everyScope = `["links:read","links:write","payments:read","payments:write","webhooks:read","webhooks:write","events:read","balance:read","forms:read","forms:write","fraud:read","fraud:write"]`

// merchant makes an account that takes EUR and USD through the simulator, and
// returns the clients of its user and of its API key.
func (p *process) merchant(t testing.TB, name string) (user, key *client) {
	t.Helper()
	c := p.client(t)
	c.ok("POST", "/api/users", `{"username":"`+name+`","email":"`+name+`@example.com","date":"2026-01-31","password":"correct horse battery"}`)
	user = c.as(str(t, c.ok("POST", "/api/sessions", `{"login":"`+name+`","password":"correct horse battery"}`), "token"))
	user.ok("PUT", "/api/users", `{"paymentMethods":[{"type":"card","issuer":"simulator","currencies":["EUR","USD"],"enabled":true}]}`)
	k := user.ok("POST", "/api/api-keys", `{"name":"backend","mode":"test","scopes":`+everyScope+`}`)
	return user, c.as(str(t, k, "secret"))
}

// link makes a payment link and returns it.
func (c *client) link(members string) map[string]any {
	c.t.Helper()
	return c.ok("POST", "/api/payment", `{"currency":"EUR",`+members+`}`)
}

// tokenPath is the path of a link's page.
func tokenPath(t testing.TB, l map[string]any) string {
	t.Helper()
	_, token, ok := strings.Cut(str(t, l, "url"), "/l/")
	if !ok {
		t.Fatalf("no link's URL: %v", l["url"])
	}
	return "/l/" + token
}

// payJSON pays a link as a page's script would.
func (c *client) payJSON(l map[string]any, attempt, number string) answered {
	c.t.Helper()
	return c.as("").do("POST", tokenPath(c.t, l)+"/payments", `{"attempt":"`+attempt+`","card":{"number":"`+number+`","expMonth":12,"expYear":2034,"cvc":"7391"}}`)
}
