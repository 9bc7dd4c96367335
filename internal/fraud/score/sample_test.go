package score_test

import (
	"cmp"
	"fmt"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/fraud/score"
)

// sample generates labeled payments with three kinds of fraud: unusual amounts, payees that are
// compromised for some days, and cards that are.
type sample struct {
	cards, payees, days int
	seed                uint64
}

func (s sample) start() time.Time { return time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC) }

func (s sample) payments() []score.Labelled {
	random := rand.New(rand.NewPCG(s.seed, 0))
	badPayee, badCard := map[int]int{}, map[int]int{} // until which day
	spend := make([]float64, s.cards)
	for i := range spend {
		spend[i] = 5 + 80*random.Float64()
	}
	var out []score.Labelled
	for day := range s.days {
		badPayee[random.IntN(s.payees)] = day + 20
		badCard[random.IntN(s.cards)] = day + 10
		for card := range s.cards {
			for range random.IntN(4) {
				payee := (card*7 + random.IntN(12)) % s.payees
				amount := math.Max(1, spend[card]*(1+random.NormFloat64()/2))
				var bad bool
				if badCard[card] > day && random.IntN(2) == 0 {
					amount, bad = amount*5, true
				}
				if badPayee[payee] > day || amount > 500 {
					bad = true
				}
				at := s.start().AddDate(0, 0, day).Add(time.Duration(random.IntN(86400)) * time.Second)
				out = append(out, score.Labelled{
					Attempt: score.Attempt{
						ID:      fmt.Sprint(len(out)),
						At:      at,
						Card:    fmt.Sprint("c", card),
						Account: fmt.Sprint("m", payee),
						Minor:   int64(100 * amount),
					},
					Outcome: score.Authorised, Fraud: bad,
				})
			}
		}
	}
	slices.SortStableFunc(out, func(a, b score.Labelled) int { return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID)) })
	return out
}

func each(all []score.Labelled) iter.Seq2[score.Labelled, error] {
	return func(yield func(score.Labelled, error) bool) {
		for _, l := range all {
			if !yield(l, nil) {
				return
			}
		}
	}
}
