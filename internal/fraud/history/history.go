// Package history is payments as fraud is looked for in them: rows that follow from
// the change feed (Told), what is read of them (Analyst, Replayer), and what was known
// before each of them (Past).
//
// Rows are a projection: they lag behind the payments, can be rebuilt from them
// (RowOf), and decide nothing.
package history

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Row is a payment as the analytics store knows it: the fold of its events.
type Row struct {
	ID, Account, Mode, Link string
	Amount                  money.Amount
	Captured, Refunded      int64
	Status                  payment.Status
	CreatedAt, UpdatedAt    time.Time
	AnsweredAt              time.Time // the issuer's first word; zero while there is none
	Authorised              bool      // that word was yes
	Decline                 string    // the code of a no
	CardBrand, CardLast4    string
	PayerName, PayerEmail   string
	Realm, Reference        string
	Risk                    payment.Risk
	Disputes                []payment.Dispute
	Seq                     int64 // number of the last event, among the payment's
}

// Fraud reports what is known of the row: whether it was fraud, since when that is
// known, and whether anything is known at all. A person's word counts more than a
// dispute's.
func (r Row) Fraud() (fraud bool, since time.Time, known bool) {
	if r.Risk.Label != "" {
		return r.Risk.Label == payment.LabelFraud, r.Risk.LabelledAt, true
	}
	for _, d := range r.Disputes {
		if d.Reason == "fraudulent" && d.State != payment.DisputeWon {
			return true, d.CreatedAt, true
		}
	}
	return false, time.Time{}, false
}

// Closed asks for the reviews that are not open any more, whatever came of them.
const Closed = "closed"

// Query of rows. Zero values do not filter.
type Query struct {
	Account, Mode string
	Review        string         // a state of review; Closed is any but open
	Action        payment.Action // what was decided
	From, To      time.Time      // of being made, [From, To)
	Disputed      bool
	Before        string // Next of the page before
	Limit         int    // 25 when zero, at most 100
}

// Page of rows, newest first; Next is "" at the end.
type Page struct {
	Rows []Row
	Next string
}

// Analyst is what is read of the analytics store, for one account and mode. It is
// behind the payments by the lag of its consumer.
type Analyst interface {
	Rows(context.Context, Query) (Page, error)
	// Row is one payment; fault.NotFound if it is another's.
	Row(ctx context.Context, account, mode, id string) (Row, error)
	// Related are payments of the account that share the card, the e-mail or the
	// address prefix with this one, newest first, itself left out, at most limit.
	Related(ctx context.Context, account, mode, id string, limit int) ([]Row, error)
	// Figures of a period, by day of UTC.
	Figures(ctx context.Context, account, mode string, from, to time.Time) (Figures, error)
}

// History gives all that training, a backtest and a start need: rows in the order of
// their making, those of one account and mode, or of all when both are "".
type Replayer interface {
	Replay(ctx context.Context, account, mode string, from, to time.Time, each func(Row) error) error
}

// Figures are what the charts show, of the payments made in a period.
type Figures struct {
	Days    []DayFigures
	Scores  [10]int64 // scored payments by score: 0–9, 10–19, … 90–100
	Unrated int64     // payments without a score
	Rules   []RuleFigures
	// Estimate says how many blocked payments were honest, and by what: those of the
	// same score that were let through and are known by now.
	Estimate Estimate
}

// DayFigures are the payments made on a day; sums per currency, in minor units.
type DayFigures struct {
	Day                                                  time.Time
	Attempts, Allowed, Challenged, Blocked, Held, Shield int64 // Shield: refused without a payment
	Authorised, Declined                                 int64
	Fraud, Legitimate                                    int64 // known by now
	ReviewOpened, ReviewClosed                           int64
	FraudMinor, BlockedMinor                             map[money.Currency]int64
}

// RuleFigures are the hits of one version of a rule, in force or in shadow.
type RuleFigures struct {
	Rule                    string
	Version                 int
	Action                  payment.Action
	Shadow                  bool
	Hits, Fraud, Legitimate int64
	Minor                   map[money.Currency]int64
}

// Estimate of how many blocked payments were honest.
type Estimate struct {
	Blocked     int64
	Honest      float64
	Low, High   float64 // 95 % interval of Honest
	Comparable  int64   // payments let through with the same scores whose end is known
	Explainable bool    // false: too few to say anything
}

// Shared is what a row has in common with a payment: card, email, address.
func Shared(p payment.Payment, r Row) []string {
	var out []string
	if p.Risk.Fingerprint != "" && p.Risk.Fingerprint == r.Risk.Fingerprint {
		out = append(out, "card")
	}
	if p.PayerEmail != "" && score.EmailKey(p.PayerEmail) == score.EmailKey(r.PayerEmail) {
		out = append(out, "email")
	}
	if p.Risk.Address != "" && p.Risk.Address == r.Risk.Address {
		out = append(out, "address")
	}
	return out
}
