// Package score tells how much an attempt to pay looks like fraud, and why.
//
// A History is fed with attempts, their outcomes and their labels in the order in
// which they became known, and gives the features of an attempt: what was known
// before it, never more. The same code computes them in the path of a payment, for
// training, and when a file is evaluated, so that a model is asked about the very
// numbers that it learned from.
//
// Time is the only thing that keeps a label from leaking, so it is enforced here:
// a label enters the counts when it becomes known, not when the payment was made.
//
// A Model is a score from 0 to 100 with its top reasons. Without one, or for a card
// and payee never seen before, the package says that it knows nothing instead of
// giving a number.
package score

import "time"

// Attempt is one try to pay, as features see it. A card is a keyed fingerprint,
// an address a prefix; what is not known is empty and counts nothing.
type Attempt struct {
	ID      string
	Scope   string // whose history this is; entities of two scopes never meet
	At      time.Time
	Account string // who is paid
	Link    string
	Card    string
	BIN     string
	Email   string
	Address string
	Minor   int64 // of one currency: callers keep a History per currency, or convert
}

// Outcome is what the issuer said of an attempt.
type Outcome uint8

// The outcomes.
const (
	Authorised Outcome = iota + 1
	Declined
)

// Labelled is an attempt with what became known of it.
type Labelled struct {
	Attempt
	Outcome Outcome
	Fraud   bool
	KnownAt time.Time // when Fraud became known, or would have been
}
