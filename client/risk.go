package client

import "time"

// Risk is the assessment of an attempt before the issuer was called, and what people decided
// about the payment since.
type Risk struct {
	Address     string       `json:"address,omitempty"` // prefix of the payer's address
	Country     string       `json:"country,omitempty"`
	Action      string       `json:"action,omitempty"`    // allow, block or review
	Challenge   bool         `json:"challenge,omitempty"` // 3-D Secure was required
	Why         string       `json:"why,omitempty"`       // rule, shield, list, policy or default
	Rule        string       `json:"rule,omitempty"`      // id of the rule that decided
	Version     int          `json:"version,omitempty"`
	Values      []RiskValue  `json:"values,omitempty"` // what the rule saw
	Shadow      []ShadowHit  `json:"shadow,omitempty"` // rules in shadow that would have matched
	Score       int          `json:"score,omitempty"`  // 0 to 100; only with Model
	Basis       string       `json:"basis,omitempty"`
	Model       string       `json:"model,omitempty"`
	Reasons     []RiskReason `json:"reasons,omitempty"`
	ShadowModel string       `json:"shadowModel,omitempty"` // a model in shadow, which decides nothing
	ShadowScore int          `json:"shadowScore,omitempty"` // that model's score; only with ShadowModel
	Review      string       `json:"review,omitempty"`      // open, approved, declined, refunded or lapsed
	ReviewedAt  time.Time    `json:"reviewedAt,omitzero"`
	ReviewedBy  string       `json:"reviewedBy,omitempty"`
	Label       string       `json:"label,omitempty"` // fraud or legitimate
	LabelledAt  time.Time    `json:"labelledAt,omitzero"`
	LabelledBy  string       `json:"labelledBy,omitempty"`
}

// RiskValue is one value that a rule saw.
type RiskValue struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// RiskReason is a feature that raised the score, and its share of the total.
type RiskReason struct {
	Feature string  `json:"feature"`
	Value   float64 `json:"value"`
	Share   float64 `json:"share"`
}

// ShadowHit is a shadow rule that matched, with the action that it would have taken.
type ShadowHit struct {
	Rule    string `json:"rule"`
	Version int    `json:"version"`
	Action  string `json:"action"`
}

// The states of a dispute; the last two end it.
const (
	DisputeNeedsResponse = "needs_response"
	DisputeUnderReview   = "under_review"
	DisputeWon           = "won"
	DisputeLost          = "lost"
)

// Dispute is a payer's claim at the issuer: needs_response, under_review, won or lost.
type Dispute struct {
	ID            string    `json:"id"`
	Object        string    `json:"object"`
	Payment       string    `json:"payment"`
	Amount        string    `json:"amount"`
	Currency      string    `json:"currency"`
	Reason        string    `json:"reason"`
	State         string    `json:"state"`
	Reference     string    `json:"reference,omitempty"` // the issuer's own
	EvidenceDueAt time.Time `json:"evidenceDueAt,omitzero"`
	CreatedAt     time.Time `json:"createdAt,omitzero"`
	ClosedAt      time.Time `json:"closedAt,omitzero"`
}
