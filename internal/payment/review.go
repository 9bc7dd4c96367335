package payment

import (
	"time"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/link"
)

// CodeBlocked is the decline code of a payment that was never sent to the issuer. The payer
// sees the same text as for any decline, so card testers learn nothing from it.
const CodeBlocked = "payment_blocked"

const (
	eventFlagged  = "fraud.flagged"
	eventReviewed = "fraud.reviewed"
)

// holds reports whether the money may not be captured yet: the action is Hold, and nobody has
// approved it.
func (r Risk) holds() bool { return r.Action == Hold && r.Review != ReviewApproved }

// blocked ends the attempt before anything is sent. It keeps no use of the link and no lease,
// and is never due.
func (s *step) blocked() {
	s.p.DeclineCode, s.p.DeclineMessage = CodeBlocked, "The payment was blocked before the issuer was asked."
	s.release()
	s.p.Work = Work{}
	s.to(Declined, Entry{Reason: ReasonBlocked, Code: s.p.Risk.Why, By: s.p.Risk.Rule, Event: "payment.declined"})
	s.stay(Entry{Reason: ReasonFlagged, Event: eventFlagged})
}

// hold opens the review of a success that is to be held. Money that is returned automatically
// needs no review.
func (s *step) hold() {
	p := &s.p
	if p.Risk.Action != Hold || (p.Risk.Review != "" && p.Risk.Review != ReviewLapsed) || len(p.Refunds) > 0 {
		return
	}
	switch p.Status {
	case Authorized, Late, Succeeded: // the last one: an issuer captured although it was asked not to
		p.Risk.Review = ReviewOpen
		until := s.in.At.Add(time.Duration(p.Risk.ReviewSeconds) * time.Second)
		if p.Risk.ReviewSeconds > 0 && p.CapturedMinor == 0 && until.Before(p.Work.NextAt) {
			s.rest(until) // without a verdict it is voided then
		}
		s.stay(Entry{Reason: ReasonHeldForReview, Code: p.Risk.Why, By: p.Risk.Rule, Event: eventFlagged})
	default: // the late policy gives the money back
	}
}

// reviewed applies a person's verdict. A verdict is final, but an approved payment may still be
// refunded as fraud.
func (s *step) reviewed() error {
	p := &s.p
	if s.in.By == "" {
		return fault.Invalid("by", "parameter_missing", "A review says who made it.")
	}
	if s.in.Verdict != "" && p.Risk.Review == s.in.Verdict {
		return nil // a repetition
	}
	switch s.in.Verdict {
	case ReviewApproved, ReviewDeclined:
		if p.Risk.Review != ReviewOpen {
			return conflict("payment_not_in_review", "The payment is not waiting in review.")
		}
	case ReviewRefunded:
	default:
		return fault.Invalid("verdict", "parameter_invalid", "A verdict is approved, declined or refunded.")
	}

	uncaptured := (p.Status == Authorized || p.Status == Late) && p.CapturedMinor == 0
	switch {
	case s.in.Verdict == ReviewApproved:
		return s.approvedInReview(uncaptured)
	case uncaptured:
		s.verdict()
		s.startVoid()
		return nil
	case s.in.Verdict == ReviewDeclined && p.Status == Voiding: // already requested
		s.verdict()
		return nil
	case s.in.Verdict == ReviewDeclined:
		return conflict("payment_not_voidable", "A payment that is %s cannot be declined; what was captured is refunded.", p.Status.Public())
	}

	return s.refundedInReview()
}

// HeldSince returns when the payment was authorized, and so began to wait.
func (p Payment) HeldSince() time.Time {
	for _, e := range p.Log {
		if e.To == Authorized || e.To == Late {
			return e.At
		}
	}
	return p.CreatedAt
}

// HoldEnds returns when an authorization that waits is voided, unless somebody decides before.
func (p Payment) HoldEnds() time.Time {
	if p.Status == Authorized && !p.Work.NextAt.IsZero() {
		return p.Work.NextAt
	}
	return p.HeldSince().Add(HoldLife)
}

func (s *step) approvedInReview(uncaptured bool) error {
	p := &s.p
	if p.Status == Voiding {
		return conflict("payment_not_capturable", "The payment is being voided.")
	}
	s.verdict()
	switch {
	case uncaptured && p.Capture == link.CaptureAutomatic:
		s.startCapture(p.AuthorizedMinor)
	case uncaptured && p.Risk.ReviewSeconds > 0: // it now waits like every authorization
		s.rest(p.HeldSince().Add(HoldLife))
	}
	return nil
}

func (s *step) refundedInReview() error {
	p := &s.p
	left := p.Undisputed().Minor // the dispute decides about the money it claims
	switch err := p.CanRefund(); {
	case fault.Code(err) == "payment_not_refundable":
		return conflict(
			"payment_not_refundable",
			"Nothing of a payment that is %s can be given back; mark it as fraud instead.",
			p.Status.Public(),
		)
	case err != nil:
		return err
	case left == 0:
		return s.claimed(0, "mark it as fraud instead")
	}
	s.verdict()
	s.addRefund(s.in.Refund, left, s.in.At.Add(Lease), Entry{Reason: ReasonRefundRequested})
	return nil
}

// verdict records the verdict. A refund as fraud labels the payment as fraud.
func (s *step) verdict() {
	r := &s.p.Risk
	r.Review, r.ReviewedAt, r.ReviewedBy = s.in.Verdict, s.in.At, s.in.By
	if s.in.Verdict == ReviewRefunded {
		r.Label, r.LabelledAt, r.LabelledBy = LabelFraud, s.in.At, s.in.By
	}
	s.stay(Entry{Reason: verdictReasons[s.in.Verdict], By: s.in.By, Event: eventReviewed})
}

// marked sets or removes the label, in any status.
func (s *step) marked() error {
	r := &s.p.Risk
	switch {
	case s.in.By == "":
		return fault.Invalid("by", "parameter_missing", "A mark says who made it.")
	case s.in.Label != "" && s.in.Label != LabelFraud && s.in.Label != LabelLegitimate:
		return fault.Invalid("label", "parameter_invalid", "A label is fraud, legitimate, or nothing.")
	case s.in.Label == r.Label || s.p.Status == None:
		return nil
	case s.in.Label == "":
		r.Label, r.LabelledAt, r.LabelledBy = "", time.Time{}, ""
	default:
		r.Label, r.LabelledAt, r.LabelledBy = s.in.Label, s.in.At, s.in.By
	}
	s.stay(Entry{Reason: labelReasons[s.in.Label], By: s.in.By, Event: eventReviewed})
	return nil
}

// verifyRisk compares the decision and the verdict with the log: a held payment is not captured
// before it is approved, and every verdict names its author.
func (p Payment) verifyRisk(say func(invariant, format string, args ...any)) {
	r := p.Risk
	var last Entry
	for _, e := range p.Log {
		if e.To == Capturing && e.Review != "" && e.Review != ReviewApproved {
			say("review", "entry %d captures what is %s in review", e.Seq, e.Review)
		}
		last = e
	}
	if last.Review != r.Review || last.Label != r.Label {
		say("I8", "the log says %q in review and label %q, the payment %q and %q", last.Review, last.Label, r.Review, r.Label)
	}
	said := r.Review == ReviewApproved || r.Review == ReviewDeclined || r.Review == ReviewRefunded
	if said != (r.ReviewedBy != "" && !r.ReviewedAt.IsZero()) {
		say("review", "%q in review does not say who said it, and when", r.Review)
	}
	if (r.Label != "") != (r.LabelledBy != "" && !r.LabelledAt.IsZero()) {
		say("review", "the label %q does not say who gave it, and when", r.Label)
	}
	if p.DeclineCode == CodeBlocked && r.Action != Block {
		say("review", "it was blocked, and nothing says by what")
	}
	p.verifyDisputes(say)
}
