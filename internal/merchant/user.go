package merchant

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/spelling"
)

// Faults that callers may compare with.
var (
	// ErrTaken does not say which of the two, nor whose.
	ErrTaken error = fault.New(fault.KindConflict, "account_exists", "The username or email is already taken.")
	// ErrChanged means that another writer was faster; the caller may repeat the call.
	ErrChanged error = fault.New(
		fault.KindConflict,
		"changed_meanwhile",
		"This was changed by another request. Read it again, then repeat your change.",
	)
	// ErrCredentials does not distinguish an unknown login from a wrong password.
	ErrCredentials error = fault.New(fault.KindUnauthenticated, "credentials_invalid", "The login or the password is wrong.")
	// ErrSession is the error for every token that is not a session of ours.
	ErrSession error = fault.New(fault.KindUnauthenticated, "session_invalid", "The session is unknown, expired or signed out. Sign in again.")
)

// The types of our signed tokens, their audiences, and their bounds.
const (
	sessionType     = "paylink-session+jwt"
	sessionAudience = "paylink-api"
	proofType       = "paylink-proof+jwt"    // of a password, between two steps
	registerType    = "paylink-register+jwt" // of a passkey's registration
	passkeyType     = "paylink-passkey+jwt"  // of a sign-in with one
	deviceType      = "paylink-device+jwt"   // of a browser in which a user has signed in
	stateAudience   = "paylink-sign-in"
	maxBearerBytes  = 2048
	maxStateBytes   = 8192
	clockSkew       = 5 * time.Second // between instances
)

// user checks a sign-up and returns the user without a password hash, and with the id of a
// new account.
func (r SignUpRequest) user(now time.Time) (User, error) {
	u := User{ID: id.New(id.User), Account: id.New(id.Account), Username: strings.ToLower(spelling.Pasted(r.Username)), Date: now,
		CreatedAt: now}
	if err := issuer.NoNumber("username", r.Username); err != nil {
		return u, err
	}
	odd := func(c rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789._-", c) }
	if len(u.Username) < MinUsernameBytes || len(u.Username) > MaxUsernameBytes || strings.ContainsFunc(u.Username, odd) {
		return u, fault.Invalid(
			"username",
			"username_invalid",
			"username must be %d to %d characters from a-z, 0-9, dot, underscore and hyphen.",
			MinUsernameBytes,
			MaxUsernameBytes,
		)

	}
	email, err := checkEmail(r.Email)
	if err != nil {
		return u, err
	}

	u.Email = email

	if r.Date != "" {
		d, err := time.Parse(time.DateOnly, r.Date)
		if err != nil {
			d, err = time.Parse(time.RFC3339Nano, r.Date)
		}
		if d = d.UTC(); err != nil || d.Year() < 1900 || d.Year() > 9999 {
			return u, fault.Invalid("date", "date_invalid", "date must be YYYY-MM-DD or an RFC 3339 time, 1900 or later.")
		}
		u.Date = d.Truncate(time.Millisecond)
	}

	return u, checkPassword(r.Password)
}

// checkEmail returns the address as it is stored: in lower case, its domain in ASCII. It
// checks only the form, and that there is no card number in it.
func checkEmail(email string) (string, error) {
	if err := issuer.NoNumber("email", email); err != nil {
		return "", err
	}
	address, err := spelling.Email(email)
	if err != nil {
		return "", fault.Invalid("email", "email_invalid", "email must be a bare address of at most %d bytes, such as a@example.com.",
			MaxEmailBytes)
	}
	return strings.ToLower(address), nil
}

// LoginKey returns the key that all spellings of a login share: the spelling.EmailKey of an
// address, the lower case of a username.
func LoginKey(login string) string {
	if key := spelling.EmailKey(login); key != "" {
		return key
	}
	return strings.ToLower(spelling.Pasted(login))
}

// checkPassword returns the fault of a password that is too short, too long, or not UTF-8.
// Characters count in the spelling that is hashed.
func checkPassword(password string) error {
	if !utf8.ValidString(password) {
		return fault.Invalid("password", "invalid_characters", "password must be UTF-8 text.")
	}
	n := utf8.RuneCountInString(spelling.Password(bounded(password)))
	switch {
	case n < MinPasswordChars && bounded(password) == password:
		return fault.Invalid("password", "password_too_short", "password must have at least %d characters.", MinPasswordChars)
	case n > MaxPasswordChars, bounded(password) != password, len(spelling.Password(password)) > MaxPasswordBytes:
		return fault.Invalid("password", "too_long", "password must be at most %d characters.", MaxPasswordChars)
	}
	return nil
}

// bounded returns the password as it was typed, or "" if it is too long to be one of ours, in
// any spelling: a separate accent adds a character to each.
func bounded(password string) string {
	if len(password) > 2*MaxPasswordBytes {
		return ""
	}
	return password
}

// unprintable reports whether a character must not be in a name.
func unprintable(c rune) bool { return !unicode.IsPrint(c) }

// claims are the claims of a session's token, or of a statement to ourselves.
type claims struct {
	jwt.RegisteredClaims
	Account string          `json:"acct,omitempty"`
	Data    json.RawMessage `json:"data,omitempty"`
}

// token returns a session's token: a JWT that names the session, and that Authenticate
// accepts until the session ends.
func (l *Local) token(s Session, now time.Time) (string, error) {
	return l.signed(sessionType, sessionAudience, claims{RegisteredClaims: jwt.RegisteredClaims{Subject: s.User, ID: s.ID},
		Account: s.Account}, now, s.ExpiresAt)
}

// signed returns a signed statement of one type, for one audience, valid from now until the
// given time. It uses the current key for sessions.
func (l *Local) signed(kind, audience string, c claims, now, until time.Time) (string, error) {
	signer := l.ring.Signer(keyring.SessionSign)
	c.Issuer, c.Audience = l.public, jwt.ClaimStrings{audience}
	c.IssuedAt, c.NotBefore, c.ExpiresAt = jwt.NewNumericDate(now), jwt.NewNumericDate(now), jwt.NewNumericDate(until)
	t := jwt.NewWithClaims(jwt.SigningMethodEdDSA, c)
	t.Header["typ"], t.Header["kid"] = kind, keyring.FormatKeyID(signer.KeyID())
	return t.SignedString(signer)
}

var errSessionKey = errors.New("not signed by a session key of ours")

// parse returns the claims of a statement of that type that we signed and that is valid now.
// The parser refuses every algorithm but EdDSA, and keys of another purpose.
func (l *Local) parse(kind, audience, statement string) (claims, error) {
	var c claims
	_, err := jwt.ParseWithClaims(statement, &c, func(t *jwt.Token) (any, error) {
		kid, _ := t.Header["kid"].(string)
		n, ok := keyring.ParseKeyID(kid)
		if typ, _ := t.Header["typ"].(string); typ != kind || !ok {
			return nil, errSessionKey
		}
		key, ok := l.ring.PublicKey(keyring.SessionSign, n)
		if !ok {
			return nil, errSessionKey
		}
		return key, nil
	}, jwt.WithValidMethods([]string{jwt.SigningMethodEdDSA.Alg()}), jwt.WithIssuer(l.public),
		jwt.WithAudience(audience), jwt.WithExpirationRequired(), jwt.WithNotBeforeRequired(),
		jwt.WithIssuedAt(), jwt.WithTimeFunc(l.now), jwt.WithStrictDecoding(), jwt.WithLeeway(clockSkew))
	return c, err
}

// Authenticate accepts a token that we signed for ourselves, that is valid now, and whose
// session is not signed out and, in a browser, not idle. The error is ErrSession.
func (l *Local) Authenticate(ctx context.Context, bearer string) (Session, User, error) {
	if len(bearer) > maxBearerBytes {
		return Session{}, User{}, ErrSession
	}

	c, err := l.parse(sessionType, sessionAudience, bearer)
	if err != nil || !id.Valid(id.Session, c.ID) {
		return Session{}, User{}, ErrSession
	}

	s, err := l.sessions.SessionByID(ctx, c.ID)
	if err != nil {
		return Session{}, User{}, unknown(err, ErrSession)
	}
	if s.User != c.Subject || s.Account != c.Account || l.over(s) {
		return Session{}, User{}, ErrSession
	}

	u, err := l.users.UserByID(ctx, s.User)
	if err != nil {
		return Session{}, User{}, unknown(err, ErrSession)
	}

	l.saw(s)
	return s, u, nil
}

// unknown returns answer for a fault.NotFound, and err otherwise.
func unknown(err, answer error) error {
	if fault.KindOf(err) == fault.KindNotFound {
		return answer
	}
	return err
}

// Me returns the user and the user's account.
func (l *Local) Me(ctx context.Context, user string) (User, Account, error) {
	u, err := l.users.UserByID(ctx, user)
	if err != nil {
		return User{}, Account{}, err
	}
	a, err := l.GetAccount(ctx, u.Account)
	return u, a, err
}

// GetAccount returns an account. It sets TestOnly, which depends on whether mail is
// configured.
func (l *Local) GetAccount(ctx context.Context, account string) (Account, error) {
	a, err := l.users.GetAccount(ctx, account)
	a.TestOnly = err == nil && l.mails && a.ConfirmedAt.IsZero()
	return a, err
}

// defaults returns the methods of a new account: every connector for test mode.
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

// methodID returns the id of a payment method, which never changes and needs no look-up.
func methodID(account, kind, issuer string) string {
	return id.Derive(id.Method, account, kind+"\x00"+issuer)
}
