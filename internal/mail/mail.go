// Package mail is the contract of the mails that paylink sends: what a mail is, the outbox
// where it waits, and the preferences of its readers.
//
// A mail is written in the commit of the change that it reports, sealed, with an id that
// derives from that change, so a repetition is the same mail. One process claims it for a
// while, passes it to the mail server, and records the outcome. A crash before the outcome is
// recorded makes the next process send it again under the same Message-ID: at least once, never
// lost. The content of a mail is erased once it is sent or given up.
package mail

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/keyring"
)

// Bounds.
const (
	MaxAddressBytes = 254 // RFC 5321
	MaxDataBytes    = 16 << 10
	MaxPage         = 100
	Life            = 30 * 24 * time.Hour // of the record of a mail that was sent or given up
)

// The kinds of mail, with the members of Data that each needs.
const (
	Confirm          = "confirm"           // url
	Reset            = "reset"             // url, minutes
	Invite           = "invite"            // url, inviter
	PasswordChanged  = "password_changed"  // at
	NewSignIn        = "new_sign_in"       // at, agent
	Receipt          = "receipt"           // payment
	Refund           = "refund"            // payment, refund
	Link             = "link"              // link
	Expiring         = "expiring"          // link
	EndpointDisabled = "endpoint_disabled" // url, reason
	DeadLetter       = "parked"            // url, count
	PaymentHeld      = "payment_held"      // payment; or since: several together
	DisputeOpened    = "dispute_opened"    // payment, dispute; or since: several together
)

// Optional lists the kinds that their reader may turn off, in the order in which they are
// shown. The others belong to an account or a payment.
var Optional = []string{PaymentHeld, DisputeOpened, Expiring, EndpointDisabled, DeadLetter}

// Status is the state of a mail.
type Status string

// The statuses. A parked mail was given up and waits for a person. A dropped one was withdrawn,
// refused by its reader, or became useless.
const (
	Waiting          Status = "waiting"
	Sent             Status = "sent"
	DeadLetterStatus Status = "parked"
	Dropped          Status = "dropped"
)

// Message is one mail to one reader. Call Seal before storing it.
type Message struct {
	ID       string // mail_…; derived from what it reports, so that it is written once
	Account  string
	Mode     string // "" if there is none
	To       string // an address, or a user's id: the address and preferences are read on sending
	Kind     string
	Lang     string            // of the reader; "" leaves it to the user's preferences
	Data     map[string]string // what the text needs; nil once sealed
	DueAt    time.Time         // zero: at once
	EndsAt   time.Time         // useless from then on; zero: never
	Withdraw string            // names the mails that can be withdrawn together
	Reader   string            // spelling.EmailKey of a payer's address, for Limit; "" for users, and until AdmitMail
	Network  string            // spelling.Network of the payer who caused it, for Limit; "" if unknown, and until AdmitMail

	// Kept by the outbox.
	Sealed    []byte // Data; nil once the mail has ended
	Status    Status
	Attempt   int
	Error     string // "code: sentence" of the last try
	CreatedAt time.Time
	EndedAt   time.Time // sent, parked or dropped; zero: waiting
}

// ErrSealed means that a message cannot be opened.
var ErrSealed = errors.New("the email was not sealed by our keys, or was altered")

// Seal returns the message in the form that a store may keep: Data is sealed for this
// message alone and then dropped. It fails if Data is larger than MaxDataBytes.
func (m Message) Seal(ring *keyring.Ring) (Message, error) {
	raw, err := json.Marshal(m.Data)
	if err != nil {
		return m, err
	}
	if len(raw) > MaxDataBytes {
		return m, fmt.Errorf("email %s has %d bytes, and the limit is %d", m.ID, len(raw), MaxDataBytes)
	}

	m.Sealed, m.Data = ring.Seal(keyring.MailSeal, raw, about(m.ID)), nil
	return m, nil
}

// Open returns the message with its Data. It fails with ErrSealed.
func (m Message) Open(ring *keyring.Ring) (Message, error) {
	raw, err := ring.Unseal(keyring.MailSeal, m.Sealed, about(m.ID))
	if err != nil {
		return m, ErrSealed
	}
	if err := json.Unmarshal(raw, &m.Data); err != nil {
		return m, ErrSealed
	}
	return m, nil
}

// about binds sealed content to its mail.
func about(mail string) []byte { return []byte("mail\x00" + mail) }

// NewID returns the id of the mail of a kind about an object: of one reader, if the object has
// several.
func NewID(thing, kind, to string) string { return id.Derive(id.Mail, thing, kind+"\x00"+to) }

// Limit bounds how many mails of a kind may be written since a time. Kind "" counts every mail
// to a payer, which are those with a Reader. Account, Mode, To, Reader and Network restrict what
// is counted; "" counts all.
type Limit struct {
	Kind, Account, Mode, To, Reader, Network string
	Since                                    time.Time
	Most                                     int
}

// Bound returns what the limit bounds, for metrics: recipient, network or account.
func (l Limit) Bound() string {
	switch {
	case l.Reader != "" || l.To != "":
		return "recipient"
	case l.Network != "":
		return "network"
	}
	return "account"
}

// reached is the cause of TooMany: what the limit bounds.
type reached string

func (r reached) Error() string { return "the limit of the " + string(r) + " is reached" }

// TooMany returns the fault of a store past a limit.
func TooMany(l Limit, after time.Duration) error {
	f := fault.New(fault.KindRateLimited, "too_many_mails", "Too many emails were sent recently; send this one later.")
	f.RetryAfter, f.Cause = after, reached(l.Bound())
	return f
}

// ReachedBound returns the Bound of the limit that a store's error is about, or "".
func ReachedBound(err error) string {
	bound, _ := errors.AsType[reached](err)
	return string(bound)
}

// Outcome is the result of a try to send a mail.
type Outcome struct {
	ID     string
	Status Status    // Waiting: another try at NextAt
	Error  string    // "" if it was sent
	NextAt time.Time // of a Waiting one
	At     time.Time
	Unsent bool // of a Waiting one: nothing was sent, and the try does not count
}

// Outbox keeps mails. Each call is atomic.
type Outbox interface {
	// PutMails stores mails. It is repeatable: a mail whose id exists stays as it is. It
	// refuses an unsealed one.
	PutMails(context.Context, []Message) error
	// PutMailWithin is PutMails of one mail. It fails with TooMany if a limit is reached.
	PutMailWithin(ctx context.Context, m Message, limits []Limit) error
	// AdmitMail records the reader, and the network of m, of a mail that was written before its
	// address was known. It fails with TooMany if a limit is reached. It is repeatable.
	AdmitMail(ctx context.Context, m Message, reader string, limits []Limit) error
	// WithdrawMails drops the account's waiting mails under the keys.
	WithdrawMails(ctx context.Context, account string, keys []string, at time.Time) error
	// DueMails returns waiting mails that are due: the longest first, and every account's first
	// before any account's second. It parks one that can't be read.
	DueMails(ctx context.Context, now time.Time, limit int) ([]Message, error)
	// ClaimMails claims those of the mails that nobody has claimed since they were read, until
	// a time after which another process may. It counts the attempt, and returns the claimed
	// ones.
	ClaimMails(ctx context.Context, due []Message, until time.Time) ([]Message, error)
	// SettleMails records the outcomes of tries. A mail that has ended stays so.
	SettleMails(context.Context, []Outcome) error
	// Mails returns an account's mails, newest id first, strictly older than before, without
	// their content.
	Mails(ctx context.Context, account, before string, limit int) ([]Message, error)
	// PruneMails removes at most limit mails that ended before the time, and returns how many.
	PruneMails(ctx context.Context, before time.Time, limit int) (int, error)
}

// Preferences are a user's: the kinds of Optional that are not sent, and a language. ""
// leaves the language to each mail, and means English if the mail has none.
type Preferences struct {
	User string
	Lang string
	Off  []string
}

// Wants reports whether a kind may be sent.
func (p Preferences) Wants(kind string) bool { return !slices.Contains(p.Off, kind) }

// Reader is a user as a reader of mails.
type Reader struct {
	Preferences
	Account   string
	Address   string
	Confirmed bool // the user opened a link that was mailed there
}

// DeadLetterEndpoint is an endpoint with parked webhooks.
type DeadLetterEndpoint struct {
	Account, Mode string
	Endpoint, URL string
	Count         int
}

// Readers keeps the readers of mails and their preferences.
type Readers interface {
	// Readers returns the readers of an account's mails.
	Readers(ctx context.Context, account string) ([]Reader, error)
	// Reader returns the reader of a user, or fault.NotFound.
	Reader(ctx context.Context, user string) (Reader, error)
	// PutPreferences replaces a user's preferences.
	PutPreferences(context.Context, Preferences) error
	// TurnOff adds a kind of mail to those that a user does not want, in one write, so that no
	// concurrent change is lost. It is repeatable.
	TurnOff(ctx context.Context, user, kind string) error
	// Refuse keeps an account from sending mails of a kind to an address (by its
	// spelling.EmailKey): links, or receipts, which stands for refunds too. Refuses reports it.
	Refuse(ctx context.Context, account, address, kind string, at time.Time) error
	Refuses(ctx context.Context, account, address, kind string) (bool, error)
	// TimeZone returns the name of an account's zone; "" is UTC, and the result for an unknown
	// account.
	TimeZone(ctx context.Context, account string) (string, error)
}

// Email is a mail as it is passed to a mail server.
type Email struct {
	ID          string // its Message-ID is made of it
	From, To    string
	Subject     string
	Text, HTML  string
	Lang        string
	Unsubscribe string // URL for one click (RFC 8058); "" if there is none
	At          time.Time
}

// ErrPermanent wraps a refusal of a mail that another try would meet again.
var ErrPermanent = errors.New("the mail server permanently refused this email")

// ServerError is a failure of our own mail server, or of the way to it. It says nothing about the
// domain of the recipient.
type ServerError struct{ Err error }

func (e ServerError) Error() string { return e.Err.Error() }

// Unwrap returns the failure.
func (e ServerError) Unwrap() error { return e.Err }

// Carrier passes mails to a mail server. It returns nil when the server has accepted the mail,
// and an error that is ErrPermanent if it never will. After any other error the mail may have
// been accepted all the same.
type Carrier interface {
	Carry(context.Context, Email) error
}

// Service is the mail service as the gateway uses it.
type Service interface {
	// Ready reports whether mail is set up. Without it nothing is sent.
	Ready(context.Context) (bool, error)
	// SendLink mails a link to its payer. It fails with link_…, address_invalid,
	// too_many_mails, mail_refused or mail_unavailable.
	SendLink(ctx context.Context, account, mode, link, to, lang string) error
	// Preferences returns a user's preferences; SetPreferences replaces them.
	Preferences(ctx context.Context, user string) (Preferences, error)
	SetPreferences(context.Context, Preferences) error
	// Subscription returns what a one-click link is about and changes nothing. Unsubscribe ends
	// the subscription, and is repeatable. Both fail with token_invalid.
	Subscription(ctx context.Context, token string) (Subscription, error)
	Unsubscribe(ctx context.Context, token string) (Subscription, error)
	// Mails returns an account's mails, newest first.
	Mails(ctx context.Context, account, before string, limit int) ([]Message, error)
}

// Subscription is what a one-click link ends: one kind of mail to a user, or the links, or the
// receipts, that an account sends to an address.
type Subscription struct {
	User, Account string
	Address       string
	Kind          string
	Lang          string
	Ended         bool
}

// Unavailable returns the fault of an installation without a mail server.
func Unavailable() error {
	return fault.New(fault.KindConflict, "mail_unavailable", "Email is unavailable: the operator has not set up a mail server.")
}
