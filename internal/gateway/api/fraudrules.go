package api

import (
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// fraudRuleRoutes returns the calls for rules, lists, the policy and backtests.
func fraudRuleRoutes() []Route {
	read, write := "fraud:read", "fraud:write"
	const rules, lists = "/api/fraud/rules", "/api/fraud/lists"
	return []Route{
		{Method: "GET", Path: rules, Auth: authBoth, Scope: read, handle: (*API).listRules},
		{
			Method: "POST",
			Path:   rules,
			Auth:   authBoth,
			Scope:  write,
			body:   bodyRequired,
			in:     ruleBody{},
			handle: (*API).createRule,
			shape:  shapeFraudRule,
		},
		{Method: "GET", Path: rules + "/{id}", Auth: authBoth, Scope: read, ids: one(id.FraudRule), handle: (*API).getRule},
		{
			Method: "PUT",
			Path:   rules + "/{id}",
			Auth:   authBoth,
			Scope:  write,
			body:   bodyRequired,
			ids:    one(id.FraudRule),
			handle: (*API).updateRule,
		},
		{Method: "DELETE", Path: rules + "/{id}", Auth: authBoth, Scope: write, ids: one(id.FraudRule), handle: (*API).deleteRule},
		{Method: "GET", Path: rules + "/{id}/versions", Auth: authBoth, Scope: read, ids: one(id.FraudRule), handle: (*API).listRuleVersions},
		{Method: "GET", Path: lists, Auth: authBoth, Scope: read, Query: with(pageQuery, "kind"), handle: (*API).listEntries},
		{
			Method: "POST",
			Path:   lists,
			Auth:   authBoth,
			Scope:  write,
			body:   bodyRequired,
			in:     entryBody{},
			handle: (*API).createEntry,
			shape:  shapeListEntry,
		},
		{
			Method: "PUT",
			Path:   lists + "/{id}",
			Auth:   authBoth,
			Scope:  write,
			body:   bodyRequired,
			ids:    one(id.FraudEntry),
			handle: (*API).updateEntry,
		},
		{Method: "DELETE", Path: lists + "/{id}", Auth: authBoth, Scope: write, ids: one(id.FraudEntry), handle: (*API).deleteEntry},
		{Method: "GET", Path: "/api/fraud/policy", Auth: authBoth, Scope: read, handle: (*API).getPolicy},
		{Method: "PUT", Path: "/api/fraud/policy", Auth: authBoth, Scope: write, body: bodyRequired, handle: (*API).putPolicy},
		{
			Method: "POST",
			Path:   "/api/fraud/backtests",
			Auth:   authBoth,
			Scope:  read,
			body:   bodyRequired,
			in:     backtestBody{},
			handle: (*API).backtest,
		},
	}
}

// The two scopes of a rule: who wrote it.
const (
	scopeAccount      = "account"
	scopeInstallation = "installation"
)

// ruleObject is a fraud rule as callers see it. Builtin rules came with the installation.
type ruleObject struct {
	ID        string `json:"id"`
	Object    string `json:"object"`
	Name      string `json:"name"`
	Action    string `json:"action"`
	When      string `json:"when"`
	State     string `json:"state"`
	Version   int    `json:"version"`
	Scope     string `json:"scope"`
	Builtin   bool   `json:"builtin"`
	Mode      string `json:"mode"`
	UpdatedAt string `json:"updatedAt,omitempty"`
	UpdatedBy string `json:"updatedBy,omitempty"`
}

// showRule renders a rule, or one of its versions.
func showRule(r rulebook.Rule) ruleObject {
	o := ruleObject{ID: r.ID, Object: "fraud_rule", Name: r.Name, Action: string(r.Action), When: r.When, State: r.State, Version: r.Version,
		Scope: scopeAccount, Builtin: r.Builtin, Mode: r.Mode, UpdatedAt: timeOrNone(r.UpdatedAt), UpdatedBy: r.UpdatedBy}
	if r.Account == "" { // merchants do not see which operator it was
		o.Scope, o.UpdatedBy = scopeInstallation, ""
	}
	return o
}

// timeOrNone returns the time as the API shows it, or "" for zero.
func timeOrNone(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return link.FormatTime(t)
}

// ruleBody is the body of a rule. For a new rule all members but state are required.
type ruleBody struct {
	Name   field[string] `json:"name"`
	Action field[string] `json:"action"`
	When   field[string] `json:"when"`
	State  field[string] `json:"state"`
}

// updateRuleBody adds the version that the caller has read.
type updateRuleBody struct {
	ruleBody
	Version field[int64] `json:"version"`
}

// state returns an error for an unknown state. An absent state stays unchanged.
func (b ruleBody) state() error {
	if b.State.Set && b.State.Value == "" {
		return fault.Invalid("state", "rule_state_invalid", "state must be on, shadow or off.")
	}
	return nil
}

// rulebook returns the service for rules, lists and policies, or fraud_unavailable if this
// process has no access to it.
func (a *API) rulebook() (rulebook.Service, error) {
	if a.Fraud.Rulebook == nil {
		return nil, fault.Unavailable("fraud_unavailable", time.Second, nil, "The fraud service is temporarily unavailable; retry.")
	}
	return a.Fraud.Rulebook, nil
}

// every returns a list that always fits one page. Its collections are bounded by the
// rulebook.
func every[S, T any](items []S, show func(S) T) list[T] {
	return page(items, len(items)+1, show, func(S) cursor { return cursor{} })
}

// listRules answers with all rules that apply to the account: its own, and those of the
// installation.
func (a *API) listRules(q *request) (any, error) {
	book, err := a.rulebook()
	if err != nil {
		return nil, err
	}
	all, err := book.Rules(q.Context(), q.caller.account, q.caller.mode)
	if err != nil {
		return nil, err
	}
	return every(all, showRule), nil
}

// createRule adds a rule. The service compiles the condition and refuses one that is
// invalid or too costly.
func (a *API) createRule(q *request) (any, error) {
	var in ruleBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	for _, m := range []struct {
		name string
		set  bool
	}{{"name", in.Name.Set}, {"action", in.Action.Set}, {"when", in.When.Set}} {
		if err := required(m.set, m.name); err != nil {
			return nil, err
		}
	}
	if err := in.state(); err != nil {
		return nil, err
	}
	return a.putRule(
		q,
		rulebook.Rule{Name: in.Name.Value, Action: payment.Action(in.Action.Value), When: in.When.Value, State: in.State.Value},
	)
}

// putRule stores a rule of the caller's account and answers with it. For a known id the
// service replaces exactly the version that the rule names.
func (a *API) putRule(q *request, r rulebook.Rule) (any, error) {
	book, err := a.rulebook()
	if err != nil {
		return nil, err
	}
	r.Account, r.Mode = q.caller.account, q.caller.mode
	r, err = book.PutRule(q.Context(), r, q.caller.by(), q.ticket)
	if err != nil {
		return nil, err
	}
	return showRule(r), nil
}

// ruleOf returns the rule that the path names, or not found. It reads all rules, of which
// an account has at most a hundred.
func (a *API) ruleOf(q *request) (rulebook.Rule, error) {
	book, err := a.rulebook()
	if err != nil {
		return rulebook.Rule{}, err
	}
	all, err := book.Rules(q.Context(), q.caller.account, q.caller.mode)
	if err != nil {
		return rulebook.Rule{}, err
	}
	for _, r := range all {
		if r.ID == q.PathValue("id") {
			return r, nil
		}
	}
	return rulebook.Rule{}, fault.NotFound("rule")
}

// getRule answers with one rule in its current version.
func (a *API) getRule(q *request) (any, error) {
	r, err := a.ruleOf(q)
	if err != nil {
		return nil, err
	}
	return showRule(r), nil
}

// updateRule changes the given members and keeps the others. It replaces exactly the
// version that it has read, or the one that the caller names, so a concurrent change is
// never overwritten unseen.
func (a *API) updateRule(q *request) (any, error) {
	var in updateRuleBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := in.state(); err != nil {
		return nil, err
	}

	r, err := a.ruleOf(q)
	if err != nil {
		return nil, err
	}

	if in.Version.Set {
		if in.Version.Value < 1 || in.Version.Value > 1<<31 {
			return nil, fault.Invalid("version", "parameter_invalid", "version must be the rule's version when you read it.")
		}
		r.Version = int(in.Version.Value)
	}

	if in.Name.Set {
		r.Name = in.Name.Value
	}
	if in.Action.Set {
		r.Action = payment.Action(in.Action.Value)
	}
	if in.When.Set {
		r.When = in.When.Value
	}
	if in.State.Set {
		r.State = in.State.Value
	}
	return a.putRule(q, r)
}

// deleteRule removes a rule of the account.
func (a *API) deleteRule(q *request) (any, error) {
	book, err := a.rulebook()
	if err != nil {
		return nil, err
	}
	if err := book.DeleteRule(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id")); err != nil {
		return nil, err
	}
	return deleted{ID: q.PathValue("id"), Object: "fraud_rule", Deleted: true}, nil
}

// listRuleVersions answers with every version that a rule has had.
func (a *API) listRuleVersions(q *request) (any, error) {
	book, err := a.rulebook()
	if err != nil {
		return nil, err
	}
	all, err := book.RuleVersions(q.Context(), q.caller.account, q.caller.mode, q.PathValue("id"))
	if err != nil {
		return nil, err
	}
	return every(all, showRule), nil
}

// backtestBody is a rule to try on past payments, and the period of these payments.
type backtestBody struct {
	Action field[string] `json:"action" default:"\"block\""`
	When   field[string] `json:"when"`
	From   field[string] `json:"from"`
	To     field[string] `json:"to"`
}

// backtestObject is the result of a backtest. The counts are payments. Precision and recall
// are fractions from 0 to 1, or null if there is nothing to divide by. Mature payments are
// old enough (matureAfterDays) for their fraud to be known.
type backtestObject struct {
	Object           string                    `json:"object"`
	Payments         int64                     `json:"payments"`
	Matched          int64                     `json:"matched"`
	Fraud            int64                     `json:"fraud"`
	Legitimate       int64                     `json:"legitimate"`
	Unknown          int64                     `json:"unknown"`
	Declined         int64                     `json:"declined"`
	AlreadyBlocked   int64                     `json:"alreadyBlocked"`
	MissedFraud      int64                     `json:"missedFraud"`
	Errors           int64                     `json:"errors"`
	Precision        *float64                  `json:"precision"`
	Recall           *float64                  `json:"recall"`
	Mature           int64                     `json:"mature"`
	MatureAfterDays  int64                     `json:"matureAfterDays"`
	Money            map[string]backtestAmount `json:"money"`
	Examples         []string                  `json:"examples"`
	TookMilliseconds int64                     `json:"tookMilliseconds"`
}

// backtestAmount is money in one currency, as decimal text.
type backtestAmount struct {
	FraudStopped   string `json:"fraudStopped"`
	HonestStopped  string `json:"honestStopped"`
	UnknownStopped string `json:"unknownStopped"`
	FraudMissed    string `json:"fraudMissed"`
}

// showBacktest renders a result. A negative precision or recall means that there is none.
func showBacktest(r learning.BacktestResult) backtestObject {
	o := backtestObject{
		Object:         "fraud_backtest",
		Payments:       r.Payments,
		Matched:        r.Matched,
		Fraud:          r.Fraud,
		Legitimate:     r.Legitimate,
		Unknown:        r.Unknown,
		Declined:       r.Declined,
		AlreadyBlocked: r.AlreadyBlocked,
		MissedFraud:    r.MissedFraud,
		Errors:         r.Errors,
		Mature:         r.Mature,
		MatureAfterDays: int64(
			r.MatureAfter / (24 * time.Hour),
		),
		Money:            map[string]backtestAmount{},
		Examples:         []string{},
		TookMilliseconds: r.Took.Milliseconds(),
	}
	if r.Precision >= 0 {
		o.Precision = &r.Precision
	}
	if r.Recall >= 0 {
		o.Recall = &r.Recall
	}
	for currency, m := range r.Money {
		amount := func(minor int64) string { return money.Of(minor, currency).Decimal() }
		o.Money[string(currency)] = backtestAmount{
			amount(m.FraudStopped),
			amount(m.HonestStopped),
			amount(m.UnknownStopped),
			amount(m.FraudMissed),
		}
	}
	for _, e := range r.Examples {
		o.Examples = append(o.Examples, e.ID)
	}
	return o
}

// backtest runs a rule against past payments and answers with what it would have done. It
// stores nothing, and the service bounds how many run at once and for how long.
func (a *API) backtest(q *request) (any, error) {
	var in backtestBody
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := required(in.When.Set, "when"); err != nil {
		return nil, err
	}

	b := learning.Backtest{Account: q.caller.account, Mode: q.caller.mode, Rule: rulebook.Rule{When: in.When.Value, Action: payment.Block}}
	if in.Action.Set {
		b.Rule.Action = payment.Action(in.Action.Value)
	}

	times := query{}
	for name, given := range map[string]field[string]{"from": in.From, "to": in.To} {
		if given.Set {
			times[name] = given.Value
		}
	}

	within, err := a.period(q, times)
	if err != nil {
		return nil, err
	}

	b.From, b.To = within.From, within.To
	if _, err := a.rulebook(); err != nil {
		return nil, err
	}

	r, err := a.Fraud.Backtester.Backtest(q.Context(), b)
	if err != nil {
		return nil, err
	}

	return showBacktest(r), nil
}
