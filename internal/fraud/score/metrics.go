package score

import (
	"cmp"
	"slices"
	"time"
)

// Scored is a payment with its score and its label.
type Scored struct {
	At    time.Time
	Card  string
	Score float64
	Fraud bool
}

// AUCROC returns the probability that a fraud scores higher than an honest payment; equal scores
// count half. It is 0 if there are only frauds, or none.
func AUCROC(all []Scored) float64 {
	s := slices.Clone(all)
	slices.SortFunc(s, func(a, b Scored) int { return cmp.Compare(a.Score, b.Score) })
	var frauds, honest, ranks float64
	for i := 0; i < len(s); {
		j := i
		var here float64
		for ; j < len(s) && s[j].Score == s[i].Score; j++ {
			if s[j].Fraud {
				here++
			}
		}
		ranks += here * float64(i+j+1) / 2 // mean rank of the tie, from 1
		frauds += here
		honest += float64(j-i) - here
		i = j
	}

	if frauds == 0 || honest == 0 {
		return 0
	}
	return (ranks - frauds*(frauds+1)/2) / (frauds * honest)
}

// AveragePrecision returns the area under precision over recall, as a sum over the thresholds;
// equal scores are one threshold. It is 0 without frauds.
func AveragePrecision(all []Scored) float64 {
	s := slices.Clone(all)
	slices.SortFunc(s, func(a, b Scored) int { return cmp.Compare(b.Score, a.Score) })
	var total float64
	for i := range s {
		if s[i].Fraud {
			total++
		}
	}
	if total == 0 {
		return 0
	}

	var sum, found float64
	for i := 0; i < len(s); {
		j := i
		var here float64
		for ; j < len(s) && s[j].Score == s[i].Score; j++ {
			if s[j].Fraud {
				here++
			}
		}
		found += here
		sum += here / total * found / float64(j)
		i = j
	}

	return sum
}

// CardPrecision returns the mean over the days of the share of defrauded cards among the k cards
// with the highest scores. Cards that were found are left out on later days. A day with fewer than
// k cards still divides by k.
func CardPrecision(all []Scored, k int) float64 {
	type card struct {
		score float64
		fraud bool
	}

	days := map[string]map[string]card{}
	for _, s := range all {
		d := s.At.UTC().Format(time.DateOnly)
		if days[d] == nil {
			days[d] = map[string]card{}
		}
		c, seen := days[d][s.Card]
		if !seen || s.Score > c.score {
			c.score = s.Score
		}
		c.fraud = c.fraud || s.Fraud
		days[d][s.Card] = c
	}

	order := make([]string, 0, len(days))
	for d := range days {
		order = append(order, d)
	}
	slices.Sort(order)

	found := map[string]bool{}
	var sum float64
	for _, d := range order {
		var names []string
		for name := range days[d] {
			if !found[name] {
				names = append(names, name)
			}
		}
		slices.SortFunc(names, func(a, b string) int {
			return cmp.Or(cmp.Compare(days[d][b].score, days[d][a].score), cmp.Compare(a, b))
		})

		hits := 0
		for _, name := range names[:min(k, len(names))] {
			if days[d][name].fraud {
				hits++
				found[name] = true
			}
		}
		sum += float64(hits) / float64(k)
	}

	if len(order) == 0 {
		return 0
	}
	return sum / float64(len(order))
}
