package shield_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/shield"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// world is a shield with a clock that tests move.
type world struct {
	*shield.Shield
	now     time.Time
	n       int
	changes []string
}

func newWorld(settings ...string) *world {
	p, err := shield.Parse(settings)
	if err != nil {
		panic(err)
	}
	w := &world{now: start}
	w.Shield = shield.New(shield.Config{Policy: p, Changed: func(c shield.Change) {
		w.changes = append(w.changes, fmt.Sprintf("%s %s→%s %s", c.Link, c.From, c.To, c.Why))
	}})
	return w
}

// try makes an attempt, and answers it when it reaches the issuer.
func (w *world) try(a shield.Attempt, authorised bool) shield.Outcome {
	w.n++
	if a.Payment == "" {
		a.Payment = fmt.Sprint("p", w.n)
	}
	if a.Account == "" {
		a.Account = "a"
	}
	if a.Mode == "" {
		a.Mode = "live"
	}
	if a.At.IsZero() {
		a.At = w.now
	}
	o := w.Attempt(a)
	if !o.Refuse {
		w.Answered(a, authorised)
	}
	return o
}

func card(bin string, i int) shield.Attempt {
	return shield.Attempt{Card: fmt.Sprint(bin, "-", i), BIN: bin}
}

// on is a card tried on a link from an address.
func on(link, address string, a shield.Attempt) shield.Attempt {
	a.Link, a.Address = link, address
	return a
}

// TestQuietLinksAreLeftAlone: successes, hundreds a second with the same cards from one
// address, and the share of declines that every shop has, change nothing.
func TestQuietLinksAreLeftAlone(t *testing.T) {
	w := newWorld()
	for i := range 100_000 {
		link := fmt.Sprint("l", i/4) // four payments each
		o := w.try(on(link, "203.0.113.0/24", card("424242", i%5)), i%10 != 0)
		if o != (shield.Outcome{}) && o.Why != shield.WhyCard {
			t.Fatalf("payment %d: %+v", i, o)
		}
		w.now = w.now.Add(2 * time.Millisecond)
	}
	if len(w.changes) > 0 {
		t.Error(w.changes)
	}
}
