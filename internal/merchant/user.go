package merchant

import (
	"context"
	"errors"
	"net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/keyring"
)

// Faults that callers may compare with.
var (
	// ErrTaken does not tell which of the two, nor whose.
	ErrTaken error = fault.New(fault.KindConflict, "account_exists", "The username or email is taken.")
	// ErrChanged is a lost race of two writers; the same call may be repeated.
	ErrChanged error = fault.New(fault.KindConflict, "changed_meanwhile", "This was changed by someone else meanwhile. Read it again.")
	// ErrCredentials does not tell an unknown login from a wrong password.
	ErrCredentials error = fault.New(fault.KindUnauthenticated, "credentials_invalid", "The login or the password is wrong.")
	// ErrSession is the answer to every token that is not a session of ours.
	ErrSession error = fault.New(fault.KindUnauthenticated, "session_invalid", "The session is unknown, expired or signed out. Sign in again.")
)

const (
	sessionType     = "paylink-session+jwt"
	sessionAudience = "paylink-api"
	maxBearerBytes  = 2048
	clockSkew       = 5 * time.Second // between instances
)

// SignUp makes a user with an account of its own, which takes payments from the
// simulator in test mode.
func (l *Local) SignUp(ctx context.Context, r SignUpRequest, t *idempotency.Ticket) (SignedUp, error) {
	now := l.time()
	u, err := r.user(now)
	if err != nil {
		return SignedUp{}, err
	}
	// Hashed before the store is asked, so that a taken name takes as long.
	if u.PasswordHash, err = l.hasher.hash(ctx, r.Password); err != nil {
		return SignedUp{}, err
	}
	a := Account{ID: u.Account, Name: u.Username, Methods: l.defaults(u.Account), Revision: 1, CreatedAt: now}
	out := SignedUp{User: u, Account: a}
	record, err := t.Fill(out, now)
	if err != nil {
		return SignedUp{}, err
	}
	if err := l.users.CreateUser(ctx, u, a, record); err != nil {
		return SignedUp{}, err
	}
	return out, nil
}

func (r SignUpRequest) user(now time.Time) (User, error) {
	u := User{ID: id.New(id.User), Account: id.New(id.Account), Username: strings.ToLower(r.Username), Date: now, CreatedAt: now}
	odd := func(c rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", c) }
	if len(u.Username) < MinUsernameBytes || len(u.Username) > MaxUsernameBytes || strings.ContainsFunc(u.Username, odd) {
		return u, fault.Invalid("username", "username_invalid", "A username has %d to %d of the characters a-z, 0-9, dot, underscore and hyphen.", MinUsernameBytes, MaxUsernameBytes)
	}
	at, err := mail.ParseAddress(r.Email)
	// The address alone: ParseAddress also takes a name and comments.
	if err != nil || at.Address != r.Email || len(r.Email) > MaxEmailBytes || strings.ContainsFunc(r.Email, unprintable) {
		return u, fault.Invalid("email", "email_invalid", "An email is a bare address of at most %d bytes, such as a@example.com.", MaxEmailBytes)
	}
	u.Email = strings.ToLower(r.Email)
	if r.Date != "" {
		d, err := time.Parse(time.DateOnly, r.Date)
		if err != nil {
			d, err = time.Parse(time.RFC3339Nano, r.Date)
		}
		if d = d.UTC(); err != nil || d.Year() < 1900 || d.Year() > 9999 {
			return u, fault.Invalid("date", "date_invalid", "A date is YYYY-MM-DD or RFC 3339, from 1900 on.")
		}
		u.Date = d.Truncate(time.Millisecond)
	}
	switch {
	case !utf8.ValidString(r.Password):
		return u, fault.Invalid("password", "invalid_characters", "A password is text in UTF-8.")
	case utf8.RuneCountInString(r.Password) < MinPasswordChars:
		return u, fault.Invalid("password", "password_too_short", "A password has at least %d characters.", MinPasswordChars)
	case len(r.Password) > MaxPasswordBytes:
		return u, fault.Invalid("password", "too_long", "A password has at most %d bytes.", MaxPasswordBytes)
	}
	return u, nil
}

func unprintable(c rune) bool { return !unicode.IsPrint(c) }

// claims of a session's token.
type claims struct {
	jwt.RegisteredClaims
	Account string `json:"acct"`
}

// SignIn opens a session. An unknown login and a wrong password have one answer
// and take one time.
func (l *Local) SignIn(ctx context.Context, login, password string, t *idempotency.Ticket) (SignedIn, error) {
	if len(password) > MaxPasswordBytes {
		password = "" // no password of ours; compared all the same
	}
	var u User
	err := error(fault.NotFound("user"))
	if len(login) <= MaxEmailBytes && utf8.ValidString(login) {
		u, err = l.users.UserByLogin(ctx, strings.ToLower(login))
	}
	known := err == nil
	if !known {
		if fault.KindOf(err) != fault.KindNotFound {
			return SignedIn{}, err
		}
		u.PasswordHash = decoyHash
	}
	match, err := l.hasher.matches(ctx, password, u.PasswordHash)
	if err != nil {
		return SignedIn{}, err
	}
	if !match || !known {
		return SignedIn{}, ErrCredentials
	}
	now := l.time()
	s := Session{ID: id.New(id.Session), User: u.ID, Account: u.Account, CreatedAt: now, ExpiresAt: now.Truncate(time.Second).Add(SessionLife)}
	token, err := l.token(s, now)
	if err != nil {
		return SignedIn{}, err
	}
	out := SignedIn{Token: token, Session: s}
	record, err := t.Fill(out, now)
	if err != nil {
		return SignedIn{}, err
	}
	if err := l.sessions.CreateSession(ctx, s, record); err != nil {
		return SignedIn{}, err
	}
	return out, nil
}

func (l *Local) token(s Session, now time.Time) (string, error) {
	signer := l.ring.Signer(keyring.SessionSign)
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, claims{
		RegisteredClaims: jwt.RegisteredClaims{
			Issuer: l.public, Audience: jwt.ClaimStrings{sessionAudience}, Subject: s.User, ID: s.ID,
			IssuedAt: jwt.NewNumericDate(now), NotBefore: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(s.ExpiresAt),
		},
		Account: s.Account,
	})
	t.Header["typ"], t.Header["kid"] = sessionType, keyring.FormatKeyID(signer.KeyID())
	return t.SignedString(signer)
}

var errSessionKey = errors.New("not signed by a session key of ours")

// sessionKey picks the key by the header. The parser has refused every
// algorithm but EdDSA before; a key of another purpose is none.
func (l *Local) sessionKey(t *jwt.Token) (any, error) {
	kid, _ := t.Header["kid"].(string)
	n, ok := keyring.ParseKeyID(kid)
	if typ, _ := t.Header["typ"].(string); typ != sessionType || !ok {
		return nil, errSessionKey
	}
	key, ok := l.ring.PublicKey(keyring.SessionSign, n)
	if !ok {
		return nil, errSessionKey
	}
	return key, nil
}

// Authenticate accepts a token that is signed by us for us, in its time, whose
// session is not signed out. The answer to all else is ErrSession.
func (l *Local) Authenticate(ctx context.Context, bearer string) (Session, User, error) {
	if len(bearer) > maxBearerBytes {
		return Session{}, User{}, ErrSession
	}
	var c claims
	_, err := jwt.ParseWithClaims(bearer, &c, l.sessionKey,
		jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(l.public),
		jwt.WithAudience(sessionAudience), jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(),
		jwt.WithIssuedAt(), jwt.WithTimeFunc(l.now), jwt.WithStrictDecoding(), jwt.WithLeeway(clockSkew))
	if err != nil || !id.Valid(id.Session, c.ID) {
		return Session{}, User{}, ErrSession
	}
	s, err := l.sessions.SessionByID(ctx, c.ID)
	if err != nil {
		return Session{}, User{}, unknown(err, ErrSession)
	}
	if s.User != c.Subject || s.Account != c.Account || !s.RevokedAt.IsZero() || !l.now().Before(s.ExpiresAt) {
		return Session{}, User{}, ErrSession
	}
	u, err := l.users.UserByID(ctx, s.User)
	if err != nil {
		return Session{}, User{}, unknown(err, ErrSession)
	}
	return s, u, nil
}

// unknown gives answer for what is not found, and passes on what failed.
func unknown(err, answer error) error {
	if fault.KindOf(err) == fault.KindNotFound {
		return answer
	}
	return err
}

// SignOut ends a session at once, on every instance.
func (l *Local) SignOut(ctx context.Context, session string) error {
	return l.sessions.RevokeSession(ctx, session, l.time())
}

// Me reads the user and its account.
func (l *Local) Me(ctx context.Context, user string) (User, Account, error) {
	u, err := l.users.UserByID(ctx, user)
	if err != nil {
		return User{}, Account{}, err
	}
	a, err := l.users.GetAccount(ctx, u.Account)
	return u, a, err
}

// GetAccount reads an account.
func (l *Local) GetAccount(ctx context.Context, account string) (Account, error) {
	return l.users.GetAccount(ctx, account)
}

// defaults are the methods of a new account: every connector for test mode.
func (l *Local) defaults(account string) []Method {
	var out []Method
	for _, c := range l.connectors {
		if !c.Capabilities.Test {
			continue
		}
		for _, kind := range c.Capabilities.Types {
			out = append(out, Method{
				ID: methodID(account, kind, c.Name), Type: kind, Issuer: c.Name,
				Currencies: slices.Clone(c.Capabilities.Currencies), Enabled: true,
			})
		}
	}
	return out
}

func methodID(account, kind, issuer string) string {
	return id.Derive(id.Method, account, kind+"\x00"+issuer)
}
