package testclock_test

import (
	"context"
	"errors"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylink/paylink/internal/testclock"
)

func TestAheadIsTestModesAlone(t *testing.T) {
	var s testclock.Set
	if s.Ahead("a", "test") != 0 {
		t.Error("the empty set is ahead")
	}
	s.Put("a", time.Hour)
	s.Put("a", time.Minute) // never back
	s.Learn(map[string]time.Duration{"a": time.Second, "b": 2 * time.Hour})
	for _, k := range []struct {
		account, mode string
		want          time.Duration
	}{{"a", "test", time.Hour}, {"b", "test", 2 * time.Hour}, {"c", "test", 0}, {"a", "live", 0}, {"a", "", 0}} {
		if got := s.Ahead(k.account, k.mode); got != k.want {
			t.Errorf("%s %s is %s ahead, want %s", k.account, k.mode, got, k.want)
		}
	}
}

// TestLooksCostNothing: an account without a clock allocates nothing.
func TestLooksCostNothing(t *testing.T) {
	var s testclock.Set
	s.Put("a", time.Hour)
	if n := testing.AllocsPerRun(100, func() { s.Ahead("other", "test"); s.Ahead("a", "live") }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRunLearnsAndWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s testclock.Set
		ctx, stop := context.WithCancel(t.Context())
		var mu sync.Mutex // guards the stored clocks
		stored, broken := map[string]time.Duration{}, false
		ended := make(chan error)
		go func() {
			ended <- s.Run(ctx, func(context.Context) (map[string]time.Duration, error) {
				mu.Lock()
				defer mu.Unlock()
				if broken {
					return nil, errors.New("the store is away")
				}
				return maps.Clone(stored), nil
			})
		}()
		synctest.Wait()
		moved := s.Moved()
		mu.Lock()
		stored["a"] = time.Hour
		mu.Unlock()
		start := time.Now()
		<-moved
		if took := time.Since(start); took > testclock.Refresh || s.Ahead("a", "test") != time.Hour {
			t.Errorf("%s ahead after %s", s.Ahead("a", "test"), took)
		}
		mu.Lock()
		broken = true
		mu.Unlock()
		again := s.Moved()
		select {
		case <-again:
			t.Error("nothing moved, and it wakes")
		case <-time.After(10 * testclock.Refresh):
		}
		if s.Ahead("a", "test") != time.Hour {
			t.Error("what is known is lost with the store")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// TestDearRoundsRest: a round that takes long pauses for twenty times as long, until a clock
// moves.
func TestDearRoundsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s testclock.Set
		s.Put("a", time.Hour)
		visits := 0
		round := func(kind string) {
			if err := s.Round(kind, func(string, time.Duration) error { visits++; <-time.After(time.Second); return nil }); err != nil {
				t.Fatal(err)
			}
		}
		round("links")
		round("links")
		if round("payments"); visits != 2 {
			t.Errorf("%d visits, want one of each kind", visits)
		}
		<-time.After(20 * time.Second)
		if round("links"); visits != 3 {
			t.Errorf("%d visits after its rest", visits)
		}
		s.Put("a", 2*time.Hour)
		if round("links"); visits != 4 {
			t.Errorf("%d visits after a move", visits)
		}
		failed := errors.New("the store is away")
		s.Put("a", 3*time.Hour)
		if err := s.Round("links", func(string, time.Duration) error { return failed }); !errors.Is(err, failed) {
			t.Errorf("the round says %v", err)
		}
		round("links") // a round that failed does not pause
		if visits != 5 {
			t.Errorf("%d visits after a failure", visits)
		}
	})
}
