package client

import (
	"context"
	"iter"
	"net/http"
	"net/url"
	"time"
)

// FraudAPI manages what decides on payment attempts: rules, lists and the policy.
type FraudAPI struct{ c *Client }

// FraudRule is a condition in CEL with an action.
type FraudRule struct {
	ID        string    `json:"id"`
	Object    string    `json:"object"`
	Name      string    `json:"name"`
	Action    string    `json:"action"` // request_3ds, allow, block or review
	When      string    `json:"when"`
	State     string    `json:"state"` // on, shadow, off; deleted in a list of versions
	Version   int       `json:"version"`
	Scope     string    `json:"scope"` // account or installation
	Builtin   bool      `json:"builtin"`
	Mode      Mode      `json:"mode"`
	UpdatedAt time.Time `json:"updatedAt,omitzero"`
	UpdatedBy string    `json:"updatedBy,omitempty"`
}

// CreateFraudRule is a new rule; without a state it runs in shadow.
type CreateFraudRule struct {
	Name   string `json:"name"`
	Action string `json:"action"`
	When   string `json:"when"`
	State  string `json:"state,omitempty"`
}

// UpdateFraudRule changes the fields that are set. With the Version that was read, it is refused
// if the rule has changed since.
type UpdateFraudRule struct {
	Name    string `json:"name,omitempty"`
	Action  string `json:"action,omitempty"`
	When    string `json:"when,omitempty"`
	State   string `json:"state,omitempty"`
	Version int    `json:"version,omitempty"`
}

// FraudListEntry is a value that is always allowed, blocked or reviewed.
type FraudListEntry struct {
	ID        string    `json:"id"`
	Object    string    `json:"object"`
	Kind      string    `json:"kind"` // card, bin, email, address or country
	Action    string    `json:"action"`
	Value     string    `json:"value"`
	Note      string    `json:"note,omitempty"`
	Mode      Mode      `json:"mode"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
	CreatedAt time.Time `json:"createdAt,omitzero"`
	CreatedBy string    `json:"createdBy,omitempty"`
}

// CreateFraudListEntry adds a value to a list.
type CreateFraudListEntry struct {
	Kind      string    `json:"kind"`
	Value     string    `json:"value"`
	Action    string    `json:"action"`
	Note      string    `json:"note,omitempty"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// UpdateFraudListEntry replaces all of an entry except its kind and value.
type UpdateFraudListEntry struct {
	Action    string    `json:"action"`
	Note      string    `json:"note,omitempty"`
	ExpiresAt time.Time `json:"expiresAt,omitzero"`
}

// FraudPolicy is the account's choice where no rule decides.
type FraudPolicy struct {
	Object        string    `json:"object"`
	OnTimeout     string    `json:"onTimeout"` // allow or block
	ReviewSeconds int64     `json:"reviewSeconds"`
	Mode          Mode      `json:"mode"`
	UpdatedAt     time.Time `json:"updatedAt,omitzero"`
}

// UpdateFraudPolicy changes the fields that are set.
type UpdateFraudPolicy struct {
	OnTimeout     string `json:"onTimeout,omitempty"`
	ReviewSeconds *int64 `json:"reviewSeconds,omitempty"`
}

// BacktestFraudRule requests a backtest of a condition.
type BacktestFraudRule struct {
	When   string    `json:"when"`
	Action string    `json:"action,omitempty"`
	From   time.Time `json:"from,omitzero"`
	To     time.Time `json:"to,omitzero"`
}

// FraudBacktest is the result of a backtest. Precision and Recall are nil if no outcome is known.
type FraudBacktest struct {
	Object           string                   `json:"object"`
	Payments         int64                    `json:"payments"`
	Matched          int64                    `json:"matched"`
	Fraud            int64                    `json:"fraud"`
	Legitimate       int64                    `json:"legitimate"`
	Unknown          int64                    `json:"unknown"`
	Declined         int64                    `json:"declined"`
	AlreadyBlocked   int64                    `json:"alreadyBlocked"`
	MissedFraud      int64                    `json:"missedFraud"`
	Errors           int64                    `json:"errors"`
	Precision        *float64                 `json:"precision"`
	Recall           *float64                 `json:"recall"`
	Mature           int64                    `json:"mature"`
	MatureAfterDays  int64                    `json:"matureAfterDays"`
	Money            map[string]BacktestMoney `json:"money"`
	Examples         []string                 `json:"examples"`
	TookMilliseconds int64                    `json:"tookMilliseconds"`
}

// BacktestMoney is the amounts at stake on both sides, as decimals of one currency.
type BacktestMoney struct {
	FraudStopped   string `json:"fraudStopped"`
	HonestStopped  string `json:"honestStopped"`
	UnknownStopped string `json:"unknownStopped"`
	FraudMissed    string `json:"fraudMissed"`
}

const (
	fraudRulesPath  = "/api/fraud/rules"
	fraudListsPath  = "/api/fraud/lists"
	fraudPolicyPath = "/api/fraud/policy"
)

func fraudRulePath(id string) string { return fraudRulesPath + "/" + url.PathEscape(id) }
func fraudListPath(id string) string { return fraudListsPath + "/" + url.PathEscape(id) }

func (a *FraudAPI) put(ctx context.Context, path string, body, out any, options []CallOption) error {
	return a.c.do(ctx, call{method: http.MethodPut, path: path, body: body, out: out}, options)
}

func (a *FraudAPI) rules(ctx context.Context, path string, options []CallOption) ([]FraudRule, error) {
	list, err := get[struct {
		Data []FraudRule `json:"data"`
	}](ctx, a.c, path, nil, options)
	return list.Data, err
}

// Rules returns your rules, the installation's and the default set, in order of evaluation.
func (a *FraudAPI) Rules(ctx context.Context, options ...CallOption) ([]FraudRule, error) {
	return a.rules(ctx, fraudRulesPath, options)
}

// CreateRule creates a rule.
func (a *FraudAPI) CreateRule(ctx context.Context, r CreateFraudRule, options ...CallOption) (FraudRule, error) {
	return post[FraudRule](ctx, a.c, fraudRulesPath, r, options)
}

// Rule returns a rule.
func (a *FraudAPI) Rule(ctx context.Context, id string, options ...CallOption) (FraudRule, error) {
	return get[FraudRule](ctx, a.c, fraudRulePath(id), nil, options)
}

// UpdateRule creates a new version of a rule.
func (a *FraudAPI) UpdateRule(ctx context.Context, id string, r UpdateFraudRule, options ...CallOption) (out FraudRule, err error) {
	err = a.put(ctx, fraudRulePath(id), r, &out, options)
	return out, err
}

// DeleteRule removes a rule; its versions stay readable.
func (a *FraudAPI) DeleteRule(ctx context.Context, id string, options ...CallOption) error {
	return remove(ctx, a.c, fraudRulePath(id), options)
}

// RuleVersions returns the versions of a rule, newest first.
func (a *FraudAPI) RuleVersions(ctx context.Context, id string, options ...CallOption) ([]FraudRule, error) {
	return a.rules(ctx, fraudRulePath(id)+"/versions", options)
}

// ListEntries iterates over the lists, newest first; an empty kind means all.
func (a *FraudAPI) ListEntries(ctx context.Context, kind string, options ...CallOption) iter.Seq2[FraudListEntry, error] {
	q := url.Values{}
	set(q, "kind", kind)
	return all[FraudListEntry](ctx, a.c, fraudListsPath, q, options)
}

// CreateListEntry adds a value to a list.
func (a *FraudAPI) CreateListEntry(ctx context.Context, e CreateFraudListEntry, options ...CallOption) (FraudListEntry, error) {
	return post[FraudListEntry](ctx, a.c, fraudListsPath, e, options)
}

// UpdateListEntry changes an entry.
func (a *FraudAPI) UpdateListEntry(
	ctx context.Context,
	id string,
	e UpdateFraudListEntry,
	options ...CallOption,
) (out FraudListEntry, err error) {
	err = a.put(ctx, fraudListPath(id), e, &out, options)
	return out, err
}

// DeleteListEntry removes a value from its list.
func (a *FraudAPI) DeleteListEntry(ctx context.Context, id string, options ...CallOption) error {
	return remove(ctx, a.c, fraudListPath(id), options)
}

// Policy returns the policy.
func (a *FraudAPI) Policy(ctx context.Context, options ...CallOption) (FraudPolicy, error) {
	return get[FraudPolicy](ctx, a.c, fraudPolicyPath, nil, options)
}

// UpdatePolicy changes the policy.
func (a *FraudAPI) UpdatePolicy(ctx context.Context, p UpdateFraudPolicy, options ...CallOption) (out FraudPolicy, err error) {
	err = a.put(ctx, fraudPolicyPath, p, &out, options)
	return out, err
}

// Backtest evaluates a condition on the payments of a period.
func (a *FraudAPI) Backtest(ctx context.Context, b BacktestFraudRule, options ...CallOption) (FraudBacktest, error) {
	return post[FraudBacktest](ctx, a.c, "/api/fraud/backtests", b, options)
}
