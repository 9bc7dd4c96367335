package score

import (
	"hash/maphash"
	"time"
)

// Bounds of a History.
const (
	// DefaultEntities is how many entities of each kind are remembered.
	DefaultEntities = 1_000_000
	idle            = 31 * secondsOfDay // forgotten after that
	pruneEvery      = secondsOfDay / 4
	cardsKept       = 64 // distinct cards of an address or link that are told apart
)

// History is what is known at a moment: feed it in the order of time. It is not
// safe for concurrent use; owners lock it.
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

type waiting struct {
	known int64
	keys  [entities]uint64
	fraud bool
}

// NewHistory makes an empty one; limit bounds the entities of each kind.
func NewHistory(limit int) *History {
	h := &History{limit: limit, seed: maphash.MakeSeed()}
	for i := range h.known {
		h.known[i] = map[uint64]*entity{}
	}
	h.cards = [2]map[uint64]*cardSet{{}, {}}
	return h
}

func (h *History) keys(a *Attempt) [entities]uint64 {
	var out [entities]uint64
	for i, s := range [entities]string{a.Card, a.Address, a.Email, a.Link, a.Account, a.BIN} {
		if s != "" {
			out[i] = maphash.String(h.seed, s) | 1 // never 0, which is none
		}
	}
	return out
}

// advance moves the clock, never back, and lets in the labels that became known.
func (h *History) advance(at time.Time) int64 {
	h.now = max(h.now, at.Unix())
	for h.consumed < len(h.waiting) && h.waiting[h.consumed].known <= h.now {
		w := &h.waiting[h.consumed]
		h.consumed++
		for kind, key := range w.keys {
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

func (h *History) entity(kind int, key uint64) *entity {
	e := h.known[kind][key]
	if e == nil {
		e = &entity{}
		h.known[kind][key] = e
	}
	return e
}

// Features of an attempt, from what was known before it. The attempt itself is not
// counted: that is Observe's.
func (h *History) Features(a *Attempt, v *Vector) {
	now := h.advance(a.At)
	*v = Vector{}
	putSingle(v, a.At, a.Minor)
	keys := h.keys(a)
	var none entity
	for kind, key := range keys {
		e := &none
		if key != 0 {
			if known := h.known[kind][key]; known != nil {
				e = known
			}
		}
		at := single + kind*entityWidth
		e.put(v[at:at+entityWidth], now, a.Minor)
	}
	v[fCardsOfAddress] = h.cards[0][keys[byAddress]].count(now)
	v[fCardsOfLink] = h.cards[1][keys[byLink]].count(now)
}

// Observe counts an attempt and, where known, its outcome.
func (h *History) Observe(a *Attempt, o Outcome) {
	now := h.advance(a.At)
	keys := h.keys(a)
	for kind, key := range keys {
		if key == 0 {
			continue
		}
		e := h.entity(kind, key)
		e.observe(now, a.Minor)
		h.outcome(e, now, o)
	}
	for i, key := range [2]uint64{keys[byAddress], keys[byLink]} {
		if key == 0 || keys[byCard] == 0 {
			continue
		}
		set := h.cards[i][key]
		if set == nil {
			set = &cardSet{}
			h.cards[i][key] = set
		}
		set.add(keys[byCard], now)
	}
}

func (h *History) outcome(e *entity, now int64, o Outcome) {
	t := e.at(unit(now))
	switch o {
	case Authorised:
		t.authorised++
	case Declined:
		t.declined++
	}
}

// Learn has a label come in when it is known. Calls must be in the order of known.
func (h *History) Learn(a *Attempt, fraud bool, known time.Time) {
	h.waiting = append(h.waiting, waiting{known: known.Unix(), keys: h.keys(a), fraud: fraud})
}

// prune forgets what was idle, and the idlest beyond the limit.
func (h *History) prune() {
	h.pruned = h.now
	for _, known := range h.known {
		oldest := h.now - idle
		for len(known) > 0 {
			for key, e := range known {
				if max(e.last, h.lastLabel(e)) < oldest {
					delete(known, key)
				}
			}
			if len(known) <= h.limit || oldest >= h.now {
				break
			}
			oldest += (h.now - oldest + 1) / 2 // halve the time that is remembered until it fits
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

func (h *History) lastLabel(e *entity) int64 {
	if n := len(e.buckets); n > 0 {
		return int64(e.buckets[n-1].start) * units
	}
	return 0
}

// cardSet is the distinct cards of a day: the last cardsKept of them.
type cardSet struct {
	cards [cardsKept]struct {
		key uint64
		at  int64
	}
	n    int
	last int64
}

func (s *cardSet) add(key uint64, now int64) {
	s.last = now
	slot := 0
	for i := range s.n {
		if s.cards[i].key == key {
			s.cards[i].at = now
			return
		}
		if s.cards[i].at < s.cards[slot].at {
			slot = i
		}
	}
	if s.n < cardsKept {
		slot = s.n
		s.n++
	}
	s.cards[slot].key, s.cards[slot].at = key, now
}

func (s *cardSet) count(now int64) float32 {
	if s == nil {
		return 0
	}
	var n float32
	for i := range s.n {
		if s.cards[i].at > now-secondsOfDay {
			n++
		}
	}
	return n
}

// Entities is how many are remembered.
func (h *History) Entities() int {
	n := 0
	for _, known := range h.known {
		n += len(known)
	}
	return n
}
