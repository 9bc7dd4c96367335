package sqlstore_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
	"github.com/paylink/paylink/internal/stream"
)

func spoil(t *testing.T, s *sqlstore.Store, table string) func(string) {
	return func(account string) {
		t.Helper()
		if err := s.Exec(t.Context(), "UPDATE "+table+" SET doc_sum = doc_sum + 1 WHERE account = $1", account); err != nil {
			t.Fatal(err)
		}
	}
}

// TestF53QueuesGoOn checks that rows that cannot be processed, or too many rows of one account,
// do not hold up the rows of others.
func TestF53QueuesGoOn(t *testing.T) { starved(t, 100, 1000) }

func starved(t *testing.T, sizes ...int) {
	unhurried(t)
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		for _, n := range sizes {
			storetest.RunStarvedByDamage(t, s, n, 2, spoil(t, s, "payments"))
			storetest.RunStarvedByAccount(t, s, n, 2)
			storetest.RunStarvedLinks(t, s, n, 2, spoil(t, s, "links"))
			storetest.RunStarvedLinks(t, s, n, 2, nil)
			starvedMails(t, s, n)
		}
	})
}

// starvedMails makes n emails of one account, half of which are unreadable, due before one of
// another account.
func starvedMails(t *testing.T, s *sqlstore.Store, n int) {
	t.Helper()
	now, many, one := storetest.Epoch, id.New(id.Account), id.New(id.Account)
	list := make([]mail.Message, n)
	for i := range list {
		list[i] = mail.Message{
			ID:        id.New(id.Mail),
			Account:   many,
			Mode:      link.Test,
			To:        "a@b.example",
			Kind:      mail.Link,
			Sealed:    []byte("sealed"),
			CreatedAt: now,
		}
	}
	mine := mail.Message{
		ID:        id.New(id.Mail),
		Account:   one,
		Mode:      link.Test,
		To:        "c@d.example",
		Kind:      mail.Link,
		Sealed:    []byte("sealed"),
		CreatedAt: now.Add(time.Second),
	}
	for part := range slices.Chunk(append(list, mine), 500) {
		if err := s.PutMails(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range list[:min(n/2, 300)] {
		if err := s.Exec(t.Context(), "UPDATE mails SET data = '!' WHERE id = $1", m.ID); err != nil {
			t.Fatal(err)
		}
	}
	for range 2 {
		due, err := s.DueMails(t.Context(), now.Add(time.Minute), 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range due {
			if m.ID == mine.ID {
				return
			}
		}
	}
	t.Fatalf("%d mails of another account keep a mail waiting", n)
}

// TestF53BusyIssuer checks that ten thousand payments of a busy issuer hide none of another
// issuer's, also within one account.
func TestF53BusyIssuer(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		account := id.New(id.Account)
		list := make([]payment.Payment, 1000)
		for i := range list {
			p := storetest.Begin(t, storetest.NewLink(account, 1), "attempt-of-many-0001").Payment
			p.Issuer, p.Work.NextAt = "slowbank", storetest.Epoch
			list[i] = p
		}
		mine := storetest.Begin(t, storetest.NewLink(account, 1), "attempt-of-one-00001").Payment
		mine.Work.NextAt = storetest.Epoch.Add(time.Second)
		if err := s.LoadPayments(t.Context(), append(list, mine)); err != nil {
			t.Fatal(err)
		}
		due, err := s.TakeDue(t.Context(), payment.Take{Now: storetest.Epoch.Add(time.Minute), Limit: 100, Busy: []string{"slowbank"}})
		if err != nil || len(due) != 1 || due[0].ID != mine.ID {
			t.Fatalf("%d payments are taken, %v", len(due), err)
		}
		due, err = s.TakeDue(t.Context(), payment.Take{Now: storetest.Epoch.Add(time.Minute), Limit: 100})
		if err != nil || len(due) != 100 || due[0].Issuer != "slowbank" {
			t.Fatalf("%d payments are taken once the issuer has time, %v", len(due), err)
		}
	})
}

// TestF53DamagedEvents checks that a consumer passes over unreadable events, and that they are
// recorded with their reason.
func TestF53DamagedEvents(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		account := id.New(id.Account)
		var want int
		for i := range 3 {
			l := storetest.NewLink(account, 1)
			e := stream.Event{ID: id.New(id.Event), Type: "link.created", Account: account, Mode: link.Test, Object: l.ID, ObjectSeq: 1,
				CreatedAt: storetest.Epoch, Data: []byte(`{"n":1}`)}
			if err := s.CreateLink(t.Context(), l, []stream.Event{e}, nil); err != nil {
				t.Fatal(err)
			}
			if want++; i == 1 {
				if err := s.Exec(t.Context(), "UPDATE events SET transfers = '[{' WHERE id = $1", e.ID); err != nil {
					t.Fatal(err)
				}
				want--
			}
		}
		again := open(t, url) // another process, with empty memory
		ctx, stop := context.WithTimeout(t.Context(), time.Minute)
		defer stop()
		seen := 0
		err := again.Consume(ctx, "a consumer", func(_ context.Context, events []stream.Event) error {
			for _, e := range events {
				if seen == 0 {
					seen++
					return &stream.Unreadable{Event: e.ID, Cause: errors.New("never")}
				}
			}
			if seen += len(events); seen >= want {
				stop()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		aside, err := again.Asides(t.Context(), 10)
		if err != nil || len(aside) != 2 || aside[0].Consumer != "a consumer" || aside[0].Account != account {
			t.Fatalf("%+v, %v", aside, err)
		}
		if n, err := again.CountAside(t.Context(), "events"); err != nil || n != 2 {
			t.Fatal(n, err)
		}
		if n, err := again.ForgetAside(t.Context()); err != nil || n != 2 {
			t.Fatal(n, err)
		}
	})
}

// TestMigration22 checks that what was due before the queues were shared is still due, and that
// its account gets its turn.
func TestMigration22(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		p := storetest.Begin(t, storetest.NewLink(id.New(id.Account), 1), "attempt-of-before-01").Payment
		p.Work.NextAt = storetest.Epoch.Add(time.Second)
		if err := sqlstore.WriteBefore22(t.Context(), url, p); err != nil {
			t.Fatal(err)
		}
		s := open(t, url)
		storetest.RunStarvedByAccount(t, s, 500, 2)
		due, err := s.TakeDue(t.Context(), payment.Take{Now: storetest.Epoch.Add(10 * time.Minute), Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, q := range due {
			if q.ID == p.ID {
				return
			}
		}
		t.Fatal("the payment is not taken")
	})
}
