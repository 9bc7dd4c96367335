package simulator

import (
	"context"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/issuer"
)

// Limits of notices: how many run at once, how long one may take, how often one is sent, and
// the pause before the second time (it doubles).
const (
	maxNotices       = 256
	noticeTimeout    = 10 * time.Second
	maxNoticeSends   = 6
	firstNoticePause = time.Second
)

// notices tracks the goroutines that send notices.
type notices struct {
	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	slots  chan struct{}

	mu      sync.Mutex
	stopped bool
	running sync.WaitGroup
}

// newNotices returns notices that run until stop.
func newNotices() notices {
	ctx, cancel := context.WithCancel(context.Background())
	return notices{ctx: ctx, cancel: cancel, slots: make(chan struct{}, maxNotices)}
}

// start runs f in a goroutine. It returns false if too many are running.
func (n *notices) start(f func()) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.stopped {
		return false
	}

	select {
	case n.slots <- struct{}{}:
	default:
		return false
	}

	n.running.Go(func() {
		defer func() { <-n.slots }()
		f()
	})
	return true
}

// stop cancels the notices that are running and waits for them. None starts after it.
func (n *notices) stop() {
	n.cancel()
	n.mu.Lock()
	n.stopped = true
	n.mu.Unlock()
	n.running.Wait()
}

// OnNotice sets the handler of notices. A notice that handle fails on is sent again, up to six
// times in half a minute; after that an inquiry must find it.
func (s *Simulator) OnNotice(handle func(context.Context, issuer.Notice) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.handle = handle
}

// notify sends the notice from a goroutine, after a first pause, until the handler takes it
// or maxNoticeSends is reached. The pause doubles. A process that ends sends nothing any
// more; an inquiry finds the outcome.
func (s *Simulator) notify(n issuer.Notice, pause time.Duration) {
	ok := s.notices.start(func() {
		for range maxNoticeSends {
			if pause > 0 {
				timer := time.NewTimer(pause)
				select {
				case <-timer.C:
				case <-s.notices.ctx.Done():
					timer.Stop()
					return
				}
			}
			if s.send(s.notices.ctx, n) == nil || s.notices.ctx.Err() != nil {
				return
			}
			pause = max(2*pause, firstNoticePause)
		}
		s.config.Log.Warn("a notice of the simulator failed and is no longer retried", "reference", n.Reference)
	})
	if !ok {
		s.config.Log.Warn("a notice of the simulator was dropped: too many are pending", "reference", n.Reference, "bound", maxNotices)
	}
}

// send calls the handler once, for at most noticeTimeout. Without a handler the notice
// counts as taken.
func (s *Simulator) send(ctx context.Context, n issuer.Notice) error {
	s.mu.Lock()
	handle := s.handle
	s.mu.Unlock()
	if handle == nil {
		return nil
	}

	ctx, cancel := context.WithTimeout(ctx, noticeTimeout)
	defer cancel()
	stop := context.AfterFunc(s.notices.ctx, cancel) // Close ends it too
	defer stop()
	err := handle(ctx, n)
	if err != nil {
		s.config.Log.Info("a notice of the simulator was not accepted", "reference", n.Reference, "error", err)
	}
	return err
}
