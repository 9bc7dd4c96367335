package payment

import (
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// Kind is the kind of an input to the machine.
type Kind uint8

// The inputs. Sync, Inquired and Noticed carry an issuer's answer about the authorization: to
// the call itself, to an inquiry, or by a notice.
const (
	Begin         Kind = iota // the payer submits; from here on a call may leave
	Sync                      // the answer to Authorize
	Inquired                  // the answer to Lookup or Reverse of the authorization
	Noticed                   // an answer that the issuer sent unasked
	Lost                      // the worker's lease ran out
	Claim                     // a worker takes the lease
	Abandon                   // never submitted again, and the link has ended
	CaptureAsked              // the merchant captures, or accepts a late success
	CaptureAnswer             // the answer to Capture, or to its inquiry
	VoidAsked                 // the merchant voids, or the hold ran out
	VoidAnswer                // the answer to Reverse while voiding
	RefundAsked               // the merchant refunds
	RefundAnswer              // the answer to Refund, or to its inquiry
	Reviewed                  // a person decides on a payment, see Verdict
	Marked                    // a person labels the payment, see Label
	Disputed                  // a dispute is opened or changes its state
)

var kindNames = [...]string{"begin", "sync", "inquired", "noticed", "lost", "claim", "abandon",
	"capture asked", "capture answer", "void asked", "void answer", "refund asked", "refund answer",
	"reviewed", "marked", "disputed"}

func (k Kind) String() string { return kindNames[k] }

// Input is one input to the machine. Change is a fresh id; At is the current time.
type Input struct {
	Kind   Kind
	Change string
	At     time.Time
	Actor  string // who caused it: payer, merchant, issuer, sweep
	Answer issuer.Answer
	// Reference names the authorization that the answer is about. An answer about an earlier
	// try changes nothing; "" means the current one.
	Reference string
	Amount    money.Amount // of a capture (zero: all), a refund (all that is left) or a dispute (all that was captured)
	Refund    string       // RefundAsked, RefundAnswer: id of the refund; Reviewed: id of the one that it may need
	Owner     string       // of the lease
	// Refundable is what the caller of RefundAsked saw as refundable. If set, it must still be
	// so.
	Refundable *money.Amount
	// AllowDisputed lets RefundAsked refund what a dispute claims; By names who allows it.
	AllowDisputed bool
	// NoUse says that a success came after its use was released and that the link has no use
	// left. The money is refunded, whatever the policy.
	NoUse bool
	// Extra marks an inquiry outside the schedule, triggered by a read.
	Extra bool
	Link  link.Link // Begin: the link as it was read; a success: for the event link.paid
	URL   string    // the link's URL, for its event

	Risk      Risk         // Begin: the assessment of the attempt, made before it is committed
	Verdict   string       // Reviewed: ReviewApproved, ReviewDeclined or ReviewRefunded
	Label     string       // Marked: a label, or "" to remove it
	By        string       // of the actor merchant: id of the user or API key
	Dispute   DisputeInput // Disputed
	DisputeID string       // Disputed: the id if it is a new one
}

// Schedule holds the pauses between inquiries while an outcome is unknown. After the last one a
// person decides.
var Schedule = [...]time.Duration{10 * time.Second, time.Minute, 5 * time.Minute, time.Hour,
	24 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour, 24 * time.Hour}

// An issuer that is missing is tried for about an hour: the configuration may be wrong for one
// restart only.
const (
	goneAfter = 4
	goneEvery = 24 * time.Hour
)

// Next returns the change to commit for a payment and an input. It is pure. If the status does
// not admit the input, a caller's request is a fault (409), and an issuer's answer, which came
// twice or too late, is a Change with Nothing set.
func Next(p Payment, in Input) (Change, error) {
	in.At = in.At.UTC().Truncate(time.Microsecond)
	s := &step{p: p.clone(), in: in, change: Change{ID: in.Change, Expected: p.Revision, At: in.At}}
	var err error
	switch in.Kind {
	case Begin:
		s.begin()
	case Sync, Inquired, Noticed:
		s.authorization()
	case Lost:
		s.lost()
	case Claim:
		s.claim()
	case Abandon:
		s.abandon()
	case CaptureAsked:
		err = s.captureAsked()
	case CaptureAnswer:
		s.captureAnswer()
	case VoidAsked:
		err = s.voidAsked()
	case VoidAnswer:
		s.voidAnswer()
	case RefundAsked:
		err = s.refundAsked()
	case RefundAnswer:
		s.refundAnswer()
	case Reviewed:
		err = s.reviewed()
	case Marked:
		err = s.marked()
	case Disputed:
		err = s.disputed()
	}
	if err != nil {
		return Change{}, err
	}

	return s.finish()
}

// step collects what one input does.
type step struct {
	p       Payment
	in      Input
	change  Change
	touched bool // committed although the log does not grow
	err     error
}

func (s *step) finish() (Change, error) {
	if s.err != nil {
		return Change{}, s.err
	}
	if len(s.change.Entries) == 0 && !s.touched {
		return Change{Nothing: true, Payment: s.p}, nil
	}
	if len(s.p.Log) > MaxLogEntries-s.room() {
		return Change{}, fault.New(fault.KindConflict, "payment_log_full", "A payment has at most %d log entries.", MaxLogEntries)
	}
	s.p.LastChange = s.in.Change
	s.p.Revision = s.change.Expected + 1
	s.change.Payment = s.p
	return s.change, nil
}

// room returns how many entries must remain free in the log after the input, so that its
// answers, and those still outstanding, can always be written.
func (s *step) room() int {
	room := 0
	switch s.in.Kind {
	case Begin:
		room = 12
	case CaptureAsked, Reviewed:
		room = 8
	case RefundAsked, Disputed:
		room = 4
	case Marked: // labels repeat without limit, so they must not take the entries that money needs
		room = 16
	default:
		return 0
	}
	for _, r := range s.p.Refunds {
		if r.Status == RefundPending {
			room++
		}
	}
	return room
}

func (p Payment) clone() Payment {
	p.Log = append([]Entry(nil), p.Log...)
	p.Refunds = append([]Refund(nil), p.Refunds...)
	p.Disputes = append([]Dispute(nil), p.Disputes...)
	return p
}

func (s *step) begin() {
	p, l := &s.p, s.in.Link
	switch p.Status {
	case None:
		p.Risk = s.in.Risk
		s.to(Created, Entry{Reason: ReasonSubmitted, Event: "payment.created"})
	case Created: // proved not sent: the payer tries again, maybe with another card
		p.Risk = s.in.Risk
	default:
		return // the same attempt is the same payment, and its decision stands
	}
	if p.Risk.Action == Block {
		s.blocked()
		return
	}
	p.LinkEndsAt = l.ExpiresAt
	p.Try++
	p.UseReserved = true
	s.change.Use = UseReserve
	s.lease(s.in.At.Add(Lease))
	s.to(Processing, Entry{Reason: ReasonAuthorizationRequested, Event: "payment.processing"})
}

// authorization applies an answer about the authorization.
func (s *step) authorization() {
	p, a := &s.p, s.in.Answer
	if s.in.Reference != "" && s.in.Reference != p.IssuerKey() {
		return
	}
	waiting := p.Status == Processing || p.Status == Unknown || p.Status == RequiresAction ||
		(p.Status == Review && (p.ReviewReason == ReasonUnresolved || p.ReviewReason == ReasonIssuerGone) && p.AuthorizedMinor == 0)
	switch a.Outcome {
	case issuer.Approved:
		freed := p.Status == Created || p.Status == Declined || p.Status == Canceled
		switch {
		case waiting || freed:
			s.approved(freed)
		case a.Amount != p.Amount && p.CapturedMinor == 0 && (p.Status == Authorized || p.Status == Late):
			s.mismatch()
		}
	case issuer.Declined:
		if waiting {
			s.declined()
		}
	case issuer.ActionRequired:
		if p.Status == Processing || p.Status == Unknown {
			p.ActionURL = a.ActionURL
			s.rest(s.in.At.Add(ChallengeLife))
			s.to(RequiresAction, Entry{Reason: ReasonChallengeRequired, Event: "payment.requires_action"})
		} else if p.Status == RequiresAction && s.in.Kind == Inquired {
			s.again()
		}
	case issuer.Reversed:
		if waiting || p.Status == Authorized || (p.Status == Late && p.CapturedMinor == 0) {
			s.canceled(ReasonNothingAuthorized)
		}
	case issuer.NotSent:
		if s.in.Kind == Sync && p.Status == Processing {
			s.release()
			s.rest(p.LinkEndsAt)
			s.to(Created, Entry{Reason: ReasonNotSent, Event: "payment.created"})
		} else if s.in.Kind == Inquired {
			s.unclear()
		}
	case issuer.Ambiguous, issuer.Pending, issuer.NotFound:
		if s.in.Kind != Noticed {
			s.unclear()
		}
	}
}

// unclear marks the outcome as unknown. That is a state, never a guess.
func (s *step) unclear() {
	switch s.p.Status {
	case Processing:
		s.rest(s.in.At.Add(Schedule[0]))
		s.to(Unknown, Entry{Reason: ReasonNoClearAnswer, Code: outcomeCode(s.in.Answer.Outcome), Event: "payment.unknown"})
	case Unknown, RequiresAction:
		if s.in.Kind == Inquired {
			s.again()
		}
	case Review:
		if s.in.Kind == Inquired && s.p.Orphaned() {
			s.again()
		}
	default: // the outcome is known
	}
}

// again schedules the next inquiry, or moves the payment to review.
func (s *step) again() {
	w := &s.p.Work
	if s.p.Orphaned() { // already in review; it continues if the issuer comes back
		s.rest(s.in.At.Add(goneEvery))
		s.touched = true
		return
	}
	if !s.in.Extra {
		w.Asked++
	}
	if s.in.Answer.Code == issuer.Gone && w.Asked >= goneAfter {
		s.p.ReviewReason = ReasonIssuerGone
		s.rest(s.in.At.Add(goneEvery))
		s.to(Review, Entry{Reason: ReasonIssuerGone, Event: "payment.review"})
		return
	}
	if w.Asked >= len(Schedule) {
		s.p.ReviewReason = ReasonUnresolved
		s.rest(time.Time{})
		s.to(Review, Entry{Reason: ReasonUnresolved, Event: "payment.review"})
		return
	}
	w.Owner, w.Until = "", time.Time{}
	w.AskedAt, w.NextAt = s.in.At, s.in.At.Add(Schedule[w.Asked])
	s.touched = true
}

func (s *step) approved(freed bool) {
	p, a := &s.p, s.in.Answer
	p.IssuerReference = a.IssuerReference
	if a.Amount != p.Amount {
		p.AuthorizedMinor = 0 // the hold of an earlier approval was released when the payment was abandoned
		s.mismatch()
		return
	}

	p.AuthorizedMinor = a.Amount.Minor
	move := ledger.Authorize(s.transferID(), p.Account, p.Issuer, a.Amount)
	goal, reason := Authorized, ReasonApproved
	if a.Captured {
		p.CapturedMinor = a.Amount.Minor
		move = ledger.Capture(s.transferID(), p.Account, p.Issuer, a.Amount)
		goal, reason = Succeeded, ReasonApprovedAndCaptured
	}

	s.take(freed)
	decided := a.At
	if decided.IsZero() {
		decided = s.in.At
	}
	if !freed && decided.Before(p.LinkEndsAt) {
		s.settle(goal, reason, move)
	} else {
		s.late(goal, freed, move)
	}
	s.hold()
}

// mismatch moves the payment to review because the amount of the issuer's answer contradicts the
// request.
func (s *step) mismatch() {
	s.p.ReviewReason = ReasonMismatch
	s.rest(time.Time{})
	s.to(Review, Entry{Reason: ReasonMismatch, Amount: s.in.Answer.Amount, Event: "payment.review"})
}

// settle enters Authorized or Succeeded.
func (s *step) settle(goal Status, reason Reason, moves ...ledger.Transfer) {
	if goal == Authorized {
		s.rest(s.in.At.Add(HoldLife))
	} else {
		s.rest(time.Time{})
	}
	s.to(goal, Entry{Reason: reason, Event: "payment." + string(goal), Transfers: moves})
}

// late applies the link's policy to a success after the link had ended, or after its use was
// released.
func (s *step) late(goal Status, freed bool, move ledger.Transfer) {
	p := &s.p
	s.rest(time.Time{})
	reason := ReasonApprovedLate
	if freed {
		reason = ReasonApprovedAfterFailure
	}
	s.to(Late, Entry{Reason: reason, Event: "payment.late", Transfers: []ledger.Transfer{move}})
	policy := p.LatePolicy
	if s.in.NoUse || p.Risk.Action == Block {
		policy = link.LateRefund
	}
	switch {
	case policy == link.LateAccept:
		s.settle(goal, ReasonLatePolicyAccept)
	case policy == link.LateRefund && goal == Authorized:
		p.VoidFrom = Late
		s.rest(s.in.At)
		s.to(Voiding, Entry{Reason: ReasonLatePolicyVoid})
	case goal == Authorized: // held for the merchant to decide, no longer than any authorization
		s.rest(s.in.At.Add(HoldLife))
	case policy == link.LateRefund:
		// No dispute comes before the capture.
		s.addRefund("rfd"+p.ID[len("pay"):], p.CapturedMinor, s.in.At, Entry{Reason: ReasonLatePolicyRefund})
	}
}

// take completes the use of the link.
func (s *step) take(freed bool) {
	switch {
	case s.p.UseReserved:
		s.change.Use = UseComplete
	case freed && !s.in.NoUse && s.p.Risk.Action != Block:
		s.change.Use = UseRetake
	}
	s.p.UseReserved = false
}

// release releases the use of the link.
func (s *step) release() {
	if s.p.UseReserved {
		s.change.Use = UseRelease
		s.p.UseReserved = false
	}
}

func (s *step) declined() {
	p, a := &s.p, s.in.Answer
	p.IssuerReference, p.DeclineCode, p.DeclineMessage = a.IssuerReference, a.Code, a.Message
	if p.DeclineCode == "" {
		p.DeclineCode = issuer.CodeDeclined
	}
	s.release()
	s.rest(time.Time{})
	s.to(Declined, Entry{Reason: ReasonDeclined, Code: p.DeclineCode, Event: "payment.declined"})
}

func (s *step) canceled(reason Reason) {
	s.release()
	s.rest(time.Time{})
	var moves []ledger.Transfer
	if s.p.Risk.Review == ReviewOpen {
		s.p.Risk.Review = ReviewLapsed
	}
	if held, ok := s.p.heldAuthorization(); ok {
		moves = append(moves, ledger.Release(s.transferID(), ledger.Voided, held))
	}
	s.to(Canceled, Entry{Reason: reason, Event: "payment.canceled", Transfers: moves})
}

// lost handles the loss of the worker that held the lease: nobody knows what it did. A worker
// that has claimed the payment since may report it, and keeps its lease.
func (s *step) lost() {
	mine := s.in.Owner != "" && s.in.Owner == s.p.Work.Owner
	switch {
	case s.p.Status != Processing || (s.in.At.Before(s.p.Work.Until) && !mine):
	default:
		if mine {
			s.lease(s.in.At.Add(Lease))
		} else {
			s.rest(s.in.At)
		}
		s.to(Unknown, Entry{Reason: ReasonWorkerLost, Event: "payment.unknown"})
	}
}

// claim takes the lease if the payment is due at any time. A worker that holds an older
// revision can no longer commit.
func (s *step) claim() {
	if s.in.At.Before(s.p.Work.Until) && s.p.Work.Owner != s.in.Owner {
		return // another worker's lease is running
	}
	if s.p.DueAt().IsZero() {
		return // there is no work
	}
	s.p.Work.Owner, s.p.Work.Until = s.in.Owner, s.in.At.Add(Lease)
	if !s.p.Work.NextAt.IsZero() {
		s.p.Work.NextAt = s.p.Work.Until
	}
	for i, r := range s.p.Refunds {
		if r.Asking() {
			s.p.Refunds[i].DueAt = s.p.Work.Until
		}
	}
	s.touched = true
}

func (s *step) abandon() {
	if s.p.Status == Created && !s.in.At.Before(s.p.LinkEndsAt) {
		s.canceled(ReasonAbandoned)
	}
}

// lease gives the step's owner the lease until then.
func (s *step) lease(until time.Time) {
	s.p.Work = Work{Owner: s.in.Owner, Until: until, NextAt: until}
}

// rest ends the lease and makes the status due at next (zero: never).
func (s *step) rest(next time.Time) { s.p.Work = Work{NextAt: next} }

// minor returns the input's amount in minor units, or all if it is zero. It fails with
// amount_invalid if the amount is in another currency than the payment.
func (s *step) minor(all int64) (int64, error) {
	switch a := s.in.Amount; {
	case a.Zero():
		return all, nil
	case a.Currency != s.p.Amount.Currency:
		return 0, fault.Invalid("amount", "amount_invalid", "The amount must be in %s, the currency of the payment.", s.p.Amount.Currency)
	default:
		return a.Minor, nil
	}
}

func (s *step) amount(minor int64) money.Amount { return s.p.sum(minor) }
