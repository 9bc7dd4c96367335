package app

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// TestStartWaitsForASlowStore checks that a start waits for a store that is unavailable, but not
// for ever, and not for another error.
func TestStartWaitsForASlowStore(t *testing.T) {
	slow := fault.Unavailable("store_unavailable", time.Second, nil, "The store does not answer.")
	synctest.Test(t, func(t *testing.T) {
		calls := 0
		err := patiently(t.Context(), func(context.Context) error {
			if calls++; calls < 5 {
				return slow
			}
			return nil
		})
		if err != nil || calls != 5 {
			t.Errorf("a slow store: %d calls, %v", calls, err)
		}

		began := time.Now()
		if err := patiently(t.Context(), func(context.Context) error { return slow }); err == nil || time.Since(began) > clocksPatience+restartPause {
			t.Errorf("a store that never answers: %v after %s", err, time.Since(began))
		}
		calls = 0
		damaged := errors.New("damaged")
		if err := patiently(t.Context(), func(context.Context) error { calls++; return damaged }); !errors.Is(err, damaged) || calls != 1 {
			t.Errorf("a damaged store: %d calls, %v", calls, err)
		}
	})
}
