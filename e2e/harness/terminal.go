package harness

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/paylink/paylink/internal/await"
)

// Terminal runs the commands that call a server, with a home of its own.
type Terminal struct {
	t   testing.TB
	env []string
	Dir string
}

// NewTerminal has the settings in its environment: NAME=VALUE.
func NewTerminal(t testing.TB, env ...string) *Terminal {
	t.Helper()
	dir := t.TempDir()
	return &Terminal{
		t:   t,
		Dir: dir,
		env: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "TZ=UTC"}, env...),
	}
}

func (c *Terminal) command(ctx context.Context, stdin string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, Binary(c.t), args...)
	cmd.Env, cmd.Stdin = c.env, strings.NewReader(stdin)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = await.Patience
	return cmd
}

// Run runs a command to its end.
func (c *Terminal) Run(stdin string, args ...string) (out, errs string, status int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), 4*await.Patience)
	defer cancel()
	cmd := c.command(ctx, stdin, args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.t.Errorf("paylink %s: %v", strings.Join(args, " "), err)
		return "", "", -1
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// OK is Run where only success will do; it returns what was printed.
func (c *Terminal) OK(args ...string) string {
	c.t.Helper()
	out, errs, status := c.Run("", args...)
	if status != 0 {
		c.t.Fatalf("paylink %s: status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

// Decode is the JSON that a command prints.
func Decode[T any](t testing.TB, out string) T {
	t.Helper()
	var o T
	if err := json.Unmarshal([]byte(out), &o); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return o
}

// Running is a command that runs until it is stopped.
type Running struct {
	t         testing.TB
	cmd       *exec.Cmd
	Out, Errs *Buffer
	once      sync.Once
	ended     chan struct{}
	err       error
}

// Start runs a command that goes on.
func (c *Terminal) Start(args ...string) *Running {
	c.t.Helper()
	r := &Running{
		t:     c.t,
		cmd:   c.command(context.WithoutCancel(c.t.Context()), "", args...),
		Out:   &Buffer{},
		Errs:  &Buffer{},
		ended: make(chan struct{}),
	}
	r.cmd.Stdout, r.cmd.Stderr = r.Out, r.Errs
	if err := r.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { r.err = r.cmd.Wait(); close(r.ended) }()
	c.t.Cleanup(r.Stop)
	return r
}

// Stop asks it to end, and checks that it ends well.
func (r *Running) Stop() {
	r.t.Helper()
	r.once.Do(func() {
		_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-r.ended:
		case <-time.After(await.Patience):
			_ = r.cmd.Process.Kill()
			r.t.Error("a command does not stop")
			return
		}
		if r.err != nil {
			r.t.Errorf("%s: %v\n%s%s", strings.Join(r.cmd.Args[1:], " "), r.err, r.Out, r.Errs)
		}
	})
}

// Says waits until the command has printed the text.
func (r *Running) Says(text string) {
	r.t.Helper()
	await.Until(r.t, strings.Join(r.cmd.Args[1:], " ")+" says "+text, func() bool {
		select {
		case <-r.ended:
			return strings.Contains(r.Out.String()+r.Errs.String(), text)
		default:
			return strings.Contains(r.Out.String()+r.Errs.String(), text)
		}
	})
}

// Developer is a server with a demo account, and a terminal with its key.
func Developer(t testing.TB) (*Process, *Terminal, string) {
	t.Helper()
	p := Start(t, "--demo")
	var found []string
	await.Until(t, "the server prints the key", func() bool {
		found = regexp.MustCompile(`API key +(key_\S+) +secret +(pl_test_\S+)\n`).FindStringSubmatch(p.Logs.String())
		return found != nil
	})
	key := found[1] + ":" + found[2]
	return p, NewTerminal(t, "PAYLINK_URL="+p.URL, "PAYLINK_API_KEY="+key), key
}

// OnTerminal runs a command whose messages go to a terminal of 100 columns, and returns its
// output and everything that the terminal received.
func OnTerminal(t *testing.T, args ...string) (out, screen string) {
	t.Helper()
	far, near, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	if err := pty.Setsize(near, &pty.Winsize{Rows: 24, Cols: 100}); err != nil {
		t.Fatal(err)
	}
	read := make(chan string, 1)
	go func() {
		all, _ := io.ReadAll(far) // ends with an error once nobody has the other side open
		read <- string(all)
	}()
	var result bytes.Buffer
	c := exec.CommandContext(t.Context(), Binary(t), args...)
	c.Env, c.Stdout, c.Stderr = Environ(t), &result, near
	err = c.Run()
	_ = near.Close()
	screen = <-read
	_ = far.Close()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, screen)
	}
	return result.String(), screen
}
