// Package mail is the contract of the mails that paylink sends: what a mail is,
// the outbox where it waits, and what people may say about being written to.
//
// A mail is written in the commit of what it tells of, sealed, with an id that
// follows from that; a repetition is the same mail. One process claims it for a
// while, hands it to the mail server, and records the outcome. A crash before the
// outcome is recorded makes the next one send it again under the same Message-ID:
// at least once, never lost. What a mail said is erased once it is sent or given up.
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

// Kinds of mail, and the members of Data that each needs.
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
	Parked           = "parked"            // url, count
	PaymentHeld      = "payment_held"      // payment; or since: several together
	DisputeOpened    = "dispute_opened"    // payment, dispute; or since: several together
)

// Optional are the kinds that their reader may turn off, in the order in which
// they are shown. The others belong to an account or a payment.
var Optional = []string{PaymentHeld, DisputeOpened, Expiring, EndpointDisabled, Parked}

// Status of a mail.
type Status string

// The statuses. A parked mail was given up and waits for a person; a dropped one
// was withdrawn, refused by its reader, or of no use any more.
const (
	Waiting Status = "waiting"
	Sent    Status = "sent"
	ParkedS Status = "parked"
	Dropped Status = "dropped"
)

// Message is one mail to one reader. It is written sealed: call Seal.
type Message struct {
	ID       string // mail_…; derived from what it tells of, so that it is written once
	Account  string
	Mode     string // "" where there is none
	To       string // an address, or a user's id: the address and the wishes of then
	Kind     string
	Lang     string            // of the reader; "" leaves it to the user's preferences
	Data     map[string]string // what the text needs; nil once sealed
	DueAt    time.Time         // zero: at once
	EndsAt   time.Time         // of no use from then on; zero: for ever
	Withdraw string            // names the mails that can be withdrawn together
	Reader   string            // spelling.EmailKey of a payer's address, for Limit; "" for users, and until AdmitMail

	// Kept by the outbox.
	Sealed    []byte // Data; nil once the mail has ended
	Status    Status
	Attempt   int
	Error     string // "code: sentence" of the last try
	CreatedAt time.Time
	EndedAt   time.Time // sent, parked or dropped; zero: waits
}

// ErrSealed says that a message cannot be opened.
var ErrSealed = errors.New("the mail was sealed by none of our keys, or altered")

// Seal is the message as it may lie in a store.
func (m Message) Seal(ring *keyring.Ring) (Message, error) {
	raw, err := json.Marshal(m.Data)
	if err != nil {
		return m, err
	}
	if len(raw) > MaxDataBytes {
		return m, fmt.Errorf("mail %s holds %d bytes, and at most %d", m.ID, len(raw), MaxDataBytes)
	}
	m.Sealed, m.Data = ring.Seal(keyring.MailSeal, raw, about(m.ID)), nil
	return m, nil
}

// Open is the message with its Data.
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

func about(mail string) []byte { return []byte("mail\x00" + mail) }

// NewID is the id of the mail of a kind about a thing: of one reader, if the thing
// has several.
func NewID(thing, kind, to string) string { return id.Derive(id.Mail, thing, kind+"\x00"+to) }

// Limit bounds how many mails of a kind may be written since a moment; Kind "" counts
// every mail to a payer, which are those with a Reader. Account, Mode, To and Reader
// restrict what is counted; "" counts all.
type Limit struct {
	Kind, Account, Mode, To, Reader string
	Since                           time.Time
	Most                            int
}

// TooMany is what a store answers past a limit.
func TooMany(after time.Duration) error {
	f := fault.New(fault.KindRateLimited, "too_many_mails", "Too many mails were sent for now; send this one later.")
	f.RetryAfter = after
	return f
}

// Outcome of a try to send a mail.
type Outcome struct {
	ID     string
	Status Status    // Waiting: another try at NextAt
	Error  string    // "" when it was sent
	NextAt time.Time // of a Waiting one
	At     time.Time
	Unsent bool // of a Waiting one: nothing was handed over, and the try does not count
}

// Outbox keeps mails. All of a call, or none.
type Outbox interface {
	// PutMails is repeatable: a mail whose id is there stays as it is. An unsealed
	// one is refused.
	PutMails(context.Context, []Message) error
	// PutMailWithin is PutMails of one, unless a limit is reached: TooMany.
	PutMailWithin(ctx context.Context, m Message, limits []Limit) error
	// AdmitMail notes the reader of a mail that was written before its address was
	// known, unless a limit is reached: TooMany. It is repeatable.
	AdmitMail(ctx context.Context, m Message, reader string, limits []Limit) error
	// WithdrawMails drops those of the account that wait under the key.
	WithdrawMails(ctx context.Context, account string, keys []string, at time.Time) error
	// DueMails wait and are due: the longest first, and every account's first before
	// any account's second. One that cannot be read is parked.
	DueMails(ctx context.Context, now time.Time, limit int) ([]Message, error)
	// ClaimMails takes those that nobody claimed since they were read, until a
	// time from which on another may; it counts the attempt, and returns them.
	ClaimMails(ctx context.Context, due []Message, until time.Time) ([]Message, error)
	// SettleMails records what became of tries. A mail that has ended stays so.
	SettleMails(context.Context, []Outcome) error
	// Mails of an account, newest id first, strictly older than before, without
	// what they say.
	Mails(ctx context.Context, account, before string, limit int) ([]Message, error)
	// PruneMails removes at most limit mails that ended before, and returns how many.
	PruneMails(ctx context.Context, before time.Time, limit int) (int, error)
}

// Preferences of a user: the kinds of Optional that are not sent, and a language
// ("" is that of the address's first mail: English).
type Preferences struct {
	User string
	Lang string
	Off  []string
}

// Wants reports whether a kind may be sent.
func (p Preferences) Wants(kind string) bool { return !slices.Contains(p.Off, kind) }

// Reader is a user as the mails see one.
type Reader struct {
	Preferences
	Account   string
	Address   string
	Confirmed bool // the user opened a link that was mailed there
}

// ParkedEndpoint is one that webhooks were given up for.
type ParkedEndpoint struct {
	Account, Mode string
	Endpoint, URL string
	Count         int
}

// Readers keeps who is written to, and what they said about it.
type Readers interface {
	// Readers of an account's mails.
	Readers(ctx context.Context, account string) ([]Reader, error)
	// Reader by user; unknown is fault.NotFound.
	Reader(ctx context.Context, user string) (Reader, error)
	// PutPreferences replaces them.
	PutPreferences(context.Context, Preferences) error
	// Refuse keeps an account from sending links to an address (by its
	// spelling.EmailKey); Refuses reports it.
	Refuse(ctx context.Context, account, address string, at time.Time) error
	Refuses(ctx context.Context, account, address string) (bool, error)
	// TimeZone is the name of an account's zone; "" is UTC, as for an unknown account.
	TimeZone(ctx context.Context, account string) (string, error)
}

// Letter is a mail as it is handed to a mail server.
type Letter struct {
	ID          string // its Message-ID is made of it
	From, To    string
	Subject     string
	Text, HTML  string
	Lang        string
	Unsubscribe string // URL for one click (RFC 8058); "": there is none
	At          time.Time
}

// ErrPermanent wraps a refusal of a mail that another try would meet again.
var ErrPermanent = errors.New("the mail server refuses this mail for good")

// Carrier hands letters to a mail server. It returns nil when the server has taken
// the letter, and an error that is ErrPermanent when it never will. After any other
// error the letter may have been taken all the same.
type Carrier interface {
	Carry(context.Context, Letter) error
}

// Service is the box as the gateway asks it.
type Service interface {
	// Ready reports whether mail is set up: without it nothing is sent.
	Ready(context.Context) (bool, error)
	// SendLink writes a link to its payer. A fault: link_…, address_invalid,
	// too_many_mails, mail_refused, mail_unavailable.
	SendLink(ctx context.Context, account, mode, link, to, lang string) error
	// Preferences of a user; SetPreferences replaces them.
	Preferences(ctx context.Context, user string) (Preferences, error)
	SetPreferences(context.Context, Preferences) error
	// Subscription tells what a one-click link is about and changes nothing;
	// Unsubscribe ends it, and is repeatable. Fault token_invalid.
	Subscription(ctx context.Context, token string) (Subscription, error)
	Unsubscribe(ctx context.Context, token string) (Subscription, error)
	// Mails of an account, newest first.
	Mails(ctx context.Context, account, before string, limit int) ([]Message, error)
}

// Subscription is what a one-click link ends: one kind of mail to a user, or the
// links that an account sends to an address.
type Subscription struct {
	User, Account string
	Address       string
	Kind          string
	Lang          string
	Ended         bool
}

// Unavailable is the answer where no mail server is configured.
func Unavailable() error {
	return fault.New(fault.KindConflict, "mail_unavailable", "No mail can be sent: the operator has not set up a mail server.")
}
