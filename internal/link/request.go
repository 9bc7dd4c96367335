package link

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/id"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/spelling"
)

// Limits of the texts in a request.
const (
	MaxRealmChars       = 64
	MaxDescriptionChars = 500
	MaxReferenceChars   = 200
	MaxRedirectBytes    = 2048

	// Metadata is part of every event, webhook, export and item of a payment, so its total size
	// is bounded too. What is accepted here fits all of them, even in characters that JSON
	// escapes to twice their size. In ASCII the bound leaves space for every entry
	// (TestMetadataFits).
	MaxMetadata           = 50 // entries
	MaxMetadataKeyChars   = 64
	MaxMetadataValueChars = 500
	MaxMetadataBytes      = 32 << 10 // of all keys and values together, in UTF-8
)

// link checks the whole request and returns the link, without id and token. The first check
// that fails decides the fault, which names the field.
func (r CreateRequest) link(now time.Time) (Link, error) {
	k := Link{
		Account: r.Account, Mode: r.Mode, Payee: r.Payee, Realm: r.Realm, Description: r.Description,
		Reference: r.Reference, RedirectURL: r.RedirectURL, Capture: r.Capture, LatePolicy: r.LatePolicy,
		Metadata: maps.Clone(r.Metadata), CreatedAt: now,
	}
	if !id.Valid(id.Account, r.Account) {
		return k, fmt.Errorf("link: %q is not an account", r.Account)
	}
	if r.Mode != Test && r.Mode != Live {
		return k, oneOf("mode", []string{Test, Live})
	}

	for _, check := range []func(*Link, time.Time) error{
		r.priced, r.dated, r.limited, r.described, r.governed,
	} {
		if err := check(&k, now); err != nil {
			return Link{}, err
		}
	}

	return k, nil
}

// priced reads currency and amounts, and picks the payment method. An amount and limits
// exclude each other. Amounts are checked against the limits of the currency first, and
// then against those of the method.
func (r CreateRequest) priced(k *Link, _ time.Time) error {
	c, err := money.ParseCurrency(r.Currency)
	if err != nil {
		return fault.Invalid("currency", "currency_invalid", "currency must be an ISO 4217 code in upper case, such as EUR.")
	}

	k.Amount = money.Of(0, c)
	if r.Amount == "" && r.MaxAmount == "" {
		return fault.Invalid("amount", "amount_invalid", "amount is required, or maxAmount if the payer chooses the amount.")
	}
	if r.Amount != "" {
		for _, other := range [...]struct{ param, value string }{{"minAmount", r.MinAmount}, {"maxAmount", r.MaxAmount}} {
			if other.value != "" {
				return fault.Invalid(other.param, "conflicting_fields", "Send either amount, or maxAmount with an optional minAmount, not both.")
			}
		}
		if k.Amount, err = parseAmount("amount", r.Amount, c); err != nil {
			return err
		}
	} else {
		top, err := parseAmount("maxAmount", r.MaxAmount, c)
		if err != nil {
			return err
		}
		k.MaxMinor, k.MinMinor = top.Minor, 1
		if r.MinAmount != "" {
			low, err := parseAmount("minAmount", r.MinAmount, c)
			if err != nil {
				return err
			}
			k.MinMinor = low.Minor
		}
		if k.MinMinor > k.MaxMinor {
			return fault.Invalid("minAmount", "amount_invalid", "minAmount must not be greater than maxAmount.")
		}
	}

	m, err := r.method(c)
	if err != nil {
		return err
	}

	k.PaymentMethod, k.Issuer = m.ID, m.Issuer
	return m.limit(k, r.MinAmount != "")
}

// parseAmount reads an amount of at least one minor unit. The faults distinguish a wrong
// form, too many decimals, and an amount that is too large or too small.
func parseAmount(param, s string, c money.Currency) (money.Amount, error) {
	a, err := money.Parse(s, c)
	switch {
	case errors.Is(err, money.ErrPrecision):
		return a, fault.Invalid(param, "amount_too_many_decimals", "An amount in %s can have at most %d decimals.", c, c.Exponent())
	case errors.Is(err, money.ErrOverflow):
		return a, fault.Invalid(param, "amount_too_large", "An amount in %s must be at most %s.", c, money.Of(money.MaxMinor, c).Decimal())
	case err != nil:
		return a, fault.Invalid(param, "amount_invalid", "An amount must be a plain decimal number, such as %s.", money.Of(1250, c).Decimal())
	case a.Minor < 1:
		return a, fault.Invalid(param, "amount_too_small", "An amount in %s must be at least %s.", c, money.Of(1, c).Decimal())
	}
	return a, nil
}

// limit checks the amounts against the method's limits. If the payer chooses and the merchant
// set no lower limit, the method's applies.
func (m Method) limit(k *Link, minGiven bool) error {
	c := k.Amount.Currency
	low, high := max(m.MinMinor, 1), m.MaxMinor
	if high <= 0 {
		high = money.MaxMinor
	}

	lowParam, highParam, asked, most := "amount", "amount", k.Amount.Minor, k.Amount.Minor
	if k.PayerChooses() {
		if !minGiven && k.MaxMinor >= low {
			k.MinMinor = max(k.MinMinor, low)
		}
		lowParam, highParam, asked, most = "minAmount", "maxAmount", k.MinMinor, k.MaxMinor
		if !minGiven {
			lowParam = "maxAmount"
		}
	}

	if asked < low {
		return fault.Invalid(lowParam, "amount_too_small", "The payment method requires at least %s %s.", money.Of(low, c).Decimal(), c)
	}
	if most > high {
		return fault.Invalid(highParam, "amount_too_large", "The payment method accepts at most %s %s.", money.Of(high, c).Decimal(), c)
	}

	return nil
}

// method returns the first payment method that serves the request, the mode and the
// currency, or a fault that names which of these none serves. The order is the account's,
// so the merchant decides which method is preferred.
func (r CreateRequest) method(c money.Currency) (Method, error) {
	const param = "paymentMethod"
	if err := issuer.NoNumber(param, r.PaymentMethod); err != nil {
		return Method{}, err
	}
	byID := strings.HasPrefix(r.PaymentMethod, id.Method+"_")
	asked := slices.DeleteFunc(slices.Clone(r.Methods), func(m Method) bool {
		return (byID && m.ID != r.PaymentMethod) || (!byID && r.PaymentMethod != "" && m.Type != r.PaymentMethod)
	})
	if len(asked) == 0 && (byID || (r.PaymentMethod != "" && r.PaymentMethod != "card")) {
		return Method{}, fault.Invalid(param, "payment_method_unknown",
			"Unknown payment method %q: send \"card\" or the id of a payment method of the account.", clip(r.PaymentMethod))
	}

	enabled := slices.DeleteFunc(asked, func(m Method) bool { return !m.Enabled })
	if len(enabled) == 0 {
		return Method{}, fault.Invalid(param, "payment_method_unavailable", "This payment method is not enabled for the account.")
	}

	inMode := slices.DeleteFunc(enabled, func(m Method) bool { return m.Test != (r.Mode == Test) })
	if len(inMode) == 0 && r.Mode == Live {
		return Method{}, fault.Invalid(param, "live_mode_unavailable", "Live mode requires a payment method whose issuer is not the simulator.")
	}
	if len(inMode) == 0 {
		return Method{}, fault.Invalid(param, "payment_method_unavailable", "This payment method works in live mode only.")
	}

	var known []string
	for _, m := range inMode {
		if slices.Contains(m.Currencies, c) {
			return m, nil
		}
		for _, e := range m.Currencies {
			known = append(known, string(e))
		}
	}

	slices.Sort(known)
	return Method{}, fault.Invalid("currency", "currency_not_enabled",
		"%s is not enabled for the account's payment methods. Enabled: %s.", c, strings.Join(slices.Compact(known), ", "))
}

// dated reads date and expiry. The expiry is given as a time or in seconds from now, and is
// between MinLife and MaxLife away.
func (r CreateRequest) dated(k *Link, now time.Time) error {
	k.Date = now
	if r.Date != "" {
		t, err := time.Parse(time.DateOnly, r.Date)
		if err != nil {
			t, err = time.Parse(time.RFC3339Nano, r.Date)
		}
		if t = t.UTC(); err != nil || t.Year() < 1970 || t.Year() > 9999 {
			return fault.Invalid("date", "date_invalid", "date must be YYYY-MM-DD or an RFC 3339 time, 1970 or later.")
		}
		k.Date = t.Truncate(time.Millisecond)
	}

	end, param := now.Add(DefaultLife), "expiresAt"
	switch {
	case r.ExpiresAt != "" && r.ExpiresInSeconds != nil:
		return fault.Invalid(param, "conflicting_fields", "Send expiresAt or expiresInSeconds, not both.")
	case r.ExpiresAt != "":
		t, err := time.Parse(time.RFC3339Nano, r.ExpiresAt)
		if err != nil {
			return fault.Invalid(param, "expiry_invalid", "expiresAt must be an RFC 3339 time, such as %s.", FormatTime(end))
		}
		end = t.UTC()
	case r.ExpiresInSeconds != nil:
		param = "expiresInSeconds"
		// This clamps the value (to just past the bounds) before it is multiplied.
		s := min(max(*r.ExpiresInSeconds, 0), int64(MaxLife/time.Second)+1)
		end = now.Add(time.Duration(s) * time.Second)
	}

	if end.Before(now.Add(MinLife)) || end.After(now.Add(MaxLife)) {
		return fault.Invalid(param, "expiry_invalid", "A link must expire 1 minute to 180 days from now.")
	}

	// Whole seconds, as in the token; rounded up, so that no link ends early.
	if whole := end.Truncate(time.Second); whole.Before(end) {
		end = whole.Add(time.Second)
	}
	k.ExpiresAt = end
	return nil
}

// limited reads how often the link may be paid: once unless the request says otherwise.
func (r CreateRequest) limited(k *Link, _ time.Time) error {
	switch {
	case r.MaxUsesNull && r.MaxUses != nil:
		return fault.Invalid("maxUses", "conflicting_fields", "maxUses must be a number or null, not both.")
	case r.MaxUsesNull:
		k.MaxUses = 0
	case r.MaxUses == nil:
		k.MaxUses = 1
	case *r.MaxUses < 1 || *r.MaxUses > MaxUsesLimit:
		return fault.Invalid("maxUses", "max_uses_invalid", "maxUses must be 1 to %d, or null for no limit.", MaxUsesLimit)
	default:
		k.MaxUses = *r.MaxUses
	}
	return nil
}

// described checks the texts that the payer and the merchant read, and the metadata.
func (r CreateRequest) described(*Link, time.Time) error {
	if utf8.RuneCountInString(r.Realm) > MaxRealmChars {
		return fault.Invalid("realm", "too_long", "realm must be at most %d characters.", MaxRealmChars)
	}
	if err := issuer.NoNumber("realm", r.Realm); err != nil {
		return err
	}
	if !utf8.ValidString(r.Realm) || strings.ContainsFunc(r.Realm, func(c rune) bool { return !unicode.IsPrint(c) }) {
		return fault.Invalid("realm", "invalid_characters", "realm must contain printable characters only.")
	}
	if err := text("description", r.Description, MaxDescriptionChars, "\n"); err != nil {
		return err
	}
	if err := text("reference", r.Reference, MaxReferenceChars, ""); err != nil {
		return err
	}
	return checkMetadata(r.Metadata)
}

// checkMetadata returns metadata_invalid for an entry that is malformed or too long, and
// metadata_too_large if all entries together exceed MaxMetadataBytes. Keys are checked in
// order, so that the same request always gets the same fault.
func checkMetadata(m map[string]string) error {
	if len(m) > MaxMetadata {
		return fault.Invalid("metadata", "metadata_invalid", "metadata must have at most %d entries.", MaxMetadata)
	}

	total := 0
	for _, key := range slices.Sorted(maps.Keys(m)) {
		if err := issuer.NoNumber("metadata", key); err != nil {
			return err
		}
		if err := issuer.NoNumber("metadata."+key, m[key]); err != nil {
			return err
		}
		if key == "" || text("", key, MaxMetadataKeyChars, "") != nil {
			return fault.Invalid("metadata", "metadata_invalid", "A metadata key must be 1 to %d printable characters.",
				MaxMetadataKeyChars)
		}
		if text("", m[key], MaxMetadataValueChars, "\n\t") != nil {
			return fault.Invalid(
				"metadata."+key,
				"metadata_invalid",
				"A metadata value must be at most %d printable characters.",
				MaxMetadataValueChars,
			)
		}
		total += len(key) + len(m[key])
	}

	if total > MaxMetadataBytes {
		return fault.Invalid(
			"metadata",
			"metadata_too_large",
			"metadata must be at most %d bytes in total, keys and values in UTF-8; this is %d. Keep the rest in your own system under the link's reference.",
			MaxMetadataBytes,
			total,
		)
	}

	return nil
}

// governed reads capture and late policy, with their defaults, and the redirect address.
func (r CreateRequest) governed(k *Link, _ time.Time) error {
	if k.Capture == "" {
		k.Capture = CaptureAutomatic
	}
	if k.LatePolicy == "" {
		k.LatePolicy = LateAccept
	}
	if all := []string{CaptureAutomatic, CaptureManual}; !slices.Contains(all, k.Capture) {
		return oneOf("capture", all)
	}
	if all := []string{LateAccept, LateHold, LateRefund}; !slices.Contains(all, k.LatePolicy) {
		return oneOf("latePolicy", all)
	}
	if r.RedirectURL == "" {
		return nil
	}

	var err error
	k.RedirectURL, err = checkRedirect(r.RedirectURL)
	return err
}

// checkRedirect accepts only encrypted redirect addresses, except to the developer's own
// machine, without credentials. A fragment may stay. It returns the URL with its host in ASCII,
// which is how browsers name the origin.
func checkRedirect(s string) (string, error) {
	const param = "redirectUrl"
	if err := issuer.NoNumber(param, s); err != nil {
		return "", err
	}
	spelled, u, err := spelling.URL(s)
	switch {
	case len(s) > MaxRedirectBytes || len(spelled) > MaxRedirectBytes:
		return "", fault.Invalid(param, "too_long", "redirectUrl must be at most %d bytes.", MaxRedirectBytes)
	case errors.Is(err, spelling.ErrPort):
		return "", fault.Invalid(param, "url_invalid", "The port of redirectUrl must be 1 to 65535.")
	case errors.Is(err, spelling.ErrHost):
		return "", fault.Invalid(param, "url_invalid", "The host of redirectUrl must be a host name or an IP address, such as shop.example.")
	case err != nil || u.User != nil || text("", s, MaxRedirectBytes, "") != nil:
		return "", fault.Invalid(param, "url_invalid", "redirectUrl must be an absolute https URL without credentials.")
	}

	host := u.Hostname()
	ip := net.ParseIP(host)
	loopback := host == "localhost" || (ip != nil && ip.IsLoopback())
	if u.Scheme != "https" && (u.Scheme != "http" || !loopback) {
		return "", fault.Invalid(param, "url_invalid", "redirectUrl must be an https URL; http is for localhost only.")
	}

	return spelled, nil
}

// text refuses text that is too long, that makes a payer read something else, or that contains a
// card number. The marks and joiners that Arabic, Persian and emoji need are allowed.
func text(param, s string, maxChars int, allowed string) error {
	if utf8.RuneCountInString(s) > maxChars {
		return fault.Invalid(param, "too_long", "%s must be at most %d characters.", param, maxChars)
	}
	if spelling.Deceives(s, allowed) {
		return fault.Invalid(param, "invalid_characters", "%s must contain printable UTF-8 text only.", param)
	}
	return issuer.NoNumber(param, s)
}

// oneOf returns the fault of a text that is none of the values.
func oneOf(param string, values []string) error {
	return fault.Invalid(param, "value_invalid", "%s must be one of: %s.", param, strings.Join(values, ", "))
}

// clip shortens text of the caller that a fault repeats, to 40 bytes.
func clip(s string) string {
	if len(s) > 40 {
		return strings.ToValidUTF8(s[:40], "") + "…"
	}
	return s
}
