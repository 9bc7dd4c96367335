package office_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/mail/mailtest"
	"github.com/paylink/paylink/internal/mail/office"
)

// reset writes a mail as another service does, in its own commit.
func (w *world) reset(n int) mail.Message {
	w.t.Helper()
	m, err := mail.Message{ID: mail.NewID(id.New(id.User), mail.Reset, fmt.Sprint(n)), Account: w.account.ID, To: "ada@shop.example",
		Kind: mail.Reset, Lang: "fr",
		Data: map[string]string{"url": public + "/dashboard/reset?t=s3cret", "minutes": "60"}, CreatedAt: w.clock.Now(),
		EndsAt: w.clock.Now().Add(100 * time.Hour)}.Seal(w.ring)
	w.good(err)
	w.good(w.store.PutMails(w.t.Context(), []mail.Message{m}))
	return m
}

// TestTemporaryRefusalIsTriedAgain: after a pause, and the content is erased once the mail is
// sent.
func TestTemporaryRefusalIsTriedAgain(t *testing.T) {
	w := newWorld(t)
	w.reset(1)
	w.server.Script(func(stage mailtest.Stage, _ string, n int) error {
		if stage == mailtest.To && n <= 2 {
			return mailtest.Refuse(451, "greylisted, come back")
		}
		return nil
	})
	w.send()
	if m := w.only(mail.Reset); m.Status != mail.Waiting || m.Attempt != 1 || !strings.Contains(m.Error, "smtp_451: ") ||
		!m.DueAt.After(w.clock.Now().Add(47*time.Second)) {
		t.Fatalf("after a refusal %+v", m)
	}
	w.send() // not yet
	w.clock.Add(73 * time.Second)
	w.send()
	w.clock.Add(6*time.Minute + time.Second)
	w.send()
	got := w.server.Next(t)
	if !strings.Contains(got.Text, "t=s3cret") || !strings.Contains(got.Text, "60 minutes") ||
		got.Subject != "Choisissez un nouveau mot de passe" {
		t.Errorf("arrived %+v", got)
	}
	if m := w.only(mail.Reset); m.Status != mail.Sent || m.Attempt != 3 || m.Error != "" || m.EndedAt.IsZero() {
		t.Errorf("afterwards %+v", m)
	}
	if due, err := w.store.DueMails(t.Context(), w.clock.Now().Add(1000*time.Hour), 10); err != nil || len(due) != 0 ||
		w.server.Waiting() != 0 {
		t.Errorf("left %+v, %v", due, err)
	}
}

// TestRefusalForGoodIsParked: at once, where it can be seen.
func TestRefusalForGoodIsParked(t *testing.T) {
	w := newWorld(t)
	w.reset(1)
	w.server.Script(func(stage mailtest.Stage, _ string, _ int) error {
		if stage == mailtest.To {
			return mailtest.Refuse(550, "no such mailbox")
		}
		return nil
	})
	w.send()
	if m := w.only(mail.Reset); m.Status != mail.DeadLetterStatus || !strings.Contains(m.Error, "no such mailbox") {
		t.Errorf("parked %+v", m)
	}
	if n, err := w.store.CountDeadMails(t.Context()); n != 1 || err != nil {
		t.Errorf("the metric says %d, %v", n, err)
	}
}

// TestAMailServerThatIsAwayIsWaitedFor: for two days, then the mail is parked.
func TestAMailServerThatIsAwayIsWaitedFor(t *testing.T) {
	w := newWorld(t)
	m := w.reset(1)
	start := w.clock.Now()
	away := w.openOffice(carrierFunc(func(context.Context, mail.Email) error { return errors.New("smtp_connect: connection refused") }))
	w.office = away
	for range office.MaxAttempts {
		w.send()
		if now := w.only(mail.Reset); now.Status == mail.Waiting {
			w.clock.Add(now.DueAt.Sub(w.clock.Now()))
		}
	}
	got := w.only(mail.Reset)
	if took := w.clock.Now().Sub(start); got.Status != mail.DeadLetterStatus || got.Attempt != office.MaxAttempts || took < 38*time.Hour ||
		took > 59*time.Hour {
		t.Errorf("%s: %+v after %s", m.ID, got, took)
	}
}

// TestBrokenOffAfterData: the mail comes twice under one Message-ID. The guarantee is at least
// once.
func TestBrokenOffAfterData(t *testing.T) {
	w := newWorld(t)
	w.reset(1)
	w.server.Script(func(stage mailtest.Stage, _ string, n int) error {
		if stage == mailtest.After && n == 1 {
			return mailtest.ErrBreak
		}
		return nil
	})
	w.send()
	w.clock.Add(2 * time.Minute)
	w.send()
	if a, b := w.server.Next(t), w.server.Next(t); a.Header.Get("Message-Id") != b.Header.Get("Message-Id") || w.mails() != "[reset sent:1]" {
		t.Errorf("%s, %s; %s", a.Header.Get("Message-Id"), b.Header.Get("Message-Id"), w.mails())
	}
}

// TestAProcessThatDiesLeavesAClaimThatRunsOut: another one sends the mail then, and
// not before.
func TestAProcessThatDiesLeavesAClaimThatRunsOut(t *testing.T) {
	w := newWorld(t)
	w.reset(1)
	reached, dead := make(chan struct{}), make(chan struct{})
	first := w.openOffice(carrierFunc(func(ctx context.Context, _ mail.Email) error {
		close(reached)
		<-dead // it neither sends nor records anything any more
		return ctx.Err()
	}))
	ctx, kill := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = first.Send(ctx) })
	<-reached
	w.send()
	if w.server.Waiting() != 0 {
		t.Fatal("two processes sent one mail")
	}
	w.clock.Add(3*time.Minute + time.Second)
	w.send()
	w.server.Next(t)
	kill()
	close(dead)
	wg.Wait()
	if w.mails() != "[reset sent:1]" {
		t.Errorf("what the dead one says late counts: %s", w.mails())
	}
}

// TestManyAtOnceFromTwoProcesses: each mail is sent once.
func TestManyAtOnceFromTwoProcesses(t *testing.T) {
	w := newWorld(t)
	const n = 250
	for i := range n {
		w.reset(i)
	}
	second := w.openOffice(w.carrier())
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for _, o := range []*office.Local{w.office, second} {
		wg.Go(func() {
			if err := o.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	seen := map[string]int{}
	for range n {
		seen[w.server.Next(t).Header.Get("Message-Id")]++
	}
	stop()
	wg.Wait()
	if len(seen) != n || w.server.Waiting() != 0 {
		t.Errorf("%d different letters, %d too many", len(seen), w.server.Waiting())
	}
}

// TestAMailThatCannotBeOpenedIsParked: without any of its content.
func TestAMailThatCannotBeOpenedIsParked(t *testing.T) {
	w := newWorld(t)
	m, err := mail.Message{ID: id.New(id.Mail), Account: w.account.ID, To: "ada@shop.example", Kind: mail.Reset,
		Data:      map[string]string{"url": "x"},
		CreatedAt: w.clock.Now()}.Seal(keyring.NewMemory(w.clock.Now()))
	w.good(err)
	w.good(w.store.PutMails(t.Context(), []mail.Message{m}))
	w.send()
	if w.mails() != "[reset parked:1]" || w.server.Waiting() != 0 {
		t.Errorf("%s", w.mails())
	}
}
