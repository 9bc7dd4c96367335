package merchant

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// full returns a hasher with two slots for everybody, one for known callers, and all of them taken,
// with the function that ends everything.
func full(t *testing.T, log *slog.Logger) (h *hasher, free func()) {
	t.Helper()
	h = &hasher{now: time.Now, log: log, free: 2, reserved: 1}
	var taken []func()
	for range 3 {
		leave, err := h.enter(t.Context(), familiar("x"))
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, leave)
	}
	return h, func() {
		for _, leave := range taken {
			leave()
		}
	}
}

func TestHashingIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench()
		u := b.signUp(t).User
		var lines bytes.Buffer
		h, free := full(t, slog.New(slog.NewTextHandler(&lines, nil)))
		b.hasher = h
		for _, client := range []Client{{}, {Address: "192.0.2.1"}, {Address: "2001:db8::1"}} {
			start := time.Now()
			_, err := b.SignIn(t.Context(), SignInRequest{Login: "ada.l", Password: password, Client: client}, nil)
			if f := fault.From(err); !errors.Is(err, ErrBusy) || f.RetryAfter != time.Second || time.Since(start) != hashWait {
				t.Errorf("%v after %v", err, time.Since(start))
			}
		}
		if b.HashingBusy() != 3 || strings.Count(lines.String(), "\n") != 1 {
			t.Errorf("%d refusals are counted, and logged as %s", b.HashingBusy(), &lines)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := b.SignIn(ctx, SignInRequest{Login: "ada.l", Password: password}, nil); !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		if n := b.store.guesses[guessKey(u.ID)]; n.Failures != 0 {
			t.Errorf("%d guesses are counted, and none was compared", n.Failures)
		}
		free()
		if h.free != 2 || h.reserved != 1 || h.strangers.waiting != 0 || h.known.waiting != 0 {
			t.Errorf("left behind: %+v", h)
		}
		if _, err := b.SignIn(t.Context(), SignInRequest{Login: "ada.l", Password: password}, nil); err != nil {
			t.Error(err)
		}
	})
}

// flood keeps strangers guessing until the function that it returns is called: so many from each of
// these networks, each with a hash that takes a while.
func flood(t *testing.T, h *hasher, each int, networks ...string) (stop func()) {
	t.Helper()
	var ends atomic.Bool
	var wg sync.WaitGroup
	for _, network := range networks {
		for range each {
			wg.Go(func() {
				for !ends.Load() {
					hold(t, h, stranger(network))
				}
			})
		}
	}
	synctest.Wait()
	return func() { ends.Store(true); wg.Wait() }
}

// hashTime is how long a hash takes in these tests.
const hashTime = 50 * time.Millisecond

// hold hashes once, and returns whether it was admitted.
func hold(t *testing.T, h *hasher, s share) bool {
	t.Helper()
	leave, err := h.enter(t.Context(), s)
	if err != nil {
		return false
	}
	<-time.After(hashTime) // of a bubble's clock
	leave()
	return true
}

// TestStrangersDoNotStopHonestSignIns keeps 128 strangers guessing, and signs in meanwhile: from
// another network, from one of theirs, and from a known device.
func TestStrangersDoNotStopHonestSignIns(t *testing.T) {
	var networks []string
	for i := range 8 {
		networks = append(networks, fmt.Sprintf("192.0.%d.7", i))
	}
	for what, c := range map[string]struct {
		of    share
		most  time.Duration // of waiting and hashing
		where []string
	}{
		"another network":     {stranger("198.51.100.7"), 10 * hashTime, networks},
		"one of the networks": {stranger("192.0.3.9"), (128 + 8 + 1) * hashTime, networks},
		"the only network":    {stranger("192.0.0.9"), (128 + 2) * hashTime, networks[:1]},
		"a known device":      {familiar("device:1"), hashTime, networks},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				h := &hasher{now: time.Now, log: slog.New(slog.DiscardHandler), free: 1, reserved: 1}
				stop := flood(t, h, 128/len(c.where), c.where...)
				for range 15 {
					start := time.Now()
					if admitted := hold(t, h, c.of); !admitted || time.Since(start) > c.most {
						t.Errorf("admitted %v after %v", admitted, time.Since(start))
					}
				}
				stop()
			})
		})
	}
}

// TestOverflowHitsTheLongestQueue checks that a flood from one network is refused when there are too
// many waiters, and that others still join.
func TestOverflowHitsTheLongestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, free := full(t, slog.New(slog.DiscardHandler))
		var admitted, refused atomic.Int64
		var wg sync.WaitGroup
		wait := func(address string, into *atomic.Int64) {
			wg.Go(func() {
				leave, err := h.enter(t.Context(), stranger(address))
				if err != nil {
					refused.Add(1)
					return
				}
				into.Add(1)
				leave()
			})
			synctest.Wait()
		}
		var flooding atomic.Int64
		for range maxHashWaiters {
			wait("192.0.2.1", &flooding)
		}
		for i := range 10 {
			wait(fmt.Sprintf("198.51.%d.1", i), &admitted)
		}
		free()
		wg.Wait()
		if admitted.Load() != 10 || refused.Load() != 10 || flooding.Load() != maxHashWaiters-10 {
			t.Errorf("%d others and %d of the flood admitted, %d refused", admitted.Load(), flooding.Load(), refused.Load())
		}
	})
}

// TestStrangersLeaveAShare checks that strangers never get the slots of known callers.
func TestStrangersLeaveAShare(t *testing.T) {
	h := newHasher(time.Now, slog.New(slog.DiscardHandler))
	for h.slot(stranger("")) != nil {
		if _, err := h.enter(t.Context(), stranger("")); err != nil {
			t.Fatal(err)
		}
	}
	if h.slot(familiar("device:1")) == nil {
		t.Error("strangers took all slots")
	}
}
