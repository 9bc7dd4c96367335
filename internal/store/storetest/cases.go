package storetest

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/await"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

func linkRoundTrip(t *testing.T, s suite) {
	l := s.link(t, 3)
	got, err := s.GetLink(s.ctx, s.account, l.ID)
	if err != nil || !reflect.DeepEqual(got, l) {
		t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, l)
	}
	if err := s.CreateLink(s.ctx, l, nil, nil); err != nil {
		t.Fatalf("the same link again: %v", err)
	}
}

func linkTenant(t *testing.T, s suite) {
	l := s.link(t, 1)
	_, err := s.GetLink(s.ctx, id.New(id.Account), l.ID)
	wantCode(t, err, "not_found")
	wantCode(t, s.CancelLink(s.ctx, id.New(id.Account), l.ID, Epoch, event(s.account, l.ID, "link.canceled", 2), nil), "not_found")
}

func linkPages(t *testing.T, s suite) {
	var made []string
	for range 7 {
		made = append(made, s.link(t, 1).ID)
	}
	var seen []string
	before := ""
	for {
		page, err := s.ListLinks(s.ctx, link.Filter{Account: s.account, Mode: link.Test, Before: before, Limit: 3, Now: Epoch})
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			seen = append(seen, l.ID)
		}
		before = seen[len(seen)-1]
		made = append(made, s.link(t, 1).ID) // newer ones must not disturb the pages
	}
	if len(seen) != 7 {
		t.Fatalf("saw %d of 7", len(seen))
	}
	for i, got := range seen {
		if got != made[6-i] {
			t.Fatalf("place %d is %s, want %s", i, got, made[6-i])
		}
	}
}

func linkFilters(t *testing.T, s suite) {
	s.link(t, 1) // open
	canceled, paying, paid := s.link(t, 1), s.link(t, 1), s.link(t, 1)
	if err := s.CancelLink(s.ctx, s.account, canceled.ID, Epoch, event(s.account, canceled.ID, "link.canceled", 2), nil); err != nil {
		t.Fatal(err)
	}
	s.commit(t, Begin(t, paying, attempt(1)))
	s.commit(t, Answered(t, s.commit(t, Begin(t, paid, attempt(1))), issuer.Approved))
	for _, now := range []time.Time{Epoch, Epoch.Add(2 * time.Hour)} {
		total := 0
		for _, status := range []string{link.Open, link.Paying, link.Paid, link.Expired, link.Canceled} {
			list, err := s.ListLinks(s.ctx, link.Filter{Account: s.account, Mode: link.Test, Status: status, Limit: 100, Now: now})
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range list {
				if l.Status(now) != status {
					t.Errorf("%s is listed as %s", l.Status(now), status)
				}
			}
			total += len(list)
		}
		if total != 4 {
			t.Errorf("%d of 4 links have a status", total)
		}
	}
	none, err := s.ListLinks(s.ctx, link.Filter{Account: s.account, Mode: link.Live, Limit: 100, Now: Epoch})
	if err != nil || len(none) != 0 {
		t.Errorf("live mode sees %d test links, %v", len(none), err)
	}
}

// endsOnce checks that the link cannot be canceled once its expiry was reported, even if the clock
// is set back: no two events claim one place.
func endsOnce(t *testing.T, s suite) {
	l := s.link(t, 1)
	_, err := s.ExpireLinks(s.ctx, l.ExpiresAt, 1000, func(k link.Link) (stream.Event, error) {
		return event(k.Account, k.ID, "link.expired", 2), nil
	})
	if err != nil {
		t.Fatal(err)
	}
	wantCode(t, s.CancelLink(s.ctx, s.account, l.ID, l.ExpiresAt.Add(-time.Minute), event(s.account, l.ID, "link.canceled", 2), nil),
		"link_expired")
}

func linkCancel(t *testing.T, s suite) {
	l := s.link(t, 1)
	cancel := func() error {
		return s.CancelLink(s.ctx, s.account, l.ID, Epoch, event(s.account, l.ID, "link.canceled", 2), nil)
	}
	if err := cancel(); err != nil {
		t.Fatal(err)
	}
	wantCode(t, cancel(), "link_canceled")
	wantCode(t, s.CommitPayment(s.ctx, Begin(t, l, attempt(1))), "link_canceled")
	busy := s.link(t, 1)
	s.commit(t, Begin(t, busy, attempt(1)))
	wantCode(t, s.CancelLink(s.ctx, s.account, busy.ID, Epoch, event(s.account, busy.ID, "link.canceled", 2), nil), "link_paying")
}

func reserveOnce(t *testing.T, s suite) {
	l := s.link(t, 1)
	var won, lost atomic.Int32
	var wg sync.WaitGroup
	for i := range 32 {
		c := Begin(t, l, attempt(i))
		wg.Go(func() {
			switch err := s.send(c); {
			case err == nil:
				won.Add(1)
			default:
				lost.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || lost.Load() != 31 {
		t.Fatalf("%d won, %d lost", won.Load(), lost.Load())
	}
	late := Begin(t, l, attempt(99))
	wantCode(t, s.CommitPayment(s.ctx, late), "link_paying")
	expired := s.link(t, 1)
	c := Begin(t, expired, attempt(1))
	c.At = expired.ExpiresAt
	wantCode(t, s.CommitPayment(s.ctx, c), "link_expired")
}

func capped(t *testing.T, s suite) {
	const limit = 5
	l := s.link(t, limit)
	var wg sync.WaitGroup
	var paid atomic.Int32
	var mu sync.Mutex
	refused := map[int]payment.Change{} // to the answer
	for i := range 40 {
		begin := Begin(t, l, attempt(i))
		outcome := issuer.Approved
		if i%3 == 0 {
			outcome = issuer.Declined
		}
		answer := Answered(t, begin.Payment, outcome)
		wg.Go(func() {
			if s.send(begin) != nil {
				mu.Lock()
				refused[i] = answer
				mu.Unlock()
				return
			}
			if err := s.send(answer); err != nil {
				t.Error(err)
			} else if outcome == issuer.Approved {
				paid.Add(1)
			}
		})
	}
	wg.Wait()
	// A change whose outcome was unclear may be refused when it is sent again, and the first request
	// still arrive after that, when a use is free again. The sweep would end such a payment.
	ended := func() bool {
		for i, answer := range refused {
			if _, err := s.GetPayment(s.ctx, s.account, answer.Payment.ID); err != nil {
				continue
			}
			delete(refused, i)
			if err := s.send(answer); err != nil {
				t.Error(err)
			} else if i%3 != 0 {
				paid.Add(1)
			}
		}
		got, err := s.GetLink(s.ctx, s.account, l.ID)
		return err == nil && got.Reserved == 0
	}
	await.Until(t, "no use is reserved", ended)
	got, err := s.GetLink(s.ctx, s.account, l.ID)
	if err != nil || got.Uses != int64(paid.Load()) || got.Uses > limit || got.Reserved != 0 {
		t.Fatalf("uses %d, reserved %d, paid %d, %v", got.Uses, got.Reserved, paid.Load(), err)
	}
}

func declineGivesBack(t *testing.T, s suite) {
	l := s.link(t, 1)
	p := s.commit(t, Begin(t, l, attempt(1)))
	s.commit(t, Answered(t, p, issuer.Declined))
	q := s.commit(t, Begin(t, l, attempt(2)))
	s.commit(t, Answered(t, q, issuer.Approved))
	got, err := s.GetLink(s.ctx, s.account, l.ID)
	if err != nil || got.Status(Epoch) != link.Paid || !got.PaidAt.Equal(Epoch) || got.LastPayment != q.ID {
		t.Fatalf("%+v %v", got, err)
	}
	wantCode(t, s.CommitPayment(s.ctx, Begin(t, l, attempt(3))), "link_paid")
	events, err := s.Events(s.ctx, s.account, link.Test, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	told := 0
	for _, e := range events {
		if e.Type == "link.paid" {
			told++
		}
	}
	if told != 1 {
		t.Fatalf("link.paid was told %d times", told)
	}
}

func retake(t *testing.T, s suite) {
	l := s.link(t, 1)
	p := s.commit(t, Answered(t, s.commit(t, Begin(t, l, attempt(1))), issuer.Declined))
	s.commit(t, Answered(t, s.commit(t, Begin(t, l, attempt(2))), issuer.Approved))
	in := payment.Input{Kind: payment.Noticed, Actor: "issuer",
		Answer: issuer.Answer{Outcome: issuer.Approved, Amount: p.Amount, Captured: true, At: Epoch}}
	wantCode(t, s.CommitPayment(s.ctx, next(t, p, in)), "link_paid")
	in.NoUse = true
	s.commit(t, next(t, p, in))
	got, err := s.GetLink(s.ctx, s.account, l.ID)
	if err != nil || got.Uses != 1 {
		t.Fatalf("uses %d, %v", got.Uses, err)
	}
}

// uses: a release or a completion needs a reserved use, and a late success takes no use that is
// reserved for another payment.
func uses(t *testing.T, s suite) {
	unused := func(l link.Link, reserved int64) {
		t.Helper()
		got, err := s.GetLink(s.ctx, s.account, l.ID)
		if err != nil || got.Uses != 0 || got.Reserved != reserved {
			t.Fatalf("%d uses and %d reserved, want 0 and %d; %v", got.Uses, got.Reserved, reserved, err)
		}
	}
	l := s.link(t, 2)
	p := s.commit(t, Answered(t, s.commit(t, Begin(t, l, attempt(1))), issuer.Declined))
	unused(l, 0)
	note := next(t, p, payment.Input{Kind: payment.Noticed, Actor: "issuer",
		Answer: issuer.Answer{Outcome: issuer.Approved, Amount: p.Amount, Captured: true, At: Epoch}})
	for _, op := range []payment.UseOp{payment.UseRelease, payment.UseComplete} {
		none := note
		none.Use = op
		if err := s.CommitPayment(s.ctx, none); err == nil {
			t.Fatalf("use %d of a link of which nothing is reserved", op)
		}
		unused(l, 0)
	}
	s.commit(t, Begin(t, l, attempt(2)))
	s.commit(t, Begin(t, l, attempt(3)))
	unused(l, 2)
	if err := s.CommitPayment(s.ctx, note); err == nil {
		t.Fatal("a late success took a use that is reserved for another payment")
	}
	unused(l, 2)
}

func paymentRoundTrip(t *testing.T, s suite) {
	want := s.commit(t, Answered(t, s.commit(t, Begin(t, s.link(t, 1), attempt(1))), issuer.Approved))
	got, err := s.GetPayment(s.ctx, s.account, want.ID)
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Fatalf("%v\ngot  %+v\nwant %+v", err, got, want)
	}
	if broken := got.Verify(); len(broken) > 0 {
		t.Fatal(broken)
	}
	_, err = s.GetPayment(s.ctx, id.New(id.Account), want.ID)
	wantCode(t, err, "not_found")
	if found, err := s.FindPayment(s.ctx, want.ID); err != nil || found.Account != s.account {
		t.Fatal(found.Account, err)
	}
}

func staleRevision(t *testing.T, s suite) {
	p := s.commit(t, Begin(t, s.link(t, 1), attempt(1)))
	a, b := Answered(t, p, issuer.Approved), Answered(t, p, issuer.Declined)
	s.commit(t, a)
	if err := s.CommitPayment(s.ctx, b); !errors.Is(err, payment.ErrConflict) {
		t.Fatalf("a stale write: %v", err)
	}
	ghost := Answered(t, Begin(t, s.link(t, 1), attempt(1)).Payment, issuer.Approved)
	if err := s.CommitPayment(s.ctx, ghost); !errors.Is(err, payment.ErrConflict) {
		t.Fatalf("a change of nothing: %v", err)
	}
}

func repeated(t *testing.T, s suite) {
	l := s.link(t, 3)
	begin := Begin(t, l, attempt(1))
	p := s.commit(t, begin)
	s.commit(t, begin)
	done := Answered(t, p, issuer.Approved)
	s.commit(t, done)
	s.commit(t, done)
	s.commit(t, begin) // also with others in between
	got, err := s.GetLink(s.ctx, s.account, l.ID)
	if err != nil || got.Uses != 1 || got.Reserved != 0 {
		t.Fatalf("uses %d reserved %d %v", got.Uses, got.Reserved, err)
	}
	other := Begin(t, l, attempt(1))
	if err := s.CommitPayment(s.ctx, other); !errors.Is(err, payment.ErrConflict) {
		t.Fatalf("another change that creates the same payment: %v", err)
	}
}

func countEvents(t *testing.T, s suite) (events int) {
	list, err := s.Events(s.ctx, s.account, link.Test, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

func nothingLeft(t *testing.T, s suite) {
	l := s.link(t, 1)
	s.commit(t, Begin(t, l, attempt(1)))
	before := countEvents(t, s)
	refused := Begin(t, l, attempt(2))
	wantCode(t, s.CommitPayment(s.ctx, refused), "link_paying")
	_, err := s.GetPayment(s.ctx, s.account, refused.Payment.ID)
	wantCode(t, err, "not_found")
	if after := countEvents(t, s); after != before {
		t.Fatalf("%d events came from a refused change", after-before)
	}
}

func paymentPages(t *testing.T, s suite) {
	l := s.link(t, 0)
	for i := range 9 {
		c := Begin(t, l, attempt(i))
		at := Epoch.Add(time.Duration(i/3) * time.Second) // three share each instant
		c.Payment.CreatedAt = at
		p := s.commit(t, c)
		if i%2 == 0 {
			s.commit(t, Answered(t, p, issuer.Declined))
		}
	}
	f := payment.Filter{Account: s.account, Mode: link.Test, Limit: 2}
	seen := map[string]bool{}
	var last payment.Payment
	for {
		page, err := s.ListPayments(s.ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			if seen[p.ID] || (last.ID != "" && (p.CreatedAt.After(last.CreatedAt) || (p.CreatedAt.Equal(last.CreatedAt) && p.ID >= last.ID))) {
				t.Fatalf("%s is out of order or twice", p.ID)
			}
			seen[p.ID], last = true, p
		}
		f.BeforeTime, f.BeforeID = last.CreatedAt, last.ID
	}
	if len(seen) != 9 {
		t.Fatalf("saw %d of 9", len(seen))
	}
	for name, c := range map[string]struct {
		f    payment.Filter
		want int
	}{
		"status":         {payment.Filter{Status: payment.Declined}, 5},
		"currency":       {payment.Filter{Currency: "EUR"}, 9},
		"other currency": {payment.Filter{Currency: "USD"}, 0},
		"realm":          {payment.Filter{Realm: "shop"}, 9},
		"link":           {payment.Filter{Link: l.ID}, 9},
		"from":           {payment.Filter{From: Epoch.Add(time.Second)}, 6},
		"to":             {payment.Filter{To: Epoch.Add(time.Second)}, 3},
	} {
		c.f.Account, c.f.Mode, c.f.Limit = s.account, link.Test, 100
		if list, err := s.ListPayments(s.ctx, c.f); err != nil || len(list) != c.want {
			t.Errorf("%s: %d, want %d, %v", name, len(list), c.want, err)
		}
	}
}

func due(t *testing.T, s suite) {
	c := Begin(t, s.link(t, 1), attempt(1))
	p := s.commit(t, c)
	has := func(now time.Time) bool {
		list, err := s.TakeDue(s.ctx, payment.Take{Now: now, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for i, q := range list {
			if i > 0 && q.DueAt().Before(list[i-1].DueAt()) {
				t.Fatal("due payments are out of order")
			}
			if q.ID == p.ID {
				return true
			}
		}
		return false
	}
	if has(p.DueAt().Add(-time.Microsecond)) || !has(p.DueAt()) {
		t.Fatal("not due at its time")
	}
	if has(p.DueAt()) || has(p.DueAt().Add(payment.Backoff(0)-time.Microsecond)) {
		t.Fatal("taken, and due again at once")
	}
	if !has(p.DueAt().Add(payment.Backoff(0))) {
		t.Fatal("taken in vain, and lost")
	}
	s.commit(t, Answered(t, p, issuer.Approved))
	if has(Epoch.Add(1000 * time.Hour)) {
		t.Fatal("a settled payment is due")
	}
}

// moves checks the events with transfers only, backwards, page by page.
func moves(t *testing.T, s suite) {
	for i := range 3 {
		s.commit(t, Answered(t, s.commit(t, Begin(t, s.link(t, 1), attempt(i))), issuer.Approved))
	}
	all, err := s.Events(s.ctx, s.account, link.Test, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := len(all) - 1; i >= 0; i-- {
		if len(all[i].Transfers) > 0 {
			want = append(want, all[i].ID)
		}
	}
	var got []string
	for before := int64(0); ; {
		page, err := s.Moves(s.ctx, s.account, link.Test, before, 2)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, e := range page {
			if len(e.Transfers) == 0 || len(e.Data) != 0 || e.CreatedAt.IsZero() || e.Object == "" {
				t.Errorf("%+v", e)
			}
			got = append(got, e.ID)
		}
		before = page[len(page)-1].Seq
	}
	if len(want) < 3 || !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if other, err := s.Moves(s.ctx, id.New(id.Account), link.Test, 0, 10); err != nil || len(other) != 0 {
		t.Errorf("a stranger reads %v, %v", other, err)
	}
}

func balances(t *testing.T, s suite) {
	p := s.commit(t, Answered(t, s.commit(t, Begin(t, s.link(t, 1), attempt(1))), issuer.Approved))
	check := func(available, pending int64) {
		t.Helper()
		b, err := s.Balances(s.ctx, s.account, link.Test)
		if err != nil || b["EUR"].Available.Minor != available || b["EUR"].Pending.Minor != pending {
			t.Fatalf("%+v %v, want %d and %d", b, err, available, pending)
		}
	}
	check(1250, 0)
	p = s.commit(t, next(t, p, payment.Input{Kind: payment.RefundAsked, Refund: "rfd_1", Amount: money.Of(250, p.Amount.Currency)}))
	check(1000, 0)
	s.commit(t, next(t, p, payment.Input{Kind: payment.RefundAnswer, Refund: "rfd_1", Answer: issuer.Answer{Outcome: issuer.Declined}}))
	check(1250, 0)
	begin := s.commit(t, Begin(t, s.link(t, 1), attempt(1)))
	held := next(t, begin, payment.Input{Kind: payment.Sync, Answer: issuer.Answer{Outcome: issuer.Approved, Amount: begin.Amount, At: Epoch}})
	s.commit(t, held)
	check(1250, 1250)
	capturing := s.commit(t, next(t, held.Payment, payment.Input{Kind: payment.CaptureAsked,
		Amount: money.Of(1000, held.Payment.Amount.Currency)}))
	amount := begin.Amount
	amount.Minor = 1000
	s.commit(t, next(t, capturing, payment.Input{Kind: payment.CaptureAnswer,
		Answer: issuer.Answer{Outcome: issuer.Approved, Amount: amount}}))
	check(2250, 0)
}

func expire(t *testing.T, s suite) {
	l, paid := s.link(t, 1), s.link(t, 1)
	s.commit(t, Answered(t, s.commit(t, Begin(t, paid, attempt(1))), issuer.Approved))
	told := func(k link.Link) (stream.Event, error) { return event(k.Account, k.ID, "link.expired", 2), nil }
	for {
		n, err := s.ExpireLinks(s.ctx, l.ExpiresAt, 100, told)
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			break
		}
	}
	events, err := s.Events(s.ctx, s.account, link.Test, 0, 100)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for _, e := range events {
		if e.Type == "link.expired" {
			n++
			if e.Object != l.ID {
				t.Errorf("%s was told as expired", e.Object)
			}
		}
	}
	if n != 1 {
		t.Fatalf("told %d times", n)
	}
}

func consume(t *testing.T, s suite) {
	name := "suite-" + s.account
	read := func(until int) (seen []string) {
		ctx, cancel := context.WithCancel(s.ctx)
		defer cancel()
		err := s.Consume(ctx, name, func(_ context.Context, events []stream.Event) error {
			for _, e := range events {
				if e.Account == s.account {
					seen = append(seen, e.ID)
				}
			}
			if len(seen) >= until {
				cancel()
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	s.link(t, 1)
	s.link(t, 1)
	if first := read(2); len(first) != 2 {
		t.Fatalf("first %v", first)
	}
	s.link(t, 1)
	if second := read(1); len(second) != 1 {
		t.Fatalf("after the checkpoint %v", second)
	}
	failed := errors.New("handler failed")
	s.link(t, 1)
	if err := s.Consume(s.ctx, name, func(context.Context, []stream.Event) error { return failed }); !errors.Is(err, failed) {
		t.Fatalf("a failing handler: %v", err)
	}
	if again := read(1); len(again) != 1 {
		t.Fatalf("what failed comes again: %v", again)
	}
}

func contention(t *testing.T, s suite) {
	p := s.commit(t, Answered(t, s.commit(t, Begin(t, s.link(t, 1), attempt(1))), issuer.Approved))
	var wg sync.WaitGroup
	var held atomic.Int64
	for i := range 10 {
		wg.Go(func() {
			q := p
			for {
				in := payment.Input{Kind: payment.RefundAsked, Refund: "rfd_" + attempt(i), Amount: money.Of(100, p.Amount.Currency), At: Epoch,
					Change: id.New(id.Change)}
				c, err := payment.Next(q, in)
				if err != nil {
					t.Error(err)
					return
				}
				err = s.send(c)
				if err == nil {
					held.Add(1)
					return
				}
				if !errors.Is(err, payment.ErrConflict) {
					t.Error(err)
					return
				}
				if q, err = s.GetPayment(s.ctx, s.account, p.ID); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	q, err := s.GetPayment(s.ctx, s.account, p.ID)
	if err != nil || held.Load() != 10 || q.Refundable().Minor != 250 || len(q.Verify()) != 0 {
		t.Fatalf("held %d, refundable %d, %v %v", held.Load(), q.Refundable().Minor, q.Verify(), err)
	}
}
