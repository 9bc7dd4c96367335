package score

import (
	"hash/maphash"
	"math"
	"slices"
	"time"
)

// Limits of a History.
const (
	// DefaultEntities is how many entities of each kind are remembered.
	DefaultEntities = 1_000_000
	idle            = 31 * secondsOfDay // forgotten after that
	pruneEvery      = secondsOfDay / 4
	cardsKept       = 64 // distinct cards counted per address or link
	sampled         = 16 // entities sampled to find an idle one
)

// History is what is known at a given time. Feed it in order of time. It is not safe for concurrent
// use; its owner must lock it. Its memory is bounded by its limit of entities.
type History struct {
	limit    int
	known    [entities]map[uint64]*entity
	cards    [2]map[uint64]*cardSet // of addresses, of links
	seed     maphash.Seed
	now      int64
	pruned   int64
	waiting  []waiting // labels that are not known yet, by time
	consumed int
}

// waiting is a label that is not known yet: it counts from known, in seconds.
type waiting struct {
	known int64
	keys  Keys
	fraud bool
}

// NewHistory returns an empty history; limit is the most entities of each kind.
func NewHistory(limit int) *History {
	h := &History{limit: limit, seed: maphash.MakeSeed()}
	for i := range h.known {
		h.known[i] = map[uint64]*entity{}
	}
	h.cards = [2]map[uint64]*cardSet{{}, {}}
	return h
}

// Keys identify an attempt's entities in a History, and are valid only for the one that returned
// them. They replace the attempt when its outcome and its label arrive later.
type Keys struct {
	of    [entities]uint64
	cards uint64 // of Attempt.Cards; only seen, never counted
}

// Keys returns the keys of an attempt. It needs no lock.
func (h *History) Keys(a *Attempt) (out Keys) {
	var m maphash.Hash
	m.SetSeed(h.seed)
	for i, s := range [entities]string{a.Card, a.Address, a.Email, a.Link, a.Account, a.BIN} {
		if s != "" {
			m.Reset()
			_, _ = m.WriteString(a.Scope) // cannot fail
			_ = m.WriteByte(0)
			_, _ = m.WriteString(s)
			out.of[i] = m.Sum64() | 1 // never 0, which means none
		}
	}

	if a.Cards != "" {
		m.Reset()
		_, _ = m.WriteString(a.Scope)
		_ = m.WriteByte(0)
		_, _ = m.WriteString(a.Cards)
		out.cards = m.Sum64() | 1
	}
	return out
}

// advance moves the clock, never back, applies the labels that became known, and removes idle
// entities now and then. It returns the present second.
func (h *History) advance(at time.Time) int64 {
	h.now = max(h.now, at.Unix())
	for h.consumed < len(h.waiting) && h.waiting[h.consumed].known <= h.now {
		w := &h.waiting[h.consumed]
		h.consumed++
		for kind, key := range w.keys.of {
			if key != 0 {
				h.entity(kind, key).label(w.known, w.fraud)
			}
		}
	}

	if h.consumed > 1024 && h.consumed > len(h.waiting)/2 {
		h.waiting = append(h.waiting[:0], h.waiting[h.consumed:]...)
		h.consumed = 0
	}

	if h.now-h.pruned > pruneEvery {
		h.prune()
	}
	return h.now
}

// entity returns an entity, and creates it if it is missing. If there is no space, an idle one is
// forgotten.
func (h *History) entity(kind int, key uint64) *entity {
	e := h.known[kind][key]
	if e == nil {
		if len(h.known[kind]) >= h.limit {
			h.forget(kind)
		}
		e = &entity{}
		h.known[kind][key] = e
	}
	return e
}

// forget removes the idlest of a few sampled entities, which is nearly as good as the idlest of all
// and costs the same with any number.
func (h *History) forget(kind int) {
	var idlest uint64
	last, seen := int64(math.MaxInt64), 0
	for key, e := range h.known[kind] { // iteration starts anywhere
		if at := max(e.last, h.lastLabel(e)); at < last {
			idlest, last = key, at
		}
		if seen++; seen == sampled {
			break
		}
	}
	delete(h.known[kind], idlest)
}

// Features computes the features of an attempt from what was known before it. It does not count
// the attempt; Attempted does.
func (h *History) Features(a *Attempt, v *Vector) { h.FeaturesOf(h.Keys(a), a, v) }

// FeaturesOf is Features for a caller with the keys. Unknown entities give the features of entities
// never seen.
func (h *History) FeaturesOf(keys Keys, a *Attempt, v *Vector) {
	now := h.advance(a.At)
	*v = Vector{}
	putSingle(v, a.At, a.Minor)
	var none entity
	for kind, key := range keys.of {
		e := &none
		if key != 0 {
			if known := h.known[kind][key]; known != nil {
				e = known
			}
		}
		if kind == byCard && keys.cards != 0 {
			if more := h.known[byCard][keys.cards]; more != nil {
				e = e.with(more)
			}
		}
		at := single + kind*entityWidth
		e.put(v[at:at+entityWidth], now, a.Minor)
	}

	v[fCardsOfAddress] = h.cards[0][keys.of[byAddress]].count(now)
	v[fCardsOfLink] = h.cards[1][keys.of[byLink]].count(now)
}

// Observe counts an attempt and its outcome, if known.
func (h *History) Observe(a *Attempt, o Outcome) {
	keys := h.Keys(a)
	h.Attempted(keys, a.At, a.Minor)
	h.Answered(keys, a.At, o)
}

// Attempted counts an attempt with an amount, for each of its entities, and its card among those of
// its address and link.
func (h *History) Attempted(keys Keys, at time.Time, minor int64) {
	now := h.advance(at)
	for kind, key := range keys.of {
		if key != 0 {
			h.entity(kind, key).observe(now, minor)
		}
	}

	card := keys.of[byCard]
	for i, key := range [2]uint64{keys.of[byAddress], keys.of[byLink]} {
		if key == 0 || card == 0 {
			continue
		}
		set := h.cards[i][key]
		if set == nil {
			if len(h.cards[i]) >= h.limit {
				h.forgetCards(i)
			}
			set = &cardSet{}
			h.cards[i][key] = set
		}
		set.add(card, now)
	}
}

// forgetCards removes the idlest of a few sampled sets.
func (h *History) forgetCards(i int) {
	var idlest uint64
	last, seen := int64(math.MaxInt64), 0
	for key, s := range h.cards[i] { // iteration starts anywhere
		if s.last < last {
			idlest, last = key, s.last
		}
		if seen++; seen == sampled {
			break
		}
	}
	delete(h.cards[i], idlest)
}

// Answered counts the outcome of an attempt at the time when it became known. The zero Outcome
// counts nothing.
func (h *History) Answered(keys Keys, at time.Time, o Outcome) {
	now := h.advance(at)
	for kind, key := range keys.of {
		if key != 0 {
			h.outcome(h.entity(kind, key), now, o)
		}
	}
}

// outcome counts an outcome of one entity.
func (h *History) outcome(e *entity, now int64, o Outcome) {
	t := e.at(unit(now))
	switch o {
	case Authorised:
		t.authorised++
	case Declined:
		t.declined++
	}
}

// Learn counts a label from when it is known. Calls must be in the order of known. A late one
// counts from when it was known, for reads from now on.
func (h *History) Learn(a *Attempt, fraud bool, known time.Time) { h.Learned(h.Keys(a), fraud, known) }

// Learned is Learn for a caller with the keys.
func (h *History) Learned(keys Keys, fraud bool, known time.Time) {
	h.waiting = append(h.waiting, waiting{known: known.Unix(), keys: keys, fraud: fraud})
}

// Unlearned reverts Learned, as if the label had never been known. It must get the same arguments.
func (h *History) Unlearned(keys Keys, fraud bool, known time.Time) {
	at := known.Unix()
	for i := h.consumed; i < len(h.waiting); i++ {
		if h.waiting[i] == (waiting{at, keys, fraud}) {
			h.waiting = slices.Delete(h.waiting, i, i+1)
			return
		}
	}

	for kind, key := range keys.of {
		if e := h.known[kind][key]; key != 0 && e != nil {
			e.unlabel(at, fraud)
		}
	}
}

// prune removes idle entities, and sets of cards older than a day.
func (h *History) prune() {
	h.pruned = h.now
	for _, known := range h.known {
		for key, e := range known {
			if max(e.last, h.lastLabel(e)) < h.now-idle {
				delete(known, key)
			}
		}
	}
	for _, sets := range h.cards {
		for key, s := range sets {
			if s.last < h.now-secondsOfDay {
				delete(sets, key)
			}
		}
	}
}

// lastLabel returns the second in which the entity's last bucket begins; labels add buckets too.
func (h *History) lastLabel(e *entity) int64 {
	if n := len(e.buckets); n > 0 {
		return int64(e.buckets[n-1].start) * units
	}
	return 0
}

// cardSet holds the distinct cards of a day: the last cardsKept of them.
type cardSet struct {
	cards []cardAt
	last  int64
}

// cardAt is a card and when it was last seen, in seconds.
type cardAt struct {
	key uint64
	at  int64
}

// add adds a card, or moves its time. A full set replaces the card that was seen longest ago.
func (s *cardSet) add(key uint64, now int64) {
	s.last = now
	slot := 0
	for i := range s.cards {
		if s.cards[i].key == key {
			s.cards[i].at = now
			return
		}
		if s.cards[i].at < s.cards[slot].at {
			slot = i
		}
	}
	if len(s.cards) < cardsKept {
		s.cards = append(s.cards, cardAt{key, now})
		return
	}
	s.cards[slot] = cardAt{key, now}
}

// count returns how many cards were seen within the last day, at most cardsKept.
func (s *cardSet) count(now int64) float32 {
	if s == nil {
		return 0
	}
	var n float32
	for i := range s.cards {
		if s.cards[i].at > now-secondsOfDay {
			n++
		}
	}
	return n
}

// Entities returns the number of entities in memory.
func (h *History) Entities() int {
	n := 0
	for _, known := range h.known {
		n += len(known)
	}
	return n
}
