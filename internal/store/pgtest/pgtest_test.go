package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/paylink/paylink/internal/store/pgtest"
)

// A killed server comes back with what was committed.
func TestKillAndStart(t *testing.T) {
	s := pgtest.New(t)
	url := s.Database(t)
	pgtest.Exec(t, url, "CREATE TABLE kept AS SELECT 42 AS n")
	s.Kill(t)
	if _, err := pgx.Connect(t.Context(), url); err == nil {
		t.Fatal("a killed server answers")
	}
	s.Start(t)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }()
	var n int
	if err := conn.QueryRow(t.Context(), "SELECT n FROM kept").Scan(&n); err != nil || n != 42 {
		t.Fatal(n, err)
	}
	s.Stop(t)
	s.Start(t)
}
