package sqlstore

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
)

// TestNobodyWaitsForTheAnswer: whoever stops waiting for a change gets no answer, and
// what the change says later goes nowhere. The race detector looks on.
func TestNobodyWaitsForTheAnswer(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "paylink.db")
	if _, _, err := Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	n, err := writeFor(ctx, s, nil, func(*tx) (int, error) {
		cancel()
		<-gone
		return 7, nil
	})
	if n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d, %v", n, err)
	}
	close(gone)
	if n, err := writeFor(t.Context(), s, nil, func(*tx) (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("who waits hears %d, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
