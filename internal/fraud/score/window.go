package score

import (
	"slices"
	"sort"
)

// Windows over which an entity is counted.
const (
	hour  = 12 // in units
	day   = 24 * hour
	units = 300 // seconds of one unit
)

// spans are the windows, in units: 1 hour, 1 day, 7 days, 30 days.
var spans = [...]int32{hour, day, 7 * day, 30 * day}

// windowNames are the windows in feature names.
var windowNames = [...]string{"1h", "1d", "7d", "30d"}

// tally holds the counts of an entity in a stretch of time.
type tally struct {
	attempted, authorised, declined uint32
	disputed, matured               uint32 // labels that became known: fraud, and all
	sum                             int64  // minor units attempted
}

// add adds another tally.
func (t *tally) add(o *tally) {
	t.attempted += o.attempted
	t.authorised += o.authorised
	t.declined += o.declined
	t.disputed += o.disputed
	t.matured += o.matured
	t.sum += o.sum
}

// bucket is a tally that begins at a unit. Its width is 5 minutes, an hour or a day, by its age:
// finer for the short windows.
type bucket struct {
	start int32
	tally
}

// series holds the buckets of one entity, oldest first, without empty ones: at most 12 of 5
// minutes, 24 of an hour and 31 of a day, and those being folded.
type series struct {
	buckets []bucket
}

// at returns the tally of the current unit, which must not be before an earlier one.
func (s *series) at(now int32) *tally {
	if n := len(s.buckets); n > 0 && s.buckets[n-1].start == now {
		return &s.buckets[n-1].tally
	}
	s.fold(now)
	s.buckets = append(s.buckets, bucket{start: now})
	return &s.buckets[len(s.buckets)-1].tally
}

// late returns the tally of a unit that may be before others, for late events. Its bucket may be
// wider than a unit by now; then a new one is inserted.
func (s *series) late(then int32) *tally {
	n := len(s.buckets)
	if n == 0 || s.buckets[n-1].start <= then {
		return s.at(then)
	}
	i := s.after(then)
	if i == 0 || s.buckets[i-1].start != then {
		s.buckets = slices.Insert(s.buckets, i, bucket{start: then})
		i++
	}
	return &s.buckets[i-1].tally
}

// after returns the index of the first bucket after a unit.
func (s *series) after(then int32) int {
	return sort.Search(len(s.buckets), func(i int) bool { return s.buckets[i].start > then })
}

// fold merges 5 minutes older than an hour into their hour and hours older than a day into their
// day, and drops days outside the longest window. It works in place.
func (s *series) fold(now int32) {
	kept := s.buckets[:0]
	for _, b := range s.buckets {
		switch {
		case b.start <= now-31*day:
			continue
		case b.start <= now-day:
			b.start -= b.start % day
		case b.start <= now-hour:
			b.start -= b.start % hour
		}

		if n := len(kept); n > 0 && kept[n-1].start == b.start {
			kept[n-1].add(&b.tally)
			continue
		}
		kept = append(kept, b)
	}
	s.buckets = kept
}

// windows adds up the buckets that begin within each span before now, including the present one.
// A window is exact to its bucket's width: an hour to 5 minutes, a day to an hour, longer ones to
// a day.
func (s *series) windows(now int32) [len(spans)]tally {
	var out [len(spans)]tally
	var sum tally
	w := 0
	for i := len(s.buckets) - 1; i >= 0; i-- {
		b := &s.buckets[i]
		for w < len(spans) && b.start <= now-spans[w] {
			out[w] = sum
			w++
		}
		if w == len(spans) {
			return out
		}
		sum.add(&b.tally)
	}
	for ; w < len(spans); w++ {
		out[w] = sum
	}

	return out
}
