package merchant

import (
	"context"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/mail"
)

// How many requests wait, and how long one of them may take.
const (
	maxResets  = 1000 // requests that wait in this process
	resetBound = 10 * time.Second
)

// resetRequest is a request for a new password.
type resetRequest struct{ email, lang string }

// ChangePassword sets a new password and ends all sessions but keep. The current password
// is checked first, and a wrong one counts as a failed try. Everything is one commit.
func (l *Local) ChangePassword(ctx context.Context, user, keep, current, next, lang string) error {
	if err := newPassword(next); err != nil {
		return err
	}

	u, err := l.again(ctx, user, current)
	if err != nil {
		return err
	}

	c, err := l.setPassword(ctx, u, next, lang)
	if err != nil {
		return err
	}

	c.Keep = keep
	return l.access.Apply(l.didUser(ctx, u, activity.PasswordChanged, nil), c)
}

// newPassword checks a password that replaces another. The fault names the parameter
// newPassword.
func newPassword(next string) error {
	if err := checkPassword(next); err != nil {
		f := *fault.From(err)
		f.Param = "newPassword"
		return &f
	}
	return nil
}

// setPassword returns the commit of a new password: other links that would set one are void,
// guesses are deleted, and the user is notified. Known devices end with the old password. It fails
// with password_too_common.
func (l *Local) setPassword(ctx context.Context, u User, next, lang string) (Change, error) {
	account, err := l.users.GetAccount(ctx, u.Account)
	if err != nil {
		return Change{}, err
	}
	if l.common(next, u, account) {
		return Change{}, commonPassword("newPassword")
	}
	hash, err := l.hasher.hash(ctx, familiar(u.ID), next)
	if err != nil {
		return Change{}, err
	}
	now := l.time()
	c := Change{At: now, Password: hash, PasswordUser: u.ID, Revoke: u.ID, Void: KindReset, VoidUser: u.ID,
		Forget: []string{guessKey(u.ID), againKey(u.ID)}}
	if l.mails {
		err = l.post(&c, mailTo{kind: mail.PasswordChanged, about: u.ID, email: u.Email, account: u.Account, lang: lang,
			data: map[string]string{"at": now.Format(time.RFC3339)}})
	}
	return c, err
}

// RequestReset records the request and returns; RunResets does the rest. So nothing about the
// answer depends on whether the address has a user. A crash loses what waits, and the user asks
// again.
func (l *Local) RequestReset(_ context.Context, email, lang string) error {
	if !l.mails {
		return mail.Unavailable()
	}

	email, err := checkEmail(email)
	if err != nil {
		return err
	}

	select {
	case l.resets <- resetRequest{email, lang}:
		return nil
	default:
		return fault.Unavailable("resets_busy", time.Second, nil, "Too many people are resetting their passwords right now; retry.")
	}
}

// RunResets mails the requested links, until ctx ends (nil).
func (l *Local) RunResets(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case w := <-l.resets:
			one, cancel := context.WithTimeout(ctx, resetBound)
			if err := l.mailReset(one, w); err != nil && ctx.Err() == nil {
				l.log.WarnContext(ctx, "a password reset email could not be sent", "error", err)
			}
			cancel()
		}
	}
}

// mailReset mails one user at most one link a minute; a new link voids the old. For an
// address without a user it does nothing. Token and mail are one commit.
func (l *Local) mailReset(ctx context.Context, w resetRequest) error {
	u, err := l.users.UserByLogin(ctx, w.email)
	if err != nil {
		return unknown(err, nil)
	}

	now := l.time()
	if soon, err := l.sentLately(ctx, KindReset, u.ID, now); soon || err != nil {
		return err
	}

	secret, t := newToken(KindReset, now, ResetLife)
	t.User, t.Account, t.Email, t.Mailed = u.ID, u.Account, u.Email, true
	c := Change{At: now, Tokens: []Token{t}, Void: KindReset, VoidUser: u.ID}
	if err := l.post(&c, mailTo{kind: mail.Reset, about: u.ID, email: u.Email, account: u.Account, lang: w.lang, ends: t.ExpiresAt,
		data: map[string]string{"url": l.public + "/dashboard/reset?token=" + secret,
			"minutes": strconv.Itoa(int(ResetLife / time.Minute))}}); err != nil {
		return err
	}

	return l.access.Apply(ctx, c)
}

// Reset sets a new password with the token of such a link, and ends all sessions. The link
// proves that its user reads the address. Codes and passkeys stay as they are.
func (l *Local) Reset(ctx context.Context, token, next, lang string) error {
	if err := newPassword(next); err != nil {
		return err
	}

	t, err := l.usableToken(ctx, KindReset, token, l.time())
	if err != nil {
		return err
	}

	u, err := l.users.UserByID(ctx, t.User)
	if err != nil {
		return unknown(err, ErrToken)
	}

	c, err := l.setPassword(ctx, u, next, lang)
	if err != nil {
		return err
	}

	c.Spend, c.Confirmed, c.ConfirmedEmail = &t, u.ID, t.Email
	return l.access.Apply(l.didUser(ctx, u, activity.PasswordReset, nil), c)
}
