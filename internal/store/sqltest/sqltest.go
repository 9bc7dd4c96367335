// Package sqltest opens SQL stores for tests.
package sqltest

import (
	"path/filepath"
	"testing"

	"github.com/paylink/paylink/internal/store/sqlstore"
)

// File returns the URL of a SQLite file of the test's own, which does not exist yet.
func File(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "paylink.db")
}

// Open brings the store at the URL to the present schema and opens it. When the test
// ends the store is closed, and must close well.
func Open(t testing.TB, url string) *sqlstore.Store {
	t.Helper()
	if _, _, err := sqlstore.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}
