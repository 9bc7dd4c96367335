// Package shield refuses card testers and floods before the issuer is called.
//
// It counts in memory what was tried on each link, with each card, card range (BIN) and address
// prefix, over the whole installation, and exposes nothing of it. A link whose cards are mostly
// declined is under attack. It goes up a level, without affecting others:
//
//	quiet  no requirements
//	proof  payers prove work (Puzzle); those who do not, go through 3-D
//	       Secure, at a narrow rate
//	guard  3-D Secure for all, at a narrow rate also with proof
//
// It comes down a level at a time, when declines and refusals have been few for Policy.Calm. A
// card range or an address prefix under attack leads to no refusals: its attempts require a proof
// or 3-D Secure, because honest payers use both (a carrier puts thousands behind one address).
//
// Successes do no harm: a link, a range and a prefix are judged by the share of declines among
// answers, and by the number of different declined cards. A few test cards, hundreds of times a
// second, therefore never look like an attack.
//
// Call Attempt before the issuer, and Answered once its first answer is known, in any order and
// any number of times: each payment counts once. Nothing is stored. After a restart the counts
// begin at zero, and a continuing attack is recognized within some ten declines. Each instance
// counts its own attempts, and learns of the others' answers from the feed. All methods are safe
// for concurrent use, take about a microsecond, and stay within the limits below.
package shield

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// Limits of the memory; the least recently used entry is dropped.
const (
	maxFresh     = 8192    // links with attempts
	maxLinks     = 32_768  // links with declines or refusals
	maxPairs     = 16_384  // card ranges on a link, with a decline
	maxCards     = 65_536  // cards with a decline
	maxRanges    = 16_384  // card ranges with a decline
	maxAddresses = 65_536  // prefixes with a decline
	maxPayments  = 131_072 // counted payments, so that each counts once
)

// Level is a link's level.
type Level uint8

// The levels.
const (
	Quiet Level = iota
	Proof
	Guard
)

// String returns the name of the level.
func (l Level) String() string { return [...]string{"quiet", "proof", "guard"}[l] }

// Reasons for refusing an attempt or requiring more of it.
const (
	WhyLink    = "link"    // the link is under attack
	WhyCard    = "card"    // the card was declined too often
	WhyBIN     = "bin"     // cards of this range are being tested on several links
	WhyAddress = "address" // cards are being tested from this prefix
)

// Attempt is a payment attempt.
type Attempt struct {
	Account, Mode, Link string
	Card                string // of the card, across the installation
	BIN                 string
	Address             string    // prefix; empty and loopback addresses do not count
	Payment             string    // its id: each counts once
	Proved              bool      // with a proof that Open accepted
	At                  time.Time // when it was made, in real time, never a test clock's
}

// Outcome is the decision on an attempt. The zero Outcome neither refuses it nor requires
// anything.
type Outcome struct {
	Refuse       bool          // no payment is created
	RetryAfter   time.Duration // approximate time until one more is let through; only with Refuse
	Challenge3DS bool          // the issuer must challenge the payer
	Puzzle       int           // bits of the proof that would spare or help the payer; 0: none
	Why          string        // reason for the above; empty if nothing is required
	Level        Level         // of the link
}

// Fault returns the answer to a refused attempt, or nil. It names neither card nor reason, so
// card testers learn nothing.
func (o Outcome) Fault() error {
	if !o.Refuse {
		return nil
	}
	return &fault.Error{Kind: fault.KindRateLimited, Code: "attempts_exceeded", RetryAfter: max(o.RetryAfter, time.Second),
		Detail: "Too many attempts. You weren't charged. Wait a moment, then open the link and try again."}
}

// Change is a change of a link's level.
type Change struct {
	Account, Mode, Link string
	From, To            Level
	Why                 string
}

// Config configures a shield.
type Config struct {
	Policy Policy
	// Changed is called without a lock when a link's level changes; may be nil. A lowered level
	// is noticed at the next attempt on the link.
	Changed func(Change)
}

// Shield counts attempts and decides on them. Create it with New.
type Shield struct {
	policy  Policy
	changed func(Change)
	seed    maphash.Seed // an attacker cannot choose what collides

	mu        sync.Mutex
	fresh     table[fresh]
	links     table[guarded]
	pairs     table[tally]
	cards     table[tally]
	ranges    table[tally]
	addresses table[tally]
	payments  payments
	changes   []Change // to be reported after unlocking
}

// New returns a shield that has seen nothing.
func New(c Config) *Shield {
	s := &Shield{policy: c.Policy, changed: c.Changed, seed: maphash.MakeSeed()}
	s.fresh.max, s.links.max, s.pairs.max = maxFresh, maxLinks, maxPairs
	s.cards.max, s.ranges.max, s.addresses.max = maxCards, maxRanges, maxAddresses
	return s
}

// key returns a key that differs by kind and mode: test data never counts in live mode.
func (s *Shield) key(kind byte, parts ...string) uint64 {
	var h maphash.Hash
	h.SetSeed(s.seed)
	_ = h.WriteByte(kind)
	for _, p := range parts {
		_, _ = h.WriteString(p)
		_ = h.WriteByte(0)
	}
	return h.Sum64()
}

// keys are the keys of an attempt; 0 means that it has none of a kind, and counts nothing there.
type keys struct{ payment, link, pair, card, bin, address uint64 }

// keys returns the keys of an attempt.
func (s *Shield) keys(a Attempt) keys {
	k := keys{payment: s.key('p', a.Payment), link: s.key('l', a.Account, a.Mode, a.Link), card: s.key('c', a.Mode, a.Card)}
	if a.BIN != "" {
		k.pair, k.bin = s.key('b', a.Account, a.Mode, a.Link, a.BIN), s.key('b', a.Mode, a.BIN)
	}
	if counted(a.Address) {
		k.address = s.key('a', a.Mode, a.Address)
	}
	return k
}

// counted reports whether an address identifies a client: loopback addresses are our own.
func counted(address string) bool {
	if address == "" {
		return false
	}
	if p, err := netip.ParsePrefix(address); err == nil {
		return !p.Addr().IsLoopback() && !p.Addr().IsUnspecified() // ::1 is in ::/48
	}
	a, err := netip.ParseAddr(address)
	return err != nil || !a.IsLoopback()
}

// Attempt counts an attempt, and decides on it. A repeated call for a payment that was let through
// returns the present decision, and counts nothing. One that was refused may be tried again, and
// counts again.
func (s *Shield) Attempt(a Attempt) Outcome {
	if s.policy.Off {
		return Outcome{}
	}

	k := s.keys(a)
	s.mu.Lock()
	defer s.unlock()
	known := s.payments.has(k.payment)
	if !known {
		s.crowd(a, k)
	}
	o := s.judge(a, k, !known)
	if !o.Refuse && !known {
		s.payments.add(k.payment, a.Proved)
	}
	return o
}

// Answered counts the issuer's first answer to an attempt, at a.At. The attempt need not have come
// through this instance: the feed reports those of others. Further answers, and old ones, change
// nothing.
func (s *Shield) Answered(a Attempt, authorised bool) {
	if s.policy.Off {
		return
	}
	k := s.keys(a)
	s.mu.Lock()
	defer s.unlock()

	first, proved := s.payments.answer(k.payment)
	if !first {
		return
	}
	a.Proved = proved
	if f := s.fresh.get(k.link); f != nil {
		f.answered(a.At, s.policy.Window)
	}
	if authorised {
		s.authorised(a, k)
		return
	}
	s.declined(a, k)
}

// Dropped records that the issuer will not be called for an attempt, so that no answer is
// expected: another payer has paid the link, or a rule blocked the attempt.
func (s *Shield) Dropped(a Attempt) {
	if s.policy.Off {
		return
	}
	k := s.keys(a)
	s.mu.Lock()
	defer s.unlock()
	first, _ := s.payments.answer(k.payment)
	if f := s.fresh.get(k.link); f != nil && first {
		f.answered(a.At, s.policy.Window)
	}
}

// Bits returns the bits of the proof that a payer of the link from the address must present, or 0
// for none. It counts nothing.
func (s *Shield) Bits(account, mode, link, address string, at time.Time) int {
	if s.policy.Off {
		return 0
	}
	k := s.keys(Attempt{Account: account, Mode: mode, Link: link, Address: address})
	s.mu.Lock()
	defer s.unlock()
	g := s.links.get(k.link)
	if g != nil {
		s.settle(g, at)
	}
	return s.bits(g, s.suspicious(s.addresses.get(k.address), at, s.policy.Address, 1), at)
}

// Levels returns how many links are at the levels proof and guard at a given time.
func (s *Shield) Levels(at time.Time) (proof, guard int) {
	s.mu.Lock()
	defer s.unlock()
	for g := range s.links.all() {
		s.settle(g, at)
		switch g.level {
		case Proof:
			proof++
		case Guard:
			guard++
		case Quiet:
		}
	}

	return proof, guard
}

// unlock unlocks, and then reports the changes, so that Changed may take its time or call the
// shield.
func (s *Shield) unlock() {
	changes := s.changes
	s.changes = nil
	s.mu.Unlock()
	if s.changed != nil {
		for _, c := range changes {
			s.changed(c)
		}
	}
}
