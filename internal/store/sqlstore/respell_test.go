package sqlstore_test

import (
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// before24 are rows as versions before migration 24 wrote them: addresses as typed, in lower
// case. APART is the domain in another Unicode composition.
const before24 = `
INSERT INTO users (id, account, username, email, date, password_hash, created_at) VALUES
	('usr_1', 'acc_1', 'ada', 'ada@bücher.example', 0, 'h', 1),
	('usr_2', 'acc_2', 'eve', 'ada@APART', 0, 'h', 2),
	('usr_3', 'acc_3', 'bob', 'bob@mail.example', 0, 'h', 3);
INSERT INTO logins (login, user_id) VALUES
	('ada', 'usr_1'), ('ada@bücher.example', 'usr_1'), ('eve', 'usr_2'), ('ada@APART', 'usr_2'), ('bob', 'usr_3'), ('bob@mail.example', 'usr_3');
INSERT INTO mail_refusals (account, address, created_at) VALUES
	('acc_1', 'grace@bücher.example', 1), ('acc_1', 'grace@APART', 2), ('acc_2', 'grace@mail.example', 3);
INSERT INTO mails (id, account, mode, recipient, kind, lang, data, due_at, status, created_at) VALUES
	('m1', 'acc_1', 'live', 'grace@bücher.example', 'link', 'en', '', 0, 'sent', 10),
	('m2', 'acc_1', 'live', 'grace@APART', 'link', 'en', '', 0, 'sent', 10),
	('m3', 'acc_1', 'live', 'usr_1', 'confirm', 'en', '', 0, 'sent', 10)
`

// TestMigration24 checks that existing users, refusals and counted emails are found by every
// spelling of their address, and that each user still signs in by exactly what is stored.
func TestMigration24(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		if err := sqlstore.WriteBefore(t.Context(), url, 24, strings.ReplaceAll(before24, "APART", "bu\u0308cher.example")); err != nil {
			t.Fatal(err)
		}
		s := open(t, url)
		for login, want := range map[string]string{
			"ada@bücher.example": "usr_1", "ADA@BÜCHER.EXAMPLE": "usr_1", "ada@xn--bcher-kva.example": "usr_1", "ada": "usr_1",
			"ada@bu\u0308cher.example": "usr_2", "eve": "usr_2", "bob@mail.example": "usr_3", "Bob@Mail.Example": "usr_3",
		} {
			if u, err := s.UserByLogin(t.Context(), login); err != nil || u.ID != want {
				t.Errorf("%q is %q, %v; want %s", login, u.ID, err, want)
			}
		}
		for _, address := range []string{"grace@xn--bcher-kva.example", "grace@bücher.example"} {
			for account, want := range map[string]bool{"acc_1": true, "acc_2": false} {
				if refused, err := s.Refuses(t.Context(), account, address, mail.Link); err != nil || refused != want {
					t.Errorf("%s refuses %s: %v, %v", address, account, refused, err)
				}
			}
		}
		m := mail.Message{ID: id.New(id.Mail), Account: "acc_1", CreatedAt: time.UnixMicro(20)}
		for most, refused := range map[int]bool{2: true, 3: false} {
			err := s.AdmitMail(
				t.Context(),
				m,
				"grace@xn--bcher-kva.example",
				[]mail.Limit{{Reader: "grace@xn--bcher-kva.example", Since: time.UnixMicro(5), Most: most}},
			)
			if (err != nil) != refused || refused && fault.KindOf(err) != fault.KindRateLimited {
				t.Errorf("two mails of before, %d allowed: %v", most, err)
			}
		}
		if again, err := s.UserByID(t.Context(), "usr_2"); err != nil || again.Email != "ada@bu\u0308cher.example" {
			t.Errorf("what is stored stays: %q, %v", again.Email, err)
		}
	})
}
