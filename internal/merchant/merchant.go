// Package merchant keeps the users of paylink and their sessions, accounts with their payment
// methods, and the API keys of an account.
//
// Passwords are stored as argon2id hashes, API secrets as SHA-256 hashes (they are 256 random
// bits, so a fast hash is right), credentials of issuers sealed.
//
// Every write is one call of a store, atomic with its idempotency record. idempotency.ErrRaced
// means that another request recorded the key first and that nothing was kept. A ticket's
// Render gets the same value that the call returns.
package merchant

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/keyring"
	"github.com/paylink/paylink/internal/money"
)

// Limits.
const (
	MinUsernameBytes = 3
	MaxUsernameBytes = 64
	MaxEmailBytes    = 254 // RFC 5321, as a path without its brackets
	MinPasswordChars = 12
	MaxPasswordChars = 256
	MaxPasswordBytes = 1024 // 256 characters of any script
	MaxNameChars     = 100
	MaxMethods       = 20
	MaxCredentials   = 20
	SessionLife      = time.Hour
	MaxGrace         = 7 * 24 * time.Hour
	MaxKeyPage       = 100
	MaxActivityPage  = 100

	maxCredentialKeyBytes   = 64
	maxCredentialValueBytes = 4096
)

// The modes of a key. Test and live data never meet.
const (
	Test = "test"
	Live = "live"
)

// User is a person who signs in. Username and Email are in lower case and unique.
type User struct {
	ID           string
	Account      string
	Username     string
	Email        string
	Date         time.Time // as the user entered it
	PasswordHash string
	CreatedAt    time.Time
	ConfirmedAt  time.Time // when the user confirmed Email; zero: not
}

// Account owns links, payments and keys.
type Account struct {
	ID        string
	Name      string // as payers read it
	Methods   []Method
	Revision  int64 // grows by one with every PutMethods; 1 when created
	CreatedAt time.Time
	// ConfirmedAt is when the first of its users confirmed an address; zero: none did.
	ConfirmedAt time.Time
	// TimeZone is the IANA name of the zone in which the account's days begin; "" is not chosen
	// yet, which means UTC.
	TimeZone string `json:",omitempty"`
	// TestOnly says that live mode waits for a confirmed address. It is not stored: the service
	// sets it, because it knows whether mail is configured.
	TestOnly bool `json:",omitempty"`
}

// Method is one way in which the account is paid. Its id is a function of account, type and
// issuer, so it never changes.
type Method struct {
	ID                string           `json:"id"`
	Type              string           `json:"type"`
	Issuer            string           `json:"issuer"`
	Currencies        []money.Currency `json:"currencies"`
	Enabled           bool             `json:"enabled"`
	SealedCredentials []byte           `json:"sealedCredentials,omitempty"`
}

// Key authenticates a merchant's backend.
type Key struct {
	ID            string
	Account       string
	Name          string
	Mode          string
	Scopes        []string
	Hash          []byte // SHA-256 of the secret
	PreviousHash  []byte // of the secret before the last rotation; nil: none
	PreviousUntil time.Time
	ExpiresAt     time.Time // zero: never
	LastUsedAt    time.Time // to the minute; zero: never
	RevokedAt     time.Time // zero: not
	CreatedAt     time.Time
	Revision      int64 // grows by one with every UpdateKey; 1 when created
}

// Session is a session of a signed-in user.
type Session struct {
	ID         string
	User       string
	Account    string
	CreatedAt  time.Time
	ExpiresAt  time.Time
	RevokedAt  time.Time // zero: not
	Browser    bool      // of the dashboard: it also ends when idle
	Agent      string    // as the browser or program calls itself
	Network    string    // the first bits of the address that signed in
	LastSeenAt time.Time // to the minute
}

// UserStore keeps users and accounts, which a Change makes. What does not exist is
// fault.NotFound. No username looks like an email: it has no @.
type UserStore interface {
	// UserByLogin returns the user with a username or email, in any spelling (LoginKey). A
	// login that was taken before LoginKey existed, exactly as it was stored, comes first.
	UserByLogin(ctx context.Context, login string) (User, error)
	UserByID(ctx context.Context, id string) (User, error)
	GetAccount(ctx context.Context, id string) (Account, error)
	// PutMethods replaces the methods if the account's revision is still the given one, and
	// fails with ErrChanged otherwise.
	PutMethods(ctx context.Context, account string, revision int64, m []Method, r *idempotency.Record) error
	// PutTimeZone sets the account's zone; with first, only if none was chosen. It ignores an
	// unknown account.
	PutTimeZone(ctx context.Context, account, zone string, first bool) error
}

// KeyStore keeps API keys. What does not exist is fault.NotFound.
type KeyStore interface {
	CreateKey(context.Context, Key, *idempotency.Record) error
	KeyByID(ctx context.Context, id string) (Key, error)
	// KeyByHash returns the key with that Hash or PreviousHash.
	KeyByHash(ctx context.Context, hash []byte) (Key, error)
	// KeysByAccount returns keys, newest first, those before an id ("" is the newest).
	KeysByAccount(ctx context.Context, account, before string, limit int) ([]Key, error)
	// UpdateKey writes all but LastUsedAt if the stored revision is Key.Revision, and
	// increments it; otherwise it fails with ErrChanged.
	UpdateKey(context.Context, Key, *idempotency.Record) error
	// TouchKeys moves LastUsedAt forward, never back. It ignores unknown ids.
	TouchKeys(context.Context, map[string]time.Time) error
}

// SessionStore keeps sessions, which a Change makes. What does not exist is fault.NotFound.
type SessionStore interface {
	SessionByID(ctx context.Context, id string) (Session, error)
	// RevokeSession keeps the first RevokedAt.
	RevokeSession(ctx context.Context, id string, at time.Time) error
	// PruneSessions removes at most limit sessions that expired before the time, oldest first,
	// and returns how many.
	PruneSessions(ctx context.Context, before time.Time, limit int) (int, error)
}

// SignUpRequest is a request for a user with an account.
type SignUpRequest struct {
	Username, Email, Password string
	Date                      string // RFC 3339 or YYYY-MM-DD; "" is now
	Invitation                string // the token of one; "" is none
	Lang                      string // of the mail that asks to confirm the address
	TimeZone                  string // of a new account; "" is not chosen
	Address                   string // of the client; it is not stored
}

// SignedUp is the new user and account.
type SignedUp struct {
	User    User
	Account Account
}

// SignedIn is a session's token, shown once; or, between two steps, a proof that the password
// was right.
type SignedIn struct {
	Token   string
	Session Session
	Proof   string
	Device  string // the browser keeps it for DeviceLife and sends it as Client.Device; "" for programs
}

// CreateKeyRequest is a request for an API key.
type CreateKeyRequest struct {
	Account   string
	Name      string
	Mode      string
	Scopes    []string
	ExpiresAt string // RFC 3339; "" is never
}

// NewKey is a key with its secret, shown once.
type NewKey struct {
	Key    Key
	Secret string
}

// MethodInput is a payment method as the merchant requests it.
type MethodInput struct {
	Type        string
	Issuer      string
	Currencies  []string
	Enabled     *bool             // nil is true
	Credentials map[string]string // nil keeps what is stored
}

// Service keeps users, accounts and keys. Local implements it.
type Service interface {
	SignUp(context.Context, SignUpRequest, *idempotency.Ticket) (SignedUp, error)
	SignIn(context.Context, SignInRequest, *idempotency.Ticket) (SignedIn, error)
	// Authenticate checks a session's token, and returns session and user.
	Authenticate(ctx context.Context, bearer string) (Session, User, error)
	SignOut(ctx context.Context, session string) error
	Me(ctx context.Context, user string) (User, Account, error)
	GetAccount(ctx context.Context, id string) (Account, error)
	// SetMethods replaces the payment methods of the account.
	SetMethods(ctx context.Context, account string, in []MethodInput, t *idempotency.Ticket) (Account, error)
	// SetTimeZone chooses the zone in which the account's days begin. Repeating it
	// changes nothing.
	SetTimeZone(ctx context.Context, account, zone string) (Account, error)
	// GuessTimeZone takes a browser's zone as the account's if none was chosen. It ignores a
	// name that is not a zone.
	GuessTimeZone(ctx context.Context, account, zone string) error

	CreateKey(context.Context, CreateKeyRequest, *idempotency.Ticket) (NewKey, error)
	// Keys returns keys, newest first, up to MaxKeyPage+1.
	Keys(ctx context.Context, account, before string, limit int) ([]Key, error)
	GetKey(ctx context.Context, account, id string) (Key, error)
	// RotateKey replaces the key's secret. The old one works for the grace period, 0 to
	// MaxGrace.
	RotateKey(ctx context.Context, account, id string, graceSeconds int64, t *idempotency.Ticket) (NewKey, error)
	// RevokeKey ends a key at once. Revoking again succeeds.
	RevokeKey(ctx context.Context, account, id string) (Key, error)
	// AuthenticateKey checks id and secret (HTTP Basic), AuthenticateSecret a
	// secret alone (Bearer).
	AuthenticateKey(ctx context.Context, id, secret string) (Key, error)
	AuthenticateSecret(ctx context.Context, secret string) (Key, error)

	// Activity returns what people and API keys did in the account, newest first, up to
	// MaxActivityPage+1.
	Activity(ctx context.Context, account string, f activity.Filter, limit int) ([]activity.Event, error)
	// Exported notes that the caller downloads data of the account. Call it before the first byte.
	Exported(ctx context.Context, account, what string) error

	// Clock returns the account's test clock, and MoveClock moves it forward. Other stores are
	// notified of the move afterwards.
	Clock(ctx context.Context, account string) (Clock, error)
	MoveClock(context.Context, ClockMove, *idempotency.Ticket) (Clock, error)

	Access
}

// Connector describes an issuer's connector.
type Connector struct {
	Name         string
	Capabilities issuer.Capabilities
}

// Config holds the dependencies of a Local. All but Log, Clocks, SignUp and Mails are required.
type Config struct {
	Users      UserStore
	Keys       KeyStore
	Sessions   SessionStore
	Clocks     ClockStore // nil: no test data lives ahead
	Access     AccessStore
	Activity   activity.Store
	SignUp     string // Open by default
	Mails      bool   // mails in the outbox are sent
	Ring       *keyring.Ring
	Connectors []Connector
	PublicURL  string // the issuer of session tokens
	Now        func() time.Time
	Log        *slog.Logger
}

// Local implements Service in this process. RunTouches, RunPrune and RunResets must run beside
// it.
type Local struct {
	users      UserStore
	keys       KeyStore
	sessions   SessionStore
	clocks     ClockStore
	access     AccessStore
	activity   activity.Store
	signUp     string
	mails      bool               // there is an outbox
	passkeys   *webauthn.WebAuthn // nil: the public URL has no host name
	resets     chan resetRequest
	ring       *keyring.Ring
	connectors []Connector
	public     string
	now        func() time.Time
	log        *slog.Logger
	hasher     *hasher
	turns      turns // of guesses

	mu       sync.Mutex
	touched  map[string]time.Time // last uses not written yet
	seen     map[string]time.Time // of sessions
	lockouts map[string]time.Time // when one was noted, by the key of its guesses
}

var _ Service = (*Local)(nil)

// New returns a Local.
func New(c Config) *Local {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Clocks == nil {
		c.Clocks = noClocks{}
	}
	if c.SignUp == "" {
		c.SignUp = Open
	}
	return &Local{
		users: c.Users, keys: c.Keys, sessions: c.Sessions, clocks: c.Clocks, access: c.Access, activity: c.Activity,
		signUp: c.SignUp, mails: c.Mails,
		ring: c.Ring, connectors: c.Connectors,
		public: c.PublicURL, now: c.Now, log: c.Log, hasher: newHasher(c.Now, c.Log), passkeys: relyingParty(c.PublicURL),
		resets:  make(chan resetRequest, maxResets),
		touched: make(map[string]time.Time), seen: make(map[string]time.Time), lockouts: make(map[string]time.Time),
	}
}

// HashingBusy returns how many requests got ErrBusy since the start.
func (l *Local) HashingBusy() int64 { return l.hasher.busy.Load() }

// time returns the current time, as precise as the API shows it.
func (l *Local) time() time.Time { return l.now().UTC().Truncate(time.Millisecond) }
