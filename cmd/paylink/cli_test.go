package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	sdk "github.com/paylink/paylink/client"
)

// terminal runs the commands that call a server, with a home of its own.
type terminal struct {
	t   testing.TB
	env []string
	dir string
}

// newTerminal has the settings in its environment: NAME=VALUE.
func newTerminal(t testing.TB, env ...string) *terminal {
	t.Helper()
	dir := t.TempDir()
	return &terminal{t: t, dir: dir, env: append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "XDG_CONFIG_HOME=" + dir, "TZ=UTC"}, env...)}
}

func (c *terminal) command(ctx context.Context, stdin string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, paylinkBinary(c.t), args...) //nolint:gosec // our own binary
	cmd.Env, cmd.Stdin = c.env, strings.NewReader(stdin)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = patience
	return cmd
}

// run runs a command to its end.
func (c *terminal) run(stdin string, args ...string) (out, errs string, status int) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(c.t.Context()), 4*patience)
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

// ok is run where only success will do.
func (c *terminal) ok(args ...string) string {
	c.t.Helper()
	out, errs, status := c.run("", args...)
	if status != 0 {
		c.t.Fatalf("paylink %s: status %d\n%s%s", strings.Join(args, " "), status, out, errs)
	}
	return out
}

// object is the JSON that a command prints.
func object[T any](t testing.TB, out string) T {
	t.Helper()
	var o T
	if err := json.Unmarshal([]byte(out), &o); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return o
}

// running is a command that goes on until it is stopped.
type running struct {
	t         testing.TB
	cmd       *exec.Cmd
	out, errs *shared
	once      sync.Once
	ended     chan struct{}
	err       error
}

func (c *terminal) start(args ...string) *running {
	c.t.Helper()
	r := &running{t: c.t, cmd: c.command(context.WithoutCancel(c.t.Context()), "", args...), out: &shared{}, errs: &shared{}, ended: make(chan struct{})}
	r.cmd.Stdout, r.cmd.Stderr = r.out, r.errs
	if err := r.cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	go func() { r.err = r.cmd.Wait(); close(r.ended) }()
	c.t.Cleanup(r.stop)
	return r
}

// stop asks it to end, and checks that it ends well.
func (r *running) stop() {
	r.t.Helper()
	r.once.Do(func() {
		_ = r.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-r.ended:
		case <-time.After(patience):
			_ = r.cmd.Process.Kill()
			r.t.Error("a command does not stop")
			return
		}
		if r.err != nil {
			r.t.Errorf("%s: %v\n%s%s", strings.Join(r.cmd.Args[1:], " "), r.err, r.out, r.errs)
		}
	})
}

func (r *running) says(text string) {
	r.t.Helper()
	eventually(r.t, strings.Join(r.cmd.Args[1:], " ")+" says "+text, func() bool {
		select {
		case <-r.ended:
			return strings.Contains(r.out.String()+r.errs.String(), text)
		default:
			return strings.Contains(r.out.String()+r.errs.String(), text)
		}
	})
}

// developer is a server with a demo account, and a terminal that knows its key.
func developer(t testing.TB) (*process, *terminal, string) {
	t.Helper()
	p := serveWith(t, filepath.Join(t.TempDir(), "data"), freeAddress(t), "--demo")
	var found []string
	eventually(t, "the server prints the key", func() bool {
		found = regexp.MustCompile(`API key +(key_\S+) +secret +(pl_test_\S+)\n`).FindStringSubmatch(p.logs.String())
		return found != nil
	})
	key := found[1] + ":" + found[2]
	return p, newTerminal(t, "PAYLINK_URL="+p.url, "PAYLINK_API_KEY="+key), key
}

func TestCommandLine(t *testing.T) {
	t.Parallel()
	p, c, key := developer(t)

	// A link, and what may be done with it.
	made := object[sdk.Link](t, c.ok("links", "create", "--amount", "12.50", "--reference", "cli", "--expires", "30d", "--metadata", "a=b", "--json"))
	if left := time.Until(made.ExpiresAt).Hours(); left < 719 || left > 721 || made.Metadata["a"] != "b" {
		t.Errorf("%+v", made)
	}
	if out := c.ok("links", "create", "--amount", "1.00", "--idempotency-key", "x"); out != c.ok("links", "create", "--amount", "1.00", "--idempotency-key", "x") || !strings.Contains(out, "/l/") {
		t.Errorf("twice under one key: %s", out)
	}
	if out := c.ok("links", "list", "--reference", "cli"); !strings.Contains(out, made.ID+"  open    12.50 EUR  0/1") {
		t.Errorf("links list:\n%s", out)
	}
	if out := c.ok("links", "get", made.ID); !strings.Contains(out, "open  12.50 EUR") || !strings.Contains(out, made.URL) {
		t.Errorf("links get:\n%s", out)
	}
	if out := c.ok("links", "cancel", made.ID); !strings.Contains(out, "canceled") {
		t.Errorf("links cancel:\n%s", out)
	}

	// A payment.
	watch := c.start("payments", "list", "--watch")
	watch.says("REFERENCE")
	event := object[sdk.Event](t, c.ok("trigger", "payment.succeeded", "--amount", "7.00", "--json"))
	paid, err := event.Payment()
	if err != nil || paid.Status != sdk.PaymentSucceeded || paid.Amount != "7.00" {
		t.Fatalf("%+v, %v", paid, err)
	}
	watch.says(paid.ID + "  succeeded")
	watch.stop()
	if out := c.ok("payments", "list", "--status", "succeeded"); !strings.Contains(out, paid.ID) || !strings.Contains(out, "4242") || !strings.Contains(out, "  – allow") {
		t.Errorf("payments list:\n%s", out)
	}
	if r := object[sdk.Refund](t, c.ok("payments", "refund", paid.ID, "--amount", "2.00", "--json")); r.Status != "succeeded" || r.Amount != "2.00" {
		t.Errorf("%+v", r)
	}
	if out := c.ok("payments", "get", paid.ID); !strings.Contains(out, "approved and captured") || !strings.Contains(out, "refund rfd_") {
		t.Errorf("payments get:\n%s", out)
	}
	events := c.ok("events", "list", "--types", "payment.succeeded,refund.succeeded", "--json")
	if n := strings.Count(events, "\n"); n != 2 || !strings.Contains(events, event.ID) {
		t.Errorf("%d events: %s", n, events)
	}
	riskIsShown(t, c)
	exits(t, p, c, key)
	profilesWork(t, p, key)
}

// riskIsShown: who looks at a payment reads what was decided, by what, and what followed.
func riskIsShown(t *testing.T, c *terminal) {
	t.Helper()
	held := object[sdk.Event](t, c.ok("trigger", "fraud.reviewed", "--json"))
	reviewed, err := held.Payment()
	if err != nil {
		t.Fatal(err)
	}
	if out := c.ok("payments", "get", reviewed.ID); !regexp.MustCompile(`risk – review approved  by list fle_\w+, email = trigger-`).MatchString(out) {
		t.Errorf("payments get:\n%s", out)
	}
	lost := object[sdk.Event](t, c.ok("trigger", "dispute.closed", "--json"))
	disputed, err := lost.Payment()
	if err != nil {
		t.Fatal(err)
	}
	if out := c.ok("payments", "get", disputed.ID); !strings.Contains(out, "12.50 EUR  fraudulent  lost") {
		t.Errorf("payments get:\n%s", out)
	}
}

// exits: the status tells a script what went wrong.
func exits(t *testing.T, p *process, c *terminal, key string) {
	t.Helper()
	gone := "lnk_00000000000000000000000000"
	for _, k := range []struct {
		want  int
		words string
		env   []string
		args  []string
	}{
		{1, "is no time", nil, []string{"links", "create", "--amount", "1.00", "--expires", "soon"}},
		{1, "there is no event", nil, []string{"trigger", "payment.invented"}},
		{1, "--forward-to", nil, []string{"listen", "--forward-to", "localhost"}},
		{3, "no credentials", []string{"PAYLINK_URL=" + p.url}, []string{"links", "list"}},
		{3, "api_key_invalid", []string{"PAYLINK_URL=" + p.url, "PAYLINK_API_KEY=" + key + "x"}, []string{"links", "list"}},
		{4, "not_found", nil, []string{"links", "get", gone}},
		{5, "amount_too_many_decimals", nil, []string{"links", "create", "--amount", "1.005"}},
		{6, "connection refused", []string{"PAYLINK_URL=http://127.0.0.1:1", "PAYLINK_API_KEY=" + key}, []string{"links", "list"}},
	} {
		in := c
		if k.env != nil {
			in = newTerminal(t, k.env...)
		}
		out, errs, status := in.run("", k.args...)
		if status != k.want || !strings.Contains(errs, k.words) {
			t.Errorf("paylink %s: status %d, want %d: %s%s", strings.Join(k.args, " "), status, k.want, out, errs)
		}
	}
}

// profilesWork: login saves a key, and no key goes to another server.
func profilesWork(t *testing.T, p *process, key string) {
	t.Helper()
	c := newTerminal(t)
	if out, errs, status := c.run("", "login", "--url", p.url, "--api-key", key); status != 0 {
		t.Fatalf("login: %s%s", out, errs)
	}
	file := filepath.Join(c.dir, "paylink", "config.json")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	c.ok("links", "list")
	if _, errs, status := c.run("", "links", "list", "--url", "http://127.0.0.1:1"); status != 3 || !strings.Contains(errs, "no credentials") {
		t.Errorf("the key goes elsewhere: %d %s", status, errs)
	}
	if _, errs, status := c.run("wrong\n", "login", "--url", p.url, "--username", "demo", "--profile", "two"); status != 3 {
		t.Errorf("a wrong password: %d %s", status, errs)
	}
	if out, errs, status := c.run("try paylink today\n", "login", "--url", p.url, "--username", "demo", "--profile", "two"); status != 0 {
		t.Fatalf("login with a password: %s%s", out, errs)
	}
	c.ok("links", "list", "--profile", "two")
	if _, errs, status := c.run("", "login", "--url", "http://pay.example", "--api-key", key); status != 1 || !strings.Contains(errs, "plain http") {
		t.Errorf("a key over plain http: %d %s", status, errs)
	}
	if err := os.Chmod(file, 0o644); err != nil { //nolint:gosec // that is what must be refused
		t.Fatal(err)
	}
	if _, errs, status := c.run("", "links", "list"); status != 1 || !strings.Contains(errs, "chmod 600") {
		t.Errorf("a file that others read: %d %s", status, errs)
	}
}

// TestTriggers causes every event that trigger lists, for real, some at a time.
func TestTriggers(t *testing.T) {
	t.Parallel()
	p, c, key := developer(t)
	type line struct{ Event string }
	var group sync.WaitGroup
	places := make(chan struct{}, 6)
	n := 0
	for raw := range strings.Lines(c.ok("trigger", "list", "--json")) {
		name := object[line](t, raw).Event
		if name == "link.expired" {
			continue // it moves time for all others: TestClock does it
		}
		n++
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			out, errs, status := c.run("", "trigger", name, "--json")
			var e sdk.Event
			if err := json.Unmarshal([]byte(out), &e); err != nil || status != 0 || e.Type != name {
				t.Errorf("trigger %s: status %d, %v\n%s%s", name, status, err, out, errs)
			}
		})
	}
	group.Wait()
	if n < 22 {
		t.Errorf("only %d events", n)
	}
	_, secret, _ := strings.Cut(key, ":")
	merchant := p.client(t).as(secret)
	if left := list(t, merchant.ok("GET", "/api/fraud/lists", ""), "data"); len(left) != 0 {
		t.Errorf("left on lists: %v", left)
	}
	// The account's own rules stand: what they allow cannot be flagged.
	merchant.ok("POST", "/api/fraud/rules", `{"name":"All are welcome","action":"allow","when":"amount > 0.0","state":"on"}`)
	if out, errs, status := c.run("", "trigger", "fraud.flagged"); status != 1 || !strings.Contains(errs, "a list or rule of the account allows it") {
		t.Errorf("an account that allows everything: status %d\n%s%s", status, out, errs)
	}
}

// receiver is a merchant's local server, which verifies what it gets.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	secret string
	got    []sdk.Event
	bad    int
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		e, err := sdk.NewWebhookVerifier(r.secret).Request(req)
		if err != nil {
			r.bad++
			http.Error(w, "who are you?", http.StatusBadRequest)
			return
		}
		r.got = append(r.got, e)
		_, _ = io.WriteString(w, "thank you\nvery \x1b[31mmuch")
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) trust(secret string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.secret = secret
}

func (r *receiver) types() (all []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.got {
		all = append(all, e.Type)
	}
	return all
}

// TestListen: events reach a local server, signed, also those that happen while the
// server that tells of them is down.
func TestListen(t *testing.T) {
	p, c, _ := developer(t)
	local := newReceiver(t)
	l := c.start("listen", "--forward-to", local.URL+"/hooks", "--events", "link.created,link.canceled")
	l.says("listening to " + p.url)
	secret := regexp.MustCompile(`whsec_\S+`).FindString(l.errs.String())
	c.ok("links", "create", "--amount", "1.00") // the receiver does not know the secret yet
	l.says("→ 400 in ")
	local.trust(secret)
	made := object[sdk.Link](t, c.ok("links", "create", "--amount", "1.00", "--json"))
	l.says(made.ID + "  → 200 in ")
	if out := l.out.String(); !strings.Contains(out, "thank you very ·[31mmuch") {
		t.Errorf("the answer is not shown, or steers the terminal: %q", out)
	}
	address := strings.TrimPrefix(p.url, "http://")
	p.stop()
	l.says("connecting again in")
	serveOn(t, p.data, address)
	c.ok("links", "cancel", made.ID)
	l.says("link.canceled")
	l.says("connected again, going on after seq")
	if got := strings.Join(local.types(), " "); got != "link.created link.canceled" {
		t.Errorf("the receiver got %s", got)
	}
	local.Close()
	again := object[sdk.Link](t, c.ok("links", "create", "--amount", "1.00", "--json"))
	l.says(again.ID + "  → no answer")
	l.stop()
	if !strings.Contains(l.errs.String(), "go on with --after-seq") {
		t.Errorf("it does not tell how to go on: %s", l.errs)
	}
}
