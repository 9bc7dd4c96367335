package storetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// RuleStore is what an engine must implement for rules, lists and policies.
type RuleStore interface {
	rulebook.Store
	idempotency.Store
}

type rulesSuite struct {
	RuleStore
	ctx     context.Context
	account string
}

// RunRules runs the suite of rules, lists and policies.
func RunRules(t *testing.T, open func(t *testing.T) RuleStore) {
	s := open(t)
	for name, test := range map[string]func(*testing.T, rulesSuite){
		"a rule has versions, and keeps them":          ruleVersions,
		"one of many changes of a version wins":        ruleRace,
		"a record is kept with its rule or not":        ruleRecords,
		"an entry's value is on one list":              listEntries,
		"a policy is read back":                        policies,
		"what changed is told in order":                revisions,
		"ended entries are pruned":                     prunedEntries,
		"a book holds so many rules":                   fullBook,
		"no account reads or changes another's":        ruleTenants,
		"a change is in force in every process in 2 s": ruleSpread,
	} {
		t.Run(name, func(t *testing.T) {
			test(t, rulesSuite{RuleStore: s, ctx: t.Context(), account: id.New(id.Account)})
		})
	}
}

// NewRule returns a rule of the account.
func NewRule(account string) rulebook.Rule {
	return rulebook.Rule{
		ID:        id.New(id.FraudRule),
		Account:   account,
		Mode:      link.Test,
		Name:      "Many declines",
		Action:    payment.Block,
		When:      "card.declined_1h >= 3",
		State:     rulebook.On,
		Version:   1,
		UpdatedAt: Epoch,
		UpdatedBy: "usr_1",
	}
}

func (s rulesSuite) rule(t *testing.T) rulebook.Rule {
	t.Helper()
	r := NewRule(s.account)
	must(t, s.PutFraudRule(s.ctx, r, 0, nil))
	return r
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func ruleVersions(t *testing.T, s rulesSuite) {
	first := s.rule(t)
	must(t, s.PutFraudRule(s.ctx, first, 0, nil)) // the answer was lost
	second := first
	second.Version, second.State = 2, rulebook.Shadow
	must(t, s.PutFraudRule(s.ctx, second, 1, nil))
	must(t, s.PutFraudRule(s.ctx, second, 1, nil))
	all, err := s.FraudRules(s.ctx, s.account, link.Test)
	if must(t, err); !reflect.DeepEqual(all, []rulebook.Rule{second}) {
		t.Fatalf("rules %+v", all)
	}
	gone := second
	gone.Version, gone.State = 3, rulebook.Deleted
	must(t, s.DeleteFraudRule(s.ctx, gone))
	wantCode(t, s.DeleteFraudRule(s.ctx, gone), "not_found")
	versions, err := s.FraudRuleVersions(s.ctx, s.account, link.Test, first.ID, 10)
	if must(t, err); !reflect.DeepEqual(versions, []rulebook.Rule{gone, second, first}) {
		t.Fatalf("versions %+v", versions)
	}
	if none, err := s.FraudRules(s.ctx, s.account, link.Test); err != nil || len(none) != 0 {
		t.Errorf("after the end %+v, %v", none, err)
	}
	late := second
	late.Version = 4
	wantCode(t, s.PutFraudRule(s.ctx, late, 2, nil), "not_found")
}

func ruleRace(t *testing.T, s rulesSuite) {
	r := s.rule(t)
	var won atomic.Int64
	var all sync.WaitGroup
	for n := range 8 {
		all.Go(func() {
			mine := r
			mine.Version, mine.Name = 2, fmt.Sprint(n)
			switch err := s.PutFraudRule(s.ctx, mine, 1, nil); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, rulebook.ErrRuleChanged):
				t.Error(err)
			}
		})
	}
	all.Wait()
	if won.Load() != 1 {
		t.Errorf("%d of 8 changes of one version won", won.Load())
	}
}

func ruleRecords(t *testing.T, s rulesSuite) {
	record := func() *idempotency.Record {
		return &idempotency.Record{
			Scope:       s.account,
			Key:         "rule-1",
			Fingerprint: []byte{1},
			Status:      200,
			Answer:      []byte("sealed"),
			CreatedAt:   Epoch,
		}
	}
	must(t, s.PutFraudRule(s.ctx, NewRule(s.account), 0, record()))
	if err := s.PutFraudRule(s.ctx, NewRule(s.account), 0, record()); !errors.Is(err, idempotency.ErrRaced) {
		t.Fatalf("the same key: %v", err)
	}
	if all, err := s.FraudRules(s.ctx, s.account, link.Test); err != nil || len(all) != 1 {
		t.Errorf("%d rules, %v", len(all), err)
	}
}

func newEntry(account, value string) rulebook.Entry {
	return rulebook.Entry{
		ID:        id.New(id.FraudEntry),
		Account:   account,
		Mode:      link.Test,
		Kind:      rulebook.KindEmail,
		Action:    payment.Block,
		Value:     value,
		Note:      "seen",
		CreatedAt: Epoch,
		CreatedBy: "usr_1",
	}
}

func listEntries(t *testing.T, s rulesSuite) {
	var made []rulebook.Entry
	for n := range 5 {
		e := newEntry(s.account, fmt.Sprintf("p%d@mail.example", n))
		must(t, s.PutFraudListEntry(s.ctx, e, nil))
		must(t, s.PutFraudListEntry(s.ctx, e, nil)) // the answer was lost
		made = append(made, e)
	}
	wantCode(t, s.PutFraudListEntry(s.ctx, newEntry(s.account, "p1@mail.example"), nil), "list_entry_exists")
	changed := made[4]
	changed.Action, changed.ExpiresAt = payment.Allow, Epoch.Add(time.Hour)
	must(t, s.PutFraudListEntry(s.ctx, changed, nil))
	page, err := s.FraudListEntries(s.ctx, s.account, link.Test, rulebook.KindEmail, "", 2)
	if must(t, err); !reflect.DeepEqual(page, []rulebook.Entry{changed, made[3]}) {
		t.Fatalf("page %+v", page)
	}
	page, err = s.FraudListEntries(s.ctx, s.account, link.Test, "", page[1].ID, 10)
	if must(t, err); len(page) != 3 || page[2].ID != made[0].ID {
		t.Errorf("next page %+v", page)
	}
	if none, err := s.FraudListEntries(s.ctx, s.account, link.Test, rulebook.KindBIN, "", 10); err != nil || len(none) != 0 {
		t.Errorf("of another kind %+v, %v", none, err)
	}
	must(t, s.DeleteFraudListEntry(s.ctx, s.account, link.Test, changed.ID))
	wantCode(t, s.DeleteFraudListEntry(s.ctx, s.account, link.Test, changed.ID), "not_found")
	_, err = s.FraudListEntry(s.ctx, s.account, link.Test, changed.ID)
	wantCode(t, err, "not_found")
}

func policies(t *testing.T, s rulesSuite) {
	if p, err := s.FraudPolicy(s.ctx, s.account, link.Test); err != nil || p != nil {
		t.Fatalf("at first %+v, %v", p, err)
	}
	for _, want := range []rulebook.Policy{{FailOpen: false, ReviewFor: time.Hour, UpdatedAt: Epoch}, {FailOpen: true, UpdatedAt: Epoch}} {
		must(t, s.PutFraudPolicy(s.ctx, s.account, link.Test, want))
		if p, err := s.FraudPolicy(s.ctx, s.account, link.Test); err != nil || p == nil || !reflect.DeepEqual(*p, want) {
			t.Errorf("%+v, %v", p, err)
		}
	}
	if p, err := s.FraudPolicy(s.ctx, s.account, link.Live); err != nil || p != nil {
		t.Errorf("of the other mode %+v, %v", p, err)
	}
}

func revisions(t *testing.T, s rulesSuite) {
	_, before, err := s.FraudBooks(s.ctx, 0)
	must(t, err)
	var all sync.WaitGroup
	for range 8 { // a reader in between must not skip one
		all.Go(func() {
			if err := s.PutFraudRule(s.ctx, NewRule(id.New(id.Account)), 0, nil); err != nil {
				t.Error(err)
			}
		})
	}
	seen, at := map[string]bool{}, before
	for done := false; !done; {
		changed, now, err := s.FraudBooks(s.ctx, at)
		must(t, err)
		for _, name := range changed {
			seen[name.Account] = true
		}
		at, done = now, now >= before+8
	}
	all.Wait()
	if len(seen) != 8 || at != before+8 {
		t.Errorf("saw %d books, revision %d after %d", len(seen), at, before)
	}
	if none, now, err := s.FraudBooks(s.ctx, at); err != nil || len(none) != 0 || now != at {
		t.Errorf("then %+v, %d, %v", none, now, err)
	}
}

func prunedEntries(t *testing.T, s rulesSuite) {
	ended, lasting := newEntry(s.account, "ended@mail.example"), newEntry(s.account, "lasting@mail.example")
	ended.ExpiresAt = Epoch
	must(t, s.PutFraudListEntry(s.ctx, ended, nil))
	must(t, s.PutFraudListEntry(s.ctx, lasting, nil))
	if n, err := s.PruneFraudLists(s.ctx, Epoch.Add(time.Second), 10); err != nil || n != 1 {
		t.Errorf("removed %d, %v", n, err)
	}
	if all, err := s.FraudListEntries(s.ctx, s.account, link.Test, "", "", 10); err != nil || len(all) != 1 || all[0].ID != lasting.ID {
		t.Errorf("left %+v, %v", all, err)
	}
}

func fullBook(t *testing.T, s rulesSuite) {
	for range rulebook.MaxRules {
		s.rule(t)
	}
	wantCode(t, s.PutFraudRule(s.ctx, NewRule(s.account), 0, nil), "rules_limit_reached")
	other := NewRule(s.account)
	other.Mode = link.Live
	must(t, s.PutFraudRule(s.ctx, other, 0, nil))
}

// book is a process: the rulebook, and the rules by which it judges.
func (s rulesSuite) book(t *testing.T) (*rulebook.Local, *fraud.Rulesets) {
	t.Helper()
	source := fraud.NewRulesets(s.RuleStore, time.Now, slog.New(slog.DiscardHandler))
	must(t, source.Load(s.ctx))
	return rulebook.New(rulebook.Config{Store: s.RuleStore, Reload: source.Load, Now: time.Now, Log: slog.New(slog.DiscardHandler)}), source
}

// decide assesses an attempt of 12.50 € at the account.
func decide(source *fraud.Rulesets, account string) payment.Risk {
	var none score.Vector
	return source.Ruleset(
		account,
		link.Test,
	).Decide(
		&fraud.Attempt{
			At:      time.Now(),
			Account: account,
			Mode:    link.Test,
			Amount:  money.Of(1250, "EUR"),
			Email:   "eve@mail.example",
			BIN:     "424242",
		},
		&none,
		nil,
	)
}

// ruleTenants checks that what one account writes is not found by another, and does not affect
// its payments.
func ruleTenants(t *testing.T, s rulesSuite) {
	book, source := s.book(t)
	mine, other := s.account, id.New(id.Account)
	r, err := book.PutRule(
		s.ctx,
		rulebook.Rule{Account: mine, Mode: link.Test, Name: "All", Action: payment.Block, When: "amount > 1", State: rulebook.On},
		"usr_1",
		nil,
	)
	must(t, err)
	e, err := book.PutListEntry(
		s.ctx,
		rulebook.Entry{Account: mine, Mode: link.Test, Kind: rulebook.KindBIN, Action: payment.Block, Value: "555555"},
		"usr_1",
		nil,
	)
	must(t, err)
	_, err = book.PutPolicy(s.ctx, mine, link.Test, rulebook.Policy{FailOpen: false})
	must(t, err)
	if got := decide(source, mine); got.Action != payment.Block || got.Rule != r.ID {
		t.Errorf("its own: %+v", got)
	}
	if got := decide(source, other); got.Action != payment.Allow || got.Why != fraud.WhyDefault {
		t.Errorf("the other's payments: %+v", got)
	}
	if !source.Ruleset(other, link.Test).Policy().FailOpen || source.Ruleset(mine, link.Test).Policy().FailOpen {
		t.Error("the policy of one is the other's")
	}
	all, err := book.Rules(s.ctx, other, link.Test)
	must(t, err)
	for _, seen := range all {
		if seen.ID == r.ID {
			t.Error("the other reads the rule")
		}
	}
	_, err = book.RuleVersions(s.ctx, other, link.Test, r.ID)
	wantCode(t, err, "not_found")
	stolen := r
	stolen.Account, stolen.Version = other, 0
	_, err = book.PutRule(s.ctx, stolen, "usr_2", nil)
	wantCode(t, err, "not_found")
	wantCode(t, book.DeleteRule(s.ctx, other, link.Test, r.ID), "not_found")
	if list, err := book.Lists(s.ctx, other, link.Test, "", "", 10); err != nil || len(list) != 0 {
		t.Errorf("the other reads %+v, %v", list, err)
	}
	e.Account = other
	_, err = book.PutListEntry(s.ctx, e, "usr_2", nil)
	wantCode(t, err, "not_found")
	wantCode(t, book.DeleteListEntry(s.ctx, other, link.Test, e.ID), "not_found")
	builtin := rulebook.BuiltinID("card_declines")
	_, err = book.PutRule(s.ctx, rulebook.Rule{ID: builtin, Account: mine, Mode: link.Test, State: rulebook.On}, "usr_1", nil)
	must(t, err)
	for account, want := range map[string]string{mine: rulebook.On, other: rulebook.Off} {
		all, err := book.Rules(s.ctx, account, link.Test)
		must(t, err)
		for _, seen := range all {
			if seen.ID == builtin && seen.State != want {
				t.Errorf("%s sees the default set's rule %s, want %s", account, seen.State, want)
			}
		}
	}
	if fault.Code(book.DeleteRule(s.ctx, mine, link.Test, builtin)) != "rule_builtin" {
		t.Error("a rule of the default set was deleted")
	}
	must(t, book.DeleteRule(s.ctx, mine, link.Test, r.ID))
	if got := decide(source, mine); got.Action != payment.Allow {
		t.Errorf("after its end: %+v", got)
	}
}

// ruleSpread checks that another process, which only follows the store, applies a change within
// two seconds, also one of the operator.
func ruleSpread(t *testing.T, s rulesSuite) {
	book, here := s.book(t)
	_, there := s.book(t)
	ctx, cancel := context.WithCancel(s.ctx)
	done := make(chan error, 1)
	go func() { done <- there.Run(ctx) }()
	defer func() {
		cancel()
		must(t, <-done)
	}()
	within := func(account string, want payment.Action) {
		t.Helper()
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		began := time.Now()
		for decide(there, account).Action != want {
			if <-tick.C; time.Since(began) > 10*time.Second {
				t.Fatal("the change never came")
			}
		}
		t.Logf("in force elsewhere after %v", time.Since(began))
	}
	r, err := book.PutRule(
		s.ctx,
		rulebook.Rule{Account: s.account, Mode: link.Test, Name: "All", Action: payment.Block, When: "amount > 1", State: rulebook.On},
		"usr_1",
		nil,
	)
	must(t, err)
	if got := decide(here, s.account); got.Action != payment.Block {
		t.Errorf("here at once: %+v", got)
	}
	within(s.account, payment.Block)
	r.State = rulebook.Off
	_, err = book.PutRule(s.ctx, r, "usr_1", nil)
	must(t, err)
	within(s.account, payment.Allow)
	e, err := book.PutListEntry(
		s.ctx,
		rulebook.Entry{Mode: link.Test, Kind: rulebook.KindEmail, Action: payment.Hold, Value: "@Mail.example"},
		"operator",
		nil,
	)
	must(t, err)
	within(s.account, payment.Hold)
	within(id.New(id.Account), payment.Hold)
	must(t, book.DeleteListEntry(s.ctx, "", link.Test, e.ID))
	within(s.account, payment.Allow)
}
