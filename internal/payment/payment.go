// Package payment holds the state machine of a payment, its log, and the contract of its store.
//
// Next is pure and total: it maps a payment and an input to a Change, which a store commits as
// a whole or not at all. No other code decides what a payment does.
package payment

import (
	"context"
	"errors"
	"time"

	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/idempotency"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/stream"
)

// Status is the state of a payment.
type Status string

// The statuses. Callers see Capturing and Voiding as authorized (or as the status before): the
// money has not moved yet.
const (
	None              Status = "" // before the first commit
	Created           Status = "created"
	RequiresAction    Status = "requires_action"
	Processing        Status = "processing"
	Unknown           Status = "unknown"
	Authorized        Status = "authorized"
	Capturing         Status = "capturing"
	Voiding           Status = "voiding"
	Succeeded         Status = "succeeded"
	PartiallyRefunded Status = "partially_refunded"
	Refunded          Status = "refunded"
	Declined          Status = "declined"
	Canceled          Status = "canceled"
	Late              Status = "late"
	Review            Status = "review"
)

// Limits of a payment.
const (
	MaxLogEntries = 64
	MaxRefunds    = 20
	Lease         = 45 * time.Second
	HoldLife      = 7 * 24 * time.Hour // an uncaptured authorization is voided then, a late one too
	ChallengeLife = 15 * time.Minute   // an unanswered challenge is abandoned then
)

// Payment is one attempt to pay a link. Its reference at the issuer is its id and the number of
// the try, so no two authorizations share one.
type Payment struct {
	ID         string            `json:"id"`
	Account    string            `json:"account"`
	Mode       string            `json:"mode"`
	Link       string            `json:"link"`
	Attempt    string            `json:"attempt"` // minted by the page
	Issuer     string            `json:"issuer"`
	Amount     money.Amount      `json:"amount"`
	Capture    string            `json:"capture"`
	LatePolicy string            `json:"latePolicy"`
	LinkEndsAt time.Time         `json:"linkEndsAt"`
	LinkUses   int64             `json:"linkUses"` // the link's maxUses; 0 unlimited
	CardBrand  string            `json:"cardBrand,omitempty"`
	CardLast4  string            `json:"cardLast4,omitempty"`
	PayerName  string            `json:"payerName,omitempty"`
	PayerEmail string            `json:"payerEmail,omitempty"`
	PayerLang  string            `json:"payerLang,omitempty"` // of the page that was shown; mails are written in it
	Realm      string            `json:"realm,omitempty"`
	Reference  string            `json:"reference,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	CreatedAt  time.Time         `json:"createdAt"`
	UpdatedAt  time.Time         `json:"updatedAt"`

	Status          Status    `json:"status"`
	VoidFrom        Status    `json:"voidFrom,omitempty"` // where Voiding came from
	Try             int       `json:"try"`                // number of authorizations sent
	IssuerReference string    `json:"issuerReference,omitempty"`
	DeclineCode     string    `json:"declineCode,omitempty"`
	DeclineMessage  string    `json:"declineMessage,omitempty"`
	ActionURL       string    `json:"actionUrl,omitempty"`
	ReviewReason    string    `json:"reviewReason,omitempty"`
	Captures        int       `json:"captures,omitempty"` // number of capture calls started
	AuthorizedMinor int64     `json:"authorizedMinor"`
	CapturedMinor   int64     `json:"capturedMinor"`
	RefundedMinor   int64     `json:"refundedMinor"`
	UseReserved     bool      `json:"useReserved"` // holds a use of the link
	Risk            Risk      `json:"risk,omitzero"`
	Disputes        []Dispute `json:"disputes,omitempty"`
	Capturing       int64     `json:"capturing,omitempty"`
	Refunds         []Refund  `json:"refunds,omitempty"`
	Log             []Entry   `json:"log"`
	Work            Work      `json:"work"`
	LastChange      string    `json:"lastChange"`
	Revision        int64     `json:"-"`

	// Ahead is how far the account's test clock runs ahead of real time. The store sets it on
	// read; all stored times include it.
	Ahead time.Duration `json:"-"`
}

// Authorized returns what the issuer authorized.
func (p Payment) Authorized() money.Amount { return p.sum(p.AuthorizedMinor) }

// Captured returns what was captured.
func (p Payment) Captured() money.Amount { return p.sum(p.CapturedMinor) }

// Refunded returns what was refunded.
func (p Payment) Refunded() money.Amount { return p.sum(p.RefundedMinor) }

func (p Payment) sum(minor int64) money.Amount { return money.Of(minor, p.Amount.Currency) }

// At converts a real time to the payment's time.
func (p Payment) At(now time.Time) time.Time { return now.Add(p.Ahead) }

// Work is the lease on the payment and the time when it is due.
type Work struct {
	Owner   string    `json:"owner,omitempty"`
	Until   time.Time `json:"until,omitzero"`   // the lease ends
	NextAt  time.Time `json:"nextAt,omitzero"`  // when this status is due; zero: never
	Asked   int       `json:"asked,omitempty"`  // scheduled inquiries made in this status
	AskedAt time.Time `json:"askedAt,omitzero"` // the last inquiry of any kind
}

// DueAt returns when the sweep must take the payment, for its status or for a refund without an
// answer. Zero means never.
func (p Payment) DueAt() time.Time {
	due := p.Work.NextAt
	for _, r := range p.Refunds {
		if r.Asking() && (due.IsZero() || r.DueAt.Before(due)) {
			due = r.DueAt
		}
	}
	return due
}

// Stuck reports whether only the issuer knows how the payment goes on, and no worker holds its
// lease.
func (p Payment) Stuck(now time.Time) bool {
	return p.Status == Unknown || p.Status == Capturing || p.Status == Voiding || (p.Status == Processing && !now.Before(p.Work.Until))
}

// Orphaned reports whether the payment is in review because its issuer is gone.
func (p Payment) Orphaned() bool { return p.Status == Review && p.ReviewReason == ReasonIssuerGone }

// RefundStatus is the state of a refund.
type RefundStatus string

// The refund statuses.
const (
	RefundPending   RefundStatus = "pending"
	RefundSucceeded RefundStatus = "succeeded"
	RefundFailed    RefundStatus = "failed"
)

// Refund is a refund of a payment, all or part of it.
type Refund struct {
	ID        string       `json:"id"`
	Minor     int64        `json:"minor"`
	Status    RefundStatus `json:"status"`
	Code      string       `json:"code,omitempty"`
	CreatedAt time.Time    `json:"createdAt"`
	Hold      string       `json:"hold"` // the pending transfer
	DueAt     time.Time    `json:"dueAt,omitzero"`
	Asked     int          `json:"asked,omitempty"`
	AllowedBy string       `json:"allowedBy,omitempty"` // who allowed it to refund what a dispute claimed
}

// Asking reports whether the issuer is still asked about the refund. A pending refund that the
// issuer answered with another amount waits for a person instead.
func (r Refund) Asking() bool { return r.Status == RefundPending && !r.DueAt.IsZero() }

// RefundInput is a request for a refund, not yet validated.
type RefundInput struct {
	Amount        string // decimal; "" is everything that is left
	Refundable    string // decimal: what the caller saw as refundable, which must still be so; "" is anything
	AllowDisputed bool   // also what a dispute claims
	By            string // id of the user or API key
}

// Entry is one transition in a payment's log, with the facts after it and the transfers that it
// made. Reason says why it was made, and which of Code, By and Amount it has. Hash covers the
// entry and the hash before it.
type Entry struct {
	Seq             int64             `json:"seq"`
	At              time.Time         `json:"at"`
	From            Status            `json:"from"`
	To              Status            `json:"to"`
	Actor           string            `json:"actor"`
	Reason          Reason            `json:"reason"`
	Code            string            `json:"code,omitempty"`  // detail of the reason: the issuer's code, a dispute's reason, or what decided
	By              string            `json:"by,omitempty"`    // id of the user, API key or rule that asked or decided
	Amount          money.Amount      `json:"amount,omitzero"` // the amount that the reason is about
	IssuerReference string            `json:"issuerReference,omitempty"`
	Event           string            `json:"event,omitempty"` // type of the event that reports it
	Refund          string            `json:"refund,omitempty"`
	Authorized      int64             `json:"authorized"`
	Captured        int64             `json:"captured"`
	Refunded        int64             `json:"refunded"`
	Review          string            `json:"review,omitempty"` // state of the review after it
	Label           string            `json:"label,omitempty"`  // and the label
	Transfers       []ledger.Transfer `json:"transfers,omitempty"`
	Change          string            `json:"change"`
	Hash            string            `json:"hash"`
}

// IDFor returns the payment's id. It is derived, so the same attempt at the same link is always
// the same payment.
func IDFor(link, attempt string) string { return id.Derive(id.Payment, link, attempt) }

// ErrConflict means that the payment has a newer revision. The caller reads it again.
var ErrConflict = errors.New("the payment has changed meanwhile")

// HasChange reports whether the change is part of the payment's history.
func (p Payment) HasChange(id string) bool {
	if p.LastChange == id {
		return true
	}
	for i := len(p.Log) - 1; i >= 0; i-- {
		if p.Log[i].Change == id {
			return true
		}
	}
	return false
}

// Public returns the status as callers see it.
func (s Status) Public() Status {
	switch s {
	case Capturing, Voiding:
		return Authorized
	default:
		return s
	}
}

// UseOp is what a commit does to the uses of the link.
type UseOp uint8

// The operations on a link's uses.
const (
	UseNone     UseOp = iota
	UseReserve        // refused unless the link is open
	UseComplete       // a reserved use is used up
	UseRelease        // a reserved use is released
	UseRetake         // a use completed without reservation (late success); refused if none is left
)

// Change is everything that one step does. All of it is committed, or none. The zero Change
// means that the input changes nothing, so there is nothing to commit.
type Change struct {
	Nothing  bool
	ID       string  // unique; a repeated commit with the same id succeeds again
	Payment  Payment // after the step
	Expected int64   // revision before the step; 0: the payment must not exist
	Entries  []Entry // appended to the log by this step (already in Payment.Log)
	Events   []stream.Event
	Use      UseOp
	// WhenLinkPaid holds the events to add if Use completes the link's last use.
	WhenLinkPaid []stream.Event
	Record       *idempotency.Record
	At           time.Time
}

// Filter selects payments of a list. Zero values do not filter.
type Filter struct {
	Account, Mode string
	Status        Status // as callers see it
	Realm, Link   string
	Currency      money.Currency
	From, To      time.Time // [From, To)
	BeforeTime    time.Time // cursor: strictly older than (BeforeTime, BeforeID)
	BeforeID      string
	Limit         int
}

// Reader shows payments, balances and events. A Store implements it, and so does a client over
// the wire.
type Reader interface {
	// GetPayment returns a payment by id. It fails with fault.NotFound if the account has no
	// such payment, and with payment_damaged if its checksum is wrong: a damaged payment is
	// never returned.
	GetPayment(ctx context.Context, account, id string) (Payment, error)
	// ListPayments returns payments newest first, by creation time and then id.
	ListPayments(context.Context, Filter) ([]Payment, error)
	// Balances returns the sums of all transfers committed so far.
	Balances(ctx context.Context, account, mode string) (map[money.Currency]ledger.Balance, error)
	// Events returns the account's events after a sequence number, in order.
	Events(ctx context.Context, account, mode string, afterSeq int64, limit int) ([]stream.Event, error)
	// Moves returns the account's events that moved money, newest first: those before a
	// sequence number, or the newest for 0. Their Data is left out.
	Moves(ctx context.Context, account, mode string, beforeSeq int64, limit int) ([]stream.Event, error)
}

// Store keeps payments with their logs and transfers.
type Store interface {
	Reader
	// FindPayment returns a payment by id in any account. It serves only issuers' notices.
	FindPayment(ctx context.Context, id string) (Payment, error)
	// TakeDue takes payments that are due, oldest first, and lets accounts and issuers take
	// turns. Before it reads a payment it postpones it by Backoff, so that one that can't be
	// processed, or not even read, waits behind the others; a commit sets the right time. The
	// error names damaged payments; the readable ones are returned beside it.
	TakeDue(context.Context, Take) ([]Payment, error)
	// CommitPayment applies the change as a whole or not at all. It fails with ErrConflict if
	// there is a newer revision; with a fault of code link_paying, link_paid, link_expired or
	// link_canceled if the use is not to be had; and with idempotency.ErrRaced if another
	// request recorded the key meanwhile. After any other error the outcome is unknown, and the
	// caller sends the same change again.
	CommitPayment(context.Context, Change) error
}

// Take selects the payments that a sweep takes.
type Take struct {
	Now   time.Time
	Limit int
	Busy  []string // issuers to leave out, because their payments are still being worked on
}

// AsideAfter is the number of failed tries after which a payment is set aside: it is still
// tried, but rarely, and an alert reports it.
const AsideAfter = 5

// maxBackoff is the pause between tries of a payment that is set aside.
const maxBackoff = 24 * time.Hour

// Backoff returns how long a payment waits after so many failed tries.
func Backoff(misses int64) time.Duration {
	return min(Lease<<min(max(misses, 0), 16), maxBackoff)
}

// ChallengeEnds returns when an unanswered challenge is abandoned.
func (p Payment) ChallengeEnds() time.Time {
	for i := len(p.Log) - 1; i >= 0; i-- {
		if p.Log[i].To == RequiresAction {
			return p.Log[i].At.Add(ChallengeLife)
		}
	}
	return p.UpdatedAt
}
