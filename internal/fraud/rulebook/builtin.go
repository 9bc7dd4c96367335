package rulebook

import (
	"cmp"
	"slices"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
)

// Actions are those of rules and lists, in order of evaluation.
var Actions = [...]payment.Action{payment.Challenge, payment.Allow, payment.Block, payment.Hold}

// Rank returns the place of an action in that order, or -1 if no rule can have it.
func Rank(a payment.Action) int { return slices.Index(Actions[:], a) }

// builtin is a rule of the default set. Its text is part of the release, and changing it raises
// its version. The state is that of live mode; in test mode all are off, because everybody uses
// the same test cards over and over.
type builtin struct {
	name    string // of the id, never shown
	version int
	title   string
	action  payment.Action
	when    string
	state   string
}

// builtins is the default set, explained in docs/fraud-rules.md. Rules about a card or an address
// that was declined repeatedly are on. Rules that could affect an honest first payment are in
// shadow, for the merchant to evaluate first.
var builtins = []builtin{
	{name: "score_high", version: 1, title: "High score: ask for 3-D Secure", action: payment.Challenge, state: On,
		when: "scored && score >= 75"},
	{
		name:    "card_tried_often",
		version: 1,
		title:   "One card tried ten times in an hour: ask for 3-D Secure",
		action:  payment.Challenge,
		state:   On,
		when:    "card.attempted_1h >= 10",
	},
	{
		name:    "link_many_cards",
		version: 1,
		title:   "Many cards on one link, most of them declined: ask for 3-D Secure",
		action:  payment.Challenge,
		state:   On,
		when:    "link.cards_1d >= 10 && link.declined_1h >= 8 && link.declined_1h * 3 > link.attempted_1h * 2",
	},
	{
		name:    "new_card_large_amount",
		version: 1,
		title:   "Large amount on a card never seen: ask for 3-D Secure",
		action:  payment.Challenge,
		state:   Shadow,
		when:    "account.attempted_30d >= 50 && card.age_days < 0 && account.amount_ratio >= 5",
	},
	{name: "card_declines", version: 1, title: "Many declines on one card in an hour", action: payment.Block, state: On,
		when: "card.declined_1h >= 5 && card.authorised_1h == 0"},
	{
		name:    "address_many_cards",
		version: 1,
		title:   "Many cards from one address in a day, most of them declined",
		action:  payment.Block,
		state:   On,
		when:    "address.cards_1d >= 8 && address.declined_1d >= 6 && address.declined_1d * 2 > address.attempted_1d",
	},
	{name: "card_disputed", version: 1, title: "The card's owner called a payment fraud in the last 30 days", action: payment.Block, state: On,
		when: "card.disputed_30d >= 1"},
	{name: "score_very_high", version: 1, title: "Very high score", action: payment.Block, state: Shadow,
		when: "scored && score >= 95"},
	{name: "amount_far_above", version: 1, title: "Amount far above what the account takes", action: payment.Hold, state: Shadow,
		when: "account.attempted_30d >= 50 && account.amount_ratio >= 10 && account.amount_deviation > 4"},
	{name: "email_disputed", version: 1, title: "The payer's e-mail had disputes in the last 30 days", action: payment.Hold, state: Shadow,
		when: "email.disputed_30d >= 1"},
	{name: "score_to_review", version: 1, title: "High score: a person decides", action: payment.Hold, state: Shadow,
		when: "scored && score >= 85"},
}

// BuiltinID returns the fixed id of a rule of the default set.
func BuiltinID(name string) string { return id.Derive(id.FraudRule, "default", name) }

// builtinByID is the default set by the rules' ids.
var builtinByID = func() map[string]*builtin {
	out := map[string]*builtin{}
	for i := range builtins {
		out[BuiltinID(builtins[i].name)] = &builtins[i]
	}
	return out
}()

// rule returns the default as a rule of the installation, with the state of the mode.
func (b *builtin) rule(mode string) Rule {
	state := b.state
	if mode != link.Live {
		state = Off
	}
	return Rule{
		ID:      BuiltinID(b.name),
		Mode:    mode,
		Name:    b.title,
		Action:  b.action,
		When:    b.when,
		State:   state,
		Version: b.version,
		Builtin: true,
	}
}

// switched returns the default with the state that was set.
func (b *builtin) switched(kept Rule) Rule {
	r := b.rule(kept.Mode)
	r.Account, r.State, r.Version, r.UpdatedAt, r.UpdatedBy = kept.Account, kept.State, kept.Version, kept.UpdatedAt, kept.UpdatedBy
	return r
}

// Effective returns the rules of an account: its own, the installation's, and the default set with
// the states set by the account, or else by the operator. Within one action this is the order of
// evaluation. Rules that are off are included.
func Effective(mode string, own, common []Rule) []Rule {
	states := map[string]Rule{}
	var out []Rule
	for _, list := range [][]Rule{own, common} {
		for _, r := range list {
			switch {
			case !r.Builtin:
				out = append(out, r)
			case states[r.ID].ID == "":
				states[r.ID] = r
			}
		}
	}

	for i := range builtins {
		b := &builtins[i]
		r := b.rule(mode)
		if kept, ok := states[r.ID]; ok {
			r = b.switched(kept)
		}
		out = append(out, r)
	}

	slices.SortStableFunc(out, func(a, b Rule) int { return cmp.Compare(Rank(a.Action), Rank(b.Action)) })
	return out
}
