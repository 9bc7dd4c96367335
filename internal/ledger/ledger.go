// Package ledger is the double-entry book: immutable transfers whose entries
// sum to zero, in two phases where money is first held and then moved.
//
// A pending transfer is resolved at most once: posted (wholly or in part, the
// rest is released), voided or expired. Transfers ride in the commit of the
// payment that they belong to; balances are a projection of them.
package ledger

import (
	"errors"
	"fmt"

	"github.com/paylink/paylink/internal/money"
)

// Phase of a transfer.
type Phase string

// The phases. A Pending transfer holds money; Posted moves it; Voided and
// Expired release a pending one.
const (
	Pending Phase = "pending"
	Posted  Phase = "posted"
	Voided  Phase = "voided"
	Expired Phase = "expired"
)

// Kind is the template that a transfer was made from.
type Kind string

// The templates.
const (
	KindAuthorise Kind = "authorise"
	KindCapture   Kind = "capture"
	KindRelease   Kind = "release"
	KindRefund    Kind = "refund"
)

// Entry is one leg: positive debits the account, negative credits it.
type Entry struct {
	Account string `json:"account"`
	Minor   int64  `json:"minor"`
}

// Transfer moves or holds money. Resolves names the pending transfer that a
// posted, voided or expired one settles; empty for one that stands alone.
type Transfer struct {
	ID       string         `json:"id"`
	Kind     Kind           `json:"kind"`
	Phase    Phase          `json:"phase"`
	Resolves string         `json:"resolves,omitempty"`
	Held     int64          `json:"held,omitempty"` // minor units that the resolved transfer held
	Currency money.Currency `json:"currency"`
	Entries  []Entry        `json:"entries"`
}

// The book's accounts of one merchant.
func Receivable(issuer string) string { return "issuer:" + issuer + ":receivable" }

// Funds is what paylink's merchant may dispose of.
func Funds(account string) string { return "merchant:" + account + ":funds" }

// ErrUnbalanced says that the legs of a transfer do not sum to zero.
var ErrUnbalanced = errors.New("the entries of a transfer must sum to zero")

// Check asserts what must hold of a single transfer.
func (t Transfer) Check() error {
	if len(t.Entries) < 2 {
		return fmt.Errorf("transfer %s: %w", t.ID, ErrUnbalanced)
	}
	sum := money.Of(0, t.Currency)
	for _, e := range t.Entries {
		var err error
		if sum, err = sum.Add(money.Of(e.Minor, t.Currency)); err != nil {
			return fmt.Errorf("transfer %s: %w", t.ID, err)
		}
	}
	if !sum.Zero() {
		return fmt.Errorf("transfer %s: %w", t.ID, ErrUnbalanced)
	}
	if (t.Phase == Pending || t.Phase == "") && t.Resolves != "" {
		return fmt.Errorf("transfer %s: a pending transfer resolves nothing", t.ID)
	}
	if (t.Phase == Voided || t.Phase == Expired) && t.Resolves == "" {
		return fmt.Errorf("transfer %s: %s names no pending transfer", t.ID, t.Phase)
	}
	return nil
}

func move(id string, kind Kind, phase Phase, debit, credit string, amount money.Amount) Transfer {
	return Transfer{ID: id, Kind: kind, Phase: phase, Currency: amount.Currency,
		Entries: []Entry{{Account: debit, Minor: amount.Minor}, {Account: credit, Minor: -amount.Minor}}}
}

// Authorise holds money that the issuer has promised.
func Authorise(id, account, issuer string, amount money.Amount) Transfer {
	return move(id, KindAuthorise, Pending, Receivable(issuer), Funds(account), amount)
}

// Capture posts money that the issuer approved and captured in one answer.
func Capture(id, account, issuer string, amount money.Amount) Transfer {
	return move(id, KindCapture, Posted, Receivable(issuer), Funds(account), amount)
}

// HoldRefund reserves money for a refund before the issuer is asked.
func HoldRefund(id, account, issuer string, amount money.Amount) Transfer {
	return move(id, KindRefund, Pending, Funds(account), Receivable(issuer), amount)
}

// Post moves the money that held holds, or the first minor units of it; the rest
// is released. Kind is the capture's or the refund's.
func Post(id string, kind Kind, held Transfer, minor int64) Transfer {
	t := Transfer{ID: id, Kind: kind, Phase: Posted, Resolves: held.ID, Held: held.Minor(), Currency: held.Currency}
	for _, e := range held.Entries {
		if e.Minor > 0 {
			e.Minor = minor
		} else {
			e.Minor = -minor
		}
		t.Entries = append(t.Entries, e)
	}
	return t
}

// Release gives up what held holds: Voided by decision, Expired by time.
func Release(id string, phase Phase, held Transfer) Transfer {
	return Transfer{ID: id, Kind: KindRelease, Phase: phase, Resolves: held.ID, Held: held.Minor(), Currency: held.Currency, Entries: held.Entries}
}

// Minor is the sum of the debits: the transfer's size.
func (t Transfer) Minor() int64 {
	var sum int64
	for _, e := range t.Entries {
		if e.Minor > 0 {
			sum += e.Minor
		}
	}
	return sum
}
