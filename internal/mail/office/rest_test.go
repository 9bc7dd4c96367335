package office

import (
	"testing"
	"time"
)

// TestLateFailuresDoNotProlongARest: tries that were under way when a domain began to rest fail after
// that. Only the one try after the rest doubles it.
func TestLateFailuresDoNotProlongARest(t *testing.T) {
	var d domains
	now := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	rests := func(want time.Duration) {
		t.Helper()
		if got := d.resting("grace@slow.example", now); !got.Equal(now.Add(want)) {
			t.Fatalf("rests for %s, want %s", got.Sub(now), want)
		}
	}
	for range refusedInRow + 4 {
		d.ended("grace@slow.example", false, now)
	}
	rests(restFirst)
	now = now.Add(restFirst)
	if until := d.resting("grace@slow.example", now); !until.IsZero() {
		t.Fatalf("nothing is tried after the rest, until %s", until)
	}
	d.ended("grace@slow.example", false, now)
	d.ended("grace@slow.example", false, now)
	rests(2 * restFirst)
	d.ended("grace@slow.example", true, now)
	if until := d.resting("grace@slow.example", now); !until.IsZero() {
		t.Fatalf("a domain that takes mail rests until %s", until)
	}
}
