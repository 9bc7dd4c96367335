package pages

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/go-json-experiment/json"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/answer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// stream sends the status whenever it changes, as server-sent events (WHATWG HTML,
// section 9.2). It ends when nothing more can change, when its lifetime is over, when the
// client disconnects, and when the process drains. A browser reconnects by itself and
// gets the present state first, so nothing is lost.
func (p *Pages) stream(w http.ResponseWriter, r *http.Request, l link.Link, attempt string) {
	network := ""
	if a := addressOf(r); !a.IsLoopback() { // one of this machine may be anybody
		network = "network " + spelling.Network(a)
	}
	leave, err := p.streams.Enter("Request the status as JSON instead.",
		answer.Share{Key: "link " + l.ID, Most: maxLinkStreams}, answer.Share{Key: network, Most: maxNetworkStreams})
	if err != nil {
		p.fail(w, r, err)
		return
	}
	defer leave()

	h := w.Header()
	secure(h)
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // a buffering proxy would delay the events
	if r.Method == http.MethodHead {
		return
	}

	s := &follower{p: p, w: w, c: http.NewResponseController(w), l: l, attempt: attempt}
	if s.write([]byte("retry: 2000\n\n")) != nil {
		return
	}

	s.follow(r.Context())
}

// follower is one live stream. It belongs to the goroutine of its request.
type follower struct {
	p       *Pages
	w       http.ResponseWriter
	c       *http.ResponseController
	l       link.Link
	attempt string
	last    []byte // what was sent last
	polls   int
	seen    int64 // revision of the payment that was seen last
}

// follow polls until the stream is over, and sends a comment at each heartbeat, without
// which proxies would close a silent connection.
func (s *follower) follow(ctx context.Context) {
	end := time.NewTimer(streamLife)
	defer end.Stop()
	poll := time.NewTicker(streamPoll)
	defer poll.Stop()
	beat := time.NewTicker(streamHeartbeat)
	defer beat.Stop()
	for {
		if done := s.poll(ctx); done {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-s.p.drain:
			return
		case <-end.C:
			return
		case <-beat.C:
			if s.write([]byte(": still here\n\n")) != nil {
				return
			}
		case <-poll.C:
		}
	}
}

// poll reads the state once, sends what changed, and reports whether the stream is over. A
// failed read is tried again at the next poll. The link is read again when the payment has
// changed, and every relinkEveryPolls, because it also ends without a payment.
func (s *follower) poll(ctx context.Context) (done bool) {
	pay, found, err := s.p.find(ctx, s.l, s.attempt)
	if err != nil {
		return false
	}
	if s.polls++; pay.Revision != s.seen || s.polls%relinkEveryPolls == 0 {
		l, err := s.p.links.Open(ctx, s.l.Token)
		if err != nil {
			return fault.KindOf(err) == fault.KindNotFound
		}
		s.l, s.seen = l, pay.Revision
	}

	b, err := json.Marshal(s.p.answer(s.l, pay, found))
	if err != nil {
		return true
	}
	if !bytes.Equal(b, s.last) {
		if s.write([]byte("event: status\ndata: "), b, []byte("\n\n")) != nil {
			return true
		}
		s.last = b
	}

	return s.over(pay, found)
}

// over reports whether nothing more can change for this reader. A link that is open or
// being paid may still change.
func (s *follower) over(pay payment.Payment, found bool) bool {
	if found {
		return final(pay)
	}
	switch s.l.Status(s.p.now()) {
	case link.Paid, link.Canceled, link.Expired:
		return true
	}
	return false
}

// write sends data with its own deadline: the server's write timeout is meant for pages,
// and a client that does not read must not block the stream.
func (s *follower) write(parts ...[]byte) error {
	err := s.c.SetWriteDeadline(time.Now().Add(streamWriteLimit))
	if err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	for _, b := range parts {
		if _, err := s.w.Write(b); err != nil {
			return err
		}
	}
	return s.c.Flush()
}
