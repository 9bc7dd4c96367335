package office_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/mail/office"
	"github.com/paylink/paylink/internal/payment"
)

// TestPayerEndsReceiptsWithOneClick: receipts and refunds name a one-click link (RFC 8058), which
// ends both for one merchant, and not the links that the merchant sends.
func TestPayerEndsReceiptsWithOneClick(t *testing.T) {
	w := newWorld(t)
	p := w.pay(w.link(time.Hour), "ada@shop.example")
	w.handle()
	w.send()
	got := w.server.Next(t)
	if got.Header.Get("List-Unsubscribe-Post") != "List-Unsubscribe=One-Click" {
		t.Fatalf("a receipt without a one-click link: %v", got.Header)
	}
	token := strings.TrimSuffix(strings.TrimPrefix(got.Header.Get("List-Unsubscribe"), "<"+public+"/mail/"), ">")
	s, err := w.office.Unsubscribe(t.Context(), token)
	if err != nil || !s.Ended || s.Kind != mail.Receipt || s.Address != "ada@shop.example" || s.Account != w.account.ID {
		t.Fatalf("unsubscribed %+v, %v", s, err)
	}
	_, _, err = w.coord.Refund(t.Context(), w.account.ID, w.mode, p.ID, payment.RefundInput{Amount: "2.50"}, nil)
	w.good(err)
	w.handle()
	w.send()
	if m := w.only(mail.Refund); m.Status != mail.Dropped || !strings.HasPrefix(m.Error, "unsubscribed: ") || w.server.Waiting() != 0 {
		t.Errorf("a refund after that: %+v", m)
	}
	w.good(w.office.SendLink(t.Context(), w.account.ID, w.mode, w.link(time.Hour).ID, "ada@shop.example", ""))
	w.send()
	if got := w.server.Next(t); got.To != "ada@shop.example" || !strings.Contains(got.Text, "/l/") {
		t.Errorf("a link after that: %+v", got)
	}
}

// TestUnsubscribingAtOnce: of kinds that a user ends at the same moment, none comes back.
func TestUnsubscribingAtOnce(t *testing.T) {
	w := newWorld(t)
	w.good(w.office.SetPreferences(t.Context(), mail.Preferences{User: w.user.ID, Lang: "ja"}))
	var tokens []string
	for _, kind := range mail.Optional {
		tokens = append(tokens, office.TokenOf(w.office, w.user.ID, kind))
	}
	var all sync.WaitGroup
	for _, token := range tokens {
		all.Go(func() {
			if s, err := w.office.Unsubscribe(t.Context(), token); err != nil || !s.Ended {
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
	all.Wait()
	p, err := w.office.Preferences(t.Context(), w.user.ID)
	if slices.Sort(p.Off); err != nil || p.Lang != "ja" || !slices.Equal(p.Off, slices.Sorted(slices.Values(mail.Optional))) {
		t.Errorf("off: %v, %v", p, err)
	}
}

// TestDailyLimits: receipts, refunds and links in live mode count together, for the account, the
// recipient and the network of the payer. A limit that is reached holds the mail back, is counted,
// and the merchant sees why. It holds after a restart.
func TestDailyLimits(t *testing.T) {
	for bound, limits := range map[string]office.Limits{
		"account":   {Account: 2, Recipient: 100, Network: 100},
		"recipient": {Account: 100, Recipient: 2, Network: 100},
		"network":   {Account: 100, Recipient: 100, Network: 2},
	} {
		w := newWorld(t)
		w.mode = link.Live
		w.client = netip.MustParseAddr("203.0.113.7")
		var reached []string
		reopen := func() {
			w.office = office.New(office.Config{Outbox: w.store, Readers: w.store, DeadLetters: w.store, Payments: w.store, Links: w.store,
				Ring: w.ring, Carrier: w.carrier(), From: "pay@shop.example", PublicURL: public, Limits: limits, Now: w.clock.Now,
				Log: slog.New(slog.DiscardHandler), Limited: func(b string) { reached = append(reached, b) }})
		}
		reopen()
		to := func(n int) string {
			if bound == "recipient" {
				return "grace@example.com"
			}
			return fmt.Sprintf("payer%d@example.com", n)
		}
		p := w.pay(w.link(100*time.Hour), to(0))
		_, _, err := w.coord.Refund(t.Context(), w.account.ID, w.mode, p.ID, payment.RefundInput{Amount: "2.50"}, nil)
		w.good(err)
		w.handle()
		w.send()
		w.server.Next(t)
		w.server.Next(t)
		reopen()
		w.client = netip.MustParseAddr("203.0.113.200") // the same network
		w.pay(w.link(100*time.Hour), to(1))
		w.handle()
		w.send()
		all, err := w.store.Mails(t.Context(), w.account.ID, "", 10)
		w.good(err)
		held := slices.DeleteFunc(all, func(m mail.Message) bool { return m.Status != mail.Waiting })
		if len(held) != 1 || !strings.HasPrefix(held[0].Error, "too_many_mails: the "+bound+" ") || w.server.Waiting() != 0 {
			t.Errorf("%s: held back %+v, and %d sent", bound, held, w.server.Waiting())
		}
		if fmt.Sprint(reached) != "["+bound+"]" {
			t.Errorf("%s: counted %v", bound, reached)
		}
		if bound != "network" { // links are sent by the merchant, not by a payer's network
			err := w.office.SendLink(t.Context(), w.account.ID, w.mode, w.link(100*time.Hour).ID, to(0), "")
			if fault.Code(err) != "too_many_mails" || len(reached) != 2 {
				t.Errorf("%s: a link: %v, counted %v", bound, err, reached)
			}
		}
		w.clock.Add(25 * time.Hour)
		w.send()
		if got := w.server.Next(t); got.To != to(1) {
			t.Errorf("%s: a day later: %+v", bound, got)
		}
	}
}

// TestSettingsOfLimits: a setting replaces one default; everything else is an error that names it.
func TestSettingsOfLimits(t *testing.T) {
	got, err := office.ParseLimits([]string{"recipient=5", "account=7"})
	if err != nil || got != (office.Limits{Account: 7, Recipient: 5, Network: office.DefaultLimits.Network}) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, s := range []string{"", "account", "account=", "account=0", "account=-1", "account=x", "account=1000001", "Account=1", "links=1"} {
		if _, err := office.ParseLimits([]string{s}); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("%q", s)) {
			t.Errorf("%q: %v", s, err)
		}
	}
}

// TestOurServersFailureRestsNoDomain: a failure of our own mail server says nothing about the
// recipients' domain. When the server is back, all mails go there.
func TestOurServersFailureRestsNoDomain(t *testing.T) {
	w := newWorld(t)
	w.mode = link.Live
	var failure error = mail.ServerError{Err: errors.New("smtp_connect: refused")}
	var sent atomic.Int64
	w.office = w.openOffice(carrierFunc(func(context.Context, mail.Email) error {
		if failure == nil {
			sent.Add(1)
		}
		return failure
	}))
	for n := range 5 {
		w.pay(w.link(time.Hour), fmt.Sprintf("payer%d@example.com", n))
	}
	w.handle()
	w.send()
	if got := w.mails(); got != "[receipt waiting:5]" {
		t.Fatalf("%s", got)
	}
	failure = nil
	w.pay(w.link(time.Hour), "payer5@example.com")
	w.handle()
	if w.send(); sent.Load() != 1 {
		t.Errorf("the next mail to the domain waits: %s", w.mails())
	}
	w.clock.Add(2 * time.Minute) // the pause after the first try
	if w.send(); sent.Load() != 6 {
		t.Errorf("%d sent at once, of 6: %s", sent.Load(), w.mails())
	}
}
