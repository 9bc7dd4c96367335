package merchant

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/mail"
)

// The faults of an installation that does not take this sign-up.
var (
	errClosed       = fault.New(fault.KindForbidden, "signup_closed", "Sign-up is closed.")
	errByInvitation = fault.New(fault.KindForbidden, "signup_by_invitation", "Sign-up requires an invitation.")
)

// Policy returns what a page must know before anyone has signed in. It never fails.
func (l *Local) Policy(context.Context) (Policy, error) {
	return Policy{SignUp: l.signUp, Mail: l.mails, Passkeys: l.passkeys != nil}, nil
}

// SignUp makes a user. With an invitation into an account the user joins it, with all
// rights of its users; otherwise the user gets a new account, which takes payments from the
// simulator in test mode. An invitation that was mailed proves the address. User, account,
// spent invitation, confirmation mail and record are one commit. A taken name or address is
// ErrTaken, a password that is easy to guess password_too_common.
func (l *Local) SignUp(ctx context.Context, r SignUpRequest, t *idempotency.Ticket) (SignedUp, error) {
	now := l.time()
	invitation, err := l.admitUser(ctx, r.Invitation, now)
	if err != nil {
		return SignedUp{}, err
	}

	u, err := r.user(now)
	if err != nil {
		return SignedUp{}, err
	}
	if _, err := calendar.Zone("timeZone", r.TimeZone); err != nil {
		return SignedUp{}, err
	}
	if invitation != nil && LoginKey(invitation.Email) != LoginKey(u.Email) {
		return SignedUp{}, fault.Invalid("email", "invitation_address", "The invitation is for another email address.")
	}

	var joined Account
	if invitation != nil && invitation.Account != "" {
		if joined, err = l.users.GetAccount(ctx, invitation.Account); err != nil {
			return SignedUp{}, err
		}
	}
	if l.common(r.Password, u, joined) {
		return SignedUp{}, commonPassword("password")
	}

	// This hashes before the store is asked, so that a taken name takes as long.
	if u.PasswordHash, err = l.hasher.hash(ctx, stranger(r.Address), r.Password); err != nil {
		return SignedUp{}, err
	}

	c := Change{At: now, Spend: invitation}
	if invitation != nil && invitation.Mailed {
		u.ConfirmedAt = now
	}
	a := Account{ID: u.Account, Name: u.Username, Methods: l.defaults(u.Account), Revision: 1, CreatedAt: now,
		ConfirmedAt: u.ConfirmedAt, TimeZone: r.TimeZone}
	if joined.ID != "" {
		a, u.Account = joined, joined.ID
		if !u.ConfirmedAt.IsZero() {
			c.Confirmed, c.ConfirmedEmail = u.ID, u.Email // the account's, too
		}
	} else {
		c.Account = &a
	}

	c.User = &u
	if err := l.askToConfirm(&c, u, r.Lang); err != nil {
		return SignedUp{}, err
	}

	out := SignedUp{User: u, Account: a}
	if c.Record, err = t.Fill(out, now); err != nil {
		return SignedUp{}, err
	}
	if err := l.access.Apply(l.didUser(ctx, u, activity.SignedUp, nil), c); err != nil {
		return SignedUp{}, err
	}

	return out, nil
}

// admitUser checks a sign-up against the configured way of signing up. It returns the
// invitation, nil without one, or signup_closed, signup_by_invitation or ErrToken.
func (l *Local) admitUser(ctx context.Context, secret string, now time.Time) (*Token, error) {
	switch {
	case l.signUp == Closed:
		return nil, errClosed
	case secret == "" && l.signUp == ByInvitation:
		return nil, errByInvitation
	case secret == "":
		return nil, nil
	}

	t, err := l.usableToken(ctx, KindInvite, secret, now)
	if err != nil {
		return nil, err
	}

	return &t, nil
}

// usableToken returns a token that can still be spent, or ErrToken. It does not spend it:
// the commit does, and fails if another was faster.
func (l *Local) usableToken(ctx context.Context, kind, secret string, now time.Time) (Token, error) {
	if secret == "" || len(secret) > maxTokenChars {
		return Token{}, ErrToken
	}
	t, err := l.access.TokenByHash(ctx, kind, hashToken(kind, secret))
	if err == nil && !t.usable(now) {
		err = ErrToken
	}
	return t, unknown(err, ErrToken)
}

// Invite invites an address into the user's account: the person who signs up with the
// invitation joins it. An existing user cannot join another account. It fails with
// email_unconfirmed until the account has confirmed an address, and with invitation_limit
// at MaxInvitations, which concurrent calls may exceed slightly.
func (l *Local) Invite(ctx context.Context, r InviteRequest) (Invitation, error) {
	email, err := checkEmail(r.Email)
	if err != nil {
		return Invitation{}, err
	}
	if l.signUp == Closed {
		return Invitation{}, errClosed
	}

	u, account, err := l.Me(ctx, r.User)
	if err != nil {
		return Invitation{}, err
	}

	if account.ID != r.Account {
		return Invitation{}, fault.NotFound("account")
	}
	if account.TestOnly { // nobody has confirmed an address, so we mail no stranger
		return Invitation{}, fault.New(fault.KindForbidden, "email_unconfirmed",
			"Confirm your email address before inviting others: open the link we sent you, or request a new one in the dashboard.")
	}

	now := l.time()
	open, err := l.access.Invitations(ctx, r.Account, now, MaxInvitations)
	if err != nil {
		return Invitation{}, err
	}
	if len(open) >= MaxInvitations {
		return Invitation{}, fault.New(fault.KindConflict, "invitation_limit",
			"An account can have at most %d open invitations. Withdraw one first.", MaxInvitations)
	}

	return l.invite(ctx, Token{User: u.ID, Account: r.Account, Email: email}, account.Name, r.Lang, now)
}

// InviteMerchant invites an address to sign up with a new account. Operators use it, whatever
// the way of signing up is.
func (l *Local) InviteMerchant(ctx context.Context, email, lang string) (Invitation, error) {
	email, err := checkEmail(email)
	if err != nil {
		return Invitation{}, err
	}
	return l.invite(ctx, Token{Email: email}, "", lang, l.time())
}

// invite commits the invitation and, if mail is configured, its mail. Without mail the
// answer contains the URL, for the inviter to pass on.
func (l *Local) invite(ctx context.Context, of Token, payee, lang string, now time.Time) (Invitation, error) {
	if _, err := l.users.UserByLogin(ctx, of.Email); fault.KindOf(err) != fault.KindNotFound {
		if err != nil {
			return Invitation{}, err
		}
		return Invitation{}, fault.Invalid("email", "already_signed_up", "A user with this email address already exists.")
	}

	secret, t := newToken(KindInvite, now, InviteLife)
	t.ID, t.User, t.Account, t.Email, t.Mailed = id.New(id.Invite), of.User, of.Account, of.Email, l.mails
	c := Change{At: now, Tokens: []Token{t}}
	out := showInvitation(t, payee)
	at := l.public + "/dashboard/sign-up?invitation=" + secret
	if l.mails {
		if err := l.post(&c, mailTo{kind: mail.Invite, about: t.ID, email: t.Email, account: t.Account, lang: lang, withdraw: t.ID,
			ends: t.ExpiresAt,
			data: map[string]string{"url": at, "inviter": payee}}); err != nil {
			return Invitation{}, err
		}
	} else {
		out.URL = at
	}
	return out, l.access.Apply(l.did(ctx, t.Account, activity.Invited, t.ID, nil), c)
}

// showInvitation returns the invitation of a token, without its URL.
func showInvitation(t Token, payee string) Invitation {
	return Invitation{ID: t.ID, Email: t.Email, Account: t.Account, Payee: payee, CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt}
}

// Invitations returns the account's usable invitations, newest first.
func (l *Local) Invitations(ctx context.Context, account string) ([]Invitation, error) {
	list, err := l.access.Invitations(ctx, account, l.time(), MaxInvitations)
	if err != nil {
		return nil, err
	}
	out := make([]Invitation, 0, len(list))
	for _, t := range list {
		out = append(out, showInvitation(t, ""))
	}
	return out, nil
}

// WithdrawInvitation uses up an invitation of the account.
func (l *Local) WithdrawInvitation(ctx context.Context, account, invitation string) error {
	if !id.Valid(id.Invite, invitation) {
		return fault.NotFound("invitation")
	}
	ctx = l.did(ctx, account, activity.Uninvited, invitation, nil)
	return l.access.WithdrawInvitation(ctx, account, invitation, l.time()) // its mail too, if it waits
}

// Invitation returns an invitation by its token, with the account's name, for the page on
// which a person signs up. It spends nothing.
func (l *Local) Invitation(ctx context.Context, token string) (Invitation, error) {
	t, err := l.usableToken(ctx, KindInvite, token, l.time())
	if err != nil {
		return Invitation{}, err
	}

	payee := ""
	if t.Account != "" {
		a, err := l.users.GetAccount(ctx, t.Account)
		if err != nil {
			return Invitation{}, err
		}
		payee = a.Name
	}

	return showInvitation(t, payee), nil
}

// Users returns the users of an account, at most maxListed.
func (l *Local) Users(ctx context.Context, account string) ([]User, error) {
	return l.access.UsersByAccount(ctx, account, maxListed)
}

// resendAfter is the least time between two mails of one kind to one user.
const resendAfter = time.Minute

// askToConfirm adds the token and the mail that ask a new user to confirm the address. It
// adds nothing if there is no mail, or if an invitation has proved the address.
func (l *Local) askToConfirm(c *Change, u User, lang string) error {
	if !l.mails || !u.ConfirmedAt.IsZero() {
		return nil
	}
	secret, t := newToken(KindConfirm, c.At, ConfirmLife)
	t.User, t.Account, t.Email, t.Mailed = u.ID, u.Account, u.Email, true
	c.Tokens = append(c.Tokens, t)
	return l.post(c, mailTo{kind: mail.Confirm, about: u.ID, email: u.Email, account: u.Account, lang: lang, ends: t.ExpiresAt,
		data: map[string]string{"url": l.public + "/dashboard/confirm?token=" + secret}})
}

// SendConfirmation mails the link again. For a confirmed address it does nothing. It fails
// with mail_sent_just_now within resendAfter of the last one.
func (l *Local) SendConfirmation(ctx context.Context, user, lang string) error {
	u, err := l.users.UserByID(ctx, user)
	if err != nil || !u.ConfirmedAt.IsZero() {
		return err
	}
	if !l.mails {
		return mail.Unavailable()
	}

	now := l.time()
	if soon, err := l.sentLately(ctx, KindConfirm, user, now); soon || err != nil {
		if err == nil {
			f := fault.New(
				fault.KindRateLimited,
				"mail_sent_just_now",
				"An email was sent a moment ago. Check your inbox before requesting another.",
			)
			f.RetryAfter = resendAfter
			err = f
		}
		return err
	}

	c := Change{At: now}
	if err := l.askToConfirm(&c, u, lang); err != nil {
		return err
	}

	return l.access.Apply(ctx, c)
}

// sentLately reports whether the user got a token of the kind within resendAfter.
func (l *Local) sentLately(ctx context.Context, kind, user string, now time.Time) (bool, error) {
	t, err := l.access.LatestToken(ctx, kind, user)
	if fault.KindOf(err) == fault.KindNotFound {
		return false, nil
	}
	return now.Sub(t.CreatedAt) < resendAfter, err
}

// ErrUnconfirmed is the error of live mode before an address is confirmed.
var ErrUnconfirmed error = &fault.Error{Kind: fault.KindForbidden, Code: "email_unconfirmed", Param: "mode",
	Detail: "Live mode requires a confirmed email address. Open the link we sent you, or request a new one in the dashboard."}

// mayGoLive returns ErrUnconfirmed in live mode until an address of the account is
// confirmed. Without mail, no address can be confirmed and none is required.
func (l *Local) mayGoLive(ctx context.Context, account, mode string) error {
	if mode != Live || !l.mails {
		return nil
	}
	a, err := l.GetAccount(ctx, account)
	if err == nil && a.TestOnly {
		err = ErrUnconfirmed
	}
	return err
}

// Confirm marks the address as confirmed by its user. The link works once, and other links
// of the user end with it. If the user has another address by now, the token is spent and
// nothing is confirmed.
func (l *Local) Confirm(ctx context.Context, token string) error {
	now := l.time()
	t, err := l.usableToken(ctx, KindConfirm, token, now)
	if err != nil {
		return err
	}
	ctx = l.didUser(ctx, User{ID: t.User, Account: t.Account}, activity.EmailConfirmed, nil)
	return l.access.Apply(ctx, Change{At: now, Spend: &t, Confirmed: t.User, ConfirmedEmail: t.Email, Void: KindConfirm, VoidUser: t.User})
}

// mailTo is a mail that is part of a commit.
type mailTo struct {
	kind, about, email, account, lang, withdraw string
	ends                                        time.Time // of no use from then on
	data                                        map[string]string
}

// post seals a mail into the commit. Its id derives from its subject and time, so a
// repetition of the commit writes it once.
func (l *Local) post(c *Change, m mailTo) error {
	out, err := mail.Message{ID: mail.NewID(m.about, m.kind, c.At.Format(time.RFC3339Nano)), Account: m.account, To: m.email,
		Kind: m.kind, Lang: m.lang,
		Data: m.data, EndsAt: m.ends, Withdraw: m.withdraw, CreatedAt: c.At}.Seal(l.ring)
	c.Mails = append(c.Mails, out)
	return err
}
