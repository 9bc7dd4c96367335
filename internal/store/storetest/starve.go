package storetest

import (
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// Bulk is a store that loads many payments and links at once.
type Bulk interface {
	TakeDue(context.Context, payment.Take) ([]payment.Payment, error)
	ExpireLinks(ctx context.Context, now time.Time, limit int, event func(link.Link) (stream.Event, error)) (int, error)
	LoadPayments(context.Context, []payment.Payment) error
	LoadLinks(context.Context, []link.Link) error
	CountAside(ctx context.Context, kind string) (int64, error)
	EachAside(ctx context.Context, visit func(id, account string, misses int64, next time.Time) error) error
	RetryAside(ctx context.Context, now time.Time) (int64, error)
}

const (
	sweepOf = 100
	loadOf  = 1000
)

// dueAt returns n payments of an account that are due at the epoch or shortly after.
func dueAt(t testing.TB, account string, at time.Duration, n int) []payment.Payment {
	t.Helper()
	c := Begin(t, NewLink(account, 1), "attempt-of-many-0001")
	list := make([]payment.Payment, n)
	for i := range list {
		p := c.Payment
		p.ID = id.New(id.Payment)
		p.Work.NextAt = Epoch.Add(at)
		list[i] = p
	}
	return list
}

// RunStarvedByDamage puts n unreadable payments before one of another account, and expects that
// one within the given number of sweeps. damage spoils the documents of an account.
func RunStarvedByDamage(t *testing.T, s Bulk, n, sweeps int, damage func(account string)) {
	bad, good := id.New(id.Account), id.New(id.Account)
	load(t, s, dueAt(t, bad, 0, n))
	damage(bad)
	mine := dueAt(t, good, time.Second, 1)
	load(t, s, mine)
	now := Epoch.Add(time.Minute)
	wantWithin(t, s, now, mine[0].ID, sweeps)
	if n > 300 {
		return
	}
	// They are tried again, less and less often, and then set aside.
	for range payment.AsideAfter + 1 {
		for range 2 + n/sweepOf {
			_, _ = s.TakeDue(t.Context(), payment.Take{Now: now, Limit: sweepOf}) // names the damaged ones
		}
		now = now.Add(time.Hour)
	}
	aside, err := s.CountAside(t.Context(), "payments")
	if err != nil || aside < int64(min(n, sweepOf)) {
		t.Fatalf("%d of %d are set aside, %v", aside, n, err)
	}
	named := int64(0)
	if err := s.EachAside(t.Context(), func(object, account string, misses int64, _ time.Time) error {
		if !id.Valid(id.Payment, object) {
			return nil
		}
		if named++; misses < payment.AsideAfter {
			t.Errorf("one of %s was taken %d times", account, misses)
		}
		return nil
	}); err != nil || named != aside {
		t.Fatalf("%d are named of %d, %v", named, aside, err)
	}
	if again, err := s.RetryAside(t.Context(), now); err != nil || again < aside {
		t.Fatalf("%d of %d are due again, %v", again, aside, err)
	}
}

// RunStarvedByAccount puts n payments of one account before one of another.
func RunStarvedByAccount(t *testing.T, s Bulk, n, sweeps int) {
	many, one := id.New(id.Account), id.New(id.Account)
	load(t, s, dueAt(t, many, 0, n))
	mine := dueAt(t, one, time.Second, 1)
	load(t, s, mine)
	wantWithin(t, s, Epoch.Add(time.Minute), mine[0].ID, sweeps)
}

// RunStarvedLinks puts n links of one account before one of another, sound or damaged, and
// expects the other's expiry within the given number of steps.
func RunStarvedLinks(t *testing.T, s Bulk, n, steps int, damage func(account string)) {
	many, one := id.New(id.Account), id.New(id.Account)
	links := make([]link.Link, n)
	for i := range links {
		links[i] = NewLink(many, 1)
	}
	mine := NewLink(one, 1)
	mine.ExpiresAt = mine.ExpiresAt.Add(time.Second)
	for part := range slices.Chunk(append(links, mine), loadOf) {
		if err := s.LoadLinks(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
	if damage != nil {
		damage(many)
	}
	var expired atomic.Bool
	for step := range steps {
		_, err := s.ExpireLinks(t.Context(), Epoch.Add(2*time.Hour), 200, func(l link.Link) (stream.Event, error) {
			if l.ID == mine.ID {
				expired.Store(true)
			}
			return event(l.Account, l.ID, "link.expired", 2), nil
		})
		if err != nil {
			t.Log(err) // says how many are set aside
		}
		if expired.Load() {
			t.Logf("expired in step %d", step+1)
			break
		}
	}
	if !expired.Load() {
		t.Fatalf("%d links of another account keep a link from its end for more than %d steps", n, steps)
	}
	if damage != nil {
		if aside, err := s.CountAside(t.Context(), "links"); err != nil || aside == 0 {
			t.Fatalf("%d links are set aside, %v", aside, err)
		}
	}
}

func load(t testing.TB, s Bulk, list []payment.Payment) {
	t.Helper()
	for part := range slices.Chunk(list, loadOf) {
		if err := s.LoadPayments(t.Context(), part); err != nil {
			t.Fatal(err)
		}
	}
}

func wantWithin(t *testing.T, s Bulk, now time.Time, want string, sweeps int) {
	t.Helper()
	for sweep := range sweeps {
		list, _ := s.TakeDue(t.Context(), payment.Take{Now: now, Limit: sweepOf}) // names the damaged ones
		for _, p := range list {
			if p.ID == want {
				t.Logf("taken in sweep %d", sweep+1)
				return
			}
		}
	}
	t.Fatalf("another account's payment is not taken within %d sweeps", sweeps)
}
