// Package rulebook is the rules, lists and policies against fraud, as a merchant edits
// them for an account and mode, and the operator for the installation.
//
// A change is checked here and kept with a version; it is in force in every process
// within two seconds, when the path has read it (fraud.Rulesets).
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
	Shadow = "shadow" // evaluated and recorded, and does nothing
	Off    = "off"
	// Deleted is the last of the versions of a rule that is no more.
	Deleted = "deleted"
)

// Rule is a condition in CEL with the action to take. Every change makes a new
// version; decisions name the one that they were made by.
type Rule struct {
	ID        string // frl_…; those of the default set have fixed ids
	Account   string // "" is the installation's: for every account, written by the operator
	Mode      string
	Name      string
	Action    payment.Action // request_3ds, allow, block, review
	When      string         // CEL over the attempt, see docs/fraud-rules.md
	State     string
	Version   int
	Builtin   bool // of the default set: may be switched, not rewritten
	UpdatedAt time.Time
	UpdatedBy string
}

// Kind says what a list holds.
type Kind string

// The kinds of lists. A card is a fingerprint, as payments show it.
const (
	KindCard    Kind = "card"
	KindBIN     Kind = "bin"
	KindEmail   Kind = "email" // an address, or @domain
	KindAddress Kind = "address"
	KindCountry Kind = "country"
)

// Entry is one value that is always blocked, or always allowed.
type Entry struct {
	ID        string // fle_…
	Account   string // "" is the installation's
	Mode      string
	Kind      Kind
	Action    payment.Action // allow, block, review
	Value     string
	Note      string
	ExpiresAt time.Time
	CreatedAt time.Time
	CreatedBy string
}

// Policy is an account's say in what is not decided by rules.
type Policy struct {
	FailOpen  bool          // an attempt that nobody assessed in time: allowed (true, the default) or blocked
	ReviewFor time.Duration // what nobody reviewed until then is declined; 0: the hold's own end
	UpdatedAt time.Time
}

// Service is where rules, lists and policies are kept and changed.
// Account "" stands for the installation: only the operator's commands say so.
type Service interface {
	// Rules are the account's and, after them, the installation's, in the order in which
	// they are asked.
	Rules(ctx context.Context, account, mode string) ([]Rule, error)
	// PutRule makes (ID "") or changes a rule. A condition that does not compile is a
	// fault that names where and why.
	PutRule(ctx context.Context, r Rule, by string, t *idempotency.Ticket) (Rule, error)
	DeleteRule(ctx context.Context, account, mode, id string) error
	// RuleVersions are all that a rule ever was, newest first.
	RuleVersions(ctx context.Context, account, mode, id string) ([]Rule, error)
	Lists(ctx context.Context, account, mode string, kind Kind, before string, limit int) ([]Entry, error)
	PutListEntry(ctx context.Context, e Entry, by string, t *idempotency.Ticket) (Entry, error)
	DeleteListEntry(ctx context.Context, account, mode, id string) error
	Policy(ctx context.Context, account, mode string) (Policy, error)
	PutPolicy(ctx context.Context, account, mode string, p Policy) (Policy, error)
}
