// Package link is the box that makes payment links and tells whether one is
// ours. A link's URL carries a token: claims sealed, then signed, so that a
// forged one is refused without any read.
//
// Uses of a link are reserved, completed and given back by the commits of the
// payments made with it (package payment); this package only reads the counts.
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

// Modes. Test and live data never meet.
const (
	Test = "test"
	Live = "live"
)

// Capture and late policies.
const (
	CaptureAutomatic = "automatic"
	CaptureManual    = "manual"
	LateAccept       = "accept"
	LateHold         = "hold"
	LateRefund       = "refund"
)

// Statuses.
const (
	Open     = "open"
	Paying   = "paying"
	Paid     = "paid"
	ExpiredS = "expired"
	Canceled = "canceled"
)

// Link is an offer to be paid.
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
	Form          string            `json:"form,omitempty"`  // that made it
	Shown         *Shown            `json:"shown,omitempty"` // how its pages look, if a form made it
	CreatedAt     time.Time         `json:"createdAt"`

	// Changed by commits; the store keeps these in columns of their own.
	Uses        int64     `json:"-"` // completed
	Reserved    int64     `json:"-"` // running
	LastPayment string    `json:"-"` // the payment that reserved a use last
	CanceledAt  time.Time `json:"-"` // zero: not canceled
	ExpiredAt   time.Time `json:"-"` // when the expiry was recorded; zero: not yet
	PaidAt      time.Time `json:"-"` // when the last use was completed; zero: not yet

	// Ahead is how far ahead of real time the link lives: by its account's test
	// clock, set by whoever reads the link for somebody. Its own times are by that.
	Ahead time.Duration `json:"-"`
}

// Clocked is a Store, or what stands for one, that knows the test clocks.
type Clocked interface {
	// Ahead is how far ahead of real time the account's data of the mode lives.
	Ahead(account, mode string) time.Duration
}

// aheadIn asks the store, if it knows.
func aheadIn(store any, account, mode string) time.Duration {
	if c, ok := store.(Clocked); ok {
		return c.Ahead(account, mode)
	}
	return 0
}

// At is the link's time at a real time.
func (l Link) At(now time.Time) time.Time { return now.Add(l.Ahead) }

// State is what commits change about a link, for who carries a link elsewhere.
type State struct {
	Uses        int64     `json:"uses"`
	Reserved    int64     `json:"reserved"`
	LastPayment string    `json:"lastPayment,omitempty"`
	CanceledAt  time.Time `json:"canceledAt,omitzero"`
	ExpiredAt   time.Time `json:"expiredAt,omitzero"`
	PaidAt      time.Time `json:"paidAt,omitzero"`
}

// State of the link.
func (l Link) State() State {
	return State{Uses: l.Uses, Reserved: l.Reserved, LastPayment: l.LastPayment, CanceledAt: l.CanceledAt, ExpiredAt: l.ExpiredAt, PaidAt: l.PaidAt}
}

// With is the link in that state.
func (l Link) With(s State) Link {
	l.Uses, l.Reserved, l.LastPayment = s.Uses, s.Reserved, s.LastPayment
	l.CanceledAt, l.ExpiredAt, l.PaidAt = s.CanceledAt, s.ExpiredAt, s.PaidAt
	return l
}

// Ended reports whether nothing is left to record: the link is paid, canceled,
// or told as expired.
func (l Link) Ended() bool {
	return !l.PaidAt.IsZero() || !l.CanceledAt.IsZero() || !l.ExpiredAt.IsZero()
}

// PayerChooses reports whether the payer types the amount.
func (l Link) PayerChooses() bool { return l.Amount.Minor == 0 }

// Status is derived from facts, in this order: paid, canceled, paying, expired,
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
	case !now.Before(l.ExpiresAt), !l.ExpiredAt.IsZero(): // reported as expired: it stays so, also where a clock lags
		return ExpiredS
	}
	return Open
}

// Unpayable is why the link cannot be paid now, with the time, as a fault (409)
// in words that a payer understands; nil when it is open.
func (l Link) Unpayable(now time.Time) error {
	when := func(t time.Time) string { return t.UTC().Format("2 January 2006 15:04:05 UTC") }
	switch l.Status(now) {
	case Paid:
		return fault.New(fault.KindConflict, "link_paid", "This link was paid on %s.", when(l.PaidAt))
	case Canceled:
		return fault.New(fault.KindConflict, "link_canceled", "This link was canceled on %s.", when(l.CanceledAt))
	case Paying:
		return fault.New(fault.KindConflict, "link_paying", "A payment with this link is under way (seen at %s).", when(l.At(now)))
	case ExpiredS:
		return fault.New(fault.KindConflict, "link_expired", "This link expired on %s.", when(l.ExpiresAt))
	}
	return nil
}

// Filter of a list. Zero values do not filter.
type Filter struct {
	Account, Mode            string
	Status, Realm, Reference string
	Before                   string // the last id of the page before; newest first
	Limit                    int
	Now                      time.Time
}

// Spreader is a Store that spreads the links of an account over buckets, and reads
// off an id where it lies (id.NewPlaced). Other stores have one place for all.
type Spreader interface {
	// Buckets is the number of the account's buckets: 1 to 256, and it only grows.
	Buckets(ctx context.Context, account string) (uint16, error)
}

// Store keeps links and forms. All of a call, or none.
type Store interface {
	FormStore
	// CreateLink is repeatable: the same link id succeeds again.
	// idempotency.ErrRaced when another request recorded the same key first.
	CreateLink(context.Context, Link, []stream.Event, *idempotency.Record) error
	// GetLink reads by id; an unknown id is fault.NotFound. The account is part
	// of the key: another tenant's link is not found.
	GetLink(ctx context.Context, account, id string) (Link, error)
	ListLinks(context.Context, Filter) ([]Link, error)
	// CancelLink sets CanceledAt if the link is not paid, canceled or paying; the
	// fault names which (409). Repeating the cancel that won is fault link_canceled.
	CancelLink(ctx context.Context, account, id string, at time.Time, e stream.Event, r *idempotency.Record) error
	// ExpireLinks records the expiry of links that ended before now and are neither
	// paid nor canceled, with one event each, made of the link as the commit leaves
	// it. A link of which a payment holds a use is set aside; the commit that gives
	// the last use back, or completes it, makes it due again. It handles up to limit
	// links, and returns how many. It may call event from several goroutines at once.
	ExpireLinks(ctx context.Context, now time.Time, limit int, event func(Link) (stream.Event, error)) (int, error)
}

// maxBackoff is how rarely a link that cannot be read is looked at.
const maxBackoff = 24 * time.Hour

// Backoff is how long a link that could not be read so often before is left alone.
func Backoff(misses int64) time.Duration {
	return min(time.Hour<<min(max(misses, 0), 8), maxBackoff)
}

// SetAside is the error that says how many links could not be read; nil: none.
func SetAside(n int) error {
	if n == 0 {
		return nil
	}
	return fmt.Errorf("%d links that have ended cannot be read and are set aside: paylink verify names them", n)
}
