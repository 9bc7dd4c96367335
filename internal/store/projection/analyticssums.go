package projection

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// scoreBands is the number of bands of scores.
const scoreBands = 10

// The columns of the sums, after their keys, in the order of the counters in daySums.
var (
	dayColumns = []string{
		"attempts",
		"allowed",
		"challenged",
		"blocked",
		"held",
		"authorised",
		"declined",
		"fraud",
		"legitimate",
		"review_opened",
		"review_closed",
		"unrated",
		"fraud_minor",
		"blocked_minor",
	}
	scoreColumns = []string{"scored", "blocked", "passed", "passed_fraud", "passed_legitimate"}
	ruleColumns  = []string{"hits", "fraud", "legitimate", "minor"}
)

// daySums is the effect of a commit's changes on the stored sums: by day and currency, by day and
// band of scores, and by day and rule. The numbers are differences.
type daySums struct {
	days   map[dayKey]*[14]int64
	scores map[scoreKey]*[5]int64
	rules  map[ruleKey]*[4]int64
}

// dayKey identifies the sums of an owner on a day of UTC, counted since 1970, in a currency.
type dayKey struct {
	owner, day int64
	currency   money.Currency
}

// scoreKey identifies the sums of a band of scores on a day.
type scoreKey struct{ owner, day, band int64 }

// ruleKey identifies the sums of a rule's version with one action, deciding or in shadow.
type ruleKey struct {
	dayKey
	rule    string
	version int
	action  payment.Action
	shadow  bool
}

// newDaySums returns sums without any change.
func newDaySums() daySums {
	return daySums{days: map[dayKey]*[14]int64{}, scores: map[scoreKey]*[5]int64{}, rules: map[ruleKey]*[4]int64{}}
}

// dayOf returns the day of UTC, counted since 1970.
func dayOf(t time.Time) int64 { return t.UnixMilli() / (24 * time.Hour).Milliseconds() }

// entry returns the entry of a map of counters, and creates it if it is missing.
func entry[K comparable, V any](m map[K]*V, key K) *V {
	v := m[key]
	if v == nil {
		v = new(V)
		m[key] = v
	}
	return v
}

// change counts a row (by 1), or takes it away again (by -1). A row without an id counts nothing.
// The order of the numbers is that of the columns.
func (s daySums) change(owner int64, r history.Row, by int64) {
	if r.ID == "" {
		return
	}

	isFraud, _, known := r.Fraud()
	bad, good := by*sqldb.Bit(known && isFraud), by*sqldb.Bit(known && !isFraud)
	blocked := r.Risk.Action == payment.Block
	key := dayKey{owner, dayOf(r.CreatedAt), r.Amount.Currency}

	d := entry(s.days, key)
	for i, n := range [...]int64{by, by * sqldb.Bit(r.Risk.Action == payment.Allow), by * sqldb.Bit(r.Risk.Challenge),
		by * sqldb.Bit(blocked), by * sqldb.Bit(r.Risk.Action == payment.Hold),
		by * sqldb.Bit(r.Authorised), by * sqldb.Bit(!r.Authorised && !r.AnsweredAt.IsZero()), bad, good, by * sqldb.Bit(r.Risk.Review != ""),
		by * sqldb.Bit(r.Risk.Review != "" && r.Risk.Review != payment.ReviewOpen), by * sqldb.Bit(!scored(r.Risk)), bad * r.Amount.Minor,
		by * sqldb.Bit(blocked) * r.Amount.Minor} {
		d[i] += n
	}

	if scored(r.Risk) {
		passed := sqldb.Bit(!blocked && r.Authorised)
		b := entry(s.scores, scoreKey{owner, key.day, min(int64(r.Risk.Score)/scoreBands, scoreBands-1)})
		for i, n := range [...]int64{by, by * sqldb.Bit(blocked), by * passed, bad * passed, good * passed} {
			b[i] += n
		}
	}

	hit := func(k ruleKey) {
		h := entry(s.rules, k)
		for i, n := range [...]int64{by, bad, good, by * r.Amount.Minor} {
			h[i] += n
		}
	}

	if r.Risk.Rule != "" {
		hit(ruleKey{key, r.Risk.Rule, r.Risk.Version, ruleAction(r.Risk), false})
	}
	for _, shadow := range r.Risk.Shadow {
		hit(ruleKey{key, shadow.Rule, shadow.Version, shadow.Action, true})
	}
}

// ruleAction returns what the deciding rule did: one that only required 3-D Secure let the
// payment through.
func ruleAction(r payment.Risk) payment.Action {
	if r.Challenge && r.Action == payment.Allow {
		return payment.Challenge
	}
	return r.Action
}

// add adds the changes to the stored sums, in the same order in every process, so that two never
// deadlock.
func (s daySums) add(t *sqldb.Tx) error {
	for _, k := range slices.SortedFunc(maps.Keys(s.days), dayKey.compare) {
		if err := addUp(t, addDay, s.days[k][:], k.owner, k.day, string(k.currency)); err != nil {
			return err
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(s.scores), func(a, b scoreKey) int {
		return cmp.Or(cmp.Compare(a.owner, b.owner), cmp.Compare(a.day, b.day), cmp.Compare(a.band, b.band))
	}) {
		if err := addUp(t, addScore, s.scores[k][:], k.owner, k.day, k.band); err != nil {
			return err
		}
	}
	for _, k := range slices.SortedFunc(maps.Keys(s.rules), ruleKey.compare) {
		if err := addUp(t, addRule, s.rules[k][:], k.owner, k.day, k.rule, int64(k.version), string(k.action), sqldb.Bit(k.shadow),
			string(k.currency)); err != nil {
			return err
		}
	}

	return nil
}

// compare orders keys by owner, day and currency.
func (k dayKey) compare(o dayKey) int {
	return cmp.Or(cmp.Compare(k.owner, o.owner), cmp.Compare(k.day, o.day), cmp.Compare(k.currency, o.currency))
}

// compare orders keys by day key, rule, version, action and kind.
func (k ruleKey) compare(o ruleKey) int {
	return cmp.Or(
		k.dayKey.compare(o.dayKey),
		cmp.Compare(k.rule, o.rule),
		cmp.Compare(k.version, o.version),
		cmp.Compare(k.action, o.action),
		cmp.Compare(sqldb.Bit(k.shadow), sqldb.Bit(o.shadow)),
	)
}

// addUp adds to one row of sums. An empty change writes nothing.
func addUp(t *sqldb.Tx, statement string, by []int64, key ...any) error {
	if !slices.ContainsFunc(by, func(n int64) bool { return n != 0 }) {
		return nil
	}
	for _, n := range by {
		key = append(key, n)
	}
	_, err := t.Exec(statement, key...)
	return err
}

// The statements that add to a row of each table.
var (
	addDay   = addTo("analytics_days", "owner, day, currency", dayColumns)
	addScore = addTo("analytics_scores", "owner, day, band", scoreColumns)
	addRule  = addTo("analytics_rules", "owner, day, rule, rule_version, action, shadow, currency", ruleColumns)
)
