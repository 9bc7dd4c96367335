package score

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// TestCardsCountForEachOfThem checks that a card sees what was counted for it under the name of
// several cards: its features are those of a history in which it had one name all along, except
// those that follow a sequence of attempts approximately.
func TestCardsCountForEachOfThem(t *testing.T) {
	random := rand.New(rand.NewPCG(7, 7))
	at := time.Date(2030, 5, 6, 0, 0, 0, 0, time.UTC)
	renamed := at.Add(15 * 24 * time.Hour)
	split, whole := NewHistory(1000), NewHistory(1000)
	seen := 0
	for range 600 {
		at = at.Add(time.Duration(random.IntN(3600)) * 2 * time.Second)
		card := fmt.Sprint("c", random.IntN(9))
		one := Attempt{Scope: "s", At: at, Card: card, Minor: int64(100 + random.IntN(5000))}
		two := one
		if at.After(renamed) {
			two.Card, two.Cards = card+"_1", card
		}
		var a, b Vector
		whole.Features(&one, &a)
		split.Features(&two, &b)
		for i := range a {
			if Names[i] != "card.unrest" && math.Abs(float64(a[i]-b[i])) > 1e-4*math.Max(1, math.Abs(float64(a[i]))) {
				t.Fatalf("%s %s: %s is %v, want %v", at, two.Card, Names[i], b[i], a[i])
			}
		}
		if at.After(renamed) && a[single] > 0 {
			seen++
		}
		o := Outcome(1 + random.IntN(2))
		whole.Observe(&one, o)
		split.Observe(&two, o)
		if random.IntN(4) == 0 {
			fraud := random.IntN(2) == 0
			whole.Learn(&one, fraud, at.Add(time.Hour))
			split.Learn(&two, fraud, at.Add(time.Hour))
		}
	}
	if seen == 0 {
		t.Fatal("no renamed card had a history")
	}
	other := Attempt{Scope: "s", At: at, Card: "c1_2", Cards: "c1", Minor: 100}
	var v Vector
	if split.Features(&other, &v); v[single+3*perWindow] == 0 {
		t.Error("a card of the same name sees nothing")
	}
	elsewhere := Attempt{Scope: "t", At: at, Card: "c1_1", Cards: "c1", Minor: 100}
	if split.Features(&elsewhere, &v); v[single+3*perWindow] != 0 {
		t.Error("another account's card is seen")
	}
}
