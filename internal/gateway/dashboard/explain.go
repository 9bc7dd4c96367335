package dashboard

// explained are the codes of faults that a merchant meets here, with their words
// in the catalogue. The rule's own numbers are in the hint of the field. A code
// that is not here is told in the fault's own words.
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
	"changed_meanwhile":          "common.fault.changed",
	"email_invalid":              "common.fault.address",
	"too_many_mails":             "common.fault.manyMails",
	"mail_refused":               "common.fault.mailRefused",
	"mail_unavailable":           "common.fault.noMail",
	"mail_test_mode":             "common.fault.mailTest",
	"link_paid":                  "common.fault.linkPaid",
	"link_paying":                "common.fault.linkPaying",
	"link_canceled":              "common.fault.linkCanceled",
	"link_expired":               "common.fault.linkExpired",
	"expiry_invalid":             "common.fault.expiry",
	"url_invalid":                "common.fault.redirect",
	"max_uses_invalid":           "common.fault.uses",
	"payment_method_unavailable": "common.fault.methods",
}

// explain is why something was refused, in the reader's language where the
// catalogue knows the code.
func (v *visit) explain(code, detail string) string {
	if key, ok := explained[code]; ok {
		return v.print.T(key)
	}
	return detail
}
