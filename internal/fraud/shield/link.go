package shield

import (
	"math/bits"
	"time"
)

// guarded is a link with declines, or one that many cards tried.
type guarded struct {
	account, mode, link string
	level               Level
	hot                 time.Time // when it last looked like an attack
	raised              time.Time // when it reached its level; earlier declines counted toward that
	all                 span[pressure]
	since               tally // on the present level; beyond quiet, of those with a proof
	proved, unproved    lane
}

// pressure is the load on a link, in one bucket of a span.
type pressure struct {
	refused, authorised, declined, proved uint32
	cards                                 set
}

// guard finds or creates a link's entry. The Shield's lock is held, here and in all functions
// below.
func (s *Shield) guard(a Attempt, k keys) *guarded {
	g := s.links.make(k.link)
	if g.link == "" {
		g.account, g.mode, g.link = a.Account, a.Mode, a.Link
	}
	return g
}

// crowd counts the cards that try a link before any answer, because a burst must not wait for its
// answers. Too many cards, or too many attempts without an answer, raise a quiet link to proof.
func (s *Shield) crowd(a Attempt, k keys) {
	f := s.fresh.make(k.link)
	if !f.roll(a.At, s.policy.Window) {
		return
	}
	f.now.attempts++
	f.now.cards.add(k.card)

	share := f.share(a.At, s.policy.Window)
	waiting := within(share, f.now.attempts, f.last.attempts) - within(share, f.now.answers, f.last.answers)
	if waiting < s.policy.Waiting && distinct(&f.now.cards, &f.last.cards) < s.policy.Crowd {
		return
	}

	g := s.guard(a, k)
	s.settle(g, a.At)
	g.hot = a.At
	if g.level == Quiet {
		s.raise(g, Proof, "attempts", a.At)
	}
}

// judge decides on an attempt. One that was already let through (counts is false) uses no capacity,
// and is never refused afterwards. The reasons are added up: the first one is reported.
func (s *Shield) judge(a Attempt, k keys, counts bool) (o Outcome) {
	g := s.links.get(k.link)
	if g != nil {
		s.settle(g, a.At)
		o.Level = g.level
	}
	address := s.suspicious(s.addresses.get(k.address), a.At, s.policy.Address, 1)
	o.Puzzle = s.bits(g, address, a.At)

	ask := func(why string) {
		o.Challenge3DS = true
		if o.Why == "" {
			o.Why = why
		}
	}

	switch o.Level {
	case Guard:
		ask(WhyLink)
	case Proof:
		if !a.Proved {
			ask(WhyLink)
		}
	case Quiet:
	}

	if tried := s.tried(a, k); tried >= s.policy.CardDeclines && counts {
		return Outcome{Refuse: true, RetryAfter: s.policy.CardWindow, Why: WhyCard, Level: o.Level}
	} else if tried >= (s.policy.CardDeclines+1)/2 {
		ask(WhyCard)
	}

	if s.suspicious(s.ranges.get(k.bin), a.At, s.policy.BIN, minLinks) {
		ask(WhyBIN)
	}
	if address && !a.Proved {
		ask(WhyAddress)
	}

	if o.Level == Quiet || !counts {
		return o
	}
	if wait, ok := s.pass(g, a); !ok {
		return Outcome{Refuse: true, RetryAfter: wait, Puzzle: o.Puzzle, Why: WhyLink, Level: o.Level}
	}
	return o
}

// minLinks is on how many links cards of a range must have been declined before the range itself
// is under attack: on one link, the link is.
const minLinks = 3

// tried returns how often the card was declined lately. In test mode everybody uses the same few
// cards, so it returns 0 there.
func (s *Shield) tried(a Attempt, k keys) int {
	if a.Mode != "live" {
		return 0
	}
	t := s.cards.get(k.card)
	if t == nil {
		return 0
	}
	return t.heard(a.At, s.policy.CardWindow).declined
}

// suspicious reports whether many different cards were declined, on enough links, and few
// authorized. Nil is never suspicious.
func (s *Shield) suspicious(t *tally, at time.Time, cards, links int) bool {
	if t == nil {
		return false
	}
	h := t.heard(at, s.policy.Window)
	return h.cards >= cards && h.links >= links && h.bad(s.policy.Ratio)
}

// pass sends the attempt through the rate limit of a link under attack. Attempts with and without a
// proof have separate lanes, so that a flood without proofs leaves capacity for payers with one. If
// ok is false, wait is the time until the lane lets one more through.
func (s *Shield) pass(g *guarded, a Attempt) (wait time.Duration, ok bool) {
	switch {
	case !a.Proved:
		wait, ok = g.unproved.take(a.At, s.policy.Unproved)
	case g.level == Guard:
		wait, ok = g.proved.take(a.At, s.policy.Proved)
	default:
		ok = true
	}

	if !g.all.roll(a.At, s.policy.Window) {
		return wait, ok
	}
	if a.Proved {
		g.all.now.proved++
	}
	if !ok {
		g.all.now.refused++
		s.warm(g, a.At)
	}
	return wait, ok
}

// bits returns the bits of a proof that a payer of the link must present: more when proofs come
// fast, one more under guard, and up to MaxBits. 0 means none.
func (s *Shield) bits(g *guarded, address bool, at time.Time) int {
	n := 0
	if address {
		n = s.policy.Bits
	}

	if g == nil || g.level == Quiet {
		return n
	}

	g.all.roll(at, s.policy.Window)
	each := within(g.all.share(at, s.policy.Window), g.all.now.proved, g.all.last.proved) * int(time.Minute) / int(s.policy.Window)
	n = s.policy.Bits + bits.Len(uint(max(0, each)/easyPerMinute)) // not negative
	if g.level == Guard {
		n++
	}
	return min(n, MaxBits)
}

// easyPerMinute proofs of a link need the least work; twice as many double it.
const easyPerMinute = 60

// This method counts an approval for the link, and for the card range and the address if they have
// had declines.
func (s *Shield) authorised(a Attempt, k keys) {
	if g := s.links.get(k.link); g != nil {
		s.settle(g, a.At)
		if g.all.roll(a.At, s.policy.Window) {
			g.all.now.authorised++
		}
		if g.level == Quiet || a.Proved {
			g.since.authorised(a.At, s.policy.Window)
		}
	}

	for _, t := range []*tally{s.pairs.get(k.pair), s.ranges.get(k.bin), s.addresses.get(k.address)} {
		if t != nil {
			t.authorised(a.At, s.policy.Window)
		}
	}
}

// declined counts a decline for the card, the link, the card range and the address, and raises the
// link's level if that makes it look like an attack. Declines from before the present level do not
// count toward the next one.
func (s *Shield) declined(a Attempt, k keys) {
	s.cards.make(k.card).declined(a.At, s.policy.CardWindow, k.card, k.link)
	g := s.guard(a, k)
	s.settle(g, a.At)

	if g.all.roll(a.At, s.policy.Window) {
		g.all.now.declined++
		g.all.now.cards.add(k.card)
	}
	if (g.level == Quiet || a.Proved) && !a.At.Before(g.raised) {
		g.since.declined(a.At, s.policy.Window, k.card, k.link)
	}

	spread := false
	if k.bin != 0 {
		s.ranges.make(k.bin).declined(a.At, s.policy.Window, k.card, k.link)
		pair := s.pairs.make(k.pair)
		pair.declined(a.At, s.policy.Window, k.card, k.link)
		spread = s.suspicious(pair, a.At, s.policy.Spread, 1)
	}

	if k.address != 0 {
		s.addresses.make(k.address).declined(a.At, s.policy.Window, k.card, k.link)
	}

	s.warm(g, a.At)
	s.consider(g, spread, a.At)
}

// consider raises the level of a link under attack. It moves from proof to guard only if cards
// with a proof keep being declined.
func (s *Shield) consider(g *guarded, spread bool, at time.Time) {
	p, h := s.policy, g.since.heard(at, s.policy.Window)
	tested := h.bad(p.Ratio) && ((h.declined >= p.Declines && h.cards >= p.Cards) || h.declined >= 2*p.Declines)
	switch {
	case g.level == Quiet && tested:
		s.raise(g, Proof, "declines", at)
	case g.level == Quiet && spread:
		s.raise(g, Proof, "bin", at)
	case g.level == Proof && tested:
		s.raise(g, Guard, "declines", at)
	}
}

// warm records that the link still looks like an attack, from half of what raised it. Refusals
// count as declines: an attacker who is refused has not stopped.
func (s *Shield) warm(g *guarded, at time.Time) {
	g.all.roll(at, s.policy.Window)
	share := g.all.share(at, s.policy.Window)
	h := heard{authorised: within(share, g.all.now.authorised, g.all.last.authorised),
		declined: within(share, g.all.now.declined, g.all.last.declined) + within(share, g.all.now.refused, g.all.last.refused)}
	if h.declined >= (s.policy.Declines+1)/2 && h.bad(s.policy.Ratio/2) && at.After(g.hot) {
		g.hot = at
	}
}

// raise moves a link to a level, and begins to count again.
func (s *Shield) raise(g *guarded, to Level, why string, at time.Time) {
	s.changes = append(s.changes, Change{g.account, g.mode, g.link, g.level, to, why})
	g.level, g.hot, g.raised, g.since = to, at, at, tally{}
}

// settle lowers a link by a level for each Calm that it has been quiet. It is called before a
// link's level is used, because no timer does it.
func (s *Shield) settle(g *guarded, at time.Time) {
	for g.level > Quiet && at.Sub(g.hot) >= s.policy.Calm {
		s.changes = append(s.changes, Change{g.account, g.mode, g.link, g.level, g.level - 1, "calm"})
		g.level--
		g.hot = g.hot.Add(s.policy.Calm)
		g.since = tally{}
	}
}
