package simulator

import (
	"strings"

	"github.com/paylink/paylink/internal/issuer"
)

// behavior is what a test card makes the issuer do, beyond its decision.
type behaviour uint8

const (
	plain         behaviour = iota
	challenge               // asks for 3-D Secure first
	lostAnswer              // approves, and the answer is lost
	neverArrives            // the request is lost before the issuer sees it
	late                    // approves once the link has ended
	twice                   // answers, and sends the answer again as a notice
	otherAmount             // approves one minor unit more than asked
	down                    // approves, and is unreachable for Config.Downtime
	slow                    // approves, and answers after Config.Slowness
	refundRefused           // approves, and refuses every refund
	disputed                // approves, and the payer disputes it as fraud soon after the capture
)

// behaviorNames are the names of behaviors in the journal: never change one.
var behaviourNames = [...]string{"", "challenge", "lost_answer", "never_arrives", "late", "twice", "other_amount", "down", "slow",
	"refund_refused", "disputed"}

func behaviourOf(name string) (behaviour, bool) {
	for i, n := range behaviourNames {
		if n == name {
			return behaviour(i), true
		}
	}
	return 0, false
}

// rule is what a card number does, and why it is declined (whyNone: it is not).
type rule struct {
	does behaviour
	why  reason
}

// testedRange begins the numbers of nine ranges (400001 to 400009) that always decline, to
// simulate card testing.
const testedRange = "40000"

// ruleOf returns the rule of a test card. A number that is neither listed nor in those ranges
// is approved.
func ruleOf(digits []byte) rule {
	number := string(digits) // on the stack: nothing below keeps it
	// 400000 itself has the listed cards below.
	if next, ok := strings.CutPrefix(number, testedRange); ok && next[0] != '0' {
		return rule{why: whyDeclined}
	}

	switch number {
	case "4000000000000002":
		return rule{why: whyDeclined}
	case "4000000000009995":
		return rule{why: whyFunds}
	case "4000000000009987":
		return rule{why: whyLost}
	case "4000000000009979":
		return rule{why: whyStolen}
	case "4000000000000069":
		return rule{why: whyExpired}
	case "4000000000000127":
		return rule{why: whyCVC}
	case "4000000000000119":
		return rule{why: whyProcessing}
	// From here on the cards are approved, and something else goes wrong or is asked for.
	case "4000000000003220":
		return rule{does: challenge}
	case "4000000000006108":
		return rule{does: lostAnswer}
	case "4000000000006116":
		return rule{does: neverArrives}
	case "4000000000006124":
		return rule{does: late}
	case "4000000000006132":
		return rule{does: twice}
	case "4000000000006140":
		return rule{does: otherAmount}
	case "4000000000006157":
		return rule{does: down}
	case "4000000000006165":
		return rule{does: slow}
	case "4000000000006173":
		return rule{does: refundRefused}
	case "4000000000006181":
		return rule{does: disputed}
	}

	return rule{}
}

// reason is why something was declined. It is kept so that a repeated call gets the same
// text. The order of the values is free; the journal has their names.
type reason uint8

const (
	whyNone reason = iota
	whyDeclined
	whyFunds
	whyLost
	whyStolen
	whyExpired
	whyCVC
	whyProcessing
	whyAuthentication
	whyUnsupported
	whyReversed
	whyUnknown
	whyNotAuthorised
	whyCaptured
	whyNotCaptured
	whyAmount
	whyOverAuthorised
	whyOverCaptured
	whyReusedID
	whyNoRefund
)

// reasons holds the reasons by number. Their names are in the journal: never change one.
var reasons = [...]struct{ name, code, message string }{
	whyNone:           {},
	whyDeclined:       {"declined", issuer.CodeDeclined, "The issuer declined the card."},
	whyFunds:          {"insufficient_funds", issuer.CodeInsufficientFunds, "The account has too little money."},
	whyLost:           {"lost_card", issuer.CodeLost, "The card was reported lost."},
	whyStolen:         {"stolen_card", issuer.CodeStolen, "The card was reported stolen."},
	whyExpired:        {"expired_card", issuer.CodeExpired, "The issuer reports that the card has expired."},
	whyCVC:            {"incorrect_cvc", issuer.CodeIncorrectCVC, "The security code is wrong."},
	whyProcessing:     {"processing_error", issuer.CodeProcessing, "The issuer could not process the request."},
	whyAuthentication: {"authentication_failed", issuer.CodeAuthentication, "The payer did not pass the 3-D Secure check."},
	whyUnsupported:    {"unsupported", issuer.CodeProcessing, "The issuer does not take this currency or amount."},
	whyReversed:       {"reversed", issuer.CodeDeclined, "The authorisation was reversed."},
	whyUnknown:        {"unknown_authorisation", issuer.CodeDeclined, "The issuer knows no such authorisation."},
	whyNotAuthorised:  {"not_authorised", issuer.CodeDeclined, "Nothing is authorised under this reference."},
	whyCaptured:       {"already_captured", issuer.CodeDeclined, "The authorisation was captured already."},
	whyNotCaptured:    {"not_captured", issuer.CodeDeclined, "Nothing was captured that could be refunded."},
	whyAmount:         {"amount_invalid", issuer.CodeDeclined, "The amount must be positive and in the currency of the authorisation."},
	whyOverAuthorised: {"over_authorised", issuer.CodeDeclined, "The amount is more than was authorised."},
	whyOverCaptured:   {"over_captured", issuer.CodeDeclined, "The amount is more than what was captured and not yet refunded."},
	whyReusedID:       {"id_reused", issuer.CodeDeclined, "The operation's id was used for another operation."},
	whyNoRefund:       {"refund_refused", issuer.CodeDeclined, "The card takes no refund."},
}

// reasonOf returns the reason of a name in the journal.
func reasonOf(name string) (reason, bool) {
	for i := range reasons {
		if reasons[i].name == name {
			return reason(i), true
		}
	}
	return 0, false
}
