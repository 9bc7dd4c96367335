package sqldb_test

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/paylink/paylink/internal/store/sqldb"
)

// TestNobodyWaitsForTheAnswer checks that a caller that gives up waiting for a change gets no
// result and that nothing races with the change. The race detector does the checking.
func TestNobodyWaitsForTheAnswer(t *testing.T) {
	url := "sqlite:" + filepath.Join(t.TempDir(), "paylink.db")
	src, err := sqldb.NewSource(url, sqldb.Schema{Migrations: fstest.MapFS{"0001_one.sql": {Data: []byte("-- +goose Up\nSELECT 1;\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := src.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	s, err := src.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan struct{})
	n, err := sqldb.WriteFor(ctx, s, nil, func(*sqldb.Tx) (int, error) {
		cancel()
		<-gone
		return 7, nil
	})
	if n != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d, %v", n, err)
	}
	close(gone)
	if n, err := sqldb.WriteFor(t.Context(), s, nil, func(*sqldb.Tx) (int, error) { return 7, nil }); n != 7 || err != nil {
		t.Errorf("who waits hears %d, %v", n, err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}
