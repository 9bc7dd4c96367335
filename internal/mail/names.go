package mail

import "github.com/paylink/paylink/internal/i18n"

// KindName returns the name of a kind of mail for people, or the kind itself if it has no
// name yet.
func KindName(p *i18n.Printer, kind string) string {
	switch kind {
	case Confirm:
		return p.T("mail.kind.confirm")
	case Reset:
		return p.T("mail.kind.reset")
	case Invite:
		return p.T("mail.kind.invite")
	case PasswordChanged:
		return p.T("mail.kind.password_changed")
	case NewSignIn:
		return p.T("mail.kind.new_sign_in")
	case Receipt:
		return p.T("mail.kind.receipt")
	case Refund:
		return p.T("mail.kind.refund")
	case Link:
		return p.T("mail.kind.link")
	case Expiring:
		return p.T("mail.kind.expiring")
	case EndpointDisabled:
		return p.T("mail.kind.endpoint_disabled")
	case PaymentHeld:
		return p.T("mail.kind.payment_held")
	case DisputeOpened:
		return p.T("mail.kind.dispute_opened")
	case DeadLetter:
		return p.T("mail.kind.parked")
	}

	return kind
}
