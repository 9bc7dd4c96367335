package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/stream"
)

// sweep records expiries, and fails if an event is made for a link that has not expired.
func (s suite) sweep(t *testing.T, now time.Time) {
	t.Helper()
	event := func(k link.Link) (stream.Event, error) {
		if status := k.Status(now); status != link.Expired || k.Reserved != 0 {
			t.Errorf("%s is reported as expired, but it is %s with %d reserved uses", k.ID, status, k.Reserved)
		}
		e := event(k.Account, k.ID, link.EventExpired, 2)
		e.Data = fmt.Appendf(nil, `{"uses":%d}`, k.Uses)
		return e, nil
	}
	for {
		n, err := s.ExpireLinks(s.ctx, now, 100, event)
		if err != nil {
			t.Error(err) // not Fatal: sweeps also run beside the test
		}
		if n == 0 || err != nil {
			return
		}
	}
}

// expiries returns the data of the link's expiry events.
func (s suite) expiries(t *testing.T, l link.Link) (data []string) {
	t.Helper()
	events, err := s.Events(s.ctx, s.account, link.Test, 0, 1000)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range events {
		if e.Object == l.ID && e.Type == link.EventExpired {
			data = append(data, string(e.Data))
		}
	}
	return data
}

// held checks that an expiry is recorded once no payment holds a use of the link, or not at all.
func held(t *testing.T, s suite) {
	begin := func(l link.Link, n int) payment.Payment { return s.commit(t, Begin(t, l, attempt(n))) }
	end := func(p payment.Payment, o issuer.Outcome) { s.commit(t, Answered(t, p, o)) }
	for name, c := range map[string]struct {
		uses int64 // of the link
		pays []issuer.Outcome
		want []string // what is reported after each of them, and at the end
	}{
		"one use, declined":    {1, []issuer.Outcome{issuer.Declined}, []string{`{"uses":0}`}},
		"one use, paid":        {1, []issuer.Outcome{issuer.Approved}, nil},
		"three uses, two held": {3, []issuer.Outcome{issuer.Declined, issuer.Approved}, []string{`{"uses":1}`}},
		"three uses, all paid": {3, []issuer.Outcome{issuer.Approved, issuer.Approved, issuer.Approved}, nil},
		"no limit, paid":       {0, []issuer.Outcome{issuer.Approved}, []string{`{"uses":1}`}},
		"no limit, declined":   {0, []issuer.Outcome{issuer.Approved, issuer.Declined}, []string{`{"uses":1}`}},
	} {
		t.Run(name, func(t *testing.T) {
			l := s.link(t, c.uses)
			over := l.ExpiresAt
			var running []payment.Payment
			for i := range c.pays {
				running = append(running, begin(l, i))
			}
			for i, o := range c.pays {
				s.sweep(t, over)
				s.sweep(t, over.Add(time.Minute))
				if got := s.expiries(t, l); got != nil {
					t.Fatalf("reported as expired while %d payments hold it: %s", len(c.pays)-i, got)
				}
				end(running[i], o)
			}
			for range 3 {
				s.sweep(t, over.Add(2*time.Minute))
			}
			if got := s.expiries(t, l); fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("reported %s, want %s", got, c.want)
			}
		})
	}
	t.Run("begun before the end, committed after the report", func(t *testing.T) {
		l := s.link(t, 1)
		late := Begin(t, l, attempt(1))
		s.sweep(t, l.ExpiresAt)
		if err := s.CommitPayment(s.ctx, late); fault.Code(err) != "link_expired" {
			t.Errorf("a use of a link that was reported as expired: %v", err)
		}
		if got := s.expiries(t, l); len(got) != 1 {
			t.Errorf("reported %s", got)
		}
	})
	t.Run("canceled", func(t *testing.T) {
		l := s.link(t, 3)
		p := begin(l, 1)
		if err := s.CancelLink(s.ctx, s.account, l.ID, Epoch, event(s.account, l.ID, link.EventCanceled, 2), nil); err != nil {
			t.Fatal(err)
		}
		s.sweep(t, l.ExpiresAt)
		end(p, issuer.Declined)
		s.sweep(t, l.ExpiresAt.Add(2*time.Hour))
		if got := s.expiries(t, l); got != nil {
			t.Errorf("a canceled link is reported as expired: %s", got)
		}
	})
}

// heldRace checks that sweeps beside payments that end report each link once.
func heldRace(t *testing.T, s suite) {
	const links = 6
	var all []link.Link
	var running []payment.Change
	for i := range links {
		l := s.link(t, 1)
		all = append(all, l)
		running = append(running, Answered(t, s.commit(t, Begin(t, l, attempt(i))), issuer.Declined))
	}
	over := all[links-1].ExpiresAt
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 3 {
				s.sweep(t, over)
			}
		})
	}
	for _, c := range running {
		wg.Go(func() {
			if err := s.CommitPayment(s.ctx, c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s.sweep(t, over)
	for _, l := range all {
		if got := s.expiries(t, l); len(got) != 1 {
			t.Errorf("%s is reported %d times", l.ID, len(got))
		}
	}
}
