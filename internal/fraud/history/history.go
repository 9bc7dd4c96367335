// Package history holds payments for fraud analysis: rows derived from the change feed (Accumulator),
// the reads of them (Analyst, Replayer), and what was known before each payment (Past).
//
// Rows are a projection: they lag behind the payments, can be rebuilt from them (RowOf), and
// decide nothing.
package history

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/fraud/score"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Row is a payment in the analytics store, folded from its events.
type Row struct {
	ID, Account, Mode, Link string
	Amount                  money.Amount
	Captured, Refunded      int64
	Status                  payment.Status
	CreatedAt, UpdatedAt    time.Time
	AnsweredAt              time.Time // the issuer's first answer; zero while there is none
	Authorised              bool      // the issuer approved
	Decline                 string    // the code of a decline
	CardBrand, CardLast4    string
	PayerName, PayerEmail   string
	Realm, Reference        string
	Risk                    payment.Risk
	Disputes                []payment.Dispute
	Seq                     int64 // number of the last event among the payment's
}

// Fraud reports what is known of the row: whether it was fraud, since when that is known, and
// whether anything is known at all. A person's label takes precedence over a dispute.
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

// Closed selects the reviews that are no longer open, whatever their result.
const Closed = "closed"

// Query selects rows. Zero values do not filter.
type Query struct {
	Account, Mode string
	Review        string         // a review state; Closed is any except open
	Action        payment.Action // the decision
	From, To      time.Time      // of creation, [From, To)
	Disputed      bool
	Before        string // Next of the previous page
	Limit         int    // 25 when zero, at most 100
}

// Page is a page of rows, newest first. Next is empty at the end.
type Page struct {
	Rows []Row
	Next string
}

// Analyst reads the analytics store, for one account and mode. It lags behind the payments with
// its consumer.
type Analyst interface {
	Rows(context.Context, Query) (Page, error)
	// Row returns one payment, or fault.NotFound if it is another account's.
	Row(ctx context.Context, account, mode, id string) (Row, error)
	// Related returns payments of the account that share the card, the email or the address
	// prefix with this one, newest first, without itself, at most limit.
	Related(ctx context.Context, account, mode, id string, limit int) ([]Row, error)
	// Figures returns the figures of a period, by day in UTC.
	Figures(ctx context.Context, account, mode string, from, to time.Time) (Figures, error)
}

// Replayer returns what training, a backtest and a start need: rows in order of creation, of one
// account and mode, or of all if both are empty.
type Replayer interface {
	Replay(ctx context.Context, account, mode string, from, to time.Time, each func(Row) error) error
}

// Figures are the data of the charts, for the payments created in a period.
type Figures struct {
	Days    []DayFigures
	Scores  [10]int64 // scored payments by score: 0–9, 10–19, … 90–100
	Unrated int64     // payments without a score
	Rules   []RuleFigures
	// Estimate is the estimated number of honest payments among the blocked ones. It compares
	// them with payments of the same score that were let through and whose outcome is known.
	Estimate Estimate
}

// DayFigures are the figures of payments created on a day; sums per currency, in minor units.
type DayFigures struct {
	Day                                                  time.Time
	Attempts, Allowed, Challenged, Blocked, Held, Shield int64 // Shield: refused without a payment
	Authorised, Declined                                 int64
	Fraud, Legitimate                                    int64 // known by now
	ReviewOpened, ReviewClosed                           int64
	FraudMinor, BlockedMinor                             map[money.Currency]int64
}

// RuleFigures are the hits of one version of a rule, active or in shadow.
type RuleFigures struct {
	Rule                    string
	Version                 int
	Action                  payment.Action
	Shadow                  bool
	Hits, Fraud, Legitimate int64
	Minor                   map[money.Currency]int64
}

// Estimate is the estimated number of honest payments among the blocked ones.
type Estimate struct {
	Blocked     int64
	Honest      float64
	Low, High   float64 // 95 % interval of Honest
	Comparable  int64   // payments let through with the same scores and a known outcome
	Explainable bool    // false: too few for an estimate
}

// Shared returns what a row has in common with a payment: card, email, address.
func Shared(p payment.Payment, r Row) []string {
	var out []string
	if issuer.SameCard(p.Risk.Fingerprint, r.Risk.Fingerprint) {
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
