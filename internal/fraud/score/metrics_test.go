package score_test

import (
	"math"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/score"
)

func scored(pairs ...float64) []score.Scored {
	var out []score.Scored
	for i := 0; i < len(pairs); i += 2 {
		out = append(out, score.Scored{Score: pairs[i], Fraud: pairs[i+1] == 1})
	}
	return out
}

// The expected figures were calculated by hand from the definitions.
func TestRankingFigures(t *testing.T) {
	for _, c := range []struct {
		name    string
		in      []score.Scored
		roc, ap float64
	}{
		{"perfect", scored(0.9, 1, 0.8, 1, 0.2, 0, 0.1, 0), 1, 1},
		{"reversed", scored(0.1, 1, 0.9, 0), 0, 0.5},
		{"textbook", scored(0.1, 0, 0.4, 0, 0.35, 1, 0.8, 1), 0.75, 5.0 / 6},
		{"all equal", scored(0.5, 1, 0.5, 0, 0.5, 0, 0.5, 0), 0.5, 0.25},
		{"a tie counts half", scored(0.9, 1, 0.5, 1, 0.5, 0, 0.1, 0), 0.875, 0.5 + 0.5*2/3},
		{"no fraud", scored(0.5, 0), 0, 0},
	} {
		if got := score.AUCROC(c.in); math.Abs(got-c.roc) > 1e-12 {
			t.Errorf("%s: AUC ROC %v, want %v", c.name, got, c.roc)
		}
		if got := score.AveragePrecision(c.in); math.Abs(got-c.ap) > 1e-12 {
			t.Errorf("%s: average precision %v, want %v", c.name, got, c.ap)
		}
	}
}

func TestCardPrecision(t *testing.T) {
	day := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	in := []score.Scored{
		// First day: a's best score is its second; a and b are the top two, a is bad.
		{
			At:    day,
			Card:  "a",
			Score: 0.1,
			Fraud: true,
		}, {At: day, Card: "a", Score: 0.9}, {At: day, Card: "b", Score: 0.8}, {At: day, Card: "c", Score: 0.7, Fraud: true},
		// Second day: a was found and is left out, so c makes the top two.
		{
			At:    day.AddDate(0, 0, 1),
			Card:  "a",
			Score: 0.99,
			Fraud: true,
		}, {At: day.AddDate(0, 0, 1), Card: "b", Score: 0.5}, {At: day.AddDate(0, 0, 1), Card: "c", Score: 0.4, Fraud: true},
	}
	if got := score.CardPrecision(in, 2); got != 0.5 {
		t.Errorf("card precision@2 is %v, want (1/2 + 1/2) / 2", got)
	}
}
