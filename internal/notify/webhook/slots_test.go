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
			give, _ := s.take(endpoint)
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
