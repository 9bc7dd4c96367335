// Package office writes and sends mails: it turns events into mails, answers the gateway
// (mail.Service), and sends what is in the outbox.
//
// Handle is the stream's consumer. The mails of a batch are durable before its checkpoint
// moves. Their ids derive from what they report, so a batch that comes again writes nothing
// twice. The content about a payment or a link is read on sending: a refund shows the current
// sum, and a link that was paid meanwhile is not mailed about.
package office

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/mail"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/spelling"
)

// Limits of what a merchant may cause to be sent to others.
const (
	linksPerHour    = 60  // of an account
	linksPerDay     = 300 // of an account
	linksPerAddress = 5   // a day, from all accounts together
	maxTokenChars   = 1024
	maxLangChars    = 35 // BCP 47 tags in use are shorter
)

// Config holds the dependencies of a Local. All but Observe are required; without a Carrier
// mail is not set up, and nothing is written.
type Config struct {
	Outbox      mail.Outbox
	Readers     mail.Readers
	DeadLetters DeadLetterReader
	Payments    PaymentReader
	Links       link.Reader
	Ring        *keyring.Ring
	Carrier     mail.Carrier
	From        string
	PublicURL   string // without a trailing slash
	Limits      Limits // zero: DefaultLimits
	Now         func() time.Time
	Log         *slog.Logger
	// Observe is called after every try; may be nil.
	Observe func(kind string, outcome mail.Status)
	// Limited is called when a limit is reached, with what it bounds (mail.Limit.Bound); may be
	// nil.
	Limited func(bound string)
}

// Limits bound the mails to payers in live mode within 24 hours: receipts, refunds and links,
// counted together.
type Limits struct {
	Account   int // that one account causes
	Recipient int // to one address, from all accounts together
	Network   int // that payers of one network cause (spelling.Network), at all accounts together
}

// DefaultLimits are several times what a million payments a month cause.
var DefaultLimits = Limits{Account: 50_000, Recipient: 20, Network: 2_000}

// maxLimit bounds a setting: each count reads as many rows.
const maxLimit = 1_000_000

// ParseLimits returns DefaultLimits with the settings, each NAME=COUNT. The error names the setting
// that is wrong.
func ParseLimits(settings []string) (Limits, error) {
	l := DefaultLimits
	named := map[string]*int{"account": &l.Account, "recipient": &l.Recipient, "network": &l.Network}
	for _, s := range settings {
		name, count, _ := strings.Cut(s, "=")
		n, err := strconv.Atoi(count)
		if named[name] == nil || err != nil || n < 1 || n > maxLimit {
			return l, fmt.Errorf("%q: want account, recipient or network, and a count of 1 to %d, such as account=50000", s, maxLimit)
		}
		*named[name] = n
	}
	return l, nil
}

// PaymentReader is the part of a payment store that the office reads.
type PaymentReader interface {
	GetPayment(ctx context.Context, account, id string) (payment.Payment, error)
	ListPayments(context.Context, payment.Filter) ([]payment.Payment, error)
}

// Local implements mail.Service in this process. With a Carrier, Run, RunPrune and RunDeadLetters
// run beside it, and Handle consumes the feed.
type Local struct {
	Config
	site    string // our host, as a reader knows it
	domains domains
	wake    chan struct{}
}

var _ mail.Service = (*Local)(nil)

// New returns a Local. It starts nothing and does no I/O.
func New(c Config) *Local {
	if c.Observe == nil {
		c.Observe = func(string, mail.Status) {}
	}
	if c.Limited == nil {
		c.Limited = func(string) {}
	}
	if c.Limits == (Limits{}) {
		c.Limits = DefaultLimits
	}
	l := &Local{Config: c, wake: make(chan struct{}, 1)}
	if u, err := url.Parse(c.PublicURL); err == nil {
		l.site = u.Host
	}
	return l
}

// Ready implements mail.Service.
func (l *Local) Ready(context.Context) (bool, error) { return l.Carrier != nil, nil }

// SendLink mails a link to its payer. The mail's id derives from link, address and day, so
// a repetition is the same mail. It fails as mail.Service says; nothing is written then.
// The limits are checked in the commit that writes the mail, so concurrent calls cannot
// exceed them.
func (l *Local) SendLink(ctx context.Context, account, mode, linkID, to, lang string) error {
	if l.Carrier == nil {
		return mail.Unavailable()
	}

	if err := issuer.NoNumber("to", to); err != nil {
		return err
	}
	to, err := spelling.Email(to)
	if err != nil {
		return fault.Invalid("to", "email_invalid", "to must be one email address of at most %d bytes, such as a@example.com.",
			mail.MaxAddressBytes)
	}
	// Limits count the person, whatever the spelling of the address.
	reader := spelling.EmailKey(to)
	if len(lang) > maxLangChars {
		lang = ""
	}

	now := l.Now().UTC()
	k, err := l.Links.GetLink(ctx, account, linkID)
	if err == nil && k.Mode != mode {
		err = fault.NotFound("link")
	}
	if err == nil {
		err = k.Unpayable(now)
	}
	if err == nil {
		to, err = l.mayWrite(ctx, account, mode, to)
	}
	if err != nil {
		return err
	}

	m, err := mail.Message{ID: mail.NewID(linkID, mail.Link, reader+"\x00"+now.Format(time.DateOnly)), Account: account, Mode: mode,
		To: to, Kind: mail.Link,
		Lang: i18n.For(lang).Tag(), Data: map[string]string{"link": linkID}, CreatedAt: now, EndsAt: k.ExpiresAt, Withdraw: linkID,
		Reader: reader}.Seal(l.Ring)
	if err != nil {
		return err
	}

	day := now.Add(-24 * time.Hour)
	limits := []mail.Limit{{Kind: mail.Link, Account: account, Since: now.Add(-time.Hour), Most: linksPerHour},
		{Kind: mail.Link, Account: account, Since: day, Most: linksPerDay}, {Kind: mail.Link, Reader: reader, Since: day, Most: linksPerAddress}}
	err = l.Outbox.PutMailWithin(ctx, m, append(limits, l.daily(account, reader, "")...))
	if bound := mail.ReachedBound(err); bound != "" {
		l.Limited(bound)
	}
	l.signal()
	return err
}

// Preferences implements mail.Service.
func (l *Local) Preferences(ctx context.Context, user string) (mail.Preferences, error) {
	r, err := l.Readers.Reader(ctx, user)
	return r.Preferences, err
}

// SetPreferences implements mail.Service. It fails with language_unknown, or with
// mail_kind_unknown for a kind that cannot be turned off.
func (l *Local) SetPreferences(ctx context.Context, p mail.Preferences) error {
	if p.Lang != "" && i18n.For(p.Lang).Tag() != p.Lang {
		return fault.Invalid("lang", "language_unknown", "lang must be a supported language.")
	}

	var off []string
	for _, kind := range mail.Optional { // each once, in one order
		if slices.Contains(p.Off, kind) {
			off = append(off, kind)
		}
	}

	for _, kind := range p.Off {
		if !slices.Contains(mail.Optional, kind) {
			return fault.Invalid("off", "mail_kind_unknown", "This kind of email cannot be turned off.")
		}
	}

	if _, err := l.Readers.Reader(ctx, p.User); err != nil {
		return err
	}

	p.Off = off
	return l.Readers.PutPreferences(ctx, p)
}

// Mails implements mail.Service. The limit is 1 to mail.MaxPage, plus one by which the
// caller sees that there is another page.
func (l *Local) Mails(ctx context.Context, account, before string, limit int) ([]mail.Message, error) {
	if limit < 1 || limit > mail.MaxPage+1 {
		return nil, fault.Invalid("limit", "limit_out_of_range", "limit must be 1 to %d.", mail.MaxPage)
	}
	if before != "" && !id.Valid(id.Mail, before) {
		return nil, fault.Invalid("cursor", "cursor_invalid", "Invalid cursor: pass nextCursor from a previous page.")
	}
	return l.Outbox.Mails(ctx, account, before, limit)
}

// ErrToken is the only error for one-click links that are not ours.
var ErrToken error = fault.New(fault.KindNotFound, "token_invalid", "This link is invalid or was altered.")

// ticket is the content of a one-click link, sealed: it needs no session, and nobody but us can
// make one or read whom it is about. It does not expire: an old mail must be able to end what
// it belongs to.
type ticket struct {
	User    string `json:"u,omitempty"`
	Kind    string `json:"k,omitempty"`
	Account string `json:"a,omitempty"`
	Address string `json:"t,omitempty"`
	Lang    string `json:"l,omitempty"`
}

// One-click links have one spelling, and their seal fits nothing else.
var (
	encoding    = base64.RawURLEncoding.Strict()
	aboutTicket = []byte("unsubscribe")
)

// unsubscribe returns the address of a one-click link.
func (l *Local) unsubscribe(t ticket) (string, error) {
	raw, err := json.Marshal(t)
	if err != nil {
		return "", err
	}
	return l.PublicURL + "/mail/" + encoding.EncodeToString(l.Ring.Seal(keyring.MailSeal, raw, aboutTicket)), nil
}

// ticket opens the token of a one-click link, or fails with ErrToken.
func (l *Local) ticket(token string) (t ticket, err error) {
	if len(token) > maxTokenChars {
		return t, ErrToken
	}

	sealed, err := encoding.DecodeString(token)
	if err != nil {
		return t, ErrToken
	}

	raw, err := l.Ring.Unseal(keyring.MailSeal, sealed, aboutTicket)
	if err != nil || json.Unmarshal(raw, &t) != nil {
		return ticket{}, ErrToken
	}
	if key := spelling.EmailKey(t.Address); key != "" { // for mails sent before addresses had one spelling
		t.Address = key
	}

	return t, nil
}

// Subscription implements mail.Service. It changes nothing. A user who is gone counts as
// ended.
func (l *Local) Subscription(ctx context.Context, token string) (mail.Subscription, error) {
	t, err := l.ticket(token)
	if err != nil {
		return mail.Subscription{}, err
	}

	s := mail.Subscription{User: t.User, Account: t.Account, Address: t.Address, Kind: t.Kind, Lang: t.Lang}
	if t.User == "" {
		s.Ended, err = l.Readers.Refuses(ctx, t.Account, t.Address, t.Kind)
		return s, err
	}

	r, err := l.Readers.Reader(ctx, t.User)
	if err != nil {
		if fault.KindOf(err) == fault.KindNotFound { // the user is gone: nothing is sent there
			s.Ended = true
			return s, nil
		}
		return s, err
	}

	s.Ended = !r.Wants(t.Kind)
	return s, nil
}

// Unsubscribe implements mail.Service. Each subscription ends in one write, so concurrent changes
// do not undo each other.
func (l *Local) Unsubscribe(ctx context.Context, token string) (mail.Subscription, error) {
	s, err := l.Subscription(ctx, token)
	if err != nil || s.Ended {
		return s, err
	}
	// An address without a user refuses the links, or the receipts, of one account; a user turns
	// off one kind of mail.
	if s.User == "" {
		err = l.Readers.Refuse(ctx, s.Account, s.Address, s.Kind, l.Now().UTC())
	} else {
		err = l.Readers.TurnOff(ctx, s.User, s.Kind)
	}

	s.Ended = err == nil
	return s, err
}

// signal wakes the sender in this process.
func (l *Local) signal() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// notFound reports whether an object does not exist.
func notFound(err error) bool { return fault.KindOf(err) == fault.KindNotFound }
