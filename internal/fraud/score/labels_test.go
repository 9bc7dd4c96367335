package score

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// TestALaterLabelReplaces checks that a history whose labels are removed and set again equals one
// that received only the last ones, whatever was folded in between.
func TestALaterLabelReplaces(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 5))
	at := time.Date(2030, 5, 6, 0, 0, 0, 0, time.UTC)
	type told struct {
		attempt *Attempt
		fraud   bool
		at      time.Time
	}
	h, want := NewHistory(1000), NewHistory(1000)
	last := map[int]told{} // by payment
	var order []int        // the payments in order of their labels
	var attempts []Attempt
	for n := range 400 {
		at = at.Add(time.Duration(random.IntN(3*3600)) * time.Second)
		attempts = append(attempts, Attempt{At: at, Account: "a", Link: fmt.Sprint("l", random.IntN(100)), Card: fmt.Sprint("c", random.IntN(80)),
			Address: fmt.Sprint("n", random.IntN(60)), Email: fmt.Sprint("e", n), Minor: int64(100 + random.IntN(5000))})
		a := &attempts[n]
		h.Attempted(h.Keys(a), at, a.Minor)
		if n%3 > 0 { // an earlier one is labeled, or labeled again
			i := random.IntN(len(attempts))
			if n%3 == 1 && len(order) > 0 {
				i = order[random.IntN(len(order))]
			}
			order = append(order, i)
			if before, known := last[i]; known {
				h.Unlearned(h.Keys(before.attempt), before.fraud, before.at)
			}
			one := attempts[i]
			last[i] = told{&one, random.IntN(2) == 0, at}
			h.Learned(h.Keys(&one), last[i].fraud, at)
		}
	}
	labels := make([][]told, len(attempts)) // by the attempt after which they arrive
	for _, l := range last {
		for n := range attempts {
			if attempts[n].At.Equal(l.at) {
				labels[n] = append(labels[n], l)
				break
			}
		}
	}
	for n := range attempts {
		want.Attempted(want.Keys(&attempts[n]), attempts[n].At, attempts[n].Minor)
		for _, l := range labels[n] {
			want.Learned(want.Keys(l.attempt), l.fraud, l.at)
		}
	}
	asked, disputed := at.Add(time.Hour), 0
	for n := range attempts {
		probe := attempts[n]
		probe.At, probe.Account = asked, "" // the account has had more labels than are kept apart
		var is, should Vector
		h.Features(&probe, &is)
		want.Features(&probe, &should)
		for i := range is {
			if is[i] != should[i] {
				t.Fatalf("%s of attempt %d is %v, want %v", Names[i], n, is[i], should[i])
			}
			if Names[i] == "card.disputed.30d" && is[i] > 0 {
				disputed++
			}
		}
	}
	if disputed == 0 || len(last) < 50 {
		t.Errorf("%d labels, %d cards with frauds", len(last), disputed)
	}
}

// TestALateLabel checks that a label that arrives after later events counts for its own time.
func TestALateLabel(t *testing.T) {
	at := time.Date(2030, 5, 6, 12, 0, 0, 0, time.UTC)
	h := NewHistory(10)
	a := Attempt{At: at, Card: "c", Minor: 1}
	h.Attempted(h.Keys(&a), at, 1)
	h.Attempted(h.Keys(&a), at.Add(2*time.Hour), 1)
	h.Learned(h.Keys(&a), true, at.Add(30*time.Minute))
	probe := a
	probe.At = at.Add(2*time.Hour + time.Minute)
	var v Vector
	h.Features(&probe, &v)
	for i, name := range Names {
		want := map[string]float32{
			"card.attempted.1h": 1,
			"card.attempted.1d": 2,
			"card.disputed.1h":  0,
			"card.disputed.1d":  1,
			"card.disputed.30d": 1,
		}
		if n, asked := want[name]; asked && v[i] != n {
			t.Errorf("%s is %v, want %v", name, v[i], n)
		}
	}
}
