// Package mailtest is a mail server in the test process: a real one, that speaks SMTP with
// STARTTLS or TLS and asks for a password, and that a test can make refuse, disconnect, or
// hang.
package mailtest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"log"
	"math/big"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

// waitLimit bounds how long Next waits for a mail.
const waitLimit = 20 * time.Second

// Options of a server. If User is set, only that user may send.
type Options struct {
	Implicit   bool // TLS from the start
	NoStartTLS bool
	NoUTF8     bool // accepts only ASCII addresses, as a server without SMTPUTF8 does
	User       string
	Password   string
	// Listen is an address; "" is a free port of the loopback.
	Listen string
}

// Stage is a point of a conversation at which Script is called.
type Stage string

// The stages. After is when the mail has been read and not been answered yet.
const (
	From  Stage = "from"
	To    Stage = "to"
	After Stage = "after"
)

// ErrBreak makes the server close the connection instead of answering.
var ErrBreak = errors.New("the server breaks off")

// Refuse returns the error of a response such as 451 or 550.
func Refuse(code int, message string) error {
	return &smtp.SMTPError{Code: code, EnhancedCode: smtp.EnhancedCode{code / 100, 0, 0}, Message: message}
}

// Email is a mail as it arrived.
type Email struct {
	From, To string // of the envelope
	Header   mail.Header
	Subject  string // decoded
	Text     string
	HTML     string
	User     string // who sent it
}

// Server is a running mail server. It ends with the test.
type Server struct {
	options Options
	address string
	roots   *x509.CertPool
	smtp    *smtp.Server

	mu       sync.Mutex
	script   func(stage Stage, to string, n int) error
	counts   map[Stage]int
	sessions int
	open     int
	most     int
	emails   chan Email
}

// Start starts a server on the loopback. It stops when the test ends.
func Start(t testing.TB, o Options) *Server {
	t.Helper()
	certificate, roots := authority(t)
	s := &Server{options: o, roots: roots, counts: map[Stage]int{}, emails: make(chan Email, 10_000)}
	s.smtp = smtp.NewServer(smtp.BackendFunc(s.session))
	s.smtp.Domain, s.smtp.AllowInsecureAuth, s.smtp.EnableSMTPUTF8 = "mail.test", true, !o.NoUTF8
	s.smtp.ErrorLog = log.New(io.Discard, "", 0)
	if !o.NoStartTLS {
		s.smtp.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}

	if o.Listen == "" {
		// A free port, so that tests may run side by side.
		o.Listen = "127.0.0.1:0"
	}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", o.Listen)
	if err != nil {
		t.Fatal(err)
	}
	s.address = l.Addr().String()
	// TLS is under SMTP then, so the server must not offer STARTTLS.
	if o.Implicit {
		l = tls.NewListener(l, &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12})
		s.smtp.TLSConfig = nil
	}

	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = s.smtp.Serve(l)
	}()
	t.Cleanup(func() {
		_ = s.smtp.Close()
		<-done
	})
	return s
}

// authority returns a self-signed certificate for 127.0.0.1, and the pool that trusts it.
func authority(t testing.TB) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	// Its own authority, so that clients can verify it.
	form := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mail.test"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(24 * time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, DNSNames: []string{"localhost"},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// URL returns the server's URL for a client's configuration.
func (s *Server) URL() string {
	// The scheme and the query are those that smtp.Parse reads.
	u := url.URL{Scheme: "smtp", Host: s.address}
	switch {
	case s.options.Implicit:
		u.Scheme = "smtps"
	case s.options.NoStartTLS:
		u.RawQuery = "tls=off"
	}

	if s.options.User != "" {
		u.User = url.UserPassword(s.options.User, s.options.Password)
	}
	return u.String()
}

// Address returns HOST:PORT.
func (s *Server) Address() string { return s.address }

// TLS returns a configuration that trusts the server.
func (s *Server) TLS() *tls.Config {
	return &tls.Config{RootCAs: s.roots, MinVersion: tls.VersionTLS12}
}

// Script sets the response at each stage, for the n-th time (from 1) that it is reached;
// nil accepts. It may be called while the server runs, and begins the counts again.
func (s *Server) Script(f func(stage Stage, to string, n int) error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script, s.counts = f, map[Stage]int{}
}

// Connections returns how many there were, and how many at once.
func (s *Server) Connections() (all, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions, s.most
}

// Next waits for the next mail, in the order of arrival, and fails the test after
// waitLimit.
func (s *Server) Next(t testing.TB) Email {
	t.Helper()
	limit := time.NewTimer(waitLimit)
	defer limit.Stop()
	select {
	case l := <-s.emails:
		return l
	case <-limit.C:
		t.Fatal("no letter arrived")
		return Email{}
	}
}

// Waiting returns how many mails arrived and were not taken by Next.
func (s *Server) Waiting() int { return len(s.emails) }

// ask returns the script's response for a stage. The script runs without the lock, so it
// may call the server.
func (s *Server) ask(stage Stage, to string) error {
	s.mu.Lock()
	s.counts[stage]++
	f, n := s.script, s.counts[stage]
	s.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(stage, to, n)
}

// session begins a session of a new connection.
func (s *Server) session(c *smtp.Conn) (smtp.Session, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions++
	s.open++
	s.most = max(s.most, s.open)
	return &session{server: s, conn: c}, nil
}

// session is one connection of a client. Its calls come one after the other.
type session struct {
	server   *Server
	conn     *smtp.Conn
	user     string
	from, to string
	ended    bool
}

// AuthMechanisms implements smtp.AuthSession.
func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

// Auth implements smtp.AuthSession.
func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if o := s.server.options; user != o.User || password != o.Password {
			return smtp.ErrAuthFailed
		}
		s.user = user
		return nil
	}), nil
}

// answer returns the script's response, and closes the connection if that is ErrBreak.
func (s *session) answer(stage Stage) error {
	err := s.server.ask(stage, s.to)
	if errors.Is(err, ErrBreak) {
		_ = s.conn.Conn().Close()
	}
	return err
}

// Mail implements smtp.Session.
func (s *session) Mail(from string, _ *smtp.MailOptions) error {
	if s.server.options.User != "" && s.user == "" {
		return Refuse(530, "sign in first")
	}
	s.from = from
	return s.answer(From)
}

// Rcpt implements smtp.Session.
func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	s.to = to
	return s.answer(To)
}

// Data implements smtp.Session. A mail that is interrupted after it was read has arrived all
// the same: its sender cannot know.
func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}

	l, err := read(raw)
	if err != nil {
		return Refuse(554, err.Error())
	}

	l.From, l.To, l.User = s.from, s.to, s.user
	err = s.answer(After)
	// A mail whose response is lost counts as arrived.
	if err == nil || errors.Is(err, ErrBreak) {
		s.server.emails <- l
	}
	return err
}

// Reset implements smtp.Session.
func (s *session) Reset() { s.from, s.to = "", "" }

// Logout implements smtp.Session.
func (s *session) Logout() error {
	s.server.mu.Lock()
	defer s.server.mu.Unlock()
	// A connection that was closed may be logged out of more than once.
	if !s.ended {
		s.ended = true
		s.server.open--
	}
	return nil
}

// read parses a multipart/alternative mail. Any other form is an error, because paylink
// sends no other.
func read(raw []byte) (Email, error) {
	m, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return Email{}, err
	}

	l := Email{Header: m.Header}
	if l.Subject, err = new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject")); err != nil {
		return l, err
	}

	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		return l, errors.New("not a letter with alternatives")
	}

	for parts := multipart.NewReader(m.Body, parameters["boundary"]); ; {
		p, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return l, nil
		}
		if err != nil {
			return l, err
		}
		body, err := io.ReadAll(quotedprintable.NewReader(p))
		if err != nil {
			return l, err
		}
		// Lines end with CRLF on the way. Tests compare them as they were written.
		switch text := strings.ReplaceAll(string(body), "\r\n", "\n"); {
		case strings.HasPrefix(p.Header.Get("Content-Type"), "text/plain"):
			l.Text = text
		case strings.HasPrefix(p.Header.Get("Content-Type"), "text/html"):
			l.HTML = text
		}
	}
}
