package payment

import (
	"time"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// RiskObject is an attempt's assessment as the merchant sees it. Payers never see it.
type RiskObject struct {
	Address     string       `json:"address,omitempty"`
	Country     string       `json:"country,omitempty"`
	Action      Action       `json:"action,omitempty"`
	Challenge   bool         `json:"challenge,omitempty"`
	Why         string       `json:"why,omitempty"`
	Rule        string       `json:"rule,omitempty"`
	Version     int          `json:"version,omitempty"`
	Values      []RiskValue  `json:"values,omitempty"`
	Shadow      []ShadowHit  `json:"shadow,omitempty"`
	Score       *int         `json:"score,omitempty"` // left out if no model has scored
	Basis       string       `json:"basis,omitempty"`
	Model       string       `json:"model,omitempty"`
	Reasons     []RiskReason `json:"reasons,omitempty"`
	ShadowModel string       `json:"shadowModel,omitempty"`
	ShadowScore *int         `json:"shadowScore,omitempty"` // left out if no model is in shadow
	Review      string       `json:"review,omitempty"`
	ReviewedAt  string       `json:"reviewedAt,omitempty"`
	ReviewedBy  string       `json:"reviewedBy,omitempty"`
	Label       string       `json:"label,omitempty"`
	LabelledAt  string       `json:"labelledAt,omitempty"`
	LabelledBy  string       `json:"labelledBy,omitempty"`
}

// DisputeObject is a dispute as the API shows it.
type DisputeObject struct {
	ID            string         `json:"id"`
	Object        string         `json:"object"`
	Payment       string         `json:"payment"`
	Amount        string         `json:"amount"`
	Currency      money.Currency `json:"currency"`
	Reason        string         `json:"reason"`
	State         string         `json:"state"`
	Reference     string         `json:"reference,omitempty"`
	EvidenceDueAt string         `json:"evidenceDueAt,omitempty"`
	CreatedAt     string         `json:"createdAt"`
	ClosedAt      string         `json:"closedAt,omitempty"`
}

// riskObject returns the assessment as the merchant sees it, or nil if there is none.
func riskObject(r Risk) *RiskObject {
	if r.Action == "" && r.Address == "" && r.Country == "" && r.Review == "" && r.Label == "" {
		return nil
	}
	o := &RiskObject{Address: r.Address, Country: r.Country, Action: r.Action, Challenge: r.Challenge, Why: r.Why, Rule: r.Rule,
		Version: r.Version, Values: r.Values, Shadow: r.Shadow, Basis: r.Basis, Model: r.Model, Reasons: r.Reasons,
		ShadowModel: r.ShadowModel, Review: r.Review, ReviewedAt: timeOrNone(r.ReviewedAt), ReviewedBy: r.ReviewedBy,
		Label: r.Label, LabelledAt: timeOrNone(r.LabelledAt), LabelledBy: r.LabelledBy}
	if r.Model != "" {
		o.Score = &r.Score
	}
	if r.ShadowModel != "" {
		o.ShadowScore = &r.ShadowScore
	}
	return o
}

// NewDisputeObject returns a dispute of the payment as the API shows it.
func NewDisputeObject(p Payment, d Dispute) DisputeObject {
	return DisputeObject{ID: d.ID, Object: "dispute", Payment: p.ID, Amount: money.Of(d.Minor, p.Amount.Currency).Decimal(),
		Currency: p.Amount.Currency, Reason: d.Reason, State: d.State, Reference: d.Reference,
		EvidenceDueAt: timeOrNone(d.EvidenceDueAt), CreatedAt: link.FormatTime(d.CreatedAt), ClosedAt: timeOrNone(d.ClosedAt)}
}

func timeOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return link.FormatTime(t)
}
