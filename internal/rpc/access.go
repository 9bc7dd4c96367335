package rpc

import (
	"context"

	"github.com/paylink/paylink/internal/merchant"
)

// Requests of merchant.Access. A call that uses something up is sent once: its repetition would
// be refused because of the first.
type (
	userForm    struct{ User, Keep, Session, Password, Next, Lang string }
	resetForm   struct{ Email, Token, Next, Lang string }
	passkeyForm struct{ User, Name, ID, State string }
	answerForm  struct {
		User, Name, State string
		Answer            []byte
		Client            merchant.Client
	}
	accountForm struct{ Account, ID string }
	none        struct{}
)

// Policy implements merchant.Access.
func (u *Users) Policy(ctx context.Context) (merchant.Policy, error) {
	return value(call[none, merchant.Policy](ctx, u.peer, "Policy", read, &none{}))
}

// Sessions implements merchant.Access.
func (u *Users) Sessions(ctx context.Context, user string) ([]merchant.Session, error) {
	return value(call[userForm, []merchant.Session](ctx, u.peer, "Sessions", read, &userForm{User: user}))
}

// done returns the error of a call that has no result.
func done(_ *none, err error) error { return err }

// EndSession implements merchant.Access.
func (u *Users) EndSession(ctx context.Context, user, session string) error {
	return done(call[userForm, none](ctx, u.peer, "EndSession", harmless, &userForm{User: user, Session: session}))
}

// EndSessions implements merchant.Access.
func (u *Users) EndSessions(ctx context.Context, user, keep string) error {
	return done(call[userForm, none](ctx, u.peer, "EndSessions", harmless, &userForm{User: user, Keep: keep}))
}

// ChangePassword implements merchant.Access.
func (u *Users) ChangePassword(ctx context.Context, user, keep, current, next, lang string) error {
	return done(
		call[userForm, none](ctx, u.peer, "ChangePassword", once, &userForm{User: user, Keep: keep, Password: current, Next: next, Lang: lang}),
	)
}

// RequestReset implements merchant.Access.
func (u *Users) RequestReset(ctx context.Context, email, lang string) error {
	return done(call[resetForm, none](ctx, u.peer, "RequestReset", harmless, &resetForm{Email: email, Lang: lang}))
}

// Reset implements merchant.Access.
func (u *Users) Reset(ctx context.Context, token, next, lang string) error {
	return done(call[resetForm, none](ctx, u.peer, "Reset", once, &resetForm{Token: token, Next: next, Lang: lang}))
}

// SendConfirmation implements merchant.Access.
func (u *Users) SendConfirmation(ctx context.Context, user, lang string) error {
	return done(call[userForm, none](ctx, u.peer, "SendConfirmation", once, &userForm{User: user, Lang: lang}))
}

// Confirm implements merchant.Access.
func (u *Users) Confirm(ctx context.Context, token string) error {
	return done(call[resetForm, none](ctx, u.peer, "Confirm", once, &resetForm{Token: token}))
}

// Security implements merchant.Access.
func (u *Users) Security(ctx context.Context, user string) (merchant.Security, error) {
	return value(call[userForm, merchant.Security](ctx, u.peer, "Security", read, &userForm{User: user}))
}

// BeginTOTP implements merchant.Access.
func (u *Users) BeginTOTP(ctx context.Context, user, password string) (merchant.TOTPOffer, error) {
	return value(call[userForm, merchant.TOTPOffer](ctx, u.peer, "BeginTOTP", harmless, &userForm{User: user, Password: password}))
}

// ConfirmTOTP implements merchant.Access.
func (u *Users) ConfirmTOTP(ctx context.Context, user, code string) ([]string, error) {
	return value(call[userForm, []string](ctx, u.peer, "ConfirmTOTP", once, &userForm{User: user, Password: code}))
}

// EndTOTP implements merchant.Access.
func (u *Users) EndTOTP(ctx context.Context, user, password string) error {
	return done(call[userForm, none](ctx, u.peer, "EndTOTP", harmless, &userForm{User: user, Password: password}))
}

// RenewRecovery implements merchant.Access.
func (u *Users) RenewRecovery(ctx context.Context, user, password string) ([]string, error) {
	return value(call[userForm, []string](ctx, u.peer, "RenewRecovery", harmless, &userForm{User: user, Password: password}))
}

// BeginPasskey implements merchant.Access.
func (u *Users) BeginPasskey(ctx context.Context, user, password string) (merchant.Ceremony, error) {
	return value(call[userForm, merchant.Ceremony](ctx, u.peer, "BeginPasskey", harmless, &userForm{User: user, Password: password}))
}

// AddPasskey implements merchant.Access.
func (u *Users) AddPasskey(ctx context.Context, user, name, state string, answer []byte) (merchant.Passkey, error) {
	return value(
		call[answerForm, merchant.Passkey](ctx, u.peer, "AddPasskey", once, &answerForm{User: user, Name: name, State: state, Answer: answer}),
	)
}

// RenamePasskey implements merchant.Access.
func (u *Users) RenamePasskey(ctx context.Context, user, passkey, name string) error {
	return done(call[passkeyForm, none](ctx, u.peer, "RenamePasskey", harmless, &passkeyForm{User: user, ID: passkey, Name: name}))
}

// RemovePasskey implements merchant.Access.
func (u *Users) RemovePasskey(ctx context.Context, user, passkey string) error {
	return done(call[passkeyForm, none](ctx, u.peer, "RemovePasskey", once, &passkeyForm{User: user, ID: passkey}))
}

// BeginPasskeySignIn implements merchant.Access.
func (u *Users) BeginPasskeySignIn(ctx context.Context) (merchant.Ceremony, error) {
	return value(call[none, merchant.Ceremony](ctx, u.peer, "BeginPasskeySignIn", read, &none{}))
}

// SignInPasskey implements merchant.Access.
func (u *Users) SignInPasskey(ctx context.Context, state string, answer []byte, c merchant.Client) (merchant.SignedIn, error) {
	return value(call[answerForm, merchant.SignedIn](ctx, u.peer, "SignInPasskey", once, &answerForm{State: state, Answer: answer, Client: c}))
}

// Invite implements merchant.Access.
func (u *Users) Invite(ctx context.Context, r merchant.InviteRequest) (merchant.Invitation, error) {
	return value(call[merchant.InviteRequest, merchant.Invitation](ctx, u.peer, "Invite", once, &r))
}

// Invitations implements merchant.Access.
func (u *Users) Invitations(ctx context.Context, account string) ([]merchant.Invitation, error) {
	return value(call[accountForm, []merchant.Invitation](ctx, u.peer, "Invitations", read, &accountForm{Account: account}))
}

// WithdrawInvitation implements merchant.Access.
func (u *Users) WithdrawInvitation(ctx context.Context, account, id string) error {
	return done(call[accountForm, none](ctx, u.peer, "WithdrawInvitation", once, &accountForm{account, id}))
}

// Invitation implements merchant.Access.
func (u *Users) Invitation(ctx context.Context, token string) (merchant.Invitation, error) {
	return value(call[resetForm, merchant.Invitation](ctx, u.peer, "Invitation", read, &resetForm{Token: token}))
}

// Users implements merchant.Access.
func (u *Users) Users(ctx context.Context, account string) ([]merchant.User, error) {
	return value(call[accountForm, []merchant.User](ctx, u.peer, "Users", read, &accountForm{Account: account}))
}

// answer serves a call of the users service that returns one value.
func answer[Q, A any](s *Server, method string, do func(context.Context, *Q) (A, error)) {
	handle(s, UsersService, method, func(ctx context.Context, q *Q) (*A, error) {
		out, err := do(ctx, q)
		return &out, err
	})
}

// act serves a call of the users service that returns none.
func act[Q any](s *Server, method string, do func(context.Context, *Q) error) {
	handle(s, UsersService, method, func(ctx context.Context, q *Q) (*none, error) { return &none{}, do(ctx, q) })
}

// serveAccess serves merchant.Access. Users leave the service without their hashes.
func serveAccess(s *Server, svc merchant.Access) {
	answer(s, "Policy", func(ctx context.Context, _ *none) (merchant.Policy, error) { return svc.Policy(ctx) })
	answer(s, "Sessions", func(ctx context.Context, q *userForm) ([]merchant.Session, error) { return svc.Sessions(ctx, q.User) })
	act(s, "EndSession", func(ctx context.Context, q *userForm) error { return svc.EndSession(ctx, q.User, q.Session) })
	act(s, "EndSessions", func(ctx context.Context, q *userForm) error { return svc.EndSessions(ctx, q.User, q.Keep) })
	act(s, "ChangePassword", func(ctx context.Context, q *userForm) error {
		return svc.ChangePassword(ctx, q.User, q.Keep, q.Password, q.Next, q.Lang)
	})
	act(s, "RequestReset", func(ctx context.Context, q *resetForm) error { return svc.RequestReset(ctx, q.Email, q.Lang) })
	act(s, "Reset", func(ctx context.Context, q *resetForm) error { return svc.Reset(ctx, q.Token, q.Next, q.Lang) })
	act(s, "SendConfirmation", func(ctx context.Context, q *userForm) error { return svc.SendConfirmation(ctx, q.User, q.Lang) })
	act(s, "Confirm", func(ctx context.Context, q *resetForm) error { return svc.Confirm(ctx, q.Token) })
	serveFactors(s, svc)
	answer(s, "Invite", func(ctx context.Context, q *merchant.InviteRequest) (merchant.Invitation, error) {
		return svc.Invite(ctx, *q)
	})
	answer(s, "Invitations", func(ctx context.Context, q *accountForm) ([]merchant.Invitation, error) {
		return svc.Invitations(ctx, q.Account)
	})
	act(s, "WithdrawInvitation", func(ctx context.Context, q *accountForm) error { return svc.WithdrawInvitation(ctx, q.Account, q.ID) })
	answer(s, "Invitation", func(ctx context.Context, q *resetForm) (merchant.Invitation, error) {
		return svc.Invitation(ctx, q.Token)
	})
	answer(s, "Users", func(ctx context.Context, q *accountForm) ([]merchant.User, error) {
		users, err := svc.Users(ctx, q.Account)
		for i := range users {
			users[i] = bareUser(users[i])
		}
		return users, err
	})
}

// serveFactors serves what users sign in with besides the password.
func serveFactors(s *Server, svc merchant.Access) {
	answer(s, "Security", func(ctx context.Context, q *userForm) (merchant.Security, error) { return svc.Security(ctx, q.User) })
	answer(s, "BeginTOTP", func(ctx context.Context, q *userForm) (merchant.TOTPOffer, error) {
		return svc.BeginTOTP(ctx, q.User, q.Password)
	})
	answer(s, "ConfirmTOTP", func(ctx context.Context, q *userForm) ([]string, error) {
		return svc.ConfirmTOTP(ctx, q.User, q.Password)
	})
	act(s, "EndTOTP", func(ctx context.Context, q *userForm) error { return svc.EndTOTP(ctx, q.User, q.Password) })
	answer(s, "RenewRecovery", func(ctx context.Context, q *userForm) ([]string, error) {
		return svc.RenewRecovery(ctx, q.User, q.Password)
	})
	answer(s, "BeginPasskey", func(ctx context.Context, q *userForm) (merchant.Ceremony, error) {
		return svc.BeginPasskey(ctx, q.User, q.Password)
	})
	answer(s, "AddPasskey", func(ctx context.Context, q *answerForm) (merchant.Passkey, error) {
		return svc.AddPasskey(ctx, q.User, q.Name, q.State, q.Answer)
	})
	act(s, "RenamePasskey", func(ctx context.Context, q *passkeyForm) error { return svc.RenamePasskey(ctx, q.User, q.ID, q.Name) })
	act(s, "RemovePasskey", func(ctx context.Context, q *passkeyForm) error { return svc.RemovePasskey(ctx, q.User, q.ID) })
	answer(s, "BeginPasskeySignIn", func(ctx context.Context, _ *none) (merchant.Ceremony, error) { return svc.BeginPasskeySignIn(ctx) })
	answer(s, "SignInPasskey", func(ctx context.Context, q *answerForm) (merchant.SignedIn, error) {
		return svc.SignInPasskey(ctx, q.State, q.Answer, q.Client)
	})
}
