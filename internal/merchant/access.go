package merchant

import (
	"context"
	"encoding/json"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/mail"
)

// Ways of signing up.
const (
	Open           = "open"       // whoever comes
	ByInvitation   = "invitation" // who holds an invitation
	Closed         = "closed"     // nobody, invitations included
	maxAgentBytes  = 200
	maxListed      = 100 // sessions, invitations, users of an account in one list
	MaxPasskeys    = 10
	MaxInvitations = 50 // open ones of an account

	// BrowserLife bounds a session of the dashboard however much it is used, and
	// BrowserIdle how long it may lie unused.
	BrowserLife = 12 * time.Hour
	BrowserIdle = time.Hour

	ConfirmLife   = 48 * time.Hour
	ResetLife     = 30 * time.Minute
	InviteLife    = 7 * 24 * time.Hour
	proofLife     = 5 * time.Minute // between the two steps of a sign-in
	challengeLife = 5 * time.Minute // of a passkey's ceremony
)

// Kinds of a token.
const (
	KindConfirm   = "confirm"   // proves that a user reads an address
	KindReset     = "reset"     // sets a new password
	KindInvite    = "invite"    // signs up
	KindChallenge = "challenge" // a passkey's challenge that was answered
)

// Token is a secret for one use, kept as the SHA-256 of its 256 random bits.
type Token struct {
	ID        string // of an invitation; others have none
	Hash      []byte
	Kind      string
	User      string // whom it is for; of an invitation, who made it
	Account   string // that an invited user joins; "" is one of its own
	Email     string
	Mailed    bool // it went to the address and was shown to nobody else
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // zero: not
}

// Guard is what a user signs in with besides the password. A user who has none
// of it has no guard.
type Guard struct {
	User       string
	SealedTOTP []byte    // the secret, sealed for the user; nil: none
	TOTPOn     bool      // a code has confirmed the secret
	TOTPStep   int64     // the last step whose code was used: older ones are refused
	Recovery   [][]byte  // SHA-256 of the recovery codes that are left
	TOTPSince  time.Time // zero: off
	Passkeys   []Passkey
	Revision   int64 `json:"-"` // grows by one with every change; 0 is none yet
}

// Passkey is a credential of WebAuthn. Credential is the record that the library
// checks an answer against; it holds a public key and no secret.
type Passkey struct {
	ID         string // base64url of the credential's id
	Name       string
	Credential json.RawMessage `json:",omitempty"`
	CreatedAt  time.Time
	LastUsedAt time.Time // zero: never
}

// Guesses is how often somebody failed to prove who they are, and when last.
type Guesses struct {
	Failures int
	At       time.Time
}

// Change is one commit of what a user is let in by: all of its parts, or none.
// The zero value of a part leaves it out.
type Change struct {
	At      time.Time
	User    *User    // made; a taken username or address is ErrTaken
	Account *Account // made
	Session *Session // made
	// Guard is written if the stored revision is Guard.Revision; ErrChanged otherwise.
	Guard *Guard
	// Spend is a token, by kind and hash, that is used up by this; ErrToken if it is
	// not there, was used or has expired. A challenge is spent by being kept: ErrToken
	// if it is there.
	Spend  *Token
	Tokens []Token // made
	// Void uses up what is left of the kind for the user.
	Void, VoidUser string
	// Password is the user's new hash. If PasswordWas is set, a user who has another
	// hash by now is left alone.
	Password, PasswordUser, PasswordWas string
	// Confirmed is the user who has shown to read the address; a user who has
	// another address by now is left alone.
	Confirmed, ConfirmedEmail string
	// Revoke ends the user's sessions, except Keep.
	Revoke, Keep string
	// Forget drops the guesses of a key.
	Forget string
	Mails  []mail.Message // sealed
	Record *idempotency.Record
}

// AccessStore keeps what users are let in by. What is not there is fault.NotFound,
// unless it says otherwise.
type AccessStore interface {
	// Apply commits a change.
	Apply(context.Context, Change) error
	// GuardOf is the user's guard; the zero Guard, with the user, if there is none.
	GuardOf(ctx context.Context, user string) (Guard, error)
	TokenByHash(ctx context.Context, kind string, hash []byte) (Token, error)
	// LatestToken is the newest of the kind for the user, used ones too.
	LatestToken(ctx context.Context, kind, user string) (Token, error)
	// Invitations of the account that can be used, newest first.
	Invitations(ctx context.Context, account string, now time.Time, limit int) ([]Token, error)
	// WithdrawInvitation uses up one of the account's.
	WithdrawInvitation(ctx context.Context, account, id string, at time.Time) error
	UsersByAccount(ctx context.Context, account string, limit int) ([]User, error)
	// SessionsByUser is newest first: those that are not over.
	SessionsByUser(ctx context.Context, user string, now time.Time, limit int) ([]Session, error)
	// TouchSessions moves LastSeenAt forward, never back. Unknown ids are passed over.
	TouchSessions(context.Context, map[string]time.Time) error
	// GuessesOf a key; zero if there were none.
	GuessesOf(ctx context.Context, key string) (Guesses, error)
	// Guess counts one more failure. Older ones than since are forgotten first.
	Guess(ctx context.Context, key string, at, since time.Time) error
	// PruneTokens removes at most limit tokens that expired before, PruneGuesses
	// guesses older than that; they return how many.
	PruneTokens(ctx context.Context, before time.Time, limit int) (int, error)
	PruneGuesses(ctx context.Context, before time.Time, limit int) (int, error)
}

// Policy is what a page must know before anyone has signed in.
type Policy struct {
	SignUp   string // Open, ByInvitation, Closed
	Mail     bool   // addresses are confirmed, passwords are reset
	Passkeys bool   // the public URL has a host name that a passkey can be bound to
}

// SignInRequest opens a session.
type SignInRequest struct {
	Login, Password string
	OTP             string // a code of the authenticator, or a recovery code
	// TwoSteps asks for a proof where a code is missing, instead of ErrOTPRequired:
	// the second step sends Proof and OTP, and no password.
	TwoSteps bool
	Proof    string
	Client
}

// Client is where a session is used.
type Client struct {
	Browser bool   // a session of the dashboard: longer, and ended by idleness
	Agent   string // as the browser calls itself
	Address string // of which the network is kept, not the host
	Lang    string // of mails about it
}

// Ceremony is one half of a passkey's registration or sign-in: Options go to the
// browser, State comes back with its answer.
type Ceremony struct {
	Options json.RawMessage
	State   string
}

// Security is what a user has turned on.
type Security struct {
	TOTPSince    time.Time // zero: off
	RecoveryLeft int
	Passkeys     []Passkey // without their credentials
}

// TOTPOffer is a secret for an authenticator, shown until it is confirmed.
type TOTPOffer struct {
	Secret string // in base32
	URL    string // otpauth://, for a QR code
}

// Invitation lets somebody in.
type Invitation struct {
	ID        string
	Email     string
	Account   string // that is joined; "" is one of its own
	Payee     string // the account's name; "" for one of its own
	URL       string // where it is used; "" when it was mailed
	CreatedAt time.Time
	ExpiresAt time.Time
}

// InviteRequest asks for an invitation into the user's account.
type InviteRequest struct {
	User, Account string
	Email         string
	Lang          string
}

// Access is the part of the box that lets users in. A password is asked for again
// where a stolen session must not be enough.
type Access interface {
	Policy(context.Context) (Policy, error)

	// Sessions of the user that are not over, newest first.
	Sessions(ctx context.Context, user string) ([]Session, error)
	// EndSession ends one of the user's. EndSessions ends all but keep.
	EndSession(ctx context.Context, user, session string) error
	EndSessions(ctx context.Context, user, keep string) error

	// ChangePassword sets a new one and ends all sessions but keep.
	ChangePassword(ctx context.Context, user, keep, current, next, lang string) error
	// RequestReset mails a link to who has the address. The answer, and the time to
	// it, is the same for every address.
	RequestReset(ctx context.Context, email, lang string) error
	// Reset sets a new password by the token of such a link, and ends all sessions.
	Reset(ctx context.Context, token, next, lang string) error

	// SendConfirmation mails the link again, at most once a minute.
	SendConfirmation(ctx context.Context, user, lang string) error
	// Confirm marks the address as read by its user.
	Confirm(ctx context.Context, token string) error

	Security(ctx context.Context, user string) (Security, error)
	// BeginTOTP makes a secret, which does nothing until ConfirmTOTP has been given a
	// code of it. The answer of that is the recovery codes, shown once.
	BeginTOTP(ctx context.Context, user, password string) (TOTPOffer, error)
	ConfirmTOTP(ctx context.Context, user, code string) (recovery []string, err error)
	// EndTOTP turns it off. RenewRecovery makes new recovery codes; the old are void.
	EndTOTP(ctx context.Context, user, password string) error
	RenewRecovery(ctx context.Context, user, password string) ([]string, error)

	BeginPasskey(ctx context.Context, user, password string) (Ceremony, error)
	AddPasskey(ctx context.Context, user, name, state string, answer []byte) (Passkey, error)
	RenamePasskey(ctx context.Context, user, passkey, name string) error
	RemovePasskey(ctx context.Context, user, passkey string) error
	// BeginPasskeySignIn needs nobody's name: the authenticator says who it is of.
	BeginPasskeySignIn(context.Context) (Ceremony, error)
	SignInPasskey(ctx context.Context, state string, answer []byte, c Client) (SignedIn, error)

	// Invite lets an address into the user's account.
	Invite(context.Context, InviteRequest) (Invitation, error)
	Invitations(ctx context.Context, account string) ([]Invitation, error)
	WithdrawInvitation(ctx context.Context, account, id string) error
	// Invitation reads one by its token.
	Invitation(ctx context.Context, token string) (Invitation, error)
	// Users of an account.
	Users(ctx context.Context, account string) ([]User, error)
}
