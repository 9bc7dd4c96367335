package harness

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/store/pgtest"
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
	out, err := exec.Command("go", "build", "-o", b, "github.com/paylink/paylink/cmd/paylink").CombinedOutput() // the build ends by itself
	if err != nil {
		return "", errors.Join(err, errors.New(string(out)))
	}
	return b, nil
})

// Binary is the path of the binary under test.
func Binary(t testing.TB) string {
	t.Helper()
	b, err := builtBinary()
	if err != nil {
		t.Fatalf("build paylink: %v", err)
	}
	return b
}

// environments holds what tests set for the processes that they start, by test name. This
// process's own environment stays unchanged, so that tests run in parallel.
var environments = struct {
	sync.Mutex
	of map[string][]string
}{of: map[string][]string{}}

// Setenv sets a variable for what the test and its subtests start from now on.
func Setenv(t testing.TB, name, value string) {
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

// Environ is what the test's processes start with; of a variable that is there twice,
// the last counts.
func Environ(t testing.TB) []string {
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
	for _, v := range Environ(t) {
		if n, is, _ := strings.Cut(v, "="); n == name {
			value = is
		}
	}
	return value
}

// Buffer is a buffer that a process writes while a test reads.
type Buffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write appends to the buffer.
func (s *Buffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.Write(p)
}

// String is what was written so far.
func (s *Buffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.buf.String()
}

// Process is one running server.
type Process struct {
	T    testing.TB
	URL  string // of its public listener, or else of its admin listener
	Data string
	Logs *Buffer
	cmd  *exec.Cmd
	Done chan struct{} // closed when it has ended
	Err  error         // how it ended
	all  *Fleet        // the deployment whose gateway this is; nil for a single process
}

// FreeAddress returns a loopback address on which nothing listens, and nothing else will while
// the server that gets it is down.
func FreeAddress(t testing.TB) string {
	t.Helper()
	return "127.0.0.1:" + strconv.Itoa(pgtest.FreePort(t, 12_000, 32_000))
}

// Start starts a server on a data folder and an address of its own, and waits
// until it is ready. When the test ends it is stopped, and must end well.
func Start(t testing.TB, flags ...string) *Process {
	t.Helper()
	return StartOn(t, filepath.Join(t.TempDir(), "data"), FreeAddress(t), flags...)
}

// StartOn is Start on a data folder and an address that are known.
func StartOn(t testing.TB, data, address string, flags ...string) *Process {
	t.Helper()
	if getenv(t, "PAYLINK_STORE") == "" {
		t.Log("engine: SQLite") // scripts/test.sh counts these
	}
	p := &Process{T: t, URL: "http://" + address, Data: data, Logs: &Buffer{}}
	p.start(append([]string{"--data", data, "--listen", address, "--public-url", p.URL}, flags...)...)
	t.Cleanup(p.Stop)
	p.Ready()
	return p
}

// start runs the binary with these flags.
func (p *Process) start(flags ...string) {
	p.T.Helper()
	cmd := exec.Command(
		Binary(p.T),
		append([]string{"serve", "--allow-private-webhooks", "--log-level", "debug"}, flags...)...) // stop ends it
	cmd.Env = Environ(p.T)
	p.run(cmd)
}

func (p *Process) run(cmd *exec.Cmd) {
	p.T.Helper()
	p.cmd, p.Done = cmd, make(chan struct{})
	cmd.Stdout, cmd.Stderr = p.Logs, p.Logs
	if err := cmd.Start(); err != nil {
		p.T.Fatal(err)
	}
	done := p.Done
	go func() { p.Err = cmd.Wait(); close(done) }()
}

// Launch starts a server by a command of the test's own, which need not be ready, and
// is killed when the test ends.
func Launch(t testing.TB, cmd *exec.Cmd, url, data string) *Process {
	t.Helper()
	p := &Process{T: t, URL: url, Data: data, Logs: &Buffer{}}
	p.run(cmd)
	t.Cleanup(p.Kill)
	return p
}

// Ready waits until the server answers that it is.
func (p *Process) Ready() {
	p.T.Helper()
	await.Until(p.T, "the server is ready", func() bool {
		select {
		case <-p.Done:
			p.T.Fatalf("the server ended: %v\n%s", p.Err, p.Logs)
		default:
		}
		status, _ := p.Get(p.T, "/readyz")
		return status == http.StatusOK
	})
}

// Stop asks the server to end, and checks that it ends well. A second stop does
// nothing.
func (p *Process) Stop() {
	p.T.Helper()
	if p.all != nil {
		p.all.Stop()
		return
	}
	select {
	case <-p.Done:
		return
	default:
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		p.T.Errorf("SIGTERM: %v", err)
	}
	select {
	case <-p.Done:
		if p.Err != nil {
			p.T.Errorf("after SIGTERM: %v\n%s", p.Err, p.Logs)
		}
	case <-time.After(2 * await.Patience):
		_ = p.cmd.Process.Kill()
		p.T.Errorf("the server did not end after SIGTERM\n%s", p.Logs)
	}
}

// PID returns the id of the server's process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Signal sends the process a signal.
func (p *Process) Signal(signal os.Signal) {
	p.T.Helper()
	if err := p.cmd.Process.Signal(signal); err != nil {
		p.T.Fatal(err)
	}
}

// Kill ends the process at once. A second kill does nothing.
func (p *Process) Kill() {
	p.T.Helper()
	select {
	case <-p.Done:
	default:
		p.Signal(syscall.SIGKILL)
		<-p.Done
	}
}

// Get is a plain GET without credentials; status 0 is no answer.
func (p *Process) Get(t testing.TB, path string) (int, string) {
	t.Helper()
	return Get(t, p.URL+path)
}

// Get is a plain GET of an address; status 0 is no answer.
func Get(t testing.TB, address string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
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

// Command runs the binary to its end and returns its output and its exit status.
func Command(t testing.TB, args ...string) (out, errs string, status int) {
	t.Helper()
	binary := Binary(t) // making it may take longer than what it does
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), await.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, binary, args...)
	var o, e bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = Environ(t), &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("paylink %s: %v", strings.Join(args, " "), err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// ModuleRoot is the folder of go.mod.
func ModuleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test")
		}
	}
}

// Refused runs a command that must fail with status 1 or 80 and print the words.
func Refused(t testing.TB, words string, args ...string) {
	t.Helper()
	out, errs, status := Command(t, args...)
	if status != 1 && status != 80 || !strings.Contains(errs, words) {
		t.Errorf("paylink %s: status %d, want words %q, said %q %q", strings.Join(args, " "), status, words, out, errs)
	}
	if strings.Contains(errs, "goroutine ") {
		t.Errorf("paylink %s panicked: %s", strings.Join(args, " "), errs)
	}
}

// Worked runs a command that must succeed and print the words.
func Worked(t testing.TB, words string, args ...string) {
	t.Helper()
	out, errs, status := Command(t, args...)
	if status != 0 || !strings.Contains(out, words) {
		t.Errorf("paylink %s: status %d, want words %q, said %q %q", strings.Join(args, " "), status, words, out, errs)
	}
}

// StoreOn makes every paylink that the test runs keep everything in a database.
func StoreOn(t *testing.T, url string) { t.Helper(); Setenv(t, "PAYLINK_STORE", url) }
