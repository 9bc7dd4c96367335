package activity

import "slices"

// The kinds of events. Their names are part of the API.
const (
	SignedUp             = "user.signed_up"
	SignedIn             = "user.signed_in"
	SignInFailed         = "user.sign_in_failed" // folds
	SignedOut            = "user.signed_out"
	SessionsEnded        = "user.sessions_ended"
	PasswordChanged      = "user.password_changed"
	PasswordReset        = "user.password_reset"
	EmailConfirmed       = "user.email_confirmed"
	SecondFactorAdded    = "user.second_factor_added"
	SecondFactorRemoved  = "user.second_factor_removed"
	RecoveryCodesRenewed = "user.recovery_codes_renewed"

	KeyCreated = "api_key.created"
	KeyRotated = "api_key.rotated"
	KeyRevoked = "api_key.revoked"

	MethodsChanged  = "account.payment_methods_changed"
	TimeZoneChanged = "account.time_zone_changed"
	Invited         = "member.invited"
	Uninvited       = "member.invitation_withdrawn"

	EndpointCreated = "webhook_endpoint.created"
	EndpointUpdated = "webhook_endpoint.updated"
	EndpointDeleted = "webhook_endpoint.deleted"
	EndpointRotated = "webhook_endpoint.secret_rotated"

	RuleSaved        = "fraud_rule.saved"
	RuleDeleted      = "fraud_rule.deleted"
	ListEntrySaved   = "fraud_list.entry_saved"
	ListEntryDeleted = "fraud_list.entry_deleted"
	FraudPolicySaved = "fraud_policy.saved"

	CaptureAsked  = "payment.capture_requested"
	VoidAsked     = "payment.void_requested"
	RefundAsked   = "payment.refund_requested"
	Reviewed      = "payment.reviewed"
	Labeled       = "payment.labeled"
	DisputeStated = "payment.dispute_recorded"

	Exported = "data.exported"
)

// Kinds lists all kinds of events.
var Kinds = []string{SignedUp, SignedIn, SignInFailed, SignedOut, SessionsEnded, PasswordChanged, PasswordReset, EmailConfirmed,
	SecondFactorAdded, SecondFactorRemoved, RecoveryCodesRenewed, KeyCreated, KeyRotated, KeyRevoked, MethodsChanged, TimeZoneChanged,
	Invited, Uninvited, EndpointCreated, EndpointUpdated, EndpointDeleted, EndpointRotated, RuleSaved, RuleDeleted, ListEntrySaved,
	ListEntryDeleted, FraudPolicySaved, CaptureAsked, VoidAsked, RefundAsked, Reviewed, Labeled, DisputeStated, Exported}

// Known reports whether there is a kind of that name.
func Known(kind string) bool { return slices.Contains(Kinds, kind) }
