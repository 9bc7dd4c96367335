//go:build !race

package payments_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/paylink/paylink/internal/gateway/dashboard/desktest"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/store/storetest"
)

// TestTenThousandPayments: the list pages through all of them, the file has a line
// for each, and a filter finds the one that is different.
func TestTenThousandPayments(t *testing.T) {
	const many, hands = 10_000, 64
	w := desktest.New(t)
	different := w.Pay(w.Link(nil), desktest.Declining, nil)
	l := storetest.NewLink(w.Account, 0)
	if err := w.Store.CreateLink(t.Context(), l, nil, nil); err != nil {
		t.Fatal(err)
	}
	ids := make([]string, many)
	var all sync.WaitGroup
	for hand := range hands {
		all.Go(func() {
			for i := hand; i < many; i += hands {
				begin := storetest.Begin(t, l, fmt.Sprintf("attempt-0123456789-%d", i))
				ids[i] = begin.Payment.ID
				done := storetest.Answered(t, begin.Payment, issuer.Approved)
				if err := errors.Join(w.Store.CommitPayment(t.Context(), begin), w.Store.CommitPayment(t.Context(), done)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	want := map[string]bool{different.ID: true}
	for _, id := range ids {
		want[id] = true
	}
	w.Walk("/dashboard/test/payments", want)
	if lines := strings.Count(w.Get("/dashboard/test/payments.csv").Body, "\n"); lines != many+2 {
		t.Errorf("the file has %d lines, want a header and %d", lines, many+1)
	}
	w.Reported()
	w.Get("/dashboard/test/payments?status=declined").Has(t, different.ID, "Declined")
}
