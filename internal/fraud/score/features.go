package score

import (
	"cmp"
	"math"
	"slices"
	"time"
)

// The entities that are counted.
const (
	byCard = iota
	byAddress
	byEmail
	byLink
	byAccount
	byBIN
	entities
)

// entityNames are the entities in feature names.
var entityNames = [entities]string{"card", "address", "email", "link", "account", "bin"}

// Features of one entity in one window.
const (
	fAttempted = iota
	fAuthorised
	fDeclined
	fDisputed
	fMean
	fDisputeRate
	perWindow
)

// windowFeatureNames are the features of a window in feature names.
var windowFeatureNames = [perWindow]string{"attempted", "authorised", "declined", "disputed", "mean", "dispute_rate"}

// Features of one entity beside its windows.
const (
	fAge        = iota // days since first seen, -1: never
	fSince             // hours since the previous attempt
	fRatio             // amount divided by the entity's mean over 30 days
	fDeviation         // the same in standard deviations of the logarithm
	fPeak              // amount divided by the largest before, which decays by half in 30 days
	fUnrest            // how far earlier attempts deviated, the last weighing most
	fLastLabels        // share of frauds in the last 8 labels, -1: none known
	perEntity
)

// entityFeatureNames are the features of an entity in feature names.
var entityFeatureNames = [perEntity]string{
	"age_days",
	"hours_since",
	"amount_ratio",
	"amount_deviation",
	"amount_peak",
	"unrest",
	"recent_disputes",
}

// Features of the attempt alone.
const (
	fAmount = iota
	fHourOfDay
	fWeekend
	fNight
	fCardsOfAddress
	fCardsOfLink
	single
)

// singleNames are the features of the attempt alone.
var singleNames = [single]string{"amount", "hour", "weekend", "night", "address.cards.1d", "link.cards.1d"}

// entityWidth is the number of features of one entity.
const entityWidth = len(spans)*perWindow + perEntity

// Width is the number of features.
const Width = single + entities*entityWidth

// Vector holds the features of one attempt, in the order of Names.
type Vector [Width]float32

// Names are the features' names in rules, reasons and documents.
var Names = names()

// names returns the names in the order of a vector: those of the attempt, then each entity's
// windows and what it has beside them.
func names() [Width]string {
	var out [Width]string
	copy(out[:], singleNames[:])
	for e, entity := range entityNames {
		at := single + e*entityWidth
		for w, window := range windowNames {
			for f, feature := range windowFeatureNames {
				out[at+w*perWindow+f] = entity + "." + feature + "." + window
			}
		}
		for f, feature := range entityFeatureNames {
			out[at+len(spans)*perWindow+f] = entity + "." + feature
		}
	}

	return out
}

// Constants of the features.
const (
	unknown      = -1 // a feature without a history
	lastLabels   = 8
	secondsOfDay = 24 * 60 * 60
)

// entity is what is known of one card, address, email, link, account or BIN.
type entity struct {
	series
	first, last int64   // seconds; of attempts
	seen        float64 // attempts, decaying by half in 30 days
	logSum      float64 // of the logarithm of amounts, with the same decay
	logSquares  float64
	peak        float64              // the largest amount, with the same decay
	unrest      float64              // deviations of earlier attempts, each weighing 0.7 of the next
	labels      *[lastLabels]labelAt // the last ones, newest first; nil: none
	labelCount  uint8
}

// labelAt is a label and the unit of time in which it became known.
type labelAt struct {
	unit  int32
	fraud bool
}

// observe counts an attempt with an amount. The sums decay by half in 30 days, so that an old habit
// weighs less than a new one.
func (e *entity) observe(now int64, minor int64) {
	deviation := e.deviation(minor)
	t := e.at(unit(now))
	t.attempted++
	t.sum += minor
	if e.first == 0 {
		e.first = now
	}

	if e.last > 0 {
		fade := math.Exp2(-float64(now-e.last) / (30 * secondsOfDay))
		e.seen, e.logSum, e.logSquares = e.seen*fade, e.logSum*fade, e.logSquares*fade
		e.peak *= fade
	}

	l := math.Log1p(float64(minor))
	e.unrest = 0.7*e.unrest + 0.3*deviation
	e.peak = max(e.peak, float64(minor))
	e.last, e.seen, e.logSum, e.logSquares = now, e.seen+1, e.logSum+l, e.logSquares+l*l
}

// with returns a copy of what is known of two entities as if they were one. Unrest is that of the
// later one.
func (e *entity) with(o *entity) *entity {
	if e.last < o.last {
		e, o = o, e
	}
	both := *e
	both.buckets = slices.Concat(e.buckets, o.buckets)
	slices.SortStableFunc(both.buckets, func(a, b bucket) int { return cmp.Compare(a.start, b.start) })
	if n := len(both.buckets); n > 0 {
		both.fold(both.buckets[n-1].start)
	}
	if o.first > 0 {
		both.first = min(o.first, e.first)
	}

	fade := math.Exp2(-float64(e.last-o.last) / (30 * secondsOfDay))
	both.seen, both.logSum, both.logSquares = e.seen+o.seen*fade, e.logSum+o.logSum*fade, e.logSquares+o.logSquares*fade
	both.peak = max(e.peak, o.peak*fade)

	if o.labels != nil {
		var all []labelAt
		if e.labels != nil {
			all = slices.Clone(e.labels[:e.labelCount])
		}
		all = append(all, o.labels[:o.labelCount]...)
		slices.SortStableFunc(all, func(a, b labelAt) int { return cmp.Compare(b.unit, a.unit) })
		both.labels = new([lastLabels]labelAt)
		both.labelCount = uint8(copy(both.labels[:], all)) // at most lastLabels
	}
	return &both
}

// deviation returns the deviation of an amount from earlier ones, in standard deviations of the
// logarithm. Two payments of average spread are assumed in addition, so that a second payment is
// not an outlier merely because it is the second.
func (e *entity) deviation(minor int64) float64 {
	if e.seen == 0 {
		return 0
	}
	const assumed, spread = 2, 0.5
	mean := e.logSum / e.seen
	variance := (max(e.logSquares-e.seen*mean*mean, 0) + assumed*spread) / (e.seen + assumed)
	return (math.Log1p(float64(minor)) - mean) / math.Sqrt(variance)
}

// label counts a payment's label from when it was known.
func (e *entity) label(known int64, fraud bool) {
	t := e.late(unit(known))
	t.matured++
	if fraud {
		t.disputed++
	}
	if e.labels == nil {
		e.labels = new([lastLabels]labelAt)
	}
	copy(e.labels[1:], e.labels[:])
	e.labels[0] = labelAt{unit(known), fraud}
	e.labelCount = min(e.labelCount+1, lastLabels)
}

// unlabel removes a label that was known since a time. One that has left the last labels in the
// meantime is not restored.
func (e *entity) unlabel(known int64, fraud bool) {
	if i := e.after(unit(known)); i > 0 { // its bucket may be an hour or a day by now
		t := &e.buckets[i-1].tally
		if t.matured > 0 {
			t.matured--
		}
		if fraud && t.disputed > 0 {
			t.disputed--
		}
	}
	for i := range e.labelCount {
		if e.labels[i] == (labelAt{unit(known), fraud}) {
			copy(e.labels[i:], e.labels[i+1:])
			e.labelCount--
			break
		}
	}
}

// unit returns the unit of time in which a second lies.
func unit(seconds int64) int32 { return int32(seconds / units) } // fits until the year 22000

// put writes the entity's features at this time, for an amount, to dst. The zero entity writes
// those of an entity that was never seen.
func (e *entity) put(dst []float32, now int64, minor int64) {
	windows := e.windows(unit(now))
	for w := range windows {
		t := &windows[w]
		f := dst[w*perWindow:]
		f[fAttempted], f[fAuthorised], f[fDeclined], f[fDisputed] = float32(
			t.attempted,
		), float32(
			t.authorised,
		), float32(
			t.declined,
		), float32(
			t.disputed,
		)
		f[fMean], f[fDisputeRate] = unknown, unknown
		if t.attempted > 0 {
			f[fMean] = float32(float64(t.sum) / float64(t.attempted))
		}
		if t.matured > 0 {
			f[fDisputeRate] = float32(t.disputed) / float32(t.matured)
		}
	}

	f := dst[len(spans)*perWindow:]
	f[fAge], f[fSince], f[fRatio], f[fDeviation], f[fPeak], f[fUnrest], f[fLastLabels] = unknown, unknown, unknown, 0, unknown, 0, unknown
	if e.first > 0 {
		f[fAge] = float32(now-e.first) / secondsOfDay
		f[fSince] = float32(now-e.last) / 3600
	}

	if month := &windows[len(spans)-1]; month.sum > 0 {
		f[fRatio] = float32(float64(minor) * float64(month.attempted) / float64(month.sum))
	}
	if e.seen > 0 {
		f[fDeviation], f[fPeak], f[fUnrest] = float32(e.deviation(minor)), float32(float64(minor)/max(e.peak, 1)), float32(e.unrest)
	}

	if e.labelCount > 0 {
		frauds := 0
		for i := range e.labelCount {
			if e.labels[i].fraud {
				frauds++
			}
		}
		f[fLastLabels] = float32(frauds) / float32(e.labelCount)
	}
}

// putSingle writes the features of the attempt alone.
func putSingle(v *Vector, at time.Time, minor int64) {
	at = at.UTC()
	v[fAmount] = float32(minor)
	v[fHourOfDay] = float32(at.Hour())
	if day := at.Weekday(); day == time.Saturday || day == time.Sunday {
		v[fWeekend] = 1
	}
	if at.Hour() <= 6 {
		v[fNight] = 1
	}
}
