package score_test

import (
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/score"
)

func feature(t *testing.T, v *score.Vector, name string) float32 {
	t.Helper()
	i := slices.Index(score.Names[:], name)
	if i < 0 {
		t.Fatalf("no feature is called %q", name)
	}
	return v[i]
}

// TestWindowsAgainstCounting compares the windows with a count over all attempts, at times on the
// windows' own grid, where they are exact.
func TestWindowsAgainstCounting(t *testing.T) {
	all := sample{cards: 6, payees: 3, days: 45, seed: 11}.payments()
	h := score.NewHistory(1000)
	var v score.Vector
	checked := 0
	for i, l := range all {
		h.Features(&l.Attempt, &v)
		if i%7 == 0 {
			for _, w := range []struct {
				name        string
				span, grain time.Duration
			}{{"1h", time.Hour, 5 * time.Minute}, {"1d", 24 * time.Hour, time.Hour}, {"7d", 7 * 24 * time.Hour, 24 * time.Hour},
				{"30d", 30 * 24 * time.Hour, 24 * time.Hour}} {
				// The count is between the windows that are one grain shorter and longer.
				low, high := 0, 0
				for _, o := range all[:i] {
					if o.Card != l.Card {
						continue
					}
					if age := l.At.Sub(o.At); age <= w.span-w.grain {
						low++
						high++
					} else if age < w.span+w.grain {
						high++
					}
				}
				got := int(feature(t, &v, "card.attempted."+w.name))
				if got < low || got > high {
					t.Fatalf("payment %d: card.attempted.%s is %d, counted %d to %d", i, w.name, got, low, high)
				}
				checked++
			}
		}
		h.Observe(&l.Attempt, l.Outcome)
	}
	if checked < 100 {
		t.Fatalf("only %d windows were checked", checked)
	}
}

// TestNoLabelBeforeItIsKnown inverts every label that is not known yet, and checks that nothing
// that a payment sees changes.
func TestNoLabelBeforeItIsKnown(t *testing.T) {
	const delay = 5 * 24 * time.Hour
	all := sample{cards: 40, payees: 10, days: 40, seed: 5}.payments()
	cut := all[len(all)*3/4].At
	see := func(lie bool) []score.Vector {
		h := score.NewHistory(1000)
		var out []score.Vector
		for _, l := range all {
			if l.At.After(cut) {
				break
			}
			var v score.Vector
			h.Features(&l.Attempt, &v)
			out = append(out, v)
			h.Observe(&l.Attempt, l.Outcome)
			known := l.At.Add(delay)
			h.Learn(&l.Attempt, l.Fraud != (lie && known.After(cut)), known)
		}
		return out
	}
	truth, lies := see(false), see(true)
	if len(truth) < 1000 || !slices.Equal(truth, lies) {
		t.Fatalf("labels from the future were seen, in %d vectors", len(truth))
	}
	if !slices.ContainsFunc(truth, func(v score.Vector) bool { return feature(t, &v, "account.disputed.30d") > 0 }) {
		t.Fatal("no label was ever seen: the test shows nothing")
	}
}

// TestAttemptDoesNotSeeItself checks that reading features counts nothing, however often.
func TestAttemptDoesNotSeeItself(t *testing.T) {
	h := score.NewHistory(10)
	a := score.Attempt{At: time.Unix(1_800_000_000, 0), Card: "c", Link: "l", Address: "192.0.2.0/24", Minor: 1000}
	var v score.Vector
	for range 3 {
		h.Features(&a, &v)
	}
	if feature(t, &v, "card.attempted.30d") != 0 || feature(t, &v, "card.age_days") != -1 || feature(t, &v, "link.cards.1d") != 0 {
		t.Fatal("an attempt saw itself")
	}
	h.Observe(&a, score.Declined)
	h.Features(&a, &v)
	if feature(t, &v, "card.declined.1h") != 1 || feature(t, &v, "link.cards.1d") != 1 || feature(t, &v, "address.cards.1d") != 1 ||
		feature(t, &v, "email.attempted.30d") != 0 {
		t.Fatal("an attempt was not counted, or where it has no name")
	}
}

// TestHistoryIsBounded checks that, however many cards come, no more than the limit and a quarter
// of a day's are remembered, and that they are the newest.
func TestHistoryIsBounded(t *testing.T) {
	h := score.NewHistory(500)
	at := time.Unix(1_800_000_000, 0)
	var v score.Vector
	var last score.Attempt
	for i := range 20_000 {
		at = at.Add(time.Minute)
		last = score.Attempt{At: at, Card: time.Duration(i).String(), Minor: 100}
		h.Observe(&last, score.Authorised)
	}
	if n := h.Entities(); n > 500+6*60+1 {
		t.Fatalf("%d entities are remembered, of at most 500", n)
	}
	h.Features(&last, &v)
	if feature(t, &v, "card.attempted.1d") != 1 {
		t.Fatal("the newest was forgotten")
	}
}
