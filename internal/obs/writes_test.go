package obs_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/obs"
)

func TestWritesKnowWhetherAStoreTakesChanges(t *testing.T) {
	now := time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)
	w := obs.NewWrites(func() time.Time { return now })
	probes, full := 0, errors.New("disk full")
	var answer error
	ready := func() error {
		return w.Ready(t.Context(), func(context.Context) error { probes++; return answer })
	}
	step := func(what string, pass time.Duration, wantProbes int, want error) {
		t.Helper()
		now = now.Add(pass)
		if err := ready(); !errors.Is(err, want) || (want == nil) != (err == nil) || probes != wantProbes {
			t.Fatalf("%s: %v after %d probes, want %v after %d", what, err, probes, want, wantProbes)
		}
	}
	step("at first it is tried", 0, 1, nil)
	step("a probe speaks for a while", 9*time.Second, 1, nil)
	step("and is then tried again", 2*time.Second, 2, nil)
	now = now.Add(5 * time.Second)
	w.Confirmed()
	step("a real change spares the probe", 9*time.Second, 2, nil)
	answer = full
	w.Refused(full)
	step("a refused change counts at once, and is probed", 0, 3, full)
	step("but not more than once a second", 900*time.Millisecond, 3, full)
	step("and then again", 200*time.Millisecond, 4, full)
	answer = nil
	step("a small probe does not outweigh a refusal just now", time.Second, 5, full)
	step("it does when no other came", 5*time.Second, 6, nil)
	w.Refused(full)
	w.Confirmed()
	step("a real change outweighs it at once", 0, 6, nil)
	if w.Refusals() != 2 || w.Failing() != nil {
		t.Errorf("%d refusals, failing %v", w.Refusals(), w.Failing())
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	now = now.Add(time.Minute)
	if err := w.Ready(ctx, func(ctx context.Context) error { return ctx.Err() }); !errors.Is(err, context.Canceled) {
		t.Errorf("a probe that ends with its time: %v", err)
	}
}
