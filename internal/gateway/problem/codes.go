package problem

import (
	"slices"
	"strings"
)

// Code explains a code of a problem: what it means, and what to do. It is what
// the problem's type address answers (RFC 9457, section 3.1.1).
type Code struct {
	Name     string
	Statuses []int // the HTTP statuses that it comes with
	Meaning  string
	Do       string
}

// Codes are all codes that leave, by name. A test holds them against the sources,
// so a code cannot be emitted that is not explained here.
func Codes() []Code { return codes }

// CodeByName finds a code's explanation.
func CodeByName(name string) (Code, bool) {
	i, ok := slices.BinarySearchFunc(codes, name, func(c Code, name string) int { return strings.Compare(c.Name, name) })
	if !ok {
		return Code{}, false
	}
	return codes[i], true
}

// codes is written once and never changed; sorted by name.
var codes = []Code{
	{"account_exists", []int{409}, "The username or the address is taken.", "Choose another, or sign in. Which of the two is taken is not told."},
	{"amount_invalid", []int{400}, "The amount is no plain decimal number, or does not fit the other members.", `Send digits with at most one point, such as "12.50", without sign, exponent or spaces.`},
	{"amount_mismatch", []int{400}, "The link asks for a fixed amount, and another was given.", "Leave the amount out, or send the one that the link shows."},
	{"amount_too_large", []int{400}, "The amount is more than the payment, the link, the payment method or paylink itself allows.", "Read the bound in the detail, and ask for no more."},
	{"amount_too_many_decimals", []int{400}, "The amount has more decimals than its currency.", "Write as many decimals as the currency has: JPY 0, EUR 2, KWD 3."},
	{"amount_too_small", []int{400}, "The amount is less than the link or the payment method allows, or nothing.", "Read the bound in the detail, and ask for no less."},
	{"api_key_expired", []int{401}, "The API key has passed its expiresAt.", "Make a new key and use that."},
	{"api_key_invalid", []int{401}, "There is no such API key, or the secret is wrong.", "Check that id and secret belong together and are of this server. Repeating the request changes nothing."},
	{"api_key_revoked", []int{401, 409}, "The API key has been revoked; it can neither be used nor rotated.", "Make a new key and use that."},
	{"attempt_invalid", []int{400}, "The attempt is not 16 to 64 characters of A-Z, a-z, 0-9, hyphen and underscore.", "Mint a fresh random one for each payment, and repeat it only to repeat that payment."},
	{"authentication_failed", []int{402}, "The payer did not pass the bank's check (3-D Secure). Nothing was charged.", "Let the payer try again, or use another card."},
	{"body_too_large", []int{413}, "The body of the request is larger than 64 KiB.", "Send less."},
	{"body_unexpected", []int{400}, "This call takes no body, and one was sent.", "Send the request without a body."},
	{"body_unreadable", []int{400}, "The body ended before it was complete.", "Send it again, whole."},
	{"browser_origin_refused", []int{403}, "An API key was sent from a web page. Whoever opens the page could read it.", "Call from your backend. If the key was in a page, revoke it."},
	{"card_cvc_invalid", []int{400}, "The security code does not have 3 or 4 digits.", "Ask the payer to type it again."},
	{"card_declined", []int{402}, "The card's issuer declined, and gave no reason that may be told. Nothing was charged.", "Let the payer use another card, or ask their bank."},
	{"card_expired", []int{400}, "The expiry date of the card is past.", "Ask the payer to check the date, or to use another card."},
	{"card_expiry_invalid", []int{400}, "The expiry date of the card is no month and year.", "Send expMonth as 1 to 12 and expYear with four digits."},
	{"card_expiry_missing", []int{400}, "The expiry date of the card is missing.", "Ask the payer to type it."},
	{"card_number_invalid", []int{400}, "The card number has a wrong length or was mistyped: its check digit does not fit.", "Ask the payer to type it again."},
	{"changed_meanwhile", []int{409}, "Somebody else changed the object at the same moment.", "Read it again, and repeat your change if it still makes sense."},
	{"colour_invalid", []int{400}, "The colour is not written as six hexadecimal digits.", "Send #rrggbb, such as #1f4fd1."},
	{"conflicting_fields", []int{400}, "Two members of the request exclude each other.", "Leave one of them out; the detail names them."},
	{"contrast_too_low", []int{400}, "Text in this colour, or on it, would be hard to read: its contrast with the page is below 4.5 to 1 (WCAG AA).", "Choose a darker colour for the light theme, or a lighter one for the dark theme."},
	{"credentials_invalid", []int{401}, "The login or the password is wrong. Which of the two is not told.", "Check both and sign in again."},
	{"cross_site_post", []int{403}, "The payment form was sent from another site than this one.", "Open the payment link and pay there."},
	{"currencies_missing", []int{400}, "The payment method names no currency.", "Give at least one that the issuer supports; GET /api/issuers lists them."},
	{"currency_duplicate", []int{400}, "A currency is listed twice.", "List each once."},
	{"currency_invalid", []int{400}, "This is no currency of ISO 4217 in upper case.", "Send a code such as EUR."},
	{"currency_not_enabled", []int{400}, "None of the account's payment methods takes this currency.", "Enable it with PUT /api/users, or use one that the detail lists."},
	{"currency_unsupported", []int{400}, "The issuer does not take this currency.", "Use one that GET /api/issuers lists for it."},
	{"cursor_invalid", []int{400}, "The cursor is not one that this list gave out.", "Pass nextCursor of the page before, unchanged and with the same filters; or start without a cursor."},
	{"date_invalid", []int{400}, "This is no date that can be used.", "Send YYYY-MM-DD, or a time by RFC 3339."},
	{"delivery_not_repeatable", []int{409}, "The delivery had no body that could be sent, or was a test, so it cannot be sent again.", "Read the event with GET /api/events, or send another test."},
	{"email_invalid", []int{400}, "This is no e-mail address.", "Send a bare address such as name@example.com."},
	{"endpoint_changed", []int{409}, "The webhook endpoint was changed at the same moment.", "Read it again, and repeat your change if it still makes sense."},
	{"endpoint_disabled", []int{409}, "The webhook endpoint is disabled, so nothing is sent to it.", "Enable it with PUT /api/webhook-endpoints/{id} when its server is well again, then send what was parked with POST …/redeliver."},
	{"event_type_unknown", []int{400}, "There is no event of this type.", `Use types that the detail lists, or "*" for all.`},
	{"events_missing", []int{400}, "No type of event was chosen.", "Choose at least one, or all of them."},
	{"expired_card", []int{402}, "The issuer says that the card has expired. Nothing was charged.", "Let the payer use another card."},
	{"expiry_invalid", []int{400}, "The time of expiry is no time, is past, or is out of bounds.", "Send a time to come; a link lives from 1 minute to 180 days."},
	{"field_invalid", []int{400}, "A field of the form has no name or label that can be used, is there twice, or is one too many.", "Name fields by a-z, 0-9 and _, give your own a label, and use at most five of them."},
	{"form_archived", []int{409}, "The form was archived, for good.", "Make a new form."},
	{"form_inactive", []int{409}, "The form is disabled or archived, so it makes no links. Nothing was paid.", "Ask the payee for another way to pay. The merchant enables the form, or makes a new one."},
	{"form_invalid", []int{400}, "The payment form did not arrive as a browser sends it.", "Open the payment link again."},
	{"grace_invalid", []int{400}, "The grace for the old secret is out of bounds.", "Send graceSeconds within the bounds that the detail tells."},
	{"hashing_busy", []int{503}, "Too many are signing in at this moment. Nothing was done.", "Repeat the request after the time in Retry-After."},
	{"idempotency_key_in_use", []int{409}, "A request with this Idempotency-Key is under way.", "Repeat the request in a moment, under the same key, to read its answer."},
	{"idempotency_key_invalid", []int{400}, "The header Idempotency-Key is there more than once, or is not 1 to 255 printable ASCII characters.", "Send it once, with a value such as a UUID."},
	{"idempotency_key_raced", []int{503}, "Another request with this Idempotency-Key came first.", "Repeat the request under the same key to read its answer."},
	{"idempotency_key_reused", []int{422}, "This Idempotency-Key was used for another request.", "Use a new key for a new request, and the same body for the same key."},
	{"incorrect_cvc", []int{402}, "The issuer says that the security code is wrong. Nothing was charged.", "Let the payer check the digits on the card and try again."},
	{"insufficient_funds", []int{402}, "The account behind the card has too little money. Nothing was charged.", "Let the payer use another card."},
	{"internal", []int{500}, "Something went wrong on our side, and it is in our log under the requestId.", "Repeat the request under the same Idempotency-Key or attempt. If it stays, tell the operator the requestId."},
	{"invalid_characters", []int{400}, "The text holds characters that are not printable, or is not UTF-8.", "Send printable text in UTF-8."},
	{"issuer_unavailable", []int{503}, "The issuer of this payment is not configured here now.", "Repeat the request later; the operator has to set the issuer up."},
	{"issuer_unknown", []int{400}, "There is no such issuer.", "Use one that GET /api/issuers lists."},
	{"issuer_unreachable", []int{503}, "The issuer could not be reached, and nothing was changed.", "Repeat the request after the time in Retry-After."},
	{"json_invalid", []int{400}, "The body is not one JSON object in UTF-8.", "Correct the body; the detail tells near which byte it breaks, where that is known."},
	{"key_required", []int{401}, "This call is for a merchant's backend, and a user's token was sent.", "Use an API key."},
	{"limit_out_of_range", []int{400}, "The size of the page is out of bounds.", "Ask for 1 to 100 items."},
	{"link_canceled", []int{409}, "The payment link was canceled.", "Ask the payee for a new one. The merchant makes a new link."},
	{"link_expired", []int{409}, "The payment link has expired.", "Ask the payee for a new one. The merchant makes a new link."},
	{"link_paid", []int{409}, "The payment link has been paid as often as it may be.", "Do not pay again. The merchant reads its payments with GET /api/payments."},
	{"link_paying", []int{409}, "A payment with this link is under way.", "Wait for its outcome: GET /l/{token}/status tells it."},
	{"link_unknown", []int{404}, "This is not a payment link of ours, or it was altered. Nothing was paid.", "Open the link again exactly as you received it."},
	{"live_mode_unavailable", []int{400}, "Live mode needs an issuer that is not the simulator.", "Use test mode, or set such an issuer up."},
	{"lost_card", []int{402}, "The card was reported lost. Nothing was charged.", "Let the payer use another card. Do not tell who holds the card why."},
	{"max_uses_invalid", []int{400}, "The number of uses is out of bounds.", "Send maxUses as 1 to 1,000,000, or null for no limit."},
	{"metadata_invalid", []int{400}, "The metadata has too many entries, or a key or value that is too long or not text.", "Send at most 50 entries with keys of at most 64 and values of at most 500 bytes."},
	{"method_not_allowed", []int{405}, "This address exists and does not answer this method.", "Use a method that the header Allow lists."},
	{"mode_mismatch", []int{403}, "The API key acts in another mode than the request asks for.", "Use a key of that mode: test and live data never meet."},
	{"name_missing", []int{400}, "The API key or the form has no name.", "Give it a name by which you will know it."},
	{"not_found", []int{404}, "There is no such object for these credentials and this mode, or nothing at this address.", "Check the id and the mode. What belongs to another account is not found either."},
	{"origin_invalid", []int{400}, "This is no origin that may show a form.", "Send https, a host and perhaps a port, such as https://shop.example, without a path or a wildcard; http is for localhost only."},
	{"parameter_duplicate", []int{400}, "A member of the body or a parameter of the query is there twice.", "Send it once."},
	{"parameter_invalid", []int{400}, "The value has the wrong type or form.", "Send what the detail says; param names which one it is."},
	{"parameter_missing", []int{400}, "A parameter is required and was not sent.", "Send it; param names which one it is."},
	{"parameter_unknown", []int{400}, "This call has no such parameter. It is refused, so that a misspelled one is not silently lost.", "Correct its name or leave it out; param names which one it is."},
	{"password_too_short", []int{400}, "The password has fewer than 12 characters.", "Choose a longer one."},
	{"payment_busy", []int{503}, "Many requests change this payment at once, and this one did not get its turn.", "Repeat the request after the time in Retry-After."},
	{"payment_log_full", []int{409}, "The payment's log has reached its bound, so it takes no further change.", "Settle the rest with the payer outside of paylink."},
	{"payment_method_duplicate", []int{400}, "Two payment methods have the same type and issuer.", "Join their currencies in one."},
	{"payment_method_unavailable", []int{400}, "The account has no such payment method enabled for this mode.", "Enable it with PUT /api/users, or name another."},
	{"payment_method_unknown", []int{400}, "The account has no payment method of this name.", `Give "card", or the id of one of the account's payment methods.`},
	{"payment_not_capturable", []int{409}, "In its status, the payment cannot be captured.", "Read the payment. Only one that is authorized, or late, can be captured."},
	{"payment_not_refundable", []int{409}, "In its status the payment cannot be refunded, or nothing is left to refund.", "Read the payment and its refunds. What was not captured is voided instead."},
	{"payment_not_voidable", []int{409}, "In its status, the payment cannot be voided.", "Read the payment. What was captured is refunded instead."},
	{"processing_error", []int{402}, "The issuer could not process the request. Nothing was charged.", "Let the payer try again in a few minutes, or use another card."},
	{"query_invalid", []int{400}, "The query is not valid percent-encoded text.", "Encode the parameters as URLs do."},
	{"query_too_long", []int{400}, "The query of the address is too long.", "Shorten the filters."},
	{"queue_unavailable", []int{503}, "The delivery could not be queued.", "Repeat the request after the time in Retry-After."},
	{"rate_limited", []int{429}, "There were too many requests in a short time. Nothing was done.", "Wait for the time in Retry-After, then repeat the request."},
	{"redelivery_running", []int{409}, "A bulk redelivery to this endpoint is running.", "Wait for its end, or cancel it; GET …/redeliveries tells how far it is."},
	{"redelivery_too_large", []int{409}, "More events match than one bulk redelivery takes.", "Ask for a shorter time, several times."},
	{"scope_missing", []int{403}, "The API key lacks the scope that this call needs.", "Use a key that has the scope which the detail names."},
	{"scope_unknown", []int{400}, "There is no such scope.", "Use scopes that the detail lists."},
	{"scopes_missing", []int{400}, "The API key has no scope.", "Give it at least one that the detail lists."},
	{"service_unavailable", []int{503}, "A part of paylink cannot be reached at the moment, or did not answer in time. What was begun may have been done.", "Repeat the request under the same Idempotency-Key or attempt, after the time in Retry-After."},
	{"session_invalid", []int{401}, "The session is unknown, expired or signed out.", "Sign in again."},
	{"status_invalid", []int{400}, "There is no such status to choose deliveries by.", "Send succeeded, failed or parked."},
	{"stolen_card", []int{402}, "The card was reported stolen. Nothing was charged.", "Let the payer use another card. Do not tell who holds the card why."},
	{"store_busy", []int{503}, "The store takes no more for this account or link at the moment. Nothing was done.", "Repeat the request after the time in Retry-After."},
	{"store_closed", []int{503}, "The service is shutting down. Nothing was done.", "Repeat the request after the time in Retry-After."},
	{"store_unavailable", []int{503}, "The change could not be made durable.", "Repeat the request under the same Idempotency-Key or attempt, after the time in Retry-After."},
	{"text_invalid", []int{400}, "The text is not plain text on one line in UTF-8.", "Send it without line breaks and control characters."},
	{"timeout", []int{503}, "The request took too long, and its outcome is not known yet.", "Repeat it under the same Idempotency-Key or attempt: what was done is not done again."},
	{"too_long", []int{400}, "The text or list is longer than allowed.", "Read the bound in the detail, and shorten it."},
	{"too_many_endpoints", []int{409}, "The account has as many webhook endpoints in this mode as it may.", "Delete one first."},
	{"too_many_events", []int{400}, "The subscription names more event types than there are.", `Name each once, or "*" for all.`},
	{"too_many_refunds", []int{409}, "The payment has as many refunds as it may.", "Settle the rest with the payer outside of paylink."},
	{"too_many_streams", []int{503}, "Too many readers follow a status, or events, live at the moment.", "Ask for the same as JSON instead, or come back after the time in Retry-After."},
	{"type_unsupported", []int{400}, "The issuer does not serve payment methods of this type.", "Use a type that GET /api/issuers lists for it."},
	{"unauthenticated", []int{401}, "The call needs credentials, and none came that could be read.", "Send one Authorization header: Bearer with a token or secret, or Basic with a key id and its secret."},
	{"unsupported_media_type", []int{415}, "The body is not of a type that this call reads.", "Send JSON in UTF-8 as Content-Type: application/json, without a Content-Encoding."},
	{"url_has_credentials", []int{400}, "The URL carries a user name or password.", "Leave them out; the receiver verifies the signature instead."},
	{"url_has_fragment", []int{400}, "The URL has a fragment, which would not be sent.", "Leave out what follows the number sign."},
	{"url_invalid", []int{400}, "This is no URL that can be used.", "Send an absolute https URL, without spaces or credentials."},
	{"url_not_https", []int{400}, "The URL of a webhook endpoint does not begin with https.", "Use an https URL."},
	{"url_not_public", []int{400}, "The URL does not name a host on the public internet.", "Use a host that can be reached from the internet."},
	{"url_too_long", []int{400}, "The URL is too long.", "Use a shorter one."},
	{"user_required", []int{401}, "This call is for a signed-in user, and an API key was sent.", "Use the token of POST /api/sessions."},
	{"username_invalid", []int{400}, "The username has a wrong length, or characters that are not allowed.", "Use a-z, 0-9, dot, underscore and hyphen, as many as the detail says."},
	{"value_invalid", []int{400}, "The value is none of those that are known here.", "Use one that the detail lists."},
}
