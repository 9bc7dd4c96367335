package webhook

import (
	"testing"
	"time"
)

// TestScheduleIsOverThreeDaysWithJitter: ten tries, the last of them after three
// days; what failed together does not come back together; and a receiver's
// Retry-After is a lower bound.
func TestScheduleIsOverThreeDaysWithJitter(t *testing.T) {
	const day = 24 * time.Hour
	sum, low, high := time.Duration(0), time.Duration(0), time.Duration(0)
	s := newSender(Config{}.withDefaults(), nil)
	for i, d := range Schedule() {
		least, most := d, d
		for range 1000 {
			got := s.delay(i+1, 0)
			least, most = min(least, got), max(most, got)
			if float64(got) < float64(d)*(1-jitter) || float64(got) > float64(d)*(1+jitter) {
				t.Fatalf("after try %d: %v, %v is planned", i+1, got, d)
			}
		}
		if float64(most-least) < float64(d)*jitter {
			t.Errorf("after try %d all delays lie between %v and %v", i+1, least, most)
		}
		sum, low, high = sum+d, low+least, high+most
		if got := s.delay(i+1, 23*time.Hour); got < 23*time.Hour {
			t.Errorf("after try %d: %v, the receiver asked for 23 hours", i+1, got)
		}
	}
	if len(Schedule()) != 9 || sum < 3*day || sum > 3*day+6*time.Hour {
		t.Errorf("%d retries over %v, between %v and %v", len(Schedule()), sum, low, high)
	}
	if got := s.delay(1, 30*day); got != MaxRetryAfter {
		t.Errorf("a receiver that asks for a month is asked again in %v", got)
	}
}
