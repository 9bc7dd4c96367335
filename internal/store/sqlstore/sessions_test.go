package sqlstore_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
)

// connect opens a session beside the store's.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// row reads one row in a session of its own.
func row(t testing.TB, url, query string, into ...any) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if err := conn.QueryRow(t.Context(), query).Scan(into...); err != nil {
		t.Fatal(err)
	}
}
