package merchant

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/spelling"
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
// sign-ins with one code only one succeeds. Every try is a guess, and a try that comes too soon is
// too_many_attempts.
func (l *Local) SignIn(ctx context.Context, r SignInRequest, t *idempotency.Ticket) (out SignedIn, err error) {
	c, err := l.claimed(ctx, r)
	if err != nil {
		return SignedIn{}, err
	}
	err = l.guess(ctx, c.key, func() (v verdict, err error) {
		out, v, err = l.check(ctx, c, r, t)
		return v, err
	})
	if err != nil {
		l.refused(ctx, c, err)
	}
	return out, err
}

// claim is a sign-in before anything secret in it is compared.
type claim struct {
	user  User
	known bool   // somebody has the login
	proof string // the id of the first step's proof; "" if the password is given
	key   string // under which the guess is counted
	share share  // in the queue for a hash
}

// claimed returns whom the request claims to be: the user of the login, or of a proof. A login
// that nobody has gets decoyHash, so that the comparison takes as long.
func (l *Local) claimed(ctx context.Context, r SignInRequest) (claim, error) {
	if r.Proof != "" {
		u, proof, err := l.proved(ctx, r.Proof)
		if err != nil {
			return claim{}, err
		}
		return l.identified(claim{user: u, known: true, proof: proof}, r.Client), nil
	}

	if err := issuer.NoNumber("login", r.Login); err != nil {
		return claim{}, err // no user has such a login
	}
	login := ""
	var u User
	err := error(fault.NotFound("user"))
	if len(r.Login) <= maxLoginBytes && utf8.ValidString(r.Login) {
		login = LoginKey(r.Login)
		u, err = l.users.UserByLogin(ctx, strings.ToLower(r.Login))
	}
	switch {
	case err == nil:
		return l.identified(claim{user: u, known: true}, r.Client), nil
	case fault.KindOf(err) != fault.KindNotFound:
		return claim{}, err
	}

	return claim{user: User{PasswordHash: decoyHash}, key: strangerKey(login), share: stranger(r.Address)}, nil
}

// identified fills in where a user's guess is counted and queued: with the device if it is known,
// and otherwise with everybody who tries to be the user.
func (l *Local) identified(c claim, client Client) claim {
	c.key, c.share = guessKey(c.user.ID), stranger(client.Address)
	if known := l.knownDevice(c.user, client.Device); known != "" {
		c.key = "device:" + known
		c.share = familiar(c.key)
	}
	return c
}

// check compares what the request gives, as one counted guess, and opens the session.
func (l *Local) check(ctx context.Context, c claim, r SignInRequest, t *idempotency.Ticket) (SignedIn, verdict, error) {
	change := Change{Forget: []string{c.key}}
	// The password may have changed while the guess waited for its turn.
	now, err := l.users.UserByID(ctx, c.user.ID)
	if c.known {
		if err != nil {
			return SignedIn{}, spared, err
		}
		if c.proof != "" && now.PasswordHash != c.user.PasswordHash {
			return SignedIn{}, spared, ErrProof
		}
		c.user = now
	}

	if c.proof != "" {
		if err := l.countCode(ctx, c, r); err != nil {
			return SignedIn{}, spared, err
		}
	} else {
		match, old, err := l.hasher.matches(ctx, c.share, r.Password, c.user.PasswordHash)
		if err != nil {
			return SignedIn{}, spared, err
		}
		if !match || !c.known {
			return SignedIn{}, wrong, ErrCredentials
		}
		if old {
			l.renew(ctx, c, r.Password, &change)
		}
	}

	for range guardTries {
		var guard Guard
		if guard, err = l.access.GuardOf(ctx, c.user.ID); err != nil {
			return SignedIn{}, spared, err
		}
		if guard.TOTPOn {
			if strings.TrimSpace(r.OTP) == "" {
				out, err := l.between(ctx, c.user, r, change)
				return out, spared, err
			}
			if !l.useCode(&guard, r.OTP) {
				return SignedIn{}, wrong, ErrOTP
			}
			change.Guard = &guard
		}
		var out SignedIn
		if out, err = l.openSession(ctx, c.user, r.Client, change, t); err == nil {
			return out, stored, nil
		}
		if !errors.Is(err, ErrChanged) {
			break
		}
	}

	return SignedIn{}, spared, err
}

// countCode counts a code against its proof, before it is compared. It fails with
// too_many_attempts after codesPerProof: the sign-in must start again.
func (l *Local) countCode(ctx context.Context, c claim, r SignInRequest) error {
	if strings.TrimSpace(r.OTP) == "" {
		return nil
	}
	_, _, err := l.count(ctx, "proof:"+c.proof, l.time(), fewCodes)
	return err
}

// renew adds to the change a hash of the password in its normal form, to replace one of the
// password as it was typed, unless the password is changed meanwhile. If it fails, the old hash
// stays and the user still signs in; the next sign-in tries again.
func (l *Local) renew(ctx context.Context, c claim, password string, change *Change) {
	hash, err := l.hasher.hash(ctx, c.share, password)
	if err != nil {
		l.log.WarnContext(ctx, "a password's hash could not be updated", "user", c.user.ID, "error", err)
		return
	}
	change.Password, change.PasswordUser, change.PasswordWas = hash, c.user.ID, c.user.PasswordHash
}

// again checks the password of a signed-in user, for changes that a stolen session must not
// allow. A wrong one is password_wrong, and counts as a guess.
func (l *Local) again(ctx context.Context, user, password string) (User, error) {
	u, err := l.users.UserByID(ctx, user)
	if err != nil {
		return User{}, err
	}

	err = l.guess(ctx, againKey(user), func() (verdict, error) {
		match, _, err := l.hasher.matches(ctx, familiar(user), password, u.PasswordHash)
		switch {
		case err != nil:
			return spared, err
		case !match:
			return wrong, fault.Invalid("password", "password_wrong", "The password is wrong.")
		}
		return right, nil
	})
	if err != nil {
		return User{}, err
	}

	return u, nil
}

// proof states that a user's password was right a moment ago.
type proof struct {
	ID       string // under which the codes of the second step are counted
	User     string
	Password []byte // the passwordMark of the hash that it matched
}

// between returns the proof between the two steps of a sign-in, or ErrOTPRequired if the
// caller takes no second step. It commits a renewed hash, if the change has one. A second step
// without a code gets its own proof back, so that a proof never begets another.
func (l *Local) between(ctx context.Context, u User, r SignInRequest, change Change) (SignedIn, error) {
	if change.Password != "" {
		if err := l.access.Apply(ctx, Change{At: l.time(), Password: change.Password, PasswordUser: u.ID,
			PasswordWas: change.PasswordWas}); err != nil {
			l.log.WarnContext(ctx, "a password's hash could not be updated", "user", u.ID, "error", err)
		} else if now, err := l.users.UserByID(ctx, u.ID); err == nil {
			u.PasswordHash = now.PasswordHash // another request may have been faster
		}
	}

	switch {
	case !r.TwoSteps:
		return SignedIn{}, ErrOTPRequired
	case r.Proof != "":
		return SignedIn{Proof: r.Proof}, nil
	}
	statement, err := l.state(proofType, proof{rand.Text(), u.ID, passwordMark(u.PasswordHash)}, proofLife)
	return SignedIn{Proof: statement}, err
}

// proved returns the user of a proof, and the proof's id. It is ErrProof if the proof is invalid or
// expired, or if the password has changed since.
func (l *Local) proved(ctx context.Context, statement string) (User, string, error) {
	var p proof
	if err := l.readState(proofType, statement, &p); err != nil || p.ID == "" {
		return User{}, "", ErrProof
	}
	u, err := l.users.UserByID(ctx, p.User)
	if err != nil {
		return User{}, "", unknown(err, ErrProof)
	}
	if !bytes.Equal(p.Password, passwordMark(u.PasswordHash)) {
		return User{}, "", ErrProof
	}
	return u, p.ID, nil
}

// openSession commits a session together with the rest of c, and returns its token. It
// lasts BrowserLife or SessionLife. A browser also gets a statement that makes it a known device.
// Errors are those of Apply: ErrChanged and ErrToken
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
	if client.Browser {
		if c.Password != "" {
			u.PasswordHash = c.Password
		}
		if out.Device, err = l.remember(u, client.Device); err != nil {
			return SignedIn{}, err
		}
	}
	if c.Record, err = t.Fill(out, now); err != nil {
		return SignedIn{}, err
	}

	c.At, c.Session = now, &s
	how := "password"
	switch {
	case c.Spend != nil:
		how = "passkey"
	case c.Guard != nil:
		how = "password and code"
	}
	ctx = l.did(as(ctx, u.ID, s.ID), s.Account, activity.SignedIn, s.ID, map[string]string{"with": how})
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

// network returns the network of an address: enough to recognize a place, not a household; "" for an
// invalid one.
func network(address string) string {
	a, err := netip.ParseAddr(address)
	if err != nil {
		return ""
	}
	return spelling.Network(a)
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
