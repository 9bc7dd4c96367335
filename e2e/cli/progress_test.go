package cli

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	sdk "github.com/paylink/paylink/client"
	"github.com/paylink/paylink/e2e/harness"
	"github.com/paylink/paylink/internal/await"
)

// TestProgressOnATerminal checks that long commands show a progress bar on a real terminal, and
// only there, and that their output stays clean.
func TestProgressOnATerminal(t *testing.T) {
	p := harness.Start(t)
	_, key := p.Merchant(t, "ada")
	for range 20 {
		key.Link(`"amount":"12.50"`)
	}
	p.Stop()
	dir := t.TempDir()
	file := filepath.Join(dir, "archive")
	other := filepath.Join(dir, "other")
	for _, c := range []struct {
		args []string
		bar  string
		said string
	}{
		{[]string{"export", "--data", p.Data, file}, `export \[=+\] 100% \d+/\d+ objects`, "exported 20 links\n"},
		{[]string{"verify", "--data", p.Data}, `verify \[=+\] 100% (\d+)/(\d+) objects`, " 0 broken\n"},
		{[]string{"backup", "--data", p.Data, filepath.Join(dir, "copy")}, `copy paylink.db \[=+\] 100% [0-9.]+ KiB/[0-9.]+ KiB`, "copied to "},
		{[]string{"import", "--data", other, "--keys", filepath.Join(p.Data, "keys"), file}, `import \[=+\] 100% ([0-9.]+ KiB)/[0-9.]+ KiB`, "imported 20 links\n"},
	} {
		out, screen := harness.OnTerminal(t, c.args...)
		if !regexp.MustCompile(c.bar).MatchString(screen) || !strings.Contains(screen, "\r") {
			t.Errorf("%s: the terminal shows %q", c.args[0], screen)
		}
		if !strings.Contains(out, c.said) || strings.ContainsAny(out, "\r\x1b") {
			t.Errorf("%s: said %q", c.args[0], out)
		}
	}
	if _, screen := harness.OnTerminal(t, "verify", "--quiet", "--data", p.Data); screen != "" {
		t.Errorf("--quiet: %q", screen)
	}
	if _, errs, _ := harness.Command(t, "verify", "--data", p.Data); errs != "" {
		t.Errorf("where there is no terminal: %q", errs)
	}
}

// TestWebhooksRedeliver redelivers what an endpoint did not receive, from the command line: with
// a progress bar on a terminal, and machine-readable output.
func TestWebhooksRedeliver(t *testing.T) {
	p, terminal, key := harness.Developer(t)
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
	merchant := p.Client(t).As(key[strings.Index(key, ":")+1:])
	// Not link.created: the demo link is just being sent.
	e := merchant.OK("POST", "/api/webhook-endpoints", `{"url":"`+shop.URL+`","events":["link.canceled"]}`)
	id := harness.Str(t, e, "id")
	path := "/api/webhook-endpoints/" + id
	const events = 3
	for range events { // each disables the endpoint, which is enabled for the next
		merchant.OK("PUT", path, `{"enabled":true}`)
		merchant.OK("POST", "/api/links/"+harness.Str(t, merchant.Link(`"amount":"1.00"`), "id")+"/cancel", "")
		await.Until(t, "the endpoint is disabled", func() bool { return merchant.OK("GET", path, "")["disabledReason"] == "gone" })
	}
	await.Until(t, "all are parked", func() bool {
		return len(harness.List(t, merchant.OK("GET", path+"/deliveries?status=parked", ""), "data")) == events
	})
	if _, errs, status := terminal.Run("", "webhooks", "redeliver", id); status != exitRefusedStatus || !strings.Contains(errs, "disabled") {
		t.Errorf("to a disabled endpoint: %d %s", status, errs)
	}
	well.Store(true)
	merchant.OK("PUT", path, `{"enabled":true}`)
	out, screen := harness.OnTerminal(t, "webhooks", "redeliver", id, "--url", p.URL, "--api-key", key)
	if !regexp.MustCompile(`redeliver \[=+\] 100% 3/3 events`).MatchString(screen) {
		t.Errorf("the terminal shows %q", screen)
	}
	if !strings.Contains(out, "done: 3 of 3 sent again, 3 of them successfully") || heard.Load() != events {
		t.Errorf("%d heard; %s", heard.Load(), out)
	}
	none := harness.Decode[sdk.Redelivery](t, terminal.OK("webhooks", "redeliver", id, "--json"))
	if none.Status != "done" || none.Total != 0 {
		t.Errorf("%+v", none)
	}
	if said := terminal.OK("webhooks", "cancel", id, none.ID); !strings.Contains(said, none.ID+" done") {
		t.Errorf("canceling what has ended: %s", said)
	}
}

// exitRefusedStatus is the status of a command that the server refuses.
const exitRefusedStatus = 5
