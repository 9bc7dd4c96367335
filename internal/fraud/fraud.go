// Package fraud is the service that assesses a payment attempt before the issuer is called: it
// returns what to do with it, and why.
//
// This package is the decision path: it decides, from memory, while a payer waits (Local, and its
// Ruleset). It uses the packages below, and none of them imports it:
//
//   - rulebook: rules, lists and policies, as merchants and the operator edit them
//   - learning: training, models and backtests, over past payments
//   - history: payments in the analytics store, and what was known before each
//   - rule: conditions of rules, compiled
//   - score: features, and models that learned from labels
//   - shield: protection against card testing and floods
//   - lake: the feed as files for other engines
//
// The assessment is stored in the payment (payment.Risk) and reaches the analytics store with the
// change feed.
//
// Counts are of one account, mode and currency: tenants never see each other, not even as a
// number. Only the shield counts over the whole installation, and it exposes none of its counts.
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

// Attempt is a payment attempt as the service receives it, without the card.
type Attempt struct {
	Payment     string // its id, derived from link and attempt
	At          time.Time
	Account     string
	Mode        string
	Link        string
	Amount      money.Amount
	Fingerprint string // of the card
	Card        string // the same; only the version before reads it, while both run
	BIN         string
	Brand       string
	Email       string
	Address     string // prefix of the payer's address
	Country     string
	Proof       string // of work; see Challenge
}

// Assessor is the decision path. It answers from memory, and never waits for a store.
type Assessor interface {
	// Assess returns what to do with an attempt. The fault of code attempts_exceeded (kind rate
	// limited) comes from the shield: the attempt is refused, and no payment is created. A
	// repeated call for the same payment is assessed again, and counted once.
	Assess(context.Context, Attempt) (Verdict, error)
	// Challenge returns the puzzle that the page of a link must solve before it submits this
	// attempt. The zero Puzzle means none.
	Challenge(ctx context.Context, l link.Link, attempt, address string) (Puzzle, error)
}

// Verdict is what to do, and the account's choice for attempts that are not assessed in time.
type Verdict struct {
	Risk     payment.Risk
	FailOpen bool // the account's policy: an attempt that is not assessed in time is allowed (or blocked)
}

// Puzzle is a proof of work: find a nonce so that the SHA-256 of Seed and the nonce begins with
// Bits zero bits. Seed states the attempt and its expiry, and is sealed by the service.
type Puzzle struct {
	Seed string `json:"seed,omitempty"`
	Bits int    `json:"bits,omitempty"`
}

// Services is the service as others see it: the real parts, or clients over the wire. A part that the
// process cannot reach is nil.
type Services struct {
	Assessor   Assessor
	Analyst    history.Analyst
	Rulebook   rulebook.Service
	Backtester learning.Backtester
	Models     learning.Catalog
}
