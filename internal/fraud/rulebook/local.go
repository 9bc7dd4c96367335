package rulebook

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/activity"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/rule"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
)

// Limits of a book.
const (
	MaxRules       = 100    // of an account and mode, without the default set
	MaxRulesCost   = 40_000 // of its active and shadow rules together, in the worst case
	MaxEntries     = 10_000
	MaxRuleName    = 100 // characters
	maxVersions    = 100 // in a list
	maxNoteChars   = 500
	maxEntriesPage = 101 // one more than a page, to show whether there is another
	minReviewFor   = time.Hour
	maxReviewFor   = 7 * 24 * time.Hour // an authorization's hold
	putTries       = 3
)

// ErrRuleChanged is returned by a store if the rule has another version.
var ErrRuleChanged = fault.New(
	fault.KindConflict,
	"changed_meanwhile",
	"The rule was changed by another request. Read it again, then repeat your change.",
)

// ErrEntryExists is returned by a store if the value is already on a list.
var ErrEntryExists = fault.New(fault.KindConflict, "list_entry_exists", "This value is already on a list. Change or delete that entry.")

// TooManyRules returns the fault of a full book.
func TooManyRules() error {
	return fault.New(
		fault.KindConflict,
		"rules_limit_reached",
		"An account can have at most %d rules per mode. Delete one that is off.",
		MaxRules,
	)
}

// TooManyEntries returns the fault of full lists.
func TooManyEntries() error {
	return fault.New(
		fault.KindConflict,
		"list_limit_reached",
		"The lists of an account can have at most %d entries per mode. Delete one first.",
		MaxEntries,
	)
}

// Config configures a rulebook.
type Config struct {
	Store Store
	// Reload applies a change in this process at once; nil: it applies at the next periodic
	// reload.
	Reload func(context.Context) error
	Now    func() time.Time
	Log    *slog.Logger
}

// Local is the real rulebook.
type Local struct{ Config }

var _ Service = (*Local)(nil)

// New returns the rulebook.
func New(c Config) *Local {
	return &Local{c}
}

// DefaultPolicy returns the policy of an account that has not chosen one.
func DefaultPolicy() Policy { return Policy{FailOpen: true} }

// did returns ctx with an event, which the next commit writes.
func (l *Local) did(ctx context.Context, account, kind, target string, details map[string]string) context.Context {
	return activity.Record(ctx, activity.Event{Account: account, At: l.Now(), Kind: kind, Target: target, Details: details})
}

// changed applies the change in this process at once; the others read it within a second. If it
// fails, the next reload applies it.
func (l *Local) changed(ctx context.Context) {
	if l.Reload == nil {
		return
	}
	if err := l.Reload(ctx); err != nil && ctx.Err() == nil {
		l.Log.Warn("a change of rules is not active in this process yet", "error", err)
	}
}

// Rules implements Service. An empty account gets the installation's rules and the default set.
func (l *Local) Rules(ctx context.Context, account, mode string) ([]Rule, error) {
	own, err := l.Store.FraudRules(ctx, account, mode)
	if err != nil {
		return nil, err
	}
	var common []Rule
	if account != "" {
		if common, err = l.Store.FraudRules(ctx, "", mode); err != nil {
			return nil, err
		}
	}
	return Effective(mode, own, common), nil
}

// find returns a rule as the account sees it: its own, or one of the default set. Others are
// fault.NotFound.
func (l *Local) find(ctx context.Context, account, mode, id string) (Rule, error) {
	all, err := l.Rules(ctx, account, mode)
	if err != nil {
		return Rule{}, err
	}
	for _, r := range all {
		if r.ID == id && (r.Account == account || r.Builtin) {
			return r, nil
		}
	}
	return Rule{}, fault.NotFound("rule")
}

// PutRule implements Service. Version is the one that the caller has read, or 0 for any. With 0 a
// concurrent change is no error: the rule is read again and the change repeated, at most putTries
// times.
func (l *Local) PutRule(ctx context.Context, r Rule, by string, t *idempotency.Ticket) (Rule, error) {
	if err := CheckMode(r.Mode); err != nil {
		return Rule{}, err
	}
	for try := 1; ; try++ {
		made, err := l.putRule(ctx, r, by, t)
		if errors.Is(err, ErrRuleChanged) && r.Version == 0 && try < putTries {
			continue
		}
		if err == nil {
			l.changed(ctx)
		}
		return made, err
	}
}

// putRule is one try of PutRule.
func (l *Local) putRule(ctx context.Context, r Rule, by string, t *idempotency.Ticket) (Rule, error) {
	all, err := l.Rules(ctx, r.Account, r.Mode)
	if err != nil {
		return Rule{}, err
	}
	next, expected := r, 0
	if r.ID != "" {
		next, expected, err = replacement(all, r)
		if err != nil {
			return Rule{}, err
		}
	}

	if err := checkRule(&next); err != nil {
		return Rule{}, err
	}
	if err := checkCost(all, next); err != nil {
		return Rule{}, err
	}
	if r.ID == "" {
		next.ID, next.Version, next.Builtin = id.New(id.FraudRule), 1, false
	}

	next.UpdatedAt, next.UpdatedBy = l.Now().UTC().Truncate(time.Microsecond), by
	record, err := t.Fill(next, next.UpdatedAt)
	if err != nil {
		return Rule{}, err
	}
	ctx = l.did(ctx, next.Account, activity.RuleSaved, next.ID, map[string]string{"name": next.Name, "mode": next.Mode, "state": next.State})
	return next, l.Store.PutFraudRule(ctx, next, expected, record)
}

// replacement returns a rule's next version, and the version that the store must have (0: none of
// this account yet). In the default set only the state can change; the other fields must be
// unchanged. It returns ErrRuleChanged if r names another version than the present one.
func replacement(all []Rule, r Rule) (next Rule, expected int, err error) {
	for _, was := range all {
		if was.ID != r.ID || (was.Account != r.Account && !was.Builtin) {
			continue
		}

		if r.Version != 0 && r.Version != was.Version {
			return Rule{}, 0, ErrRuleChanged
		}
		next = r
		next.Version, next.Builtin = was.Version+1, was.Builtin
		if was.Builtin {
			if (r.Name != "" && r.Name != was.Name) || (r.Action != "" && r.Action != was.Action) || (r.When != "" && r.When != was.When) {
				return Rule{}, 0, fault.New(
					fault.KindConflict,
					"rule_builtin",
					"A built-in rule can be turned on or off but not edited. Create your own rule from its condition.",
				)
			}
			next.Name, next.Action, next.When = was.Name, was.Action, was.When
		}
		expected = was.Version
		if was.Builtin && was.Account != r.Account { // the first switch of this account
			expected = 0
		}
		return next, expected, nil
	}

	return Rule{}, 0, fault.NotFound("rule")
}

// CheckMode returns a fault of code parameter_invalid unless mode is test or live.
func CheckMode(mode string) error {
	if mode != link.Test && mode != link.Live {
		return fault.Invalid("mode", "parameter_invalid", "mode must be test or live.")
	}
	return nil
}

// checkRule validates a rule, and trims its name and its condition. A rule without a state is in
// shadow.
func checkRule(r *Rule) error {
	r.Name, r.When = strings.TrimSpace(r.Name), strings.TrimSpace(r.When)
	if err := issuer.NoNumber("name", r.Name); err != nil {
		return err
	}
	if n := utf8.RuneCountInString(r.Name); n == 0 || n > MaxRuleName || strings.ContainsFunc(r.Name, unicode.IsControl) {
		return fault.Invalid("name", "rule_name_invalid", "name must be 1 to %d characters on one line, without control characters.", MaxRuleName)
	}
	if Rank(r.Action) < 0 {
		return fault.Invalid("action", "rule_action_invalid", "action must be request_3ds, allow, block or review.")
	}
	switch r.State {
	case "":
		r.State = Shadow // the safe default
	case On, Shadow, Off:
	default:
		return fault.Invalid("state", "rule_state_invalid", "state must be on, shadow or off.")
	}
	_, err := Compile(r.When)
	return err
}

// Compile compiles a condition. It returns a fault of code rule_condition_invalid with position
// and reason, or of code card_number_in_text.
func Compile(when string) (*rule.Program, error) {
	if err := issuer.NoNumber("when", when); err != nil {
		return nil, err
	}
	run, err := rule.Compile(when)
	var wrong *rule.Error
	if errors.As(err, &wrong) {
		return nil, fault.Invalid("when", "rule_condition_invalid", "Line %d, column %d: %s", wrong.Line, wrong.Column, wrong.Text)
	}
	return run, err
}

// checkCost limits the total cost of a book's rules, because each payment waits for them. Rules of
// the default set and those that are off cost nothing here. A book that is too costly can still be
// changed by switching a rule off.
func checkCost(all []Rule, next Rule) error {
	var sum uint64
	for _, r := range append([]Rule{next}, all...) {
		if r.State == Off || r.Builtin || r.Account != next.Account || (r.ID == next.ID && r.Version != next.Version) {
			continue
		}
		if run, err := rule.Compile(r.When); err == nil {
			sum += run.WorstCost()
		}
	}
	if sum > MaxRulesCost && next.State != Off {
		return fault.New(
			fault.KindConflict,
			"rules_too_costly",
			"The rules together cost up to %d per payment; the limit is %d. Turn one off or shorten it.",
			sum,
			MaxRulesCost,
		)
	}
	return nil
}

// DeleteRule implements Service. The deletion is the rule's last version. A rule of the default set
// can only be switched off.
func (l *Local) DeleteRule(ctx context.Context, account, mode, id string) error {
	r, err := l.find(ctx, account, mode, id)
	if err != nil {
		return err
	}
	if r.Builtin {
		return fault.New(fault.KindConflict, "rule_builtin", "A built-in rule cannot be deleted. Turn it off instead.")
	}

	r.Version, r.State, r.UpdatedAt = r.Version+1, Deleted, l.Now().UTC().Truncate(time.Microsecond)
	ctx = l.did(ctx, r.Account, activity.RuleDeleted, r.ID, map[string]string{"name": r.Name, "mode": r.Mode})
	if err := l.Store.DeleteFraudRule(ctx, r); err != nil {
		return err
	}
	l.changed(ctx)
	return nil
}

// RuleVersions implements Service, newest first. A default rule also has its release's version, and
// the operator's switches. An id without a version is fault.NotFound.
func (l *Local) RuleVersions(ctx context.Context, account, mode, id string) ([]Rule, error) {
	kept, err := l.Store.FraudRuleVersions(ctx, account, mode, id, maxVersions)
	if err != nil {
		return nil, err
	}

	b, isDefault := builtinByID[id]
	if !isDefault {
		if len(kept) == 0 {
			return nil, fault.NotFound("rule")
		}
		return kept, nil
	}
	if account != "" { // the operator's switches are versions of a default rule for all accounts
		common, err := l.Store.FraudRuleVersions(ctx, "", mode, id, maxVersions)
		if err != nil {
			return nil, err
		}
		kept = append(kept, common...)
	}
	return append(kept, b.rule(mode)), nil
}

// Policy implements Service. Without a policy of its own, an account has the installation's, and
// that is DefaultPolicy if the operator has chosen none.
func (l *Local) Policy(ctx context.Context, account, mode string) (Policy, error) {
	for _, of := range []string{account, ""} {
		p, err := l.Store.FraudPolicy(ctx, of, mode)
		if err != nil || p != nil {
			return deref(p), err
		}
	}
	return DefaultPolicy(), nil
}

// deref returns the policy, or the zero policy for nil.
func deref(p *Policy) Policy {
	if p == nil {
		return Policy{}
	}
	return *p
}

// PutPolicy implements Service. It replaces the whole policy.
func (l *Local) PutPolicy(ctx context.Context, account, mode string, p Policy) (Policy, error) {
	if err := CheckMode(mode); err != nil {
		return Policy{}, err
	}
	if p.ReviewFor != 0 && (p.ReviewFor < minReviewFor || p.ReviewFor > maxReviewFor) {
		return Policy{}, fault.Invalid(
			"reviewSeconds",
			"review_time_invalid",
			"reviewSeconds must be 0, or %d to %d seconds (an hour to seven days).",
			int64(minReviewFor/time.Second),
			int64(maxReviewFor/time.Second),
		)
	}
	p.UpdatedAt = l.Now().UTC().Truncate(time.Microsecond)
	ctx = l.did(ctx, account, activity.FraudPolicySaved, account, map[string]string{"mode": mode})
	if err := l.Store.PutFraudPolicy(ctx, account, mode, p); err != nil {
		return Policy{}, err
	}
	l.changed(ctx)
	return p, nil
}
