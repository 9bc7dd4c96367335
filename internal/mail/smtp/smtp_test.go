package smtp_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/mail/mailtest"
	"github.com/paylink/paylink/internal/mail/smtp"
)

func email(n int) mail.Email {
	return mail.Email{ID: fmt.Sprintf("mail_%d", n), From: "Ada’s shop <pay@shop.example>", To: "grace@example.com",
		Subject: "Beleg über 12,50 € — ありがとう",
		Text:    "Grüße\nZeile 2\n.\nafter a dot", HTML: "<p>Grüße</p>", Lang: "de", At: time.Date(2030, 5, 6, 7, 8, 9, 0, time.UTC)}
}

func carrier(t *testing.T, s *mailtest.Server) *smtp.Carrier {
	t.Helper()
	c, err := smtp.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	c.TLS = s.TLS()
	k := smtp.New(c)
	t.Cleanup(func() { _ = k.Close() })
	return k
}

func sent(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestEmailsArriveUnderTLS: by STARTTLS and by TLS from the start, with a password
// and without, as they were written.
func TestEmailsArriveUnderTLS(t *testing.T) {
	for name, o := range map[string]mailtest.Options{
		"STARTTLS": {User: "shop", Password: "p@ss w/ord"}, "TLS from the start": {Implicit: true, User: "shop", Password: "x"},
		"without a password": {}, "a relay beside us": {NoStartTLS: true},
	} {
		t.Run(name, func(t *testing.T) {
			s := mailtest.Start(t, o)
			l := email(1)
			l.Unsubscribe = "https://pay.example/mail/unsubscribe?token=" + strings.Repeat("abc", 60)
			sent(t, carrier(t, s).Carry(t.Context(), l))
			got := s.Next(t)
			if got.User != o.User || got.From != "pay@shop.example" || got.To != "grace@example.com" || got.Subject != l.Subject ||
				strings.TrimSpace(got.Text) != l.Text || strings.TrimSpace(got.HTML) != l.HTML {
				t.Errorf("arrived %+v", got)
			}
			for header, want := range map[string]string{"Message-Id": "<mail_1@shop.example>", "Auto-Submitted": "auto-generated",
				"Content-Language": "de",
				"List-Unsubscribe": "<" + l.Unsubscribe + ">", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
				"Date": "Mon, 06 May 2030 07:08:09 +0000"} {
				if got := got.Header.Get(header); got != want {
					t.Errorf("%s is %q, want %q", header, got, want)
				}
			}
			if got.Header.Get("User-Agent") != "" || got.Header.Get("X-Mailer") != "" {
				t.Error("the letter tells by which program it was written")
			}
		})
	}
}

// TestNothingLeavesInClear: a server that does not offer TLS, or whose certificate is not
// trusted, gets neither a password nor a mail.
func TestNothingLeavesInClear(t *testing.T) {
	plain := mailtest.Start(t, mailtest.Options{NoStartTLS: true, User: "shop", Password: "x"})
	c, err := smtp.Parse("smtp://shop:x@" + plain.Address())
	sent(t, err)
	if err := smtp.New(c).Carry(t.Context(), email(1)); err == nil || errors.Is(err, mail.ErrPermanent) ||
		!strings.Contains(err.Error(), "STARTTLS") {
		t.Errorf("without STARTTLS: %v", err)
	}
	for _, implicit := range []bool{false, true} {
		stranger := mailtest.Start(t, mailtest.Options{Implicit: implicit})
		c, err := smtp.Parse(stranger.URL())
		sent(t, err)
		if err := smtp.New(c).Carry(t.Context(), email(1)); err == nil || errors.Is(err, mail.ErrPermanent) ||
			!strings.Contains(err.Error(), "certificate") {
			t.Errorf("a server that nobody vouches for: %v", err)
		}
		if stranger.Waiting() != 0 {
			t.Error("it got the letter")
		}
	}
}

// TestRefusals: a permanent refusal differs from one that may be tried again.
func TestRefusals(t *testing.T) {
	for _, c := range []struct {
		stage mailtest.Stage
		code  int
		good  bool // for good
	}{
		{mailtest.To, 450, false}, {mailtest.To, 421, false}, {mailtest.To, 550, true}, {mailtest.To, 552, true}, {mailtest.To, 530, false},
		{mailtest.After, 451, false}, {mailtest.After, 554, true}, {mailtest.From, 550, false}, {mailtest.From, 451, false},
	} {
		t.Run(fmt.Sprintf("%s %d", c.stage, c.code), func(t *testing.T) {
			s := mailtest.Start(t, mailtest.Options{})
			k := carrier(t, s)
			s.Script(func(stage mailtest.Stage, _ string, n int) error {
				if stage == c.stage && n == 1 {
					return mailtest.Refuse(c.code, "no mailbox <b>here</b>")
				}
				return nil
			})
			err := k.Carry(t.Context(), email(1))
			if err == nil || errors.Is(err, mail.ErrPermanent) != c.good ||
				!strings.Contains(err.Error(), fmt.Sprintf("smtp_%d: ", c.code)) || strings.Contains(err.Error(), "grace@") {
				t.Fatalf("%v", err)
			}
			// Only what the server says about the recipient or the text is about their domain.
			_, ours := errors.AsType[mail.ServerError](err)
			if want := c.stage == mailtest.From || c.code == 421 || c.code == 530; ours != want {
				t.Errorf("a failure of our own server: %t, want %t", ours, want)
			}
			sent(t, k.Carry(t.Context(), email(2))) // over the same connection, or a new one
			if got := s.Next(t); got.Header.Get("Message-Id") != "<mail_2@shop.example>" {
				t.Errorf("arrived %+v", got)
			}
		})
	}
}

// TestAWrongPasswordParksNoEmail: once the operator fixes it, the mails are sent.
func TestAWrongPasswordParksNoEmail(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{User: "shop", Password: "right"})
	c, err := smtp.Parse("smtp://shop:wrong@" + s.Address())
	sent(t, err)
	c.TLS = s.TLS()
	if err := smtp.New(c).Carry(t.Context(), email(1)); err == nil || errors.Is(err, mail.ErrPermanent) ||
		!strings.Contains(err.Error(), "535") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("%v", err)
	}
}

// TestBrokenOffAfterData: it is unknown whether the server has the mail. It is offered again
// under the same Message-ID, so it may come twice, and is not lost.
func TestBrokenOffAfterData(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	k := carrier(t, s)
	s.Script(func(stage mailtest.Stage, _ string, n int) error {
		if stage == mailtest.After && n == 1 {
			return mailtest.ErrBreak
		}
		return nil
	})
	if err := k.Carry(t.Context(), email(1)); err == nil || errors.Is(err, mail.ErrPermanent) {
		t.Fatalf("broken off: %v", err)
	}
	sent(t, k.Carry(t.Context(), email(1)))
	if a, b := s.Next(t), s.Next(t); a.Header.Get("Message-Id") != b.Header.Get("Message-Id") {
		t.Errorf("%s and %s", a.Header.Get("Message-Id"), b.Header.Get("Message-Id"))
	}
}

// TestConnectionsAreKeptAndBounded: many letters at once need few connections; one
// that the server closed meanwhile is noticed.
func TestConnectionsAreKeptAndBounded(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	k := carrier(t, s)
	var wg sync.WaitGroup
	for i := range 60 {
		wg.Go(func() {
			if err := k.Carry(t.Context(), email(i)); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	all, most := s.Connections()
	// STARTTLS begins a second session on the same connection.
	if s.Waiting() != 60 || most > 2*smtp.MaxConnections || all > 2*smtp.MaxConnections {
		t.Errorf("%d letters over %d connections, %d at once", s.Waiting(), all, most)
	}
	// The next ones are interrupted at this stage: the mails use new connections.
	s.Script(func(stage mailtest.Stage, _ string, n int) error {
		if stage == mailtest.From && n <= 1 {
			return mailtest.ErrBreak
		}
		return nil
	})
	if err := k.Carry(t.Context(), email(100)); err == nil {
		t.Error("a connection that broke carried a letter")
	}
	sent(t, k.Carry(t.Context(), email(101)))
}

// TestAServerThatHangsIsLeft: when the caller's time is up.
func TestAServerThatHangsIsLeft(t *testing.T) {
	s := mailtest.Start(t, mailtest.Options{})
	k := carrier(t, s)
	hang, reached := make(chan struct{}), make(chan struct{})
	defer close(hang)
	s.Script(func(stage mailtest.Stage, _ string, n int) error {
		if stage == mailtest.To && n == 1 {
			close(reached)
			<-hang
		}
		return nil
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-reached; cancel() }()
	if err := k.Carry(ctx, email(1)); err == nil || errors.Is(err, mail.ErrPermanent) {
		t.Errorf("%v", err)
	}
}

// TestParse: what may be configured, and that no error repeats a password.
func TestParse(t *testing.T) {
	for raw, want := range map[string]smtp.Config{
		"smtp://mail.example":                {Host: "mail.example", Port: 587},
		"smtp://u:p%40x@mail.example:2525/":  {Host: "mail.example", Port: 2525, User: "u", Password: "p@x"},
		"smtps://mail.example":               {Host: "mail.example", Port: 465, Security: smtp.ImplicitTLS},
		"smtp://127.0.0.1:25?tls=off":        {Host: "127.0.0.1", Port: 25, Security: smtp.Plain},
		"smtp://u:p@localhost:25?tls=off":    {Host: "localhost", Port: 25, User: "u", Password: "p", Security: smtp.Plain},
		"smtp://relay.internal:2525?tls=off": {Host: "relay.internal", Port: 2525, Security: smtp.Plain},
	} {
		if got, err := smtp.Parse(raw); err != nil || got != want {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	for _, raw := range []string{"", "mail.example:587", "http://u:s3cret@mail.example", "smtp://u:s3cret@mail.example?tls=off",
		"smtp://u:s3cret@h:0",
		"smtp://u:s3cret@h:99999", "smtp://u:s3cret@h/path", "smtps://u:s3cret@h?tls=off", "smtp://u:s3cret@h?x=1",
		"smtp://u:s3cret@h#f", "smtp://u:s3 cret@%zz"} {
		if got, err := smtp.Parse(raw); err == nil || strings.Contains(err.Error(), "s3") {
			t.Errorf("%s: %+v, %v", raw, got, err)
		}
	}
	for from, ok := range map[string]bool{"pay@shop.example": true, "Ada’s shop <pay@shop.example>": true, "": false, "shop": false,
		"a@b, c@d": false} {
		if (smtp.CheckFrom(from) == nil) != ok {
			t.Errorf("from %q", from)
		}
	}
	bad := email(1)
	bad.To = "grace@example.com\r\nBcc: eve@example.com"
	if err := smtp.New(smtp.Config{}).Carry(t.Context(), bad); !errors.Is(err, mail.ErrPermanent) ||
		!strings.Contains(err.Error(), "address_invalid") {
		t.Errorf("a reader with a line break: %v", err)
	}
}
