package fraud

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// The states of a rule.
const (
	RuleOn     = "on"
	RuleShadow = "shadow" // evaluated and recorded, and does nothing
	RuleOff    = "off"
	// RuleDeleted is the last of the versions of a rule that is no more.
	RuleDeleted = "deleted"
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

// ListKind says what a list holds.
type ListKind string

// The kinds of lists. A card is a fingerprint, as payments show it.
const (
	ListCard    ListKind = "card"
	ListBIN     ListKind = "bin"
	ListEmail   ListKind = "email" // an address, or @domain
	ListAddress ListKind = "address"
	ListCountry ListKind = "country"
)

// ListEntry is one value that is always blocked, or always allowed.
type ListEntry struct {
	ID        string // fle_…
	Account   string // "" is the installation's
	Mode      string
	Kind      ListKind
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

// Backtest is a question: what would this rule have done?
type Backtest struct {
	Account, Mode string
	Rule          Rule // ID may be "": a rule that is not kept yet
	From, To      time.Time
}

// BacktestResult is its answer, over the account's own history by features as they
// were at the time. Fraud, Legitimate, Unknown, AlreadyBlocked and Declined add up to
// Matched. Legitimate is what somebody marked so, and what was authorised and not
// objected to for MatureAfter.
type BacktestResult struct {
	Payments, Matched int64
	Fraud, Legitimate int64 // matched, and known to be
	Unknown           int64 // matched, authorised, and not known yet
	MissedFraud       int64 // known fraud that the rule did not match
	AlreadyBlocked    int64 // matched, and blocked at the time by something else: their end cannot be known
	Money             map[money.Currency]BacktestMoney
	Precision, Recall float64 // of what is known; -1: nothing is known
	Mature            int64   // payments old enough that a dispute would have come
	MatureAfter       time.Duration
	Examples          []Row // matched, newest first, at most 20
	Declined          int64 // matched, and refused by the issuer: no money was at stake
	Errors            int64 // payments on which the rule could not be evaluated (cost limit)
	Took              time.Duration
}

// BacktestMoney is both sides in minor units.
type BacktestMoney struct {
	FraudStopped, HonestStopped, UnknownStopped, FraudMissed int64
}

// Rulebook is where rules, lists and policies are kept, and asked what they would do.
// Account "" stands for the installation: only the operator's commands say so.
type Rulebook interface {
	// Rules are the account's and, after them, the installation's, in the order in which
	// they are asked.
	Rules(ctx context.Context, account, mode string) ([]Rule, error)
	// PutRule makes (ID "") or changes a rule. A condition that does not compile is a
	// fault that names where and why.
	PutRule(ctx context.Context, r Rule, by string, t *idempotency.Ticket) (Rule, error)
	DeleteRule(ctx context.Context, account, mode, id string) error
	// RuleVersions are all that a rule ever was, newest first.
	RuleVersions(ctx context.Context, account, mode, id string) ([]Rule, error)
	Lists(ctx context.Context, account, mode string, kind ListKind, before string, limit int) ([]ListEntry, error)
	PutListEntry(ctx context.Context, e ListEntry, by string, t *idempotency.Ticket) (ListEntry, error)
	DeleteListEntry(ctx context.Context, account, mode, id string) error
	Policy(ctx context.Context, account, mode string) (Policy, error)
	PutPolicy(ctx context.Context, account, mode string, p Policy) (Policy, error)
	Backtest(context.Context, Backtest) (BacktestResult, error)
}
