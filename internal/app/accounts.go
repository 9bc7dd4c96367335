package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/paylink/paylink/internal/mail/smtp"
	"github.com/paylink/paylink/internal/merchant"
	"github.com/paylink/paylink/internal/site"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// checkSignUp validates who may sign up. --demo signs up for its own account, so it needs open
// sign-up.
func (c Config) checkSignUp(say func(format string, args ...any)) {
	switch c.SignUp {
	case "", merchant.Open:
	case merchant.ByInvitation, merchant.Closed:
		if c.Demo {
			say("--demo signs up for its account by itself: it needs --sign-up open")
		}
	default:
		say("--sign-up %q: want open, invitation or closed", c.SignUp)
	}
}

// Invite invites an address to sign up for a new account. A server may run beside it. If mail is
// configured, the invitation is only emailed, so that using it proves the address; otherwise its
// link is printed. The link needs the public URL and the existing keys.
func Invite(ctx context.Context, cfg Config, email string, out io.Writer) (err error) {
	public, err := site.Parse(cfg.PublicURL)
	if err != nil {
		return fmt.Errorf("--public-url, where the invitation leads: %w", err)
	}
	if cfg.mails() {
		if err := smtp.CheckFrom(cfg.MailFrom); err != nil {
			return fmt.Errorf("--mail-from %q: %w", cfg.MailFrom, err)
		}
	}

	// The running installation's keys: the email is sealed with them.
	ring, err := openKeys(cfg)
	if err != nil {
		return err
	}
	url, err := cfg.storeURL()
	if err != nil {
		return err
	}

	store, err := sqlstore.Open(ctx, url)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	// The same rules as in the server, with no log.
	local := merchant.New(merchant.Config{Users: store, Keys: store, Sessions: store, Access: store, Activity: store, Ring: ring,
		PublicURL: public.String(),
		Mails:     cfg.mails(), Now: time.Now, Log: slog.New(slog.DiscardHandler)})
	made, err := local.InviteMerchant(byCommand(ctx, "invite"), email, "")
	if err != nil {
		return err
	}

	// A link that is not mailed is printed, because nobody else can hand it on.
	ends := made.ExpiresAt.Format(time.RFC3339)
	// The mail is in the outbox; a running notifier sends it.
	if made.URL == "" {
		_, err = fmt.Fprintf(out, "emailed the invitation to %s; it works once, until %s\n", made.Email, ends)
		return err
	}
	_, err = fmt.Fprintf(out, "give this link only to %s; it works once, until %s:\n%s\n", made.Email, ends, made.URL)
	return err
}
