package storetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/merchant"
)

// MailStore is what an engine must implement for emails and their readers.
type MailStore interface {
	mail.Outbox
	mail.Readers
	merchant.UserStore
	merchant.AccessStore
}

type mails struct {
	MailStore
	ctx  context.Context
	ring *keyring.Ring
}

// RunMails runs the suite of the outbox.
func RunMails(t *testing.T, open func(t *testing.T) MailStore) {
	s := mails{open(t), t.Context(), keyring.NewMemory(Epoch)}
	for name, test := range map[string]func(*testing.T, mails){
		"a mail is read back as written, once":        mailRoundTrip,
		"an unsealed mail is refused":                 mailUnsealed,
		"a claimed mail is not due until then":        mailClaim,
		"of many workers one claims a mail":           mailClaimRace,
		"outcomes: again later, sent, parked":         mailOutcomes,
		"what waits can be withdrawn, what ended not": mailWithdrawn,
		"limits hold, also for many at once":          mailLimits,
		"mails page newest first, without their text": mailPages,
		"ended mails are pruned":                      mailPruned,
		"readers have addresses and wishes":           mailReaders,
		"a refusal is kept":                           mailRefusal,
	} {
		t.Run(name, func(t *testing.T) { s.ctx = t.Context(); test(t, s) })
	}
}

// message returns an email of a new account, due at a time that no other test uses.
func (s mails) message(t *testing.T, due time.Time) mail.Message {
	t.Helper()
	m, err := mail.Message{
		ID:      id.New(id.Mail),
		Account: id.New(id.Account),
		Mode:    "test",
		To:      "ada@example.com",
		Kind:    mail.Receipt,
		Lang:    "ar",
		Data: map[string]string{
			"payment": "pay_1",
			"secret":  "s3cret",
		},
		DueAt:     due,
		EndsAt:    due.Add(time.Hour),
		Withdraw:  "lnk_1",
		CreatedAt: Epoch,
	}.Seal(
		s.ring,
	)
	ok(t, err)
	return m
}

// due returns the due emails of one account.
func (s mails) due(t *testing.T, account string, now time.Time) []mail.Message {
	t.Helper()
	all, err := s.DueMails(s.ctx, now, 1000)
	ok(t, err)
	return slices.DeleteFunc(all, func(m mail.Message) bool { return m.Account != account })
}

func mailRoundTrip(t *testing.T, s mails) {
	m := s.message(t, Epoch.Add(time.Minute))
	ok(t, s.PutMails(s.ctx, []mail.Message{m}))
	again := m
	again.To = "eve@example.com"
	ok(t, s.PutMails(s.ctx, []mail.Message{again}), s.PutMails(s.ctx, nil))
	if early := s.due(t, m.Account, Epoch.Add(time.Minute-1)); len(early) != 0 {
		t.Errorf("due too early: %+v", early)
	}
	due := s.due(t, m.Account, Epoch.Add(time.Minute))
	if len(due) != 1 {
		t.Fatalf("due %+v", due)
	}
	want := m
	want.Status = mail.Waiting
	same(t, want)(due[0], nil)
	opened, err := due[0].Open(s.ring)
	if err != nil || opened.Data["secret"] != "s3cret" {
		t.Errorf("opened %+v, %v", opened, err)
	}
	now := s.message(t, time.Time{})
	ok(t, s.PutMails(s.ctx, []mail.Message{now}))
	if due := s.due(t, now.Account, Epoch); len(due) != 1 || !due[0].DueAt.Equal(Epoch) {
		t.Errorf("a mail without a time is due at once: %+v", due)
	}
}

func mailUnsealed(t *testing.T, s mails) {
	m := mail.Message{ID: id.New(id.Mail), Account: id.New(id.Account), Data: map[string]string{"url": "https://secret"}, CreatedAt: Epoch}
	if err := s.PutMails(s.ctx, []mail.Message{m}); err == nil {
		t.Error("written in clear")
	}
}

func mailClaim(t *testing.T, s mails) {
	m := s.message(t, Epoch.Add(-time.Minute))
	ok(t, s.PutMails(s.ctx, []mail.Message{m}))
	due := s.due(t, m.Account, Epoch)
	claimed, err := s.ClaimMails(s.ctx, due, Epoch.Add(time.Minute))
	if err != nil || len(claimed) != 1 || claimed[0].Attempt != 1 {
		t.Fatalf("claimed %+v, %v", claimed, err)
	}
	if again, err := s.ClaimMails(s.ctx, due, Epoch.Add(time.Hour)); err != nil || len(again) != 0 {
		t.Errorf("claimed twice: %+v, %v", again, err)
	}
	if left := s.due(t, m.Account, Epoch); len(left) != 0 {
		t.Errorf("still due: %+v", left)
	}
	// The worker died: another one takes the email when the claim expires.
	if left := s.due(t, m.Account, Epoch.Add(time.Minute)); len(left) != 1 || left[0].Attempt != 1 {
		t.Errorf("after the claim: %+v", left)
	}
}

func mailClaimRace(t *testing.T, s mails) {
	m := s.message(t, Epoch.Add(-time.Minute))
	ok(t, s.PutMails(s.ctx, []mail.Message{m}))
	due := s.due(t, m.Account, Epoch)
	var wg sync.WaitGroup
	won := make(chan struct{}, 16)
	for i := range 16 {
		wg.Go(func() {
			claimed, err := s.ClaimMails(s.ctx, due, Epoch.Add(time.Duration(i+1)*time.Minute))
			if err != nil {
				t.Error(err)
			}
			for range claimed {
				won <- struct{}{}
			}
		})
	}
	wg.Wait()
	if len(won) != 1 {
		t.Errorf("%d workers have it", len(won))
	}
}

func mailOutcomes(t *testing.T, s mails) {
	m := s.message(t, Epoch.Add(-time.Minute))
	ok(t, s.PutMails(s.ctx, []mail.Message{m}))
	ok(
		t,
		s.SettleMails(s.ctx, []mail.Outcome{{ID: m.ID, Status: mail.Waiting, Error: "smtp_451: busy", NextAt: Epoch.Add(time.Hour), At: Epoch}}),
	)
	later := s.due(t, m.Account, Epoch.Add(time.Hour))
	if len(later) != 1 || later[0].Error != "smtp_451: busy" || len(later[0].Sealed) == 0 {
		t.Fatalf("again: %+v", later)
	}
	ok(t, s.SettleMails(s.ctx, []mail.Outcome{{ID: m.ID, Status: mail.Sent, At: Epoch.Add(2 * time.Hour)}}))
	ok(t, s.SettleMails(s.ctx, []mail.Outcome{{ID: m.ID, Status: mail.DeadLetterStatus, Error: "too late", At: Epoch.Add(3 * time.Hour)}}))
	all, err := s.Mails(s.ctx, m.Account, "", 10)
	ok(t, err)
	if len(all) != 1 || all[0].Status != mail.Sent || all[0].Error != "" || !all[0].EndedAt.Equal(Epoch.Add(2*time.Hour)) {
		t.Errorf("sent: %+v", all)
	}
	if left := s.due(t, m.Account, Epoch.Add(time.Hour)); len(left) != 0 {
		t.Errorf("a sent mail is due: %+v", left)
	}
}

func mailWithdrawn(t *testing.T, s mails) {
	m := s.message(t, Epoch.Add(time.Hour))
	sent := m
	sent.ID = id.New(id.Mail)
	resealed, err := mail.Message{ID: sent.ID, Account: m.Account, Kind: m.Kind, To: m.To, Withdraw: m.Withdraw, CreatedAt: Epoch}.Seal(s.ring)
	ok(t, err, s.PutMails(s.ctx, []mail.Message{m, resealed}))
	ok(t, s.SettleMails(s.ctx, []mail.Outcome{{ID: sent.ID, Status: mail.Sent, At: Epoch}}))
	ok(t, s.WithdrawMails(s.ctx, id.New(id.Account), []string{"lnk_1"}, Epoch), s.WithdrawMails(s.ctx, m.Account, []string{""}, Epoch))
	if left := s.due(t, m.Account, Epoch.Add(time.Hour)); len(left) != 1 {
		t.Fatalf("withdrawn by a stranger: %+v", left)
	}
	ok(t, s.WithdrawMails(s.ctx, m.Account, []string{"lnk_0", "lnk_1"}, Epoch))
	all, err := s.Mails(s.ctx, m.Account, "", 10)
	ok(t, err)
	for _, got := range all {
		if want := map[string]mail.Status{m.ID: mail.Dropped, sent.ID: mail.Sent}[got.ID]; got.Status != want {
			t.Errorf("%s is %s, want %s", got.ID, got.Status, want)
		}
	}
}

func mailLimits(t *testing.T, s mails) {
	account, to := id.New(id.Account), id.New(id.User)+"@example.com"
	put := func(account string, at time.Time) error {
		m, err := mail.Message{ID: id.New(id.Mail), Account: account, To: to, Kind: mail.Link, CreatedAt: at}.Seal(s.ring)
		ok(t, err)
		return s.PutMailWithin(s.ctx, m, []mail.Limit{{Kind: mail.Link, Account: account, Since: at.Add(-time.Hour), Most: 3},
			{Kind: mail.Link, To: to, Since: at.Add(-time.Hour), Most: 5}})
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	written := 0
	for range 8 {
		wg.Go(func() {
			err := put(account, Epoch)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				written++
			case fault.Code(err) != "too_many_mails":
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if written != 3 {
		t.Errorf("%d written, 3 allowed", written)
	}
	ok(t, put(id.New(id.Account), Epoch), put(id.New(id.Account), Epoch))
	wantCode(t, put(id.New(id.Account), Epoch), "too_many_mails")
	ok(t, put(account, Epoch.Add(2*time.Hour)))

	// Emails whose reader is looked up later count together with those that name the reader.
	reader := "a" + to
	for i := range 3 {
		m := s.message(t, Epoch)
		if i == 0 {
			m.Reader = reader
		}
		ok(t, s.PutMails(s.ctx, []mail.Message{m}))
		limits := []mail.Limit{
			{Reader: reader, Since: Epoch.Add(-time.Hour), Most: 2},
			{Account: m.Account, Since: Epoch.Add(-time.Hour), Most: 1},
		}
		if i < 2 {
			ok(t, s.AdmitMail(s.ctx, m, reader, limits), s.AdmitMail(s.ctx, m, reader, limits))
			continue
		}
		wantCode(t, s.AdmitMail(s.ctx, m, reader, limits), "too_many_mails")
		ok(t, s.AdmitMail(s.ctx, m, reader, []mail.Limit{{Reader: reader, Since: Epoch.Add(time.Hour), Most: 1}}))
	}

	// The limits of a reader and of a network hold for many accounts at once.
	for _, bound := range []string{"recipient", "network"} {
		reader, network := "c"+bound+to, "203.0.113.0/24 of "+bound+to
		admitted := 0
		for range 8 {
			m := s.message(t, Epoch)
			m.Network = network
			ok(t, s.PutMails(s.ctx, []mail.Message{m}))
			limits := []mail.Limit{{Reader: reader, Since: Epoch.Add(-time.Hour), Most: 3}}
			if bound == "network" {
				limits[0] = mail.Limit{Network: network, Since: Epoch.Add(-time.Hour), Most: 3}
			}
			wg.Go(func() {
				err := s.AdmitMail(s.ctx, m, reader, limits)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					admitted++
				} else if mail.ReachedBound(err) != bound {
					t.Errorf("%s: %v", bound, err)
				}
			})
		}
		if wg.Wait(); admitted != 3 {
			t.Errorf("%s: %d admitted at once, 3 allowed", bound, admitted)
		}
	}

	// A limit of one mode does not count emails of the other. A repeated email does not count
	// against itself.
	again := ""
	for _, mode := range []string{"test", "live", "test"} {
		m, err := mail.Message{ID: id.New(id.Mail), Account: account, Mode: mode, To: to, Kind: mail.PaymentHeld, CreatedAt: Epoch}.Seal(s.ring)
		ok(t, err)
		limits := []mail.Limit{{Kind: mail.PaymentHeld, Account: account, Mode: mode, To: to, Since: Epoch.Add(-time.Hour), Most: 1}}
		if again == mode {
			wantCode(t, s.PutMailWithin(s.ctx, m, limits), "too_many_mails")
			continue
		}
		ok(t, s.PutMailWithin(s.ctx, m, limits), s.PutMailWithin(s.ctx, m, limits))
		if again == "" {
			again = mode
		}
	}
}

func mailPages(t *testing.T, s mails) {
	account := id.New(id.Account)
	var want []string
	for range 5 {
		m := s.message(t, Epoch)
		m.Account = account
		ok(t, s.PutMails(s.ctx, []mail.Message{m}))
		want = append(want, m.ID)
	}
	slices.Reverse(want)
	var got []string
	for before := ""; ; {
		page, err := s.Mails(s.ctx, account, before, 2)
		ok(t, err)
		if len(page) == 0 {
			break
		}
		for _, m := range page {
			if got = append(got, m.ID); m.Sealed != nil {
				t.Error("a list shows what a mail says")
			}
		}
		before = page[len(page)-1].ID
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func mailPruned(t *testing.T, s mails) {
	long := Epoch.Add(-1000 * time.Hour)
	account := id.New(id.Account)
	for i := range 5 {
		m := s.message(t, Epoch)
		m.Account = account
		ok(t, s.PutMails(s.ctx, []mail.Message{m}))
		if i > 0 {
			ok(
				t,
				s.SettleMails(s.ctx, []mail.Outcome{{ID: m.ID, Status: mail.DeadLetterStatus, Error: "x", At: long.Add(time.Duration(i) * time.Hour)}}),
			)
		}
	}
	if n, err := s.PruneMails(s.ctx, long.Add(4*time.Hour), 2); err != nil || n != 2 {
		t.Errorf("pruned %d, %v", n, err)
	}
	if n, err := s.PruneMails(s.ctx, long.Add(4*time.Hour), 2); err != nil || n != 1 {
		t.Errorf("pruned %d, %v", n, err)
	}
	all, err := s.Mails(s.ctx, account, "", 10)
	if err != nil || len(all) != 2 {
		t.Errorf("left %+v, %v", all, err)
	}
}

func mailReaders(t *testing.T, s mails) {
	u, a := newUser()
	ok(t, s.Apply(s.ctx, merchant.Change{At: Epoch, User: &u, Account: &a}))
	plain := mail.Reader{Preferences: mail.Preferences{User: u.ID, Off: []string{}}, Account: a.ID, Address: u.Email}
	same(t, []mail.Reader{plain})(s.Readers(s.ctx, a.ID))
	for _, p := range []mail.Preferences{{User: u.ID, Lang: "ja", Off: []string{mail.Expiring, mail.DeadLetter}},
		{User: u.ID, Lang: "de", Off: []string{}}} {
		ok(t, s.PutPreferences(s.ctx, p))
		want := plain
		want.Preferences = p
		same(t, want)(s.Reader(s.ctx, u.ID))
		same(t, []mail.Reader{want})(s.Readers(s.ctx, a.ID))
	}
	_, err := s.Reader(s.ctx, id.New(id.User))
	wantCode(t, err, "not_found")

	// Kinds that are turned off at the same moment stay off, all of them, and the language too.
	var wg sync.WaitGroup
	for _, kind := range append(mail.Optional, mail.Optional...) {
		wg.Go(func() { ok(t, s.TurnOff(s.ctx, u.ID, kind)) })
	}
	wg.Wait()
	r, err := s.Reader(s.ctx, u.ID)
	if slices.Sort(r.Off); err != nil || r.Lang != "de" || !slices.Equal(r.Off, slices.Sorted(slices.Values(mail.Optional))) {
		t.Errorf("turned off at once: %+v, %v", r, err)
	}
	other, account := newUser()
	ok(t, s.Apply(s.ctx, merchant.Change{At: Epoch, User: &other, Account: &account}), s.TurnOff(s.ctx, other.ID, mail.Expiring))
	if r, err := s.Reader(s.ctx, other.ID); err != nil || r.Lang != "" || !slices.Equal(r.Off, []string{mail.Expiring}) {
		t.Errorf("the first choice: %+v, %v", r, err)
	}
}

func mailRefusal(t *testing.T, s mails) {
	account := id.New(id.Account)
	links, receipts, both := "links@example.com", "receipts@example.com", "both@example.com"
	ok(t, s.Refuse(s.ctx, account, links, mail.Link, Epoch), s.Refuse(s.ctx, account, links, mail.Link, Epoch),
		s.Refuse(s.ctx, account, receipts, mail.Receipt, Epoch), s.Refuse(s.ctx, account, both, mail.Receipt, Epoch),
		s.Refuse(s.ctx, account, both, mail.Link, Epoch))
	for _, c := range []struct {
		account, address    string
		noLinks, noReceipts bool
	}{{account, links, true, false}, {account, receipts, false, true}, {account, both, true, true}, {account, "b@example.com", false, false},
		{id.New(id.Account), both, false, false}} {
		same(t, c.noLinks)(s.Refuses(s.ctx, c.account, c.address, mail.Link))
		same(t, c.noReceipts)(s.Refuses(s.ctx, c.account, c.address, mail.Receipt))
	}
}
