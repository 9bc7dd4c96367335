package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/mail/office"
	"github.com/paylink/paylink/internal/mail/smtp"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/sqlstore"
)

// mails reports whether mail is configured. A process that only writes emails into the outbox
// needs no server, but must know that another process sends them.
func (c Config) mails() bool { return c.MailFrom != "" }

// checkMail validates the mail settings. The server's address may contain a password and is not
// repeated.
func (c Config) checkMail(say func(format string, args ...any)) {
	if c.MailFrom != "" {
		if err := smtp.CheckFrom(c.MailFrom); err != nil {
			say("--mail-from %q: %v", c.MailFrom, err)
		}
	}
	if c.MailURL != "" {
		if _, err := smtp.Parse(c.MailURL); err != nil {
			say("--mail-url: %v", err)
		}
	}
	if _, err := office.ParseLimits(c.MailLimits); err != nil {
		say("--mail-limit %v", err)
	}
	// The sender and the server belong together.
	switch {
	case c.MailURL != "" && c.MailFrom == "":
		say("--mail-from: the sender of emails is required, such as Payments <pay@shop.example>")
	case c.MailFrom != "" && c.MailURL == "" && c.runs("notifier"):
		say("--mail-url: required with --mail-from, such as smtp://USER:PASSWORD@HOST:587")
	}
	if c.MailFrom != "" && c.PublicURL == "" && c.split() && c.runs("notifier") {
		say("--public-url: required for the links in emails")
	}
}

// openMail opens the sender of the outbox, and the consumer of the feed that writes emails. They
// run where webhooks are sent. Without mail configured, the service still answers what people ask
// it, and sends nothing. The consumer begins at the end of the feed, so enabling mail sends nothing
// about earlier events.
func (s *services) openMail(ctx context.Context) error {
	if !s.cfg.runs("notifier") {
		if p := s.peer("notifier"); p != nil {
			s.mail = rpc.NewMail(p)
		}
		return nil
	}

	limits, err := office.ParseLimits(s.cfg.MailLimits)
	if err != nil {
		return fmt.Errorf("--mail-limit %w", err)
	}
	settings := office.Config{
		Outbox:      s.stores.sql,
		Readers:     s.stores.sql,
		DeadLetters: s.stores.sql,
		Payments:    s.stores.payments,
		Links:       s.stores.links,
		Ring:        s.ring,
		From:        s.cfg.MailFrom,
		PublicURL:   s.cfg.PublicURL,
		Limits:      limits,
		Now:         time.Now,
		Log:         s.log,
		Observe:     func(kind string, o mail.Status) { s.metrics.Mail(kind, string(o)) },
		Limited:     s.metrics.MailLimited,
	}

	// Only a process that sends needs the server.
	if s.cfg.mails() {
		server, err := smtp.Parse(s.cfg.MailURL)
		if err != nil {
			return errors.New("--mail-url: " + err.Error())
		}
		server.TLS = s.cfg.MailTLS
		carrier := smtp.New(server)
		s.closers = append(s.closers, carrier.Close)
		settings.Carrier = carrier
	}

	// The service itself runs without a server too: preferences and refusals need none.
	local := office.New(settings)
	s.mail = local
	s.serve(func(r *rpc.Server) { rpc.ServeMail(r, local) })
	if !s.cfg.mails() {
		return nil
	}

	// Before the consumer runs: its place in the feed, and the claims that an earlier process left.
	if err := s.stores.sql.BeginAtEnd(ctx, sqlstore.MailConsumer); err != nil {
		return err
	}
	if err := s.stores.sql.ReleaseMails(ctx); err != nil {
		return err
	}

	// The consumer writes emails about events into the outbox, and the postman sends what is due
	// there.
	s.background["mails"] = func(ctx context.Context) error {
		return s.stores.sql.Consume(ctx, sqlstore.MailConsumer, local.Handle)
	}
	s.background["mail worker"], s.background["old mails"] = local.Run, local.RunPrune
	s.background["parked webhooks"] = func(ctx context.Context) error {
		return s.stores.sql.Alone(ctx, "parked webhooks", local.RunDeadLetters)
	}
	s.mailGauges()
	return nil
}

// mailGauges exports how many emails are due or were given up.
func (s *services) mailGauges() {
	s.metrics.Mails()
	read := gauge(func(ctx context.Context) (int64, error) { return s.stores.sql.CountDueMails(ctx, time.Now()) })
	s.metrics.Gauge("paylink_mails_due", "Emails that are due and not sent.", nil, read)
	s.metrics.Gauge("paylink_mails_parked", "Emails of the last 30 days that are no longer retried.", nil, gauge(s.stores.sql.CountDeadMails))
	s.metrics.Gauge("paylink_stream_lag", "Events that the consumer has not handled.", map[string]string{"consumer": sqlstore.MailConsumer},
		gauge(func(ctx context.Context) (int64, error) { return s.stores.sql.Lag(ctx, sqlstore.MailConsumer) }))
}
