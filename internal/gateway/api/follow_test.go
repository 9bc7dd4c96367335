package api_test

import (
	"bufio"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// stream is a reader of GET /api/events as server-sent events.
type stream struct {
	t    *testing.T
	resp *http.Response
	in   *bufio.Reader
	end  context.CancelFunc
}

func (w *world) follow(query string, headers ...string) *stream {
	w.t.Helper()
	ctx, end := context.WithTimeout(w.t.Context(), 30*time.Second)
	w.t.Cleanup(end)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.server.URL+"/api/events"+query, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	req.Header.Set("Authorization", "Bearer "+w.key)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := w.server.Client().Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = resp.Body.Close() })
	return &stream{t: w.t, resp: resp, in: bufio.NewReader(resp.Body), end: end}
}

// next reads one event's id, name and data; ok is false at the end.
func (s *stream) next() (id, name, data string, ok bool) {
	s.t.Helper()
	for {
		line, err := s.in.ReadString('\n')
		if err != nil {
			return id, name, data, false
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch {
		case field == "id":
			id = value
		case field == "event":
			name = value
		case field == "data":
			data = value
		case line == "\n" && data != "":
			return id, name, data, true
		}
	}
}

func TestEventsAreStreamed(t *testing.T) {
	w := newWorld(t)
	w.pay("") // a stream that starts now does not get earlier events
	live := w.follow("")
	if kind := live.resp.Header.Get("Content-Type"); live.resp.StatusCode != 200 || kind != "text/event-stream" {
		t.Fatalf("%d %s", live.resp.StatusCode, kind)
	}
	before := w.ok("GET", "/api/events?limit=100", w.key, "")["data"].([]any)
	p := w.pay("")
	var seen []string
	var last string
	for range 4 {
		id, name, data, ok := live.next()
		if !ok {
			t.Fatalf("the stream ended after %v", seen)
		}
		var e struct {
			Type string
			Seq  int64
			Data struct{ ID string }
		}
		if err := json.Unmarshal([]byte(data), &e); err != nil || e.Type != name || strconv.FormatInt(e.Seq, 10) != id {
			t.Errorf("id %s, name %s: %s", id, name, data)
		}
		if strings.HasPrefix(name, "payment.") && e.Data.ID != p.ID {
			t.Errorf("%s is about %s", name, e.Data.ID)
		}
		seen, last = append(seen, name), id
	}
	if got := strings.Join(seen, " "); !strings.HasPrefix(got, "link.created payment.created payment.processing") {
		t.Errorf("streamed: %s", got)
	}
	if want := strconv.Itoa(len(before) + 4); last != want {
		t.Errorf("the last seq is %s, want %s", last, want)
	}
	// A reader that comes back goes on where it was, by header or by query.
	for _, again := range []*stream{w.follow("", "Last-Event-ID", "1"), w.follow("?afterSeq=1"),
		w.follow("?afterSeq=7", "Last-Event-ID", "1")} {
		if id, _, _, ok := again.next(); !ok || id != "2" {
			t.Errorf("goes on with %q, %v", id, ok)
		}
	}
}

func TestStreamsAreBoundedAndRefused(t *testing.T) {
	w := newWorld(t)
	bad := w.follow("", "Last-Event-ID", "x1")
	if bad.resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a bad id: %d", bad.resp.StatusCode)
	}
	if both := w.follow("?cursor=3"); both.resp.StatusCode != http.StatusBadRequest {
		t.Errorf("a cursor: %d", both.resp.StatusCode)
	}
	var open []*stream
	for range 16 {
		s := w.follow("")
		if s.resp.StatusCode != http.StatusOK {
			t.Fatalf("stream %d: %d", len(open), s.resp.StatusCode)
		}
		open = append(open, s)
	}
	if more := w.follow(""); more.resp.StatusCode != http.StatusTooManyRequests || more.resp.Header.Get("Retry-After") == "" {
		t.Errorf("one stream too many: %d", more.resp.StatusCode)
	}
	open[0].end()
	deadline := time.After(3 * time.Minute)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for w.follow("").resp.StatusCode != http.StatusOK {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatal("no place is free after a reader has gone")
		}
	}
}

func TestStreamsEndWhenDraining(t *testing.T) {
	w := newWorld(t)
	s := w.follow("")
	close(w.drain)
	if _, _, _, ok := s.next(); ok {
		t.Error("an event came while draining")
	}
}
