package payments

import (
	"strings"

	"github.com/paylink/paylink/internal/payment"
)

// reasonKeys has the message of every reason.
var reasonKeys = map[payment.Reason]string{
	payment.ReasonSubmitted:               "payments.reason.submitted",
	payment.ReasonAuthorizationRequested:  "payments.reason.authorization_requested",
	payment.ReasonNotSent:                 "payments.reason.not_sent",
	payment.ReasonBlocked:                 "payments.reason.blocked",
	payment.ReasonFlagged:                 "payments.reason.flagged",
	payment.ReasonHeldForReview:           "payments.reason.held_for_review",
	payment.ReasonChallengeRequired:       "payments.reason.challenge_required",
	payment.ReasonNoClearAnswer:           "payments.reason.no_clear_answer",
	payment.ReasonWorkerLost:              "payments.reason.worker_lost",
	payment.ReasonApproved:                "payments.reason.approved",
	payment.ReasonApprovedAndCaptured:     "payments.reason.approved_and_captured",
	payment.ReasonApprovedLate:            "payments.reason.approved_late",
	payment.ReasonApprovedAfterFailure:    "payments.reason.approved_after_failure",
	payment.ReasonAccepted:                "payments.reason.accepted",
	payment.ReasonLatePolicyAccept:        "payments.reason.late_policy_accept",
	payment.ReasonLatePolicyVoid:          "payments.reason.late_policy_void",
	payment.ReasonLatePolicyRefund:        "payments.reason.late_policy_refund",
	payment.ReasonDeclined:                "payments.reason.declined",
	payment.ReasonNothingAuthorized:       "payments.reason.nothing_authorized",
	payment.ReasonAbandoned:               "payments.reason.abandoned",
	payment.ReasonCaptureRequested:        "payments.reason.capture_requested",
	payment.ReasonCaptured:                "payments.reason.captured",
	payment.ReasonCaptureFailed:           "payments.reason.capture_failed",
	payment.ReasonVoidRequested:           "payments.reason.void_requested",
	payment.ReasonVoided:                  "payments.reason.voided",
	payment.ReasonVoidRefused:             "payments.reason.void_refused",
	payment.ReasonRefundRequested:         "payments.reason.refund_requested",
	payment.ReasonDisputedRefundRequested: "payments.reason.disputed_refund_requested",
	payment.ReasonRefunded:                "payments.reason.refunded",
	payment.ReasonRefundFailed:            "payments.reason.refund_failed",
	payment.ReasonMismatch:                "payments.reason.amount_mismatch",
	payment.ReasonUnresolved:              "payments.reason.unresolved",
	payment.ReasonIssuerGone:              "payments.reason.issuer_gone",
	payment.ReasonReviewApproved:          "payments.reason.review_approved",
	payment.ReasonReviewDeclined:          "payments.reason.review_declined",
	payment.ReasonReviewRefunded:          "payments.reason.review_refunded",
	payment.ReasonLabeledFraud:            "payments.reason.labeled_fraud",
	payment.ReasonLabeledLegitimate:       "payments.reason.labeled_legitimate",
	payment.ReasonLabelRemoved:            "payments.reason.label_removed",
	payment.ReasonDisputeOpened:           "payments.reason.dispute_opened",
	payment.ReasonDisputeNeedsResponse:    "payments.reason.dispute_needs_response",
	payment.ReasonDisputeUnderReview:      "payments.reason.dispute_under_review",
	payment.ReasonDisputeWon:              "payments.reason.dispute_won",
	payment.ReasonDisputeLost:             "payments.reason.dispute_lost",
}

// reason returns the reason of a log entry in the reader's language, with the code and the id that
// belong to it. An unknown reason, such as the sentence of an early version, is returned as it
// is: english.
func (v *visit) reason(e payment.Entry) (words, detail string, english bool) {
	key, ok := reasonKeys[e.Reason]
	if !ok {
		return string(e.Reason), "", true
	}
	return v.Print.T(key, "Amount", e.Amount), strings.TrimSpace(e.Code + " " + e.By), false
}
