package office

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/spelling"
)

// Reasons why a mail is not sent, as the outbox shows them.
const (
	testModeStranger   = unwanted("test_mode_stranger: in test mode, mail goes only to the confirmed addresses of the account's own users")
	accountUnconfirmed = unwanted("account_unconfirmed: no user of the account has confirmed an email address")
	addressUnconfirmed = unwanted("address_unconfirmed: the user has not confirmed this email address")
)

// mayWrite returns the address that a link is mailed to, or why an account may not write
// there: mail_refused, mail_test_mode or email_unconfirmed.
func (l *Local) mayWrite(ctx context.Context, account, mode, to string) (string, error) {
	refused, err := l.Readers.Refuses(ctx, account, spelling.EmailKey(to), mail.Link)
	if err != nil {
		return "", err
	}
	if refused {
		return "", fault.New(
			fault.KindConflict,
			"mail_refused",
			"This recipient has opted out of payment links by email. Send the link another way.",
		)
	}

	to, no, err := l.admitted(ctx, account, mode, to)
	switch {
	case err != nil:
		return "", err
	case no == testModeStranger:
		return "", fault.Invalid("to", "mail_test_mode", "In test mode, to must be the confirmed address of a user of your account.")
	case no != "":
		return "", fault.New(fault.KindForbidden, "email_unconfirmed",
			"Confirm your email address before emailing links: open the link we sent you, or request a new one in the dashboard.")
	}

	return to, nil
}

// admitted reports whether an account may write to a payer's address at all, and returns the
// address that the mail goes to. In test mode that is one that a user of the account has
// confirmed: an account that proved nothing must not make us write to strangers. In live mode,
// some user of the account must have confirmed an address.
func (l *Local) admitted(ctx context.Context, account, mode, to string) (string, unwanted, error) {
	readers, err := l.Readers.Readers(ctx, account)
	if err != nil {
		return "", "", err
	}

	// An unconfirmed address may be anyone's.
	readers = slices.DeleteFunc(readers, func(r mail.Reader) bool { return !r.Confirmed })
	if mode == link.Live {
		if len(readers) == 0 {
			return "", accountUnconfirmed, nil
		}
		return to, "", nil
	}

	key := spelling.EmailKey(to)
	for _, r := range readers {
		if key != "" && spelling.EmailKey(r.Address) == key {
			return r.Address, "", nil
		}
	}

	return "", testModeStranger, nil
}

// payer decides whether a mail to a payer is sent, and counts it. Links were counted when
// they were written. A mail past a limit waits for its next try, because its payer paid; at
// the last one it is dropped.
func (d *draft) payer(ctx context.Context) error {
	to, no, err := d.office.admitted(ctx, d.m.Account, d.m.Mode, d.to)
	if err != nil {
		return err
	}
	if no != "" {
		return no
	}

	d.to = to
	if d.m.Kind == mail.Link || d.m.Mode != link.Live {
		return nil
	}

	reader := spelling.EmailKey(to)
	d.m.Network = d.network
	err = d.office.Outbox.AdmitMail(ctx, d.m, reader, d.office.daily(d.m.Account, reader, d.network))
	bound := mail.ReachedBound(err)
	if bound == "" {
		return err
	}

	d.office.Limited(bound)
	tooMany := unwanted("too_many_mails: the " + bound + " had as many emails as a day allows")
	if d.m.Attempt >= MaxAttempts {
		return tooMany
	}
	return errors.New(string(tooMany))
}

// daily returns the limits of a day on mails to payers in live mode, whatever their kind.
func (l *Local) daily(account, reader, network string) []mail.Limit {
	day := l.Now().UTC().Add(-24 * time.Hour)
	limits := []mail.Limit{{Reader: reader, Since: day, Most: l.Limits.Recipient}, {Account: account, Since: day, Most: l.Limits.Account}}
	if network != "" {
		limits = append(limits, mail.Limit{Network: network, Since: day, Most: l.Limits.Network})
	}
	return limits
}
