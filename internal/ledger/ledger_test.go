package ledger_test

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
)

const account, bank = "acct_1", "simulator"

func eur(n int64) money.Amount { return money.Of(n, "EUR") }

func TestI1TemplatesBalance(t *testing.T) {
	held := ledger.Authorize("t1", account, bank, eur(1250))
	refund := ledger.HoldRefund("t5", account, bank, eur(300))
	cases := []struct {
		t        ledger.Transfer
		kind     ledger.Kind
		phase    ledger.Phase
		resolves string
		funds    int64 // leg on the merchant's funds: negative is in the merchant's favor
	}{
		{held, ledger.KindAuthorize, ledger.Pending, "", -1250},
		{ledger.Post("t2", ledger.KindCapture, held, 1000), ledger.KindCapture, ledger.Posted, "t1", -1000},
		{ledger.Capture("t3", account, bank, eur(1250)), ledger.KindCapture, ledger.Posted, "", -1250},
		{ledger.Release("t4", ledger.Voided, held), ledger.KindRelease, ledger.Voided, "t1", -1250},
		{ledger.Release("t4", ledger.Expired, held), ledger.KindRelease, ledger.Expired, "t1", -1250},
		{refund, ledger.KindRefund, ledger.Pending, "", 300},
		{ledger.Post("t6", ledger.KindRefund, refund, 300), ledger.KindRefund, ledger.Posted, "t5", 300},
		{ledger.Release("t7", ledger.Voided, refund), ledger.KindRelease, ledger.Voided, "t5", 300},
	}
	for _, c := range cases {
		if err := c.t.Check(); err != nil {
			t.Errorf("%s %s: %v", c.kind, c.phase, err)
		}
		if c.t.Kind != c.kind || c.t.Phase != c.phase || c.t.Resolves != c.resolves || c.t.Currency != "EUR" || len(c.t.Entries) != 2 {
			t.Errorf("%s %s: %+v", c.kind, c.phase, c.t)
		}
		var sum int64
		legs := map[string]int64{}
		for _, e := range c.t.Entries {
			sum += e.Minor
			legs[e.Account] += e.Minor
		}
		if sum != 0 || legs[ledger.Funds(account)] != c.funds || legs[ledger.Receivable(bank)] != -c.funds {
			t.Errorf("%s %s: legs %v sum to %d", c.kind, c.phase, legs, sum)
		}
	}
}

func TestI1CheckRefuses(t *testing.T) {
	legs := func(minors ...int64) (es []ledger.Entry) {
		for i, m := range minors {
			es = append(es, ledger.Entry{Account: fmt.Sprint("a", i), Minor: m})
		}
		return es
	}
	cases := map[string]struct {
		t          ledger.Transfer
		unbalanced bool
		word       string
	}{
		"no legs":            {ledger.Transfer{Phase: ledger.Posted}, true, ""},
		"one leg":            {ledger.Transfer{Phase: ledger.Posted, Entries: legs(0)}, true, ""},
		"one too many":       {ledger.Transfer{Phase: ledger.Posted, Entries: legs(5, -4)}, true, ""},
		"overflow to zero":   {ledger.Transfer{Phase: ledger.Posted, Entries: legs(math.MaxInt64, math.MaxInt64, 2)}, false, "out of range"},
		"pending resolves":   {ledger.Transfer{Phase: ledger.Pending, Resolves: "x", Entries: legs(5, -5)}, false, "resolves nothing"},
		"voided resolves no": {ledger.Transfer{Phase: ledger.Voided, Entries: legs(5, -5)}, false, "names no pending"},
		"expired the same":   {ledger.Transfer{Phase: ledger.Expired, Entries: legs(5, -5)}, false, "names no pending"},
	}
	for name, c := range cases {
		c.t.ID, c.t.Currency = "bad", "EUR"
		err := c.t.Check()
		if err == nil || errors.Is(err, ledger.ErrUnbalanced) != c.unbalanced || !strings.Contains(err.Error(), c.word) {
			t.Errorf("%s: %v", name, err)
		}
		if s := ledger.NewSheet(); s.Apply(account, c.t) == nil || len(s.Funds) != 0 {
			t.Errorf("%s: the sheet took it", name)
		}
	}
}

// sheet applies transfers; all but the last must succeed.
func sheet(t *testing.T, transfers ...ledger.Transfer) (*ledger.Sheet, error) {
	t.Helper()
	s := ledger.NewSheet()
	for i, x := range transfers {
		if err := s.Apply(account, x); err != nil {
			if i < len(transfers)-1 {
				t.Fatalf("%s: %v", x.ID, err)
			}
			return s, err
		}
	}
	return s, nil
}

func TestSheetBalances(t *testing.T) {
	held := ledger.Authorize("a", account, bank, eur(1250))
	captured := ledger.Post("c", ledger.KindCapture, held, 1000)
	refund := ledger.HoldRefund("h", account, bank, eur(300))
	cases := []struct {
		name                     string
		transfers                []ledger.Transfer
		available, pending, open int64
	}{
		{"authorised", []ledger.Transfer{held}, 0, 1250, 1},
		{"captured in part", []ledger.Transfer{held, captured}, 1000, 0, 0},
		{"captured at once", []ledger.Transfer{ledger.Capture("c", account, bank, eur(900))}, 900, 0, 0},
		{"voided", []ledger.Transfer{held, ledger.Release("r", ledger.Voided, held)}, 0, 0, 0},
		{"expired", []ledger.Transfer{held, ledger.Release("r", ledger.Expired, held)}, 0, 0, 0},
		{"refund held", []ledger.Transfer{held, captured, refund}, 700, 0, 1},
		{"refund posted", []ledger.Transfer{held, captured, refund, ledger.Post("p", ledger.KindRefund, refund, 300)}, 700, 0, 0},
		{"refunded in part", []ledger.Transfer{held, captured, refund, ledger.Post("p", ledger.KindRefund, refund, 100)}, 900, 0, 0},
		{"refund failed", []ledger.Transfer{held, captured, refund, ledger.Release("p", ledger.Voided, refund)}, 1000, 0, 0},
	}
	for _, c := range cases {
		s, err := sheet(t, c.transfers...)
		b := s.Funds["EUR"]
		if err != nil || b == nil || b.Available != eur(c.available) || b.Pending != eur(c.pending) || int64(len(s.Open())) != c.open {
			t.Errorf("%s: %+v, %v open, %v", c.name, b, s.Open(), err)
		}
	}
}

func TestI5ResolvedAtMostOnce(t *testing.T) {
	held := ledger.Authorize("a", account, bank, eur(1250))
	ends := func(id string) []ledger.Transfer {
		return []ledger.Transfer{ledger.Post(id, ledger.KindCapture, held, 1250), ledger.Release(id, ledger.Voided, held),
			ledger.Release(id, ledger.Expired, held)}
	}
	for _, first := range ends("x") {
		for _, second := range ends("y") {
			if _, err := sheet(t, held, first, second); err == nil {
				t.Errorf("%s and then %s", first.Phase, second.Phase)
			}
		}
		if _, err := sheet(t, held, first, first); err == nil {
			t.Errorf("%s twice", first.Phase)
		}
		if _, err := sheet(t, first); err == nil {
			t.Errorf("%s of nothing", first.Phase)
		}
	}
	if _, err := sheet(t, held, held); err == nil {
		t.Error("one transfer stands twice")
	}
	if _, err := sheet(t, held, ledger.Post("c", ledger.KindCapture, held, 1251)); err == nil {
		t.Error("I2: more is posted than was held")
	}
	if _, err := sheet(t, ledger.Capture("c", account, bank, eur(5)),
		ledger.Release("v", ledger.Voided, ledger.Transfer{ID: "c", Currency: "EUR",
			Entries: held.Entries})); err == nil {
		t.Error("what was posted is voided")
	}
	misstated := ledger.Post("c", ledger.KindCapture, held, 1000)
	misstated.Held++
	if _, err := sheet(t, held, misstated); err == nil {
		t.Error("a posting misstates what was held")
	}
	foreign := ledger.Post("c", ledger.KindCapture, held, 1000)
	foreign.Currency = "USD"
	if _, err := sheet(t, held, foreign); err == nil {
		t.Error("I13: a posting changes the currency")
	}
}

// naive computes the merchant's balance in another way: for every pending transfer it finds the
// end, and adds up what is held and what has moved.
func naive(transfers []ledger.Transfer) map[money.Currency]ledger.Balance {
	ended := map[string]bool{}
	for _, x := range transfers {
		if x.Resolves != "" {
			ended[x.Resolves] = true
		}
	}
	all := map[money.Currency]ledger.Balance{}
	for _, x := range transfers {
		minor := max(x.Entries[0].Minor, x.Entries[1].Minor)
		b := all[x.Currency]
		b.Available.Currency, b.Pending.Currency = x.Currency, x.Currency
		switch {
		case x.Kind == ledger.KindAuthorize && !ended[x.ID]:
			b.Pending.Minor += minor
		case x.Kind == ledger.KindCapture:
			b.Available.Minor += minor
		case x.Kind == ledger.KindRefund && (x.Phase == ledger.Posted || !ended[x.ID]):
			b.Available.Minor -= minor
		}
		all[x.Currency] = b
	}
	return all
}

func TestI1BalancesEqualTheNaiveFold(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := ledger.NewSheet()
		var book, open []ledger.Transfer
		total := map[money.Currency]int64{}
		take := func(x ledger.Transfer) {
			if err := s.Apply(account, x); err != nil {
				t.Fatalf("%+v: %v", x, err)
			}
			book = append(book, x)
			for _, e := range x.Entries {
				total[x.Currency] += e.Minor
			}
		}
		for i := range rapid.IntRange(1, 40).Draw(t, "steps") {
			id := fmt.Sprint("t", i)
			amount := money.Of(rapid.Int64Range(1, money.MaxMinor).Draw(t, "minor"),
				rapid.SampledFrom([]money.Currency{"EUR", "JPY"}).Draw(t, "currency"))
			step := rapid.IntRange(0, 4).Draw(t, "step")
			if step > 2 && len(open) == 0 {
				step = 0
			}
			switch step {
			case 0:
				open = append(open, ledger.Authorize(id, account, bank, amount))
				take(open[len(open)-1])
			case 1:
				take(ledger.Capture(id, account, bank, amount))
			case 2:
				open = append(open, ledger.HoldRefund(id, account, bank, amount))
				take(open[len(open)-1])
			default:
				at := rapid.IntRange(0, len(open)-1).Draw(t, "open")
				held := open[at]
				open = append(open[:at:at], open[at+1:]...)
				part := rapid.Int64Range(1, held.Minor()).Draw(t, "part")
				switch {
				case step == 4:
					take(ledger.Release(id, rapid.SampledFrom([]ledger.Phase{ledger.Voided, ledger.Expired}).Draw(t, "phase"), held))
				default:
					take(ledger.Post(id, map[ledger.Kind]ledger.Kind{ledger.KindRefund: ledger.KindRefund,
						ledger.KindAuthorize: ledger.KindCapture}[held.Kind], held, part))
				}
				if err := s.Apply(account, ledger.Release(id+"-again", ledger.Voided, held)); err == nil {
					t.Fatal("I5: resolved twice")
				}
			}
		}
		want := naive(book)
		for c, b := range want {
			if got := s.Funds[c]; got == nil || *got != b || total[c] != 0 {
				t.Fatalf("%s is %+v, want %+v", c, got, b)
			}
		}
		if len(s.Open()) != len(open) || len(s.Funds) != len(want) {
			t.Fatalf("%d open, want %d", len(s.Open()), len(open))
		}
	})
}

// TestEffectsAddUpInAnyOrder: a projection may add effects up in any batch.
func TestEffectsAddUpInAnyOrder(t *testing.T) {
	held := ledger.Authorize("a", account, bank, eur(1250))
	refund := ledger.HoldRefund("h", account, bank, eur(300))
	book := []ledger.Transfer{held, ledger.Post("c", ledger.KindCapture, held, 1000), refund, ledger.Post("p", ledger.KindRefund, refund, 200)}
	rapid.Check(t, func(t *rapid.T) {
		var available, pending int64
		for _, x := range rapid.Permutation(book).Draw(t, "order") {
			a, p := x.Effect(account)
			available, pending = available+a, pending+p
			if a, p := x.Effect("acct_2"); a != 0 || p != 0 {
				t.Fatalf("%s touches another merchant", x.ID)
			}
		}
		if available != 800 || pending != 0 {
			t.Fatalf("available %d, pending %d", available, pending)
		}
	})
}
