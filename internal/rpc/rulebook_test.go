package rpc_test

import (
	"context"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/learning"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/rpc"
	"github.com/paylink/paylink/internal/store/projection"
)

// TestRulebookService checks rules, lists, policies and backtests, beside their store and over
// the wire.
func TestRulebookService(t *testing.T) {
	w := newWorld(t)
	history, err := projection.OpenAnalytics(t.Context(), w.store.Feed, w.store.Pages(), filepath.Join(t.TempDir(), "analytics.db"), w.log)
	good(t, err)
	t.Cleanup(func() { _ = history.Close() })
	account := w.local.account(t).Account
	l, err := w.local.links.Create(t.Context(), linkRequest(account))
	good(t, err)
	paid, err := w.local.transactions.Submit(
		t.Context(),
		payment.Submit{
			Link:       l,
			Attempt:    "attempt-0000000001",
			Card:       card(t, "4242424242424242"),
			PayerEmail: "ada@example.com",
			Amount:     l.Amount,
		},
	)
	good(t, err)
	good(t, history.Rebuild(t.Context(), func(projection.Build) {}))
	local := rulebook.New(rulebook.Config{Store: w.store, Now: time.Now, Log: w.log})
	tests := learning.NewLocalBacktester(history, time.Now)
	far := w.rulebook(t, local, tests)
	t.Run("local", func(t *testing.T) {
		rulebookSuite(t, w, local, w.store, id.New(id.Account))
		backtestSuite(t, tests, paid)
	})
	t.Run("over the wire", func(t *testing.T) {
		rulebookSuite(t, w, far, far, id.New(id.Account))
		backtestSuite(t, far, paid)
	})
}

// rulebook returns the service over the wire.
func (w *world) rulebook(t *testing.T, svc rulebook.Service, tests learning.Backtester) *rpc.Rulebook {
	t.Helper()
	c := credentials(t, keysFile(t), "")
	s := rpc.NewServer(rpc.ServerConfig{Credentials: c, Ready: w.store.Ping, Log: w.log, Tickets: w.tickets()})
	rpc.ServeRulebook(s, svc, tests, w.store)
	url, _ := listen(t, s, nil)
	return rpc.NewRulebook(rpc.NewPeer(rpc.FraudService, w.pool(rpc.FraudService, c, url), nil))
}

func rulebookSuite(t *testing.T, w *world, b rulebook.Service, records idempotency.Store, account string) {
	ctx := t.Context()
	ticket := w.ticket(account+"/test", "rule-1", "fraud_rule")
	made, err := b.PutRule(
		ctx,
		rulebook.Rule{Account: account, Mode: link.Test, Name: "Large", Action: payment.Block, When: "amount > 500", State: rulebook.On},
		"usr_1",
		ticket,
	)
	good(t, err)
	w.kept(t, records, ticket)
	if made.ID == "" || made.Version != 1 || made.UpdatedBy != "usr_1" || made.UpdatedAt.IsZero() {
		t.Errorf("made %+v", made)
	}
	next := made
	next.When = "amount > 600"
	changed, err := b.PutRule(ctx, next, "key_1", nil)
	good(t, err)
	if changed.Version != 2 || changed.UpdatedBy != "key_1" {
		t.Errorf("changed %+v", changed)
	}
	_, err = b.PutRule(ctx, next, "usr_1", nil)
	is(t, err, fault.KindConflict, "changed_meanwhile", "")
	next.Version, next.When = 0, "amount >"
	_, err = b.PutRule(ctx, next, "usr_1", nil)
	is(t, err, fault.KindInvalid, "rule_condition_invalid", "when")
	if err == nil || !strings.Contains(fault.From(err).Detail, "Line 1, column ") {
		t.Errorf("the place is not named: %v", err)
	}
	all, err := b.Rules(ctx, account, link.Test)
	good(t, err)
	found := map[string]rulebook.Rule{}
	for _, r := range all {
		found[r.ID] = r
	}
	if len(all) < 2 || !reflect.DeepEqual(found[made.ID], changed) || !all[len(all)-1].Builtin {
		t.Errorf("rules %+v", all)
	}
	versions, err := b.RuleVersions(ctx, account, link.Test, made.ID)
	if err != nil || !reflect.DeepEqual(versions, []rulebook.Rule{changed, made}) {
		t.Errorf("versions %+v, %v", versions, err)
	}
	is(t, b.DeleteRule(ctx, id.New(id.Account), link.Test, made.ID), fault.KindNotFound, "not_found", "")
	good(t, b.DeleteRule(ctx, account, link.Test, made.ID))
	is(t, b.DeleteRule(ctx, account, link.Test, made.ID), fault.KindNotFound, "not_found", "")
	listSuite(t, w, b, records, account)
	policySuite(t, b, account)
}

func listSuite(t *testing.T, w *world, b rulebook.Service, records idempotency.Store, account string) {
	ctx, ends := t.Context(), time.Now().Add(time.Hour).UTC().Truncate(time.Microsecond)
	entry := rulebook.Entry{
		Account:   account,
		Mode:      link.Test,
		Kind:      rulebook.KindEmail,
		Action:    payment.Block,
		Value:     "@Bad.example",
		Note:      "<testers>",
		ExpiresAt: ends,
	}
	ticket := w.ticket(account+"/test", "entry-1", "fraud_list_entry")
	made, err := b.PutListEntry(ctx, entry, "key_1", ticket)
	good(t, err)
	w.kept(t, records, ticket)
	if made.Value != "@bad.example" || made.CreatedBy != "key_1" || !made.ExpiresAt.Equal(ends) || made.Note != entry.Note {
		t.Errorf("made %+v", made)
	}
	_, err = b.PutListEntry(ctx, entry, "key_1", nil)
	is(t, err, fault.KindConflict, "list_entry_exists", "")
	entry.Kind, entry.Value = rulebook.KindBIN, "400000"
	second, err := b.PutListEntry(ctx, entry, "key_1", nil)
	good(t, err)
	for _, c := range []struct {
		kind   rulebook.Kind
		before string
		limit  int
		want   []rulebook.Entry
	}{{"", "", 9, []rulebook.Entry{second, made}}, {"", "", 1, []rulebook.Entry{second}}, {"", second.ID, 9, []rulebook.Entry{made}},
		{rulebook.KindBIN, "", 9, []rulebook.Entry{second}}} {
		got, err := b.Lists(ctx, account, link.Test, c.kind, c.before, c.limit)
		if err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("lists %+v: %+v, %v", c, got, err)
		}
	}
	is(t, b.DeleteListEntry(ctx, account, link.Live, made.ID), fault.KindNotFound, "not_found", "")
	good(t, b.DeleteListEntry(ctx, account, link.Test, made.ID))
}

func policySuite(t *testing.T, b rulebook.Service, account string) {
	ctx := t.Context()
	p, err := b.Policy(ctx, account, link.Test)
	if err != nil || !p.FailOpen || p.ReviewFor != 0 {
		t.Errorf("first policy %+v, %v", p, err)
	}
	put, err := b.PutPolicy(ctx, account, link.Test, rulebook.Policy{ReviewFor: 36 * time.Hour})
	good(t, err)
	p, err = b.Policy(ctx, account, link.Test)
	if err != nil || p.FailOpen || p.ReviewFor != 36*time.Hour || p.UpdatedAt.IsZero() || !reflect.DeepEqual(p, put) {
		t.Errorf("policy %+v, put %+v, %v", p, put, err)
	}
	_, err = b.PutPolicy(ctx, account, link.Test, rulebook.Policy{ReviewFor: time.Second})
	is(t, err, fault.KindInvalid, "review_time_invalid", "reviewSeconds")
}

func backtestSuite(t *testing.T, b learning.Backtester, paid payment.Payment) {
	ask := learning.Backtest{
		Account: paid.Account,
		Mode:    paid.Mode,
		Rule:    rulebook.Rule{Action: payment.Block, When: `payer.email == "ada@example.com"`},
	}
	r, err := b.Backtest(t.Context(), ask)
	if err != nil || r.Payments != 1 || r.Matched != 1 || r.Unknown != 1 || r.Precision != -1 || r.MatureAfter < 24*time.Hour ||
		r.Money["EUR"].UnknownStopped != 1250 ||
		len(r.Examples) != 1 ||
		r.Examples[0].ID != paid.ID {
		t.Errorf("%+v, %v", r, err)
	}
	ask.From = time.Now().AddDate(-3, 0, 0)
	_, err = b.Backtest(t.Context(), ask)
	is(t, err, fault.KindInvalid, "range_invalid", "from")
}

// clerk answers with objects that have no empty field, and records its requests.
type clerk struct {
	rule              rulebook.Rule
	entry             rulebook.Entry
	policy            rulebook.Policy
	test              learning.Backtest
	account, mode, id string
	by, before        string
	kind              rulebook.Kind
	limit             int
}

func (c *clerk) of(account, mode, id string) { c.account, c.mode, c.id = account, mode, id }

func (c *clerk) Rules(_ context.Context, account, mode string) ([]rulebook.Rule, error) {
	c.of(account, mode, "")
	return []rulebook.Rule{filled[rulebook.Rule]()}, nil
}

func (c *clerk) PutRule(_ context.Context, r rulebook.Rule, by string, _ *idempotency.Ticket) (rulebook.Rule, error) {
	c.rule, c.by = r, by
	return filled[rulebook.Rule](), nil
}

func (c *clerk) DeleteRule(_ context.Context, account, mode, id string) error {
	c.of(account, mode, id)
	return nil
}

func (c *clerk) RuleVersions(_ context.Context, account, mode, id string) ([]rulebook.Rule, error) {
	c.of(account, mode, id)
	return []rulebook.Rule{filled[rulebook.Rule]()}, nil
}

func (c *clerk) Lists(_ context.Context, account, mode string, kind rulebook.Kind, before string, limit int) ([]rulebook.Entry, error) {
	c.of(account, mode, "")
	c.kind, c.before, c.limit = kind, before, limit
	return []rulebook.Entry{filled[rulebook.Entry]()}, nil
}

func (c *clerk) PutListEntry(_ context.Context, e rulebook.Entry, by string, _ *idempotency.Ticket) (rulebook.Entry, error) {
	c.entry, c.by = e, by
	return filled[rulebook.Entry](), nil
}

func (c *clerk) DeleteListEntry(_ context.Context, account, mode, id string) error {
	c.of(account, mode, id)
	return nil
}

func (c *clerk) Policy(_ context.Context, account, mode string) (rulebook.Policy, error) {
	c.of(account, mode, "")
	return filled[rulebook.Policy](), nil
}

func (c *clerk) PutPolicy(_ context.Context, account, mode string, p rulebook.Policy) (rulebook.Policy, error) {
	c.of(account, mode, "")
	c.policy = p
	return filled[rulebook.Policy](), nil
}

func (c *clerk) Backtest(_ context.Context, b learning.Backtest) (learning.BacktestResult, error) {
	c.test = b
	return filled[learning.BacktestResult](), nil
}

// same compares a result with an object that has no empty field.
func same[T any](t *testing.T, what string, got T, err error) {
	t.Helper()
	if want := filled[T](); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s\n%+v, %v\nwant\n%+v", what, got, err, want)
	}
}

// TestEveryFieldOfARulebookCrosses fails if a field of a rule, an entry, a policy or a backtest
// is missing on the wire.
func TestEveryFieldOfARulebookCrosses(t *testing.T) {
	w, c, ctx := newWorld(t), &clerk{}, t.Context()
	far := w.rulebook(t, c, c)
	asked := func(account, mode, id string) {
		t.Helper()
		if c.account != account || c.mode != mode || c.id != id {
			t.Errorf("asked of %q %q %q, want %q %q %q", c.account, c.mode, c.id, account, mode, id)
		}
	}
	rule, err := far.PutRule(ctx, filled[rulebook.Rule](), "by", nil)
	same(t, "rule", rule, err)
	same(t, "rule asked", c.rule, nil)
	entry, err := far.PutListEntry(ctx, filled[rulebook.Entry](), "by too", nil)
	same(t, "entry", entry, err)
	same(t, "entry asked", c.entry, nil)
	if c.by != "by too" {
		t.Errorf("by %q", c.by)
	}
	rules, err := far.Rules(ctx, "a", "b")
	same(t, "rules", rules[0], err)
	asked("a", "b", "")
	rules, err = far.RuleVersions(ctx, "c", "d", "e")
	same(t, "versions", rules[0], err)
	asked("c", "d", "e")
	good(t, far.DeleteRule(ctx, "f", "g", "h"))
	asked("f", "g", "h")
	entries, err := far.Lists(ctx, "i", "j", "k", "l", 7)
	same(t, "entries", entries[0], err)
	asked("i", "j", "")
	if c.kind != "k" || c.before != "l" || c.limit != 7 {
		t.Errorf("lists of %q before %q, %d", c.kind, c.before, c.limit)
	}
	good(t, far.DeleteListEntry(ctx, "m", "n", "o"))
	asked("m", "n", "o")
	policy, err := far.Policy(ctx, "p", "q")
	same(t, "policy", policy, err)
	asked("p", "q", "")
	policy, err = far.PutPolicy(ctx, "r", "s", filled[rulebook.Policy]())
	same(t, "policy put", policy, err)
	same(t, "policy asked", c.policy, nil)
	asked("r", "s", "")
	result, err := far.Backtest(ctx, filled[learning.Backtest]())
	same(t, "backtest", result, err)
	same(t, "backtest asked", c.test, nil)
}
