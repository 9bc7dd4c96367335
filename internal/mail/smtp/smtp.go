// Package smtp passes mails to a mail server: RFC 5321 under TLS, over a few connections that
// are kept and reused.
//
// A mail that the server has accepted is sent, even if the connection breaks right after. If it
// breaks before the server's answer, the outcome is unknown: the mail is sent again under the
// same Message-ID, and a reader may get it twice, never zero times. A permanent refusal (5xx
// about the reader or the mail) is mail.ErrPermanent; everything else, even a failed sign-in,
// may be tried again.
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
	wire "github.com/wneessen/go-mail/smtp"

	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/spelling"
)

// Limits.
const (
	MaxConnections  = 4
	maxUses         = 100 // mails over one connection
	maxIdle         = 20 * time.Second
	connectTimeout  = 15 * time.Second // until the server has greeted us and let us in
	sendTimeout     = 60 * time.Second // for one mail
	maxReasonBytes  = 300              // of a server's answer
	submissionPort  = 587
	submissionsPort = 465
)

// Config is the configuration of a Carrier, as Parse reads it.
type Config struct {
	Host     string
	Port     int
	User     string
	Password string
	Security Security
	TLS      *tls.Config // nil: the system's authorities; for tests
}

// Security is the security of the connection.
type Security uint8

// The kinds of security. Plain is for a relay on the same machine.
const (
	StartTLS Security = iota
	ImplicitTLS
	Plain
)

// Parse reads smtp://user:password@host:587 (STARTTLS, which the server must offer),
// smtps://… (TLS from the start, port 465), or smtp://…?tls=off. A password without TLS is
// accepted only for this machine. Errors do not repeat the URL, which may contain a
// password.
func Parse(raw string) (Config, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || (u.Path != "" && u.Path != "/") || u.Fragment != "" {
		return Config{}, errors.New("want smtp://USER:PASSWORD@HOST:PORT or smtps://…")
	}

	c := Config{Host: u.Hostname(), User: u.User.Username()}
	c.Password, _ = u.User.Password()
	query := u.Query()
	switch off := query.Get("tls"); {
	case u.Scheme == "smtps" && len(query) == 0:
		c.Security, c.Port = ImplicitTLS, submissionsPort
	case u.Scheme == "smtp" && len(query) == 0:
		c.Port = submissionPort
	case u.Scheme == "smtp" && len(query) == 1 && off == "off":
		c.Security, c.Port = Plain, submissionPort
		if c.User != "" && !loopback(c.Host) {
			return Config{}, errors.New("a password is sent to another machine only over TLS: omit ?tls=off")
		}
	default:
		return Config{}, errors.New("want smtp:// or smtps://, with no parameter but ?tls=off")
	}

	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return Config{}, errors.New("want a port from 1 to 65535")
		}
		c.Port = int(n)
	}

	return c, nil
}

// loopback reports whether a host is this machine.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || (ip != nil && ip.IsLoopback())
}

// CheckFrom checks the sender's address: a bare one, or Name <address>. The error says
// which form is wanted.
func CheckFrom(from string) error {
	_, err := sender(from)
	return err
}

// sender returns the sender's address as it is sent: its domain in ASCII.
func sender(from string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(from)
	if err == nil {
		a.Address, err = spelling.Email(a.Address)
	}
	if err != nil {
		return nil, errors.New("want an address, such as Payments <pay@shop.example>")
	}
	return a, nil
}

// Carrier implements mail.Carrier. Close it after use.
type Carrier struct {
	config Config
	slots  chan struct{} // one for each connection in use

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

var _ mail.Carrier = (*Carrier)(nil)

// conn is one session with the server.
type conn struct {
	client *gomail.Client
	wire   *wire.Client
	mu     sync.Mutex
	net    net.Conn
	uses   int
	since  time.Time // when it became idle
}

// New returns a carrier. It does not connect yet.
func New(c Config) *Carrier { return &Carrier{config: c, slots: make(chan struct{}, MaxConnections)} }

// Carry implements mail.Carrier. It waits for a free connection until ctx ends. A kept
// connection that turns out to be dead before the mail was offered is replaced once.
func (c *Carrier) Carry(ctx context.Context, l mail.Email) error {
	m, err := compose(l)
	if err != nil {
		return fmt.Errorf("%w: %w", mail.ErrPermanent, err)
	}

	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}

	// A server may have closed an idle connection without our noticing.
	s := c.take(time.Now())
	if s != nil && !s.checkConn(ctx) {
		s.close()
		s = nil
	}
	if s == nil {
		if s, err = c.connect(ctx); err != nil {
			return mail.ServerError{Err: fmt.Errorf("smtp_connect: %s", reason(err))}
		}
	}

	// Checked here, because the client would rewrite or refuse such an address in its own
	// way.
	if able, _ := s.wire.Extension("SMTPUTF8"); !able && needsUTF8(l) {
		c.give(s)
		return errUTF8
	}

	return c.send(ctx, s, m)
}

// errUTF8 is permanent: RFC 6531 has no other spelling for such an address, so no try can
// succeed.
var errUTF8 = fmt.Errorf(
	"%w: smtputf8_missing: the address has letters beyond ASCII before the @, and the mail server does not support such addresses (SMTPUTF8)",
	mail.ErrPermanent,
)

// needsUTF8 reports whether an address of the mail, with its domain in ASCII, still has
// characters beyond ASCII.
func needsUTF8(l mail.Email) bool {
	to, _ := spelling.Email(l.To)
	from, err := sender(l.From)
	beyond := func(c rune) bool { return c >= utf8.RuneSelf }
	return strings.ContainsFunc(to, beyond) || (err == nil && strings.ContainsFunc(from.Address, beyond))
}

// send offers the mail, and keeps the connection if it is still good. If ctx ends, the
// connection is closed, which ends the exchange. A mail that the server has accepted counts
// as sent, whatever happens after that.
func (c *Carrier) send(ctx context.Context, s *conn, m *gomail.Msg) error {
	stop := context.AfterFunc(ctx, s.close)
	_ = s.net.SetDeadline(time.Now().Add(sendTimeout))
	err := s.client.SendWithSMTPClient(s.wire, m)
	interrupted := !stop()

	s.uses++
	if err == nil && !interrupted {
		c.give(s)
		return nil
	}
	if m.IsDelivered() { // the failure came after the server had accepted it
		s.close()
		return nil
	}

	var refused *gomail.SendError
	if !interrupted && errors.As(err, &refused) && refused.ErrorCode() >= 400 && refused.Reason != gomail.ErrConnCheck {
		c.give(s) // an answer: the session goes on
	} else {
		s.close()
	}
	return verdict(err)
}

// verdict separates a permanent refusal from what may be tried again. Our sender address and
// sign-in are between the operator and the server: no mail is given up for them.
func verdict(err error) error {
	var refused *gomail.SendError
	if !errors.As(err, &refused) {
		return fmt.Errorf("smtp_failed: %s", reason(err))
	}
	code := refused.ErrorCode()
	switch {
	case code == 0:
		return fmt.Errorf("smtp_failed: %s", reason(err))
	case code == 421 || code == 530 || code == 535 || code == 538 || refused.Reason == gomail.ErrSMTPMailFrom:
		return mail.ServerError{Err: fmt.Errorf("smtp_%d: %s", code, reason(err))}
	case code >= 500:
		return fmt.Errorf("%w: smtp_%d: %s", mail.ErrPermanent, code, reason(err))
	}
	return fmt.Errorf("smtp_%d: %s", code, reason(err))
}

// reason returns a server's answer, shortened and on one line.
func reason(err error) string {
	text, _, _ := strings.Cut(err.Error(), ", affected ") // addresses belong in no log
	text = strings.Join(strings.Fields(strings.ToValidUTF8(text, "")), " ")
	if len(text) > maxReasonBytes {
		text = strings.ToValidUTF8(text[:maxReasonBytes], "") + "…"
	}
	return text
}

// take returns an idle connection, and closes those that are too old.
func (c *Carrier) take(now time.Time) *conn {
	c.mu.Lock()
	defer c.mu.Unlock()
	for len(c.idle) > 0 {
		s := c.idle[len(c.idle)-1]
		c.idle = c.idle[:len(c.idle)-1]
		if now.Sub(s.since) < maxIdle {
			return s
		}
		s.close()
	}
	return nil
}

// give puts a connection back, or ends it if it was used enough or the carrier is closed.
func (c *Carrier) give(s *conn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed || s.uses >= maxUses {
		s.quit()
		return
	}
	s.since = time.Now()
	c.idle = append(c.idle, s)
}

// Close closes the idle connections.
func (c *Carrier) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closed = true
	for _, s := range c.idle {
		s.quit()
	}
	c.idle = nil
	return nil
}

// connect opens a session: TLS, then the sign-in if there is one, all within
// connectTimeout. On an error nothing stays open.
func (c *Carrier) connect(ctx context.Context) (*conn, error) {
	s := &conn{}
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	settings := c.config.TLS.Clone()
	if settings == nil {
		settings = &tls.Config{MinVersion: tls.VersionTLS12}
	}

	settings.ServerName = c.config.Host
	// The dialer is ours, so that the connection can be closed from outside.
	options := []gomail.Option{gomail.WithPort(c.config.Port), gomail.WithTimeout(sendTimeout), gomail.WithTLSConfig(settings),
		gomail.WithDialContextFunc(func(ctx context.Context, network, address string) (net.Conn, error) {
			var d net.Dialer
			raw, err := d.DialContext(ctx, network, address)
			if err != nil {
				return nil, err
			}
			s.opened(raw)
			if c.config.Security != ImplicitTLS {
				return raw, nil
			}
			under := tls.Client(raw, settings)
			return under, under.HandshakeContext(ctx)
		})}

	switch c.config.Security {
	case StartTLS:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	case ImplicitTLS:
		options = append(options, gomail.WithSSL())
	case Plain:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	}

	var err error
	if s.client, err = gomail.NewClient(c.config.Host, options...); err != nil {
		return nil, err
	}

	stop := context.AfterFunc(ctx, func() { s.close() })
	if s.wire, err = s.client.DialToSMTPClientWithContext(ctx); err == nil {
		err = c.signIn(s.wire)
	}
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		s.close() // the client does not close a session that failed half way
		return nil, err
	}

	return s, nil
}

// signIn signs in, if there is a password, with the best method that the server offers. The
// connection is under TLS, or does not leave this machine.
func (c *Carrier) signIn(w *wire.Client) error {
	if c.config.User == "" {
		return nil
	}

	user, password, plain := c.config.User, c.config.Password, c.config.Security == Plain
	_, offered := w.Extension("AUTH")
	for _, way := range []struct {
		name string
		auth wire.Auth
	}{
		{"SCRAM-SHA-256", wire.ScramSHA256Auth(user, password)}, {"PLAIN", wire.PlainAuth("", user, password, c.config.Host, plain)},
		{"LOGIN", wire.LoginAuth(user, password, c.config.Host, plain)}, {"CRAM-MD5", wire.CRAMMD5Auth(user, password)},
	} {
		if slices.Contains(strings.Fields(offered), way.name) {
			return w.Auth(way.auth)
		}
	}

	return errors.New("the mail server supports no authentication method that we support")
}

// checkConn checks a kept connection, with a short timeout.
func (s *conn) checkConn(ctx context.Context) bool {
	stop := context.AfterFunc(ctx, s.close)
	_ = s.net.SetDeadline(time.Now().Add(connectTimeout))
	err := s.wire.Noop()
	return stop() && err == nil
}

// close may be called while the session is being opened, when its time is up.
func (s *conn) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.net != nil {
		_ = s.net.Close()
	}
}

// opened notes the connection, so that close can end the session before it is complete.
func (s *conn) opened(raw net.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.net = raw
}

// quit ends the session, without waiting long for the answer.
func (s *conn) quit() {
	_ = s.net.SetDeadline(time.Now().Add(time.Second))
	_ = s.wire.Quit()
	s.close()
}

// compose returns the message of RFC 5322: plain text, and the same as HTML. Its Message-ID
// derives from the mail's id, so a repetition has the same. An address that cannot be
// written is an error.
func compose(l mail.Email) (*gomail.Msg, error) {
	m := gomail.NewMsg(gomail.WithCharset(gomail.CharsetUTF8), gomail.WithEncoding(gomail.EncodingQP), gomail.WithNoDefaultUserAgent())
	from, err := sender(l.From)
	if err == nil {
		err = m.From(from.String())
	}
	if err != nil {
		return nil, errors.New("address_invalid: the sender's address cannot be sent to a mail server")
	}

	to, err := spelling.Email(l.To)
	if err == nil {
		err = m.To(to)
	}
	if err != nil {
		return nil, errors.New("address_invalid: the recipient's address is not one that a mail server accepts")
	}

	_, domain, _ := strings.Cut(from.Address, "@")
	m.SetMessageIDWithValue(l.ID + "@" + domain)
	m.SetDateWithValue(l.At)
	m.Subject(l.Subject)
	m.SetGenHeader("Auto-Submitted", "auto-generated") // holiday replies stay away (RFC 3834)
	if l.Lang != "" {
		m.SetGenHeader("Content-Language", l.Lang)
	}
	if l.Unsubscribe != "" {
		m.SetGenHeaderPreformatted("List-Unsubscribe", "<"+l.Unsubscribe+">")
		m.SetGenHeader("List-Unsubscribe-Post", "List-Unsubscribe=One-Click")
	}
	m.SetBodyString(gomail.TypeTextPlain, l.Text)
	m.AddAlternativeString(gomail.TypeTextHTML, l.HTML)
	return m, nil
}
