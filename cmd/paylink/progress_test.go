package main_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/creack/pty"

	sdk "github.com/paylink/paylink/client"
)

// onTerminal runs a command whose messages go to a terminal of 100 columns, and gives
// its result and all that the terminal was sent.
func onTerminal(t *testing.T, args ...string) (out, screen string) {
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
		all, _ := io.ReadAll(far) // ends with an error when nobody has the other side any more
		read <- string(all)
	}()
	var result bytes.Buffer
	c := exec.CommandContext(t.Context(), paylinkBinary(t), args...) //nolint:gosec // the binary is ours
	c.Env, c.Stdout, c.Stderr = environ(t), &result, near
	err = c.Run()
	_ = near.Close()
	screen = <-read
	_ = far.Close()
	if err != nil {
		t.Fatalf("%v: %v: %s", args, err, screen)
	}
	return result.String(), screen
}

// TestProgressOnATerminal: what takes long shows a bar on a real terminal, and only
// there; its result stays clean.
func TestProgressOnATerminal(t *testing.T) {
	p := serve(t)
	_, key := p.merchant(t, "ada")
	for range 20 {
		key.link(`"amount":"12.50"`)
	}
	p.end()
	dir := t.TempDir()
	file := filepath.Join(dir, "archive")
	other := filepath.Join(dir, "other")
	for _, c := range []struct {
		args []string
		bar  string
		said string
	}{
		{[]string{"export", "--data", p.data, file}, `export \[=+\] 100% \d+/\d+ objects`, "exported 20 links\n"},
		{[]string{"verify", "--data", p.data}, `verify \[=+\] 100% (\d+)/(\d+) objects`, " 0 broken\n"},
		{[]string{"backup", "--data", p.data, filepath.Join(dir, "copy")}, `copy paylink.db \[=+\] 100% [0-9.]+ KiB/[0-9.]+ KiB`, "copied to "},
		{[]string{"import", "--data", other, "--keys", filepath.Join(p.data, "keys"), file}, `import \[=+\] 100% ([0-9.]+ KiB)/[0-9.]+ KiB`, "imported 20 links\n"},
	} {
		out, screen := onTerminal(t, c.args...)
		if !regexp.MustCompile(c.bar).MatchString(screen) || !strings.Contains(screen, "\r") {
			t.Errorf("%s: the terminal shows %q", c.args[0], screen)
		}
		if !strings.Contains(out, c.said) || strings.ContainsAny(out, "\r\x1b") {
			t.Errorf("%s: said %q", c.args[0], out)
		}
	}
	if _, screen := onTerminal(t, "verify", "--quiet", "--data", p.data); screen != "" {
		t.Errorf("--quiet: %q", screen)
	}
	if _, errs, _ := command(t, "verify", "--data", p.data); errs != "" {
		t.Errorf("where there is no terminal: %q", errs)
	}
}

// TestWebhooksRedeliver sends again what an endpoint was not told, from the command
// line: with a bar on a terminal, and a result that a program can read.
func TestWebhooksRedeliver(t *testing.T) {
	p, terminal, key := developer(t)
	var well atomic.Bool
	var heard atomic.Int64
	shop := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, _ *http.Request) {
		if !well.Load() {
			rw.WriteHeader(http.StatusGone)
			return
		}
		heard.Add(1)
	}))
	t.Cleanup(shop.Close)
	merchant := p.client(t).as(key[strings.Index(key, ":")+1:])
	e := merchant.ok("POST", "/api/webhook-endpoints", `{"url":"`+shop.URL+`","events":["link.canceled"]}`) // not link.created: the demo link is just being told
	id := str(t, e, "id")
	path := "/api/webhook-endpoints/" + id
	const events = 3
	for range events { // each disables the endpoint, which is enabled for the next
		merchant.ok("PUT", path, `{"enabled":true}`)
		merchant.ok("POST", "/api/links/"+str(t, merchant.link(`"amount":"1.00"`), "id")+"/cancel", "")
		eventually(t, "the endpoint is disabled", func() bool { return merchant.ok("GET", path, "")["disabledReason"] == "gone" })
	}
	eventually(t, "all are parked", func() bool {
		return len(list(t, merchant.ok("GET", path+"/deliveries?status=parked", ""), "data")) == events
	})
	if _, errs, status := terminal.run("", "webhooks", "redeliver", id); status != exitRefusedStatus || !strings.Contains(errs, "disabled") {
		t.Errorf("to a disabled endpoint: %d %s", status, errs)
	}
	well.Store(true)
	merchant.ok("PUT", path, `{"enabled":true}`)
	out, screen := onTerminal(t, "webhooks", "redeliver", id, "--url", p.url, "--api-key", key)
	if !regexp.MustCompile(`redeliver \[=+\] 100% 3/3 events`).MatchString(screen) {
		t.Errorf("the terminal shows %q", screen)
	}
	if !strings.Contains(out, "done: 3 of 3 sent again, 3 of them with success") || heard.Load() != events {
		t.Errorf("%d heard; %s", heard.Load(), out)
	}
	none := object[sdk.Redelivery](t, terminal.ok("webhooks", "redeliver", id, "--json"))
	if none.Status != "done" || none.Total != 0 {
		t.Errorf("%+v", none)
	}
	if said := terminal.ok("webhooks", "cancel", id, none.ID); !strings.Contains(said, none.ID+" done") {
		t.Errorf("canceling what has ended: %s", said)
	}
}

// exitRefusedStatus is that of a command which the server will not carry out.
const exitRefusedStatus = 5
