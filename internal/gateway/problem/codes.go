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
	{"account_exists", []int{409}, "The username or the address is taken.", "Choose another, or sign in. Which of the two is taken is not told."},
	{"already_signed_up", []int{400}, "Somebody with the address has signed up already, and a user belongs to one account.", "Invite another address."},
	{"amount_ambiguous", []int{400}, "A person typed an amount that can be read as two sums, such as 1.500 in a currency of three decimals: the separator can be that of thousands or of decimals.", "Show the person both readings. The JSON API never answers this: it takes plain decimal numbers alone."},
	{"amount_currency_other", []int{400}, "A person typed an amount with the sign of a currency that is not the one asked for, such as $12.50 where EUR is asked for.", "Leave the sign out, or use the currency's own. The JSON API never answers this: it takes plain decimal numbers alone."},
	{"amount_invalid", []int{400}, "The amount is no plain decimal number, or does not fit the other members.", `Send digits with at most one point, such as "12.50", without sign, exponent or spaces.`},
	{"amount_mismatch", []int{400}, "The link asks for a fixed amount, and another was given.", "Leave the amount out, or send the one that the link shows."},
	{"amount_too_large", []int{400}, "The amount is more than the payment, the link, the payment method or paylink itself allows.", "Read the bound in the detail, and ask for no more."},
	{"amount_too_many_decimals", []int{400}, "The amount has more decimals than its currency.", "Write as many decimals as the currency has: JPY 0, EUR 2, KWD 3."},
	{"amount_too_small", []int{400}, "The amount is less than the link or the payment method allows, or nothing.", "Read the bound in the detail, and ask for no less."},
	{"api_key_expired", []int{401}, "The API key has passed its expiresAt.", "Make a new key and use that."},
	{"api_key_invalid", []int{401}, "There is no such API key, or the secret is wrong.", "Check that id and secret belong together and are of this server. Repeating the request changes nothing."},
	{"api_key_revoked", []int{401, 409}, "The API key has been revoked; it can neither be used nor rotated.", "Make a new key and use that."},
	{"attempt_invalid", []int{400}, "The attempt is not 16 to 64 characters of A-Z, a-z, 0-9, hyphen and underscore.", "Mint a fresh random one for each payment, and repeat it only to repeat that payment."},
	{"attempts_exceeded", []int{429}, "Too many cards are tried on this link, or this card was declined too often. Nothing was charged, and no payment was made.", "Wait for the time in Retry-After, ask GET /l/{token}/challenge?attempt=… for a puzzle, and send its solution as proof with the next attempt."},
	{"authentication_failed", []int{402}, "The payer did not pass the bank's check (3-D Secure). Nothing was charged.", "Let the payer try again, or use another card."},

	{"backtest_busy", []int{429}, "Other backtests are running.", "Try again after the time in Retry-After."},
	{"backtest_too_long", []int{409}, "The backtest took longer than 30 seconds.", "Choose a shorter period."},
	{"body_too_large", []int{413}, "The body of the request is larger than 256 KiB.", "Send less."},
	{"body_unexpected", []int{400}, "This call takes no body, and one was sent.", "Send the request without a body."},
	{"body_unreadable", []int{400}, "The body ended before it was complete.", "Send it again, whole."},
	{"browser_origin_refused", []int{403}, "An API key was sent from a web page. Whoever opens the page could read it.", "Call from your backend, and don't pass on the Origin and Sec-Fetch headers of its visitors. If the key was in a page, revoke it."},

	{"card_cvc_invalid", []int{400}, "The security code does not have 3 or 4 digits.", "Ask the payer to type it again."},
	{"card_declined", []int{402}, "The card's issuer declined, and gave no reason that may be told. Nothing was charged.", "Let the payer use another card, or ask their bank."},
	{"card_expired", []int{400}, "The expiry date of the card is past.", "Ask the payer to check the date, or to use another card."},
	{"card_expiry_invalid", []int{400}, "The expiry date of the card is no month and year.", "Send expMonth as 1 to 12 and expYear with four digits."},
	{"card_expiry_missing", []int{400}, "The expiry date of the card is missing.", "Ask the payer to type it."},
	{"card_number_invalid", []int{400}, "The card number has a wrong length or was mistyped: its check digit does not fit.", "Ask the payer to type it again."},
	{"changed_meanwhile", []int{409}, "Somebody else changed the object at the same moment.", "Read it again, and repeat your change if it still makes sense."},
	{"clock_backward", []int{400}, "The time is before the account's time in test mode, and time never goes back.", "Read GET /api/test-clock, and move forward from there."},
	{"clock_invalid", []int{400}, "The move of the test clock is no number of seconds to come, or no time.", "Send advanceSeconds of at least 1, or now as a time in RFC 3339."},
	{"clock_too_far", []int{400}, "The test clock would be more than 2 years ahead of real time.", "Move it less. There is no reset: sign up another account for a fresh clock."},
	{"colour_invalid", []int{400}, "The colour is not written as six hexadecimal digits.", "Send #rrggbb, such as #1f4fd1."},
	{"conflicting_fields", []int{400}, "Two members of the request exclude each other.", "Leave one of them out; the detail names them."},
	{"contrast_too_low", []int{400}, "Text in this colour, or on it, would be hard to read: its contrast with the page is below 4.5 to 1 (WCAG AA).", "Choose a darker colour for the light theme, or a lighter one for the dark theme."},
	{"credentials_invalid", []int{401}, "The login or the password is wrong. Which of the two is not told.", "Check both and sign in again."},
	{"cross_site_post", []int{403}, "The form was sent from another site than this one.", "Open the payment link and pay there, or the dashboard and send it there."},
	{"currencies_missing", []int{400}, "The payment method names no currency.", "Give at least one that the issuer supports; GET /api/issuers lists them."},
	{"currency_duplicate", []int{400}, "A currency is listed twice.", "List each once."},
	{"currency_invalid", []int{400}, "This is no currency of ISO 4217 in upper case.", "Send a code such as EUR."},
	{"currency_not_enabled", []int{400}, "None of the account's payment methods takes this currency.", "Enable it with PUT /api/users, or use one that the detail lists."},
	{"currency_unsupported", []int{400}, "The issuer does not take this currency.", "Use one that GET /api/issuers lists for it."},
	{"cursor_invalid", []int{400}, "The cursor is not one that this list gave out.", "Pass nextCursor of the page before, unchanged and with the same filters; or start without a cursor."},

	{"date_invalid", []int{400}, "This is no date that can be used.", "Send YYYY-MM-DD, or a time by RFC 3339."},
	{"delivery_not_repeatable", []int{409}, "The delivery had no body that could be sent, or was a test, so it cannot be sent again.", "Read the event with GET /api/events, or send another test."},
	{"dispute_closed", []int{409}, "The dispute was won or lost: it does not move any more.", "Read the payment with its disputes. A new objection is a new dispute, with a reference of its own."},
	{"dispute_state_conflict", []int{409}, "The dispute has moved on: it does not go back to the state that was given.", "Read the payment with its disputes; after needs_response come under_review, won and lost."},

	{"email_invalid", []int{400}, "This is no e-mail address.", "Send a bare address such as name@example.com."},
	{"email_unconfirmed", []int{403}, "None of the account's users has confirmed an email address. Live mode, mailing links in live mode and inviting others need one.", "Open the link in the confirmation email, or request another in the dashboard."},
	{"endpoint_changed", []int{409}, "The webhook endpoint was changed at the same moment.", "Read it again, and repeat your change if it still makes sense."},
	{"endpoint_disabled", []int{409}, "The webhook endpoint is disabled, so nothing is sent to it.", "Enable it with PUT /api/webhook-endpoints/{id} when its server is well again, then send what was parked with POST …/redeliver."},
	{"endpoint_exists", []int{409}, "Another webhook endpoint of this mode has the same URL and is sent some of the same events, so each would arrive twice.", "Change the endpoint that the answer names, or choose events that it is not sent."},
	{"event_type_unknown", []int{400}, "There is no event of this type.", `Use types that the detail lists, or "*" for all.`},
	{"events_missing", []int{400}, "No type of event was chosen. An empty list means neither all nor none.", "Name at least one type, or \"*\" for every one. To be sent none, disable or delete the endpoint."},
	{"expired_card", []int{402}, "The issuer says that the card has expired. Nothing was charged.", "Let the payer use another card."},
	{"expiry_invalid", []int{400}, "The time of expiry is no time, is past, or is out of bounds.", "Send a time to come; a link lives from 1 minute to 180 days."},

	{"field_invalid", []int{400}, "A field of the form has no name or label that can be used, is there twice, or is one too many.", "Name fields by a-z, 0-9 and _, give your own a label, and use at most five of them."},
	{"form_archived", []int{409}, "The form was archived, for good.", "Make a new form."},
	{"form_inactive", []int{409}, "The form is disabled or archived, so it makes no links. Nothing was paid.", "Ask the payee for another way to pay. The merchant enables the form, or makes a new one."},
	{"form_invalid", []int{400}, "The form did not arrive as a browser sends it.", "Open the page again."},
	{"form_resent", []int{422}, "The dashboard's form was sent before, with other contents, and was carried out then.", "Open the page again and send its form."},
	{"fraud_unavailable", []int{503}, "The rules cannot be reached now. Nothing was changed.", "Try again."},

	{"grace_invalid", []int{400}, "The grace for the old secret is out of bounds.", "Send graceSeconds within the bounds that the detail tells."},

	{"hashing_busy", []int{503}, "Too many are signing in at this moment. Nothing was done.", "Repeat the request after the time in Retry-After."},
	{"headers_too_large", []int{431}, "The address and the headers of the request are too long together.", "Send fewer or shorter headers and cookies, and a shorter query."},
	{"history_unavailable", []int{503}, "The payments of the past cannot be read now.", "Try again."},

	{"idempotency_key_in_use", []int{409}, "A request with this Idempotency-Key is under way.", "Repeat the request in a moment, under the same key, to read its answer."},
	{"idempotency_key_invalid", []int{400}, "The header Idempotency-Key is there more than once, or is not 1 to 255 printable ASCII characters.", "Send it once, with a value such as a UUID."},
	{"idempotency_key_raced", []int{503}, "Another request with this Idempotency-Key came first.", "Repeat the request under the same key to read its answer."},
	{"idempotency_key_reused", []int{422}, "This Idempotency-Key was used for another request.", "Use a new key for a new request, and the same body for the same key."},
	{"incorrect_cvc", []int{402}, "The issuer says that the security code is wrong. Nothing was charged.", "Let the payer check the digits on the card and try again."},
	{"insufficient_funds", []int{402}, "The account behind the card has too little money. Nothing was charged.", "Let the payer use another card."},
	{"internal", []int{500}, "Something went wrong on our side, and it is in our log under the requestId.", "Repeat the request under the same Idempotency-Key or attempt. If it stays, tell the operator the requestId."},
	{"invalid_characters", []int{400}, "The text holds characters that are not printable, or is not UTF-8.", "Send printable text in UTF-8."},
	{"invitation_address", []int{400}, "The invitation is for another address.", "Sign up with the address that was invited."},
	{"invitation_limit", []int{409}, "The account has as many open invitations as it may have.", "Withdraw one, or wait until one is used or has expired."},
	{"issuer_unavailable", []int{503}, "The issuer of this payment is not configured here now.", "Repeat the request later; the operator has to set the issuer up."},
	{"issuer_unknown", []int{400}, "There is no such issuer.", "Use one that GET /api/issuers lists."},
	{"issuer_unreachable", []int{503}, "The issuer could not be reached, and nothing was changed.", "Repeat the request after the time in Retry-After."},

	{"json_invalid", []int{400}, "The body is not one JSON object in UTF-8.", "Correct the body; the detail tells near which byte it breaks, where that is known."},

	{"key_required", []int{401}, "This call is for a merchant's backend, and a user's token was sent.", "Use an API key."},

	{"language_unknown", []int{400}, "There are no texts in this language.", "Choose one of en, de, fr, es, pt, ar and ja, or leave it out."},
	{"limit_out_of_range", []int{400}, "The size of the page is out of bounds.", "Ask for 1 to 100 items."},
	{"link_canceled", []int{409}, "The payment link was canceled.", "Ask the payee for a new one. The merchant makes a new link."},
	{"link_expired", []int{409}, "The payment link has expired.", "Ask the payee for a new one. The merchant makes a new link."},
	{"link_paid", []int{409}, "The payment link has been paid as often as it may be.", "Do not pay again. The merchant reads its payments with GET /api/payments."},
	{"link_paying", []int{409}, "A payment with this link is under way.", "Wait for its outcome: GET /l/{token}/status tells it."},
	{"link_unknown", []int{404}, "This is not a payment link of ours, or it was altered. Nothing was paid.", "Open the link again exactly as you received it."},
	{"list_action_invalid", []int{400}, "A list can allow, block or send to review.", "Send one of these."},
	{"list_entry_exists", []int{409}, "The value is on a list already.", "Change or delete that entry."},
	{"list_kind_invalid", []int{400}, "There is no list of this kind.", "Send card, bin, email, address or country. The installation has no list of cards, because a fingerprint is one account's."},
	{"list_limit_reached", []int{409}, "The lists of the account are full in this mode.", "Delete entries, or give new ones an end."},
	{"list_value_invalid", []int{400}, "The value is none that a list of this kind can hold.", "Read the detail for its form."},
	{"live_mode_unavailable", []int{400}, "Live mode needs an issuer that is not the simulator.", "Use test mode, or set such an issuer up."},
	{"lost_card", []int{402}, "The card was reported lost. Nothing was charged.", "Let the payer use another card. Do not tell who holds the card why."},

	{"mail_kind_unknown", []int{400}, "Mails of this kind cannot be turned off: they belong to an account or a payment.", "Turn off one of expiring, endpoint_disabled and parked."},
	{"mail_refused", []int{409}, "Whoever reads this address wants no payment links by mail from this account.", "Send the link in another way."},
	{"mail_sent_just_now", []int{429}, "The same mail was sent less than a minute ago.", "Look for it, also among the unwanted mail, before you ask for another."},
	{"mail_test_mode", []int{400}, "In test mode mail goes only to addresses that users of the account have confirmed, and to is none of these.", "Use a confirmed address of one of the account's users, or a live link."},
	{"mail_unavailable", []int{409}, "The operator of this server has not set up a mail server.", "Send the link in another way, or ask the operator."},
	{"max_uses_invalid", []int{400}, "The number of uses is out of bounds.", "Send maxUses as 1 to 1,000,000, or null for no limit."},
	{"metadata_invalid", []int{400}, "The metadata has too many entries, or a key or value that is too long or not text.", "Send at most 50 entries with keys of at most 64 and values of at most 500 characters."},
	{"metadata_too_large", []int{400}, "The keys and values of the metadata have too many bytes in all. It travels with every event and webhook of the link, and those must stay of a size that receivers take.", "Send at most 32 KiB in all, counted in UTF-8, and keep the rest in your own system under the link's reference."},
	{"method_not_allowed", []int{405}, "This address exists and does not answer this method.", "Use a method that the header Allow lists."},
	{"mode_mismatch", []int{403}, "The API key acts in another mode than the request asks for.", "Use a key of that mode: test and live data never meet."},

	{"name_missing", []int{400}, "The API key or the form has no name.", "Give it a name by which you will know it."},
	{"not_found", []int{404}, "There is no such object for these credentials and this mode, or nothing at this address.", "Check the id and the mode. What belongs to another account is not found either."},
	{"note_too_long", []int{400}, "The note is too long.", "Shorten it to 500 characters."},

	{"origin_invalid", []int{400}, "This is no origin that may show a form.", "Send https, a host and perhaps a port, such as https://shop.example, without a path or a wildcard; http is for localhost only."},
	{"otp_invalid", []int{400, 401}, "The code is wrong, or was used already. A code is good for one sign-in.", "Check the time of the device, and send the next code; or a recovery code."},
	{"otp_required", []int{401}, "The password was right, and this user signs in with a code of an authenticator, too.", "Send the code as otp, or a recovery code."},

	{"parameter_duplicate", []int{400}, "A member of the body or a parameter of the query is there twice.", "Send it once."},
	{"parameter_invalid", []int{400}, "The value has the wrong type or form.", "Send what the detail says; param names which one it is."},
	{"parameter_missing", []int{400}, "A parameter is required and was not sent.", "Send it; param names which one it is."},
	{"parameter_unknown", []int{400}, "This call has no such parameter. It is refused, so that a misspelled one is not silently lost.", "Correct its name or leave it out; param names which one it is."},
	{"passkey_invalid", []int{401}, "The passkey is not known, or the answer of the device does not fit.", "Try again, or sign in with the password."},
	{"passkey_limit", []int{409}, "The user has as many passkeys as one may have.", "Remove one first."},
	{"passkeys_unavailable", []int{409}, "Passkeys need a public URL with a host name; an IP address is none.", "Sign in with the password."},
	{"password_too_short", []int{400}, "The password has fewer than 12 characters.", "Choose a longer one."},
	{"password_wrong", []int{400}, "The password that was asked for again is wrong.", "Check it and repeat."},
	{"payment_busy", []int{503}, "Many requests change this payment at once, and this one did not get its turn.", "Repeat the request after the time in Retry-After."},
	{"payment_disputed", []int{409}, "A dispute that is open or lost claims the money: the issuer may give it back to the payer, and a refund would pay twice.", "Refund what the dispute leaves, wait for its end, or send allowDisputed to refund all the same."},
	{"payment_held", []int{409}, "The payment is held for review, and not captured before somebody has approved it there.", "Approve it in the review queue, or with POST /api/payments/{id}/review."},
	{"payment_log_full", []int{409}, "The payment's log has reached its bound, so it takes no further change.", "Settle the rest with the payer outside of paylink."},
	{"payment_method_duplicate", []int{400}, "Two payment methods have the same type and issuer.", "Join their currencies in one."},
	{"payment_method_unavailable", []int{400}, "The account has no such payment method enabled for this mode.", "Enable it with PUT /api/users, or name another."},
	{"payment_method_unknown", []int{400}, "The account has no payment method of this name.", `Give "card", or the id of one of the account's payment methods.`},
	{"payment_not_capturable", []int{409}, "In its status, the payment cannot be captured.", "Read the payment. Only one that is authorized, or late, can be captured."},
	{"payment_not_disputable", []int{409}, "Nothing was captured of the payment: there is nothing to dispute.", "Read the payment."},
	{"payment_not_in_review", []int{409}, "The payment does not wait in review: it never did, or somebody has decided.", "Read the payment: its risk says what was decided, when and by whom."},
	{"payment_not_refundable", []int{409}, "In its status the payment cannot be refunded, or nothing is left to refund.", "Read the payment and its refunds. What was not captured is voided instead."},
	{"payment_not_voidable", []int{409}, "In its status, the payment cannot be voided.", "Read the payment. What was captured is refunded instead."},
	{"processing_error", []int{402}, "The issuer could not process the request. Nothing was charged.", "Let the payer try again in a few minutes, or use another card."},

	{"query_invalid", []int{400}, "The query is not valid percent-encoded text.", "Encode the parameters as URLs do."},
	{"query_too_long", []int{400}, "The query of the address is too long.", "Shorten the filters."},
	{"queue_unavailable", []int{503}, "The delivery could not be queued.", "Repeat the request after the time in Retry-After."},

	{"range_invalid", []int{400}, "The period ends before it begins, or is empty.", "Send a to that is not before from. A date means its whole day, so the same date twice is that day; a time given as to is not included."},
	{"rate_limited", []int{429}, "There were too many requests in a short time. Nothing was done.", "Wait for the time in Retry-After, then repeat the request."},
	{"receipt_unknown", []int{404}, "This is not a receipt of ours, or it was altered.", "Ask for the receipt again where it came from, and paste all of it."},
	{"redelivery_running", []int{409}, "A bulk redelivery to this endpoint is running.", "Wait for its end, or cancel it; GET …/redeliveries tells how far it is."},
	{"redelivery_too_large", []int{409}, "More events match than one bulk redelivery takes.", "Ask for a shorter time, several times."},
	{"refundable_amount_changed", []int{409}, "What can be refunded is no longer the refundableAmount that the request names. Nothing was refunded.", "Read the payment, decide again, and send its refundableAmount."},
	{"resets_busy", []int{503}, "Too many are asking for a new password at this moment. Nothing was done.", "Wait a second and repeat the request."},
	{"review_time_invalid", []int{400}, "The time for a review is out of bounds.", "Send 0, or an hour to seven days in seconds."},
	{"rule_action_invalid", []int{400}, "There is no such action.", "Send request_3ds, allow, block or review."},
	{"rule_builtin", []int{409}, "A rule of the default set can be switched on, off or to shadow, and neither rewritten nor deleted.", "Switch it off, and write a rule of your own from its condition."},
	{"rule_condition_invalid", []int{400}, "The condition does not compile, has a wrong type, or could cost too much.", "Correct it at the line and column in the detail; the guide to rules lists the variables with their types."},
	{"rule_name_invalid", []int{400}, "The rule has no name that can be used.", "Send 1 to 100 characters in one line."},
	{"rule_state_invalid", []int{400}, "There is no such state of a rule.", "Send on, shadow or off."},
	{"rules_limit_reached", []int{409}, "The account has as many rules as it may have in this mode.", "Delete one that is off."},
	{"rules_too_costly", []int{409}, "The rules of the account together could cost more than a payment may wait for.", "Switch one off, or shorten the lists and patterns in them."},

	{"scope_missing", []int{403}, "The API key lacks the scope that this call needs.", "Use a key that has the scope which the detail names."},
	{"scope_unknown", []int{400}, "There is no such scope.", "Use scopes that the detail lists."},
	{"scopes_missing", []int{400}, "The API key has no scope.", "Give it at least one that the detail lists."},
	{"service_unavailable", []int{503}, "A part of paylink cannot be reached at the moment, or did not answer in time. What was begun may have been done.", "Repeat the request under the same Idempotency-Key or attempt, after the time in Retry-After."},
	{"session_invalid", []int{401}, "The session is unknown, expired or signed out.", "Sign in again."},
	{"sign_in_expired", []int{401}, "The second step of a sign-in came too late.", "Start again with the password."},
	{"signup_by_invitation", []int{403}, "This installation takes sign-ups by invitation alone.", "Ask for an invitation, and send its token as invitation."},
	{"signup_closed", []int{403}, "This installation takes no sign-ups.", "Ask who runs it."},
	{"status_invalid", []int{400}, "There is no such status to choose deliveries by.", "Send succeeded, failed or parked."},
	{"stolen_card", []int{402}, "The card was reported stolen. Nothing was charged.", "Let the payer use another card. Do not tell who holds the card why."},
	{"store_busy", []int{503}, "The store takes no more for this account or link at the moment. Nothing was done.", "Repeat the request after the time in Retry-After."},
	{"store_closed", []int{503}, "The service is shutting down. Nothing was done.", "Repeat the request after the time in Retry-After."},
	{"store_unavailable", []int{503}, "The change could not be made durable.", "Repeat the request under the same Idempotency-Key or attempt, after the time in Retry-After."},

	{"test_mode_only", []int{403}, "The call is about time in test mode, and this is live mode.", "Use an API key of test mode."},
	{"text_invalid", []int{400}, "The text is not plain text on one line in UTF-8.", "Send it without line breaks and control characters."},
	{"time_zone_unknown", []int{400}, "There is no time zone of this name.", "Send an IANA name such as Europe/Berlin, Asia/Kathmandu or UTC."},
	{"timeout", []int{503}, "The request took too long, and its outcome is not known yet.", "Repeat it under the same Idempotency-Key or attempt: what was done is not done again."},
	{"token_invalid", []int{400, 404}, "The token of a mail or an invitation is unknown, was altered or used already, or has expired. Which of them is not told.", "Ask for a new one, or use the link of a newer mail."},
	{"too_long", []int{400}, "The text or list is longer than allowed.", "Read the bound in the detail, and shorten it."},
	{"too_many_attempts", []int{429}, "Too many wrong passwords or codes for one user. Each further try has to wait, up to a quarter of an hour.", "Wait as long as Retry-After says; or reset the password by mail."},
	{"too_many_disputes", []int{409}, "The payment has as many disputes as it may.", "Settle the rest with the issuer outside of paylink."},
	{"too_many_endpoints", []int{409}, "The account has as many webhook endpoints in this mode as it may.", "Delete one first."},
	{"too_many_events", []int{400}, "The subscription names more event types than there are.", `Name each once, or "*" for all.`},
	{"too_many_mails", []int{429}, "Many mails were sent from this account, or to this address, within a short time.", "Send it after the time in Retry-After, or in another way."},
	{"too_many_refunds", []int{409}, "The payment has as many refunds as it may.", "Settle the rest with the payer outside of paylink."},
	{"too_many_streams", []int{503}, "Too many readers follow a status, or events, live at the moment.", "Ask for the same as JSON instead, or come back after the time in Retry-After."},
	{"totp_off", []int{409}, "Sign-in codes are not turned on.", "Turn them on first."},
	{"totp_on", []int{409}, "Sign-in codes are turned on already.", "Turn them off first, to use another authenticator."},
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
