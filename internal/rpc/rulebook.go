package rpc

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/idempotency"
)

// Rulebook is the client of rulebook.Service, with the service's idempotency records.
type Rulebook struct {
	records
	peer *Peer
}

var _ rulebook.Service = (*Rulebook)(nil)

// NewRulebook returns the client.
func NewRulebook(p *Peer) *Rulebook { return &Rulebook{records: records{p}, peer: p} }

// ruleForm is a rule and the person who wrote it.
type ruleForm struct {
	Rule rulebook.Rule
	By   string
}

// entryForm is an entry of a list and the person who wrote it.
type entryForm struct {
	Entry rulebook.Entry
	By    string
}

// listForm is a page of the entries of a kind.
type listForm struct {
	owned
	Kind   rulebook.Kind
	Before string
	Limit  int
}

// policyForm is a policy on the wire, which has no durations.
type policyForm struct {
	owned
	FailOpen  bool
	ReviewFor int64 // nanoseconds
	UpdatedAt time.Time
}

// policyOut and policy convert a policy to its form and back.
func policyOut(p rulebook.Policy) policyForm {
	return policyForm{FailOpen: p.FailOpen, ReviewFor: int64(p.ReviewFor), UpdatedAt: p.UpdatedAt}
}

func (f policyForm) policy() rulebook.Policy {
	return rulebook.Policy{FailOpen: f.FailOpen, ReviewFor: time.Duration(f.ReviewFor), UpdatedAt: f.UpdatedAt}
}

// backtestForm is a result on the wire, which has no durations.
type backtestForm struct {
	learning.BacktestResult
	MatureAfter, Took int64 // nanoseconds
}

// backtestOut and result convert a result to its form and back.
func backtestOut(r learning.BacktestResult) backtestForm {
	form := backtestForm{BacktestResult: r, MatureAfter: int64(r.MatureAfter), Took: int64(r.Took)}
	form.BacktestResult.MatureAfter, form.BacktestResult.Took = 0, 0
	return form
}

func (f backtestForm) result() learning.BacktestResult {
	r := f.BacktestResult
	r.MatureAfter, r.Took = time.Duration(f.MatureAfter), time.Duration(f.Took)
	return r
}

// Rules implements rulebook.Service.
func (r *Rulebook) Rules(ctx context.Context, account, mode string) ([]rulebook.Rule, error) {
	return value(call[owned, []rulebook.Rule](ctx, r.peer, "Rules", read, &owned{Account: account, Mode: mode}))
}

// PutRule implements rulebook.Service.
func (r *Rulebook) PutRule(ctx context.Context, rule rulebook.Rule, by string, t *idempotency.Ticket) (rulebook.Rule, error) {
	return callTicketed[ruleForm, rulebook.Rule](ctx, r.peer, "PutRule", ruleForm{rule, by}, t)
}

// DeleteRule implements rulebook.Service. A repetition is a 404, so it is not repeated.
func (r *Rulebook) DeleteRule(ctx context.Context, account, mode, id string) error {
	_, err := call[owned, struct{}](ctx, r.peer, "DeleteRule", once, &owned{account, mode, id})
	return err
}

// RuleVersions implements rulebook.Service.
func (r *Rulebook) RuleVersions(ctx context.Context, account, mode, id string) ([]rulebook.Rule, error) {
	return value(call[owned, []rulebook.Rule](ctx, r.peer, "RuleVersions", read, &owned{account, mode, id}))
}

// Lists implements rulebook.Service.
func (r *Rulebook) Lists(
	ctx context.Context,
	account, mode string,
	kind rulebook.Kind,
	before string,
	limit int,
) ([]rulebook.Entry, error) {
	return value(
		call[listForm, []rulebook.Entry](ctx, r.peer, "Lists", read, &listForm{owned{Account: account, Mode: mode}, kind, before, limit}),
	)
}

// PutListEntry implements rulebook.Service.
func (r *Rulebook) PutListEntry(ctx context.Context, e rulebook.Entry, by string, t *idempotency.Ticket) (rulebook.Entry, error) {
	return callTicketed[entryForm, rulebook.Entry](ctx, r.peer, "PutListEntry", entryForm{e, by}, t)
}

// DeleteListEntry implements rulebook.Service. A repetition is a 404, so it is not repeated.
func (r *Rulebook) DeleteListEntry(ctx context.Context, account, mode, id string) error {
	_, err := call[owned, struct{}](ctx, r.peer, "DeleteListEntry", once, &owned{account, mode, id})
	return err
}

// Policy implements rulebook.Service.
func (r *Rulebook) Policy(ctx context.Context, account, mode string) (rulebook.Policy, error) {
	form, err := value(call[owned, policyForm](ctx, r.peer, "Policy", read, &owned{Account: account, Mode: mode}))
	return form.policy(), err
}

// PutPolicy implements rulebook.Service. A repetition changes only the policy's time.
func (r *Rulebook) PutPolicy(ctx context.Context, account, mode string, p rulebook.Policy) (rulebook.Policy, error) {
	q := policyOut(p)
	q.owned = owned{Account: account, Mode: mode}
	form, err := value(call[policyForm, policyForm](ctx, r.peer, "PutPolicy", harmless, &q))
	return form.policy(), err
}

// Backtest implements learning.Backtester. It may take longer than the time limit of a read, so
// it is called once, at one instance.
func (r *Rulebook) Backtest(ctx context.Context, b learning.Backtest) (learning.BacktestResult, error) {
	form, err := value(call[learning.Backtest, backtestForm](ctx, r.peer, "Backtest", once, &b))
	return form.result(), err
}

// ServeRulebook serves the rules, lists and policies of the fraud service, and its idempotency
// records.
func ServeRulebook(s *Server, svc rulebook.Service, tests learning.Backtester, kept idempotency.Store) {
	const name = FraudService
	serveRecords(s, name, kept)
	handle(s, name, "Rules", func(ctx context.Context, q *owned) (*[]rulebook.Rule, error) {
		all, err := svc.Rules(ctx, q.Account, q.Mode)
		return &all, err
	})
	handleTicketed(s, name, "PutRule", func(ctx context.Context, q ruleForm, t *idempotency.Ticket) (rulebook.Rule, error) {
		return svc.PutRule(ctx, q.Rule, q.By, t)
	})
	handle(s, name, "DeleteRule", func(ctx context.Context, q *owned) (*struct{}, error) {
		return &struct{}{}, svc.DeleteRule(ctx, q.Account, q.Mode, q.ID)
	})
	handle(s, name, "RuleVersions", func(ctx context.Context, q *owned) (*[]rulebook.Rule, error) {
		all, err := svc.RuleVersions(ctx, q.Account, q.Mode, q.ID)
		return &all, err
	})
	serveLists(s, svc)
	handle(s, name, "Policy", func(ctx context.Context, q *owned) (*policyForm, error) {
		p, err := svc.Policy(ctx, q.Account, q.Mode)
		form := policyOut(p)
		return &form, err
	})
	handle(s, name, "PutPolicy", func(ctx context.Context, q *policyForm) (*policyForm, error) {
		p, err := svc.PutPolicy(ctx, q.Account, q.Mode, q.policy())
		form := policyOut(p)
		return &form, err
	})
	handle(s, name, "Backtest", func(ctx context.Context, q *learning.Backtest) (*backtestForm, error) {
		r, err := tests.Backtest(ctx, *q)
		form := backtestOut(r)
		return &form, err
	})
}

// serveLists serves the entries of lists.
func serveLists(s *Server, svc rulebook.Service) {
	const name = FraudService
	handle(s, name, "Lists", func(ctx context.Context, q *listForm) (*[]rulebook.Entry, error) {
		all, err := svc.Lists(ctx, q.Account, q.Mode, q.Kind, q.Before, q.Limit)
		return &all, err
	})
	handleTicketed(s, name, "PutListEntry", func(ctx context.Context, q entryForm, t *idempotency.Ticket) (rulebook.Entry, error) {
		return svc.PutListEntry(ctx, q.Entry, q.By, t)
	})
	handle(s, name, "DeleteListEntry", func(ctx context.Context, q *owned) (*struct{}, error) {
		return &struct{}{}, svc.DeleteListEntry(ctx, q.Account, q.Mode, q.ID)
	})
}
