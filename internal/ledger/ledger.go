// Package ledger makes double-entry transfers: immutable, with entries that sum to zero, in two
// phases where money is first held and then moved.
//
// A pending transfer is resolved at most once. It is posted (all or part of it; the rest is
// released), voided or expired. Transfers are committed with the payment that they belong to;
// balances are a projection of them.
package ledger

import (
	"errors"
	"fmt"

	"github.com/paylink/paylink/internal/money"
)

// Phase is how far a transfer has got.
type Phase string

// The phases. A Pending transfer holds money; Posted moves it; Voided and Expired release a
// pending one.
const (
	Pending Phase = "pending"
	Posted  Phase = "posted"
	Voided  Phase = "voided"
	Expired Phase = "expired"
)

// Kind names the template that a transfer was made from.
type Kind string

// The templates.
const (
	KindAuthorize Kind = "authorise"
	KindCapture   Kind = "capture"
	KindRelease   Kind = "release"
	KindRefund    Kind = "refund"
)

// Entry is one leg: positive debits the account, negative credits it.
type Entry struct {
	Account string `json:"account"`
	Minor   int64  `json:"minor"`
}

// Transfer moves or holds money. Resolves names the pending transfer that a posted, voided or
// expired one resolves; it is empty if there is none.
type Transfer struct {
	ID       string         `json:"id"`
	Kind     Kind           `json:"kind"`
	Phase    Phase          `json:"phase"`
	Resolves string         `json:"resolves,omitempty"`
	Held     int64          `json:"held,omitempty"` // minor units that the resolved transfer held
	Currency money.Currency `json:"currency"`
	Entries  []Entry        `json:"entries"`
}

// Receivable returns the ledger account of what an issuer owes.
func Receivable(issuer string) string { return "issuer:" + issuer + ":receivable" }

// Funds returns the ledger account of a merchant's money.
func Funds(account string) string { return "merchant:" + account + ":funds" }

// ErrUnbalanced means that the entries of a transfer do not sum to zero.
var ErrUnbalanced = errors.New("the entries of a transfer must sum to zero")

// Check returns an error if the transfer is invalid on its own. It wraps ErrUnbalanced if the
// entries do not sum to zero.
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

// Authorize returns a pending transfer that holds money that the issuer has promised.
func Authorize(id, account, issuer string, amount money.Amount) Transfer {
	return move(id, KindAuthorize, Pending, Receivable(issuer), Funds(account), amount)
}

// Capture returns a posted transfer of money that the issuer approved and captured in one
// answer.
func Capture(id, account, issuer string, amount money.Amount) Transfer {
	return move(id, KindCapture, Posted, Receivable(issuer), Funds(account), amount)
}

// HoldRefund returns a pending transfer that reserves money for a refund, before the issuer is
// asked.
func HoldRefund(id, account, issuer string, amount money.Amount) Transfer {
	return move(id, KindRefund, Pending, Funds(account), Receivable(issuer), amount)
}

// Post returns the transfer that posts held, or its first minor units; the rest is released.
// Kind is the capture's or the refund's.
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

// Release returns the transfer that releases held. Phase is Voided by a decision, Expired by
// time.
func Release(id string, phase Phase, held Transfer) Transfer {
	return Transfer{ID: id, Kind: KindRelease, Phase: phase, Resolves: held.ID, Held: held.Minor(), Currency: held.Currency,
		Entries: held.Entries}
}

// Minor returns the sum of the debits, in minor units.
func (t Transfer) Minor() int64 {
	var sum int64
	for _, e := range t.Entries {
		if e.Minor > 0 {
			sum += e.Minor
		}
	}
	return sum
}
