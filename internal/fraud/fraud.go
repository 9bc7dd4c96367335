// Package fraud is the box that looks at an attempt to pay before the issuer is
// asked: it says what to do with it, and why.
//
// Parts, each deep and each with one file here that uses it: score (features, and
// models that learned from labels), rule (what merchants and operators write),
// shield (card testers and floods). What it saw and said rides in the payment
// (payment.Risk) and reaches the analytics store with the change feed.
//
// Counts are of one account, mode and currency: tenants never see each other, not
// even as a number. Only the shield counts over the whole installation, and it
// shows nothing of what it counted.
package fraud

import (
	"context"
	"time"

	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Attempt is what the box is told of an attempt to pay. No card is in it.
type Attempt struct {
	Payment     string // its id, which follows from link and attempt
	At          time.Time
	Account     string
	Mode        string
	Link        string
	Amount      money.Amount
	Fingerprint string // of the card, of this account and mode alone
	Card        string // of the card, over the installation: for the shield's memory alone, never stored or shown
	BIN         string
	Brand       string
	Email       string
	Address     string // prefix of the payer's address
	Country     string
	Proof       string // of work, see Challenge
}

// Assessor is the path: it answers from memory, and never waits for a store.
type Assessor interface {
	// Assess says what to do with an attempt. The fault of code attempts_exceeded (kind
	// rate limited) is the shield's: the attempt is refused, and no payment is made
	// of it. The same payment asked again is answered anew, and counted once.
	Assess(context.Context, Attempt) (Verdict, error)
	// Challenge is what the page of a link must work out before it submits this
	// attempt; the zero Puzzle is nothing.
	Challenge(ctx context.Context, l link.Link, attempt, address string) (Puzzle, error)
}

// Verdict is what to do, and what the account wants done when nobody answers in time.
type Verdict struct {
	Risk     payment.Risk
	FailOpen bool // the account's policy: an attempt that nobody assessed in time is allowed (or blocked)
}

// Puzzle is a proof of work: find a nonce so that the SHA-256 of Seed and the nonce
// begins with Bits zero bits. Seed says which attempt and until when it is good, and
// is signed by us.
type Puzzle struct {
	Seed string `json:"seed,omitempty"`
	Bits int    `json:"bits,omitempty"`
}

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
type History interface {
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

// Box is the box as another one sees it: the real parts, or clients over the wire.
// A nil part is one that the process has no way to.
type Box struct {
	Assessor Assessor
	Analyst  Analyst
	Rulebook Rulebook
	Models   Models
}

// Shared is what a row has in common with a payment: card, email, address.
func Shared(p payment.Payment, r Row) []string {
	var out []string
	if p.Risk.Fingerprint != "" && p.Risk.Fingerprint == r.Risk.Fingerprint {
		out = append(out, "card")
	}
	if p.PayerEmail != "" && EmailKey(p.PayerEmail) == EmailKey(r.PayerEmail) {
		out = append(out, "email")
	}
	if p.Risk.Address != "" && p.Risk.Address == r.Risk.Address {
		out = append(out, "address")
	}
	return out
}
