package fraud_test

import (
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud"
	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// watched is a Local that records its vectors by payment.
type watched struct {
	*fraud.Local
	mu  sync.Mutex
	now time.Time
	saw map[string]score.Vector
}

func watch(c fraud.LocalConfig, now time.Time) *watched {
	w := &watched{now: now, saw: map[string]score.Vector{}}
	c.Now, c.Log = w.clock, slog.New(slog.DiscardHandler)
	c.Decide = func(a *fraud.Attempt, v *score.Vector, _ *score.Assessment) (payment.Risk, bool) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.saw[a.Payment] = *v
		return payment.Risk{Action: payment.Allow}, true
	}
	w.Local = fraud.NewLocal(c)
	return w
}

func (w *watched) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *watched) set(at time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = at
}

func (w *watched) feature(t *testing.T, payment, name string) float32 {
	t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	v, ok := w.saw[payment]
	i := slices.Index(score.Names[:], name)
	if !ok || i < 0 {
		t.Fatalf("%s of %s was not seen", name, payment)
	}
	return v[i]
}

var epoch = time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)

func try(n int, account string) fraud.Attempt {
	return fraud.Attempt{Payment: id.New(id.Payment), Account: account, Mode: "test", Link: "plink_1", Amount: money.Of(int64(1000+n), "EUR"),
		Fingerprint: "card", Card: "CARD", BIN: "424242", Email: "eve@example.com", Address: "192.0.2.0/24"}
}

// TestBurstIsSeenAtOnce makes a hundred attempts in a second, before any of their events could
// arrive. Each sees all earlier ones, also if they are concurrent.
func TestBurstIsSeenAtOnce(t *testing.T) {
	const burst = 100
	w := watch(fraud.LocalConfig{}, epoch)
	var running sync.WaitGroup
	all := make([]string, burst)
	for i := range burst {
		a := try(i, "acct_1")
		all[i] = a.Payment
		running.Go(func() {
			if _, err := w.Assess(t.Context(), a); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	seen := map[float32]bool{}
	for _, p := range all {
		seen[w.feature(t, p, "card.attempted.1h")] = true
	}
	for i := range burst {
		if !seen[float32(i)] {
			t.Errorf("no attempt saw %d before it", i)
		}
	}
}

// TestNoTenantSeesAnother checks that the same card, email, address and link id are unrelated at
// another account, in another mode or another currency.
func TestNoTenantSeesAnother(t *testing.T) {
	w := watch(fraud.LocalConfig{}, epoch)
	assess := func(a fraud.Attempt) string {
		if _, err := w.Assess(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		return a.Payment
	}
	assess(try(1, "acct_1"))
	others := []fraud.Attempt{try(2, "acct_2"), try(3, "acct_1"), try(4, "acct_1")}
	others[1].Mode = "live"
	others[2].Amount.Currency = "USD"
	for i, a := range others {
		p := assess(a)
		for _, name := range []string{"card.attempted.30d", "email.attempted.30d", "address.attempted.30d", "bin.attempted.30d",
			"link.cards.1d"} {
			if n := w.feature(t, p, name); n != 0 {
				t.Errorf("stranger %d sees %s %v", i, name, n)
			}
		}
	}
	if p := assess(try(5, "acct_1")); w.feature(t, p, "card.attempted.30d") != 1 {
		t.Error("the account does not see itself")
	}
}

// TestAskedAgain checks that a repeated call for a payment gets the same answer and counts once.
func TestAskedAgain(t *testing.T) {
	w := watch(fraud.LocalConfig{}, epoch)
	first := try(1, "acct_1")
	for range 5 {
		if v, err := w.Assess(t.Context(), first); err != nil || v.Risk.Fingerprint != "card" {
			t.Fatal(v, err)
		}
	}
	next := try(2, "acct_1")
	if _, err := w.Assess(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if n := w.feature(t, next.Payment, "card.attempted.1h"); n != 1 {
		t.Errorf("one payment counts %v times", n)
	}
}

// TestTestClockAheadMovesNobody checks that an account whose test clock is a year ahead does not
// age the others' counts.
func TestTestClockAheadMovesNobody(t *testing.T) {
	w := watch(fraud.LocalConfig{}, epoch)
	for i := range 3 {
		a := try(i, "acct_"+strconv.Itoa(i%2))
		if i == 1 {
			a.At = epoch.AddDate(1, 0, 0)
		}
		if _, err := w.Assess(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		if n := w.feature(t, a.Payment, "card.attempted.1h"); i == 2 && n != 1 {
			t.Errorf("acct_0 sees %v attempts of its own", n)
		}
	}
}
