package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/site"
)

// Limits of the event streams.
const (
	maxFollowers       = 1000            // in this process
	maxAccountFollower = 16              // of one account and mode, in this process
	followLife         = 5 * time.Minute // then the client reconnects with the last seq that it has
	followPoll         = 500 * time.Millisecond
	followHeartbeat    = 15 * time.Second
	followWriteLimit   = 10 * time.Second
	followPage         = 100
	followRetry        = 2 * time.Second // how long a client waits before it reconnects
)

// wantsStream reports whether the caller asks for server-sent events.
func wantsStream(r *http.Request) bool {
	for _, part := range strings.Split(r.Header.Get("Accept"), ",") {
		kind, params, _ := strings.Cut(strings.TrimSpace(part), ";")
		q, err := strconv.ParseFloat(strings.TrimPrefix(strings.ReplaceAll(params, " ", ""), "q="), 64)
		if err == nil && q == 0 {
			continue // q=0: the caller refuses this type
		}
		if strings.EqualFold(strings.TrimSpace(kind), "text/event-stream") {
			return true
		}
	}
	return false
}

// followEvents streams the events of the caller's account as they happen (server-sent
// events, WHATWG HTML, section 9.2). It starts after Last-Event-ID or afterSeq, or else
// at the present. It polls the service payments, so it works in every deployment. It
// ends after followLife, when the process drains, when the client disconnects, and when
// the credentials become invalid. A client that reconnects with the last seq that it
// has seen misses nothing.
func (a *API) followEvents(q *request) {
	after, err := a.followFrom(q)
	if err != nil {
		a.fail(q.w, q.Request, err)
		return
	}

	leave, err := a.followers.Enter("Request the events as JSON instead.", answer.Share{Key: q.caller.scope(), Most: maxAccountFollower})
	if err != nil {
		a.fail(q.w, q.Request, err)
		return
	}
	defer leave()

	h := q.w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no") // a buffering proxy would delay the events
	if q.Method == http.MethodHead {
		return
	}

	f := &follower{a: a, q: q, c: http.NewResponseController(q.w), after: after}
	// With this first id, a client that has seen no event yet can resume from here.
	if f.write([]byte("retry: "+strconv.FormatInt(followRetry.Milliseconds(), 10)+"\nid: "+strconv.FormatInt(after, 10)+"\n\n")) != nil {
		return
	}

	f.follow(q.Context())
}

// followFrom returns the seq after which the stream begins: the client's last, then the
// query's, then the newest. Last-Event-ID comes first because a browser repeats the
// original URL when it reconnects.
func (a *API) followFrom(q *request) (int64, error) {
	if _, paged := q.query["cursor"]; paged {
		return 0, fault.Invalid("cursor", "conflicting_fields", "A stream does not accept cursor: send Last-Event-ID or afterSeq.")
	}
	if last := q.Header.Get("Last-Event-ID"); last != "" {
		after, err := strconv.ParseInt(last, 10, 64)
		if err != nil || !allDigits(last) {
			return 0, fault.Invalid("Last-Event-ID", "parameter_invalid", "Last-Event-ID must be the id of an event of this stream, a whole number.")
		}
		return after, nil
	}
	if _, given := q.query["afterSeq"]; given {
		return q.afterSeq()
	}
	return a.lastSeq(q.Context(), q.caller.account, q.caller.mode)
}

// lastSeq returns the newest event's seq by binary search: the sequence has no gaps, so
// it takes about forty small reads, whatever the number of events.
func (a *API) lastSeq(ctx context.Context, account, mode string) (int64, error) {
	exists := func(seq int64) (bool, error) {
		found, err := a.Payments.Events(ctx, account, mode, seq-1, 1)
		return len(found) > 0, err
	}
	low, high := int64(0), int64(1) // low exists (or is 0), high is unknown
	for {
		ok, err := exists(high)
		if err != nil {
			return 0, err
		}
		if !ok {
			break
		}
		low, high = high, high*2
	}

	// Invariant: the event low exists (or low is 0), and the event high does not.
	for high-low > 1 {
		middle := low + (high-low)/2
		ok, err := exists(middle)
		if err != nil {
			return 0, err
		}
		if ok {
			low = middle
		} else {
			high = middle
		}
	}

	return low, nil
}

// follower is one live stream. after is the seq of the last event that was written.
type follower struct {
	a     *API
	q     *request
	c     *http.ResponseController
	after int64
}

// follow writes new events at each poll, and a comment at each heartbeat, until the stream
// ends. Without the heartbeat, proxies would close a silent connection.
func (f *follower) follow(ctx context.Context) {
	end := time.NewTimer(followLife)
	defer end.Stop()
	poll := time.NewTicker(followPoll)
	defer poll.Stop()
	beat := time.NewTicker(followHeartbeat)
	defer beat.Stop()

	for {
		if f.send(ctx) != nil {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-f.a.Drain:
			return
		case <-end.C:
			return
		case <-beat.C:
			if f.write([]byte(": still here\n\n")) != nil || !f.stillGood(ctx) {
				return
			}
		case <-poll.C:
		}
	}
}

// stillGood authenticates the caller again, so that a revoked key gets no more events.
// While the service users is unavailable, the stream continues.
func (f *follower) stillGood(ctx context.Context) bool {
	_, err := f.a.identify(Route{Auth: authKey, Scope: "events:read"}, f.q.WithContext(ctx))
	return err == nil || fault.KindOf(err) == fault.KindUnavailable
}

// send writes all events after f.after. A failed read is not an error unless the client has
// disconnected: the next poll tries again. An error ends the stream.
func (f *follower) send(ctx context.Context) error {
	for {
		events, err := f.a.Payments.Events(ctx, f.q.caller.account, f.q.caller.mode, f.after, followPage)
		if err != nil {
			return ctx.Err()
		}
		for _, e := range events {
			data, err := json.Marshal(showEvent(e)) // one line: JSON escapes line breaks
			if err != nil {
				return err
			}
			data = site.Of(f.q.Context()).Document(data)
			head := "id: " + strconv.FormatInt(e.Seq, 10) + "\nevent: " + e.Type + "\ndata: "
			if err := f.write([]byte(head), data, []byte("\n\n")); err != nil {
				return err
			}
			f.after = e.Seq
		}
		if len(events) < followPage {
			return nil
		}
	}
}

// write sends the parts and flushes them, with a deadline of their own, so that a client
// that does not read cannot block the stream.
func (f *follower) write(parts ...[]byte) error {
	err := f.c.SetWriteDeadline(time.Now().Add(followWriteLimit))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	for _, b := range parts {
		if _, err := f.q.w.Write(b); err != nil {
			return err
		}
	}
	return f.c.Flush()
}
