// Package report provides figures of a period, and payments found by what a person remembers of
// them. It is a projection of the change feed and decides nothing: money is in the payments, and
// a row here may lag behind them with its consumer.
//
// A payment is one row, folded from its events (Apply). A link is one row, with the steps that
// its payers took. The hourly counters are exactly the sums of those rows. An event that comes
// twice, or after a newer one, therefore changes nothing, and reading the feed from its start
// gives the same rows and sums. A payment counts in the hour of its creation, with its present
// status; a link counts in the hour of its creation.
//
// The steps that a browser reports (opened, started) are not in the feed. They are stored beside
// the rows. Steps in a gateway's memory are lost when it dies; if the link is paid, the payment
// implies them.
package report

import (
	"context"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Consumer is the projection's name as a consumer of the feed.
const Consumer = "reports"

// Limits of queries.
const (
	DefaultPage   = 25
	MaxPage       = 100
	MaxText       = 800    // bytes of a search text: 200 characters, as a reference has
	MaxWords      = 4      // words of the text that are searched for
	MaxPeriodDays = 400    // of an overview
	MaxSightings  = 1000   // in one call of Seen
	Window        = 10_000 // payments that one page of a search reads
)

// Payment is a row: the payment according to its last event.
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
	Seq                   int64 // number of the event among the payment's
}

// Step is a step of a link on its way to payment, as a bit.
type Step uint8

// The steps in order. A payer who reached one has passed those before it.
const (
	Opened Step = 1 << iota
	Started
	Submitted
	Paid
)

// Steps lists all steps in order.
var Steps = [...]Step{Opened, Started, Submitted, Paid}

// names of the steps in the beacon.
var names = map[string]Step{"opened": Opened, "started": Started}

// ParseStep parses a step that a browser may report.
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

// Sighting is a step that a payer's browser reported.
type Sighting struct {
	Account, Mode, Link string
	Step                Step
}

// Query selects payments for a list or a search. Zero values do not filter.
type Query struct {
	Account, Mode string
	Text          string // an id, or beginnings of words of reference, name, address; last four digits
	Status        payment.Status
	Currency      money.Currency
	Link          string
	From, To      time.Time // of creation, [From, To)
	Before        string    // Next of the previous page
	Limit         int       // DefaultPage when zero
}

// Page of payments, newest first.
type Page struct {
	Payments []Payment
	// Next is the cursor of the next page, or empty at the end of the list. A page may be short,
	// even empty, and still have a Next: a search reads a limited number of payments at a time.
	Next string
}

// Service answers for one account and mode.
type Service interface {
	// Overview returns the figures of a period and of the one before it.
	Overview(context.Context, Period) (Overview, error)
	// Search lists or finds payments. It returns a fault of code cursor_invalid if Before is not
	// the cursor of a page.
	Search(context.Context, Query) (Page, error)
	// Seen stores what browsers reported. It may be repeated.
	Seen(context.Context, []Sighting) error
}

// Bound cuts a query's text and limit to their bounds, and sets the default Limit. It never
// fails.
func (q *Query) Bound() {
	if len(q.Text) > MaxText {
		q.Text = strings.ToValidUTF8(q.Text[:MaxText], "")
	}
	if q.Limit <= 0 {
		q.Limit = DefaultPage
	}
	q.Limit = min(q.Limit, MaxPage)
}

// Approved reports whether the issuer has approved the payment, which counts as a success.
func Approved(s payment.Status) bool {
	switch s {
	case payment.Authorized, payment.Succeeded, payment.PartiallyRefunded, payment.Refunded:
		return true
	default:
		return false
	}
}
