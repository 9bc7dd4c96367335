package rpc

import (
	"context"

	"github.com/paylink/paylink/internal/mail"
)

// Mail is the client of mail.Service, which the notifier serves beside webhooks.
type Mail struct{ peer *Peer }

var _ mail.Service = (*Mail)(nil)

// NewMail returns the client.
func NewMail(p *Peer) *Mail { return &Mail{p} }

// sendLinkForm is a link to be sent, and its recipient.
type sendLinkForm struct {
	owned
	To, Lang string
}

// mailsForm is a page of an account's emails.
type mailsForm struct {
	Account, Before string
	Limit           int
}

// Ready implements mail.Service.
func (m *Mail) Ready(ctx context.Context) (bool, error) {
	return value(call[struct{}, bool](ctx, m.peer, "Ready", read, &struct{}{}))
}

// SendLink implements mail.Service. The email's id derives from the request, so it may be
// repeated.
func (m *Mail) SendLink(ctx context.Context, account, mode, link, to, lang string) error {
	_, err := call[sendLinkForm, struct{}](ctx, m.peer, "SendLink", harmless, &sendLinkForm{owned{account, mode, link}, to, lang})
	return err
}

// Preferences implements mail.Service.
func (m *Mail) Preferences(ctx context.Context, user string) (mail.Preferences, error) {
	return value(call[string, mail.Preferences](ctx, m.peer, "Preferences", read, &user))
}

// SetPreferences implements mail.Service.
func (m *Mail) SetPreferences(ctx context.Context, p mail.Preferences) error {
	_, err := call[mail.Preferences, struct{}](ctx, m.peer, "SetPreferences", harmless, &p)
	return err
}

// Subscription implements mail.Service.
func (m *Mail) Subscription(ctx context.Context, token string) (mail.Subscription, error) {
	return value(call[string, mail.Subscription](ctx, m.peer, "Subscription", read, &token))
}

// Unsubscribe implements mail.Service.
func (m *Mail) Unsubscribe(ctx context.Context, token string) (mail.Subscription, error) {
	return value(call[string, mail.Subscription](ctx, m.peer, "Unsubscribe", harmless, &token))
}

// Mails implements mail.Service.
func (m *Mail) Mails(ctx context.Context, account, before string, limit int) ([]mail.Message, error) {
	return value(call[mailsForm, []mail.Message](ctx, m.peer, "Mails", read, &mailsForm{account, before, limit}))
}

// ServeMail serves mail in the notifier.
func ServeMail(s *Server, svc mail.Service) {
	const name = NotifierService
	handle(s, name, "Ready", func(ctx context.Context, _ *struct{}) (*bool, error) {
		ready, err := svc.Ready(ctx)
		return &ready, err
	})
	handle(s, name, "SendLink", func(ctx context.Context, q *sendLinkForm) (*struct{}, error) {
		return &struct{}{}, svc.SendLink(ctx, q.Account, q.Mode, q.ID, q.To, q.Lang)
	})
	handle(s, name, "Preferences", func(ctx context.Context, user *string) (*mail.Preferences, error) {
		p, err := svc.Preferences(ctx, *user)
		return &p, err
	})
	handle(s, name, "SetPreferences", func(ctx context.Context, p *mail.Preferences) (*struct{}, error) {
		return &struct{}{}, svc.SetPreferences(ctx, *p)
	})
	handle(s, name, "Subscription", func(ctx context.Context, token *string) (*mail.Subscription, error) {
		sub, err := svc.Subscription(ctx, *token)
		return &sub, err
	})
	handle(s, name, "Unsubscribe", func(ctx context.Context, token *string) (*mail.Subscription, error) {
		sub, err := svc.Unsubscribe(ctx, *token)
		return &sub, err
	})
	handle(s, name, "Mails", func(ctx context.Context, q *mailsForm) (*[]mail.Message, error) {
		all, err := svc.Mails(ctx, q.Account, q.Before, q.Limit)
		return &all, err
	})
}
