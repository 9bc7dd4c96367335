package merchant

import (
	"context"
	"encoding/json"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/mail"
)

// The ways of signing up.
const (
	Open           = "open"       // anyone
	ByInvitation   = "invitation" // holders of an invitation
	Closed         = "closed"     // nobody, not even with an invitation
	maxAgentBytes  = 200
	maxListed      = 100 // sessions, invitations, users of an account in one list
	MaxPasskeys    = 10
	MaxInvitations = 50 // open ones of an account

	// BrowserLife bounds a session of the dashboard however much it is used, and BrowserIdle
	// how long it may be unused.
	BrowserLife = 12 * time.Hour
	BrowserIdle = time.Hour

	ConfirmLife   = 48 * time.Hour
	ResetLife     = 30 * time.Minute
	InviteLife    = 7 * 24 * time.Hour
	proofLife     = 5 * time.Minute // between the two steps of a sign-in
	challengeLife = 5 * time.Minute // of a passkey's ceremony
)

// The kinds of a token.
const (
	KindConfirm   = "confirm"   // proves that a user reads an address
	KindReset     = "reset"     // sets a new password
	KindInvite    = "invite"    // signs up
	KindChallenge = "challenge" // a passkey's challenge that was answered
)

// Token is a secret for one use, stored as the SHA-256 of its 256 random bits.
type Token struct {
	ID        string // of an invitation; others have none
	Hash      []byte
	Kind      string
	User      string // the user it is for; of an invitation, the one who made it
	Account   string // that an invited user joins; "" is a new one
	Email     string
	Mailed    bool // it was mailed to the address and shown to nobody else
	CreatedAt time.Time
	ExpiresAt time.Time
	UsedAt    time.Time // zero: not
}

// Guard holds what a user signs in with besides the password. Most users have none.
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

// Guesses counts the guesses under one key that were wrong or are being compared, with the time of
// the last one.
type Guesses struct {
	Failures int
	At       time.Time
}

// Change is one commit of users, sessions and credentials: all of its parts, or none. The zero
// value of a part leaves it out.
type Change struct {
	At      time.Time
	User    *User    // made; a taken username or address is ErrTaken
	Account *Account // made
	Session *Session // made
	// Guard is written if the stored revision is Guard.Revision; otherwise Apply fails with
	// ErrChanged.
	Guard *Guard
	// Spend is a token, by kind and hash, that the change uses up. Apply fails with ErrToken if
	// it is missing, used or expired. A challenge is spent by storing it: ErrToken if it is
	// already stored.
	Spend  *Token
	Tokens []Token // made
	// Void uses up the user's remaining tokens of the kind.
	Void, VoidUser string
	// Password is the user's new hash. If PasswordWas is set and the user has another hash by
	// now, the password stays.
	Password, PasswordUser, PasswordWas string
	// Confirmed is the user who has confirmed the address. It has no effect if the user has
	// another address by now.
	Confirmed, ConfirmedEmail string
	// Revoke ends the user's sessions, except Keep.
	Revoke, Keep string
	// Forget deletes the guesses of these keys.
	Forget []string
	Mails  []mail.Message // sealed
	Record *idempotency.Record
}

// AccessStore keeps what users sign in with. What does not exist is fault.NotFound, unless a
// method says otherwise.
type AccessStore interface {
	// Apply commits a change.
	Apply(context.Context, Change) error
	// GuardOf returns the user's guard, or a zero Guard with the user if there is none.
	GuardOf(ctx context.Context, user string) (Guard, error)
	// Guards returns the guards of at most limit users whose id is greater than after, in the order
	// of the ids.
	Guards(ctx context.Context, after string, limit int) ([]Guard, error)
	TokenByHash(ctx context.Context, kind string, hash []byte) (Token, error)
	// LatestToken returns the user's newest token of the kind, even a used one.
	LatestToken(ctx context.Context, kind, user string) (Token, error)
	// Invitations returns the account's usable invitations, newest first.
	Invitations(ctx context.Context, account string, now time.Time, limit int) ([]Token, error)
	// WithdrawInvitation uses up an invitation of the account.
	WithdrawInvitation(ctx context.Context, account, id string, at time.Time) error
	UsersByAccount(ctx context.Context, account string, limit int) ([]User, error)
	// SessionsByUser returns the user's active sessions, newest first.
	SessionsByUser(ctx context.Context, user string, now time.Time, limit int) ([]Session, error)
	// TouchSessions moves LastSeenAt forward, never back. It ignores unknown ids.
	TouchSessions(context.Context, map[string]time.Time) error
	// GuessesOf returns the guesses of a key; zero if there were none.
	GuessesOf(ctx context.Context, key string) (Guesses, error)
	// PutGuesses replaces the guesses of a key if they are still was, and fails with ErrChanged
	// otherwise. Zero stands for none, before and after.
	PutGuesses(ctx context.Context, key string, was, is Guesses) error
	// PruneTokens removes at most limit tokens that expired before the time, and PruneGuesses
	// at most limit guesses older than that. They return how many.
	PruneTokens(ctx context.Context, before time.Time, limit int) (int, error)
	PruneGuesses(ctx context.Context, before time.Time, limit int) (int, error)
}

// Policy is what a page must know before anyone has signed in.
type Policy struct {
	SignUp   string // Open, ByInvitation, Closed
	Mail     bool   // addresses are confirmed, passwords are reset
	Passkeys bool   // passkeys work, because the public URL has a host name
}

// SignInRequest opens a session.
type SignInRequest struct {
	Login, Password string
	OTP             string // a code of the authenticator, or a recovery code
	// TwoSteps asks for a proof if the code is missing, instead of ErrOTPRequired. The second
	// step sends Proof and OTP, and no password.
	TwoSteps bool
	Proof    string
	Client
}

// Client describes the browser or program that uses a session.
type Client struct {
	Browser bool   // a session of the dashboard: longer, and ended by idleness
	Agent   string // as the browser calls itself
	Address string // its network is stored, not the whole address
	Lang    string // of mails to the user
	Device  string // the statement that the browser keeps; "" is none
}

// Ceremony is one half of a passkey's registration or sign-in: Options go to the browser, and
// State comes back with its answer.
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

// Invitation lets a person sign up.
type Invitation struct {
	ID        string
	Email     string
	Account   string // that is joined; "" is a new one
	Payee     string // the account's name; "" for a new one
	URL       string // where it is used; "" if it was mailed
	CreatedAt time.Time
	ExpiresAt time.Time
}

// InviteRequest asks for an invitation into the user's account.
type InviteRequest struct {
	User, Account string
	Email         string
	Lang          string
}

// Access is the part of the service that signs users in. Operations that a stolen session must
// not allow ask for the password again.
type Access interface {
	Policy(context.Context) (Policy, error)

	// Sessions returns the user's active sessions, newest first.
	Sessions(ctx context.Context, user string) ([]Session, error)
	// EndSession ends one of the user's sessions. EndSessions ends all but keep.
	EndSession(ctx context.Context, user, session string) error
	EndSessions(ctx context.Context, user, keep string) error

	// ChangePassword sets a new password and ends all sessions but keep.
	ChangePassword(ctx context.Context, user, keep, current, next, lang string) error
	// RequestReset mails a link to the user with the address. The answer, and its duration, is
	// the same for every address.
	RequestReset(ctx context.Context, email, lang string) error
	// Reset sets a new password with the token of such a link, and ends all sessions.
	Reset(ctx context.Context, token, next, lang string) error

	// SendConfirmation mails the link again, at most once a minute.
	SendConfirmation(ctx context.Context, user, lang string) error
	// Confirm marks the address as confirmed by its user.
	Confirm(ctx context.Context, token string) error

	Security(ctx context.Context, user string) (Security, error)
	// BeginTOTP makes a secret, which has no effect until ConfirmTOTP gets a code of it.
	// ConfirmTOTP returns the recovery codes, which are shown once.
	BeginTOTP(ctx context.Context, user, password string) (TOTPOffer, error)
	ConfirmTOTP(ctx context.Context, user, code string) (recovery []string, err error)
	// EndTOTP turns codes off. RenewRecovery makes new recovery codes and voids the old ones.
	EndTOTP(ctx context.Context, user, password string) error
	RenewRecovery(ctx context.Context, user, password string) ([]string, error)

	BeginPasskey(ctx context.Context, user, password string) (Ceremony, error)
	AddPasskey(ctx context.Context, user, name, state string, answer []byte) (Passkey, error)
	RenamePasskey(ctx context.Context, user, passkey, name string) error
	RemovePasskey(ctx context.Context, user, passkey string) error
	// BeginPasskeySignIn needs no login: the authenticator names the user.
	BeginPasskeySignIn(context.Context) (Ceremony, error)
	SignInPasskey(ctx context.Context, state string, answer []byte, c Client) (SignedIn, error)

	// Invite invites an address into the user's account.
	Invite(context.Context, InviteRequest) (Invitation, error)
	Invitations(ctx context.Context, account string) ([]Invitation, error)
	WithdrawInvitation(ctx context.Context, account, id string) error
	// Invitation returns an invitation by its token.
	Invitation(ctx context.Context, token string) (Invitation, error)
	// Users returns the users of an account.
	Users(ctx context.Context, account string) ([]User, error)
}
