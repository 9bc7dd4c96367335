// Package issuer is the contract with whoever authorises a card: a Connector
// speaks one network or provider. issuertest holds the suite that every
// connector passes.
//
// The rule that everything rests on: the reference of a call is committed by
// the caller before the call leaves, and every answer is exactly one Outcome.
// A connector never guesses: if the request may have reached the issuer and no
// clear answer came back, the outcome is Ambiguous.
package issuer

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/money"
)

// Outcome of a call.
type Outcome uint8

// The outcomes. NotFound and Pending are answers of Lookup alone; Reversed is an
// answer of Reverse and Lookup.
const (
	Ambiguous      Outcome = iota // sent, or maybe sent, and no clear answer
	Approved                      // done, for Answer.Amount
	Declined                      // refused, with the issuer's code
	ActionRequired                // the payer must pass a challenge at Answer.ActionURL
	NotSent                       // proved: no byte of the request reached the issuer
	Reversed                      // nothing is, or will ever be, authorised under the reference
	NotFound                      // the issuer has never seen the reference
	Pending                       // the issuer is still working on it
)

var outcomeNames = [...]string{"ambiguous", "approved", "declined", "action required", "not sent", "reversed", "not found", "pending"}

func (o Outcome) String() string { return outcomeNames[o] }

// Answer of an issuer to a call, an inquiry, or by a notice.
type Answer struct {
	Outcome         Outcome
	IssuerReference string       // the issuer's own id of what it did
	Amount          money.Amount // approved amount, as the issuer states it
	Captured        bool         // approved and captured in one step
	Code            string       // decline code, see Decline codes below
	Message         string       // the issuer's words, for the merchant
	ActionURL       string       // absolute, or a path on our own public URL
	At              time.Time    // when the issuer decided; zero when it does not say
}

// Decline codes that every connector maps its issuer's codes to (after the
// response codes of ISO 8583 field 39).
const (
	CodeDeclined          = "card_declined"         // 05
	CodeInsufficientFunds = "insufficient_funds"    // 51
	CodeLost              = "lost_card"             // 41
	CodeStolen            = "stolen_card"           // 43
	CodeExpired           = "expired_card"          // 54
	CodeIncorrectCVC      = "incorrect_cvc"         // N7
	CodeProcessing        = "processing_error"      // 96
	CodeAuthentication    = "authentication_failed" // 3-D Secure challenge failed
)

// Gone is the code of an answer that stands for an issuer which is not in the
// configuration: nobody was asked.
const Gone = "issuer_gone"

// Authorization asks the issuer for money.
type Authorization struct {
	Reference string // ours, unique for ever; the key of Lookup and Reverse
	Amount    money.Amount
	Card      Card
	Capture   bool      // capture in the same step (automatic capture)
	Statement string    // what the payer reads on the statement
	ReturnURL string    // where a challenge sends the payer back to
	ExpiresAt time.Time // when the payer's offer ends
	Challenge bool      // the payer is to be challenged (3-D Secure) before anything is approved
}

// Operation acts on an authorised reference: capture, reverse or refund. ID is
// ours, unique for ever: the same operation sent twice happens once.
type Operation struct {
	ID            string
	Authorization string // the reference of the authorisation
	Amount        money.Amount
}

// Capabilities of a connector.
type Capabilities struct {
	Types      []string // payment method types: "card"
	Currencies []money.Currency
	MinMinor   int64
	MaxMinor   int64
	Test       bool // serves test mode; false serves live mode
}

// Connector to one issuer. Calls are safe for concurrent use and obey ctx's
// deadline. Every call may be repeated with the same reference or id without a
// second effect.
type Connector interface {
	Name() string
	Capabilities() Capabilities
	// Authorize answers Approved, Declined, ActionRequired, NotSent or Ambiguous.
	Authorize(context.Context, Authorization) Answer
	// Capture and Refund answer Approved, Declined, NotSent or Ambiguous.
	Capture(context.Context, Operation) Answer
	Refund(context.Context, Operation) Answer
	// Reverse makes sure that nothing is authorised under the reference, also
	// when the original arrives later: Reversed, Declined (already captured),
	// NotSent or Ambiguous.
	Reverse(context.Context, Operation) Answer
	// Lookup asks what became of an authorisation reference, or of an
	// operation's ID: Approved, Declined, ActionRequired, Reversed, NotFound,
	// Pending, NotSent or Ambiguous.
	Lookup(ctx context.Context, reference string) Answer
}

// Notice is what the issuer sends on its own, later or again: an answer, or word of
// a dispute.
type Notice struct {
	Reference string // of the authorisation
	Answer    Answer
	Dispute   *Dispute // set: the notice is about it alone, and Answer says nothing
}

// Dispute is a payer's objection, as the issuer tells of it. Reason and State are in
// the words of package payment.
type Dispute struct {
	Reference     string // the issuer's own name of it
	Amount        money.Amount
	Reason        string
	State         string
	EvidenceDueAt time.Time
}

// Notifier is the optional power of a connector that receives notices. OnNotice
// is called once, before the first Authorize; handle returns nil when the notice
// is dealt with for good, and the issuer repeats it otherwise.
type Notifier interface {
	OnNotice(handle func(context.Context, Notice) error)
}
