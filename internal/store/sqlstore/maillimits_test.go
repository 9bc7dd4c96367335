package sqlstore_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// before26 are an email and a refusal as versions before migration 26 wrote them.
const before26 = `
INSERT INTO mail_refusals (account, address, created_at) VALUES ('acc_1', 'grace@mail.example', 3);
INSERT INTO mails (id, account, mode, recipient, kind, lang, data, due_at, status, created_at, reader) VALUES
	('m1', 'acc_1', 'live', 'pay_1', 'receipt', 'en', '', 0, 'sent', 10, 'grace@mail.example')
`

// TestMailsOfManyAccountsKeepToALimit: accounts that mail one reader at once, through every writer,
// exceed the reader's limit by none.
func TestMailsOfManyAccountsKeepToALimit(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		for n := range 20 {
			reader := fmt.Sprintf("grace%d@mail.example", n)
			var admitted atomic.Int64
			var group sync.WaitGroup
			for range 8 {
				group.Go(func() {
					m := mail.Message{ID: id.New(id.Mail), Account: id.New(id.Account), To: reader, Kind: mail.Link, Reader: reader, Sealed: []byte("x"),
						CreatedAt: time.UnixMicro(20), DueAt: time.UnixMicro(20)}
					err := s.PutMailWithin(t.Context(), m, []mail.Limit{{Reader: reader, Since: time.UnixMicro(5), Most: 1}})
					if err == nil {
						admitted.Add(1)
					} else if mail.ReachedBound(err) == "" {
						t.Error(err)
					}
				})
			}
			if group.Wait(); admitted.Load() != 1 {
				t.Errorf("%d mails to %s", admitted.Load(), reader)
			}
		}
	})
}

// TestMigration26 checks that a refusal from before is about links alone and can be extended, and
// that emails from before still count for their account and reader, and for no network.
func TestMigration26(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		if err := sqlstore.WriteBefore(t.Context(), url, 26, before26); err != nil {
			t.Fatal(err)
		}
		s := open(t, url)
		refuses := func(kind string, want bool) {
			t.Helper()
			if got, err := s.Refuses(t.Context(), "acc_1", "grace@mail.example", kind); err != nil || got != want {
				t.Errorf("refuses %s: %v, %v", kind, got, err)
			}
		}
		refuses(mail.Link, true)
		refuses(mail.Receipt, false)
		if err := s.Refuse(t.Context(), "acc_1", "grace@mail.example", mail.Receipt, time.UnixMicro(20)); err != nil {
			t.Fatal(err)
		}
		refuses(mail.Link, true)
		refuses(mail.Receipt, true)

		m := mail.Message{ID: id.New(id.Mail), Account: "acc_1", CreatedAt: time.UnixMicro(20), Network: "203.0.113.0/24"}
		for _, l := range []struct {
			mail.Limit
			reached bool
		}{{mail.Limit{Reader: "grace@mail.example"}, true}, {mail.Limit{Account: "acc_1"}, true}, {mail.Limit{Network: m.Network}, false}} {
			l.Since, l.Most = time.UnixMicro(5), 1
			if err := s.AdmitMail(t.Context(), m, "grace@mail.example", []mail.Limit{l.Limit}); (mail.ReachedBound(err) != "") != l.reached {
				t.Errorf("%+v: %v", l, err)
			}
		}
		all, err := s.Mails(t.Context(), "acc_1", "", 10)
		if err != nil || len(all) != 1 || all[0].Network != "" || all[0].Reader != "grace@mail.example" {
			t.Errorf("%+v, %v", all, err)
		}
	})
}
