// Package report is what people look at: figures of a period, and payments found
// by what somebody remembers of them. It is a projection of the change feed, and
// decides nothing: money is in the payments, and a row here may be behind them by
// the lag of its consumer.
//
// A payment is one row, the fold of its events (Apply); a link is one row, of the
// steps that its payers took. The hourly counters are the sums of those rows and
// nothing else, so an event that comes twice, or after a newer one, changes
// nothing, and the feed read from its start gives the same rows and the same sums.
// A payment counts in the hour in which it was made, with the status that it has
// now; a link in the hour in which it was made.
//
// The steps that a browser tells (opened, started) are in no feed. They are kept
// beside the rows; what waits in a gateway's memory is lost when that dies, and a
// lost step of a link that is paid is told by the payment.
package report

import (
	"context"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Consumer is the projection's name at the feed.
const Consumer = "reports"

// Bounds.
const (
	DefaultPage   = 25
	MaxPage       = 100
	MaxText       = 800    // bytes of what is searched for: 200 characters, as a reference has
	MaxWords      = 4      // of those that are looked for
	MaxPeriodDays = 400    // of an overview
	MaxSightings  = 1000   // in one call of Seen
	Window        = 10_000 // payments that one page of a search looks through
)

// Payment is a row: the payment as its last event told it.
type Payment struct {
	ID, Account, Mode     string
	Link                  string
	Realm, Reference      string
	Issuer                string
	PayerName, PayerEmail string
	CardBrand, CardLast4  string
	Decline               string // the issuer's code
	Status                payment.Status
	Amount                money.Amount
	Captured, Refunded    int64 // minor units
	CreatedAt, UpdatedAt  time.Time
	Seq                   int64 // number of the event, among the payment's
}

// Step of a link on its way to be paid, as a bit.
type Step uint8

// The steps, in their order. Who came to one has been at those before it.
const (
	Opened Step = 1 << iota
	Started
	Submitted
	Paid
)

// Steps are all of them in order.
var Steps = [...]Step{Opened, Started, Submitted, Paid}

// names of the steps, as the beacon says them.
var names = map[string]Step{"opened": Opened, "started": Started}

// ParseStep reads a step that a browser may tell.
func ParseStep(name string) (Step, bool) {
	s, ok := names[name]
	return s, ok
}

// Whole adds the steps before the furthest.
func (s Step) Whole() Step {
	for i := len(Steps) - 1; i > 0; i-- {
		if s&Steps[i] != 0 {
			s |= Steps[i-1]
		}
	}
	return s
}

// Sighting is a step that a payer's browser told.
type Sighting struct {
	Account, Mode, Link string
	Step                Step
}

// Query of a list or a search. Zero values do not filter.
type Query struct {
	Account, Mode string
	Text          string // an id, or beginnings of words of reference, name, address; last four digits
	Status        payment.Status
	Currency      money.Currency
	Link          string
	From, To      time.Time // of being made, [From, To)
	Before        string    // Next of the page before
	Limit         int       // DefaultPage when zero
}

// Page of payments, newest first.
type Page struct {
	Payments []Payment
	// Next is where the list goes on; "" at its end. A page may be short, even
	// empty, and go on: a search looks at so many payments at a time.
	Next string
}

// Service answers for one account and mode.
type Service interface {
	// Overview gives the figures of a period and of the one before it.
	Overview(context.Context, Period) (Overview, error)
	// Search lists or finds payments. A fault of code cursor_invalid: Before is of no page.
	Search(context.Context, Query) (Page, error)
	// Seen keeps what browsers told. Harmless to repeat.
	Seen(context.Context, []Sighting) error
}

// Bound holds a query to its bounds, and fills in its limit.
func (q *Query) Bound() {
	if len(q.Text) > MaxText {
		q.Text = strings.ToValidUTF8(q.Text[:MaxText], "")
	}
	if q.Limit <= 0 {
		q.Limit = DefaultPage
	}
	q.Limit = min(q.Limit, MaxPage)
}

// Approved reports whether the issuer has said yes: what counts as a success.
func Approved(s payment.Status) bool {
	switch s {
	case payment.Authorized, payment.Succeeded, payment.PartiallyRefunded, payment.Refunded:
		return true
	}
	return false
}
