package sqlstore_test

import (
	"path/filepath"
	"testing"

	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
)

// engines give the URL of an empty store.
var engines = map[string]func(t testing.TB) string{
	"SQLite":     func(t testing.TB) string { return "sqlite:" + filepath.Join(t.TempDir(), "paylink.db") },
	"PostgreSQL": func(t testing.TB) string { return pgtest.Database(t) },
}

func onEach(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for name, empty := range engines {
		t.Run(name, func(t *testing.T) { test(t, empty(t)) })
	}
}

// open brings the store's schema up to date and opens it.
func open(t testing.TB, url string) *sqlstore.Store {
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

func TestStore(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		storetest.Run(t, func(t *testing.T) storetest.Store { return open(t, url) })
	})
}

func TestMerchants(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		storetest.RunMerchants(t, func(t *testing.T) storetest.Merchants { return open(t, url) })
	})
}
