package projection_test

import (
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/fraud/history"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/store/sqlstore"
	"github.com/paylink/paylink/internal/store/storetest"
)

// assessed returns a verdict on a payment with every field set.
func assessed(n int, action payment.Action) payment.Risk {
	return payment.Risk{
		Fingerprint: fmt.Sprintf("card%d", n%3),
		BIN:         "424242",
		Address:     fmt.Sprintf("203.0.%d.0/24", n%2),
		Country:     "DE",
		Action:      action,
		Why:         "rule",
		Rule:        "frl_one",
		Version:     2,
		Values:      []payment.RiskValue{{Name: "card.attempted_1h", Value: "4"}},
		Score:       87,
		Basis:       "known",
		Model:       "m1",
		Reasons: []payment.RiskReason{
			{Feature: "amount", Value: 12.5, Share: 0.6},
		},
		Shadow: []payment.ShadowHit{{Rule: "frl_two", Version: 1, Action: payment.Block}},
	}
}

// paid commits a link and a payment of it, up to the issuer's answer.
func paid(t testing.TB, s *sqlstore.Store, account string, n int, o issuer.Outcome) payment.Payment {
	t.Helper()
	l := storetest.NewLink(account, 1)
	begin := storetest.Begin(t, l, fmt.Sprintf("attempt-%012d", n))
	answer := storetest.Answered(t, begin.Payment, o)
	if err := errors.Join(s.CreateLink(t.Context(), l, nil, nil), s.CommitPayment(t.Context(), begin),
		s.CommitPayment(t.Context(), answer)); err != nil {
		t.Fatal(err)
	}
	return answer.Payment
}

// TestAnalytics checks that rows contain the payments of the store, of their own account and mode
// only.
func TestAnalytics(t *testing.T) {
	onEach(t, func(t *testing.T, url string) {
		s := open(t, url)
		a := openAnalytics(t, s, filepath.Join(t.TempDir(), "analytics.db"))
		running(t, a)
		account := id.New(id.Account)
		var made []payment.Payment
		for i, o := range []issuer.Outcome{issuer.Approved, issuer.Declined, issuer.Approved, issuer.Ambiguous} {
			made = append(made, paid(t, s, account, i, o))
		}
		followed(t, a)
		page, err := a.Rows(t.Context(), history.Query{Account: account, Mode: link.Test, Limit: 3})
		if err != nil || len(page.Rows) != 3 || page.Next == "" {
			t.Fatalf("%d rows, next %q, %v", len(page.Rows), page.Next, err)
		}
		rest, err := a.Rows(t.Context(), history.Query{Account: account, Mode: link.Test, Before: page.Next})
		if err != nil || len(rest.Rows) != 1 || rest.Next != "" {
			t.Fatalf("then %d rows, next %q, %v", len(rest.Rows), rest.Next, err)
		}
		for _, p := range made {
			row, err := a.Row(t.Context(), account, link.Test, p.ID)
			if got, want := fmt.Sprintf("%+v", row), fmt.Sprintf("%+v", history.RowOf(p)); err != nil || got != want {
				t.Errorf("row of %s, %v:\n%s\nwant\n%s", p.ID, err, got, want)
			}
			if _, err := a.Row(t.Context(), id.New(id.Account), link.Test, p.ID); fault.KindOf(err) != fault.KindNotFound {
				t.Errorf("another account's: %v", err)
			}
			if _, err := a.Row(t.Context(), account, link.Live, p.ID); fault.KindOf(err) != fault.KindNotFound {
				t.Errorf("the other mode's: %v", err)
			}
		}
		var replayed int
		err = a.Replay(t.Context(), "", "", time.Time{}, time.Time{}, func(history.Row) error { replayed++; return nil })
		if err != nil || replayed != len(made) {
			t.Errorf("replayed %d, %v", replayed, err)
		}
		if _, err := a.Rows(t.Context(), history.Query{Account: account, Mode: link.Test, Before: "no place"}); fault.Code(
			err,
		) != "cursor_invalid" {
			t.Errorf("a cursor that nobody gave: %v", err)
		}
	})
}
