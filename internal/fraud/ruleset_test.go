package fraud

import (
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

var epoch = time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)

// features by name; the rest is as in an account without a history.
func features(set map[string]float32) *score.Vector {
	h := score.NewHistory(10)
	var v score.Vector
	h.Features(&score.Attempt{At: epoch, Account: "a", Card: "c", Email: "e", Address: "p", Link: "l", BIN: "b", Minor: 1000}, &v)
	for i, name := range score.Names {
		if f, ok := set[name]; ok {
			v[i] = f
		}
	}
	return &v
}

func honest() *Attempt {
	return &Attempt{
		Payment:     "pay_1",
		At:          epoch,
		Account:     "acct_1",
		Mode:        link.Live,
		Link:        "lnk_1",
		Amount:      money.Of(1000, "EUR"),
		Fingerprint: "card_424242_4242_3",
		BIN:         "424242",
		Brand:       "visa",
		Email:       "Grace@Example.com",
		Address:     "203.0.113.0/24",
		Country:     "DE",
	}
}

func rules(list ...rulebook.Rule) rulebook.Book {
	for i := range list {
		list[i].ID, list[i].Mode, list[i].Version = fmt.Sprintf("frl_%d", i), link.Live, 1
		if list[i].State == "" {
			list[i].State = rulebook.On
		}
	}
	return rulebook.Book{Rules: list}
}

// TestOrderOfRules checks that request_3ds adds to the other actions, and that the first match of
// allow, block, review ends the evaluation, lists before rules.
func TestOrderOfRules(t *testing.T) {
	yes, no := "amount > 1", "amount > 1000"
	challenge, allow, block, hold := rulebook.Rule{
		Action: payment.Challenge,
		When:   yes,
	}, rulebook.Rule{
		Action: payment.Allow,
		When:   yes,
	}, rulebook.Rule{
		Action: payment.Block,
		When:   yes,
	}, rulebook.Rule{
		Action: payment.Hold,
		When:   yes,
	}
	never := rulebook.Rule{Action: payment.Allow, When: no}
	broken := rulebook.Rule{Action: payment.Allow, When: "1 / (amount_minor - 1000) > 0"}
	on := func(kind rulebook.Kind, action payment.Action, value string) rulebook.Entry {
		return rulebook.Entry{ID: "fle_" + string(action), Kind: kind, Action: action, Value: value}
	}
	for name, c := range map[string]struct {
		own, common rulebook.Book
		action      payment.Action
		challenge   bool
		rule, why   string
	}{
		"nothing matches":               {action: payment.Allow, why: WhyDefault},
		"block":                         {own: rules(block), action: payment.Block, rule: "frl_0", why: WhyRule},
		"allow before block":            {own: rules(block, allow), action: payment.Allow, rule: "frl_1", why: WhyRule},
		"block before review":           {own: rules(hold, block), action: payment.Block, rule: "frl_1", why: WhyRule},
		"a challenge goes on":           {own: rules(challenge, hold), action: payment.Hold, challenge: true, rule: "frl_1", why: WhyRule},
		"a challenge alone":             {own: rules(challenge), action: payment.Allow, challenge: true, rule: "frl_0", why: WhyRule},
		"the first of two":              {own: rules(block, block), action: payment.Block, rule: "frl_0", why: WhyRule},
		"one that fails does not match": {own: rules(broken, hold), action: payment.Hold, rule: "frl_1", why: WhyRule},
		"one that does not match":       {own: rules(never, hold), action: payment.Hold, rule: "frl_1", why: WhyRule},
		"the account's allow spares":    {own: rules(allow), common: rules(never, block), action: payment.Allow, rule: "frl_0", why: WhyRule},
		"the installation blocks":       {common: rules(block), action: payment.Block, rule: "frl_0", why: WhyRule},
		"off": {own: rules(rulebook.Rule{Action: payment.Block, When: yes, State: rulebook.Off}),
			action: payment.Allow, why: WhyDefault},
		"a list before the rules": {own: rulebook.Book{Rules: rules(block).Rules,
			Entries: []rulebook.Entry{on(rulebook.KindCountry, payment.Block, "DE")}}, action: payment.Block, rule: "fle_block", why: WhyList},
		"an allow rule before a block list": {own: rulebook.Book{Rules: rules(allow).Rules,
			Entries: []rulebook.Entry{on(rulebook.KindCountry, payment.Block, "DE")}}, action: payment.Allow, rule: "frl_0", why: WhyRule},
		"a card": {own: rulebook.Book{Entries: []rulebook.Entry{on(rulebook.KindCard, payment.Allow,
			"card_424242_4242_3")}}, action: payment.Allow, rule: "fle_allow", why: WhyList},
		"all cards with these digits": {own: rulebook.Book{Entries: []rulebook.Entry{on(rulebook.KindCard, payment.Block, "card_424242_4242")}},
			action: payment.Block, rule: "fle_block", why: WhyList},
		"another bucket": {own: rulebook.Book{Entries: []rulebook.Entry{on(rulebook.KindCard, payment.Block, "card_424242_4242_4")}},
			action: payment.Allow, why: WhyDefault},
		"a BIN": {own: rulebook.Book{Entries: []rulebook.Entry{on(rulebook.KindBIN, payment.Hold, "424242")}},
			action: payment.Hold, rule: "fle_review", why: WhyList},
		"an e-mail in any case": {own: rulebook.Book{Entries: []rulebook.Entry{on(rulebook.KindEmail, payment.Block,
			"grace@example.com")}}, action: payment.Block, rule: "fle_block", why: WhyList},
		"a domain": {own: rulebook.Book{Entries: []rulebook.Entry{on(rulebook.KindEmail, payment.Block,
			"@example.com")}}, action: payment.Block, rule: "fle_block", why: WhyList},
		"a network": {common: rulebook.Book{Entries: []rulebook.Entry{on(rulebook.KindAddress, payment.Block,
			"203.0.113.0/24")}}, action: payment.Block, rule: "fle_block", why: WhyList},
		"the account's list before the installation's": {
			own:    rulebook.Book{Entries: []rulebook.Entry{{ID: "fle_own", Kind: rulebook.KindBIN, Action: payment.Block, Value: "424242"}}},
			common: rulebook.Book{Entries: []rulebook.Entry{{ID: "fle_all", Kind: rulebook.KindBIN, Action: payment.Block, Value: "424242"}}},
			action: payment.Block, rule: "fle_own", why: WhyList},
		"an entry at its end": {own: rulebook.Book{Entries: []rulebook.Entry{{ID: "fle_1", Kind: rulebook.KindBIN, Action: payment.Block,
			Value: "424242", ExpiresAt: epoch}}}, action: payment.Allow, why: WhyDefault},
	} {
		got := newRuleset(link.Live, c.own, c.common, &programs{}).Decide(honest(), features(nil), nil)
		if got.Action != c.action || got.Challenge != c.challenge || got.Rule != c.rule || got.Why != c.why {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// A payment that is held waits for a review as long as the account's policy says, and no other
// payment does.
func TestHeldAsLongAsThePolicySays(t *testing.T) {
	policy := rulebook.Policy{ReviewFor: 2 * time.Hour}
	for action, want := range map[payment.Action]int64{payment.Hold: 7200, payment.Block: 0, payment.Allow: 0} {
		book := rules(rulebook.Rule{Action: action, When: "amount > 1"})
		book.Policy = &policy
		if got := newRuleset(link.Live, book, rulebook.Book{}, &programs{}).Decide(honest(), features(nil), nil); got.ReviewSeconds != want {
			t.Errorf("%s: %d seconds, want %d", action, got.ReviewSeconds, want)
		}
	}
}

func TestShadowIsNotedAndDoesNothing(t *testing.T) {
	set := newRuleset(
		link.Live,
		rules(
			rulebook.Rule{Action: payment.Block, When: "amount > 1", State: rulebook.Shadow},
			rulebook.Rule{Action: payment.Hold, When: "amount_minor == 1000 && payer.country == 'DE'"},
		),
		rulebook.Book{},
		&programs{},
	)
	got := set.Decide(honest(), features(nil), nil)
	if got.Action != payment.Hold || !slices.Equal(got.Shadow, []payment.ShadowHit{{Rule: "frl_0", Version: 1, Action: payment.Block}}) {
		t.Errorf("%+v", got)
	}
	if want := []payment.RiskValue{{Name: "amount_minor", Value: "1000"}, {Name: "payer.country", Value: "DE"}}; !slices.Equal(
		got.Values,
		want,
	) {
		t.Errorf("values %+v", got.Values)
	}
}

// TestDefaultSet checks what each of its rules catches, and that an honest first payment passes.
func TestDefaultSet(t *testing.T) {
	set := newRuleset(link.Live, rulebook.Book{}, rulebook.Book{}, &programs{})
	if len(set.Broken()) > 0 {
		t.Fatalf("broken: %v", set.Broken())
	}
	scored := func(n int) *score.Assessment { return &score.Assessment{Score: n, Basis: score.Known} }
	for name, c := range map[string]struct {
		features  map[string]float32
		score     *score.Assessment
		action    payment.Action
		challenge bool
		by        string // empty: nothing
		shadow    []string
	}{
		"an honest first payment":       {action: payment.Allow},
		"an honest large first payment": {features: map[string]float32{"account.amount_ratio": 30}, action: payment.Allow},
		"a score without a model":       {score: &score.Assessment{Score: 99, Basis: score.NoModel}, action: payment.Allow},
		"two declines, then the right card": {features: map[string]float32{"card.declined.1h": 2, "card.attempted.1h": 2},
			action: payment.Allow},
		"five declines in an hour": {features: map[string]float32{"card.declined.1h": 5, "card.attempted.1h": 5},
			action: payment.Block, by: "card_declines"},
		"five declines of a card that paid": {features: map[string]float32{"card.declined.1h": 5, "card.attempted.1h": 6,
			"card.authorised.1h": 1}, action: payment.Allow},
		"ten attempts of one card": {features: map[string]float32{"card.attempted.1h": 10, "card.authorised.1h": 10},
			action: payment.Allow, challenge: true, by: "card_tried_often"},
		"many cards from one address": {features: map[string]float32{"address.cards.1d": 8, "address.declined.1d": 7,
			"address.attempted.1d": 8}, action: payment.Block, by: "address_many_cards"},
		"many honest cards from one address": {features: map[string]float32{"address.cards.1d": 60, "address.declined.1d": 6,
			"address.attempted.1d": 64}, action: payment.Allow},
		"a tested link": {features: map[string]float32{"link.cards.1d": 20, "link.declined.1h": 18,
			"link.attempted.1h": 20}, action: payment.Allow, challenge: true, by: "link_many_cards"},
		"a busy honest link": {features: map[string]float32{"link.cards.1d": 64, "link.declined.1h": 20,
			"link.attempted.1h": 300}, action: payment.Allow},
		"a card that was disputed": {features: map[string]float32{"card.disputed.30d": 1}, action: payment.Block, by: "card_disputed"},
		"a high score":             {score: scored(80), action: payment.Allow, challenge: true, by: "score_high"},
		"a very high score": {score: scored(96), action: payment.Allow, challenge: true, by: "score_high",
			shadow: []string{"score_very_high", "score_to_review"}},
		"an amount far above, in shadow": {features: map[string]float32{"account.attempted.30d": 60, "account.amount_ratio": 12,
			"account.amount_deviation": 5, "card.age_days": 3}, action: payment.Allow, shadow: []string{"amount_far_above"}},
		"a large amount on a new card, ditto": {features: map[string]float32{"account.attempted.30d": 60, "account.amount_ratio": 6},
			action: payment.Allow, shadow: []string{"new_card_large_amount"}},
		"an e-mail with disputes, ditto": {features: map[string]float32{"email.disputed.30d": 2}, action: payment.Allow,
			shadow: []string{"email_disputed"}},
	} {
		got := set.Decide(honest(), features(c.features), c.score)
		by := ""
		if c.by != "" {
			by = rulebook.BuiltinID(c.by)
		}
		var shadow []string
		for _, hit := range got.Shadow {
			shadow = append(shadow, hit.Rule)
		}
		var want []string
		for _, name := range c.shadow {
			want = append(want, rulebook.BuiltinID(name))
		}
		if got.Action != c.action || got.Challenge != c.challenge || got.Rule != by || !slices.Equal(shadow, want) {
			t.Errorf("%s: %+v", name, got)
		}
	}
	quiet := newRuleset(
		link.Test,
		rulebook.Book{},
		rulebook.Book{},
		&programs{},
	).Decide(
		honest(),
		features(map[string]float32{"card.declined.1h": 50}),
		scored(99),
	)
	if quiet.Why != WhyDefault || quiet.Challenge || len(quiet.Shadow) > 0 {
		t.Errorf("in test mode the default set is off: %+v", quiet)
	}
}

// TestABrokenRuleLeavesTheOthers checks that a condition that no longer compiles is reported, and
// that the others are evaluated.
func TestABrokenRuleLeavesTheOthers(t *testing.T) {
	set := newRuleset(
		link.Live,
		rules(rulebook.Rule{Action: payment.Allow, When: "gone.variable > 1"}, rulebook.Rule{Action: payment.Block, When: "amount > 1"}),
		rulebook.Book{},
		&programs{},
	)
	if got := set.Decide(honest(), features(nil), nil); got.Action != payment.Block || !slices.Equal(set.Broken(), []string{"frl_0"}) {
		t.Errorf("%+v, broken %v", got, set.Broken())
	}
}

// BenchmarkDefaultSet measures what rules cost a payment.
func BenchmarkDefaultSet(b *testing.B) {
	r := NewRulesets(nil, time.Now, slog.New(slog.DiscardHandler))
	a, f, s := honest(), features(
		map[string]float32{"account.attempted.30d": 900, "card.attempted.1h": 2, "card.declined.1h": 1},
	), &score.Assessment{
		Score: 40,
		Basis: score.Known,
	}
	b.ReportAllocs()
	for b.Loop() {
		if got := r.Ruleset("acct_1", link.Live).Decide(a, f, s); got.Action != payment.Allow {
			b.Fatal(got)
		}
	}
}
