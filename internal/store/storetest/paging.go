package storetest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Loader is a store that loads payments as they are.
type Loader interface {
	payment.Store
	LoadPayments(context.Context, []payment.Payment) error
}

// The shape of F29.
const (
	pageOfPayments  = 100
	paymentsAtOnce  = 200
	arrivalsPerPage = 2
)

// RunPaging loads that many payments of one account and pages through all of them while new ones
// arrive: each of the first is listed exactly once, newest first (F29).
func RunPaging(t *testing.T, s Loader, payments int) {
	t.Helper()
	ctx, account, l := t.Context(), id.New(id.Account), id.New(id.Link)
	made := func(n int, at time.Time) payment.Payment {
		return payment.Payment{
			ID:        payment.IDFor(l, fmt.Sprintf("attempt-%012d", n)),
			Account:   account,
			Mode:      link.Test,
			Link:      l,
			Status:    payment.Declined,
			Amount:    money.Of(1250, "EUR"),
			CreatedAt: at,
			UpdatedAt: at,
			Revision:  1,
		}
	}
	unseen := make(map[string]bool, payments)
	var batch []payment.Payment
	load := func() {
		t.Helper()
		if err := s.LoadPayments(ctx, batch); err != nil {
			t.Fatal(err)
		}
		batch = batch[:0]
	}
	for n := range payments {
		p := made(n, Epoch.Add(time.Duration(n/3)*time.Millisecond)) // three share each instant
		unseen[p.ID] = true
		if batch = append(batch, p); len(batch) == paymentsAtOnce {
			load()
		}
	}
	load()
	f := payment.Filter{Account: account, Mode: link.Test, Limit: pageOfPayments}
	var last payment.Payment
	for page := 0; ; page++ {
		list, err := s.ListPayments(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		if len(list) == 0 {
			break
		}
		for _, p := range list {
			if !unseen[p.ID] {
				t.Fatalf("page %d: %s is listed twice, or came later", page, p.ID)
			}
			if last.ID != "" && (p.CreatedAt.After(last.CreatedAt) || (p.CreatedAt.Equal(last.CreatedAt) && p.ID >= last.ID)) {
				t.Fatalf("page %d: %s is out of order", page, p.ID)
			}
			delete(unseen, p.ID)
			last = p
		}
		f.BeforeTime, f.BeforeID = last.CreatedAt, last.ID
		for n := range arrivalsPerPage {
			batch = append(batch, made(payments+page*arrivalsPerPage+n, Epoch.Add(time.Hour+time.Duration(page)*time.Millisecond)))
		}
		load()
	}
	if len(unseen) > 0 {
		t.Fatalf("%d of %d were not listed", len(unseen), payments)
	}
}
