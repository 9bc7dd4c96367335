// Package cli runs the commands, and types the commands of the documents.
package cli

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	sdk "github.com/paylink/paylink/client"
	"github.com/paylink/paylink/e2e/harness"
)

func TestCommandLine(t *testing.T) {
	t.Parallel()
	p, c, key := harness.Developer(t)

	// A link, and what may be done with it.
	made := harness.Decode[sdk.Link](
		t,
		c.OK("links", "create", "--amount", "12.50", "--reference", "cli", "--expires", "30d", "--metadata", "a=b", "--json"),
	)
	if left := time.Until(made.ExpiresAt).Hours(); left < 719 || left > 721 || made.Metadata["a"] != "b" {
		t.Errorf("%+v", made)
	}
	if out := c.OK("links", "create", "--amount", "1.00", "--idempotency-key", "x"); out != c.OK(
		"links",
		"create",
		"--amount",
		"1.00",
		"--idempotency-key",
		"x",
	) ||
		!strings.Contains(out, "/l/") {
		t.Errorf("twice under one key: %s", out)
	}
	if out := c.OK("links", "list", "--reference", "cli"); !strings.Contains(out, made.ID+"  open    12.50 EUR  0/1") {
		t.Errorf("links list:\n%s", out)
	}
	if out := c.OK("links", "get", made.ID); !strings.Contains(out, "open  12.50 EUR") || !strings.Contains(out, made.URL) {
		t.Errorf("links get:\n%s", out)
	}
	if out := c.OK("links", "cancel", made.ID); !strings.Contains(out, "canceled") {
		t.Errorf("links cancel:\n%s", out)
	}

	// A payment.
	watch := c.Start("payments", "list", "--watch")
	watch.Says("REFERENCE")
	event := harness.Decode[sdk.Event](t, c.OK("trigger", "payment.succeeded", "--amount", "7.00", "--json"))
	paid, err := event.Payment()
	if err != nil || paid.Status != sdk.PaymentSucceeded || paid.Amount != "7.00" {
		t.Fatalf("%+v, %v", paid, err)
	}
	watch.Says(paid.ID + "  succeeded")
	watch.Stop()
	if out := c.OK("payments", "list", "--status", "succeeded"); !strings.Contains(out, paid.ID) || !strings.Contains(out, "4242") ||
		!strings.Contains(out, "  – allow") {
		t.Errorf("payments list:\n%s", out)
	}
	if r := harness.Decode[sdk.Refund](t, c.OK("payments", "refund", paid.ID, "--amount", "2.00", "--json")); r.Status != "succeeded" ||
		r.Amount != "2.00" {
		t.Errorf("%+v", r)
	}
	if out := c.OK("payments", "get", paid.ID); !strings.Contains(out, "approved_and_captured") || !strings.Contains(out, "refund rfd_") {
		t.Errorf("payments get:\n%s", out)
	}
	events := c.OK("events", "list", "--types", "payment.succeeded,refund.succeeded", "--json")
	if n := strings.Count(events, "\n"); n != 2 || !strings.Contains(events, event.ID) {
		t.Errorf("%d events: %s", n, events)
	}
	riskIsShown(t, c)
	exits(t, p, c, key)
	profilesWork(t, p, key)
}

// riskIsShown checks that a payment shows the decision, its reason, and what followed.
func riskIsShown(t *testing.T, c *harness.Terminal) {
	t.Helper()
	held := harness.Decode[sdk.Event](t, c.OK("trigger", "fraud.reviewed", "--json"))
	reviewed, err := held.Payment()
	if err != nil {
		t.Fatal(err)
	}
	if out := c.OK("payments", "get", reviewed.ID); !regexp.MustCompile(
		`risk – review approved  by list fle_\w+, email = trigger-`,
	).MatchString(
		out,
	) {
		t.Errorf("payments get:\n%s", out)
	}
	lost := harness.Decode[sdk.Event](t, c.OK("trigger", "dispute.closed", "--json"))
	disputed, err := lost.Payment()
	if err != nil {
		t.Fatal(err)
	}
	if out := c.OK("payments", "get", disputed.ID); !strings.Contains(out, "12.50 EUR  fraudulent  lost") {
		t.Errorf("payments get:\n%s", out)
	}
}

// exits checks the exit statuses for scripts.
func exits(t *testing.T, p *harness.Process, c *harness.Terminal, key string) {
	t.Helper()
	gone := "lnk_00000000000000000000000000"
	for _, k := range []struct {
		want  int
		words string
		env   []string
		args  []string
	}{
		{1, "is not a duration", nil, []string{"links", "create", "--amount", "1.00", "--expires", "soon"}},
		{1, "unknown event", nil, []string{"trigger", "payment.invented"}},
		{1, "--forward-to", nil, []string{"listen", "--forward-to", "localhost"}},
		{3, "no credentials", []string{"PAYLINK_URL=" + p.URL}, []string{"links", "list"}},
		{3, "api_key_invalid", []string{"PAYLINK_URL=" + p.URL, "PAYLINK_API_KEY=" + key + "x"}, []string{"links", "list"}},
		{4, "not_found", nil, []string{"links", "get", gone}},
		{5, "amount_too_many_decimals", nil, []string{"links", "create", "--amount", "1.005"}},
		{6, "connection refused", []string{"PAYLINK_URL=http://127.0.0.1:1", "PAYLINK_API_KEY=" + key}, []string{"links", "list"}},
	} {
		in := c
		if k.env != nil {
			in = harness.NewTerminal(t, k.env...)
		}
		out, errs, status := in.Run("", k.args...)
		if status != k.want || !strings.Contains(errs, k.words) {
			t.Errorf("paylink %s: status %d, want %d: %s%s", strings.Join(k.args, " "), status, k.want, out, errs)
		}
	}
}

// profilesWork checks that login saves a key, and that no key goes to another server.
func profilesWork(t *testing.T, p *harness.Process, key string) {
	t.Helper()
	c := harness.NewTerminal(t)
	if out, errs, status := c.Run("", "login", "--url", p.URL, "--api-key", key); status != 0 {
		t.Fatalf("login: %s%s", out, errs)
	}
	file := filepath.Join(c.Dir, "paylink", "config.json")
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	c.OK("links", "list")
	if _, errs, status := c.Run("", "links", "list", "--url", "http://127.0.0.1:1"); status != 3 || !strings.Contains(errs, "no credentials") {
		t.Errorf("the key goes elsewhere: %d %s", status, errs)
	}
	if _, errs, status := c.Run("wrong\n", "login", "--url", p.URL, "--username", "demo", "--profile", "two"); status != 3 {
		t.Errorf("a wrong password: %d %s", status, errs)
	}
	if out, errs, status := c.Run("try paylink today\n", "login", "--url", p.URL, "--username", "demo", "--profile", "two"); status != 0 {
		t.Fatalf("login with a password: %s%s", out, errs)
	}
	c.OK("links", "list", "--profile", "two")
	if _, errs, status := c.Run("", "login", "--url", "http://pay.example", "--api-key", key); status != 1 ||
		!strings.Contains(errs, "plain http") {
		t.Errorf("a key over plain http: %d %s", status, errs)
	}
	if err := os.Chmod(file, 0o644); err != nil { // that is what must be refused
		t.Fatal(err)
	}
	if _, errs, status := c.Run("", "links", "list"); status != 1 || !strings.Contains(errs, "chmod 600") {
		t.Errorf("a file that others read: %d %s", status, errs)
	}
}

// TestTriggers really causes every event that trigger lists, some concurrently.
func TestTriggers(t *testing.T) {
	t.Parallel()
	p, c, key := harness.Developer(t)
	type line struct{ Event string }
	var group sync.WaitGroup
	places := make(chan struct{}, 6)
	n := 0
	for raw := range strings.Lines(c.OK("trigger", "list", "--json")) {
		name := harness.Decode[line](t, raw).Event
		if name == "link.expired" {
			continue // it moves time for all others: TestStory does it
		}
		n++
		group.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			out, errs, status := c.Run("", "trigger", name, "--json")
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
	merchant := p.Client(t).As(secret)
	if left := harness.List(t, merchant.OK("GET", "/api/fraud/lists", ""), "data"); len(left) != 0 {
		t.Errorf("left on lists: %v", left)
	}
	// The account's own rules still apply: what they allow cannot be flagged.
	merchant.OK("POST", "/api/fraud/rules", `{"name":"All are welcome","action":"allow","when":"amount > 0.0","state":"on"}`)
	if out, errs, status := c.Run("", "trigger", "fraud.flagged"); status != 1 ||
		!strings.Contains(errs, "a list or rule of the account allows it") {
		t.Errorf("an account that allows everything: status %d\n%s%s", status, out, errs)
	}
}

// TestListen checks that events reach a local server, signed, also those that happen while the
// paylink server is down.
func TestListen(t *testing.T) {
	p, c, _ := harness.Developer(t)
	local := harness.NewReceiver(t)
	l := c.Start("listen", "--forward-to", local.URL+"/hooks", "--events", "link.created,link.canceled")
	l.Says("listening to " + p.URL)
	secret := regexp.MustCompile(`whsec_\S+`).FindString(l.Errs.String())
	c.OK("links", "create", "--amount", "1.00") // the receiver does not know the secret yet
	l.Says("→ 400 in ")
	local.Trust(secret)
	made := harness.Decode[sdk.Link](t, c.OK("links", "create", "--amount", "1.00", "--json"))
	l.Says(made.ID + "  → 200 in ")
	if out := l.Out.String(); !strings.Contains(out, "thank you very ·[31mmuch") {
		t.Errorf("the answer is not shown, or steers the terminal: %q", out)
	}
	address := strings.TrimPrefix(p.URL, "http://")
	p.Stop()
	l.Says("reconnecting in")
	harness.StartOn(t, p.Data, address)
	c.OK("links", "cancel", made.ID)
	l.Says("link.canceled")
	l.Says("reconnected, continuing after seq")
	if got := strings.Join(local.Types(), " "); got != "link.created link.canceled" {
		t.Errorf("the receiver got %s", got)
	}
	local.Close()
	again := harness.Decode[sdk.Link](t, c.OK("links", "create", "--amount", "1.00", "--json"))
	l.Says(again.ID + "  → no response")
	l.Stop()
	if !strings.Contains(l.Errs.String(), "continue with --after-seq") {
		t.Errorf("it does not tell how to go on: %s", l.Errs)
	}
}
