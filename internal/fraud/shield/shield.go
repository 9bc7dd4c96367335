// Package shield turns card testers and floods away before the issuer is asked.
//
// It counts in memory what was tried on each link, with each card, card range (BIN)
// and address prefix, over the whole installation, and shows nothing of it. A link
// whose cards are mostly declined is under attack. It goes up a level, and so do no
// others:
//
//	quiet  nothing is asked of anybody
//	proof  whoever pays proves work (Puzzle); whoever does not, goes through 3-D
//	       Secure, at a narrow rate
//	guard  3-D Secure for all, at a narrow rate also with proof
//
// It comes down a level at a time, when declines and refusals have been few for
// Policy.Calm. A card range or an address prefix under attack makes nobody be
// refused anywhere: its attempts are asked for a proof or for 3-D Secure, since
// behind both are honest payers (a carrier puts thousands behind one address).
//
// Successes harm nobody: a link, a range and a prefix are judged by declines, as a
// share of answers, and by how many different cards these had. So a few test cards,
// hundreds of times a second, never look like an attack.
//
// Attempt is called before the issuer, and Answered once its first word is known, in
// any order and as often as they are heard of: each payment counts once. Nothing is
// stored. After a restart the counts begin anew, and an attack that goes on is
// recognised again within some ten declines. Each instance counts what it sees, and
// hears of the others' answers by the feed. All methods are safe for concurrent use,
// take about a microsecond, and keep to the bounds below whatever happens.
package shield

import (
	"hash/maphash"
	"net/netip"
	"sync"
	"time"

	"github.com/paylink/paylink/internal/fault"
)

// Bounds of what is remembered; the longest unused goes first.
const (
	maxFresh     = 8192    // links on which something was tried
	maxLinks     = 32_768  // links on which something was declined or refused
	maxPairs     = 16_384  // card ranges on a link, with a decline
	maxCards     = 65_536  // cards with a decline
	maxRanges    = 16_384  // card ranges with a decline
	maxAddresses = 65_536  // prefixes with a decline
	maxPayments  = 131_072 // payments counted already, so that each counts once
)

// Level of a link.
type Level uint8

// The levels.
const (
	Quiet Level = iota
	Proof
	Guard
)

func (l Level) String() string { return [...]string{"quiet", "proof", "guard"}[l] }

// Why an attempt was refused or asked for more.
const (
	WhyLink    = "link"    // the link is under attack
	WhyCard    = "card"    // the card was declined too often
	WhyBIN     = "bin"     // cards of this range are being tested on several links
	WhyAddress = "address" // cards are being tested from this prefix
)

// Attempt to pay.
type Attempt struct {
	Account, Mode, Link string
	Card                string // of the card, over the installation
	BIN                 string
	Address             string    // prefix; "" or one of the loopback counts for nobody
	Payment             string    // its id: each counts once
	Proved              bool      // a proof that Open took
	At                  time.Time // when it was made, in real time, never a test clock's
}

// Outcome of an attempt. Not refused, and nothing asked: the zero Outcome.
type Outcome struct {
	Refuse       bool          // no payment is made of it
	RetryAfter   time.Duration // until one more is let through, about; only with Refuse
	Challenge3DS bool          // the issuer is told to challenge the payer
	Puzzle       int           // bits of the proof that would spare, or help, the payer; 0: none
	Why          string        // of the above; "" if nothing is asked
	Level        Level         // of the link
}

// Fault is what a refused attempt is answered with; nil if it was not refused. It
// names neither card nor reason: whoever tests cards learns nothing.
func (o Outcome) Fault() error {
	if !o.Refuse {
		return nil
	}
	return &fault.Error{Kind: fault.KindRateLimited, Code: "attempts_exceeded", RetryAfter: max(o.RetryAfter, time.Second),
		Detail: "Too many attempts were made. Nothing was charged. Wait a moment, then open the link and try again."}
}

// Change of a link's level.
type Change struct {
	Account, Mode, Link string
	From, To            Level
	Why                 string
}

// Config of a shield.
type Config struct {
	Policy Policy
	// Changed is told when a link's level changes, outside of any lock; may be nil. That
	// a link came down is known when somebody asks about it.
	Changed func(Change)
}

// Shield counts. Make it with New.
type Shield struct {
	policy  Policy
	changed func(Change)
	seed    maphash.Seed // whoever floods cannot choose what collides

	mu        sync.Mutex
	fresh     table[fresh]
	links     table[guarded]
	pairs     table[tally]
	cards     table[tally]
	ranges    table[tally]
	addresses table[tally]
	payments  payments
	changes   []Change // to be told once unlocked
}

// New makes a shield.
func New(c Config) *Shield {
	s := &Shield{policy: c.Policy, changed: c.Changed, seed: maphash.MakeSeed()}
	s.fresh.max, s.links.max, s.pairs.max = maxFresh, maxLinks, maxPairs
	s.cards.max, s.ranges.max, s.addresses.max = maxCards, maxRanges, maxAddresses
	return s
}

// key of something, told apart from other kinds and from other modes: test data
// never counts in live mode.
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

// keys of an attempt.
type keys struct{ payment, link, pair, card, bin, address uint64 }

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

// counted reports whether an address tells somebody apart: the loopback is ours.
func counted(address string) bool {
	if address == "" {
		return false
	}
	if p, err := netip.ParsePrefix(address); err == nil {
		return !p.Addr().IsLoopback() && !p.Addr().IsUnspecified() // ::1 lies in ::/48
	}
	a, err := netip.ParseAddr(address)
	return err != nil || !a.IsLoopback()
}

// Attempt counts an attempt, and says what to do with it. Asked again about a
// payment that it let through, it says what it would now, and counts nothing.
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

// Answered counts the issuer's first word on an attempt, which need not have come by
// here: other instances' are told by the feed. Words of long ago change nothing.
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

// Dropped says that the issuer will not be asked about an attempt, so that nobody
// waits for its answer: the link was paid by somebody else, or a rule blocked it.
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

// Bits of the proof that whoever pays the link from the address is asked for; 0 is
// none.
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

// Levels counts the links that are not quiet at a moment.
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

// unlock tells what changed once others may go on.
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
