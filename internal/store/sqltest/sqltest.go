// Package sqltest opens SQL stores for tests, on every engine.
package sqltest

import (
	"path/filepath"
	"testing"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/store/pgtest"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

// Engines maps each engine to a function that returns the URL of an empty store.
var Engines = map[string]func(t testing.TB) string{
	"SQLite":     File,
	"PostgreSQL": func(t testing.TB) string { return pgtest.Database(t) },
}

// File returns the URL of a SQLite file in the test's folder, which does not exist yet.
func File(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "paylink.db")
}

// OnEach runs the test on every engine.
func OnEach(t *testing.T, test func(t *testing.T, url string)) {
	t.Helper()
	for name, empty := range Engines {
		t.Run(name, func(t *testing.T) { test(t, empty(t)) })
	}
}

// Open migrates the store's schema and opens the store until the test ends.
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

// Exec changes stored data without the store's knowledge.
func Exec(t testing.TB, url, query string, args ...any) {
	t.Helper()
	src, err := sqlstore.Source(url)
	if err != nil {
		t.Fatal(err)
	}
	db, err := src.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = db.Write(t.Context(), nil, func(tx *sqldb.Tx) error {
		_, err := tx.Exec(query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// Append adds the events to the store's feed, as a relay does.
func Append(t testing.TB, s *sqlstore.Store, events ...stream.Event) {
	t.Helper()
	if err := s.AppendBatch(t.Context(), "test", stream.Batch{Events: events}); err != nil {
		t.Fatal(err)
	}
}

// Happened returns an event of an object of the account.
func Happened(account, object string) stream.Event {
	return stream.Event{ID: id.New(id.Event), Type: "link.created", Account: account, Mode: link.Test, Object: object, ObjectSeq: 1,
		CreatedAt: storetest.Epoch, Data: []byte(`{}`)}
}
