package merchant_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
)

const (
	password = "correct horse battery"
	public   = "https://pay.example"
)

var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a Local on a real store, with a clock that a test moves.
type world struct {
	*merchant.Local
	t      *testing.T
	store  *sqlstore.Store
	ring   *keyring.Ring
	clock  *storetest.Clock
	config merchant.Config
}

func newWorld(t *testing.T, change func(*merchant.Config)) *world {
	t.Helper()
	return newWorldOn(t, sqltest.File(t), change)
}

// newWorldOn is newWorld on the store at the URL.
func newWorldOn(t *testing.T, url string, change func(*merchant.Config)) *world {
	t.Helper()
	store := sqltest.Open(t, url)
	w := &world{t: t, store: store, ring: keyring.NewMemory(t0), clock: storetest.NewClock(t0)}
	w.config = merchant.Config{Users: store, Keys: store, Sessions: store, Access: store, Activity: store,
		Ring: w.ring, PublicURL: public, Now: w.clock.Now,
		Connectors: []merchant.Connector{{Name: "simulator", Capabilities: issuer.Capabilities{Types: []string{"card"},
			Currencies: []money.Currency{"EUR"}, Test: true}},
			{Name: "bank", Capabilities: issuer.Capabilities{Types: []string{"card"}, Currencies: []money.Currency{"EUR"}}}}}
	if change != nil {
		change(&w.config)
	}
	w.Local = merchant.New(w.config)
	return w
}

// guessed stores wrong guesses, the last one now.
func (w *world) guessed(key string, n int) {
	w.t.Helper()
	was, err := w.store.GuessesOf(w.t.Context(), key)
	w.good(err)
	w.good(w.store.PutGuesses(w.t.Context(), key, was, merchant.Guesses{Failures: n, At: w.clock.Now()}))
}

// failures returns how many guesses are counted.
func (w *world) failures(key string) int {
	w.t.Helper()
	g, err := w.store.GuessesOf(w.t.Context(), key)
	w.good(err)
	return g.Failures
}

func (w *world) signUp(name string) merchant.User {
	w.t.Helper()
	up, err := w.SignUp(w.t.Context(), merchant.SignUpRequest{Username: name, Email: name + "@example.com", Password: password}, nil)
	w.good(err)
	return up.User
}

func (w *world) good(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) code(err error, code string) {
	w.t.Helper()
	if err == nil || fault.Code(err) != code {
		w.t.Errorf("%v, want %s", err, code)
	}
}

func (w *world) try(r merchant.SignInRequest) (merchant.SignedIn, error) {
	return w.SignIn(w.t.Context(), r, nil)
}

func (w *world) signIn(login string, c merchant.Client) merchant.SignedIn {
	w.t.Helper()
	in, err := w.try(merchant.SignInRequest{Login: login, Password: password, Client: c})
	w.good(err)
	return in
}

// current returns the code that an authenticator shows.
func (w *world) current(secret string) string {
	w.t.Helper()
	code, err := totp.GenerateCode(secret, w.clock.Now())
	w.good(err)
	return code
}

// enrolled turns codes on for a user, and waits until the used step is over.
func (w *world) enrolled(user string) (secret string, recovery []string) {
	w.t.Helper()
	offer, err := w.BeginTOTP(w.t.Context(), user, password)
	w.good(err)
	recovery, err = w.ConfirmTOTP(w.t.Context(), user, w.current(offer.Secret))
	w.good(err)
	w.clock.Add(30 * time.Second)
	return offer.Secret, recovery
}

func TestSignUpModes(t *testing.T) {
	for mode, code := range map[string]string{merchant.Closed: "signup_closed", merchant.ByInvitation: "signup_by_invitation",
		merchant.Open: ""} {
		w := newWorld(t, func(c *merchant.Config) { c.SignUp = mode })
		_, err := w.SignUp(t.Context(), merchant.SignUpRequest{Username: "ada", Email: "ada@example.com", Password: password}, nil)
		if fault.Code(err) != code || (code != "" && fault.KindOf(err) != fault.KindForbidden) {
			t.Errorf("%s: %v", mode, err)
		}
		if p, err := w.Policy(t.Context()); err != nil || p != (merchant.Policy{SignUp: mode, Passkeys: true}) {
			t.Errorf("%s: %+v %v", mode, p, err)
		}
	}
}

// tokenOf returns the token in one of our links.
func tokenOf(url string) string { return url[strings.LastIndex(url, "=")+1:] }

func TestInvitationOfAnOperator(t *testing.T) {
	w := newWorld(t, func(c *merchant.Config) { c.SignUp = merchant.ByInvitation })
	invited, err := w.InviteMerchant(t.Context(), "Ada@Example.com", "")
	w.good(err)
	if !strings.HasPrefix(invited.URL, public+"/dashboard/sign-up?invitation=") || invited.Email != "ada@example.com" {
		t.Fatalf("%+v", invited)
	}
	token := tokenOf(invited.URL)
	shown, err := w.Invitation(t.Context(), token)
	if err != nil || shown.Email != "ada@example.com" || shown.Payee != "" || shown.URL != "" {
		t.Errorf("%+v %v", shown, err)
	}
	r := merchant.SignUpRequest{Username: "ada", Email: "eve@example.com", Password: password, Invitation: token}
	_, err = w.SignUp(t.Context(), r, nil)
	w.code(err, "invitation_address")
	r.Email, r.Invitation = "ada@example.com", token[1:]+"A"
	_, err = w.SignUp(t.Context(), r, nil)
	w.code(err, "token_invalid")
	r.Invitation = token
	up, err := w.SignUp(t.Context(), r, nil)
	w.good(err)
	if up.Account.Name != "ada" || !up.User.ConfirmedAt.IsZero() { // a link that was shown proves no address
		t.Errorf("%+v", up)
	}
	r.Username, r.Email = "bob", "ada@example.com"
	_, err = w.SignUp(t.Context(), r, nil)
	w.code(err, "token_invalid") // used
	_, err = w.InviteMerchant(t.Context(), "ada@example.com", "")
	w.code(err, "already_signed_up")
	late, err := w.InviteMerchant(t.Context(), "late@example.com", "")
	w.good(err)
	w.clock.Add(merchant.InviteLife)
	_, err = w.Invitation(t.Context(), tokenOf(late.URL))
	w.code(err, "token_invalid")
}

func TestInvitationOfAUserJoinsTheAccount(t *testing.T) {
	w := newWorld(t, nil)
	ada, eve := w.signUp("ada"), w.signUp("eve")
	_, err := w.Invite(t.Context(), merchant.InviteRequest{User: eve.ID, Account: ada.Account, Email: "bob@example.com"})
	w.code(err, "not_found")
	_, err = w.Invite(t.Context(), merchant.InviteRequest{User: ada.ID, Account: ada.Account, Email: "Bob <bob@example.com>"})
	w.code(err, "email_invalid")
	invited, err := w.Invite(t.Context(), merchant.InviteRequest{User: ada.ID, Account: ada.Account, Email: "bob@example.com"})
	w.good(err)
	open, err := w.Invitations(t.Context(), ada.Account)
	if err != nil || len(open) != 1 || open[0].ID != invited.ID || open[0].URL != "" {
		t.Errorf("%+v %v", open, err)
	}
	if shown, err := w.Invitation(t.Context(), tokenOf(invited.URL)); err != nil || shown.Payee != "ada" {
		t.Errorf("%+v %v", shown, err)
	}
	up, err := w.SignUp(t.Context(), merchant.SignUpRequest{Username: "bob", Email: "bob@example.com", Password: password,
		Invitation: tokenOf(invited.URL)}, nil)
	w.good(err)
	if up.User.Account != ada.Account || up.Account.Name != "ada" {
		t.Errorf("%+v", up)
	}
	in := w.signIn("bob", merchant.Client{})
	if s, _, err := w.Authenticate(t.Context(), in.Token); err != nil || s.Account != ada.Account {
		t.Errorf("%+v %v", s, err)
	}
	users, err := w.Users(t.Context(), ada.Account)
	if err != nil || len(users) != 2 || users[1].Username != "bob" {
		t.Errorf("%+v %v", users, err)
	}
	gone, err := w.Invite(t.Context(), merchant.InviteRequest{User: ada.ID, Account: ada.Account, Email: "c@example.com"})
	w.good(err)
	w.code(w.WithdrawInvitation(t.Context(), eve.Account, gone.ID), "not_found")
	w.good(w.WithdrawInvitation(t.Context(), ada.Account, gone.ID))
	_, err = w.Invitation(t.Context(), tokenOf(gone.URL))
	w.code(err, "token_invalid")
}

func TestInvitationsAreBounded(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	for i := range merchant.MaxInvitations + 1 {
		_, err := w.Invite(t.Context(), merchant.InviteRequest{User: ada.ID, Account: ada.Account, Email: fmt.Sprintf("u%d@example.com", i)})
		if i < merchant.MaxInvitations {
			w.good(err)
		} else {
			w.code(err, "invitation_limit")
		}
	}
}

func TestTOTP(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	_, err := w.BeginTOTP(t.Context(), ada.ID, "wrong")
	w.code(err, "password_wrong")
	offer, err := w.BeginTOTP(t.Context(), ada.ID, password)
	w.good(err)
	if !strings.HasPrefix(offer.URL, "otpauth://totp/paylink:ada@example.com?secret="+offer.Secret) {
		t.Errorf("%+v", offer)
	}
	w.signIn("ada", merchant.Client{}) // not confirmed: nothing is asked for
	eve := w.signUp("eve")
	_, err = w.ConfirmTOTP(t.Context(), eve.ID, "000000")
	w.code(err, "totp_off")
	_, err = w.ConfirmTOTP(t.Context(), ada.ID, "000000")
	w.code(err, "otp_invalid")
	w.clock.Add(time.Minute)
	code := w.current(offer.Secret)
	recovery, err := w.ConfirmTOTP(t.Context(), ada.ID, code[:3]+" "+code[3:])
	w.good(err)
	if len(recovery) != 10 || len(recovery[0]) != len("xxxx-xxxx-xxxx-xxxx") {
		t.Errorf("%v", recovery)
	}
	_, err = w.BeginTOTP(t.Context(), ada.ID, password)
	w.code(err, "totp_on")
	_, err = w.ConfirmTOTP(t.Context(), ada.ID, code)
	w.code(err, "totp_on")

	r := merchant.SignInRequest{Login: "ada", Password: password}
	_, err = w.try(r)
	w.code(err, "otp_required")
	r.OTP = code // used to confirm
	_, err = w.try(r)
	w.code(err, "otp_invalid")
	for _, skew := range []time.Duration{-30 * time.Second, 0, 30 * time.Second} { // a step each way
		w.clock.Add(10 * time.Minute)
		if r.OTP, err = totp.GenerateCode(offer.Secret, w.clock.Now().Add(skew)); err != nil {
			t.Fatal(err)
		}
		_, err = w.try(r)
		w.good(err)
		_, err = w.try(r)
		w.code(err, "otp_invalid")
	}
	for _, skew := range []time.Duration{-60 * time.Second, 60 * time.Second} {
		w.clock.Add(10 * time.Minute)
		if r.OTP, err = totp.GenerateCode(offer.Secret, w.clock.Now().Add(skew)); err != nil {
			t.Fatal(err)
		}
		_, err = w.try(r)
		w.code(err, "otp_invalid")
	}
	w.code(w.EndTOTP(t.Context(), ada.ID, "wrong"), "password_wrong")
	w.clock.Add(time.Hour)
	w.good(w.EndTOTP(t.Context(), ada.ID, password))
	w.signIn("ada", merchant.Client{})
	s, err := w.Security(t.Context(), ada.ID)
	if err != nil || !s.TOTPSince.IsZero() || s.RecoveryLeft != 0 {
		t.Errorf("%+v %v", s, err)
	}
}

// TestTOTPSealedByAnEarlierVersion: a secret under store-seal still works, and RunReseal moves it
// under totp-seal. One that nobody can open stays as it is.
func TestTOTPSealedByAnEarlierVersion(t *testing.T) {
	w := newWorld(t, nil)
	ada, eve := w.signUp("ada"), w.signUp("eve")
	secret, _ := w.enrolled(ada.ID)
	about := []byte("totp\x00" + ada.ID)
	put := func(user string, sealed []byte) {
		g, err := w.store.GuardOf(t.Context(), user)
		w.good(err)
		g.SealedTOTP = sealed
		w.good(w.store.Apply(t.Context(), merchant.Change{At: w.clock.Now(), Guard: &g}))
	}
	sealed := func(user string) []byte {
		g, err := w.store.GuardOf(t.Context(), user)
		w.good(err)
		return g.SealedTOTP
	}
	put(ada.ID, w.ring.Seal(keyring.StoreSeal, []byte(secret), about))
	broken := w.ring.Seal(keyring.StoreSeal, []byte(secret), about) // of another user
	put(eve.ID, broken)

	signIn := func() {
		t.Helper()
		w.clock.Add(time.Minute) // another code
		_, err := w.SignIn(t.Context(), merchant.SignInRequest{Login: "ada", Password: password, OTP: w.current(secret)}, nil)
		w.good(err)
	}
	signIn()
	for range 2 { // once more changes nothing
		w.good(w.RunReseal(t.Context()))
		signIn()
		if plain, err := w.ring.Unseal(keyring.TOTPSeal, sealed(ada.ID), about); err != nil || string(plain) != secret {
			t.Errorf("the secret is %q under totp-seal, %v", plain, err)
		}
		if _, err := w.ring.Unseal(keyring.StoreSeal, sealed(ada.ID), about); err == nil {
			t.Error("store-seal still opens the secret")
		}
		if !bytes.Equal(sealed(eve.ID), broken) {
			t.Error("a secret that cannot be opened was changed")
		}
	}
}

// TestTOTPCodeIsUsedOnce: of many sign-ins with one code at once, one succeeds.
func TestTOTPCodeIsUsedOnce(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	secret, _ := w.enrolled(ada.ID)
	r := merchant.SignInRequest{Login: "ada", Password: password, OTP: w.current(secret)}
	var wg sync.WaitGroup
	var won atomic.Int64
	for range 4 {
		wg.Go(func() {
			if _, err := w.try(r); err == nil {
				won.Add(1)
			} else if !errors.Is(err, merchant.ErrOTP) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 {
		t.Errorf("one code opened %d sessions", won.Load())
	}
}

func TestRecoveryCodes(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	_, codes := w.enrolled(ada.ID)
	r := merchant.SignInRequest{Login: "ada", Password: password, OTP: strings.ToUpper(codes[3])}
	_, err := w.try(r)
	w.good(err)
	_, err = w.try(r)
	w.code(err, "otp_invalid")
	if s, err := w.Security(t.Context(), ada.ID); err != nil || s.RecoveryLeft != 9 || s.TOTPSince.IsZero() {
		t.Errorf("%+v %v", s, err)
	}
	fresh, err := w.RenewRecovery(t.Context(), ada.ID, password)
	w.good(err)
	r.OTP = codes[0]
	_, err = w.try(r)
	w.code(err, "otp_invalid")
	r.OTP = fresh[0]
	_, err = w.try(r)
	w.good(err)
	g, err := w.store.GuardOf(t.Context(), ada.ID)
	w.good(err)
	for _, h := range g.Recovery {
		if len(h) != 32 {
			t.Errorf("a recovery code is not kept as a hash: %q", h)
		}
	}
	eve := w.signUp("eve")
	_, err = w.RenewRecovery(t.Context(), eve.ID, password)
	w.code(err, "totp_off")
}

func TestSignInInTwoSteps(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	secret, _ := w.enrolled(ada.ID)
	first := func() string {
		t.Helper()
		in, err := w.try(merchant.SignInRequest{Login: "ada", Password: password, TwoSteps: true})
		w.good(err)
		if in.Token != "" || in.Proof == "" {
			t.Fatalf("%+v", in)
		}
		return in.Proof
	}
	proof := first()
	if _, _, err := w.Authenticate(t.Context(), proof); !errors.Is(err, merchant.ErrSession) {
		t.Errorf("a proof is no session: %v", err)
	}
	_, err := w.try(merchant.SignInRequest{Proof: proof, OTP: "123456", TwoSteps: true})
	w.code(err, "otp_invalid")
	in, err := w.try(merchant.SignInRequest{Proof: proof, OTP: w.current(secret), TwoSteps: true, Client: merchant.Client{Browser: true}})
	w.good(err)
	if _, _, err := w.Authenticate(t.Context(), in.Token); err != nil {
		t.Error(err)
	}
	for what, broken := range map[string]string{"a session": in.Token, "nothing": "x", "altered": proof[:len(proof)-4] + "AAAA"} {
		if _, err := w.try(merchant.SignInRequest{Proof: broken, OTP: "123456"}); !errors.Is(err, merchant.ErrProof) {
			t.Errorf("%s: %v", what, err)
		}
	}
	proof = first()
	w.clock.Add(6 * time.Minute)
	_, err = w.try(merchant.SignInRequest{Proof: proof, OTP: w.current(secret)})
	w.code(err, "sign_in_expired")
	proof = first()
	w.good(w.ChangePassword(t.Context(), ada.ID, "", password, "another good password", ""))
	_, err = w.try(merchant.SignInRequest{Proof: proof, OTP: w.current(secret)})
	w.code(err, "sign_in_expired")
}

func TestGuessingIsBounded(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	for _, login := range []string{"ada", "nobody"} { // an unknown login gets the same answer
		for i := range 5 {
			_, err := w.try(merchant.SignInRequest{Login: login, Password: "wrong horse battery"})
			if !errors.Is(err, merchant.ErrCredentials) {
				t.Fatalf("%s %d: %v", login, i, err)
			}
		}
		_, err := w.try(merchant.SignInRequest{Login: login, Password: password})
		w.code(err, "too_many_attempts")
		if f := fault.From(err); f.RetryAfter < time.Second || f.RetryAfter > 2*time.Second || f.Kind != fault.KindRateLimited {
			t.Errorf("%+v", f)
		}
	}
	_, err := w.try(merchant.SignInRequest{Login: "ada@example.com", Password: password})
	w.code(err, "too_many_attempts") // by user, whichever login
	w.clock.Add(2 * time.Second)
	_, err = w.try(merchant.SignInRequest{Login: "ada", Password: "wrong horse battery"})
	w.code(err, "credentials_invalid")
	w.clock.Add(time.Second)
	_, err = w.try(merchant.SignInRequest{Login: "ada", Password: password})
	w.code(err, "too_many_attempts") // twice as long
	w.clock.Add(time.Second)
	w.signIn("ada", merchant.Client{})
	if n := w.failures("user:" + ada.ID); n != 0 {
		t.Errorf("%d failures after a success", n)
	}
	w.guessed("user:"+ada.ID, 30) // and never longer than a quarter of an hour
	w.clock.Add(15*time.Minute - time.Second)
	_, err = w.try(merchant.SignInRequest{Login: "ada", Password: password})
	w.code(err, "too_many_attempts")
	w.clock.Add(time.Second)
	w.signIn("ada", merchant.Client{})
}

func TestBrowserSessionEndsByIdleness(t *testing.T) {
	w := newWorld(t, nil)
	w.signUp("ada")
	in := w.signIn("ada", merchant.Client{Browser: true, Agent: "Fire\x00fox\n" + strings.Repeat("ü", 300), Address: "192.0.2.77"})
	if in.Session.Network != "192.0.2.0/24" || !strings.HasPrefix(in.Session.Agent, "Fireforü"[:4]) || len(in.Session.Agent) > 200 ||
		strings.Contains(in.Session.Agent, "\n") {
		t.Errorf("%+v", in.Session)
	}
	here := func(want bool) {
		t.Helper()
		if _, _, err := w.Authenticate(t.Context(), in.Token); (err == nil) != want {
			t.Errorf("at %v: %v", w.clock.Now().Sub(t0), err)
		}
	}
	for range 11 { // used every hour but a minute: alive, until the absolute end
		w.clock.Add(merchant.BrowserIdle - time.Minute)
		here(true)
	}
	list, err := w.Sessions(t.Context(), in.Session.User)
	if err != nil || len(list) != 1 || !list[0].LastSeenAt.Equal(w.clock.Now()) {
		t.Errorf("%+v %v", list, err)
	}
	w.clock.Add(merchant.BrowserIdle - time.Minute)
	here(true)
	w.clock.Add(12 * time.Minute) // twelve hours
	here(false)
	in = w.signIn("ada", merchant.Client{Browser: true, Address: "2001:db8:1:2::3"})
	if in.Session.Network != "2001:db8:1::/48" {
		t.Error(in.Session.Network)
	}
	w.clock.Add(merchant.BrowserIdle)
	here(false)
	if list, err := w.Sessions(t.Context(), in.Session.User); err != nil || len(list) != 0 {
		t.Errorf("%+v %v", list, err)
	}
}

func TestSessionsAreListedAndEnded(t *testing.T) {
	w := newWorld(t, nil)
	ada, eve := w.signUp("ada"), w.signUp("eve")
	one, two, three := w.signIn("ada", merchant.Client{Browser: true}), w.signIn("ada", merchant.Client{}), w.signIn("ada", merchant.Client{})
	list, err := w.Sessions(t.Context(), ada.ID)
	if err != nil || len(list) != 3 || list[0].ID != three.Session.ID {
		t.Errorf("%+v %v", list, err)
	}
	w.code(w.EndSession(t.Context(), eve.ID, two.Session.ID), "not_found")
	w.good(w.EndSession(t.Context(), ada.ID, two.Session.ID))
	_, _, err = w.Authenticate(t.Context(), two.Token)
	w.code(err, "session_invalid")
	w.good(w.EndSessions(t.Context(), ada.ID, one.Session.ID))
	_, _, err = w.Authenticate(t.Context(), three.Token)
	w.code(err, "session_invalid")
	_, _, err = w.Authenticate(t.Context(), one.Token)
	w.good(err)
	w.good(w.EndSessions(t.Context(), ada.ID, ""))
	_, _, err = w.Authenticate(t.Context(), one.Token)
	w.code(err, "session_invalid")
}

func TestPasswordChange(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	here, there := w.signIn("ada", merchant.Client{Browser: true}), w.signIn("ada", merchant.Client{})
	err := w.ChangePassword(t.Context(), ada.ID, here.Session.ID, password, "short", "")
	if f := fault.From(err); f.Code != "password_too_short" || f.Param != "newPassword" {
		t.Errorf("%+v", f)
	}
	w.code(w.ChangePassword(t.Context(), ada.ID, here.Session.ID, "wrong", "another good password", ""), "password_wrong")
	w.good(w.ChangePassword(t.Context(), ada.ID, here.Session.ID, password, "another good password", ""))
	_, _, err = w.Authenticate(t.Context(), here.Token)
	w.good(err)
	_, _, err = w.Authenticate(t.Context(), there.Token)
	w.code(err, "session_invalid")
	_, err = w.try(merchant.SignInRequest{Login: "ada", Password: password})
	w.code(err, "credentials_invalid")
	_, err = w.try(merchant.SignInRequest{Login: "ada", Password: "another good password"})
	w.good(err)
}

func TestWithoutMailNothingIsMailed(t *testing.T) {
	w := newWorld(t, nil)
	ada := w.signUp("ada")
	w.code(w.RequestReset(t.Context(), "ada@example.com", ""), "mail_unavailable")
	w.code(w.SendConfirmation(t.Context(), ada.ID, ""), "mail_unavailable")
	w.code(w.Confirm(t.Context(), "x"), "token_invalid")
	w.code(w.Reset(t.Context(), "x", "another good password", ""), "token_invalid")
	_, err := w.CreateKey(t.Context(), merchant.CreateKeyRequest{Account: ada.Account, Name: "live", Mode: merchant.Live,
		Scopes: []string{"links:write"}}, nil)
	w.good(err) // nobody could confirm
}
