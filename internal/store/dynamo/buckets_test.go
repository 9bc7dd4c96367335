package dynamo_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/dynamo"
	"github.com/paylink/paylink/internal/store/dynamotest"
)

func TestGrow(t *testing.T) {
	for _, c := range []struct {
		n         uint16
		units     float64
		throttled bool
		want      uint16
	}{{1, 100, false, 1}, {0, 0, false, 1}, {1, 650, false, 2}, {1, 10, true, 2}, {2, 999, true, 4}, {4, 599, false, 4},
		{200, 900, false, 256}, {256, 1000, true, 256}} {
		if got := dynamo.Grow(c.n, c.units, c.throttled); got != c.want {
			t.Errorf("%d buckets at %g units, throttled %v: %d, want %d", c.n, c.units, c.throttled, got, c.want)
		}
	}
}

// TestBucketsGrow lets DynamoDB throttle a partition, so that the account gets more of them. Old
// items stay, new ones spread, every list is complete and in order, and another process follows.
func TestBucketsGrow(t *testing.T) {
	hurt := &wire{}
	s, url := dynamotest.Open(t, func(o *dynamo.Options) { o.HTTP = hurt })
	other, err := dynamo.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, dynamotest.Distributed{Store: s, Feed: dynamotest.OpenFeed(t)})
	var links []link.Link
	var payments []payment.Payment
	sell := func(n int) {
		for range n {
			l := w.link()
			links = append(links, l)
			payments = append(payments, w.pay(l, len(links)))
		}
	}
	sell(10)
	for want := uint16(2); want <= 8; want *= 2 {
		hurt.writes(throttle, 1)
		sell(1) // throttled, and still reported as done
		s.ForgetRest(w.account)
		sell(14)
		if n, err := s.Buckets(t.Context(), w.account); err != nil || n != want {
			t.Fatalf("%d buckets, want %d, %v", n, want, err)
		}
	}
	if n, err := other.Buckets(t.Context(), w.account); err != nil || n != 8 {
		t.Fatalf("another process sees %d buckets, %v", n, err)
	}
	used := map[uint16]bool{}
	for _, l := range links {
		used[l.Bucket] = true
	}
	for len(used) < 8 && len(links) < 500 { // each link's bucket is chosen at random
		sell(1)
		used[links[len(links)-1].Bucket] = true
	}
	if len(used) != 8 {
		t.Errorf("%d buckets are used, want 8", len(used))
	}
	for i, l := range links {
		if l.Bucket != id.Bucket(l.ID) || id.Bucket(payments[i].ID) != l.Bucket {
			t.Fatalf("link %s and payment %s lie in different buckets", l.ID, payments[i].ID)
		}
		if c, err := w.links.Open(t.Context(), l.Token); err != nil || c.ID != l.ID || c.Status(w.clock.Now()) != link.Paid {
			t.Fatalf("the token opens %s %s, %v", c.ID, c.Status(w.clock.Now()), err)
		}
		if p, err := other.FindPayment(t.Context(), payments[i].ID); err != nil || p.Account != w.account {
			t.Fatalf("payment %s is not found by its id: %v", payments[i].ID, err)
		}
	}
	pageLinks(t, other, w.account, links)
	pagePayments(t, other, w.account, payments)
	due, err := other.CountDue(t.Context(), w.clock.Now())
	if err != nil || due != 0 {
		t.Errorf("%d payments are due, %v", due, err)
	}
}

func pageLinks(t *testing.T, s *dynamo.Store, account string, want []link.Link) {
	t.Helper()
	var ids, seen []string
	for _, l := range want {
		ids = append(ids, l.ID)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(b, a) })
	f := link.Filter{Account: account, Mode: link.Test, Status: link.Paid, Limit: 7}
	for {
		page, err := s.ListLinks(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, l := range page {
			seen = append(seen, l.ID)
		}
		f.Before = seen[len(seen)-1]
	}
	if !slices.Equal(seen, ids) {
		t.Fatalf("%d links listed, want %d in order", len(seen), len(ids))
	}
}

func pagePayments(t *testing.T, s *dynamo.Store, account string, want []payment.Payment) {
	t.Helper()
	var ids, seen []string
	for _, p := range want {
		ids = append(ids, p.ID)
	}
	slices.SortFunc(ids, func(a, b string) int { return strings.Compare(b, a) }) // all created at one instant: by id
	f := payment.Filter{Account: account, Mode: link.Test, Limit: 9}
	for {
		page, err := s.ListPayments(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, p := range page {
			seen = append(seen, p.ID)
		}
		last := page[len(page)-1]
		f.BeforeTime, f.BeforeID = last.CreatedAt, last.ID
	}
	if !slices.Equal(seen, ids) {
		t.Fatalf("%d payments listed, want %d in order", len(seen), len(ids))
	}
	for _, p := range want[:3] {
		list, err := s.ListPayments(t.Context(), payment.Filter{Account: account, Mode: link.Test, Link: p.Link, Limit: 5})
		if err != nil || len(list) != 1 || list[0].ID != p.ID {
			t.Errorf("the link's payments are %d, %v", len(list), err)
		}
	}
}

// TestHeat checks that a process that sees a partition near its limit asks for more before it is
// throttled.
func TestHeat(t *testing.T) {
	s := open(t)
	account := id.New(id.Account)
	if n, err := s.Buckets(t.Context(), account); err != nil || n != 1 {
		t.Fatal(n, err)
	}
	s.Heat(account, 599)
	if n, err := s.Buckets(t.Context(), account); err != nil || n != 1 {
		t.Fatalf("%d buckets below the limit, %v", n, err)
	}
	s.Heat(account, 2)
	if n, err := s.Buckets(t.Context(), account); err != nil || n != 2 {
		t.Fatalf("%d buckets near the limit, %v", n, err)
	}
	s.Heat(account, 2000)
	if n, err := s.Buckets(t.Context(), account); err != nil || n != 2 {
		t.Fatalf("%d buckets before the second one took its share, %v", n, err)
	}
}
