package merchant

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/spelling"
)

// A passkey is a discoverable credential that checks its user (a finger, a PIN): it is both
// factors at once, so it needs no password and no code. It needs no attestation either: the
// maker of the device does not matter to us.

const maxAnswerBytes = 16 << 10 // of an authenticator

var (
	// ErrPasskey does not say what is wrong with an authenticator's answer.
	ErrPasskey error = fault.New(fault.KindUnauthenticated, "passkey_invalid",
		"The passkey is unknown, or the sign-in timed out. Try again, or sign in with your password.")

	errNoPasskeys = fault.New(fault.KindConflict, "passkeys_unavailable", "Passkeys require a public URL with a host name.")
)

// relyingParty returns what passkeys are bound to: the host of the public URL. It returns nil
// for an IP address, which can't be one.
func relyingParty(public string) *webauthn.WebAuthn {
	u, err := url.Parse(public)
	if err != nil || u.Hostname() == "" {
		return nil
	}
	if _, err := netip.ParseAddr(u.Hostname()); err == nil {
		return nil
	}

	w, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: "paylink", RPOrigins: []string{u.Scheme + "://" + u.Host},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{
			ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired,
		},
	})
	if err != nil {
		return nil
	}

	return w
}

// holder is a user as the library sees it. The handle that a device keeps is the user's id,
// which reveals nothing.
type holder struct {
	user  User
	creds []webauthn.Credential
}

// WebAuthnID returns the handle that the device keeps.
func (h holder) WebAuthnID() []byte                         { return []byte(h.user.ID) }
func (h holder) WebAuthnName() string                       { return h.user.Email }
func (h holder) WebAuthnDisplayName() string                { return h.user.Username }
func (h holder) WebAuthnCredentials() []webauthn.Credential { return h.creds }

// newHolder returns the user with the credentials of the guard. It fails if a stored
// credential cannot be decoded.
func newHolder(u User, g Guard) (holder, error) {
	h := holder{user: u}
	for _, p := range g.Passkeys {
		var c webauthn.Credential
		if err := json.Unmarshal(p.Credential, &c); err != nil {
			return h, err
		}
		h.creds = append(h.creds, c)
	}
	return h, nil
}

// holder reads a user with the passkeys.
func (l *Local) holder(ctx context.Context, user string) (holder, error) {
	u, err := l.users.UserByID(ctx, user)
	if err != nil {
		return holder{}, err
	}
	g, err := l.access.GuardOf(ctx, user)
	if err != nil {
		return holder{}, err
	}
	return newHolder(u, g)
}

// passkeyID returns a credential's id as text.
func passkeyID(id []byte) string { return base64.RawURLEncoding.EncodeToString(id) }

// BeginPasskey asks the browser for a new passkey. It needs the password again. It fails
// with passkeys_unavailable, or with passkey_limit if the user has MaxPasskeys. It stores
// nothing: the state that the browser returns is signed and lasts challengeLife.
func (l *Local) BeginPasskey(ctx context.Context, user, password string) (Ceremony, error) {
	if l.passkeys == nil {
		return Ceremony{}, errNoPasskeys
	}
	if _, err := l.again(ctx, user, password); err != nil {
		return Ceremony{}, err
	}

	h, err := l.holder(ctx, user)
	if err != nil {
		return Ceremony{}, err
	}
	if len(h.creds) >= MaxPasskeys {
		return Ceremony{}, tooManyPasskeys()
	}

	known := make([]protocol.CredentialDescriptor, 0, len(h.creds))
	for _, c := range h.creds {
		known = append(known, c.Descriptor())
	}
	options, session, err := l.passkeys.BeginRegistration(h, webauthn.WithExclusions(known))
	if err != nil {
		return Ceremony{}, err
	}

	return l.ceremony(registerType, options.Response, session)
}

// tooManyPasskeys returns the fault of a user who has MaxPasskeys.
func tooManyPasskeys() error {
	return fault.New(fault.KindConflict, "passkey_limit", "A user can have at most %d passkeys. Remove one first.", MaxPasskeys)
}

// ceremony returns the options for the browser and the signed session that its answer must
// bring back.
func (l *Local) ceremony(kind string, options any, session *webauthn.SessionData) (Ceremony, error) {
	raw, err := json.Marshal(options)
	if err != nil {
		return Ceremony{}, err
	}
	state, err := l.state(kind, session, challengeLife)
	return Ceremony{Options: raw, State: state}, err
}

// AddPasskey checks the browser's answer and stores the passkey. Every failure of the
// answer itself is ErrPasskey. It refuses the same answer a second time, because the
// challenge is spent in the same commit.
func (l *Local) AddPasskey(ctx context.Context, user, name, state string, answer []byte) (Passkey, error) {
	name, err := passkeyName(name)
	if err != nil {
		return Passkey{}, err
	}

	var session webauthn.SessionData
	if l.passkeys == nil || len(answer) > maxAnswerBytes || l.readState(registerType, state, &session) != nil ||
		string(session.UserID) != user {
		return Passkey{}, ErrPasskey
	}

	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return Passkey{}, ErrPasskey
	}

	h, err := l.holder(ctx, user)
	if err != nil {
		return Passkey{}, err
	}

	credential, err := l.passkeys.CreateCredential(h, session, parsed)
	if err != nil {
		return Passkey{}, ErrPasskey
	}

	raw, err := json.Marshal(credential)
	if err != nil {
		return Passkey{}, err
	}

	// The limit and the uniqueness are checked on the guard that is written, so two
	// concurrent additions cannot pass both.
	made := Passkey{ID: passkeyID(credential.ID), Name: name, Credential: raw, CreatedAt: l.time()}
	ctx = l.didUser(ctx, h.user, activity.SecondFactorAdded, map[string]string{"factor": "passkey", "name": name})
	err = l.amend(ctx, user, func(g *Guard) (Change, error) {
		if len(g.Passkeys) >= MaxPasskeys {
			return Change{}, tooManyPasskeys()
		}
		if slices.ContainsFunc(g.Passkeys, func(p Passkey) bool { return p.ID == made.ID }) {
			return Change{}, ErrPasskey
		}
		g.Passkeys = append(slices.Clone(g.Passkeys), made)
		return Change{Spend: l.challenge(user, session)}, nil
	})
	if errors.Is(err, ErrToken) {
		err = ErrPasskey
	}
	if err != nil {
		return Passkey{}, err
	}

	made.Credential = nil
	return made, nil
}

// challenge returns the token of an answered challenge. It is kept longer than a challenge
// lives, so an answer cannot be replayed.
func (l *Local) challenge(user string, session webauthn.SessionData) *Token {
	now := l.time()
	sum := sha256.Sum256([]byte(session.Challenge))
	return &Token{Kind: KindChallenge, Hash: sum[:], User: user, CreatedAt: now, UsedAt: now, ExpiresAt: now.Add(2 * challengeLife)}
}

// passkeyName returns a name in its stored spelling, or the fault of its rule.
func passkeyName(name string) (string, error) {
	name = spelling.Name(name)
	switch {
	case name == "":
		return "", fault.Invalid("name", "name_missing", "name is required.")
	case utf8.RuneCountInString(name) > MaxNameChars:
		return "", fault.Invalid("name", "too_long", "name must be at most %d characters.", MaxNameChars)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unprintable):
		return "", fault.Invalid("name", "invalid_characters", "name must contain printable characters only.")
	}
	return name, issuer.NoNumber("name", name)
}

// RenamePasskey changes a passkey's name.
func (l *Local) RenamePasskey(ctx context.Context, user, passkey, name string) error {
	name, err := passkeyName(name)
	if err != nil {
		return err
	}

	return l.amend(ctx, user, func(g *Guard) (Change, error) {
		at := slices.IndexFunc(g.Passkeys, func(p Passkey) bool { return p.ID == passkey })
		if at < 0 {
			return Change{}, fault.NotFound("passkey")
		}
		g.Passkeys = slices.Clone(g.Passkeys)
		g.Passkeys[at].Name = name
		return Change{}, nil
	})
}

// RemovePasskey ends a passkey at once. Sessions that it opened stay.
func (l *Local) RemovePasskey(ctx context.Context, user, passkey string) error {
	u, err := l.users.UserByID(ctx, user)
	if err != nil {
		return err
	}
	ctx = l.didUser(ctx, u, activity.SecondFactorRemoved, map[string]string{"factor": "passkey"})
	return l.amend(ctx, user, func(g *Guard) (Change, error) {
		at := slices.IndexFunc(g.Passkeys, func(p Passkey) bool { return p.ID == passkey })
		if at < 0 {
			return Change{}, fault.NotFound("passkey")
		}
		g.Passkeys = slices.Delete(slices.Clone(g.Passkeys), at, at+1)
		return Change{}, nil
	})
}

// BeginPasskeySignIn asks the browser for any passkey of ours. It names no user, so it
// reveals none.
func (l *Local) BeginPasskeySignIn(context.Context) (Ceremony, error) {
	if l.passkeys == nil {
		return Ceremony{}, errNoPasskeys
	}
	options, session, err := l.passkeys.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return Ceremony{}, err
	}
	return l.ceremony(passkeyType, options.Response, session)
}

// SignInPasskey opens a session for the user whose passkey answered. A counter that went
// back means that the passkey was copied, and is refused. Every failure of the answer is
// ErrPasskey. If the guard was changed concurrently, it validates the answer again.
func (l *Local) SignInPasskey(ctx context.Context, state string, answer []byte, client Client) (SignedIn, error) {
	var session webauthn.SessionData
	if l.passkeys == nil || len(answer) > maxAnswerBytes || l.readState(passkeyType, state, &session) != nil {
		return SignedIn{}, ErrPasskey
	}

	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return SignedIn{}, ErrPasskey
	}

	for range guardTries {
		var out SignedIn
		if out, err = l.signInPasskey(ctx, session, parsed, client); !errors.Is(err, ErrChanged) {
			return out, err
		}
	}

	return SignedIn{}, err
}

// signInPasskey validates the answer against the passkeys of the user that it names, and
// commits the session together with the passkey's new counter and the spent challenge.
func (l *Local) signInPasskey(ctx context.Context, session webauthn.SessionData, parsed *protocol.ParsedCredentialAssertionData,
	client Client) (SignedIn, error) {
	var user User
	var guard Guard
	var failed error // of the store, which is not a wrong answer
	_, credential, err := l.passkeys.ValidatePasskeyLogin(func(_, handle []byte) (webauthn.User, error) {
		var err error
		if user, err = l.users.UserByID(ctx, string(handle)); err == nil {
			guard, err = l.access.GuardOf(ctx, user.ID)
		}
		if err != nil {
			if fault.KindOf(err) != fault.KindNotFound {
				failed = err
			}
			return nil, err
		}
		return newHolder(user, guard)
	}, session, parsed)
	switch {
	case failed != nil:
		return SignedIn{}, failed
	case err != nil || credential.Authenticator.CloneWarning || !credential.Flags.UserVerified:
		return SignedIn{}, ErrPasskey
	}
	raw, err := json.Marshal(credential)
	if err != nil {
		return SignedIn{}, err
	}
	guard.Passkeys = slices.Clone(guard.Passkeys)
	for i, p := range guard.Passkeys {
		if p.ID == passkeyID(credential.ID) {
			guard.Passkeys[i].Credential, guard.Passkeys[i].LastUsedAt = raw, l.time()
		}
	}
	out, err := l.openSession(ctx, user, client, Change{Guard: &guard, Spend: l.challenge(user.ID, session)}, nil)
	if errors.Is(err, ErrToken) {
		err = ErrPasskey
	}
	return out, err
}
