// Package payment is the state machine of a payment, its log, and the contract
// of the store that keeps it.
//
// Next is pure and total: from a payment and an input it gives a Change, which a
// store commits wholly or not at all. Nobody else decides what a payment does.
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

// Status of a payment.
type Status string

// The statuses. Capturing and Voiding are seen by callers as authorized (or what
// they came from): the money has not moved yet.
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
	CanceledS         Status = "canceled"
	Late              Status = "late"
	Review            Status = "review"
)

// Bounds.
const (
	MaxLogEntries = 64
	MaxRefunds    = 20
	Lease         = 45 * time.Second
	HoldLife      = 7 * 24 * time.Hour // an uncaptured authorisation is voided then, a late one too
	ChallengeLife = 15 * time.Minute   // an unanswered challenge is given up then
)

// Payment is one attempt to pay a link. Its reference at the issuer is its id
// and the number of the try: a reference is never used for two authorisations.
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
	PayerLang  string            `json:"payerLang,omitempty"` // of the page that was read; mails are written in it
	Realm      string            `json:"realm,omitempty"`
	Reference  string            `json:"reference,omitempty"`
	Metadata   map[string]string `json:"metadata,omitempty"`
	CreatedAt  time.Time         `json:"createdAt"`
	UpdatedAt  time.Time         `json:"updatedAt"`

	Status          Status    `json:"status"`
	VoidFrom        Status    `json:"voidFrom,omitempty"` // where Voiding came from
	Try             int       `json:"try"`                // number of authorisations sent
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

	// Ahead is how far ahead of real time the payment lives: by its account's test
	// clock, set by whoever reads the payment for somebody. Its own times are by that.
	Ahead time.Duration `json:"-"`
}

// At is the payment's time at a real time.
func (p Payment) At(now time.Time) time.Time { return now.Add(p.Ahead) }

// Work is who works on the payment and when it is next looked at.
type Work struct {
	Owner   string    `json:"owner,omitempty"`
	Until   time.Time `json:"until,omitzero"`   // the lease ends
	NextAt  time.Time `json:"nextAt,omitzero"`  // when this status is next looked at; zero: never
	Asked   int       `json:"asked,omitempty"`  // scheduled inquiries made in this status
	AskedAt time.Time `json:"askedAt,omitzero"` // the last inquiry of any kind
}

// DueAt is when the sweep must look at the payment: for its status or for a
// refund that has no answer yet. Zero: never.
func (p Payment) DueAt() time.Time {
	due := p.Work.NextAt
	for _, r := range p.Refunds {
		if r.Asking() && (due.IsZero() || r.DueAt.Before(due)) {
			due = r.DueAt
		}
	}
	return due
}

// Stuck reports whether only the issuer can tell how the payment goes on, and
// nobody is at work on it.
func (p Payment) Stuck(now time.Time) bool {
	return p.Status == Unknown || p.Status == Capturing || p.Status == Voiding || (p.Status == Processing && !now.Before(p.Work.Until))
}

// Orphaned reports whether the payment is in review because its issuer is gone.
func (p Payment) Orphaned() bool { return p.Status == Review && p.ReviewReason == ReasonIssuerGone }

// RefundStatus of a refund.
type RefundStatus string

// The refund statuses.
const (
	RefundPending   RefundStatus = "pending"
	RefundSucceeded RefundStatus = "succeeded"
	RefundFailed    RefundStatus = "failed"
)

// Refund of a payment, wholly or in part.
type Refund struct {
	ID        string       `json:"id"`
	Minor     int64        `json:"minor"`
	Status    RefundStatus `json:"status"`
	Code      string       `json:"code,omitempty"`
	CreatedAt time.Time    `json:"createdAt"`
	Hold      string       `json:"hold"` // the pending transfer
	DueAt     time.Time    `json:"dueAt,omitzero"`
	Asked     int          `json:"asked,omitempty"`
	AllowedBy string       `json:"allowedBy,omitempty"` // who let it give back what a dispute claimed
}

// Asking reports whether the issuer is still to be asked about the refund. A pending
// refund that the issuer answered with another amount waits for a person instead.
func (r Refund) Asking() bool { return r.Status == RefundPending && !r.DueAt.IsZero() }

// RefundInput is what a caller asks of a refund, as it was written.
type RefundInput struct {
	Amount        string // decimal; "" is everything that is left
	Refundable    string // decimal: what the caller saw as refundable, which must still be so; "" is anything
	AllowDisputed bool   // also what a dispute claims
	By            string // id of who asks
}

// Entry of a payment's log: one transition, with the facts after it and the
// money that moved. Hash covers the entry and the hash before it.
type Entry struct {
	Seq             int64             `json:"seq"`
	At              time.Time         `json:"at"`
	From            Status            `json:"from"`
	To              Status            `json:"to"`
	Actor           string            `json:"actor"`
	Reason          string            `json:"reason"`
	IssuerReference string            `json:"issuerReference,omitempty"`
	Event           string            `json:"event,omitempty"` // type of the event that tells it
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

// IDFor is the payment's id: the same attempt at the same link is the same
// payment, by construction.
func IDFor(link, attempt string) string { return id.Derive(id.Payment, link, attempt) }

// ErrConflict says that the payment's revision moved on: read it again.
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

// Public is the status that callers see.
func (s Status) Public() Status {
	switch s {
	case Capturing, Voiding:
		return Authorized
	}
	return s
}

// UseOp is what a commit does to the uses of the link.
type UseOp uint8

// The operations on a link's uses.
const (
	UseNone     UseOp = iota
	UseReserve        // refused unless the link is open
	UseComplete       // a reserved use is used up
	UseRelease        // a reserved use is given back
	UseRetake         // a use completed without reservation (late success); refused if none is left
)

// Change is everything that one step does. All of it is committed, or none.
// Nothing is set when the input changes nothing: there is nothing to commit.
type Change struct {
	Nothing  bool
	ID       string  // unique; a repeated commit with the same id succeeds again
	Payment  Payment // after the step
	Expected int64   // revision before the step; 0: the payment must not exist
	Entries  []Entry // appended to the log by this step (already in Payment.Log)
	Events   []stream.Event
	Use      UseOp
	// WhenLinkPaid are the events to add if Use completes the link's last use.
	WhenLinkPaid []stream.Event
	Record       *idempotency.Record
	At           time.Time
}

// Filter of a list. Zero values do not filter.
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

// Reader is the box that shows payments, balances and events. A Store is one,
// and a client over the wire may stand for it.
type Reader interface {
	// GetPayment reads by id; unknown or another tenant's is fault.NotFound. Money that
	// fails its checksum is never returned: fault payment_damaged.
	GetPayment(ctx context.Context, account, id string) (Payment, error)
	// ListPayments is newest first, by creation time and then id.
	ListPayments(context.Context, Filter) ([]Payment, error)
	// Balances folds all transfers committed so far.
	Balances(ctx context.Context, account, mode string) (map[money.Currency]ledger.Balance, error)
	// Events of the account in order, after a sequence number.
	Events(ctx context.Context, account, mode string, afterSeq int64, limit int) ([]stream.Event, error)
	// Moves are the account's events that moved money, newest first: those before a
	// sequence number, or 0 for the newest. Their Data is left out.
	Moves(ctx context.Context, account, mode string, beforeSeq int64, limit int) ([]stream.Event, error)
}

// Store keeps payments with their logs and transfers.
type Store interface {
	Reader
	// FindPayment reads by id in whatever account: for issuers' notices alone.
	FindPayment(ctx context.Context, id string) (Payment, error)
	// TakeDue takes payments that are due, oldest first, and gives each account and each
	// issuer its turn. Before it looks into one it moves its time by Backoff, so that one
	// that cannot be worked on, or not even be read, waits behind the others from then
	// on; a commit puts the time right. Damaged ones are named by the error, and the
	// others are given beside it.
	TakeDue(context.Context, Take) ([]Payment, error)
	// CommitPayment applies the change or nothing. ErrConflict: the revision moved on.
	// A fault of code link_paying, link_paid, link_expired or link_canceled: the
	// use could not be had. idempotency.ErrRaced: the key was recorded meanwhile.
	// Any other error: the outcome is not known; send the same change again.
	CommitPayment(context.Context, Change) error
}

// Take says which payments a sweep wants.
type Take struct {
	Now   time.Time
	Limit int
	Busy  []string // issuers that have enough to do: theirs wait
}

// AsideAfter is how often a payment is taken in vain before it counts as set aside: it
// is looked at again, but rarely, and an operator is shown it.
const AsideAfter = 5

// maxBackoff is how rarely a payment that is set aside is looked at.
const maxBackoff = 24 * time.Hour

// Backoff is until when a payment that was taken in vain so often before is not taken
// again.
func Backoff(misses int64) time.Duration {
	return min(Lease<<min(max(misses, 0), 16), maxBackoff)
}

// ChallengeEnds is when an unanswered challenge is given up.
func (p Payment) ChallengeEnds() time.Time {
	for i := len(p.Log) - 1; i >= 0; i-- {
		if p.Log[i].To == RequiresAction {
			return p.Log[i].At.Add(ChallengeLife)
		}
	}
	return p.UpdatedAt
}
