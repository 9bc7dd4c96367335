package office_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/mail/mailtest"
	"github.com/paylink/paylink/internal/mail/office"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/payment"
)

// join adds another user to the account.
func (w *world) join(email string, confirmed bool) {
	w.t.Helper()
	u := merchant.User{ID: id.New(id.User), Account: w.account.ID, Username: "u" + id.New(id.User), Email: email, CreatedAt: w.clock.Now()}
	if confirmed {
		u.ConfirmedAt = w.clock.Now()
	}
	w.good(w.store.Apply(w.t.Context(), merchant.Change{At: w.clock.Now(), User: &u}))
}

// TestTestModeWritesToNoStranger: whatever the kind of mail, it goes to an address that a user
// of the account has confirmed, however that is spelled, or is not sent; and the outbox says
// why.
func TestTestModeWritesToNoStranger(t *testing.T) {
	w := newWorld(t)
	w.join("new@shop.example", false)
	w.join("info@xn--mnchen-3ya.example", true)
	for _, email := range []string{"victim@bank.example", "new@shop.example", "ada@shop.example.bank.example", "ADA@Shop.Example",
		"info@münchen.example"} {
		p := w.pay(w.link(72*time.Hour), email)
		_, _, err := w.coord.Refund(t.Context(), w.account.ID, w.mode, p.ID, payment.RefundInput{Amount: "2.50"}, nil)
		w.good(err)
	}
	for _, to := range []string{"victim@bank.example", "new@shop.example"} {
		if err := w.office.SendLink(t.Context(), w.account.ID, w.mode, w.link(time.Hour).ID, to, ""); fault.Code(err) != "mail_test_mode" {
			t.Errorf("a link to %s: %v", to, err)
		}
	}
	w.handle()
	w.send()
	got := map[string]int{}
	for range 4 {
		got[w.server.Next(t).To]++
	}
	if fmt.Sprint(got) != "map[ada@shop.example:2 info@xn--mnchen-3ya.example:2]" || w.server.Waiting() != 0 {
		t.Errorf("letters to %v, and %d more", got, w.server.Waiting())
	}
	all, err := w.store.Mails(t.Context(), w.account.ID, "", 100)
	w.good(err)
	strangers := 0
	for _, m := range all {
		if m.Status == mail.Dropped && strings.HasPrefix(m.Error, "test_mode_stranger: ") {
			strangers++
		}
	}
	if strangers != 6 {
		t.Errorf("%d mails to strangers were dropped with their reason, of 6", strangers)
	}
	w.link(72 * time.Hour)
	w.handle()
	w.clock.Add(49 * time.Hour) // a reminder is due, to everybody who confirmed an address
	w.send()
	first, second := w.server.Next(t).To, w.server.Next(t).To
	if w.server.Waiting() != 0 || first == "new@shop.example" || second == "new@shop.example" || first == second {
		t.Errorf("reminders to %s and %s, and %d more", first, second, w.server.Waiting())
	}
}

// TestLiveModeIsBounded: only an account with a confirmed address writes to payers,
// and an address gets few mails a day, whatever their kind and their cause.
func TestLiveModeIsBounded(t *testing.T) {
	w := newWorld(t)
	w.mode = link.Live
	put := func(account string, n int) {
		t.Helper()
		for range n {
			m, err := mail.Message{ID: id.New(id.Mail), Account: account, Mode: link.Live, To: "x", Kind: mail.Receipt,
				CreatedAt: w.clock.Now()}.Seal(w.ring)
			w.good(err)
			w.good(w.store.PutMails(t.Context(), []mail.Message{m}))
			w.good(w.store.AdmitMail(t.Context(), m, "grace@example.com", nil))
			w.good(w.store.SettleMails(t.Context(), []mail.Outcome{{ID: m.ID, Status: mail.Sent, At: w.clock.Now()}}))
		}
	}
	put(id.New(id.Account), 18) // another account's
	l := w.link(100 * time.Hour)
	p := w.pay(l, "Grace@example.com")
	w.handle()
	w.send()
	if got := w.server.Next(t); got.To != "Grace@example.com" {
		t.Errorf("letter to %s", got.To)
	}
	w.good(w.office.SendLink(t.Context(), w.account.ID, w.mode, w.link(100*time.Hour).ID, "grace@EXAMPLE.com", ""))
	w.send()
	w.server.Next(t)
	if err := w.office.SendLink(t.Context(), w.account.ID, w.mode, w.link(100*time.Hour).ID, "gr\u200bace@example.com",
		""); fault.Code(err) != "too_many_mails" {
		t.Errorf("the mail past the limit: %v", err)
	}
	_, _, err := w.coord.Refund(t.Context(), w.account.ID, w.mode, p.ID, payment.RefundInput{Amount: "2.50"}, nil)
	w.good(err)
	w.handle()
	w.send()
	if m := w.only(mail.Refund); m.Status != mail.Waiting || !strings.HasPrefix(m.Error, "too_many_mails: ") || w.server.Waiting() != 0 {
		t.Errorf("a refund past the limit: %+v", m)
	}
	w.clock.Add(25 * time.Hour)
	w.send()
	if got := w.server.Next(t); !strings.HasPrefix(got.Subject, "Refund") {
		t.Errorf("a day later: %+v", got)
	}

	// The same for an account of which nobody confirmed anything.
	w.account.ID = id.New(id.Account)
	w.good(w.store.Apply(t.Context(), merchant.Change{At: w.clock.Now(),
		Account: &merchant.Account{ID: w.account.ID, Name: "x", Revision: 1, CreatedAt: w.clock.Now()}}))
	w.join("other@shop.example", false)
	w.pay(w.link(time.Hour), "grace@example.org")
	if err := w.office.SendLink(t.Context(), w.account.ID, w.mode, w.link(time.Hour).ID, "grace@example.org",
		""); fault.Code(err) != "email_unconfirmed" {
		t.Errorf("a link: %v", err)
	}
	w.handle()
	w.send()
	if m := w.only(mail.Receipt); m.Status != mail.Dropped || !strings.HasPrefix(m.Error, "account_unconfirmed: ") || w.server.Waiting() != 0 {
		t.Errorf("a receipt: %+v", m)
	}
}

// TestInternationalAddresses: a domain is sent in ASCII. A local part beyond ASCII needs
// SMTPUTF8, and is given up at once, with a reason, if the server lacks it.
func TestInternationalAddresses(t *testing.T) {
	for _, row := range []struct {
		address, to string
		old         bool
		parked      bool
	}{
		{"user@münchen.example", "user@xn--mnchen-3ya.example", true, false},
		{"user@MU\u0308NCHEN.example", "user@xn--mnchen-3ya.example", false, false},
		{"用户@例え.jp", "用户@xn--r8jz45g.jp", false, false},
		{"用户@例え.jp", "", true, true},
	} {
		w := newWorld(t)
		w.mode = link.Live
		w.server = mailtest.Start(t, mailtest.Options{User: "shop", Password: "s3cret", NoUTF8: row.old})
		w.office = w.openOffice(w.carrier())
		w.pay(w.link(time.Hour), row.address)
		w.handle()
		w.send()
		if row.parked {
			if m := w.only(mail.Receipt); m.Status != mail.DeadLetterStatus || m.Attempt != 1 || !strings.Contains(m.Error, "smtputf8_missing: ") ||
				w.server.Waiting() != 0 {
				t.Errorf("%s: %+v", row.address, m)
			}
			continue
		}
		if got := w.server.Next(t); got.To != row.to {
			t.Errorf("%s: sent to %s", row.address, got.To)
		}
	}
	w := newWorld(t)
	w.mode = link.Live
	w.office = office.New(office.Config{Outbox: w.store, Readers: w.store, DeadLetters: w.store, Payments: w.store, Links: w.store,
		Ring: w.ring, Carrier: w.carrier(),
		From: "Zahlungen <pay@bücher.example>", PublicURL: public, Now: w.clock.Now})
	w.pay(w.link(time.Hour), "grace@example.com")
	w.handle()
	w.send()
	if got := w.server.Next(t); got.From != "pay@xn--bcher-kva.example" ||
		!strings.HasSuffix(got.Header.Get("Message-Id"), "@xn--bcher-kva.example>") {
		t.Errorf("from %s, %s", got.From, got.Header.Get("Message-Id"))
	}
}
