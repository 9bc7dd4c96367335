// Package fraud is the box that looks at an attempt to pay before the issuer is
// asked: it says what to do with it, and why.
//
// This package is the path: what decides, from memory, while a payer waits (Local, and
// the Ruleset that it asks). It uses the packages below, and none of them imports it:
//
//   - rulebook: rules, lists and policies, as merchants and the operator edit them
//   - learning: training, models and backtests, over the payments of the past
//   - history: payments as the analytics store knows them, and what was known before each
//   - rule: conditions of rules, compiled
//   - score: features, and models that learned from labels
//   - shield: card testers and floods
//   - lake: the feed as files for other engines
//
// What the path saw and said rides in the payment (payment.Risk) and reaches the
// analytics store with the change feed.
//
// Counts are of one account, mode and currency: tenants never see each other, not
// even as a number. Only the shield counts over the whole installation, and it
// shows nothing of what it counted.
package fraud

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Attempt is what the box is told of an attempt to pay. No card is in it.
type Attempt struct {
	Payment     string // its id, which follows from link and attempt
	At          time.Time
	Account     string
	Mode        string
	Link        string
	Amount      money.Amount
	Fingerprint string // of the card, of this account and mode alone
	Card        string // of the card, over the installation: for the shield's memory alone, never stored or shown
	BIN         string
	Brand       string
	Email       string
	Address     string // prefix of the payer's address
	Country     string
	Proof       string // of work, see Challenge
}

// Assessor is the path: it answers from memory, and never waits for a store.
type Assessor interface {
	// Assess says what to do with an attempt. The fault of code attempts_exceeded (kind
	// rate limited) is the shield's: the attempt is refused, and no payment is made
	// of it. The same payment asked again is answered anew, and counted once.
	Assess(context.Context, Attempt) (Verdict, error)
	// Challenge is what the page of a link must work out before it submits this
	// attempt; the zero Puzzle is nothing.
	Challenge(ctx context.Context, l link.Link, attempt, address string) (Puzzle, error)
}

// Verdict is what to do, and what the account wants done when nobody answers in time.
type Verdict struct {
	Risk     payment.Risk
	FailOpen bool // the account's policy: an attempt that nobody assessed in time is allowed (or blocked)
}

// Puzzle is a proof of work: find a nonce so that the SHA-256 of Seed and the nonce
// begins with Bits zero bits. Seed says which attempt and until when it is good, and
// is signed by us.
type Puzzle struct {
	Seed string `json:"seed,omitempty"`
	Bits int    `json:"bits,omitempty"`
}

// Box is the box as another one sees it: the real parts, or clients over the wire.
// A nil part is one that the process has no way to.
type Box struct {
	Assessor   Assessor
	Analyst    history.Analyst
	Rulebook   rulebook.Service
	Backtester learning.Backtester
	Models     learning.Models
}
