package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/paylink/paylink/client"
)

// Limits of forwarding.
const (
	forwardTimeout     = 15 * time.Second // the server's limit for a webhook
	maxForwardAnswer   = 200              // displayed bytes of an answer
	listenSecretLength = 24
)

// listen follows the account's events and sends each to a local URL, signed as a webhook, to test
// a receiver that is not reachable from outside.
type listen struct {
	remote
	ForwardTo string   `help:"URL to forward each event to; by default events are only shown." placeholder:"URL"`
	Events    []string `help:"Only these event types; all by default." placeholder:"TYPE"`
	AfterSeq  int64    `help:"Start after this seq instead of with new events." default:"-1"`
	Secret    string   `help:"Secret to sign with; by default a new one is generated and printed." placeholder:"whsec_…"`
}

// forwarded is the result of sending an event.
type forwarded struct {
	Event      client.Event `json:"event"`
	Status     int          `json:"status,omitempty"`
	Answer     string       `json:"answer,omitempty"`
	Error      string       `json:"error,omitempty"`
	DurationMs int64        `json:"durationMs"`
}

func (l *listen) call(ctx context.Context, c *console) error {
	if l.ForwardTo != "" {
		if u, err := url.Parse(l.ForwardTo); err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" {
			return fmt.Errorf("--forward-to %q: must be a URL such as http://localhost:3000/webhooks", l.ForwardTo)
		}
		if l.Secret == "" {
			raw := make([]byte, listenSecretLength)
			_, _ = rand.Read(raw) // cannot fail
			l.Secret = "whsec_" + base64.StdEncoding.EncodeToString(raw)
		}
		c.say("signing with the secret %s", l.Secret)
	}
	last := max(l.AfterSeq, 0)
	opened := false
	o := client.StreamOptions{AfterSeq: last, FromNow: l.AfterSeq < 0, Types: l.Events,
		Opened: func(after int64) {
			last = max(last, after)
			if opened {
				c.say("reconnected, continuing after seq %d", last)
				return
			}
			opened = true
			c.say("listening to %s from seq %d on; stop with Ctrl-C", c.url, last+1)
		},
		Broken: func(err error, pause time.Duration) {
			c.say("%v; reconnecting in %s", err, pause.Round(time.Millisecond))
		}}
	for e, err := range c.Events.Stream(ctx, o) {
		if err != nil {
			if ctx.Err() != nil {
				c.say("stopped; continue with --after-seq %d", last)
			}
			return err
		}
		if err := l.handle(ctx, c, e); err != nil {
			return err
		}
		last = e.Seq
	}
	return nil
}

func (l *listen) handle(ctx context.Context, c *console, e client.Event) error {
	head := fmt.Sprintf("%s  seq %-6d  %-24s  %s", time.Now().Format(time.TimeOnly), e.Seq, e.Type, about(e))
	if l.ForwardTo == "" {
		return c.print(e, "%s", head)
	}
	f := l.forward(ctx, e)
	if f.Error != "" {
		return c.print(f, "%s  → %s", head, f.Error)
	}
	answer := printable(strings.Join(strings.Fields(f.Answer), " "))
	return c.print(f, "%s  → %d in %d ms  %s", head, f.Status, f.DurationMs, answer)
}

// forward sends the event once: a person at the terminal sees the result, and events list
// --after-seq returns the event again.
func (l *listen) forward(ctx context.Context, e client.Event) (f forwarded) {
	f.Event = e
	ctx, end := context.WithTimeout(ctx, forwardTimeout)
	defer end()
	body, err := webhookBody(e)
	if err != nil {
		f.Error = err.Error()
		return f
	}
	headers, err := client.SignWebhook(l.Secret, e.ID, time.Now(), body)
	if err != nil {
		f.Error = err.Error()
		return f
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.ForwardTo, bytes.NewReader(body))
	if err != nil {
		f.Error = err.Error()
		return f
	}
	req.Header = headers
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "paylink-listen/"+version)
	start := time.Now()
	resp, err := (&http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}).Do(req)
	f.DurationMs = time.Since(start).Milliseconds()
	if err != nil {
		var at *url.Error
		if errors.As(err, &at) {
			err = at.Err
		}
		f.Error = "no response: " + err.Error()
		return f
	}
	defer func() { _ = resp.Body.Close() }()
	answer, _ := io.ReadAll(io.LimitReader(resp.Body, maxForwardAnswer)) // whatever arrived
	f.Status, f.Answer = resp.StatusCode, string(answer)
	return f
}

// webhookBody encodes an event as in its webhooks.
func webhookBody(e client.Event) ([]byte, error) {
	return json.Marshal(struct {
		ID        string          `json:"id"`
		Type      string          `json:"type"`
		Seq       int64           `json:"seq"`
		ObjectSeq int64           `json:"objectSeq"`
		CreatedAt string          `json:"createdAt"`
		Mode      client.Mode     `json:"mode"`
		Data      json.RawMessage `json:"data"`
	}{e.ID, e.Type, e.Seq, e.ObjectSeq, e.CreatedAt.UTC().Format("2006-01-02T15:04:05.000Z07:00"), e.Mode, e.Data})
}
