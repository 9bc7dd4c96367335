package harness

import (
	"bytes"
	"database/sql"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite" // OpenFile's driver

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// ExpiredLink returns the path of a link of the same account as another's, which lived for a
// minute, an hour ago. The shortest life is a minute, so the link is created in the stopped
// server's folder, by the server's own code, under a clock that is behind. The server runs again
// when it returns.
func ExpiredLink(t testing.TB, p *Process, like map[string]any) (*Process, string) {
	t.Helper()
	p.Stop()
	ring, err := keyring.In(filepath.Join(p.Data, "keys")).Open(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	store, err := sqlstore.Open(t.Context(), "sqlite:"+filepath.Join(p.Data, "paylink.db"))
	if err != nil {
		t.Fatal(err)
	}
	links := link.NewLocal(link.LocalConfig{Ring: ring, Store: store, PublicURL: p.URL, Log: slog.New(slog.DiscardHandler),
		Now: func() time.Time { return time.Now().Add(-time.Hour) }})
	known, err := links.Open(t.Context(), strings.TrimPrefix(TokenPath(t, like), "/l/"))
	if err != nil {
		t.Fatal(err)
	}
	minute := int64(60)
	old, err := links.Create(t.Context(), link.CreateRequest{Account: known.Account, Mode: known.Mode, Payee: known.Payee,
		Methods: []link.Method{
			{
				ID:         known.PaymentMethod,
				Type:       "card",
				Issuer:     known.Issuer,
				Currencies: []money.Currency{"EUR"},
				Enabled:    true,
				MinMinor:   1,
				Test:       true,
			},
		},
		Amount: "64.00", Currency: "EUR", Description: "A place at the early table", Reference: "order-1842", ExpiresInSeconds: &minute})
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	return StartOn(t, p.Data, strings.TrimPrefix(p.URL, "http://")), "/l/" + old.Token
}

// Model returns a small model, different for each seed.
func Model(t *testing.T, seed uint64) (learning.Info, []byte) {
	t.Helper()
	random := rand.New(rand.NewPCG(seed, 0))
	var set score.Set
	for range 400 {
		var v score.Vector
		for f := range v {
			v[f] = random.Float32()
		}
		set.Add(&v, score.Attempt{}, v[0] > 0.7)
	}
	to := time.Date(2026, 5, 6, 0, 0, 0, 0, time.UTC)
	m, err := score.Fit(set, score.Range{From: to.AddDate(0, 0, -28), To: to}, to)
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	if err := score.WriteModel(&file, m); err != nil {
		t.Fatal(err)
	}
	return learning.Info{Version: m.Version, TrainedAt: to, From: m.From, To: m.To, Payments: m.Payments, Frauds: m.Frauds}, file.Bytes()
}

// Reported waits until the reports projection has reached the feed's end.
func Reported(t *testing.T, data string) {
	t.Helper()
	db := OpenReports(t, data)
	await.Until(t, "the reports have followed the feed", func() bool {
		var last, at int64
		err := OpenStore(t, data).QueryRowContext(t.Context(), "SELECT MAX(position) FROM events").Scan(&last)
		if err == nil {
			err = db.QueryRowContext(t.Context(), "SELECT position FROM checkpoints WHERE consumer = 'reports'").Scan(&at)
		}
		return err == nil && at == last
	})
}

// OpenReports opens the reports projection.
func OpenReports(t *testing.T, data string) *sql.DB { return OpenFile(t, data, "reports.db") }

// OpenStore opens links and payments.
func OpenStore(t *testing.T, data string) *sql.DB { return OpenFile(t, data, "paylink.db") }

// OpenFile opens one of a server's databases beside it, or after it has stopped.
func OpenFile(t *testing.T, data, name string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(data, name)+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// Harm changes rows of a store; it must change some.
func Harm(t *testing.T, data, statement string, args ...any) {
	t.Helper()
	db := OpenStore(t, data)
	result, err := db.ExecContext(t.Context(), statement, args...)
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if n, err := result.RowsAffected(); err != nil || n == 0 {
		t.Fatalf("%s: %d rows, %v", statement, n, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// KeysTo copies the keys of a process to another data folder: a backup has none unless it is asked
// for them.
func KeysTo(t testing.TB, p *Process, data string) {
	t.Helper()
	if err := os.CopyFS(filepath.Join(data, "keys"), os.DirFS(filepath.Join(p.Data, "keys"))); err != nil {
		t.Fatal(err)
	}
	for path, mode := range map[string]os.FileMode{"keys": 0o700, "keys/keys.json": 0o600} {
		if err := os.Chmod(filepath.Join(data, path), mode); err != nil {
			t.Fatal(err)
		}
	}
}
