package payment

import (
	"cmp"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
)

// IssuerKey returns the reference of the current authorization at the issuer. No two
// authorizations share one.
func (p Payment) IssuerKey() string { return p.ID + "-" + strconv.Itoa(p.Try) }

// CaptureKey returns the id of the current capture at the issuer.
func (p Payment) CaptureKey() string { return p.ID + "-c" + strconv.Itoa(p.Captures) }

// VoidKey returns the id of the reversal at the issuer.
func (p Payment) VoidKey() string { return p.IssuerKey() + "-v" }

func (p Payment) heldAuthorization() (ledger.Transfer, bool) {
	return p.openHold(func(t ledger.Transfer) bool { return t.Kind == ledger.KindAuthorize })
}

// openHold returns a pending transfer in the log that nothing has resolved.
func (p Payment) openHold(want func(ledger.Transfer) bool) (found ledger.Transfer, ok bool) {
	for _, e := range p.Log {
		for _, t := range e.Transfers {
			if t.Phase == ledger.Pending && want(t) {
				found, ok = t, true
			}
			if ok && t.Resolves == found.ID {
				ok = false
			}
		}
	}
	return found, ok
}

// outcomeCode returns an outcome as a code.
func outcomeCode(o issuer.Outcome) string { return strings.ReplaceAll(o.String(), " ", "_") }

// answerCode returns the issuer's code or, if the answer has none, its outcome.
func answerCode(a issuer.Answer) string { return cmp.Or(a.Code, outcomeCode(a.Outcome)) }

func conflict(code, format string, args ...any) error {
	return fault.New(fault.KindConflict, code, format, args...)
}

func (s *step) captureAsked() error {
	p := &s.p
	if err := p.CanCapture(); err != nil {
		return err
	}
	if p.Status == Late && p.CapturedMinor > 0 { // accepting a late success
		if minor, err := s.minor(p.CapturedMinor); err != nil || minor != p.CapturedMinor {
			return fault.Invalid("amount", "amount_invalid", "The payment is captured already: it can only be accepted whole.")
		}
		s.settle(Succeeded, ReasonAccepted)
		return nil
	}
	minor, err := s.minor(p.AuthorizedMinor)
	if err != nil {
		return err
	}
	if minor < 0 || minor > p.AuthorizedMinor {
		return fault.Invalid("amount", "amount_too_large", "At most the authorised %s can be captured.", s.amount(p.AuthorizedMinor))
	}
	s.startCapture(minor)
	return nil
}

func (s *step) startCapture(minor int64) {
	s.p.Capturing = minor
	s.p.Captures++
	s.lease(s.in.At.Add(Lease))
	s.to(Capturing, Entry{Reason: ReasonCaptureRequested, Amount: s.amount(minor)})
}

func (s *step) captureAnswer() {
	p, a := &s.p, s.in.Answer
	if p.Status != Capturing && (!p.Orphaned() || p.Capturing == 0 || p.VoidFrom != None) {
		return
	}
	switch a.Outcome {
	case issuer.Approved:
		if a.Amount != s.amount(p.Capturing) {
			s.mismatch()
			return
		}
		p.CapturedMinor, p.Capturing = p.Capturing, 0
		var moves []ledger.Transfer
		if held, ok := p.heldAuthorization(); ok {
			moves = append(moves, ledger.Post(s.transferID(), ledger.KindCapture, held, p.CapturedMinor))
		}
		s.settle(Succeeded, ReasonCaptured, moves...)
	case issuer.Declined, issuer.NotSent, issuer.Reversed:
		p.Capturing = 0
		s.rest(s.in.At.Add(HoldLife))
		event := ""
		if p.Log[len(p.Log)-1].From == Late { // callers saw it as late, so an event reports the change
			event = "payment.authorized"
		}
		s.to(Authorized, Entry{Reason: ReasonCaptureFailed, Code: answerCode(a), Event: event})
	default:
		s.again()
	}
}

func (s *step) voidAsked() error {
	if err := s.p.CanVoid(); err != nil {
		return err
	}
	s.startVoid()
	return nil
}

func (s *step) startVoid() {
	s.p.VoidFrom = s.p.Status
	s.lease(s.in.At.Add(Lease))
	s.to(Voiding, Entry{Reason: ReasonVoidRequested})
}

func (s *step) voidAnswer() {
	p := &s.p
	if p.Status != Voiding && (!p.Orphaned() || p.VoidFrom == None) {
		return
	}
	switch s.in.Answer.Outcome {
	case issuer.Reversed:
		s.canceled(ReasonVoided)
	case issuer.Declined:
		back := p.VoidFrom
		p.VoidFrom = None
		next := time.Time{}
		switch {
		case back == Authorized || back == Late:
			next = s.in.At.Add(HoldLife)
		case back == Review && p.ReviewReason == ReasonIssuerGone:
			next = s.in.At.Add(goneEvery)
		}
		s.rest(next)
		s.to(back, Entry{Reason: ReasonVoidRefused, Code: answerCode(s.in.Answer)})
		s.hold()
	default: // also when proved not sent: the decision to void stands
		s.again()
	}
}

// Refundable returns what was captured and is neither refunded nor held for a refund. Undisputed
// subtracts what disputes claim.
func (p Payment) Refundable() money.Amount {
	left := p.CapturedMinor - p.RefundedMinor
	for _, r := range p.Refunds {
		if r.Status == RefundPending {
			left -= r.Minor
		}
	}
	return p.sum(left)
}

// RefundByID returns the refund with that id, and whether the payment has it.
func (p Payment) RefundByID(id string) (Refund, bool) {
	for _, r := range p.Refunds {
		if r.ID == id {
			return r, true
		}
	}
	return Refund{}, false
}

// Overdue reports whether the whole schedule of inquiries brought no clear answer. The money
// stays held, and a person must decide.
func (r Refund) Overdue() bool { return r.Status == RefundPending && r.Asked >= len(Schedule) }

func (s *step) refundAsked() error {
	p := &s.p
	if _, ok := p.RefundByID(s.in.Refund); ok {
		return nil // requested before, under the same id
	}
	left, free := p.Refundable().Minor, p.Undisputed().Minor
	if seen := s.in.Refundable; seen != nil && *seen != s.amount(free) {
		return conflict(
			"refundable_amount_changed",
			"%s of this payment can be refunded now, not %s. Read the payment, and decide again.",
			s.amount(free),
			*seen,
		)
	}
	if err := p.CanRefund(); err != nil {
		return err
	}
	minor, err := s.minor(left)
	if err != nil {
		return err
	}
	switch {
	case minor < 0 || minor > left:
		return fault.Invalid("amount", "amount_too_large", "At most %s can be refunded.", s.amount(left))
	case minor > free && !s.in.AllowDisputed:
		return s.claimed(free, "send allowDisputed to refund it anyway")
	case minor > free && s.in.By == "":
		return fault.Invalid("by", "parameter_missing", "A refund of disputed money says who allows it.")
	}

	e := Entry{Reason: ReasonRefundRequested}
	if minor > free {
		e = Entry{Reason: ReasonDisputedRefundRequested, Amount: s.amount(minor - free), By: s.in.By}
	}
	s.addRefund(s.in.Refund, minor, s.in.At.Add(Lease), e)
	return nil
}

// addRefund holds the money of a refund and appends the entry. If the money is disputed, e.By is
// who allowed the refund.
func (s *step) addRefund(id string, minor int64, due time.Time, e Entry) {
	p := &s.p
	hold := ledger.HoldRefund(s.transferID(), p.Account, p.Issuer, s.amount(minor))
	p.Refunds = append(p.Refunds, Refund{ID: id, Minor: minor, Status: RefundPending, CreatedAt: s.in.At, Hold: hold.ID, DueAt: due,
		AllowedBy: e.By})
	e.Event, e.Refund, e.Transfers = "refund.created", id, []ledger.Transfer{hold}
	s.stay(e)
}

func (s *step) refundAnswer() {
	p, a := &s.p, s.in.Answer
	var r *Refund
	for i := range p.Refunds {
		if p.Refunds[i].ID == s.in.Refund && p.Refunds[i].Asking() {
			r = &p.Refunds[i]
		}
	}
	if r == nil {
		return
	}
	hold, ok := p.openHold(func(t ledger.Transfer) bool { return t.ID == r.Hold })
	if !ok {
		s.err = fmt.Errorf("refund %s of %s holds no money", r.ID, p.ID)
		return
	}

	switch {
	case a.Outcome == issuer.Approved && a.Amount != s.amount(r.Minor):
		r.Code, r.DueAt = ReasonMismatch, time.Time{} // the money stays held, and a person decides
		s.mismatch()
	case a.Outcome == issuer.Approved:
		r.Status = RefundSucceeded
		p.RefundedMinor += r.Minor
		s.endLease()
		to := PartiallyRefunded
		switch {
		case p.Status == Review: // the payment is in review because of another refund
			to = Review
		case p.RefundedMinor == p.CapturedMinor:
			to = Refunded
		}
		s.entry(Entry{To: to, Reason: ReasonRefunded, Event: "refund.succeeded", Refund: r.ID, IssuerReference: a.IssuerReference,
			Transfers: []ledger.Transfer{ledger.Post(s.transferID(), ledger.KindRefund, hold, r.Minor)}})
	case a.Outcome == issuer.Declined, a.Outcome == issuer.NotSent:
		r.Status, r.Code = RefundFailed, a.Code
		if a.Outcome == issuer.NotSent {
			r.Code = "not_sent"
		}
		s.endLease()
		s.stay(Entry{Reason: ReasonRefundFailed, Code: r.Code, Event: "refund.failed", Refund: r.ID,
			Transfers: []ledger.Transfer{ledger.Release(s.transferID(), ledger.Voided, hold)}})
	default: // unknown: the hold stays until a definite answer
		wait := Schedule[min(r.Asked, len(Schedule)-1)]
		r.Asked++
		r.DueAt = s.in.At.Add(wait)
		s.touched = true
	}
}

// endLease ends the lease when the answered refund was the last work.
func (s *step) endLease() {
	if s.p.DueAt().IsZero() {
		s.p.Work = Work{}
	}
}
