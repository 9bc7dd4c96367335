//go:build !race

package projection_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqltest"
	"github.com/paylink/paylink/internal/store/storetest"
)

// suspect returns the n-th payment of a merchant with a million: most are allowed, some held, few
// of these still open, few disputed.
func suspect(account string, n int, r *rand.Rand) history.Row {
	p := shopper(account, n, r)
	row := history.Row{
		ID:         p.ID,
		Account:    account,
		Mode:       p.Mode,
		Link:       p.Link,
		Amount:     p.Amount,
		Captured:   p.Captured,
		Refunded:   p.Refunded,
		Status:     p.Status,
		CreatedAt:  p.CreatedAt,
		UpdatedAt:  p.UpdatedAt,
		AnsweredAt: p.CreatedAt,
		Authorised: p.Status != payment.Declined,
		Decline:    p.Decline,
		CardBrand:  p.CardBrand,
		CardLast4:  p.CardLast4,
		PayerName:  p.PayerName,
		PayerEmail: p.PayerEmail,
		Reference:  p.Reference,
		Seq:        p.Seq,
		Risk: payment.Risk{
			Fingerprint: fmt.Sprintf("card%06d", r.IntN(200_000)),
			BIN:         "424242",
			Address:     fmt.Sprintf("203.%d.%d.0/24", r.IntN(100), r.IntN(100)),
			Country:     "DE",
			Action:      payment.Allow,
			Why:         "default",
			Score:       r.IntN(101),
			Basis:       "known",
			Model:       "m1",
		},
	}
	switch {
	case n%1000 == 7:
		row.Risk.Action, row.Risk.Review = payment.Hold, payment.ReviewApproved
		if n < 100_000 { // the oldest hundred are still open
			row.Risk.Review = payment.ReviewOpen
		}
	case n%500 == 8:
		row.Risk.Action = payment.Block
	case n%2000 == 9:
		row.Disputes = []payment.Dispute{{ID: id.New(id.Event), Reason: "fraudulent", State: payment.DisputeLost, CreatedAt: p.CreatedAt}}
	}
	return row
}

// TestMillionPaymentsAnalysed checks that lists, the review queue and related payments take at
// most 100 ms a page, over a million payments of one account in the embedded store.
func TestMillionPaymentsAnalysed(t *testing.T) {
	sqltest.Unhurried(t)
	a := openAnalytics(t, open(t, engines["SQLite"](t)), filepath.Join(t.TempDir(), "analytics.db"))
	account, random := id.New(id.Account), rand.New(rand.NewPCG(1, 2))
	start := time.Now()
	var some history.Row
	for chunk := range slices.Chunk(slices.Collect(upTo(million)), loadedAtOnce) {
		batch := make([]history.Row, len(chunk))
		for i, n := range chunk {
			batch[i] = suspect(account, n, random)
			if n == million/7 {
				some = batch[i]
			}
		}
		if err := a.Load(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d payments were written in %s", million, time.Since(start).Round(time.Millisecond))
	q := func(change func(*history.Query)) func() (int, error) {
		query := history.Query{Account: account, Mode: some.Mode, Limit: 100}
		change(&query)
		return func() (int, error) {
			page, err := a.Rows(t.Context(), query)
			return len(page.Rows), err
		}
	}
	for name, c := range map[string]struct {
		ask  func() (int, error)
		rows int
	}{
		"the newest":       {q(func(*history.Query) {}), 100},
		"the review queue": {q(func(q *history.Query) { q.Review = payment.ReviewOpen }), 100},
		"reviewed":         {q(func(q *history.Query) { q.Review = payment.ReviewApproved }), 100},
		"of no review":     {q(func(q *history.Query) { q.Review = payment.ReviewRefunded }), 0},
		"blocked":          {q(func(q *history.Query) { q.Action = payment.Block }), 100},
		"allowed":          {q(func(q *history.Query) { q.Action = payment.Allow }), 100},
		"challenged":       {q(func(q *history.Query) { q.Action = payment.Challenge }), 0},
		"disputed":         {q(func(q *history.Query) { q.Disputed = true }), 100},
		"blocked in a month": {q(func(q *history.Query) {
			q.Action, q.From, q.To = payment.Block, storetest.Epoch.AddDate(0, 3, 0), storetest.Epoch.AddDate(0, 4, 0)
		}), 100},
		"related": {func() (int, error) {
			all, err := a.Related(t.Context(), account, some.Mode, some.ID, 50)
			return len(all), err
		}, 50},
		"one": {func() (int, error) {
			_, err := a.Row(t.Context(), account, some.Mode, some.ID)
			return 1, err
		}, 1},
		"figures of a year": {func() (int, error) {
			f, err := a.Figures(t.Context(), account, some.Mode, storetest.Epoch, storetest.Epoch.AddDate(1, 0, 0))
			return len(f.Days), err
		}, 366}, // its first and last day are partial
	} {
		best := time.Hour
		for range tries {
			at := time.Now()
			n, err := c.ask()
			if err != nil || n != c.rows {
				t.Fatalf("%s: %d rows, want %d; %v", name, n, c.rows, err)
			}
			best = min(best, time.Since(at))
		}
		t.Logf("%s: %s", name, best.Round(10*time.Microsecond))
		if best > mostPerPage {
			t.Errorf("%s takes %s", name, best)
		}
	}
}
