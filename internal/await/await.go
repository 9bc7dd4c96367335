// Package await waits in tests for something that happens by itself. It contains only helpers
// for tests.
package await

import (
	"testing"
	"time"
)

// Patience is how long something may take on a busy machine. Only a failing test waits this long.
const Patience = 3 * time.Minute

// pause is the time between two calls of a condition.
const pause = 10 * time.Millisecond

// Until polls until the condition is true. It fails the test after Patience; what names the
// condition in the failure.
func Until(t testing.TB, what string, yes func() bool) {
	t.Helper()
	Within(t, Patience, what, yes)
}

// Within is Until with another limit.
func Within(t testing.TB, limit time.Duration, what string, yes func() bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for !yes() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %s: %s", limit, what)
		}
	}
}

// Receive returns the next value of the channel. It fails the test after Patience.
func Receive[T any](t testing.TB, c <-chan T) (v T) {
	t.Helper()
	deadline := time.NewTimer(Patience)
	defer deadline.Stop()
	select {
	case v = <-c:
	case <-deadline.C:
		t.Fatalf("nothing was sent within %s", Patience)
	}
	return v
}
