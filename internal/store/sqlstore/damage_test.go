package sqlstore_test

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
)

func begun(t *testing.T, s *sqlstore.Store, account string) payment.Payment {
	t.Helper()
	l := storetest.NewLink(account, 1)
	c := storetest.Begin(t, l, "attempt-000000000001")
	if err := s.CreateLink(t.Context(), l, nil, nil); err != nil {
		t.Fatal(err)
	}
	if err := s.CommitPayment(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return c.Payment
}

func raw(t *testing.T, path, pragma string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+pragma)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func wantCode(t *testing.T, err error, code string) {
	t.Helper()
	if fault.Code(err) != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

// A bit of an amount flips in the file: that payment is refused, and the others are served and
// swept as before.
func TestF21_FlippedBit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paylink.db")
	if _, _, err := sqlstore.Migrate(t.Context(), "sqlite:"+path); err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	account := id.New(id.Account)
	bad, sound := begun(t, s, account), begun(t, s, account)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := raw(t, path, "").ExecContext(t.Context(), "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		t.Fatal(err)
	}
	flipAmount(t, path, bad.ID)
	if s, err = sqlstore.Open(t.Context(), "sqlite:"+path); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	_, err = s.GetPayment(t.Context(), account, bad.ID)
	wantCode(t, err, "payment_damaged")
	if fault.KindOf(err) != fault.KindInternal {
		t.Fatal(err)
	}
	_, err = s.FindPayment(t.Context(), bad.ID)
	wantCode(t, err, "payment_damaged")
	_, err = s.ListPayments(t.Context(), payment.Filter{Account: account, Mode: link.Test, Limit: 10})
	wantCode(t, err, "payment_damaged")
	due, err := s.TakeDue(t.Context(), payment.Take{Now: storetest.Epoch.Add(time.Hour), Limit: 10})
	wantCode(t, err, "payment_damaged")
	if len(due) != 1 || due[0].ID != sound.ID {
		t.Fatalf("one damaged payment keeps %d others from the sweep", 1-len(due))
	}
	if _, err := s.GetPayment(t.Context(), account, sound.ID); err != nil {
		t.Fatal(err)
	}
}

// flipAmount changes 1250 to 1251 in the payment's document, in the file itself.
func flipAmount(t *testing.T, path, paymentID string) {
	t.Helper()
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	doc := bytes.Index(file, fmt.Appendf(nil, `{"id":%q`, paymentID))
	if doc < 0 {
		t.Fatal("the document is not in the file")
	}
	at := bytes.Index(file[doc:], []byte("1250"))
	if at < 0 {
		t.Fatal("the amount is not in the file")
	}
	file[doc+at+3] ^= 1
	if err := os.WriteFile(path, file, 0o600); err != nil {
		t.Fatal(err)
	}
}

// The power fails during a commit: any part of the log's last frames may be missing or
// incomplete. What was acknowledged before stays intact, the torn commit is there as a whole or
// not at all, and the store accepts it when it is sent again.
func TestF21_TornWrite(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "paylink.db")
	if _, _, err := sqlstore.Migrate(t.Context(), "sqlite:"+path); err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	account := id.New(id.Account)
	p := begun(t, s, account)
	whole := size(t, path+"-wal")
	c := storetest.Answered(t, p, issuer.Approved)
	if err := s.CommitPayment(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	end := size(t, path+"-wal")
	if end <= whole {
		t.Fatalf("the log did not grow: %d, %d", whole, end)
	}
	torn := 0
	for cut := end - 1; cut >= whole; cut -= 1 + (end-whole)/23 {
		copied := filepath.Join(t.TempDir(), "paylink.db")
		for _, suffix := range []string{"", "-wal"} {
			file, err := os.ReadFile(path + suffix)
			if err != nil {
				t.Fatal(err)
			}
			if suffix != "" {
				file = file[:cut]
			}
			if err := os.WriteFile(copied+suffix, file, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		again, err := sqlstore.Open(t.Context(), "sqlite:"+copied)
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if found, err := again.Intact(t.Context()); err != nil || len(found) != 0 {
			t.Fatalf("cut at %d: %v %v", cut, found, err)
		}
		q, err := again.GetPayment(t.Context(), account, p.ID)
		if err != nil || q.Status != payment.Processing && q.Status != payment.Succeeded || len(q.Verify()) != 0 {
			t.Fatalf("cut at %d: %s %v %v", cut, q.Status, err, q.Verify())
		}
		if q.Status == payment.Processing {
			torn++
		}
		if err := again.CommitPayment(t.Context(), c); err != nil {
			t.Fatalf("cut at %d: sent again: %v", cut, err)
		}
		if q, err = again.GetPayment(t.Context(), account, p.ID); err != nil || q.Status != payment.Succeeded {
			t.Fatalf("cut at %d: %s %v", cut, q.Status, err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if torn < 10 {
		t.Errorf("only %d cuts tore the commit", torn)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func size(t *testing.T, path string) int64 {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}

// The engine fails in the middle of a commit, at each of its statements: the caller gets
// store_unavailable, and nothing is half done.
func TestF21_FailedWrite(t *testing.T) {
	for _, table := range []string{"payments", "links", "events", "event_seqs"} {
		t.Run(table, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "paylink.db")
			if _, _, err := sqlstore.Migrate(t.Context(), "sqlite:"+path); err != nil {
				t.Fatal(err)
			}
			s, err := sqlstore.Open(t.Context(), "sqlite:"+path)
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = s.Close() }()
			account := id.New(id.Account)
			p := begun(t, s, account)
			before := contents(t, path)
			trap := "CREATE TRIGGER broken AFTER %s ON " + table + " BEGIN SELECT RAISE(ROLLBACK, 'the disk failed'); END"
			op := "UPDATE"
			if table == "events" {
				op = "INSERT"
			}
			db := raw(t, path, "")
			if _, err := db.ExecContext(t.Context(), fmt.Sprintf(trap, op)); err != nil {
				t.Fatal(err)
			}
			c := storetest.Answered(t, p, issuer.Approved)
			if err := s.CommitPayment(t.Context(), c); err == nil {
				t.Fatal("a commit that failed was acknowledged")
			}
			if after := contents(t, path); after != before {
				t.Fatalf("half done:\n%s\nbefore:\n%s", after, before)
			}
			if _, err := db.ExecContext(t.Context(), "DROP TRIGGER broken"); err != nil {
				t.Fatal(err)
			}
			if err := s.CommitPayment(t.Context(), c); err != nil { // the writer works again
				t.Fatal(err)
			}
		})
	}
}

// contents returns everything that a commit touches.
func contents(t *testing.T, path string) string {
	t.Helper()
	var all strings.Builder
	db := raw(t, path, "")
	for _, query := range []string{"SELECT id || revision || doc FROM payments", "SELECT id || uses || reserved || last_payment FROM links",
		"SELECT id || seq FROM events", "SELECT account || last FROM event_seqs"} {
		rows, err := db.QueryContext(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				t.Fatal(err)
			}
			all.WriteString(line + "\n")
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		_ = rows.Close()
	}
	return all.String()
}

// The disk is full: the change is refused as store_unavailable, and the same change succeeds once
// there is space.
func TestF21_FullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "paylink.db")
	if _, _, err := sqlstore.Migrate(t.Context(), "sqlite:"+path); err != nil {
		t.Fatal(err)
	}
	s, err := sqlstore.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	account := id.New(id.Account)
	p := begun(t, s, account)
	before := contents(t, path)
	if err := s.LimitPages(t.Context(), 1); err != nil { // the disk is full
		t.Fatal(err)
	}
	c := storetest.Answered(t, p, issuer.Approved)
	c.Events[0].Data = []byte(`"` + strings.Repeat("x", 1<<20) + `"`)
	wantCode(t, s.CommitPayment(t.Context(), c), "store_unavailable")
	if after := contents(t, path); after != before {
		t.Fatal("half done")
	}
	if err := s.LimitPages(t.Context(), 1<<30); err != nil {
		t.Fatal(err)
	}
	if err := s.CommitPayment(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}
