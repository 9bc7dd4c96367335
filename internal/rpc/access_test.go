package rpc_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/pquerna/otp/totp"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/merchant"
)

const accountPassword = "correct horse battery"

func TestAccessService(t *testing.T) { both(t, accessSuite) }

func accessSuite(t *testing.T, b serviceSet) {
	ctx, users := t.Context(), b.users
	policy, err := users.Policy(ctx)
	good(t, err)
	if policy != (merchant.Policy{SignUp: merchant.Open, Passkeys: true}) {
		t.Errorf("policy %+v", policy)
	}
	up := b.account(t)
	sessionsSuite(t, b, up.User)
	codesSuite(t, b, up.User)
	passkeysSuite(t, b, up.User)
	invitationsSuite(t, b, up)
	for what, err := range map[string]error{"a reset": users.RequestReset(ctx, "ada@example.com", "de"),
		"a confirmation": users.SendConfirmation(ctx, up.User.ID, "de")} {
		if !errors.Is(err, mail.Unavailable()) {
			t.Errorf("%s without mail: %v", what, err)
		}
	}
	if err := users.Confirm(ctx, "nonsense"); !errors.Is(err, merchant.ErrToken) {
		t.Errorf("confirming by nonsense: %v", err)
	}
	if err := users.Reset(ctx, "nonsense", "another good password", ""); !errors.Is(err, merchant.ErrToken) {
		t.Errorf("resetting by nonsense: %v", err)
	}
}

func sessionsSuite(t *testing.T, b serviceSet, u merchant.User) {
	ctx, users := t.Context(), b.users
	open := func() merchant.SignedIn {
		t.Helper()
		in, err := users.SignIn(ctx, merchant.SignInRequest{Login: "ada", Password: accountPassword,
			Client: merchant.Client{Browser: true, Agent: "Firefox", Address: "192.0.2.7"}}, nil)
		good(t, err)
		return in
	}
	one, two, three := open(), open(), open()
	list, err := users.Sessions(ctx, u.ID)
	good(t, err)
	if len(list) != 3 || list[2].ID != one.Session.ID || list[0].Agent != "Firefox" || list[0].Network != "192.0.2.0/24" || !list[0].Browser {
		t.Errorf("sessions %+v", list)
	}
	if err := users.EndSession(ctx, id.New(id.User), one.Session.ID); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("another's session: %v", err)
	}
	good(t, users.EndSession(ctx, u.ID, two.Session.ID))
	is(t, users.ChangePassword(ctx, u.ID, one.Session.ID, "wrong", accountPassword, ""), fault.KindInvalid, "password_wrong", "password")
	good(t, users.ChangePassword(ctx, u.ID, one.Session.ID, accountPassword, accountPassword, ""))
	for what, c := range map[string]struct {
		token string
		there bool
	}{"kept": {one.Token, true}, "ended": {two.Token, false}, "of before the new password": {three.Token, false}} {
		if _, _, err := users.Authenticate(ctx, c.token); (err == nil) != c.there {
			t.Errorf("a session that is %s: %v", what, err)
		}
	}
	good(t, users.EndSessions(ctx, u.ID, ""))
	if _, _, err := users.Authenticate(ctx, one.Token); !errors.Is(err, merchant.ErrSession) {
		t.Errorf("ended with all: %v", err)
	}
}

func codesSuite(t *testing.T, b serviceSet, u merchant.User) {
	ctx, users := t.Context(), b.users
	offer, err := users.BeginTOTP(ctx, u.ID, accountPassword)
	good(t, err)
	code, err := totp.GenerateCode(offer.Secret, time.Now())
	good(t, err)
	recovery, err := users.ConfirmTOTP(ctx, u.ID, code)
	good(t, err)
	_, err = users.SignIn(ctx, merchant.SignInRequest{Login: "ada", Password: accountPassword}, nil)
	if !errors.Is(err, merchant.ErrOTPRequired) {
		t.Errorf("without a code: %v", err)
	}
	first, err := users.SignIn(ctx, merchant.SignInRequest{Login: "ada", Password: accountPassword, TwoSteps: true}, nil)
	good(t, err)
	second := merchant.SignInRequest{Proof: first.Proof, OTP: recovery[0], TwoSteps: true}
	if in, err := users.SignIn(ctx, second, nil); err != nil || in.Token == "" {
		t.Errorf("the second step: %+v %v", in, err)
	}
	if _, err := users.SignIn(ctx, second, nil); !errors.Is(err, merchant.ErrOTP) {
		t.Errorf("a code used twice: %v", err)
	}
	s, err := users.Security(ctx, u.ID)
	good(t, err)
	if s.RecoveryLeft != 9 || s.TOTPSince.IsZero() {
		t.Errorf("security %+v", s)
	}
	fresh, err := users.RenewRecovery(ctx, u.ID, accountPassword)
	if err != nil || len(fresh) != 10 {
		t.Errorf("recovery codes %v, %v", fresh, err)
	}
	good(t, users.EndTOTP(ctx, u.ID, accountPassword))
	if _, err := users.SignIn(ctx, merchant.SignInRequest{Login: "ada", Password: accountPassword}, nil); err != nil {
		t.Errorf("with codes off: %v", err)
	}
}

func invitationsSuite(t *testing.T, b serviceSet, up merchant.SignedUp) {
	ctx, users := t.Context(), b.users
	made, err := users.Invite(ctx, merchant.InviteRequest{User: up.User.ID, Account: up.Account.ID, Email: "bob@example.com"})
	good(t, err)
	token := made.URL[len(public+"/dashboard/sign-up?invitation="):]
	shown, err := users.Invitation(ctx, token)
	if err != nil || shown.Email != "bob@example.com" || shown.Payee != "ada" {
		t.Errorf("invitation %+v, %v", shown, err)
	}
	open, err := users.Invitations(ctx, up.Account.ID)
	if err != nil || len(open) != 1 || open[0].ID != made.ID {
		t.Errorf("invitations %+v, %v", open, err)
	}
	joined, err := users.SignUp(
		ctx,
		merchant.SignUpRequest{Username: "bob", Email: "bob@example.com", Password: accountPassword, Invitation: token},
		nil,
	)
	if err != nil || joined.User.Account != up.Account.ID {
		t.Errorf("joined %+v, %v", joined, err)
	}
	people, err := users.Users(ctx, up.Account.ID)
	if err != nil || len(people) != 2 || people[0].Username != "ada" {
		t.Errorf("users %+v, %v", people, err)
	}
	gone, err := users.Invite(ctx, merchant.InviteRequest{User: up.User.ID, Account: up.Account.ID, Email: "c@example.com"})
	good(t, err)
	good(t, users.WithdrawInvitation(ctx, up.Account.ID, gone.ID))
	if err := users.WithdrawInvitation(ctx, up.Account.ID, gone.ID); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("withdrawn twice: %v", err)
	}
}

// device is an authenticator with one passkey, written by hand: it answers as a real one does,
// without a browser. e2e/pages tests the browser's own.
type device struct {
	t       *testing.T
	key     *ecdsa.PrivateKey
	id      []byte
	user    []byte // the user handle that it received
	counter uint32
}

var encode64 = base64.RawURLEncoding.EncodeToString

func (d *device) clientData(kind, challenge string) []byte {
	d.t.Helper()
	raw, err := json.Marshal(map[string]any{"type": kind, "challenge": challenge, "origin": public, "crossOrigin": false})
	good(d.t, err)
	return raw
}

// Flags of an answer: user present, user verified, attested credential data.
const present, verified, attested = 1, 4, 64

func (d *device) data(flags byte) []byte {
	host := sha256.Sum256([]byte("pay.example"))
	return binary.BigEndian.AppendUint32(append(host[:], flags), d.counter)
}

// make answers the options of a registration.
func (d *device) make(options json.RawMessage) []byte {
	d.t.Helper()
	var o struct {
		Challenge string
		User      struct{ ID string }
	}
	good(d.t, json.Unmarshal(options, &o))
	var err error
	d.user, err = base64.RawURLEncoding.DecodeString(o.User.ID)
	good(d.t, err)
	d.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	good(d.t, err)
	d.id = make([]byte, 16)
	_, _ = rand.Read(d.id)
	point, err := d.key.PublicKey.Bytes()
	good(d.t, err)
	cose, err := cbor.Marshal(map[int]any{1: 2, 3: -7, -1: 1, -2: point[1:33], -3: point[33:]})
	good(d.t, err)
	data := append(d.data(present|verified|attested), make([]byte, 16)...) // no device model
	data = binary.BigEndian.AppendUint16(data, uint16(len(d.id)))
	data = append(append(data, d.id...), cose...)
	object, err := cbor.Marshal(map[string]any{"fmt": "none", "attStmt": map[string]any{}, "authData": data})
	good(d.t, err)
	return d.answer(
		map[string]any{"clientDataJSON": encode64(d.clientData("webauthn.create", o.Challenge)), "attestationObject": encode64(object)},
	)
}

// sign answers the options of a sign-in.
func (d *device) sign(options json.RawMessage, flags byte) []byte {
	d.t.Helper()
	var o struct{ Challenge string }
	good(d.t, json.Unmarshal(options, &o))
	d.counter++
	client, data := d.clientData("webauthn.get", o.Challenge), d.data(flags)
	of := sha256.Sum256(client)
	digest := sha256.Sum256(append(bytes.Clone(data), of[:]...))
	signature, err := ecdsa.SignASN1(rand.Reader, d.key, digest[:])
	good(d.t, err)
	return d.answer(
		map[string]any{
			"clientDataJSON":    encode64(client),
			"authenticatorData": encode64(data),
			"signature":         encode64(signature),
			"userHandle":        encode64(d.user),
		},
	)
}

func (d *device) answer(response map[string]any) []byte {
	d.t.Helper()
	raw, err := json.Marshal(
		map[string]any{
			"id":                     encode64(d.id),
			"rawId":                  encode64(d.id),
			"type":                   "public-key",
			"response":               response,
			"clientExtensionResults": map[string]any{},
		},
	)
	good(d.t, err)
	return raw
}

func passkeysSuite(t *testing.T, b serviceSet, u merchant.User) {
	ctx, users := t.Context(), b.users
	_, err := users.BeginPasskey(ctx, u.ID, "wrong")
	is(t, err, fault.KindInvalid, "password_wrong", "password")
	d := &device{t: t}
	begun, err := users.BeginPasskey(ctx, u.ID, accountPassword)
	good(t, err)
	answer := d.make(begun.Options)
	if _, err := users.AddPasskey(ctx, id.New(id.User), "laptop", begun.State, answer); !errors.Is(err, merchant.ErrPasskey) {
		t.Errorf("a passkey for another user: %v", err)
	}
	made, err := users.AddPasskey(ctx, u.ID, "laptop", begun.State, answer)
	good(t, err)
	if _, err := users.AddPasskey(ctx, u.ID, "laptop", begun.State, answer); !errors.Is(err, merchant.ErrPasskey) {
		t.Errorf("the same answer twice: %v", err)
	}
	open := func(flags byte) (merchant.Ceremony, []byte) {
		t.Helper()
		c, err := users.BeginPasskeySignIn(ctx)
		good(t, err)
		return c, d.sign(c.Options, flags)
	}
	c, signed := open(present | verified)
	in, err := users.SignInPasskey(ctx, c.State, signed, merchant.Client{Browser: true, Agent: "Firefox"})
	good(t, err)
	if s, _, err := users.Authenticate(ctx, in.Token); err != nil || s.User != u.ID || !s.Browser {
		t.Errorf("signed in as %+v, %v", s, err)
	}
	refused := func(what, state string, answer []byte) {
		t.Helper()
		if _, err := users.SignInPasskey(ctx, state, answer, merchant.Client{}); !errors.Is(err, merchant.ErrPasskey) {
			t.Errorf("%s: %v", what, err)
		}
	}
	refused("an answer used twice", c.State, signed)
	other, _ := open(present | verified)
	refused("an answer to another challenge", other.State, signed)
	refused("a state of a registration", begun.State, signed)
	c, signed = open(present)
	refused("a user who was not checked", c.State, signed)
	c, signed = open(present | verified)
	refused("an altered answer", c.State, bytes.Replace(signed, []byte(`"signature":"M`), []byte(`"signature":"N`), 1))
	d.counter = 0
	c, signed = open(present | verified)
	refused("a counter that went back", c.State, signed)
	d.counter = 100
	good(t, users.RenamePasskey(ctx, u.ID, made.ID, "work laptop"))
	s, err := users.Security(ctx, u.ID)
	if err != nil || len(s.Passkeys) != 1 || s.Passkeys[0].Name != "work laptop" || s.Passkeys[0].LastUsedAt.IsZero() ||
		s.Passkeys[0].Credential != nil {
		t.Errorf("security %+v, %v", s, err)
	}
	good(t, users.RemovePasskey(ctx, u.ID, made.ID))
	c, signed = open(present | verified)
	refused("a passkey that was removed", c.State, signed)
}
