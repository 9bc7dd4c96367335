//go:build !race

package projection_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
)

// The shape of the merchant with a million payments.
const (
	million      = 1_000_000
	loadedAtOnce = 100_000
	mostPerPage  = 100 * time.Millisecond
	tries        = 3 // of each query; the fastest shows the store's cost without the machine's other work
)

var (
	givenNames  = []string{"Ada", "Grace", "Alan", "Edsger", "Barbara", "Donald", "Frances", "Ken", "Radia", "Niklaus"}
	familyNames = []string{"Lovelace", "Hopper", "Turing", "Dijkstra", "Liskov", "Knuth", "Allen", "Thompson", "Perlman", "Wirth"}
)

// shopper returns the n-th payment of that merchant, over a year.
func shopper(account string, n int, r *rand.Rand) report.Payment {
	at := storetest.Epoch.Add(time.Duration(n) * (365 * 24 * time.Hour / million)).Truncate(time.Millisecond)
	l := id.New(id.Link)
	p := report.Payment{ID: payment.IDFor(l, "a"), Account: account, Mode: link.Test, Link: l,
		Reference: fmt.Sprintf("INV-%07d", n), CardBrand: "visa", CardLast4: fmt.Sprintf("%04d", r.IntN(10_000)),
		Status: payment.Succeeded, Amount: money.Of(int64(100+r.IntN(20_000)), "EUR"), CreatedAt: at, UpdatedAt: at, Seq: 3}
	if n%5 == 0 {
		p.Amount.Currency = "USD"
	}
	if n%2 == 0 { // the fields are optional
		p.PayerName = givenNames[r.IntN(len(givenNames))] + " " + familyNames[r.IntN(len(familyNames))]
		p.PayerEmail = fmt.Sprintf("payer%d@example%d.org", r.IntN(300_000), r.IntN(50))
	}
	switch {
	case n%10 == 3:
		p.Status, p.Decline = payment.Declined, fmt.Sprintf("code_%d", r.IntN(8))
	case n%997 == 0:
		p.Status, p.Refunded, p.Captured = payment.Refunded, p.Amount.Minor, p.Amount.Minor
	case n == million/2:
		p.Status = payment.Review
	}
	if p.Status == payment.Succeeded {
		p.Captured = p.Amount.Minor
	}
	return p
}

// TestMillionPayments checks that each page of each list, and each search, takes at most 100 ms
// over a million payments of one account in the embedded store.
func TestMillionPayments(t *testing.T) {
	sqltest.Unhurried(t)
	s := open(t, engines["SQLite"](t))
	reports := openReports(t, s, filepath.Join(t.TempDir(), "reports.db"))
	account, random := id.New(id.Account), rand.New(rand.NewPCG(1, 2))
	start := time.Now()
	var some report.Payment
	for chunk := range slices.Chunk(slices.Collect(upTo(million)), loadedAtOnce) {
		batch := make([]report.Payment, len(chunk))
		for i, n := range chunk {
			batch[i] = shopper(account, n, random)
			if n == million/7 {
				some = batch[i]
			}
		}
		if err := reports.Load(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d payments were written in %s", million, time.Since(start).Round(time.Millisecond))
	q := func(change func(*report.Query)) report.Query {
		query := report.Query{Account: account, Mode: link.Test, Limit: report.MaxPage}
		change(&query)
		return query
	}
	for name, c := range map[string]struct {
		q    report.Query
		rows int // of the first page: a search for common words looks through the newest 10,000 and continues
	}{
		"the newest":             {q(func(*report.Query) {}), 100},
		"by status":              {q(func(q *report.Query) { q.Status = payment.Declined }), 100},
		"by a status of one":     {q(func(q *report.Query) { q.Status = payment.Review }), 1},
		"by a status of none":    {q(func(q *report.Query) { q.Status = payment.Late }), 0},
		"by currency":            {q(func(q *report.Query) { q.Currency = "USD" }), 100},
		"by a currency of none":  {q(func(q *report.Query) { q.Currency = "JPY" }), 0},
		"by status and currency": {q(func(q *report.Query) { q.Status, q.Currency = payment.Refunded, "USD" }), 100},
		"by two that never meet": {q(func(q *report.Query) { q.Status, q.Currency = payment.Declined, "USD" }), 0},
		"by link":                {q(func(q *report.Query) { q.Link = some.Link }), 1},
		"of a month": {q(func(q *report.Query) {
			q.From, q.To = storetest.Epoch.AddDate(0, 3, 0), storetest.Epoch.AddDate(0, 4, 0)
		}), 100},
		"a rare status of a month": {q(func(q *report.Query) {
			q.Status, q.From, q.To = payment.Refunded, storetest.Epoch.AddDate(0, 3, 0), storetest.Epoch.AddDate(0, 4, 0)
		}), 78},
		"by id":                          {q(func(q *report.Query) { q.Text = some.ID }), 1},
		"by reference":                   {q(func(q *report.Query) { q.Text = "inv-0123456" }), 1},
		"by the end of a reference":      {q(func(q *report.Query) { q.Text = "0123456" }), 1},
		"by the beginning of references": {q(func(q *report.Query) { q.Text = "INV-01234" }), 100},
		"by what all begin with":         {q(func(q *report.Query) { q.Text = "inv" }), 100},
		"by the last four":               {q(func(q *report.Query) { q.Text = "4242" }), 93},
		"by first name":                  {q(func(q *report.Query) { q.Text = "ada" }), 100},
		"by family name":                 {q(func(q *report.Query) { q.Text = "LOVE" }), 100},
		"by both names":                  {q(func(q *report.Query) { q.Text = "ada lovelace" }), 49},
		"by name and a rare status":      {q(func(q *report.Query) { q.Text, q.Status = "ada lovelace", payment.Review }), 0},
		"by address":                     {q(func(q *report.Query) { q.Text = "PAYER1234@" }), 1},
		"by domain":                      {q(func(q *report.Query) { q.Text = "example7.org" }), 100},
		"by name and domain":             {q(func(q *report.Query) { q.Text = "turing example17.org" }), 100},
		"by what nobody has":             {q(func(q *report.Query) { q.Text = "zebra" }), 0},
		"by what looks for a pattern":    {q(func(q *report.Query) { q.Text = `%_\ 4242` }), 0},
	} {
		t.Run(name, func(t *testing.T) {
			pages, took := 0, time.Duration(0)
			for c.q.Before = ""; pages < 5; pages++ {
				var page report.Page
				best := time.Hour
				for range tries {
					at := time.Now()
					var err error
					if page, err = reports.Search(t.Context(), c.q); err != nil {
						t.Fatal(err)
					}
					best = min(best, time.Since(at))
				}
				took = max(took, best)
				if pages == 0 && len(page.Payments) != c.rows {
					t.Errorf("%d rows, want %d", len(page.Payments), c.rows)
				}
				if c.q.Before = page.Next; page.Next == "" {
					break
				}
			}
			t.Logf("slowest of %d pages: %s", pages+1, took.Round(10*time.Microsecond))
			if took > mostPerPage {
				t.Errorf("a page takes %s", took)
			}
		})
	}
	for _, days := range []int{1, 7, 30, 90, 365} {
		at, from := time.Hour, storetest.Epoch.AddDate(0, 0, 365-days)
		for range tries {
			start := time.Now()
			o, err := reports.Overview(
				t.Context(),
				report.Period{Account: account, Mode: link.Test, From: from, To: storetest.Epoch.AddDate(1, 0, 1), Zone: "Europe/Berlin"},
			)
			if err != nil || len(o.Parts) != 2 {
				t.Fatalf("%d parts, %v", len(o.Parts), err)
			}
			at = min(at, time.Since(start))
		}
		t.Logf("overview of %d days: %s", days, at.Round(10*time.Microsecond))
		if at > mostPerPage {
			t.Errorf("an overview of %d days takes %s", days, at)
		}
	}
}

func upTo(n int) func(func(int) bool) {
	return func(yield func(int) bool) {
		for i := range n {
			if !yield(i) {
				return
			}
		}
	}
}
