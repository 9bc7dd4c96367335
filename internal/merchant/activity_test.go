package merchant_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/merchant"
)

// activity returns the kinds of what was done in an account, newest first.
func (w *world) activity(account string) (kinds []string) {
	w.t.Helper()
	found, err := w.store.Activity(w.t.Context(), account, activity.Filter{}, 100)
	w.good(err)
	for _, e := range found {
		kinds = append(kinds, e.Kind)
	}
	return kinds
}

// TestActivity: each change of an account and of a sign-in says who made it, in its commit.
func TestActivity(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	in := w.signIn("ada", merchant.Client{Address: "192.0.2.7"})
	ctx := activity.With(t.Context(), activity.Actor{Kind: activity.User, ID: ada.ID, Session: in.Session.ID, Network: "192.0.2.0/24",
		Agent: "Firefox", Request: "req_1"})
	var key merchant.NewKey
	var secret string
	for _, c := range []struct {
		kind string
		do   func() error
	}{
		{activity.KeyCreated, func() (err error) {
			key, err = w.CreateKey(ctx, merchant.CreateKeyRequest{Account: ada.Account, Name: "till", Mode: merchant.Test,
				Scopes: []string{"links:read"}}, nil)
			return err
		}},
		{activity.KeyRotated, func() error { _, err := w.RotateKey(ctx, ada.Account, key.Key.ID, 0, nil); return err }},
		{activity.KeyRevoked, func() error { _, err := w.RevokeKey(ctx, ada.Account, key.Key.ID); return err }},
		{"", func() error { _, err := w.RevokeKey(ctx, ada.Account, key.Key.ID); return err }}, // it is revoked
		{activity.MethodsChanged, func() error {
			_, err := w.SetMethods(ctx, ada.Account, []merchant.MethodInput{{Type: "card", Issuer: "simulator", Currencies: []string{"EUR"}}}, nil)
			return err
		}},
		{activity.TimeZoneChanged, func() error { _, err := w.SetTimeZone(ctx, ada.Account, "Europe/Berlin"); return err }},
		{activity.Invited, func() error {
			_, err := w.Invite(ctx, merchant.InviteRequest{User: ada.ID, Account: ada.Account, Email: "bob@example.com"})
			return err
		}},
		{activity.Uninvited, func() error {
			open, err := w.Invitations(ctx, ada.Account)
			w.good(err)
			return w.WithdrawInvitation(ctx, ada.Account, open[0].ID)
		}},
		{"", func() error {
			offer, err := w.BeginTOTP(ctx, ada.ID, password)
			secret = offer.Secret
			return err
		}},
		{activity.SecondFactorAdded, func() error { _, err := w.ConfirmTOTP(ctx, ada.ID, w.current(secret)); return err }},
		{activity.RecoveryCodesRenewed, func() error { _, err := w.RenewRecovery(ctx, ada.ID, password); return err }},
		{activity.SecondFactorRemoved, func() error { return w.EndTOTP(ctx, ada.ID, password) }},
		{activity.PasswordChanged, func() error {
			return w.ChangePassword(ctx, ada.ID, in.Session.ID, password, "a quite different battery", "en")
		}},
		{activity.SessionsEnded, func() error { return w.EndSessions(ctx, ada.ID, in.Session.ID) }},
		{activity.Exported, func() error { return w.Exported(ctx, ada.Account, "payments") }},
		{activity.SignedOut, func() error { return w.SignOut(ctx, in.Session.ID) }},
	} {
		before := w.activity(ada.Account)
		w.clock.Add(time.Minute)
		if err := c.do(); err != nil {
			t.Fatalf("%s: %v", c.kind, err)
		}
		want := before
		if c.kind != "" {
			want = append([]string{c.kind}, before...)
		}
		if got := w.activity(ada.Account); !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", c.kind, got, want)
		}
	}
	found, err := w.Activity(t.Context(), ada.Account, activity.Filter{By: ada.ID}, 100)
	w.good(err)
	for _, e := range found {
		switch {
		case e.Kind == activity.SignedUp || e.Kind == activity.SignedIn:
		case e.Actor.Session != in.Session.ID || e.Actor.Network != "192.0.2.0/24" || e.Actor.Agent != "Firefox" || e.Actor.Request != "req_1":
			t.Errorf("%s by %+v", e.Kind, e.Actor)
		}
	}
	if len(found) != len(w.activity(ada.Account)) {
		t.Errorf("%d of %d entries are ada's", len(found), len(w.activity(ada.Account)))
	}
	_, err = w.Activity(t.Context(), ada.Account, activity.Filter{Kind: "nonsense"}, 1)
	w.code(err, "value_invalid")
	_, err = w.Activity(t.Context(), ada.Account, activity.Filter{Before: "nonsense"}, 1)
	w.code(err, "cursor_invalid")
}

// TestActivityOfRefusedSignIns: a flood of wrong passwords is one entry, and an unknown login is
// written down nowhere.
func TestActivityOfRefusedSignIns(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	try := func(login, given string) {
		t.Helper()
		ctx := activity.With(context.Background(), activity.Actor{Kind: activity.User, Network: "192.0.2.0/24"})
		if _, err := w.SignIn(ctx, merchant.SignInRequest{Login: login, Password: given}, nil); err == nil {
			t.Fatal("signed in")
		}
	}
	for range 4 {
		try("ada", "not her password")
		try("my secret password", "typed into the wrong field")
	}
	failed := func(account string) activity.Event {
		t.Helper()
		found, err := w.store.Activity(t.Context(), account, activity.Filter{Kind: activity.SignInFailed}, 10)
		w.good(err)
		if len(found) != 1 || found[0].Count != 4 || found[0].Outcome != activity.Failed || found[0].Details["reason"] != "credentials_invalid" {
			t.Fatalf("%+v", found)
		}
		return found[0]
	}
	if e := failed(ada.Account); e.Actor.ID != ada.ID || e.Target != ada.ID || e.Actor.Network != "192.0.2.0/24" {
		t.Errorf("%+v", e)
	}
	if e := failed(""); e.Actor.ID != "" || e.Target != "" {
		t.Errorf("an unknown login: %+v", e)
	}

	// A lockout is noted once a minute, however many try.
	for range 10 {
		try("ada", "not her password")
	}
	found, err := w.store.Activity(t.Context(), ada.Account, activity.Filter{Kind: activity.SignInFailed}, 10)
	w.good(err)
	counts := map[string]int64{}
	for _, e := range found {
		counts[e.Details["reason"]] += e.Count
	}
	if counts["credentials_invalid"] != 5 || counts["too_many_attempts"] != 1 || len(counts) != 2 {
		t.Errorf("%v", counts)
	}
}
