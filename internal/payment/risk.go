package payment

import "time"

// Action is what is done with an attempt to pay, before the issuer is asked.
type Action string

// The actions, in the order in which their rules are evaluated. Challenge combines with the
// others (Risk.Challenge). Among the others the first match wins: allow overrides block and
// review.
const (
	Challenge Action = "request_3ds" // the issuer is asked to challenge the payer
	Allow     Action = "allow"
	Block     Action = "block"  // the issuer is never asked
	Hold      Action = "review" // authorized, not captured: a person decides
)

// The states of a review.
const (
	ReviewOpen     = "open"
	ReviewApproved = "approved"
	ReviewDeclined = "declined" // the authorization is voided
	ReviewRefunded = "refunded" // refunded as fraud
	ReviewLapsed   = "lapsed"   // the payment ended before anybody decided
)

// The labels: what a payment turned out to be, according to a person or a dispute.
const (
	LabelFraud      = "fraud"
	LabelLegitimate = "legitimate"
)

// Risk is what was known about an attempt and how it was assessed before the issuer was asked,
// and what people decided since. It is part of the payment, so it is committed with it and
// reported by its events.
//
// Fingerprint recognizes a card and does not identify it: thousands of numbers share it
// (issuer.Card.Fingerprint).
type Risk struct {
	Fingerprint string `json:"fingerprint,omitempty"` // of the card
	BIN         string `json:"bin,omitempty"`         // the card's first digits, at most six (PCI DSS 3.4.1)
	Address     string `json:"address,omitempty"`     // prefix of the payer's address: /24 or /48
	Country     string `json:"country,omitempty"`     // of the address, as a trusted proxy reported it; ISO 3166 alpha-2

	Action    Action       `json:"action,omitempty"`    // allow, block or review; "" if not assessed
	Challenge bool         `json:"challenge,omitempty"` // 3-D Secure is asked for
	Why       string       `json:"why,omitempty"`       // rule, shield, list, policy (no answer in time), default
	Rule      string       `json:"rule,omitempty"`      // id of the rule that decided
	Version   int          `json:"version,omitempty"`   // of the rule
	Values    []RiskValue  `json:"values,omitempty"`    // what the rule saw
	Shadow    []ShadowHit  `json:"shadow,omitempty"`    // rules in shadow that would have matched
	Score     int          `json:"score,omitempty"`     // 0 to 100
	Basis     string       `json:"basis,omitempty"`     // no_model, no_history, known
	Model     string       `json:"model,omitempty"`     // its version
	Reasons   []RiskReason `json:"reasons,omitempty"`   // what raised the score most
	// The model in shadow, which scores and decides nothing.
	ShadowModel string `json:"shadowModel,omitempty"` // its version
	ShadowScore int    `json:"shadowScore,omitempty"` // 0 to 100

	// ReviewSeconds is how long a held payment waits for a person, by the account's policy; 0
	// means as long as the authorization lasts.
	ReviewSeconds int64     `json:"reviewSeconds,omitempty"`
	Review        string    `json:"review,omitempty"`
	ReviewedAt    time.Time `json:"reviewedAt,omitzero"`
	ReviewedBy    string    `json:"reviewedBy,omitempty"` // id of the user or API key
	Label         string    `json:"label,omitempty"`
	LabelledAt    time.Time `json:"labelledAt,omitzero"`
	LabelledBy    string    `json:"labelledBy,omitempty"` // id of the user or API key
}

// RiskValue is one value that a rule saw, as text.
type RiskValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// RiskReason is a feature that raised the score, and its share of the rise.
type RiskReason struct {
	Feature string  `json:"feature"`
	Value   float64 `json:"value"`
	Share   float64 `json:"share"`
}

// ShadowHit is a rule in shadow that matched, with the action that it would have taken.
type ShadowHit struct {
	Rule    string `json:"rule"`
	Version int    `json:"version"`
	Action  Action `json:"action"`
}

// The states of a dispute.
const (
	DisputeNeedsResponse = "needs_response" // evidence is due
	DisputeUnderReview   = "under_review"   // evidence was sent
	DisputeWon           = "won"
	DisputeLost          = "lost"
)

// MaxDisputes bounds the disputes of one payment.
const MaxDisputes = 5

// Dispute is a payer's request at the issuer to get the money back. It moves no money here:
// what the acquirer takes back is settled with the acquirer.
type Dispute struct {
	ID            string    `json:"id"`
	Minor         int64     `json:"minor"`
	Reason        string    `json:"reason"` // fraudulent, product_not_received, duplicate, unrecognized, other
	State         string    `json:"state"`
	Reference     string    `json:"reference,omitempty"` // the issuer's own, unique per payment
	EvidenceDueAt time.Time `json:"evidenceDueAt,omitzero"`
	CreatedAt     time.Time `json:"createdAt"`
	ClosedAt      time.Time `json:"closedAt,omitzero"`
}
