package problem

import (
	"slices"
	"strings"
)

// Code explains the code of a problem: what it means, and what to do. The address in the
// problem's type shows it (RFC 9457, section 3.1.1).
//
// The texts are in English, in plain sentences. They are shown to developers and not to
// payers, who read the words of the pages in their own language.
type Code struct {
	Name     string
	Statuses []int // the HTTP statuses that it is sent with
	Meaning  string
	Do       string
}

// Codes returns all codes that callers may see, by name. A test compares them with the
// sources, so every code that is sent is explained here.
func Codes() []Code { return codes }

// CodeByName returns the explanation of a code, and whether there is such a code.
func CodeByName(name string) (Code, bool) {
	i, ok := slices.BinarySearchFunc(codes, name, func(c Code, name string) int { return strings.Compare(c.Name, name) })
	if !ok {
		return Code{}, false
	}
	return codes[i], true
}

// codes is written once and never changed; sorted by name, because CodeByName searches it.
// A blank line separates the letters of the alphabet.
//
// The first text says what has happened, and whether anything was changed or charged. The
// second says what the caller can do, whether a program or a person. Neither repeats what
// only the detail of a single problem can know, such as a bound or the name of a member.
// A code is never given another meaning, since programs compare it.
var codes = []Code{
	{"account_exists", []int{409}, "The username or email is already taken.", "Choose another, or sign in. The response does not reveal which of the two is taken."},
	{"already_signed_up", []int{400}, "A user with this email address already exists, and a user belongs to one account.", "Invite another address."},
	{"amount_ambiguous", []int{400}, "A typed amount has two readings, such as 1.500 in a currency with three decimals: the separator can be for thousands or for decimals.", "Show both readings to the person who typed it. The JSON API never returns this code: it accepts only plain decimal numbers."},
	{"amount_currency_other", []int{400}, "A typed amount has the sign of a different currency, such as $12.50 where EUR is expected.", "Omit the sign, or use the currency's own. The JSON API never returns this code: it accepts only plain decimal numbers."},
	{"amount_invalid", []int{400}, "The amount is not a plain decimal number, or conflicts with the other members.", `Send digits with at most one point, such as "12.50", without sign, exponent or spaces.`},
	{"amount_mismatch", []int{400}, "The link has a fixed amount, and a different one was sent.", "Omit the amount, or send the one that the link shows."},
	{"amount_too_large", []int{400}, "The amount exceeds the limit of the payment, the link, the payment method or paylink.", "Read the limit in the detail, and send no more than that."},
	{"amount_too_many_decimals", []int{400}, "The amount has more decimals than its currency.", "Use at most as many decimals as the currency has: JPY 0, EUR 2, KWD 3."},
	{"amount_too_small", []int{400}, "The amount is zero, or below the minimum of the link or the payment method.", "Read the minimum in the detail, and send at least that."},
	{"api_key_expired", []int{401, 409}, "The API key has passed its expiresAt; it can be neither used nor rotated.", "Create a new key and use it."},
	{"api_key_invalid", []int{401}, "The API key does not exist, or the secret is wrong.", "Check that the id and the secret belong together and to this server. Do not retry."},
	{"api_key_revoked", []int{401, 409}, "The API key has been revoked; it can be neither used nor rotated.", "Create a new key and use it."},
	{"attempt_invalid", []int{400}, "The attempt is not 16 to 64 characters of A-Z, a-z, 0-9, hyphen and underscore.", "Generate a new random one for each payment, and reuse it only to retry that payment."},
	{"attempts_exceeded", []int{429}, "Too many cards were tried on this link, or this card was declined too often. Nothing was charged, and no payment was created.", "Wait for the time in Retry-After, request a puzzle with GET /l/{token}/challenge?attempt=…, and send its solution as proof with the next attempt."},
	{"authentication_failed", []int{402}, "The payer did not pass the bank's check (3-D Secure). Nothing was charged.", "Let the payer try again, or use another card."},

	{"backtest_busy", []int{429}, "Other backtests are running.", "Try again after the time in Retry-After."},
	{"backtest_too_long", []int{409}, "The backtest took longer than 30 seconds.", "Choose a shorter period."},
	{"body_too_large", []int{413}, "The body of the request is larger than 256 KiB.", "Send a smaller body."},
	{"body_unexpected", []int{400}, "This call takes no body, but one was sent.", "Send the request without a body."},
	{"body_unreadable", []int{400}, "The connection ended before the body was complete.", "Send the request again."},
	{"browser_origin_refused", []int{403}, "An API key was sent from a web page, where every visitor could read it.", "Call from your backend, and do not forward the Origin and Sec-Fetch headers of your visitors. If the key was in a page, revoke it."},

	{"card_cvc_invalid", []int{400}, "The security code does not have 3 or 4 digits.", "Ask the payer to enter it again."},
	{"card_declined", []int{402}, "The card's issuer declined without a reason that may be shared. Nothing was charged.", "Let the payer use another card or contact their bank."},
	{"card_expired", []int{400}, "The card's expiry date is in the past.", "Ask the payer to check the date, or to use another card."},
	{"card_expiry_invalid", []int{400}, "The card's expiry date is not a valid month and year.", "Send expMonth as 1 to 12 and expYear with four digits."},
	{"card_expiry_missing", []int{400}, "The card's expiry date is missing.", "Ask the payer to enter it."},
	{"card_number_in_text", []int{400}, "A text, such as a description, a reference, metadata, a name or a search, contains a card number. Card numbers are accepted only in the field of the card, and nothing was stored.", "Remove the number and send the request again. If your own identifiers look like card numbers (one in ten digit strings in the ranges of the card networks does), put letters before or after the digits."},
	{"card_number_invalid", []int{400}, "The card number has the wrong length, or its check digit does not match.", "Ask the payer to enter it again."},
	{"changed_meanwhile", []int{409}, "Another request changed the object at the same time.", "Read it again, and repeat your change if it still makes sense."},
	{"clock_backward", []int{400}, "The time is before the account's test clock, which only moves forward.", "Read GET /api/test-clock, and move forward from there."},
	{"clock_invalid", []int{400}, "The value is not a positive number of seconds or not a time.", "Send advanceSeconds of at least 1, or now as an RFC 3339 time."},
	{"clock_too_far", []int{400}, "The test clock would be more than 2 years ahead of real time.", "Move it by less. Test clocks cannot be reset: sign up another account for a new one."},
	{"colour_invalid", []int{400}, "The color is not written as six hexadecimal digits.", "Send #rrggbb, such as #1f4fd1."},
	{"conflicting_fields", []int{400}, "Two members of the request exclude each other.", "Omit one of them; the detail names them."},
	{"contrast_too_low", []int{400}, "Text in or on this color would be hard to read: its contrast with the page is below 4.5 to 1 (WCAG AA).", "Choose a darker color for the light theme, or a lighter one for the dark theme."},
	{"credentials_invalid", []int{401}, "The login or the password is wrong. The response does not reveal which.", "Check both and sign in again."},
	{"cross_site_post", []int{403}, "The form was submitted from another site.", "Open the payment link and pay there, or open the dashboard and submit the form there."},
	{"currencies_missing", []int{400}, "The payment method has no currency.", "Send at least one that the issuer supports; GET /api/issuers lists them."},
	{"currency_duplicate", []int{400}, "A currency is listed twice.", "List each currency once."},
	{"currency_invalid", []int{400}, "The value is not an ISO 4217 currency code in upper case.", "Send a code such as EUR."},
	{"currency_not_enabled", []int{400}, "None of the account's payment methods accepts this currency.", "Enable it with PUT /api/users, or use one that the detail lists."},
	{"currency_unsupported", []int{400}, "The issuer does not support this currency.", "Use one that GET /api/issuers lists for it."},
	{"cursor_invalid", []int{400}, "The cursor was not returned by this list.", "Pass nextCursor from the previous page, unchanged and with the same filters; or start without a cursor."},

	{"date_invalid", []int{400}, "The value is not a valid date.", "Send YYYY-MM-DD or an RFC 3339 time."},
	{"delivery_not_repeatable", []int{409}, "The delivery has no body or was a test, so it cannot be sent again.", "Read the event with GET /api/events, or send another test."},
	{"dispute_closed", []int{409}, "The dispute was won or lost, and can no longer change.", "Read the payment with its disputes. A new objection is a new dispute with its own reference."},
	{"dispute_state_conflict", []int{409}, "The dispute has moved on and cannot return to the requested state.", "Read the payment with its disputes; after needs_response come under_review, won and lost."},

	{"email_invalid", []int{400}, "The value is not an email address.", "Send a bare address such as name@example.com."},
	{"email_unconfirmed", []int{403}, "None of the account's users has confirmed an email address. Live mode, emailing links in live mode and inviting others require one.", "Open the link in the confirmation email, or request another in the dashboard."},
	{"endpoint_changed", []int{409}, "Another request changed the webhook endpoint at the same time.", "Read it again, and repeat your change if it still makes sense."},
	{"endpoint_disabled", []int{409}, "The webhook endpoint is disabled, so nothing is sent to it.", "Enable it with PUT /api/webhook-endpoints/{id} when its server works again, then send the parked deliveries with POST …/redeliver."},
	{"endpoint_exists", []int{409}, "Another webhook endpoint in this mode has the same URL and receives some of the same events, so they would arrive twice.", "Change the endpoint that the detail names, or choose events that it does not receive."},
	{"event_type_unknown", []int{400}, "There is no event of this type.", `Use types from the detail, or "*" for all.`},
	{"events_missing", []int{400}, "No event type was chosen. An empty list means neither all nor none.", `Name at least one type, or "*" for all. To stop deliveries, disable or delete the endpoint.`},
	{"expired_card", []int{402}, "The issuer reports that the card has expired. Nothing was charged.", "Let the payer use another card."},
	{"expiry_invalid", []int{400}, "The expiry time is invalid, in the past or out of range.", "Send a future time; a link expires 1 minute to 180 days after its creation."},

	{"field_invalid", []int{400}, "A form field has an invalid name or label, is duplicated, or exceeds the limit.", "Use a-z, 0-9 and _ in names, label every custom field, and send at most five of them."},
	{"form_archived", []int{409}, "The form was archived, which is permanent.", "Create a new form."},
	{"form_inactive", []int{409}, "The form is disabled or archived, so it creates no links. Nothing was paid.", "Ask the payee for another way to pay. The merchant can enable the form or create a new one."},
	{"form_invalid", []int{400}, "The form data is incomplete or malformed.", "Reload the page and try again."},
	{"form_resent", []int{422}, "The form was already submitted with different content.", "Reload the page and submit its form."},
	{"fraud_unavailable", []int{503}, "The fraud service is temporarily unavailable. Nothing was changed.", "Retry after the time in Retry-After."},

	{"grace_invalid", []int{400}, "The grace period for the old secret is out of range.", "Send graceSeconds within the limits in the detail."},

	{"hashing_busy", []int{503}, "Too many people are signing in right now. Nothing was done.", "Retry after the time in Retry-After."},
	{"headers_too_large", []int{431}, "The URL and headers of the request are too long together.", "Send fewer or shorter headers and cookies, and a shorter query."},
	{"history_unavailable", []int{503}, "Past payments are not available on this server.", "Ask the operator to connect the fraud service to the analytics store."},
	{"host_unknown", []int{421}, "The Host header names a host that is not this server's.", "Use the server's public address. An operator lets a proxy pass on the Host header, or adds the host to --allowed-hosts."},

	{"idempotency_key_in_use", []int{409}, "A request with this Idempotency-Key is in progress.", "Retry in a moment, with the same key, to get its response."},
	{"idempotency_key_invalid", []int{400}, "The Idempotency-Key header was sent more than once, or is not 1 to 255 printable ASCII characters.", "Send it once, with a value such as a UUID."},
	{"idempotency_key_raced", []int{503}, "Another request with this Idempotency-Key was processed first.", "Retry with the same key to get its response."},
	{"idempotency_key_reused", []int{422}, "This Idempotency-Key was already used for a different request.", "Use a new key for a new request, and the same body for the same key."},
	{"incorrect_cvc", []int{402}, "The issuer reports that the security code is wrong. Nothing was charged.", "Let the payer check the digits on the card and try again."},
	{"insufficient_funds", []int{402}, "The card's account has insufficient funds. Nothing was charged.", "Let the payer use another card."},
	{"internal", []int{500}, "Something went wrong on our side. The server log has the details under the requestId.", "Retry with the same Idempotency-Key or attempt. If the error persists, send the requestId to the operator."},
	{"invalid_characters", []int{400}, "The text contains characters that are not printable, or is not UTF-8.", "Send printable text in UTF-8."},
	{"invitation_address", []int{400}, "The invitation is for another email address.", "Sign up with the address that was invited."},
	{"invitation_limit", []int{409}, "The account has reached its limit of open invitations.", "Withdraw one, or wait until one is used or expires."},
	{"issuer_unavailable", []int{503}, "The issuer of this payment is not configured on this server.", "Retry later; the operator has to configure the issuer."},
	{"issuer_unknown", []int{400}, "There is no such issuer.", "Use one that GET /api/issuers lists."},
	{"issuer_unreachable", []int{503}, "The issuer could not be reached, and nothing was changed.", "Retry after the time in Retry-After."},

	{"json_invalid", []int{400}, "The body is not a single JSON object in UTF-8.", "Correct the body; the detail names the byte near the error, if known."},

	{"key_required", []int{401}, "This call requires an API key, and a user session was sent.", "Use an API key."},

	{"language_unknown", []int{400}, "The language is not supported.", "Send one of en, de, fr, es, pt, ar and ja, or omit it."},
	{"limit_out_of_range", []int{400}, "The page size is out of range.", "Send a limit of 1 to 100."},
	{"link_canceled", []int{409}, "The payment link was canceled.", "Ask the payee for a new one. The merchant creates a new link."},
	{"link_expired", []int{409}, "The payment link has expired.", "Ask the payee for a new one. The merchant creates a new link."},
	{"link_paid", []int{409}, "The payment link has been paid as often as it allows.", "Do not pay again. The merchant finds its payments with GET /api/payments."},
	{"link_paying", []int{409}, "A payment for this link is in progress.", "Wait for its outcome: GET /l/{token}/status returns it."},
	{"link_unknown", []int{404}, "This payment link is invalid or was altered. Nothing was paid.", "Open the link again exactly as you received it."},
	{"list_action_invalid", []int{400}, "A list can allow, block or send to review.", "Send one of these."},
	{"list_entry_exists", []int{409}, "The value is already on a list.", "Change or delete that entry."},
	{"list_kind_invalid", []int{400}, "There is no list of this kind.", "Send card, bin, email, address or country. Installation-wide lists have no cards, because many cards share a fingerprint."},
	{"list_limit_reached", []int{409}, "The lists of the account are full in this mode.", "Delete entries, or set an expiry on new ones."},
	{"list_value_invalid", []int{400}, "The value does not fit this kind of list.", "The detail describes the expected form."},
	{"live_mode_unavailable", []int{400}, "Live mode requires an issuer that is not the simulator.", "Use test mode, or configure such an issuer."},
	{"lost_card", []int{402}, "The card was reported lost. Nothing was charged.", "Let the payer use another card. Do not tell the cardholder why."},

	{"mail_kind_unknown", []int{400}, "Emails of this kind cannot be turned off: they belong to an account or a payment.", "Turn off one of expiring, endpoint_disabled and parked."},
	{"mail_refused", []int{409}, "The recipient has opted out of payment links by email from this account.", "Send the link another way."},
	{"mail_sent_just_now", []int{429}, "The same email was sent less than a minute ago.", "Check the inbox and the spam folder before requesting another."},
	{"mail_test_mode", []int{400}, "In test mode, email goes only to confirmed addresses of the account's users.", "Use a confirmed address of one of the account's users, or a live link."},
	{"mail_unavailable", []int{409}, "The operator of this server has not set up a mail server.", "Send the link another way, or ask the operator."},
	{"max_uses_invalid", []int{400}, "The number of uses is out of range.", "Send maxUses as 1 to 1,000,000, or null for no limit."},
	{"metadata_invalid", []int{400}, "The metadata has too many entries, or an invalid or overlong key or value.", "Send at most 50 entries with keys of at most 64 and values of at most 500 characters."},
	{"metadata_too_large", []int{400}, "The metadata is too large in total. It is part of every event and webhook of the link, which have a size limit.", "Send at most 32 KiB in total, counted in UTF-8, and keep the rest in your own system under the link's reference."},
	{"method_not_allowed", []int{405}, "This address does not support this method.", "Use a method from the Allow header."},
	{"mode_mismatch", []int{403}, "The API key works in a different mode than the one requested.", "Use a key of that mode: test and live data never meet."},

	{"name_missing", []int{400}, "The API key, passkey or form has no name.", "Send a name by which you will recognize it."},
	{"not_found", []int{404}, "No such object exists for these credentials and this mode, or no such address.", "Check the id and the mode. Objects of other accounts are not found either."},
	{"note_too_long", []int{400}, "The note is too long.", "Shorten it to 500 characters."},

	{"origin_invalid", []int{400}, "The value is not an origin that may show a form.", "Send https, a host and an optional port, such as https://shop.example, without a path or a wildcard; http is for localhost only."},
	{"otp_invalid", []int{400, 401}, "The code is wrong or was already used. A code is good for one sign-in.", "Check the device's clock, and send the next code or a recovery code."},
	{"otp_required", []int{401}, "The password is correct, and this user signs in with an authenticator code as well.", "Send the code as otp, or a recovery code."},

	{"parameter_duplicate", []int{400}, "A member of the body or a query parameter was sent more than once.", "Send it once."},
	{"parameter_invalid", []int{400}, "The value has the wrong type or form.", "Send what the detail describes; param names the parameter."},
	{"parameter_missing", []int{400}, "A required parameter is missing.", "Send it; param names it."},
	{"parameter_unknown", []int{400}, "This call does not accept this parameter. Unknown parameters are refused so that a misspelled one is not silently ignored.", "Correct its name or omit it; param names it."},
	{"passkey_invalid", []int{401}, "The passkey is unknown, or the response of the device does not match.", "Try again, or sign in with your password."},
	{"passkey_limit", []int{409}, "The user has reached the limit of passkeys.", "Remove one first."},
	{"passkeys_unavailable", []int{409}, "Passkeys require a public URL with a host name, not an IP address.", "Sign in with the password."},
	{"password_too_common", []int{400}, "The password is easy to guess: a common one, a pattern, or a name of the user or the site.", "Choose another, such as several unrelated words."},
	{"password_too_short", []int{400}, "The password has fewer than 12 characters.", "Choose a longer one."},
	{"password_wrong", []int{400}, "The current password is wrong.", "Check it and try again."},
	{"payment_busy", []int{503}, "Too many concurrent requests change this payment.", "Retry after the time in Retry-After."},
	{"payment_disputed", []int{409}, "An open or lost dispute claims the money: the issuer may return it to the payer, and a refund would pay twice.", "Refund what the dispute leaves, wait until it ends, or send allowDisputed to refund anyway."},
	{"payment_held", []int{409}, "The payment is held for review and cannot be captured until it is approved.", "Approve it in the review queue, or with POST /api/payments/{id}/review."},
	{"payment_log_full", []int{409}, "The payment's log has reached its limit, so the payment cannot change any more.", "Settle the rest with the payer outside of paylink."},
	{"payment_method_duplicate", []int{400}, "Two payment methods have the same type and issuer.", "Merge them, with the currencies of both."},
	{"payment_method_unavailable", []int{400}, "This payment method is not enabled for the account and mode.", "Enable it with PUT /api/users, or name another."},
	{"payment_method_unknown", []int{400}, "The account has no such payment method.", `Send "card", or the id of a payment method of the account.`},
	{"payment_not_capturable", []int{409}, "The payment's status does not allow a capture.", "Read the payment. Only an authorized or late payment can be captured."},
	{"payment_not_disputable", []int{409}, "Nothing of the payment was captured, so there is nothing to dispute.", "Read the payment."},
	{"payment_not_in_review", []int{409}, "The payment is not in review: it never was, or it has been decided.", "Read the payment: its risk says what was decided, when and by whom."},
	{"payment_not_refundable", []int{409}, "The payment's status does not allow a refund, or nothing is left to refund.", "Read the payment and its refunds. Void what was not captured."},
	{"payment_not_voidable", []int{409}, "The payment's status does not allow a void.", "Read the payment. Refund what was captured."},
	{"processing_error", []int{402}, "The issuer could not process the request. Nothing was charged.", "Let the payer try again in a few minutes, or use another card."},

	{"query_invalid", []int{400}, "The query is not valid percent-encoded text.", "Percent-encode the parameters."},
	{"query_too_long", []int{400}, "The query is too long.", "Shorten the filters."},
	{"queue_unavailable", []int{503}, "The delivery could not be queued.", "Retry after the time in Retry-After."},

	{"range_invalid", []int{400}, "The period ends before it begins, or is empty.", "Send a to that is not before from. A date means its whole day, so the same date twice is that day; a time given as to is excluded."},
	{"rate_limited", []int{429}, "Too many requests in a short time. Nothing was done.", "Wait for the time in Retry-After, then retry."},
	{"receipt_unknown", []int{404}, "This receipt is invalid or was altered.", "Request the receipt again from its source, and paste all of it."},
	{"redelivery_running", []int{409}, "A bulk redelivery to this endpoint is already running.", "Wait until it ends, or cancel it; GET …/redeliveries shows its progress."},
	{"redelivery_too_large", []int{409}, "More events match than one bulk redelivery can send.", "Choose shorter periods, one after another."},
	{"refundable_amount_changed", []int{409}, "The refundable amount differs from the request's refundableAmount. Nothing was refunded.", "Read the payment, decide again, and send its current refundableAmount."},
	{"resets_busy", []int{503}, "Too many people are resetting their passwords right now. Nothing was done.", "Retry after the time in Retry-After."},
	{"review_time_invalid", []int{400}, "The time for a review is out of range.", "Send 0, or an hour to seven days in seconds."},
	{"rule_action_invalid", []int{400}, "There is no such action.", "Send request_3ds, allow, block or review."},
	{"rule_builtin", []int{409}, "A built-in rule can be on, off or in shadow, and can be neither edited nor deleted.", "Turn it off, and create your own rule from its condition."},
	{"rule_condition_invalid", []int{400}, "The condition does not compile, has a wrong type, or could cost too much.", "Correct it at the line and column in the detail; the guide to rules lists the variables and their types."},
	{"rule_name_invalid", []int{400}, "The name of the rule is invalid.", "Send 1 to 100 characters on one line."},
	{"rule_state_invalid", []int{400}, "There is no such rule state.", "Send on, shadow or off."},
	{"rules_limit_reached", []int{409}, "The account has reached its limit of rules in this mode.", "Delete one that is off."},
	{"rules_too_costly", []int{409}, "The rules of the account together cost more than one payment allows.", "Turn one off, or shorten their lists and patterns."},

	{"scope_missing", []int{403}, "The API key lacks the scope that this call needs.", "Use a key that has the scope in the detail."},
	{"scope_unknown", []int{400}, "There is no such scope.", "Use scopes from the detail."},
	{"scopes_missing", []int{400}, "The API key has no scope.", "Send at least one scope from the detail."},
	{"service_unavailable", []int{503}, "A service of paylink is unreachable or did not respond in time. The request may have been carried out.", "Retry with the same Idempotency-Key or attempt, after the time in Retry-After."},
	{"session_invalid", []int{401}, "The session is unknown, expired or signed out.", "Sign in again."},
	{"sign_in_expired", []int{401}, "The sign-in took too long.", "Start again with the password."},
	{"signup_by_invitation", []int{403}, "This installation accepts sign-ups only by invitation.", "Ask for an invitation, and send its token as invitation."},
	{"signup_closed", []int{403}, "This installation accepts no sign-ups.", "Ask the operator."},
	{"status_invalid", []int{400}, "Deliveries have no such status.", "Send succeeded, failed or parked."},
	{"stolen_card", []int{402}, "The card was reported stolen. Nothing was charged.", "Let the payer use another card. Do not tell the cardholder why."},
	{"store_busy", []int{503}, "Too many concurrent changes to this account or link. Nothing was done.", "Retry after the time in Retry-After."},
	{"store_closed", []int{503}, "The service is shutting down. Nothing was done.", "Retry after the time in Retry-After."},
	{"store_unavailable", []int{503}, "The change could not be made durable.", "Retry with the same Idempotency-Key or attempt, after the time in Retry-After."},

	{"test_mode_only", []int{403}, "The call is available in test mode only, and the credentials are for live mode.", "Use a test-mode API key."},
	{"text_invalid", []int{400}, "The text is not plain UTF-8 text on one line.", "Send it without line breaks and control characters."},
	{"time_zone_unknown", []int{400}, "There is no such time zone.", "Send an IANA name such as Europe/Berlin, Asia/Kathmandu or UTC."},
	{"timeout", []int{503}, "The request timed out, and its outcome is not known yet.", "Retry with the same Idempotency-Key or attempt: what was done is not done again."},
	{"token_invalid", []int{400, 404}, "The token of an email or invitation is invalid, already used or expired. The response does not reveal which.", "Request a new one, or use the link in a newer email."},
	{"too_long", []int{400}, "The text or list is longer than allowed.", "Read the limit in the detail, and shorten it."},
	{"too_many_attempts", []int{429}, "Too many wrong passwords or codes for one user. Each further try has to wait, up to 15 minutes.", "Wait for the time in Retry-After, or reset the password by email."},
	{"too_many_disputes", []int{409}, "The payment has reached its limit of disputes.", "Settle the rest with the issuer outside of paylink."},
	{"too_many_endpoints", []int{409}, "The account has reached its limit of webhook endpoints in this mode.", "Delete one first."},
	{"too_many_events", []int{400}, "The subscription names more event types than exist.", `Name each once, or "*" for all.`},
	{"too_many_mails", []int{429}, "Too many emails were sent from this account or to this address in a short time.", "Send it after the time in Retry-After, or another way."},
	{"too_many_refunds", []int{409}, "The payment has reached its limit of refunds.", "Settle the rest with the payer outside of paylink."},
	{"too_many_streams", []int{429}, "Too many live streams are open, in all, or of the account, the link or the network.", "Request the same as JSON, or retry after the time in Retry-After."},
	{"totp_off", []int{409}, "Sign-in codes are not turned on.", "Turn them on first."},
	{"totp_on", []int{409}, "Sign-in codes are already turned on.", "Turn them off first, to use another authenticator."},
	{"type_unsupported", []int{400}, "The issuer does not support payment methods of this type.", "Use a type that GET /api/issuers lists for it."},

	{"unauthenticated", []int{401}, "The call requires credentials, and none could be read.", "Send one Authorization header: Bearer with a token or secret, or Basic with a key id and its secret."},
	{"unsupported_media_type", []int{415}, "The body has a media type that this call does not accept.", "Send JSON in UTF-8 as Content-Type: application/json, without a Content-Encoding."},
	{"url_has_credentials", []int{400}, "The URL contains a user name or password.", "Remove them; the receiver verifies the signature instead."},
	{"url_has_fragment", []int{400}, "The URL has a fragment, which would not be sent.", "Remove the number sign and what follows it."},
	{"url_invalid", []int{400}, "The URL is invalid.", "Send an absolute https URL, without spaces or credentials."},
	{"url_not_https", []int{400}, "The URL of a webhook endpoint does not begin with https.", "Use an https URL."},
	{"url_not_public", []int{400}, "The URL does not name a host on the public internet.", "Use a host that can be reached from the internet."},
	{"url_too_long", []int{400}, "The URL is too long.", "Use a shorter one."},
	{"user_required", []int{401}, "This call requires a signed-in user, and an API key was sent.", "Use the token of POST /api/sessions."},
	{"username_invalid", []int{400}, "The username has the wrong length or invalid characters.", "Use a-z, 0-9, dot, underscore and hyphen, within the length in the detail."},

	{"value_invalid", []int{400}, "The value is not one of the allowed ones.", "Use one that the detail lists."},
}
