package payment

import (
	"fmt"

	"github.com/paylink/paylink/internal/ledger"
	"github.com/paylink/paylink/internal/money"
)

// report names a broken invariant.
type report func(invariant, format string, args ...any)

// Verify checks a payment against its own log and returns what is broken, one sentence each.
// The log is gap-free and chained (I7), the facts are its fold (I8), the sums are within bounds
// (I2, I3), every transfer balances (I1), and every hold is closed once, when its payment or
// refund is decided (I5). A payment that is decided holds no use of the link and is not due;
// one that is not decided is due (I11).
func (p Payment) Verify() []string {
	var broken []string
	say := func(invariant, format string, args ...any) {
		broken = append(broken, invariant+" "+p.ID+": "+fmt.Sprintf(format, args...))
	}
	last := p.verifyLog(say)
	if last.To != p.Status {
		say("I8", "the log ends in %q, the payment says %q", last.To, p.Status)
	}
	if last.Authorized != p.AuthorizedMinor || last.Captured != p.CapturedMinor || last.Refunded != p.RefundedMinor {
		say("I8", "the sums of the log differ from the payment's")
	}
	if p.CapturedMinor > p.AuthorizedMinor {
		say("I2", "captured %d of %d", p.CapturedMinor, p.AuthorizedMinor)
	}
	if p.Capturing > p.AuthorizedMinor {
		say("I2", "capturing %d of %d", p.Capturing, p.AuthorizedMinor)
	}
	if p.RefundedMinor > p.CapturedMinor || p.Refundable().Minor < 0 {
		say("I3", "refunded %d (with holds %d) of %d", p.RefundedMinor, p.CapturedMinor-p.Refundable().Minor, p.CapturedMinor)
	}
	p.verifyWork(say)
	p.verifyRisk(say)
	return broken
}

// verifyLog folds the log and its transfers, and returns the last entry.
func (p Payment) verifyLog(say report) (last Entry) {
	sheet := ledger.NewSheet()
	var captured, refunded int64
	for i, e := range p.Log {
		if e.Seq != int64(i)+1 {
			say("I7", "entry %d has seq %d", i+1, e.Seq)
		}
		if e.Hash == "" || e.Hash != chain(p.ID, p.Log[:i], e) {
			say("I7", "the hash of entry %d does not fit", e.Seq)
		}
		if e.From != last.To {
			say("I8", "entry %d leaves %q, but the payment was %q", e.Seq, e.From, last.To)
		}
		if e.Event == "" && e.From.Public() != e.To.Public() && e.To != Voiding && e.To != Capturing && e.From != Voiding && e.From != Capturing {
			say("I12", "entry %d changes the status without an event", e.Seq)
		}
		for _, t := range e.Transfers {
			if err := sheet.Apply(p.Account, t); err != nil {
				say("I1/I5", "%v", err)
			}
			if t.Currency != p.Amount.Currency {
				say("I13", "transfer %s moves %s, and the payment is in %s", t.ID, t.Currency, p.Amount.Currency)
			}
			switch {
			case t.Phase == ledger.Posted && t.Kind == ledger.KindCapture:
				captured += t.Minor()
			case t.Phase == ledger.Posted && t.Kind == ledger.KindRefund:
				refunded += t.Minor()
			}
		}

		if e.Captured != captured || e.Refunded != refunded {
			say("I8", "entry %d says captured %d and refunded %d, its transfers %d and %d", e.Seq, e.Captured, e.Refunded, captured, refunded)
		}
		last = e
	}
	p.verifyHolds(sheet, say)
	return last
}

// verifyHolds compares the open holds with what the payment and its refunds still wait for: no
// hold is missing, and none is left over.
func (p Payment) verifyHolds(sheet *ledger.Sheet, say report) {
	open := map[string]ledger.Transfer{}
	var authorized int64
	for _, t := range sheet.Open() {
		open[t.ID] = t
		if t.Kind == ledger.KindAuthorize {
			authorized += t.Minor()
			delete(open, t.ID)
		}
	}

	if want := p.held(); authorized != want && (want == 0 || authorized != 0 || !p.canceledBefore()) {
		say("I5", "%s holds %d of the authorization, and %d is to be held", p.Status, authorized, want)
	}
	var refunded int64
	for _, r := range p.Refunds {
		t, ok := open[r.Hold]
		delete(open, r.Hold)
		switch {
		case r.Status == RefundPending && (!ok || t.Kind != ledger.KindRefund || t.Minor() != r.Minor):
			say("I5", "refund %s of %d is pending and does not hold its money", r.ID, r.Minor)
		case r.Status != RefundPending && ok:
			say("I5", "refund %s is %s and still holds money", r.ID, r.Status)
		case r.Status == RefundSucceeded:
			refunded += r.Minor
		}
	}

	for id := range open {
		say("I5", "transfer %s is held for no refund", id)
	}
	if refunded != p.RefundedMinor {
		say("I3", "the refunds sum up to %d, the payment says %d", refunded, p.RefundedMinor)
	}
	b := ledger.Balance{Available: money.Of(0, p.Amount.Currency), Pending: money.Of(0, p.Amount.Currency)}
	if funds := sheet.Funds[p.Amount.Currency]; funds != nil {
		b = *funds
	}
	if b.Available.Minor != p.Refundable().Minor || b.Available.Minor < 0 || b.Pending.Minor != authorized {
		say("I4", "the ledger says %s available and %s pending", b.Available, b.Pending)
	}
}

// held returns what the payment's status says is authorized and not captured, in
// minor units.
func (p Payment) held() int64 {
	switch p.Status {
	case Authorized, Capturing, Voiding, Late, Review:
		if p.CapturedMinor == 0 {
			return p.AuthorizedMinor
		}
	default: // nothing is authorized
	}
	return 0
}

// canceledBefore reports whether the payment went on after it had been canceled. If the issuer
// approved another amount then, the payment entered review without a hold, and older versions
// kept the authorized sum.
func (p Payment) canceledBefore() bool {
	if p.Status != Review && (p.Status != Voiding || p.VoidFrom != Review) {
		return false
	}
	for _, e := range p.Log {
		if e.From == Canceled && e.To == Review {
			return true
		}
	}
	return false
}

// verifyWork compares the use of the link, the due time and the lease with what the
// status waits for.
func (p Payment) verifyWork(say report) {
	due, leased := !p.DueAt().IsZero(), p.Work.Owner != "" || !p.Work.Until.IsZero()
	switch p.Status {
	case Processing, RequiresAction, Unknown:
		if !p.UseReserved {
			say("I6", "%s, and no use of the link is reserved", p.Status)
		}
	case Review, Voiding: // as it was before
	default:
		if p.UseReserved {
			say("I6", "%s, and a use of the link is still reserved", p.Status)
		}
	}

	switch p.Status {
	case Created, Processing, RequiresAction, Unknown, Authorized, Capturing, Voiding:
		if !due {
			say("I11", "%s, and never due", p.Status)
		}
	case Declined, Canceled, Succeeded, PartiallyRefunded, Refunded:
		if !p.Work.NextAt.IsZero() {
			say("I11", "%s, and due at %s", p.Status, p.Work.NextAt)
		}
	default: // late and in review: either
	}

	// Older versions let the lease of a refund's worker expire by itself.
	if leased && !due && len(p.Refunds) == 0 {
		say("I11", "%s, with nothing to do and a lease until %s", p.Status, p.Work.Until)
	}
	for _, r := range p.Refunds {
		if r.Status == RefundPending && !r.Asking() && r.Code != ReasonMismatch {
			say("I11", "refund %s is pending and never due", r.ID)
		}
	}
}
