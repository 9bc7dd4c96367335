package rpc

import (
	"encoding/binary"
	"testing"
	"time"
)

// TestSeenSet checks that a request is remembered for as long as it is fresh, also when the clock
// is set back, and that a full memory refuses what it could not remember.
func TestSeenSet(t *testing.T) {
	mac := func(n uint64) []byte { return binary.BigEndian.AppendUint64(make([]byte, 8), n) }
	start := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
	for _, added := range []time.Duration{0, time.Second, seenFor - time.Nanosecond, seenFor, 90 * time.Second} {
		var s seenSet
		s.first(mac(0), start) // the first generation begins here
		if !s.first(mac(1), start.Add(added)) {
			t.Fatalf("after %s: a new request was refused", added)
		}
		for _, later := range []time.Duration{0, time.Second, seenFor - time.Nanosecond} {
			if s.first(mac(1), start.Add(added+later)) {
				t.Errorf("after %s: accepted again %s later", added, later)
			}
		}
	}

	var s seenSet
	s.first(mac(1), start)
	s.first(mac(2), start.Add(-time.Hour))
	if s.first(mac(1), start.Add(-time.Hour)) || s.first(mac(2), start.Add(-time.Hour+seenFor-1)) {
		t.Error("accepted again after the clock was set back")
	}

	s = seenSet{}
	for n := range uint64(maxSeen) {
		if !s.first(mac(n), start) {
			t.Fatalf("refused request %d", n)
		}
	}
	if s.first(mac(maxSeen), start) {
		t.Error("accepted more than can be remembered")
	}
	if !s.first(mac(maxSeen), start.Add(seenFor)) {
		t.Error("refused although the memory is free again")
	}
	if len(s.older) != maxSeen || !s.first(mac(maxSeen+1), start.Add(3*seenFor)) || len(s.older) != 0 {
		t.Error("what is not fresh anymore is still remembered")
	}
}
