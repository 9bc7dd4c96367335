package payment

// Reason says why a log entry was made. It is a stable code: a new one may be added, and none
// is ever renamed. Entries of early versions have an English sentence instead.
type Reason string

// The reasons. A comment names the details that the entry carries beside the code.
const (
	// ReasonSubmitted: the payer submitted the payment page.
	ReasonSubmitted Reason = "submitted"
	// ReasonAuthorizationRequested: the authorization may be sent to the issuer from here on.
	ReasonAuthorizationRequested Reason = "authorization_requested"
	// ReasonNotSent: the request provably never reached the issuer, so the payer may try again.
	ReasonNotSent Reason = "not_sent"
	// ReasonBlocked: the attempt was declined before the issuer was asked. Code is Risk.Why, By
	// the rule.
	ReasonBlocked Reason = "blocked"
	// ReasonFlagged: the blocked attempt was reported.
	ReasonFlagged Reason = "flagged"
	// ReasonHeldForReview: a success waits for a person's verdict. Code is Risk.Why, By the rule.
	ReasonHeldForReview Reason = "held_for_review"
	// ReasonChallengeRequired: the issuer requires a challenge of the payer.
	ReasonChallengeRequired Reason = "challenge_required"
	// ReasonNoClearAnswer: the outcome at the issuer is unknown. Code is the kind of answer:
	// ambiguous, pending or not_found.
	ReasonNoClearAnswer Reason = "no_clear_answer"
	// ReasonWorkerLost: the worker that held the lease did not finish.
	ReasonWorkerLost Reason = "worker_lost"

	// ReasonApproved: the issuer authorized the amount.
	ReasonApproved Reason = "approved"
	// ReasonApprovedAndCaptured: the issuer authorized and captured the amount in one step.
	ReasonApprovedAndCaptured Reason = "approved_and_captured"
	// ReasonApprovedLate: the issuer approved after the link had expired.
	ReasonApprovedLate Reason = "approved_late"
	// ReasonApprovedAfterFailure: the issuer approved after the payment had been declined,
	// canceled or found not sent, and its use of the link released.
	ReasonApprovedAfterFailure Reason = "approved_after_failure"
	// ReasonAccepted: the merchant accepted a late payment.
	ReasonAccepted Reason = "accepted"
	// ReasonLatePolicyAccept: the link's late policy accepted a late payment.
	ReasonLatePolicyAccept Reason = "late_policy_accept"
	// ReasonLatePolicyVoid: the link's late policy voids a late authorization.
	ReasonLatePolicyVoid Reason = "late_policy_void"
	// ReasonLatePolicyRefund: the link's late policy refunds a late payment.
	ReasonLatePolicyRefund Reason = "late_policy_refund"

	// ReasonDeclined: the issuer declined the authorization. Code is the decline code.
	ReasonDeclined Reason = "declined"
	// ReasonNothingAuthorized: the issuer reported that nothing is authorized.
	ReasonNothingAuthorized Reason = "nothing_authorized"
	// ReasonAbandoned: the payer did not try again before the link expired.
	ReasonAbandoned Reason = "abandoned"

	// ReasonCaptureRequested: a capture was requested, or follows from a review. Amount is what
	// is to be captured.
	ReasonCaptureRequested Reason = "capture_requested"
	// ReasonCaptured: the issuer captured the amount.
	ReasonCaptured Reason = "captured"
	// ReasonCaptureFailed: nothing was captured. Code is the issuer's, else not_sent, reversed or
	// declined.
	ReasonCaptureFailed Reason = "capture_failed"
	// ReasonVoidRequested: a void was requested, follows from a review, or the hold ran out.
	ReasonVoidRequested Reason = "void_requested"
	// ReasonVoided: the issuer released the authorization.
	ReasonVoided Reason = "voided"
	// ReasonVoidRefused: the issuer did not release the authorization. Code is the issuer's, else
	// declined.
	ReasonVoidRefused Reason = "void_refused"

	// ReasonRefundRequested: a refund was requested, and its money is held.
	ReasonRefundRequested Reason = "refund_requested"
	// ReasonDisputedRefundRequested: the same, although a dispute claims a part. Amount is that
	// part, By who allowed it.
	ReasonDisputedRefundRequested Reason = "disputed_refund_requested"
	// ReasonRefunded: the issuer refunded the amount.
	ReasonRefunded Reason = "refunded"
	// ReasonRefundFailed: nothing was refunded. Code is the issuer's, or not_sent.
	ReasonRefundFailed Reason = "refund_failed"

	// ReasonReviewApproved: a person approved the held payment. By is who.
	ReasonReviewApproved Reason = "review_approved"
	// ReasonReviewDeclined: a person declined the held payment. By is who.
	ReasonReviewDeclined Reason = "review_declined"
	// ReasonReviewRefunded: a person refunded the payment as fraud. By is who.
	ReasonReviewRefunded Reason = "review_refunded"
	// ReasonLabeledFraud: a person labeled the payment as fraud. By is who.
	ReasonLabeledFraud Reason = "labeled_fraud"
	// ReasonLabeledLegitimate: a person labeled the payment as legitimate. By is who.
	ReasonLabeledLegitimate Reason = "labeled_legitimate"
	// ReasonLabelRemoved: a person removed the label. By is who.
	ReasonLabelRemoved Reason = "label_removed"

	// ReasonDisputeOpened: the payer disputes the payment. Code is the dispute's reason, Amount
	// what is disputed.
	ReasonDisputeOpened Reason = "dispute_opened"
	// ReasonDisputeNeedsResponse: the dispute changed, and evidence is due.
	ReasonDisputeNeedsResponse Reason = "dispute_needs_response"
	// ReasonDisputeUnderReview: evidence was sent, or the dispute changed since.
	ReasonDisputeUnderReview Reason = "dispute_under_review"
	// ReasonDisputeWon: the dispute ended, and the money stays with the merchant.
	ReasonDisputeWon Reason = "dispute_won"
	// ReasonDisputeLost: the dispute ended, and the payer gets the money.
	ReasonDisputeLost Reason = "dispute_lost"
)

// The reasons of entries that move a payment to review; Payment.ReviewReason says the same.
const (
	// ReasonMismatch: the issuer's answer contradicts the request. Amount is the issuer's. No
	// later answer may turn the payment into a success (I9).
	ReasonMismatch = "amount_mismatch"
	// ReasonUnresolved: the issuer never gave a clear answer.
	ReasonUnresolved = "unresolved"
	// ReasonIssuerGone: the payment's issuer is not in the configuration. The sweep tries it
	// daily, and the payment continues when the issuer is back.
	ReasonIssuerGone = "issuer_gone"
)

// Reasons returns all reasons. The slice is the caller's.
func Reasons() []Reason {
	return []Reason{ReasonSubmitted, ReasonAuthorizationRequested, ReasonNotSent, ReasonBlocked, ReasonFlagged, ReasonHeldForReview,
		ReasonChallengeRequired, ReasonNoClearAnswer, ReasonWorkerLost,
		ReasonApproved, ReasonApprovedAndCaptured, ReasonApprovedLate, ReasonApprovedAfterFailure, ReasonAccepted,
		ReasonLatePolicyAccept, ReasonLatePolicyVoid, ReasonLatePolicyRefund,
		ReasonDeclined, ReasonNothingAuthorized, ReasonAbandoned,
		ReasonCaptureRequested, ReasonCaptured, ReasonCaptureFailed, ReasonVoidRequested, ReasonVoided, ReasonVoidRefused,
		ReasonRefundRequested, ReasonDisputedRefundRequested, ReasonRefunded, ReasonRefundFailed,
		ReasonMismatch, ReasonUnresolved, ReasonIssuerGone,
		ReasonReviewApproved, ReasonReviewDeclined, ReasonReviewRefunded,
		ReasonLabeledFraud, ReasonLabeledLegitimate, ReasonLabelRemoved,
		ReasonDisputeOpened, ReasonDisputeNeedsResponse, ReasonDisputeUnderReview, ReasonDisputeWon, ReasonDisputeLost}
}

// verdictReasons has the reason of each verdict.
var verdictReasons = map[string]Reason{ReviewApproved: ReasonReviewApproved, ReviewDeclined: ReasonReviewDeclined,
	ReviewRefunded: ReasonReviewRefunded}

// labelReasons has the reason of each label; "" removes it.
var labelReasons = map[string]Reason{LabelFraud: ReasonLabeledFraud, LabelLegitimate: ReasonLabeledLegitimate, "": ReasonLabelRemoved}

// stateReasons has the reason of a change to each state of a dispute.
var stateReasons = map[string]Reason{DisputeNeedsResponse: ReasonDisputeNeedsResponse, DisputeUnderReview: ReasonDisputeUnderReview,
	DisputeWon: ReasonDisputeWon, DisputeLost: ReasonDisputeLost}
