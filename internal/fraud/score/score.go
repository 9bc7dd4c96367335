// Package score estimates how likely a payment attempt is fraud, and why.
//
// A History is fed with attempts, their outcomes and their labels in the order in which they
// became known, and returns the features of an attempt: what was known before it, never more. The
// same code computes them in the path of a payment, for training, and when a file is evaluated,
// so that a model gets the same numbers that it was trained on.
//
// Only time keeps a label from leaking, so it is enforced here: a label enters the counts when it
// becomes known, not when the payment was made.
//
// A Model returns a score from 0 to 100 with its top reasons. Without a model, or for a card and
// payee never seen before, the package reports that it knows nothing instead of a number.
package score

import "time"

// Attempt is a payment attempt as features see it. A card is a fingerprint, an address a prefix.
// Unknown fields are empty and count nothing.
type Attempt struct {
	ID      string
	Scope   string // whose history this is; entities of two scopes never mix
	At      time.Time
	Account string // the merchant's account
	Link    string
	Card    string
	Cards   string // fingerprint of several cards with this one among them: what it counted is seen too
	BIN     string
	Email   string
	Address string
	Minor   int64 // of one currency: callers keep a History per currency, or convert
}

// Outcome is the issuer's answer to an attempt.
type Outcome uint8

// The outcomes.
const (
	Authorised Outcome = iota + 1
	Declined
)

// Labelled is an attempt with its known outcome and label.
type Labelled struct {
	Attempt
	Outcome Outcome
	Fraud   bool
	KnownAt time.Time // when Fraud became known, or would have been
}
