package shield_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

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

// try makes an attempt, and answers it if it reaches the issuer.
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

// on returns an attempt of a card on a link from an address.
func on(link, address string, a shield.Attempt) shield.Attempt {
	a.Link, a.Address = link, address
	return a
}

// TestQuietLinksAreLeftAlone checks that successes, hundreds a second with the same cards from
// one address, and a normal share of declines change nothing.
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

// TestAnAttackedLinkGoesUpAndComesDown checks the levels quiet, proof, guard, and back, with the
// time that each step takes.
func TestAnAttackedLinkGoesUpAndComesDown(t *testing.T) {
	w := newWorld()
	n := 0
	tested := func(proved bool) shield.Outcome {
		n++
		a := on("l", fmt.Sprintf("198.51.%d.0/24", n), card(fmt.Sprint("4000", n%7), n))
		a.Proved = proved
		return w.try(a, false)
	}
	for i := range 10 { // the tenth decline is seen with the next attempt
		if o := tested(false); o != (shield.Outcome{}) {
			t.Fatalf("attempt %d: %+v", i, o)
		}
	}
	if o := tested(false); o.Refuse || !o.Challenge3DS || o.Puzzle != 16 || o.Why != shield.WhyLink || o.Level != shield.Proof {
		t.Fatalf("without a proof: %+v", o)
	}
	refused := 0
	for range 1000 {
		if tested(false).Refuse {
			refused++
		}
	}
	if refused != 995 { // six at once, of which one is gone
		t.Errorf("%d of 1000 without a proof were refused", refused)
	}
	if o := tested(true); o.Refuse || o.Challenge3DS {
		t.Errorf("with a proof: %+v", o)
	}
	for range 12 {
		tested(true)
	}
	if o := tested(true); o.Level != shield.Guard || !o.Challenge3DS || o.Puzzle <= 16 {
		t.Errorf("proved, and declined all the same: %+v", o)
	}
	passed := 0
	for range 1000 {
		if !tested(true).Refuse {
			passed++
		}
	}
	if passed > 10 {
		t.Errorf("%d of 1000 passed a guarded link at once", passed)
	}
	want := "l quiet→proof declines, l proof→guard declines"
	if got := strings.Join(w.changes, ", "); got != want {
		t.Errorf("it went %s, want %s", got, want)
	}
	for _, step := range []struct {
		after time.Duration
		level shield.Level
		bits  bool
	}{{9*time.Minute + 59*time.Second, shield.Guard, true}, {time.Second, shield.Proof, true}, {10 * time.Minute, shield.Quiet, false}} {
		w.now = w.now.Add(step.after)
		if bits := w.Bits("a", "live", "l", "", w.now); (bits > 0) != step.bits {
			t.Errorf("after %s: %d bits", step.after, bits)
		}
		proof, guard := w.Levels(w.now)
		if (proof == 1) != (step.level == shield.Proof) || (guard == 1) != (step.level == shield.Guard) {
			t.Errorf("after %s: %d at proof, %d at guard, want it at %s", step.after, proof, guard, step.level)
		}
	}
	if o := w.try(on("l", "198.51.100.0/24", card("424242", 1)), true); o != (shield.Outcome{}) {
		t.Errorf("calm again: %+v", o)
	}
}

// TestAttackIsHeldWhileItLasts checks that refusals keep a link's level up, however long they
// continue.
func TestAttackIsHeldWhileItLasts(t *testing.T) {
	w := newWorld()
	reached := 0
	for i := range 3 * 3600 { // three hours, once a second
		if !w.try(on("l", "", card("400001", i)), false).Refuse {
			reached++
		}
		w.now = w.now.Add(time.Second)
	}
	if most := 10 + 6 + 3*60*6; reached > most || len(w.changes) != 1 {
		t.Errorf("%d reached the issuer in three hours, want at most %d; %v", reached, most, w.changes)
	}
}

// TestOthersAreUnharmed checks that honest payers of other links are never refused while a link
// is tested, with any range and from any address.
func TestOthersAreUnharmed(t *testing.T) {
	w, chance := newWorld(), rand.New(rand.NewPCG(1, 2))
	for i := range 20_000 {
		w.try(on("attacked", fmt.Sprintf("10.0.%d.0/24", i%200), card(fmt.Sprint("40000", i%9), i)), false)
		o := w.try(on(fmt.Sprint("honest", i), fmt.Sprintf("192.0.%d.0/24", i%250), card("400001", 1_000_000+i)), chance.IntN(20) != 0)
		if o.Refuse || o.Challenge3DS {
			t.Fatalf("payer %d: %+v", i, o)
		}
		w.now = w.now.Add(10 * time.Millisecond)
	}
}

// TestTriggers checks what raises a link and what does not, a case each.
func TestTriggers(t *testing.T) {
	for _, c := range []struct {
		name     string
		attempts int
		each     func(i int) (shield.Attempt, bool) // the card, and whether it is authorized
		want     string                             // the change; empty for none
	}{
		{"nine declines", 9, func(i int) (shield.Attempt, bool) { return card(fmt.Sprint("5", i), i), false }, ""},
		{"ten declines of many cards", 10, func(i int) (shield.Attempt, bool) { return card(fmt.Sprint("5", i), i), false }, "declines"},
		{"some six cards of one range, told apart by a hash", 8, func(i int) (shield.Attempt, bool) { return card("510510", i), false }, "bin"},
		{"a payer who tries two cards on and on", 19, func(i int) (shield.Attempt, bool) { return card("510510", i%2), false }, ""},
		{"a machine that tries two cards on and on", 20, func(i int) (shield.Attempt, bool) { return card("510510", i%2), false }, "declines"},
		{"a shop whose bank has a bad day", 500, func(i int) (shield.Attempt, bool) { return card(fmt.Sprint("5", i%50), i%100), i%5 > 1 }, ""},
		{"a crowd whose cards are good", 400, func(i int) (shield.Attempt, bool) { return card(fmt.Sprint("5", i), i), true }, "attempts"},
		{"a crowd with the same test cards", 5000, func(i int) (shield.Attempt, bool) { return card("424242", i%8), true }, ""},
	} {
		w := newWorld()
		for i := range c.attempts {
			a, ok := c.each(i)
			a.Mode = "test" // where the cards' own limits do not interfere
			w.try(on("l", "", a), ok)
			w.now = w.now.Add(20 * time.Millisecond)
		}
		got := ""
		if len(w.changes) > 0 {
			got = w.changes[0]
		}
		if want := "l quiet→proof " + c.want; (c.want != "" && got != want) || (c.want == "" && got != "") {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
}

// TestABurstIsSeenBeforeItsAnswers checks that unanswered attempts raise a link.
func TestABurstIsSeenBeforeItsAnswers(t *testing.T) {
	w := newWorld()
	passed := 0
	for i := range 10_000 {
		if !w.Attempt(shield.Attempt{Account: "a", Mode: "test", Link: "l", Card: fmt.Sprint(i % 3), Payment: fmt.Sprint(i), At: w.now}).Refuse {
			passed++
		}
	}
	if passed > 200+6 {
		t.Errorf("%d attempts passed without an answer", passed)
	}
	// A dropped attempt is not waited for.
	w = newWorld()
	for i := range 10_000 {
		a := shield.Attempt{Account: "a", Mode: "test", Link: "l", Card: fmt.Sprint(i % 3), Payment: fmt.Sprint(i), At: w.now}
		if o := w.Attempt(a); o != (shield.Outcome{}) {
			t.Fatalf("attempt %d: %+v", i, o)
		}
		w.Dropped(a)
	}
}

// TestCardsRangesAndAddresses checks counts over links: a card is refused, a range and a prefix
// need more.
func TestCardsRangesAndAddresses(t *testing.T) {
	w := newWorld()
	for i := range 9 {
		w.try(on(fmt.Sprint("c", i), "", shield.Attempt{Card: "one"}), false)
	}
	if o := w.try(on("c9", "", shield.Attempt{Card: "one"}), false); o.Refuse || !o.Challenge3DS || o.Why != shield.WhyCard {
		t.Errorf("the tenth decline of a card: %+v", o)
	}
	if o := w.try(on("c10", "", shield.Attempt{Card: "one"}), true); !o.Refuse || o.Why != shield.WhyCard || o.Fault() == nil {
		t.Errorf("a card declined ten times: %+v", o)
	}
	if o := w.try(on("c10", "", shield.Attempt{Card: "one", Mode: "test"}), true); o.Refuse {
		t.Errorf("in test mode: %+v", o)
	}
	for i := range 40 { // a hash tells cards apart: a few may collide
		w.try(on(fmt.Sprint("b", i/4), "", card("411111", i)), false)
	}
	if o := w.try(on("other", "", card("411111", 99)), true); o.Refuse || !o.Challenge3DS || o.Why != shield.WhyBIN {
		t.Errorf("a card of a range under attack: %+v", o)
	}
	for i := range 16 {
		w.try(on(fmt.Sprint("d", i), "203.0.113.0/24", card(fmt.Sprint("6", i), i)), false)
	}
	honest := on("other", "203.0.113.0/24", card("424242", 7))
	if o := w.try(honest, true); o.Refuse || !o.Challenge3DS || o.Puzzle != 16 || o.Why != shield.WhyAddress {
		t.Errorf("from a prefix that tests: %+v", o)
	}
	honest.Proved = true
	if o := w.try(honest, true); o != (shield.Outcome{Puzzle: 16}) {
		t.Errorf("with a proof: %+v", o)
	}
	for i := range 20 { // a carrier's payers outweigh a tester behind the same address
		a := on(fmt.Sprint("e", i), "203.0.113.0/24", card("424242", i))
		a.Proved = true
		w.try(a, true)
	}
	if bits := w.Bits("a", "live", "other", "203.0.113.0/24", w.now); bits != 0 {
		t.Errorf("%d bits are asked of honest payers", bits)
	}
	for range 100 {
		w.try(on("f", "127.0.0.0/24", card(fmt.Sprint(w.n%90), w.n)), w.n%2 == 0)
	}
	if bits := w.Bits("a", "live", "other", "127.0.0.0/24", w.now); bits != 0 {
		t.Error("the loopback is suspicious")
	}
}

// TestTestModeIsApart checks that declines of a card in test mode do not count in live mode.
func TestTestModeIsApart(t *testing.T) {
	w := newWorld()
	for i := range 20 {
		w.try(on(fmt.Sprint("t", i), "", shield.Attempt{Card: "one", Mode: "test"}), false)
	}
	if o := w.try(on("live", "", shield.Attempt{Card: "one"}), true); o.Refuse || o.Challenge3DS {
		t.Errorf("a card that was declined in test mode: %+v", o)
	}
}

// TestLoopbackIsNobody checks that declines from a loopback address, or from its network, make no
// payer suspicious.
func TestLoopbackIsNobody(t *testing.T) {
	for _, address := range []string{"127.0.0.1", "127.0.0.0/24", "::1", "::/48", ""} {
		w := newWorld()
		for i := range 60 {
			w.try(on(fmt.Sprint("l", i), address, card(fmt.Sprint("6", i), i)), false)
		}
		if bits := w.Bits("a", "live", "other", address, w.now); bits != 0 {
			t.Errorf("%q: %d bits", address, bits)
		}
	}
}

// TestAPaymentCountsOnce checks that a payment counts once, in whatever order and however often
// it is reported.
func TestAPaymentCountsOnce(t *testing.T) {
	w := newWorld()
	for i := range 9 {
		a := on("l", "", card(fmt.Sprint(i), i))
		a.Account, a.Mode, a.Payment, a.At = "a", "live", fmt.Sprint("p", i), w.now
		for range 5 {
			if i%2 == 0 {
				w.Answered(a, false) // from the feed, before the attempt arrives
			}
			w.Attempt(a)
			w.Answered(a, false)
		}
	}
	if len(w.changes) > 0 {
		t.Errorf("nine declines told five times: %v", w.changes)
	}
	// A payment that was let through is not refused afterwards.
	tenth := on("l", "", card("10", 10))
	tenth.Payment = "tenth"
	w.try(tenth, false)
	again := shield.Attempt{Account: "a", Mode: "live", Link: "l", Card: "0-0", Payment: "p0", At: w.now}
	for range 100 {
		if o := w.Attempt(again); o.Refuse || o.Level != shield.Proof {
			t.Fatalf("a payment that passed: %+v", o)
		}
	}
	// Old answers change nothing.
	w = newWorld()
	w.Attempt(shield.Attempt{Account: "a", Mode: "live", Link: "l", Card: "x", Payment: "now", At: w.now})
	for i := range 100 {
		w.Answered(
			shield.Attempt{
				Account: "a",
				Mode:    "live",
				Link:    "l",
				Card:    fmt.Sprint(i),
				BIN:     fmt.Sprint(i),
				Payment: fmt.Sprint("old", i),
				At:      w.now.Add(-24 * time.Hour),
			},
			false,
		)
	}
	if bits := w.Bits("a", "live", "l", "", w.now); bits != 0 {
		t.Errorf("declines of yesterday ask for %d bits", bits)
	}
}

// TestOff checks that nothing is counted or required.
func TestOff(t *testing.T) {
	w := newWorld("off")
	for i := range 1000 {
		if o := w.try(on("l", "10.0.0.0/24", card("400001", i)), false); o != (shield.Outcome{}) {
			t.Fatal(o)
		}
	}
	if w.Bits("a", "live", "l", "10.0.0.0/24", w.now) != 0 {
		t.Error("bits are asked for")
	}
}

func TestParse(t *testing.T) {
	p, err := shield.Parse([]string{"declines=20", "proved=100", "calm=30", "bits=18"})
	if err != nil || p.Declines != 20 || p.Proved.Count != 100 || p.Calm != 30*time.Minute || p.Bits != 18 ||
		p.Cards != shield.Default().Cards {
		t.Errorf("%+v %v", p, err)
	}
	for _, bad := range []string{"", "declines", "declines=", "declines=0", "declines=-1", "declines=x", "ratio=101", "bits=21", "bits=1",
		"on", "speed=3", "calm=1441"} {
		if _, err := shield.Parse([]string{bad}); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestShieldHoldsItsBounds checks that, for any sequence of attempts, also from several
// goroutines, no more pass a link under attack than its lanes allow, quiet links are never
// refused, and honest ones return to quiet.
func TestShieldHoldsItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld()
		seconds := rapid.IntRange(30, 200).Draw(t, "seconds")
		perSecond := rapid.IntRange(1, 10).Draw(t, "attempts a second")
		bins := rapid.IntRange(1, 50).Draw(t, "ranges")
		addresses := rapid.IntRange(1, 100).Draw(t, "addresses")
		proves := rapid.IntRange(0, 100).Draw(t, "per cent that prove")
		good := rapid.IntRange(0, 20).Draw(t, "per cent that are authorised")
		reached, honest := 0, 0
		for s := range seconds {
			for i := range perSecond {
				n := s*perSecond + i
				a := on("l", fmt.Sprintf("10.%d.0.0/24", n%addresses), card(fmt.Sprint("4", n%bins), n))
				a.Proved = n%100 < proves
				if !w.try(a, n*37%100 < good).Refuse {
					reached++
				}
			}
			honest++
			if o := w.try(on(fmt.Sprint("h", s), fmt.Sprintf("192.0.%d.0/24", s%250), card("424242", s%5)), s%10 != 0); o.Refuse &&
				o.Why != shield.WhyCard {
				t.Fatalf("an honest payer: %+v", o)
			}
			w.now = w.now.Add(time.Second)
		}
		minutes := float64(seconds) / 60
		// The first ten or so, as many again with a proof, then the lanes. Authorized attempts
		// lower the share of declines, and are none.
		most := 2*2*10/(1-0.01*float64(good)) + 6 + 10 + minutes*(6+30) + 20
		if float64(reached) > most {
			t.Fatalf("%d of %d reached the issuer in %d s, want at most %.0f", reached, seconds*perSecond, seconds, most)
		}
		w.now = w.now.Add(2 * shield.Default().Calm)
		if proof, guard := w.Levels(w.now); proof+guard != 0 {
			t.Fatalf("after the attack: %d links at proof, %d at guard", proof, guard)
		}
	})
}

// TestManyAtOnce is for the race detector, with more keys than fit in memory.
func TestManyAtOnce(t *testing.T) {
	w := newWorld()
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for i := range 20_000 {
				a := on(fmt.Sprint("l", g, i%3000), fmt.Sprintf("10.%d.%d.0/24", g, i%250), card(fmt.Sprint(g, i%5000), i))
				a.Account, a.Mode, a.Payment, a.At = "a", "live", fmt.Sprint(g, "-", i), start
				w.Attempt(a)
				w.Answered(a, i%3 == 0)
				if i%1000 == 0 {
					w.Bits("a", "live", a.Link, a.Address, start)
					w.Levels(start)
				}
			}
		})
	}
	all.Wait()
}

func BenchmarkAttempt(b *testing.B) {
	w := newWorld()
	a := on("", "203.0.113.0/24", card("424242", 1))
	a.Account, a.Mode, a.At = "a", "live", start
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a.Link, a.Payment = fmt.Sprint("l", i), fmt.Sprint("p", i)
		w.Attempt(a)
		w.Answered(a, i%20 != 0)
	}
}
