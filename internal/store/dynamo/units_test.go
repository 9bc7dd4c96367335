package dynamo_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/dynamotest"
)

// The limit: write units of a payment from creation to settled, including indexes.
const budget = 12

// meter adds up the units of calls.
type meter struct {
	mu          sync.Mutex
	write, read float64
	calls       []string
}

func (m *meter) observe(c dynamo.Call) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.write += c.Write
	m.read += c.Read
	m.calls = append(m.calls, fmt.Sprintf("%s %g/%g", c.Operation, c.Write, c.Read))
}

func (m *meter) take() (write, read float64, calls string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	write, read, calls = m.write, m.read, strings.Join(m.calls, ", ")
	m.write, m.read, m.calls = 0, 0, nil
	return write, read, calls
}

// TestWriteUnits runs complete payments through the real services and adds up the consumption
// that DynamoDB reports.
func TestWriteUnits(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*link.CreateRequest)
		budget float64
	}{
		{"without idempotency key", func(*link.CreateRequest) {}, budget},
		{"with idempotency key", func(r *link.CreateRequest) { r.Ticket = ticket(r.Account, "k") }, budget + 6},
		{"a link for a thousand payments", func(r *link.CreateRequest) { n := int64(1000); r.MaxUses = &n }, budget + 4},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m meter
			s := open(t, func(o *dynamo.Options) { o.Observe = m.observe })
			w := newWorld(t, dynamotest.Distributed{Store: s, Feed: dynamotest.OpenFeed(t)})
			var total float64
			step := func(name string) {
				write, read, calls := m.take()
				total += write
				t.Logf("%-28s %4.0f write units, %4.1f read units  (%s)", name, write, read, calls)
			}
			if _, err := s.Buckets(t.Context(), w.account); err != nil {
				t.Fatal(err)
			}
			step("once for each account")
			total = 0
			l := w.link(c.change)
			step("create the link")
			opened, err := w.links.Open(t.Context(), l.Token)
			if err != nil {
				t.Fatal(err)
			}
			step("open the page")
			p := w.pay(opened, 1)
			step("begin and settle")
			if p.Status != payment.Succeeded {
				t.Fatalf("the payment is %s", p.Status)
			}
			t.Logf("%-28s %4.0f write units, the budget is %g", "from creation to settled", total, c.budget)
			if total == 0 || total > c.budget {
				t.Errorf("%g write units, the budget is %g", total, c.budget)
			}
			if got, err := s.GetPayment(t.Context(), p.Account, p.ID); err != nil || got.Status != payment.Succeeded {
				t.Fatal(got.Status, err)
			}
			step("show the payment")
			if got, err := s.GetLink(t.Context(), l.Account, l.ID); err != nil || got.Uses != 1 {
				t.Fatal(got.Uses, err)
			}
			step("show the link")
			w.clock.Add(25 * time.Hour)
			if _, err := w.links.Sweep(t.Context()); err != nil {
				t.Fatal(err)
			}
			step("the link's day is over")
			t.Logf("%-28s %4.0f write units", "all its life", total)
		})
	}
}
