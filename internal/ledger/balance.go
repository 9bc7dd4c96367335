package ledger

import (
	"fmt"

	"github.com/paylink/paylink/internal/money"
)

// Balance of one merchant in one currency. Available is what was captured less
// what was refunded or is held for a refund; Pending is authorised, uncaptured.
type Balance struct {
	Available money.Amount
	Pending   money.Amount
}

// Sheet folds transfers, in order, into balances. It refuses what no correct
// book contains: an unbalanced transfer, or one resolved twice (I1, I5).
type Sheet struct {
	open  map[string]Transfer // pending transfers by id
	done  map[string]bool
	Funds map[money.Currency]*Balance
}

// NewSheet returns an empty sheet.
func NewSheet() *Sheet {
	return &Sheet{open: map[string]Transfer{}, done: map[string]bool{}, Funds: map[money.Currency]*Balance{}}
}

// Apply adds the transfer.
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
		if _, ok := s.open[t.Resolves]; !ok {
			return fmt.Errorf("transfer %s resolves %s, which is not pending", t.ID, t.Resolves)
		}
		held := s.open[t.Resolves]
		delete(s.open, t.Resolves)
		if t.Phase == Posted && t.minor() > held.minor() {
			return fmt.Errorf("transfer %s posts more than %s held", t.ID, held.ID)
		}
		available, pending := held.effect(account)
		s.add(t.Currency, -available, -pending)
	}
	if t.Phase == Pending || t.Phase == Posted {
		available, pending := t.effect(account)
		s.add(t.Currency, available, pending)
	}
	return nil
}

// Open is the number of pending transfers.
func (s *Sheet) Open() int { return len(s.open) }

func (s *Sheet) add(c money.Currency, available, pending int64) {
	b := s.Funds[c]
	if b == nil {
		b = &Balance{Available: money.Of(0, c), Pending: money.Of(0, c)}
		s.Funds[c] = b
	}
	b.Available.Minor += available
	b.Pending.Minor += pending
}

func (t Transfer) minor() int64 {
	var sum int64
	for _, e := range t.Entries {
		if e.Minor > 0 {
			sum += e.Minor
		}
	}
	return sum
}

// effect of a transfer on the merchant's funds: money promised is pending until
// posted; money to be given back is gone from available as soon as it is held.
func (t Transfer) effect(account string) (available, pending int64) {
	for _, e := range t.Entries {
		if e.Account != Funds(account) {
			continue
		}
		if t.Phase == Pending && e.Minor < 0 {
			pending -= e.Minor
		} else {
			available -= e.Minor
		}
	}
	return available, pending
}
