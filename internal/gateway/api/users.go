package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/merchant"
)

// methodObject is a payment method as callers see it, without its credentials.
type methodObject struct {
	ID         string   `json:"id"`
	Object     string   `json:"object"`
	Type       string   `json:"type"`
	Issuer     string   `json:"issuer"`
	Currencies []string `json:"currencies"`
	Enabled    bool     `json:"enabled"`
}

// userObject is a user together with the settings of the account.
type userObject struct {
	ID             string            `json:"id"`
	Object         string            `json:"object"`
	Username       string            `json:"username"`
	Email          string            `json:"email"`
	Date           string            `json:"date"`
	Account        string            `json:"account"`
	PaymentMethods []methodObject    `json:"paymentMethods"`
	TimeZone       string            `json:"timeZone"`
	CreatedAt      string            `json:"createdAt"`
	Links          map[string]string `json:"links"`
}

// showUser renders a user with the account's payment methods and time zone.
func showUser(u merchant.User, a merchant.Account) userObject {
	methods := a.Methods
	o := userObject{
		ID: u.ID, Object: "user", Username: u.Username, Email: u.Email, Date: link.FormatTime(u.Date), Account: u.Account,
		PaymentMethods: make([]methodObject, 0, len(methods)),
		TimeZone:       cmp.Or(a.TimeZone, calendar.UTC), CreatedAt: link.FormatTime(u.CreatedAt),
		Links: map[string]string{
			"self": "/api/users/me", "account": "/api/users/me", "sessions": "/api/sessions", "apiKeys": "/api/api-keys",
			"issuers": "/api/issuers", "links": "/api/links", "payments": "/api/payments", "balance": "/api/balance",
			"webhookEndpoints": "/api/webhook-endpoints",
		},
	}

	for _, m := range methods {
		shown := methodObject{ID: m.ID, Object: "payment_method", Type: m.Type, Issuer: m.Issuer, Currencies: []string{}, Enabled: m.Enabled}
		for _, c := range m.Currencies {
			shown.Currencies = append(shown.Currencies, string(c))
		}
		o.PaymentMethods = append(o.PaymentMethods, shown)
	}
	return o
}

// identifyUser returns the caller of a session token. It acts in test mode unless the query
// says otherwise. Its errors are those of merchant.Service.Authenticate.
func (a *API) identifyUser(ctx context.Context, token string) (caller, error) {
	s, u, err := a.Merchants.Authenticate(ctx, token)
	if err != nil {
		return caller{}, err
	}
	return caller{account: s.Account, mode: link.Test, session: s.ID, user: u.ID}, nil
}

// identifyKey returns the caller and the scopes of an API key, found by its id or, for a
// bare secret, by the secret.
func (a *API) identifyKey(ctx context.Context, cred credentials) (caller, []string, error) {
	var k merchant.Key
	var err error
	if cred.key != "" {
		k, err = a.Merchants.AuthenticateKey(ctx, cred.key, cred.secret)
	} else {
		k, err = a.Merchants.AuthenticateSecret(ctx, cred.secret)
	}
	if err != nil {
		return caller{}, nil, err
	}
	return caller{account: k.Account, mode: k.Mode, key: k.ID, bound: true}, k.Scopes, nil
}

// remote returns the client address of a request, without the port, or "" if there is none.
func remote(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	return host
}

// payee returns the recipient of a link's payments and the account's payment methods with
// the limits of their connectors. In live mode it fails with merchant.ErrUnconfirmed if the
// account may only test.
func (a *API) payee(q *request) (string, []link.Method, error) {
	if q.caller.mode == link.Live {
		account, err := a.Merchants.GetAccount(q.Context(), q.caller.account)
		if err == nil && account.TestOnly {
			err = merchant.ErrUnconfirmed
		}
		if err != nil {
			return "", nil, err
		}
	}
	return a.Payee(q.Context(), q.caller.account)
}

// Payee returns the recipient of the payments of an account's links, and the payment
// methods that they may use. A method whose connector left the configuration counts as
// disabled.
func (a *API) Payee(ctx context.Context, of string) (string, []link.Method, error) {
	account, err := a.Merchants.GetAccount(ctx, of)
	if err != nil {
		return "", nil, err
	}

	methods := make([]link.Method, 0, len(account.Methods))
	for _, m := range account.Methods {
		can, known := a.capabilities(m.Issuer)
		methods = append(methods, link.Method{
			ID: m.ID, Type: m.Type, Issuer: m.Issuer, Currencies: m.Currencies, Enabled: m.Enabled && known,
			MinMinor: can.MinMinor, MaxMinor: can.MaxMinor, Test: can.Test,
		})
	}
	return account.Name, methods, nil
}

// capabilities returns what the connector of that name can do, and whether it is
// configured.
func (a *API) capabilities(name string) (issuer.Capabilities, bool) {
	for _, c := range a.Connectors {
		if c.Name == name {
			return c.Capabilities, true
		}
	}
	return issuer.Capabilities{}, false
}

// signUpBody is the body of a sign-up. Invitation is the token of one; some invite into an
// existing account.
type signUpBody struct {
	Username field[string] `json:"username"`
	Email    field[string] `json:"email"`
	Date     field[stamp]  `json:"date"`
	Password field[string] `json:"password"`

	Invitation field[string] `json:"invitation"`
	TimeZone   field[string] `json:"timeZone"`
}

// signUp makes a user, who joins the account of an invitation or else gets a new account,
// and answers with both.
func (a *API) signUp(q *request) (any, error) {
	var in signUpBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}

	for _, f := range []struct {
		set  bool
		name string
	}{{in.Username.Set, "username"}, {in.Email.Set, "email"}, {in.Password.Set, "password"}} {
		if err := required(f.set, f.name); err != nil {
			return nil, err
		}
	}

	if err := errors.Join(notEmpty("date", text(in.Date)), notEmpty("invitation", in.Invitation),
		notEmpty("timeZone", in.TimeZone)); err != nil {
		return nil, err
	}

	up, err := a.Merchants.SignUp(q.Context(), merchant.SignUpRequest{
		Username: in.Username.Value, Email: in.Email.Value, Password: in.Password.Value, Date: string(in.Date.Value),
		Invitation: in.Invitation.Value, TimeZone: in.TimeZone.Value, Address: remote(q.Request),
	}, q.ticket)
	if err != nil {
		return nil, err
	}

	return showUser(up.User, up.Account), nil
}

// notEmpty refuses an empty text, which the service could not distinguish from an absent one.
func notEmpty(param string, f field[string]) error {
	if f.Set && f.Value == "" {
		return fault.Invalid(param, "parameter_invalid", "%s must not be empty; omit it instead.", param)
	}
	return nil
}

// me answers with the signed-in user.
func (a *API) me(q *request) (any, error) {
	u, account, err := a.Merchants.Me(q.Context(), q.caller.user)
	if err != nil {
		return nil, err
	}
	return showUser(u, account), nil
}

// methodBody is one payment method of the new list. Credentials are never shown again.
type methodBody struct {
	Type        field[string]            `json:"type"`
	Issuer      field[string]            `json:"issuer"`
	Currencies  field[[]string]          `json:"currencies"`
	Enabled     field[bool]              `json:"enabled" default:"true"`
	Credentials field[map[string]string] `json:"credentials"`
}

// setMethodsBody has the settings that PUT /api/users changes. A given list replaces all
// methods.
type setMethodsBody struct {
	PaymentMethods field[[]methodBody] `json:"paymentMethods"`
	TimeZone       field[string]       `json:"timeZone"`
}

// setMethods changes the given settings of the account. If both are given, it makes two
// commits, the zone first: a crash between them leaves the methods unchanged, and the
// caller repeats the request.
func (a *API) setMethods(q *request) (any, error) {
	var in setMethodsBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if !in.TimeZone.Set {
		if err := required(in.PaymentMethods.Set, "paymentMethods"); err != nil {
			return nil, err
		}
	}

	methods := make([]merchant.MethodInput, 0, len(in.PaymentMethods.Value))
	for i, m := range in.PaymentMethods.Value {
		at := fmt.Sprintf("paymentMethods[%d].", i)
		for _, f := range []struct {
			set  bool
			name string
		}{{m.Type.Set, "type"}, {m.Issuer.Set, "issuer"}, {m.Currencies.Set, "currencies"}} {
			if err := required(f.set, at+f.name); err != nil {
				return nil, err
			}
		}
		methods = append(methods, merchant.MethodInput{
			Type: m.Type.Value, Issuer: m.Issuer.Value, Currencies: m.Currencies.Value,
			Enabled: optional(m.Enabled), Credentials: m.Credentials.Value,
		})
	}

	if in.TimeZone.Set {
		if _, err := a.Merchants.SetTimeZone(q.Context(), q.caller.account, in.TimeZone.Value); err != nil {
			return nil, err
		}
	}

	if in.PaymentMethods.Set {
		if _, err := a.Merchants.SetMethods(q.Context(), q.caller.account, methods, nil); err != nil {
			return nil, err
		}
	}

	return a.me(q)
}

// sessionObject is a session as callers see it. The token is shown once.
type sessionObject struct {
	ID        string            `json:"id"`
	Object    string            `json:"object"`
	Token     string            `json:"token"`
	User      string            `json:"user"`
	CreatedAt string            `json:"createdAt"`
	ExpiresAt string            `json:"expiresAt"`
	Links     map[string]string `json:"links"`
}

// showSession renders a new session with its token.
func showSession(s merchant.SignedIn) sessionObject {
	return sessionObject{
		ID: s.Session.ID, Object: "session", Token: s.Token, User: s.Session.User,
		CreatedAt: link.FormatTime(s.Session.CreatedAt), ExpiresAt: link.FormatTime(s.Session.ExpiresAt),
		Links: map[string]string{"self": "/api/sessions/current", "user": "/api/users/me"},
	}
}

// maxOTPBytes bounds an authenticator code and a recovery code, including characters
// that people type between the digits.
const maxOTPBytes = 64

// signInBody is the body of a sign-in. OTP is an authenticator code or a recovery code.
type signInBody struct {
	Login    field[string] `json:"login"`
	Password field[string] `json:"password"`
	OTP      field[string] `json:"otp" default:"\"\""`
}

// signIn begins a session and answers with its token. Wrong passwords and codes slow down
// further tries of this user.
func (a *API) signIn(q *request) (any, error) {
	var in signInBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := required(in.Login.Set, "login"); err != nil {
		return nil, err
	}
	if err := required(in.Password.Set, "password"); err != nil {
		return nil, err
	}
	if len(in.OTP.Value) > maxOTPBytes {
		return nil, fault.Invalid("otp", "too_long", "otp must be at most %d bytes.", maxOTPBytes)
	}

	s, err := a.Merchants.SignIn(
		q.Context(),
		merchant.SignInRequest{Login: strings.TrimSpace(in.Login.Value), Password: in.Password.Value, OTP: in.OTP.Value,
			Client: merchant.Client{Agent: q.UserAgent(), Address: remote(q.Request)}},
		q.ticket,
	)
	if err != nil {
		return nil, err
	}

	return showSession(s), nil
}

// signOut ends the caller's session.
func (a *API) signOut(q *request) (any, error) {
	if err := a.Merchants.SignOut(q.Context(), q.caller.session); err != nil {
		return nil, err
	}
	return deleted{ID: q.caller.session, Object: "session", Deleted: true}, nil
}
