package payment

import "slices"

// CanCapture returns nil if the payment can be captured or, if it is late and captured already,
// be accepted. Otherwise it returns the fault that says why not: payment_held until a held
// payment is approved, else payment_not_capturable.
func (p Payment) CanCapture() error {
	switch {
	case p.Status != Authorized && p.Status != Late:
		return conflict("payment_not_capturable", "A payment that is %s cannot be captured.", p.Status.Public())
	case p.Risk.holds():
		return conflict("payment_held", "The payment is held for review: it is captured once somebody has approved it there.")
	}
	return nil
}

// CanVoid returns nil if the authorization can be voided, and the fault payment_not_voidable
// otherwise. Captured money is refunded instead.
func (p Payment) CanVoid() error {
	if p.CapturedMinor == 0 && (p.Status == Authorized || p.Status == Late || p.Status == Review) {
		return nil
	}
	return conflict("payment_not_voidable", "A payment that is %s cannot be voided.", p.Status.Public())
}

// CanRefund returns nil if something can be refunded, less what disputes claim. Otherwise it
// returns the fault payment_not_refundable or too_many_refunds.
func (p Payment) CanRefund() error {
	switch {
	case p.Status != Succeeded && p.Status != PartiallyRefunded && (p.Status != Late || p.CapturedMinor == 0):
		return conflict("payment_not_refundable", "A payment that is %s cannot be refunded.", p.Status.Public())
	case p.Refundable().Minor <= 0:
		return conflict("payment_not_refundable", "Nothing is left to refund.")
	case len(p.Refunds) >= MaxRefunds:
		return conflict("too_many_refunds", "A payment has at most %d refunds.", MaxRefunds)
	}
	return nil
}

// Settled reports whether no answer is outstanding: the payment changes only when
// a person, the payer or the end of a hold changes it.
func (p Payment) Settled() bool {
	switch p.Status {
	case Created, Processing, RequiresAction, Unknown, Capturing, Voiding:
		return false
	default:
		return !slices.ContainsFunc(p.Refunds, Refund.Asking)
	}
}
