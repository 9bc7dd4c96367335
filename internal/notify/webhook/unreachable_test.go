package webhook_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/notify/webhook"
)

// TestHostThatCannotBeReached: a merchant cannot find out which of our internal names exist,
// because a name that does not resolve and one that leads to us have the same error. The
// operator's log has the difference.
func TestHostThatCannotBeReached(t *testing.T) { onEach(t, testHostThatCannotBeReached) }

func testHostThatCannotBeReached(t *testing.T, k keeper) {
	var logs bytes.Buffer
	w := newWorld(t, k, func(c *webhook.Config) {
		once(c)
		c.AllowPrivate, c.Logger = false, slog.New(slog.NewTextHandler(&logs, nil))
		c.Resolver = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("no name server")
		}}
	})
	var told []string
	for _, host := range []string{"localhost", "db.internal.example"} { // the hosts file has the first one
		e := w.endpoint("https://" + host + "/hook?secret=hunter2").Endpoint
		w.handle(event(1))
		told = append(told, w.next().Error)
		if err := w.local.Delete(t.Context(), account, mode, e.ID); err != nil {
			t.Fatal(err)
		}
	}
	w.stop()
	if told[0] != told[1] || !strings.HasPrefix(told[0], "unreachable: ") {
		t.Errorf("%q", told)
	}
	for _, want := range []string{"not on the public internet", "no name server"} {
		if !strings.Contains(logs.String(), want) || strings.Contains(logs.String(), "hunter2") {
			t.Errorf("the log lacks %q, or has the URL: %s", want, &logs)
		}
	}
}
