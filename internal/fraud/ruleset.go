package fraud

import (
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fraud/rule"
	"github.com/paylink/paylink/internal/fraud/rulebook"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/payment"
)

// The reasons of a decision (payment.Risk.Why).
const (
	WhyRule    = "rule"
	WhyList    = "list"
	WhyDefault = "default" // nothing matched
	whyShield  = "shield"
)

// maxShadowHits limits the shadow rules that a decision records.
const maxShadowHits = 20 // stored with a decision

// Ruleset is everything by which an account and mode is judged, ready for evaluation: rules
// compiled, lists as maps. It is immutable; a change creates another one. It is safe for
// concurrent use.
type Ruleset struct {
	policy rulebook.Policy
	rules  [len(rulebook.Actions)][]compiled // active
	shadow []compiled
	own    lists // the account's
	common lists // the installation's
	broken []string
}

// compiled is a rule that is ready to run.
type compiled struct {
	id      string
	version int
	action  payment.Action
	run     *rule.Program
}

// newRuleset compiles an account's rules. A rule that does not compile, because a release removed
// something that it uses, is left out and listed by Broken; the other rules stay active. The
// account's policy takes precedence over the installation's, as a whole.
func newRuleset(mode string, own, common rulebook.Book, programs *programs) *Ruleset {
	s := &Ruleset{policy: rulebook.DefaultPolicy(), own: newLists(own.Entries), common: newLists(common.Entries)}
	for _, p := range []*rulebook.Policy{own.Policy, common.Policy} {
		if p != nil {
			s.policy = *p
			break
		}
	}

	for _, r := range rulebook.Effective(mode, own.Rules, common.Rules) {
		if r.State == rulebook.Off {
			continue
		}
		run, err := programs.compile(r.When)
		if err != nil {
			s.broken = append(s.broken, r.ID)
			continue
		}

		c := compiled{id: r.ID, version: r.Version, action: r.Action, run: run}
		if r.State == rulebook.Shadow {
			s.shadow = append(s.shadow, c)
			continue
		}
		s.rules[rulebook.Rank(r.Action)] = append(s.rules[rulebook.Rank(r.Action)], c)
	}

	return s
}

// Policy returns the account's policy.
func (s *Ruleset) Policy() rulebook.Policy { return s.policy }

// Broken returns the ids of rules that do not compile.
func (s *Ruleset) Broken() []string { return s.broken }

// varsPool keeps the variables of attempts, so that a decision allocates little.
var varsPool = sync.Pool{New: func() any { return new(rule.Vars) }}

// Decide evaluates lists and rules in order: every request_3ds rule, then allow, block and review,
// of which the first match ends it; lists before the rules of their action, the account's before
// the installation's. It fills Action, Challenge, Why, Rule, Version, Values and Shadow. Shadow
// rules are evaluated without effect. A rule that fails on this attempt (a division by zero, its
// cost) does not match.
func (s *Ruleset) Decide(a *Attempt, f *score.Vector, sc *score.Assessment) payment.Risk {
	v := varsPool.Get().(*rule.Vars) // nothing else is put there
	defer varsPool.Put(v)
	v.See(
		rule.Vars{
			Amount:      a.Amount,
			Fingerprint: a.Fingerprint,
			BIN:         a.BIN,
			Brand:       a.Brand,
			Email:       a.Email,
			Address:     a.Address,
			Country:     a.Country,
			Link:        a.Link,
			Features:    f,
		},
		sc,
	)

	out := payment.Risk{Action: payment.Allow, Why: WhyDefault}
	for _, c := range s.rules[0] {
		if c.matches(v) {
			out.Challenge = true
			c.decided(&out, v)
			break
		}
	}

	s.decide(&out, a, v)
	if out.Action == payment.Hold {
		out.ReviewSeconds = int64(s.policy.ReviewFor / time.Second)
	}

	for i := range s.shadow {
		if c := &s.shadow[i]; len(out.Shadow) < maxShadowHits && c.matches(v) {
			out.Shadow = append(out.Shadow, payment.ShadowHit{Rule: c.id, Version: c.version, Action: c.action})
		}
	}

	return out
}

// decide applies the first list entry or rule that matches, in the order of actions. Without a
// match out stays as it is.
func (s *Ruleset) decide(out *payment.Risk, a *Attempt, v *rule.Vars) {
	for i, action := range rulebook.Actions[1:] {
		for _, l := range [2]*lists{&s.own, &s.common} {
			if e := l.find(action, a, v); e != nil {
				out.Action, out.Why, out.Rule, out.Version = action, WhyList, e.id, 0
				out.Values = []payment.RiskValue{{Name: string(e.kind), Value: e.value}}
				return
			}
		}

		for _, c := range s.rules[i+1] {
			if c.matches(v) {
				out.Action = action
				c.decided(out, v)
				return
			}
		}
	}
}

// matches reports whether the condition holds. An error means that it does not.
func (c *compiled) matches(v *rule.Vars) bool {
	ok, err := c.run.Eval(v)
	return ok && err == nil
}

// decided records which rule decided, and what it saw.
func (c *compiled) decided(out *payment.Risk, v *rule.Vars) {
	out.Why, out.Rule, out.Version = WhyRule, c.id, c.version
	seen := c.run.Values(v)
	out.Values = make([]payment.RiskValue, len(seen))
	for i, s := range seen {
		out.Values[i] = payment.RiskValue{Name: s.Name, Value: s.Text}
	}
}

// lists holds the entries of one account (or of the installation), by kind and value.
type lists struct {
	entries map[listKey]*entry
	kinds   map[payment.Action][]rulebook.Kind // that have any entries
}

// listKey identifies an entry by what it matches.
type listKey struct {
	kind   rulebook.Kind
	action payment.Action
	value  string
}

// entry is a value on a list, and when it ends (zero: never).
type entry struct {
	id, value string
	kind      rulebook.Kind
	expires   time.Time
}

// newLists returns the lists of the entries.
func newLists(all []rulebook.Entry) lists {
	l := lists{entries: make(map[listKey]*entry, len(all)), kinds: map[payment.Action][]rulebook.Kind{}}
	for _, e := range all {
		if value, _ := rulebook.Canonical(e.Kind, e.Value); value != "" { // it may be stored in an older spelling
			e.Value = value
		}
		l.entries[listKey{e.Kind, e.Action, e.Value}] = &entry{id: e.ID, value: e.Value, kind: e.Kind, expires: e.ExpiresAt}
		if !slices.Contains(l.kinds[e.Action], e.Kind) {
			l.kinds[e.Action] = append(l.kinds[e.Action], e.Kind)
		}
	}
	return l
}

// find returns the entry of an action that matches the attempt, or nil. An email matches its own
// entry or that of its domain, a card its own or that of all cards with its first and last digits.
// An entry ends at its expiry, even while it is still in memory.
func (l *lists) find(action payment.Action, a *Attempt, v *rule.Vars) *entry {
	for _, kind := range l.kinds[action] {
		var values [2]string
		switch kind {
		case rulebook.KindCard:
			values = [2]string{a.Fingerprint, issuer.WithoutBucket(a.Fingerprint)}
		case rulebook.KindBIN:
			values[0] = a.BIN
		case rulebook.KindEmail:
			values[0] = v.Email
			if at := strings.LastIndexByte(v.Email, '@'); at >= 0 {
				values[1] = v.Email[at:]
			}
		case rulebook.KindAddress:
			values[0] = a.Address
		case rulebook.KindCountry:
			values[0] = v.Country
		}

		for _, value := range values {
			if value == "" {
				continue
			}
			if e := l.entries[listKey{kind, action, value}]; e != nil && (e.expires.IsZero() || a.At.Before(e.expires)) {
				return e
			}
		}
	}

	return nil
}

// programs caches compiled conditions by text: the default set is compiled once for all accounts.
type programs struct {
	mu  sync.Mutex
	all map[string]*rule.Program
}

// maxPrograms limits the cached texts; a full cache is emptied.
const maxPrograms = 10_000

// compile returns the compiled condition, from the cache if it is known. Errors are not cached. It
// is safe for concurrent use.
func (p *programs) compile(when string) (*rule.Program, error) {
	p.mu.Lock()
	known := p.all[when]
	p.mu.Unlock()
	if known != nil {
		return known, nil
	}

	made, err := rule.Compile(when)
	if err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.all == nil || len(p.all) >= maxPrograms {
		p.all = map[string]*rule.Program{}
	}
	p.all[when] = made
	return made, nil
}
