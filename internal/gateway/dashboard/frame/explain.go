package frame

import (
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/issuer"
)

// explained maps the codes of faults that a merchant sees here to catalog keys. The
// limits of a rule are in the hint of the field. For other codes the fault's own text is
// shown.
var explained = map[string]string{
	"amount_invalid":             "common.fault.amountInvalid",
	"amount_too_many_decimals":   "common.fault.amountDecimals",
	"amount_too_small":           "common.fault.amountSmall",
	"amount_too_large":           "common.fault.amountLarge",
	"currency_invalid":           "common.fault.currency",
	"currency_not_enabled":       "common.fault.currencyNotEnabled",
	"live_mode_unavailable":      "common.fault.liveMode",
	"cross_site_post":            "common.fault.otherSite",
	"form_invalid":               "common.fault.form",
	"form_resent":                "common.fault.resent",
	"too_long":                   "common.fault.long",
	"invalid_characters":         "common.fault.characters",
	issuer.NumberInText:          "common.fault.card",
	"changed_meanwhile":          "common.fault.changed",
	"too_many_mails":             "common.fault.manyMails",
	"mail_refused":               "common.fault.mailRefused",
	"mail_test_mode":             "common.fault.mailTest",
	"link_paid":                  "common.fault.linkPaid",
	"link_paying":                "common.fault.linkPaying",
	"link_canceled":              "common.fault.linkCanceled",
	"link_expired":               "common.fault.linkExpired",
	"expiry_invalid":             "common.fault.expiry",
	"url_invalid":                "common.fault.redirect",
	"max_uses_invalid":           "common.fault.uses",
	"email_invalid":              "account.fault.email",
	"mail_unavailable":           "account.fault.mailUnavailable",
	"username_invalid":           "account.fault.username",
	"password_too_short":         "account.fault.passwordShort",
	"password_too_common":        "account.fault.passwordCommon",
	"password_wrong":             "account.fault.passwordWrong",
	"account_exists":             "account.fault.taken",
	"token_invalid":              "account.fault.token",
	"too_many_attempts":          "account.fault.tooMany",
	"otp_invalid":                "account.fault.code",
	"sign_in_expired":            "account.fault.signInExpired",
	"passkey_invalid":            "account.fault.passkey",
	"passkey_limit":              "account.fault.passkeyLimit",
	"passkeys_unavailable":       "account.fault.passkeysUnavailable",
	"name_missing":               "account.fault.name",
	"invitation_address":         "account.fault.invitationAddress",
	"invitation_limit":           "account.fault.invitationLimit",
	"already_signed_up":          "account.fault.signedUp",
	"mail_sent_just_now":         "account.fault.mailJustNow",
	"email_unconfirmed":          "account.fault.unconfirmed",
	"totp_on":                    "account.fault.codesOn",
	"totp_off":                   "account.fault.codesOff",
	"payment_method_unavailable": "common.fault.methods",
	"refundable_amount_changed":  "payments.fault.refundable",
	"payment_disputed":           "payments.fault.disputed",
	"time_zone_unknown":          "common.fault.zone",
	"cursor_invalid":             "common.query.page",

	"url_too_long":            "webhooks.fault.url",
	"url_not_https":           "webhooks.fault.https",
	"url_not_public":          "webhooks.fault.public",
	"url_has_credentials":     "webhooks.fault.plain",
	"url_has_fragment":        "webhooks.fault.plain",
	"events_missing":          "webhooks.fault.events",
	"too_many_endpoints":      "webhooks.fault.many",
	"endpoint_exists":         "webhooks.fault.exists",
	"metadata_too_large":      "links.wrong.metadataLarge",
	"endpoint_disabled":       "webhooks.fault.disabled",
	"redelivery_running":      "webhooks.fault.running",
	"redelivery_too_large":    "webhooks.fault.large",
	"range_invalid":           "webhooks.fault.dates",
	"delivery_not_repeatable": "webhooks.fault.repeat",
	"scopes_missing":          "keys.fault.scopes",
	"api_key_revoked":         "keys.fault.revoked",
	"api_key_expired":         "keys.fault.expired",
	"contrast_too_low":        "forms.fault.contrast",
	"colour_invalid":          "forms.fault.colour",
	"origin_invalid":          "forms.fault.origin",
	"field_invalid":           "forms.fault.field",
	"form_archived":           "forms.fault.archived",
	"payment_not_in_review":   "review.fault.decided",
	"payment_held":            "review.fault.held",
	"dispute_closed":          "review.fault.dispute",
	"dispute_state_conflict":  "review.fault.dispute",
	"payment_not_disputable":  "payments.notPossible",
	"too_many_disputes":       "payments.notPossible",
	"rule_name_invalid":       "fraud.fault.name",
	"list_value_invalid":      "fraud.fault.value",
	"rules_too_costly":        "fraud.fault.costly",
	"backtest_busy":           "fraud.fault.busy",
	"backtest_too_long":       "fraud.fault.long",
}

// Explain returns why something was refused, in the reader's language if the catalog knows
// the code, and otherwise detail.
func (v *Visit) Explain(code, detail string) string {
	if key, ok := explained[code]; ok {
		return v.Print.T(key)
	}
	if issuer.HasNumber(detail) { // of a choice that was altered: the page does not repeat it
		return v.Print.T("common.fault.card")
	}
	return detail
}

// Problems turns a fault that the reader can fix into messages of the form. It returns
// nil for other errors, which the handler returns. The ids of the form's fields are the
// names of the API's parameters.
func (v *Visit) Problems(err error) parts.Problems {
	f := fault.From(err)
	if words := v.Print.AmountFault(f.Cause); words != "" {
		return parts.Problems{{Field: f.Param, Text: words}}
	}
	switch f.Kind {
	case fault.KindInvalid,
		fault.KindConflict,
		fault.KindDeclined,
		fault.KindMismatch,
		fault.KindUnauthenticated,
		fault.KindRateLimited,
		fault.KindTooLarge:
		return parts.Problems{{Field: f.Param, Text: v.Explain(f.Code, f.Detail)}}
	default:
		return nil
	}
}
