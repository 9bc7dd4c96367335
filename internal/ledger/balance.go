package ledger

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/paylink/paylink/internal/money"
)

// Balance is the balance of one merchant in one currency. Available is what was captured, less
// what was refunded or is held for a refund. Pending is authorized and not captured.
type Balance struct {
	Available money.Amount
	Pending   money.Amount
}

// Sheet folds transfers, in order, into balances. It refuses what no correct ledger contains:
// an unbalanced transfer, or one that is resolved twice (I1, I5).
type Sheet struct {
	open  map[string]Transfer // pending transfers by id
	done  map[string]bool
	Funds map[money.Currency]*Balance
}

// NewSheet returns an empty sheet.
func NewSheet() *Sheet {
	return &Sheet{open: map[string]Transfer{}, done: map[string]bool{}, Funds: map[money.Currency]*Balance{}}
}

// Apply adds a transfer. It fails if the transfer is invalid or resolves one that is not open.
func (s *Sheet) Apply(account string, t Transfer) error {
	if err := t.Check(); err != nil {
		return err
	}
	if s.done[t.ID] {
		return fmt.Errorf("transfer %s stands twice in the book", t.ID)
	}
	s.done[t.ID] = true
	if t.Phase == Pending {
		s.open[t.ID] = t
	}
	if t.Resolves != "" {
		held, ok := s.open[t.Resolves]
		switch {
		case !ok:
			return fmt.Errorf("transfer %s resolves %s, which is not pending", t.ID, t.Resolves)
		case held.Minor() != t.Held || held.Currency != t.Currency:
			return fmt.Errorf("transfer %s misstates what %s held", t.ID, held.ID)
		case t.Phase == Posted && t.Minor() > t.Held:
			return fmt.Errorf("transfer %s posts more than %s held", t.ID, held.ID)
		}
		delete(s.open, t.Resolves)
	}
	b := s.Funds[t.Currency]
	if b == nil {
		b = &Balance{Available: money.Of(0, t.Currency), Pending: money.Of(0, t.Currency)}
		s.Funds[t.Currency] = b
	}
	available, pending := t.Effect(account)
	b.Available.Minor += available
	b.Pending.Minor += pending
	return nil
}

// Open returns the pending transfers that nothing has resolved, ordered by id.
func (s *Sheet) Open() []Transfer {
	return slices.SortedFunc(maps.Values(s.open), func(a, b Transfer) int { return cmp.Compare(a.ID, b.ID) })
}

// Effect returns what the transfer does to a merchant's balance. It needs no other transfer, so
// a projection can add effects up in any batch. Authorized money is pending until posted; money
// for a refund leaves available when it is held.
func (t Transfer) Effect(account string) (available, pending int64) {
	credited := false // whether the transfer brings money to the merchant
	var minor int64
	for _, e := range t.Entries {
		if e.Account == Funds(account) {
			credited, minor = e.Minor < 0, max(e.Minor, -e.Minor)
		}
	}
	switch {
	case minor == 0:
		return 0, 0
	case t.Phase == Pending && credited:
		return 0, minor
	case t.Phase == Pending:
		return -minor, 0
	case t.Phase == Posted && credited:
		return minor, -t.Held
	case t.Phase == Posted:
		return t.Held - minor, 0
	case credited: // released
		return 0, -t.Held
	}
	return t.Held, 0
}
