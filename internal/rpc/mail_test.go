package rpc_test

import (
	"reflect"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/mail/office"
	"github.com/paylink/paylink/internal/merchant"
)

func TestMailService(t *testing.T) { both(t, mailSuite) }

func mailSuite(t *testing.T, b serviceSet) {
	ctx, up := t.Context(), b.account(t)
	account := up.Account
	good(t, b.world.store.Apply(ctx, merchant.Change{At: time.Now(), Confirmed: up.User.ID, ConfirmedEmail: up.User.Email}))
	if ready, err := b.mail.Ready(ctx); err != nil || !ready {
		t.Errorf("ready %v, %v", ready, err)
	}
	l, err := b.links.Create(ctx, linkRequest(account))
	good(t, err)
	is(t, b.mail.SendLink(ctx, account.ID, link.Test, l.ID, "stranger@example.com", "en"), fault.KindInvalid, "mail_test_mode", "to")
	is(t, b.mail.SendLink(ctx, account.ID, link.Live, l.ID, "ada@example.com", "en"), fault.KindNotFound, "not_found", "")
	good(t, b.mail.SendLink(ctx, account.ID, link.Test, l.ID, "ada@example.com", "ja"))
	good(t, b.mail.SendLink(ctx, account.ID, link.Test, l.ID, "ada@example.com", "ja"))
	all, err := b.mail.Mails(ctx, account.ID, "", 10)
	good(t, err)
	if len(all) != 1 || all[0].Kind != mail.Link || all[0].To != "ada@example.com" || all[0].Lang != "ja" || all[0].Status != mail.Waiting ||
		all[0].Sealed != nil {
		t.Fatalf("mails %+v", all)
	}
	_, err = b.mail.Mails(ctx, account.ID, "nonsense", 10)
	is(t, err, fault.KindInvalid, "cursor_invalid", "cursor")
	want := mail.Preferences{User: up.User.ID, Lang: "fr", Off: []string{mail.Expiring}}
	good(t, b.mail.SetPreferences(ctx, want))
	p, err := b.mail.Preferences(ctx, up.User.ID)
	good(t, err)
	if !reflect.DeepEqual(p, want) {
		t.Errorf("preferences %+v", p)
	}
	is(
		t,
		b.mail.SetPreferences(ctx, mail.Preferences{User: up.User.ID, Off: []string{mail.Receipt}}),
		fault.KindInvalid,
		"mail_kind_unknown",
		"off",
	)
	// The email's one-click link.
	_, err = b.world.local.mail.(*office.Local).Send(ctx)
	good(t, err)
	if len(b.world.mailbox.all) != 1 {
		t.Fatalf("letters %+v", b.world.mailbox.all)
	}
	token := b.world.mailbox.all[0].Unsubscribe[len(public+"/mail/"):]
	s, err := b.mail.Subscription(ctx, token)
	good(t, err)
	if s.Ended || s.Address != "ada@example.com" || s.Account != account.ID || s.Kind != mail.Link || s.Lang != "ja" {
		t.Errorf("subscription %+v", s)
	}
	s, err = b.mail.Unsubscribe(ctx, token)
	good(t, err)
	if !s.Ended {
		t.Errorf("unsubscribed %+v", s)
	}
	_, err = b.mail.Unsubscribe(ctx, token+"A")
	is(t, err, fault.KindNotFound, "token_invalid", "")
}
