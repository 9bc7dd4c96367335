package shield

import "iter"

// table holds at most max values by key, and drops the least recently used. It reuses its
// entries, so that a flood of new keys creates no garbage.
type table[V any] struct {
	max   int
	items map[uint64]*entry[V]
	root  entry[V] // of a ring: next is the most, prev the least recently used
}

// entry is a value in the ring.
type entry[V any] struct {
	next, prev *entry[V]
	key        uint64
	value      V
}

// get returns a value and marks it as used, or returns nil if there is none.
func (t *table[V]) get(key uint64) *V {
	e := t.items[key]
	if e == nil {
		return nil
	}
	e.cut()
	t.front(e)
	return &e.value
}

// make returns a value and marks it as used, and creates a zero one if it is missing. If the table
// is full, the least recently used value is replaced: pointers to it then show another key's.
func (t *table[V]) make(key uint64) *V {
	if v := t.get(key); v != nil {
		return v
	}
	if t.items == nil {
		t.items = map[uint64]*entry[V]{}
		t.root.next, t.root.prev = &t.root, &t.root
	}

	e := &entry[V]{}
	if len(t.items) >= t.max {
		e = t.root.prev
		e.cut()
		delete(t.items, e.key)
		var zero V
		e.value = zero
	}
	e.key = key
	t.items[key] = e
	t.front(e)
	return &e.value
}

// front puts an entry at the front of the ring.
func (t *table[V]) front(e *entry[V]) {
	e.prev, e.next = &t.root, t.root.next
	e.prev.next, e.next.prev = e, e
}

// cut takes an entry out of the ring.
func (e *entry[V]) cut() { e.prev.next, e.next.prev = e.next, e.prev }

// all iterates over the values in no particular order, without marking them as used.
func (t *table[V]) all() iter.Seq[*V] {
	return func(yield func(*V) bool) {
		for _, e := range t.items {
			if !yield(&e.value) {
				return
			}
		}
	}
}

// payments holds the counted payments: the last maxPayments of them. One that was dropped and comes
// again counts again.
type payments struct {
	state map[uint64]counting
	ring  []uint64
	next  int
}

// counting is how a payment was counted.
type counting struct{ answered, proved bool }

// has reports whether a payment is counted.
func (p *payments) has(key uint64) bool { _, ok := p.state[key]; return ok }

// add counts a payment, unless it is counted already.
func (p *payments) add(key uint64, proved bool) {
	if p.has(key) {
		return
	}
	if p.state == nil {
		p.state, p.ring = map[uint64]counting{}, make([]uint64, 0, maxPayments)
	}
	if len(p.ring) < maxPayments {
		p.ring = append(p.ring, key)
	} else {
		delete(p.state, p.ring[p.next])
		p.ring[p.next] = key
		p.next = (p.next + 1) % maxPayments
	}
	p.state[key] = counting{proved: proved}
}

// answer marks a payment as answered, and returns false if it already was. Only the instance that
// saw the attempt knows whether it had a proof.
func (p *payments) answer(key uint64) (first, proved bool) {
	p.add(key, false)
	c := p.state[key]
	first, c.answered = !c.answered, true
	p.state[key] = c
	return first, c.proved
}
