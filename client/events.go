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

// Bounds of a stream.
const (
	maxEventBytes  = 1 << 20          // one line of a stream
	streamSilence  = 60 * time.Second // the server says something every 15 seconds
	longestRestart = 30 * time.Second // the longest pause before a stream is opened again
)

// EventsAPI reads what happened.
type EventsAPI struct{ c *Client }

// EventFilter of events.
type EventFilter struct {
	AfterSeq int64    // those with a greater seq
	Types    []string // these types alone; none is all
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

// List is a page, oldest first, of every type. Go on with the last Seq as AfterSeq.
func (a *EventsAPI) List(ctx context.Context, f EventFilter, options ...CallOption) (Page[Event], error) {
	return get[Page[Event]](ctx, a.c, "/api/events", f.query(), options)
}

// All walks the events that there are, oldest first.
func (a *EventsAPI) All(ctx context.Context, f EventFilter, options ...CallOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for e, err := range all[Event](ctx, a.c, "/api/events", f.query(), options) {
			if (err != nil || f.wants(e)) && !yield(e, err) {
				return
			}
		}
	}
}

// StreamOptions say where a stream begins and what of it is wanted.
type StreamOptions struct {
	// AfterSeq is where it begins: after this seq. FromNow is false then; with
	// FromNow it begins with what happens from now on.
	AfterSeq int64
	FromNow  bool
	Types    []string // these types alone; none is all
	// Opened is told when the stream is open, with the seq after which it goes on;
	// and Broken when it broke off and will be opened again after the pause. Both
	// may be nil.
	Opened func(afterSeq int64)
	Broken func(err error, pause time.Duration)
}

// Stream tells events as they happen, each once and in order, until ctx ends or the
// caller breaks. When it breaks off it is opened again and goes on after the last
// event; so it ends with an error only when the server refuses it, or ctx ended.
func (a *EventsAPI) Stream(ctx context.Context, o StreamOptions, options ...CallOption) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		s := &stream{api: a, o: o, after: o.AfterSeq, known: !o.FromNow, options: options}
		pause := firstPause
		for {
			before := s.told
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
			if s.told > before || err == nil {
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

// stream is one that may be opened several times.
type stream struct {
	api     *EventsAPI
	o       StreamOptions
	after   int64
	known   bool // after is where to go on
	told    int64
	over    bool // the caller has heard enough
	options []CallOption
}

// once reads one connection to its end: nil when the server ended it well.
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

// dispatch tells the event that has been read, if it is one and wanted.
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
	s.told++
	if (EventFilter{Types: s.o.Types}).wants(e) {
		s.over = !yield(e, nil)
	}
	return nil
}
