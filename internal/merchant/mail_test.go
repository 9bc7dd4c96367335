package merchant_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/merchant"
)

func newMailWorld(t *testing.T) *world {
	return newWorld(t, func(c *merchant.Config) { c.Mails = true })
}

// mails returns the waiting mails to an address, opened.
func (w *world) mails(to, kind string) []mail.Message {
	w.t.Helper()
	due, err := w.store.DueMails(w.t.Context(), w.clock.Now(), 100)
	w.good(err)
	var out []mail.Message
	for _, m := range due {
		if m.To == to && m.Kind == kind {
			m, err := m.Open(w.ring)
			w.good(err)
			out = append(out, m)
		}
	}
	return out
}

// resetting runs the mailing of reset links, and returns a function that waits for mails.
func (w *world) resetting() func(to string, n int) mail.Message {
	ctx, stop := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- w.RunResets(ctx) }()
	w.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	return func(to string, n int) mail.Message {
		w.t.Helper()
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		deadline := time.After(3 * time.Minute)
		for {
			if got := w.mails(to, mail.Reset); len(got) == n {
				return got[n-1]
			}
			select {
			case <-tick.C:
			case <-deadline:
				w.t.Fatalf("no mail %d to %s", n, to)
			}
		}
	}
}

func TestAddressIsConfirmedByMail(t *testing.T) {
	w := newMailWorld(t)
	ada := w.signUp("ada")
	sent := w.mails("ada@example.com", mail.Confirm)
	if len(sent) != 1 || !sent[0].EndsAt.Equal(t0.Add(merchant.ConfirmLife)) {
		t.Fatalf("%+v", sent)
	}
	live := merchant.CreateKeyRequest{Account: ada.Account, Name: "live", Mode: merchant.Live, Scopes: []string{"links:write"}}
	_, err := w.CreateKey(t.Context(), live, nil)
	w.code(err, "email_unconfirmed")
	test := live
	test.Mode = merchant.Test
	_, err = w.CreateKey(t.Context(), test, nil)
	w.good(err)
	if _, a, err := w.Me(t.Context(), ada.ID); err != nil || !a.TestOnly {
		t.Errorf("%+v %v", a, err)
	}

	w.code(w.SendConfirmation(t.Context(), ada.ID, "de"), "mail_sent_just_now")
	w.clock.Add(time.Minute)
	w.good(w.SendConfirmation(t.Context(), ada.ID, "de"))
	if sent = w.mails("ada@example.com", mail.Confirm); len(sent) != 2 || sent[1].Lang != "de" {
		t.Fatalf("%+v", sent)
	}
	token := tokenOf(sent[0].Data["url"])
	k, err := w.store.LatestToken(t.Context(), merchant.KindConfirm, ada.ID)
	if err != nil || len(k.Hash) != 32 {
		t.Errorf("%+v %v", k, err)
	}
	w.code(w.Reset(t.Context(), token, "another good password", ""), "token_invalid") // it does one thing
	w.good(w.Confirm(t.Context(), token))
	w.code(w.Confirm(t.Context(), token), "token_invalid")
	w.code(w.Confirm(t.Context(), tokenOf(sent[1].Data["url"])), "token_invalid") // of no use any more
	u, a, err := w.Me(t.Context(), ada.ID)
	if err != nil || !u.ConfirmedAt.Equal(w.clock.Now()) || a.TestOnly {
		t.Errorf("%+v %+v %v", u, a, err)
	}
	_, err = w.CreateKey(t.Context(), live, nil)
	w.good(err)
	w.good(w.SendConfirmation(t.Context(), ada.ID, "")) // nothing to do
	if again := w.mails("ada@example.com", mail.Confirm); len(again) != 2 {
		t.Errorf("%d mails", len(again))
	}
}

func TestConfirmationEnds(t *testing.T) {
	w := newMailWorld(t)
	w.signUp("ada")
	token := tokenOf(w.mails("ada@example.com", mail.Confirm)[0].Data["url"])
	w.clock.Add(merchant.ConfirmLife)
	w.code(w.Confirm(t.Context(), token), "token_invalid")
}

func TestMailedInvitationProvesTheAddress(t *testing.T) {
	w := newMailWorld(t)
	ada := w.signUp("ada")
	_, err := w.Invite(t.Context(), merchant.InviteRequest{User: ada.ID, Account: ada.Account, Email: "bob@example.com", Lang: "fr"})
	w.code(err, "email_unconfirmed")
	w.good(w.Confirm(t.Context(), tokenOf(w.mails("ada@example.com", mail.Confirm)[0].Data["url"])))
	invited, err := w.Invite(t.Context(), merchant.InviteRequest{User: ada.ID, Account: ada.Account, Email: "bob@example.com", Lang: "fr"})
	w.good(err)
	sent := w.mails("bob@example.com", mail.Invite)
	if invited.URL != "" || len(sent) != 1 || sent[0].Data["inviter"] != "ada" || sent[0].Lang != "fr" {
		t.Fatalf("%+v %+v", invited, sent)
	}
	up, err := w.SignUp(t.Context(), merchant.SignUpRequest{Username: "bob", Email: "bob@example.com", Password: password,
		Invitation: tokenOf(sent[0].Data["url"])}, nil)
	w.good(err)
	if !up.User.ConfirmedAt.Equal(t0) || len(w.mails("bob@example.com", mail.Confirm)) != 0 {
		t.Errorf("%+v", up.User)
	}
	if a, err := w.GetAccount(t.Context(), ada.Account); err != nil || a.TestOnly {
		t.Errorf("one confirmed user is enough: %+v %v", a, err)
	}
	gone, err := w.Invite(t.Context(), merchant.InviteRequest{User: ada.ID, Account: ada.Account, Email: "c@example.com"})
	w.good(err)
	w.good(w.WithdrawInvitation(t.Context(), ada.Account, gone.ID))
	if sent := w.mails("c@example.com", mail.Invite); len(sent) != 0 {
		t.Errorf("its mail waits on: %+v", sent)
	}
}

func TestPasswordReset(t *testing.T) {
	w := newMailWorld(t)
	ada := w.signUp("ada")
	secret, _ := w.enrolled(ada.ID)
	w.guessed("user:"+ada.ID, 9)
	w.guessed("again:"+ada.ID, 9)
	wait := w.resetting()
	for _, email := range []string{"nobody@example.com", "Ada@Example.com", "ada@example.com"} {
		w.good(w.RequestReset(t.Context(), email, "en"))
	}
	w.code(w.RequestReset(t.Context(), "x", ""), "email_invalid")
	first := tokenOf(wait("ada@example.com", 1).Data["url"]) // one a minute
	w.clock.Add(time.Minute)
	w.good(w.RequestReset(t.Context(), "ada@example.com", ""))
	last := wait("ada@example.com", 2)
	if last.Data["minutes"] != "30" || len(w.mails("nobody@example.com", mail.Reset)) != 0 {
		t.Errorf("%+v", last)
	}
	w.clock.Add(time.Minute)
	in, err := w.try(merchant.SignInRequest{Login: "ada", Password: password, OTP: w.current(secret)})
	w.good(err)
	w.guessed("user:"+ada.ID, 9)
	w.code(w.Reset(t.Context(), first, "another good password", ""), "token_invalid") // the new link voids the old
	token := tokenOf(last.Data["url"])
	w.code(w.Reset(t.Context(), token, "short", ""), "password_too_short")
	w.good(w.Reset(t.Context(), token, "another good password", ""))
	w.code(w.Reset(t.Context(), token, "yet another password", ""), "token_invalid")
	if _, _, err := w.Authenticate(t.Context(), in.Token); !errors.Is(err, merchant.ErrSession) {
		t.Errorf("a session of before: %v", err)
	}
	r := merchant.SignInRequest{Login: "ada", Password: "another good password"}
	_, err = w.try(r)
	w.code(err, "otp_required") // the second factor stays, and no guess of before makes it wait
	w.good(w.EndTOTP(t.Context(), ada.ID, "another good password"))
	if u, _, err := w.Me(t.Context(), ada.ID); err != nil || u.ConfirmedAt.IsZero() {
		t.Errorf("the link was read at the address: %+v %v", u, err)
	}
	if len(w.mails("ada@example.com", mail.PasswordChanged)) != 1 {
		t.Error("the user is not told")
	}
	w.clock.Add(2 * time.Minute)
	w.good(w.RequestReset(t.Context(), "ada@example.com", ""))
	late := tokenOf(wait("ada@example.com", 3).Data["url"])
	w.clock.Add(merchant.ResetLife)
	w.code(w.Reset(t.Context(), late, "yet another password", ""), "token_invalid")
}

// TestResetsAreBounded: a flood of requests is refused with a time to retry, and nothing is
// kept.
func TestResetsAreBounded(t *testing.T) {
	w := newMailWorld(t)
	for range 1000 {
		w.good(w.RequestReset(t.Context(), "a@example.com", ""))
	}
	w.code(w.RequestReset(t.Context(), "a@example.com", ""), "resets_busy")
}
