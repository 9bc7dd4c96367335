package shield

import (
	"math"
	"math/bits"
	"time"
)

// span counts over the last window in two buckets: the running one, and the previous one,
// weighted by the part still in the window (a sliding window counter). The zero value is empty.
type span[B any] struct {
	index     int64 // of the running bucket
	now, last B
}

// roll advances to a given time. It returns false for a time before the previous bucket.
func (s *span[B]) roll(at time.Time, window time.Duration) bool {
	var zero B
	switch i := at.UnixNano() / int64(window); {
	case i == s.index:
	case i == s.index+1:
		s.last, s.now, s.index = s.now, zero, i
	case i > s.index:
		s.last, s.now, s.index = zero, zero, i
	default:
		return i == s.index-1 // counted in the running one: clocks differ, and feeds lag
	}
	return true
}

// share returns the part of the previous bucket that is still in the window.
func (s *span[B]) share(at time.Time, window time.Duration) float64 {
	return min(1, max(0, 1-float64(at.UnixNano()-s.index*int64(window))/float64(window)))
}

// within returns a count over the window.
func within(share float64, now, last uint32) int { return int(float64(now) + share*float64(last)) }

// set estimates how many different things it has seen (linear counting). It is accurate up to a
// few times its bits.
type set [8]uint64

// add adds a thing by its hash.
func (s *set) add(key uint64) { s[key>>6&7] |= 1 << (key & 63) }

// distinct returns the estimate for both sets together.
func distinct(a, b *set) int {
	const size = len(set{}) * 64
	ones := 0
	for i := range a {
		ones += bits.OnesCount64(a[i] | b[i])
	}
	if ones == size {
		ones-- // full: return the largest possible estimate
	}
	return int(math.Round(-float64(size) * math.Log(1-float64(ones)/float64(size))))
}

// answers counts issuers' answers.
type answers struct {
	authorised, declined uint32
	cards, links         set // of declined attempts
}

// tally counts for a card, a range or a prefix. It begins with the first decline.
type tally struct{ span[answers] }

// This method counts an approval.
func (t *tally) authorised(at time.Time, window time.Duration) {
	if t.roll(at, window) {
		t.now.authorised++
	}
}

// declined counts a decline with its card and link.
func (t *tally) declined(at time.Time, window time.Duration, card, link uint64) {
	if t.roll(at, window) {
		t.now.declined++
		t.now.cards.add(card)
		t.now.links.add(link)
	}
}

// heard holds a tally's counts of the last window.
type heard struct{ authorised, declined, cards, links int }

// heard returns the counts of the window that ends at a time.
func (t *tally) heard(at time.Time, window time.Duration) heard {
	t.roll(at, window)
	share := t.share(at, window)
	return heard{within(share, t.now.authorised, t.last.authorised), within(share, t.now.declined, t.last.declined),
		distinct(&t.now.cards, &t.last.cards), distinct(&t.now.links, &t.last.links)}
}

// bad reports whether declines are a large part of all answers.
func (h heard) bad(percent int) bool {
	return h.declined > 0 && 100*h.declined >= percent*(h.declined+h.authorised)
}

// fresh is a link with attempts, whatever their outcome.
type fresh struct{ span[tries] }

// tries counts the attempts on a link and their answers, and their cards.
type tries struct {
	attempts, answers uint32
	cards             set
}

// answered counts an answer, or an attempt for which none is expected any more.
func (f *fresh) answered(at time.Time, window time.Duration) {
	if f.roll(at, window) {
		f.now.answers++
	}
}

// lane limits attempts to a rate, by the generic cell rate algorithm.
type lane struct{ due time.Time }

// take reports whether an attempt may pass; if not, it returns the time until the next may. A
// refused attempt uses no capacity.
func (l *lane) take(at time.Time, r Rate) (wait time.Duration, ok bool) {
	each := r.Per / time.Duration(r.Count)
	due := l.due
	if due.Before(at) {
		due = at
	}

	if ahead := due.Sub(at) + each; ahead > time.Duration(r.Burst)*each {
		return ahead - time.Duration(r.Burst)*each, false
	}
	l.due = due.Add(each)
	return 0, true
}
