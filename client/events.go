package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Limits of a stream.
const (
	maxEventBytes  = 1 << 20          // one line of a stream
	streamSilence  = 60 * time.Second // the server sends something every 15 seconds
	longestRestart = 30 * time.Second // the longest pause before a stream is reopened
)

// EventsAPI reads events.
type EventsAPI struct{ c *Client }

// EventFilter filters events.
type EventFilter struct {
	AfterSeq int64    // those with a greater seq
	Types    []string // only these types; empty means all
	Limit    int      // items of a page
}

func (f EventFilter) query() url.Values {
	q := url.Values{}
	setInt(q, "afterSeq", f.AfterSeq)
	setInt(q, "limit", int64(f.Limit))
	return q
}

func (f EventFilter) wants(e Event) bool {
	return len(f.Types) == 0 || slices.Contains(f.Types, e.Type)
}

// List returns a page of all types, oldest first. Continue with the last Seq as AfterSeq.
func (a *EventsAPI) List(ctx context.Context, f EventFilter, options ...CallOption) (Page[Event], error) {
	return get[Page[Event]](ctx, a.c, "/api/events", f.query(), options)
}

// All iterates over the existing events, oldest first.
func (a *EventsAPI) All(ctx context.Context, f EventFilter, options ...CallOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for e, err := range all[Event](ctx, a.c, "/api/events", f.query(), options) {
			if (err != nil || f.wants(e)) && !yield(e, err) {
				return
			}
		}
	}
}

// StreamOptions select where a stream begins and which events it includes.
type StreamOptions struct {
	// AfterSeq is the seq after which the stream begins. Set FromNow to begin with events from
	// now on instead.
	AfterSeq int64
	FromNow  bool
	Types    []string // only these types; empty means all
	// Opened is called when the stream is open, with the seq after which it continues. Broken is
	// called when it breaks, with the pause before it is reopened. Both may be nil.
	Opened func(afterSeq int64)
	Broken func(err error, pause time.Duration)
}

// Stream iterates over events as they happen, each once and in order, until ctx ends or the
// caller breaks. A broken stream is reopened and continues after the last event. It ends with an
// error only if the server refuses it, or ctx ends.
func (a *EventsAPI) Stream(ctx context.Context, o StreamOptions, options ...CallOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := &stream{api: a, o: o, after: o.AfterSeq, known: !o.FromNow, options: options}
		pause := firstPause
		for {
			before := s.delivered
			err := s.once(ctx, yield)
			var refused *Error
			switch {
			case s.over:
				return
			case ctx.Err() != nil:
				yield(Event{}, ctx.Err())
				return
			case errors.As(err, &refused) && !refused.temporary() && refused.Status < http.StatusInternalServerError:
				yield(Event{}, err)
				return
			}
			if s.delivered > before || err == nil {
				pause = firstPause
			}
			if refused != nil {
				pause = max(pause, refused.RetryAfter)
			}
			if err != nil && o.Broken != nil {
				o.Broken(err, pause)
			}
			if !wait(ctx, pause) {
				yield(Event{}, ctx.Err())
				return
			}
			pause = min(pause*2, longestRestart)
		}
	}
}

// stream is one that may be reopened several times.
type stream struct {
	api       *EventsAPI
	o         StreamOptions
	after     int64
	known     bool // after is where to continue
	delivered int64
	over      bool // the caller has stopped
	options   []CallOption
}

// once reads one connection to its end, and returns nil if the server ended it cleanly.
func (s *stream) once(ctx context.Context, yield func(Event, error) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	k := call{method: http.MethodGet, path: "/api/events", query: url.Values{}, accept: "text/event-stream"}
	for _, o := range s.options {
		o(&k)
	}
	req, err := s.api.c.request(ctx, k, nil)
	if err != nil {
		return err
	}
	if s.known {
		req.Header.Set("Last-Event-ID", strconv.FormatInt(s.after, 10))
	}
	silence := time.AfterFunc(streamSilence, func() { cancel(errors.New("paylink: the stream fell silent")) })
	defer silence.Stop()
	resp, err := s.api.c.http.Do(req)
	if err != nil {
		return fmt.Errorf("paylink: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(io.LimitReader(resp.Body, maxBodyBytes))
		return problemIn(resp, raw)
	}
	lines := bufio.NewScanner(resp.Body)
	lines.Buffer(make([]byte, 0, 64<<10), maxEventBytes)
	var id, data string
	for lines.Scan() {
		silence.Reset(streamSilence)
		switch field, value, _ := strings.Cut(lines.Text(), ": "); field {
		case "id":
			id = value
		case "data":
			data = value
		case "":
			if err := s.dispatch(id, data, yield); err != nil || s.over {
				return err
			}
			data = ""
		}
	}
	return lines.Err()
}

// dispatch delivers the event that was read, if it is a wanted event.
func (s *stream) dispatch(id, data string, yield func(Event, error) bool) error {
	if data == "" {
		if after, err := strconv.ParseInt(id, 10, 64); err == nil && !s.known {
			s.after, s.known = after, true
		}
		if s.o.Opened != nil && id != "" {
			s.o.Opened(s.after)
		}
		return nil
	}
	var e Event
	if err := json.Unmarshal([]byte(data), &e); err != nil {
		return fmt.Errorf("paylink: an event of the stream cannot be read: %w", err)
	}
	if s.known && e.Seq <= s.after {
		return nil
	}
	s.after, s.known = e.Seq, true
	s.delivered++
	if (EventFilter{Types: s.o.Types}).wants(e) {
		s.over = !yield(e, nil)
	}
	return nil
}
