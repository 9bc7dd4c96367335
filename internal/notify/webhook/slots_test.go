package webhook

import (
	"testing"
	"time"
)

func TestSlowEndpointsShareHalfOfTheWorkers(t *testing.T) {
	s, now := newSlots(8), time.Unix(0, 0)
	s.now = func() time.Time { return now }
	fill := func(endpoint string) (gives []func()) {
		for {
			give, _ := s.take("account of "+endpoint, endpoint, true)
			if give == nil {
				return gives
			}
			gives = append(gives, give)
		}
	}
	giveAll := func(gives []func()) {
		for _, give := range gives {
			give()
		}
	}
	for _, c := range []struct {
		name   string
		took   time.Duration // of the tries of a and b, given back after the look
		a, b   int
		moveOn time.Duration
	}{
		{"nothing known", 15 * time.Second, 6, 6, 0},
		{"both were slow", time.Millisecond, 4, 0, 0},
		{"still remembered", time.Millisecond, 4, 0, slowFor},
		{"forgiven", time.Millisecond, 6, 6, 0},
	} {
		a, b := fill("a"), fill("b")
		if len(a) != c.a || len(b) != c.b {
			t.Errorf("%s: %d and %d slots, want %d and %d", c.name, len(a), len(b), c.a, c.b)
		}
		healthy := fill("healthy")
		if len(healthy) != 6 {
			t.Errorf("%s: a healthy endpoint gets %d", c.name, len(healthy))
		}
		giveAll(healthy)
		now = now.Add(c.took)
		giveAll(a)
		giveAll(b)
		now = now.Add(c.moveOn)
	}
	if len(s.taken) != 0 || s.slowTaken != 0 || len(s.slow) != 0 {
		t.Errorf("left over: %+v", s)
	}
}

// TestF49FirstQueueIsShared: in the queue that all webhooks enter, an endpoint has a quarter of
// the workers, its account half, and a slow endpoint none.
func TestF49FirstQueueIsShared(t *testing.T) {
	s, now := newSlots(32), time.Unix(0, 0)
	s.now = func() time.Time { return now }
	var gives []func()
	for endpoint, want := range map[string]int{"a": 8, "b": 8} {
		n := 0
		for give, _ := s.take("one", endpoint, false); give != nil; give, _ = s.take("one", endpoint, false) {
			gives, n = append(gives, give), n+1
		}
		if n != want {
			t.Fatalf("%s has %d workers, want %d", endpoint, n, want)
		}
	}
	if give, _ := s.take("one", "c", false); give != nil {
		t.Fatal("an account holds more than half")
	}
	if give, _ := s.take("another", "d", false); give == nil {
		t.Fatal("another account is kept out")
	}
	now = now.Add(15 * time.Second)
	for _, give := range gives {
		give()
	}
	if give, _ := s.take("one", "a", false); give != nil {
		t.Fatal("a slow endpoint has a worker of the first queue")
	}
	if give, _ := s.take("one", "a", true); give == nil {
		t.Fatal("a slow endpoint is never tried")
	}
	if !s.mayMove("a") || s.mayMove("a") {
		t.Fatal("a backlog is moved more than once in a moment")
	}
}
