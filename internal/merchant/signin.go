package merchant

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
)

// Faults of signing in that callers may compare with.
var (
	// ErrOTPRequired means that the password was right and a code is missing.
	ErrOTPRequired error = fault.New(fault.KindUnauthenticated, "otp_required",
		"This user signs in with an authenticator code as well: send it as otp.")
	// ErrOTP does not distinguish a wrong code from one that was used.
	ErrOTP error = fault.New(fault.KindUnauthenticated, "otp_invalid", "The code is wrong or was already used.")
	// ErrProof means that the second step came too late, or after a change of the password.
	ErrProof error = fault.New(fault.KindUnauthenticated, "sign_in_expired", "The sign-in took too long. Start again.")
)

// guardTries bounds how often a change of a guard is repeated after a concurrent change.
const guardTries = 5

// maxLoginBytes bounds a login as it is typed; its normal form is shorter.
const maxLoginBytes = 4 * MaxEmailBytes

// SignIn opens a session. An unknown login and a wrong password get the same answer,
// ErrCredentials, after the same time. A user with an authenticator also needs a code:
// without one the answer is ErrOTPRequired, or a proof for the second step if the request
// asks for it. A code is used up in the commit that opens the session, so of two concurrent
// sign-ins with one code only one succeeds.
func (l *Local) SignIn(ctx context.Context, r SignInRequest, t *idempotency.Ticket) (SignedIn, error) {
	u, err := l.firstFactor(ctx, r)
	if err != nil {
		return SignedIn{}, err
	}

	for range guardTries {
		var guard Guard
		if guard, err = l.access.GuardOf(ctx, u.ID); err != nil {
			return SignedIn{}, err
		}
		c := Change{Forget: guessKey(u)}
		if guard.TOTPOn {
			if strings.TrimSpace(r.OTP) == "" {
				return l.between(u, r)
			}
			if !l.useCode(&guard, r.OTP) {
				return SignedIn{}, l.wrong(ctx, guessKey(u), ErrOTP)
			}
			c.Guard = &guard
		}
		var out SignedIn
		if out, err = l.openSession(ctx, u, r.Client, c, t); !errors.Is(err, ErrChanged) {
			return out, err
		}
	}

	return SignedIn{}, err
}

// firstFactor returns the user whose password was given, or was proved a moment ago. It
// counts a failure, and refuses a try that comes too soon with too_many_attempts.
func (l *Local) firstFactor(ctx context.Context, r SignInRequest) (User, error) {
	if r.Proof != "" {
		return l.proved(ctx, r.Proof)
	}

	if err := issuer.NoNumber("login", r.Login); err != nil {
		return User{}, err // no user has such a login
	}
	login, password := "", r.Password
	var u User
	err := error(fault.NotFound("user"))
	if len(r.Login) <= maxLoginBytes && utf8.ValidString(r.Login) {
		login = LoginKey(r.Login)
		u, err = l.users.UserByLogin(ctx, strings.ToLower(r.Login))
	}
	known, key := err == nil, ""
	if known {
		key = guessKey(u)
	} else {
		if fault.KindOf(err) != fault.KindNotFound {
			return User{}, err
		}
		u.PasswordHash, key = decoyHash, strangerKey(login)
	}

	if err := l.mayGuess(ctx, key); err != nil {
		return User{}, err
	}

	// For an unknown login this compares with decoyHash, so that it takes as long.
	match, old, err := l.hasher.matches(ctx, password, u.PasswordHash)
	if err != nil {
		return User{}, err
	}
	if !match || !known {
		return User{}, l.wrong(ctx, key, ErrCredentials)
	}
	if old {
		l.rehash(ctx, &u, password)
	}

	return u, nil
}

// rehash replaces an old hash, of the password as it was typed, by one of its normal form,
// unless the password was changed meanwhile. If it fails, the old hash stays and the user still
// signs in; the next sign-in tries again.
func (l *Local) rehash(ctx context.Context, u *User, password string) {
	hash, err := l.hasher.hash(ctx, password)
	if err == nil {
		err = l.access.Apply(ctx, Change{At: l.time(), Password: hash, PasswordUser: u.ID, PasswordWas: u.PasswordHash})
	}
	if err == nil {
		var now User
		if now, err = l.users.UserByID(ctx, u.ID); err == nil {
			u.PasswordHash = now.PasswordHash // what the second step of the sign-in refers to
		}
	}

	if err != nil {
		l.log.WarnContext(ctx, "a password's hash could not be updated", "user", u.ID, "error", err)
	}
}

// again checks the password of a signed-in user, for changes that a stolen session must not
// allow. A wrong one is password_wrong, and counts like a failed sign-in.
func (l *Local) again(ctx context.Context, user, password string) (User, error) {
	u, err := l.users.UserByID(ctx, user)
	if err != nil {
		return User{}, err
	}
	if err := l.mayGuess(ctx, guessKey(u)); err != nil {
		return User{}, err
	}

	match, _, err := l.hasher.matches(ctx, password, u.PasswordHash)
	if err != nil {
		return User{}, err
	}
	if !match {
		return User{}, l.wrong(ctx, guessKey(u), fault.Invalid("password", "password_wrong", "The password is wrong."))
	}

	return u, nil
}

// proof states that a user's password was right a moment ago.
type proof struct {
	User     string
	Password []byte // SHA-256 of the hash that it matched
}

// between returns the proof between the two steps of a sign-in, or ErrOTPRequired if the
// caller takes no second step.
func (l *Local) between(u User, r SignInRequest) (SignedIn, error) {
	if !r.TwoSteps {
		return SignedIn{}, ErrOTPRequired
	}
	of := sha256.Sum256([]byte(u.PasswordHash))
	statement, err := l.state(proofType, proof{u.ID, of[:]}, proofLife)
	return SignedIn{Proof: statement}, err
}

// proved returns the user of a proof. It is ErrProof if the proof is invalid or expired, or
// if the password has changed since.
func (l *Local) proved(ctx context.Context, statement string) (User, error) {
	var p proof
	if err := l.readState(proofType, statement, &p); err != nil {
		return User{}, ErrProof
	}
	u, err := l.users.UserByID(ctx, p.User)
	if err != nil {
		return User{}, unknown(err, ErrProof)
	}
	if of := sha256.Sum256([]byte(u.PasswordHash)); string(of[:]) != string(p.Password) {
		return User{}, ErrProof
	}
	return u, l.mayGuess(ctx, guessKey(u))
}

// openSession commits a session together with the rest of c, and returns its token. It
// lasts BrowserLife or SessionLife. Errors are those of Apply: ErrChanged and ErrToken
// among them.
func (l *Local) openSession(ctx context.Context, u User, client Client, c Change, t *idempotency.Ticket) (SignedIn, error) {
	now := l.time()
	life := SessionLife
	if client.Browser {
		life = BrowserLife
	}
	s := Session{ID: id.New(id.Session), User: u.ID, Account: u.Account, CreatedAt: now, ExpiresAt: now.Truncate(time.Second).Add(life),
		Browser: client.Browser, Agent: agentOf(client), Network: network(client.Address), LastSeenAt: now}
	token, err := l.token(s, now)
	if err != nil {
		return SignedIn{}, err
	}

	out := SignedIn{Token: token, Session: s}
	if c.Record, err = t.Fill(out, now); err != nil {
		return SignedIn{}, err
	}

	c.At, c.Session = now, &s
	if err := l.access.Apply(ctx, c); err != nil {
		return SignedIn{}, err
	}

	return out, nil
}

// amend changes the user's guard, and what else belongs to the commit. It repeats the
// change if another request changed the guard in the meantime, so change may be called
// several times and must have no effect of its own. An error of change ends it and stores
// nothing.
func (l *Local) amend(ctx context.Context, user string, change func(*Guard) (Change, error)) error {
	var err error
	for range guardTries {
		var guard Guard
		if guard, err = l.access.GuardOf(ctx, user); err != nil {
			return err
		}
		var c Change
		if c, err = change(&guard); err != nil {
			return err
		}
		c.At, c.Guard = l.time(), &guard
		if err = l.access.Apply(ctx, c); !errors.Is(err, ErrChanged) {
			return err
		}
	}

	return err
}

// agentOf returns how the client calls itself, for the list of sessions.
func agentOf(c Client) string {
	if issuer.HasNumber(c.Agent) {
		return ""
	}
	return printable(c.Agent, maxAgentBytes)
}

// printable returns at most n bytes of text that can be shown in one line. It drops control
// characters and invalid UTF-8.
func printable(s string, n int) string {
	s = strings.Map(func(c rune) rune {
		if unprintable(c) {
			return -1
		}
		return c
	}, strings.ToValidUTF8(s, ""))
	if len(s) > n {
		s = strings.ToValidUTF8(s[:n], "")
	}
	return s
}

// How much of an address is kept: enough to recognize a place, not a household.
const (
	networkBits4 = 24
	networkBits6 = 48
)

// network returns the network of an address; "" for an invalid one.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}

	a = a.Unmap().WithZone("")
	bits := networkBits6
	if a.Is4() {
		bits = networkBits4
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}

	return p.String()
}

// state returns a signed statement to ourselves that a browser carries: of one type, for a
// short time. It is signed and not encrypted.
func (l *Local) state(kind string, v any, life time.Duration) (string, error) {
	data, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	now := l.time()
	return l.signed(kind, stateAudience, claims{Data: data}, now, now.Add(life))
}

// readState reads a statement of that type into v. It fails if the statement is expired, of
// another type, or not ours.
func (l *Local) readState(kind, statement string, v any) error {
	if len(statement) > maxStateBytes {
		return errSessionKey
	}
	c, err := l.parse(kind, stateAudience, statement)
	if err != nil {
		return err
	}
	return json.Unmarshal(c.Data, v)
}
