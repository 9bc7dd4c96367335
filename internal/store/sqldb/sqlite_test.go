package sqldb_test

import (
	"os"
	"path/filepath"
	"testing"
	"testing/fstest"

	"github.com/paylink/paylink/internal/store/sqldb"
)

// TestPathIsNoURI: a path with characters that mean something in a URI is that of one file.
func TestPathIsNoURI(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "a#1", "a#2", "a?mode=memory", "a%31", "a b", "a&b"} {
		src, err := sqldb.NewSource(
			"sqlite:"+filepath.Join(dir, name),
			sqldb.Schema{Migrations: fstest.MapFS{"0001_one.sql": {Data: []byte("-- +goose Up\nCREATE TABLE one (n INTEGER);\n")}}},
		)
		if err != nil {
			t.Fatal(err)
		}
		if from, to, err := src.Migrate(t.Context()); err != nil || from != 0 || to != 1 {
			t.Errorf("%s: from version %d to %d, %v", name, from, to, err)
		}
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOnlyTheOwnerReadsADatabase checks the modes of new files, of files that a restore or an
// earlier version left open to others, and of a copy.
func TestOnlyTheOwnerReadsADatabase(t *testing.T) {
	for what, before := range map[string][]string{"new": nil, "restored": {"paylink.db", "paylink.db-wal", "paylink.db-shm"}} {
		dir := t.TempDir()
		for _, name := range before {
			if err := os.WriteFile(filepath.Join(dir, name), nil, 0o644); err != nil { // that is the point
				t.Fatal(err)
			}
		}
		path := filepath.Join(dir, "paylink.db")
		src, err := sqldb.NewSource(
			"sqlite:"+path,
			sqldb.Schema{Migrations: fstest.MapFS{"0001_one.sql": {Data: []byte("-- +goose Up\nCREATE TABLE one (n INTEGER);\n")}}},
		)
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
		if err := sqldb.Copy(t.Context(), path, filepath.Join(dir, "copy.db")); err != nil {
			t.Error(err)
		}
		files, err := os.ReadDir(dir)
		if err != nil || len(files) < 4 {
			t.Errorf("%s: %v, %v", what, files, err)
		}
		for _, f := range files {
			if info, err := f.Info(); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("%s: %s is %v, %v", what, f.Name(), info.Mode(), err)
			}
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if err := sqldb.Copy(t.Context(), path, filepath.Join(dir, "copy.db")); err == nil {
			t.Error("a copy was overwritten")
		}
	}
}
