// Package link makes payment links and decides whether one is ours. A link's URL carries a
// token: claims that are sealed, then signed, so a forged one is refused without any read.
//
// The commits of a link's payments (package payment) reserve, complete and release its uses;
// this package only reads the counts.
package link

import (
	"context"
	"fmt"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/stream"
)

// Limits.
const (
	MinLife      = time.Minute
	MaxLife      = 180 * 24 * time.Hour
	DefaultLife  = 24 * time.Hour
	MaxUsesLimit = 1_000_000
)

// The modes. Test and live data never meet.
const (
	Test = "test"
	Live = "live"
)

// The capture and late policies.
const (
	CaptureAutomatic = "automatic"
	CaptureManual    = "manual"
	LateAccept       = "accept"
	LateHold         = "hold"
	LateRefund       = "refund"
)

// The statuses.
const (
	Open     = "open"
	Paying   = "paying"
	Paid     = "paid"
	Expired  = "expired"
	Canceled = "canceled"
)

// Link is a request for payment.
type Link struct {
	ID            string            `json:"id"`
	Account       string            `json:"account"`
	Mode          string            `json:"mode"`
	Bucket        uint16            `json:"bucket,omitempty"`
	Payee         string            `json:"payee"`              // who is paid, as the payer reads it
	Amount        money.Amount      `json:"amount"`             // Minor 0 when the payer chooses
	MinMinor      int64             `json:"minMinor,omitempty"` // payer chooses: at least
	MaxMinor      int64             `json:"maxMinor,omitempty"` // payer chooses: at most
	Date          time.Time         `json:"date"`
	PaymentMethod string            `json:"paymentMethod"` // pm_…
	Issuer        string            `json:"issuer"`
	Realm         string            `json:"realm,omitempty"`
	Description   string            `json:"description,omitempty"`
	Reference     string            `json:"reference,omitempty"`
	Metadata      map[string]string `json:"metadata,omitempty"`
	MaxUses       int64             `json:"maxUses,omitempty"` // 0 is unlimited
	ExpiresAt     time.Time         `json:"expiresAt"`
	RedirectURL   string            `json:"redirectUrl,omitempty"`
	Capture       string            `json:"capture"`
	LatePolicy    string            `json:"latePolicy"`
	Token         string            `json:"token"`
	Form          string            `json:"form,omitempty"`  // the form that made it
	Shown         *Shown            `json:"shown,omitempty"` // how its pages are shown, if a form made it
	CreatedAt     time.Time         `json:"createdAt"`

	// Commits change the following; the store keeps them in columns of their own.
	Uses        int64     `json:"-"` // completed
	Reserved    int64     `json:"-"` // running
	LastPayment string    `json:"-"` // the payment that reserved a use last
	CanceledAt  time.Time `json:"-"` // zero: not canceled
	ExpiredAt   time.Time `json:"-"` // when the expiry was recorded; zero: not yet
	PaidAt      time.Time `json:"-"` // when the last use was completed; zero: not yet

	// Ahead is how far the account's test clock runs ahead of real time. The store sets it on
	// read; all stored times include it.
	Ahead time.Duration `json:"-"`
}

// Clocked is implemented by a Store, or by a client of one, that knows the test clocks.
type Clocked interface {
	// Ahead returns how far the account's data of the mode is ahead of real time.
	Ahead(account, mode string) time.Duration
}

// aheadIn returns Ahead if the store is Clocked, and otherwise 0: then no data lives ahead.
func aheadIn(store any, account, mode string) time.Duration {
	if c, ok := store.(Clocked); ok {
		return c.Ahead(account, mode)
	}
	return 0
}

// At converts a real time to the link's time.
func (l Link) At(now time.Time) time.Time { return now.Add(l.Ahead) }

// State is the part of a link that commits change, for code that copies a link elsewhere.
type State struct {
	Uses        int64     `json:"uses"`
	Reserved    int64     `json:"reserved"`
	LastPayment string    `json:"lastPayment,omitempty"`
	CanceledAt  time.Time `json:"canceledAt,omitzero"`
	ExpiredAt   time.Time `json:"expiredAt,omitzero"`
	PaidAt      time.Time `json:"paidAt,omitzero"`
}

// State returns the link's state.
func (l Link) State() State {
	return State{Uses: l.Uses, Reserved: l.Reserved, LastPayment: l.LastPayment, CanceledAt: l.CanceledAt, ExpiredAt: l.ExpiredAt,
		PaidAt: l.PaidAt}
}

// With returns the link with that state.
func (l Link) With(s State) Link {
	l.Uses, l.Reserved, l.LastPayment = s.Uses, s.Reserved, s.LastPayment
	l.CanceledAt, l.ExpiredAt, l.PaidAt = s.CanceledAt, s.ExpiredAt, s.PaidAt
	return l
}

// Ended reports whether nothing is left to record: the link is paid, canceled, or recorded as
// expired.
func (l Link) Ended() bool {
	return !l.PaidAt.IsZero() || !l.CanceledAt.IsZero() || !l.ExpiredAt.IsZero()
}

// PayerChooses reports whether the payer types the amount.
func (l Link) PayerChooses() bool { return l.Amount.Minor == 0 }

// Status derives the status from the facts, in this order: paid, canceled, paying, expired,
// open. A running payment outlives the expiry. Now is real time.
func (l Link) Status(now time.Time) string {
	now = l.At(now)
	switch {
	case l.MaxUses > 0 && l.Uses >= l.MaxUses:
		return Paid
	case !l.CanceledAt.IsZero():
		return Canceled
	case l.MaxUses > 0 && l.Uses+l.Reserved >= l.MaxUses:
		return Paying
	case !now.Before(l.ExpiresAt), !l.ExpiredAt.IsZero(): // recorded as expired: it stays so, even if a clock lags
		return Expired
	}
	return Open
}

// Unpayable returns a fault (409), in words for the payer, that says why the link can't be paid
// now and since when; nil if it is open.
func (l Link) Unpayable(now time.Time) error {
	when := func(t time.Time) string { return t.UTC().Format("2 January 2006 15:04:05 UTC") }
	switch l.Status(now) {
	case Paid:
		return fault.New(fault.KindConflict, "link_paid", "This link was paid on %s.", when(l.PaidAt))
	case Canceled:
		return fault.New(fault.KindConflict, "link_canceled", "This link was canceled on %s.", when(l.CanceledAt))
	case Paying:
		return fault.New(fault.KindConflict, "link_paying", "A payment for this link is in progress (as of %s).", when(l.At(now)))
	case Expired:
		return fault.New(fault.KindConflict, "link_expired", "This link expired on %s.", when(l.ExpiresAt))
	}
	return nil
}

// Filter selects links of a list. Zero values do not filter.
type Filter struct {
	Account, Mode            string
	Status, Realm, Reference string
	Before                   string // the last id of the previous page; newest first
	Limit                    int
	Now                      time.Time
}

// Spreader is implemented by a Store that spreads an account's links over buckets and reads the
// bucket from the id (id.NewPlaced). Other stores keep them in one place.
type Spreader interface {
	// Buckets returns the number of the account's buckets: 1 to 256, and it only grows.
	Buckets(ctx context.Context, account string) (uint16, error)
}

// Store keeps links and forms. Each call is atomic.
type Store interface {
	FormStore
	// CreateLink stores a link. Repeating it with the same link id succeeds. It fails with
	// idempotency.ErrRaced if another request recorded the same key first.
	CreateLink(context.Context, Link, []stream.Event, *idempotency.Record) error
	// GetLink returns a link by id. It fails with fault.NotFound if the account has no such
	// link.
	GetLink(ctx context.Context, account, id string) (Link, error)
	ListLinks(context.Context, Filter) ([]Link, error)
	// CancelLink sets CanceledAt. It fails with a fault (409) that names the status if the link
	// is paid, canceled or paying. Repeating a cancel that succeeded fails with link_canceled.
	CancelLink(ctx context.Context, account, id string, at time.Time, e stream.Event, r *idempotency.Record) error
	// ExpireLinks records the expiry of links that ended before now and are neither paid nor
	// canceled, with one event each, made of the link as the commit leaves it. It sets a link
	// aside while a payment holds one of its uses; the commit that releases or completes the
	// last use makes the link due again. It handles up to limit links, and returns how many. It
	// may call event from several goroutines at once.
	ExpireLinks(ctx context.Context, now time.Time, limit int, event func(Link) (stream.Event, error)) (int, error)
}

// maxBackoff is the pause between tries of a link that can't be read.
const maxBackoff = 24 * time.Hour

// Backoff returns how long a link waits after so many failed reads: an hour, doubled up to
// a day.
func Backoff(misses int64) time.Duration {
	return min(time.Hour<<min(max(misses, 0), 8), maxBackoff)
}

// SetAside returns an error that says how many links could not be read; nil for zero.
func SetAside(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d links that have ended cannot be read and are set aside: paylink verify names them", n)
}
