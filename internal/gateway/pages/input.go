package pages

import (
	"errors"
	"net/mail"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
)

// Bounds of what a payer types.
const (
	minAttempt    = 16
	maxAttempt    = 64
	maxNameBytes  = 100
	maxEmailBytes = 254 // RFC 5321, section 4.5.3.1.3, less the brackets
)

func checkAttempt(s string) *fault.Error {
	ok := len(s) >= minAttempt && len(s) <= maxAttempt
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = isLetter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_'
	}
	if !ok {
		return fault.Invalid("attempt", "attempt_invalid", "An attempt is %d to %d characters of A-Z, a-z, 0-9, - and _; mint a fresh random one for each payment.", minAttempt, maxAttempt)
	}
	return nil
}

// cardFields are a card as it was typed. They live as long as the request.
type cardFields struct {
	number, cvc, name  string
	expMonth, expYear  int
	expMissing, expBad bool // the form's one expiry field: empty, or no month and year in it
}

// wellFormed stands in for the fields that are not being checked; it is a
// number that the whole trade knows as an example.
const wellFormed = "4242424242424242"

// card makes the card, or tells every field that is wrong, in the order of the
// form. The rules are issuer.NewCard's: each field is tried beside good ones.
func (f cardFields) card(now time.Time) (issuer.Card, []*fault.Error) {
	var errs []*fault.Error
	try := func(number string, month, year int, cvc, name string) {
		if _, err := issuer.NewCard(number, month, year, cvc, name, now); err != nil {
			errs = append(errs, fault.From(err))
		}
	}
	number, cvc := strip(f.number), strip(f.cvc)
	nextYear := now.Year() + 1
	try(number, 12, nextYear, "000", "")
	switch {
	case f.expMissing:
		errs = append(errs, fault.Invalid("card.expMonth", "card_expiry_missing", "Enter the expiry date."))
	case f.expBad:
		errs = append(errs, fault.Invalid("card.expMonth", "card_expiry_invalid", "Write the expiry date as month and year, like 04/28."))
	default:
		try(wellFormed, f.expMonth, f.expYear, "000", "")
	}
	try(wellFormed, 12, nextYear, cvc, "")
	if err := checkText("card.name", f.name, maxNameBytes); err != nil {
		errs = append(errs, err)
	}
	if len(errs) > 0 {
		return issuer.Card{}, errs
	}
	c, err := issuer.NewCard(number, f.expMonth, f.expYear, cvc, f.name, now)
	if err != nil {
		return issuer.Card{}, []*fault.Error{fault.From(err)}
	}
	return c, nil
}

// strip drops spaces of every kind, also those that pasting brings.
func strip(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '\u200b' || r == '\ufeff' {
			return -1
		}
		return r
	}, s)
}

var (
	expiryPattern    = regexp.MustCompile(`^(\d{1,2})[/.\-]?(\d{4}|\d{2})$`)
	isoExpiryPattern = regexp.MustCompile(`^(\d{4})-(\d{2})$`)
)

// parseExpiry reads a month and a year as people type them: 04/28, 4 / 2028,
// 0428, 04-28, and 2028-04 as browsers fill it in.
func parseExpiry(s string) (month, year int, ok bool) {
	s = strip(s)
	var m, y string
	if g := isoExpiryPattern.FindStringSubmatch(s); g != nil {
		m, y = g[2], g[1]
	} else if g := expiryPattern.FindStringSubmatch(s); g != nil {
		m, y = g[1], g[2]
	} else {
		return 0, 0, false
	}
	month, errMonth := strconv.Atoi(m)
	year, errYear := strconv.Atoi(y)
	return month, year, errMonth == nil && errYear == nil && month >= 1 && month <= 12
}

func checkText(param, s string, maxBytes int) *fault.Error {
	if len(s) > maxBytes {
		return fault.Invalid(param, "too_long", "At most %d bytes.", maxBytes)
	}
	if !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl) {
		return fault.Invalid(param, "text_invalid", "Plain text on one line, in UTF-8.")
	}
	return nil
}

func checkEmail(param, s string) *fault.Error {
	if s == "" {
		return nil
	}
	if err := checkText(param, s, maxEmailBytes); err != nil {
		return err
	}
	a, err := mail.ParseAddress(s)
	if err != nil || a.Address != s || a.Name != "" {
		return fault.Invalid(param, "email_invalid", "An e-mail address looks like name@example.com.")
	}
	return nil
}

// parseAmount reads the sum that is to be paid: the payer's choice, or what the
// link fixes. A fixed link refuses another amount instead of ignoring it: who
// names a sum means it.
func parseAmount(s string, l link.Link) (money.Amount, *fault.Error) {
	if !l.PayerChooses() && s == "" {
		return l.Amount, nil
	}
	c := l.Amount.Currency
	if s == "" {
		return money.Amount{}, fault.Invalid("amount", "parameter_missing", "Enter the amount to pay.")
	}
	a, err := money.Parse(s, c)
	switch {
	case errors.Is(err, money.ErrPrecision):
		return money.Amount{}, fault.Invalid("amount", "amount_too_many_decimals", "An amount in %s has at most %d decimals.", c, c.Exponent())
	case errors.Is(err, money.ErrOverflow):
		return money.Amount{}, fault.Invalid("amount", "amount_too_large", "An amount is at most %s.", money.Of(money.MaxMinor, c).Decimal())
	case err != nil:
		return money.Amount{}, fault.Invalid("amount", "amount_invalid", "Write the amount in digits, with a point before the decimals, like %s.", money.Of(1250, c).Decimal())
	case !l.PayerChooses() && a != l.Amount:
		return money.Amount{}, fault.Invalid("amount", "amount_mismatch", "This link asks for %s %s.", c, l.Amount.Decimal())
	case a.Minor <= 0:
		return money.Amount{}, fault.Invalid("amount", "amount_too_small", "The amount must be more than nothing.")
	case l.PayerChooses() && l.MinMinor > 0 && a.Minor < l.MinMinor:
		return money.Amount{}, fault.Invalid("amount", "amount_too_small", "The amount must be at least %s %s.", c, money.Of(l.MinMinor, c).Decimal())
	case l.PayerChooses() && l.MaxMinor > 0 && a.Minor > l.MaxMinor:
		return money.Amount{}, fault.Invalid("amount", "amount_too_large", "The amount must be at most %s %s.", c, money.Of(l.MaxMinor, c).Decimal())
	}
	return a, nil
}

// typedAmount turns a decimal comma into a point where it can be nothing else:
// one comma, one or two digits after it. 1,200 stays refused: in a currency of
// three decimals it could mean two sums.
func typedAmount(s string) string {
	s = strip(s)
	whole, frac, comma := strings.Cut(s, ",")
	if comma && (len(frac) == 1 || len(frac) == 2) && !strings.ContainsAny(whole+frac, ".,") {
		return whole + "." + frac
	}
	return s
}
