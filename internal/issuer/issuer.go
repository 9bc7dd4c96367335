// Package issuer is the contract with the party that authorizes a card. A Connector speaks one
// network or provider. issuertest holds the suite that every connector passes.
//
// The rule that everything rests on: the caller commits the reference of a call before the call
// leaves, and every answer is exactly one Outcome. A connector never guesses: if the request
// may have reached the issuer and no clear answer came back, the outcome is Ambiguous.
package issuer

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/money"
)

// Outcome is the result of a call.
type Outcome uint8

// The outcomes. Only Lookup answers NotFound and Pending; only Reverse and Lookup answer
// Reversed.
const (
	Ambiguous      Outcome = iota // sent, or maybe sent, without a clear answer
	Approved                      // done, for Answer.Amount
	Declined                      // refused, with the issuer's code
	ActionRequired                // the payer must pass a challenge at Answer.ActionURL
	NotSent                       // proved: no byte of the request reached the issuer
	Reversed                      // nothing is, or ever will be, authorized under the reference
	NotFound                      // the issuer has never seen the reference
	Pending                       // the issuer is still working on it
)

var outcomeNames = [...]string{"ambiguous", "approved", "declined", "action required", "not sent", "reversed", "not found", "pending"}

// String returns the outcome for logs.
func (o Outcome) String() string { return outcomeNames[o] }

// Answer is an issuer's answer to a call, to an inquiry, or by a notice.
type Answer struct {
	Outcome         Outcome
	IssuerReference string       // the issuer's own id of what it did
	Amount          money.Amount // approved amount, as the issuer states it
	Captured        bool         // approved and captured in one step
	Code            string       // decline code, see Decline codes below
	Message         string       // the issuer's text, for the merchant
	ActionURL       string       // absolute, or a path on our own public URL
	At              time.Time    // when the issuer decided; zero when it does not say
}

// Decline codes. Every connector maps its issuer's codes to them (after the response codes of
// ISO 8583 field 39).
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

// Gone is the code of an answer for an issuer that is not in the configuration: nobody was
// asked.
const Gone = "issuer_gone"

// Authorization asks the issuer to authorize an amount.
type Authorization struct {
	Reference string // ours, unique forever; the key of Lookup and Reverse
	Amount    money.Amount
	Card      Card
	Capture   bool      // capture in the same step (automatic capture)
	Statement string    // what the payer reads on the statement
	ReturnURL string    // where the issuer sends the payer after a challenge
	ExpiresAt time.Time // when the link expires
	Challenge bool      // the payer is to be challenged (3-D Secure) before anything is approved
}

// Operation is a capture, reversal or refund of an authorization. ID is ours, unique forever:
// an operation that is sent twice happens once.
type Operation struct {
	ID            string
	Authorization string // the reference of the authorization
	Amount        money.Amount
}

// Capabilities says what a connector can do.
type Capabilities struct {
	Types      []string // payment method types: "card"
	Currencies []money.Currency
	MinMinor   int64
	MaxMinor   int64
	Test       bool // serves test mode; false serves live mode
}

// Connector calls one issuer. Calls are safe for concurrent use and obey ctx's deadline. A call
// that is repeated with the same reference or id has no second effect.
type Connector interface {
	Name() string
	Capabilities() Capabilities
	// Authorize answers Approved, Declined, ActionRequired, NotSent or Ambiguous.
	Authorize(context.Context, Authorization) Answer
	// Capture and Refund answer Approved, Declined, NotSent or Ambiguous.
	Capture(context.Context, Operation) Answer
	Refund(context.Context, Operation) Answer
	// Reverse makes sure that nothing is authorized under the reference, even if the original
	// arrives later. It answers Reversed, Declined (already captured), NotSent or Ambiguous.
	Reverse(context.Context, Operation) Answer
	// Lookup asks for the outcome of an authorization's reference, or of an operation's ID. It
	// answers Approved, Declined, ActionRequired, Reversed, NotFound, Pending, NotSent or
	// Ambiguous.
	Lookup(ctx context.Context, reference string) Answer
}

// Notice is what the issuer sends unasked, later or again: an answer or a dispute.
type Notice struct {
	Reference string // of the authorization
	Answer    Answer
	Dispute   *Dispute // if set, the notice is about the dispute alone, and Answer is empty
}

// Dispute is a payer's objection, as the issuer reports it. Reason and State are those of
// package payment.
type Dispute struct {
	Reference     string // the issuer's own reference of it
	Amount        money.Amount
	Reason        string
	State         string
	EvidenceDueAt time.Time
}

// Notifier is implemented by connectors that receive notices. OnNotice is called once, before
// the first Authorize. The issuer repeats a notice until handle returns nil.
type Notifier interface {
	OnNotice(handle func(context.Context, Notice) error)
}
