// Package rulebook holds the rules, lists and policies against fraud, edited by a merchant for an
// account and mode, and by the operator for the installation.
//
// A change is validated here and stored with a version. It is active in every process within two
// seconds, when the decision path has read it (fraud.Rulesets).
package rulebook

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/payment"
)

// The states of a rule.
const (
	On     = "on"
	Shadow = "shadow" // evaluated and recorded, without effect
	Off    = "off"
	// Deleted is the state of the last version of a deleted rule.
	Deleted = "deleted"
)

// Rule is a condition in CEL with an action. Every change creates a version, and decisions name
// the version that made them.
type Rule struct {
	ID        string // frl_…; fixed for the default set
	Account   string // empty means the installation: for every account, written by the operator
	Mode      string
	Name      string
	Action    payment.Action // request_3ds, allow, block, review
	When      string         // CEL about the attempt, see docs/fraud-rules.md
	State     string
	Version   int
	Builtin   bool // of the default set: the state can change, not the text
	UpdatedAt time.Time
	UpdatedBy string
}

// Kind is what a list contains.
type Kind string

// The kinds of lists. A card is a fingerprint, as in payments.
const (
	KindCard    Kind = "card"
	KindBIN     Kind = "bin"
	KindEmail   Kind = "email" // an address, or @domain
	KindAddress Kind = "address"
	KindCountry Kind = "country"
)

// Entry is one value that is always blocked, allowed or held for review.
type Entry struct {
	ID        string // fle_…
	Account   string // empty means the installation
	Mode      string
	Kind      Kind
	Action    payment.Action // allow, block, review
	Value     string
	Note      string
	ExpiresAt time.Time
	CreatedAt time.Time
	CreatedBy string
}

// Policy is an account's choice for what rules do not decide.
type Policy struct {
	FailOpen  bool          // an attempt not assessed in time: allowed (true, the default) or blocked
	ReviewFor time.Duration // then an unreviewed payment is declined; 0: at the end of the hold
	UpdatedAt time.Time
}

// Service stores and changes rules, lists and policies. An empty account stands for the
// installation; only the operator's commands use it.
type Service interface {
	// Rules returns the account's rules and then the installation's, in order of evaluation.
	Rules(ctx context.Context, account, mode string) ([]Rule, error)
	// PutRule creates (empty ID) or changes a rule. A condition that does not compile is a fault
	// with position and reason.
	PutRule(ctx context.Context, r Rule, by string, t *idempotency.Ticket) (Rule, error)
	DeleteRule(ctx context.Context, account, mode, id string) error
	// RuleVersions returns all versions of a rule, newest first.
	RuleVersions(ctx context.Context, account, mode, id string) ([]Rule, error)
	Lists(ctx context.Context, account, mode string, kind Kind, before string, limit int) ([]Entry, error)
	PutListEntry(ctx context.Context, e Entry, by string, t *idempotency.Ticket) (Entry, error)
	DeleteListEntry(ctx context.Context, account, mode, id string) error
	Policy(ctx context.Context, account, mode string) (Policy, error)
	PutPolicy(ctx context.Context, account, mode string, p Policy) (Policy, error)
}
