package pages

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/issuer"
	"github.com/paylink/paylink/internal/link"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/spelling"
)

// Limits of what a payer types.
const (
	minAttempt    = 16
	maxAttempt    = 64
	maxTypedBytes = 1024 // of a field that is shown again as it was typed
)

// checkAttempt returns attempt_invalid unless s has the form of an attempt id.
func checkAttempt(s string) *fault.Error {
	ok := len(s) >= minAttempt && len(s) <= maxAttempt
	for i := 0; ok && i < len(s); i++ {
		c := s[i]
		ok = isLetter(c) || (c >= '0' && c <= '9') || c == '-' || c == '_'
	}
	if !ok || issuer.HasNumber(s) {
		return fault.Invalid(
			"attempt",
			"attempt_invalid",
			"attempt must be %d to %d characters from A-Z, a-z, 0-9, - and _; generate a new random one for each payment.",
			minAttempt,
			maxAttempt,
		)
	}
	return nil
}

// cardFields is a card as it was typed, with number and code as digitsTyped and codeTyped return
// them. It exists only during the request: the caller that fills it in clears it.
type cardFields struct {
	number, cvc        []byte
	name               string
	expMonth, expYear  int
	expMissing, expBad bool // the form's one expiry field: empty, or no month and year in it
}

// clear overwrites number and code.
func (f cardFields) clear() {
	clear(f.number[:cap(f.number)])
	clear(f.cvc[:cap(f.cvc)])
}

// wellFormed stands in for the number while other fields are checked. It is a number that
// the industry uses as an example. someCode stands in for the code.
var wellFormed, someCode = []byte("4242424242424242"), []byte("000")

// card returns the card, or every field that is wrong, in the order of the form. The
// rules are those of issuer.NewCard: each field is tried together with valid ones.
func (f cardFields) card(now time.Time) (issuer.Card, []*fault.Error) {
	var errs []*fault.Error
	try := func(number []byte, month, year int, cvc []byte) {
		c, err := issuer.NewCard(number, month, year, cvc, "", now)
		c.Clear()
		if err != nil {
			errs = append(errs, fault.From(err))
		}
	}

	// The order of these checks is the order of the fields on the page.
	nextYear := now.Year() + 1
	try(f.number, 12, nextYear, someCode)
	switch {
	case f.expMissing:
		errs = append(errs, fault.Invalid("card.expMonth", "card_expiry_missing", "Enter the expiry date."))
	case f.expBad:
		errs = append(errs, fault.Invalid("card.expMonth", "card_expiry_invalid", "Enter the expiry date as month and year, such as 04/28."))
	default:
		try(wellFormed, f.expMonth, f.expYear, someCode)
	}

	try(wellFormed, 12, nextYear, f.cvc)
	if err := checkName("card.name", f.name); err != nil {
		errs = append(errs, err)
	}

	if len(errs) > 0 {
		return issuer.Card{}, errs
	}

	c, err := issuer.NewCard(f.number, f.expMonth, f.expYear, f.cvc, f.name, now)
	if err != nil {
		return issuer.Card{}, []*fault.Error{fault.From(err)}
	}

	return c, nil
}

// digitsTyped returns a typed or pasted number without the characters that people write
// between the digits, in the same memory.
func digitsTyped(b []byte) []byte {
	return retype(b, func(c rune) bool { return c == '.' || isDash(c) || isDot(c) })
}

// codeTyped returns a typed security code, in the same memory.
func codeTyped(b []byte) []byte { return retype(b, func(rune) bool { return false }) }

// retype is spelling.Typed without the characters to skip. It works in place, one character at a
// time, so that no other memory ever has the digits.
func retype(b []byte, skip func(rune) bool) []byte {
	out := b[:0]
	for rest := b; len(rest) > 0; {
		c, n := utf8.DecodeRune(rest)
		rest = rest[n:]
		if c == utf8.RuneError && n == 1 {
			out = append(out, '?') // no character at all, and one byte like it
			continue
		}
		for _, c := range spelling.Typed(string(c)) {
			if !skip(c) {
				out = utf8.AppendRune(out, c) // never longer than what was read
			}
		}
	}
	clear(b[len(out):])
	return out
}

// filled returns a text that only shows whether a field has anything in it.
func filled(field []byte) string {
	if len(field) == 0 {
		return ""
	}
	return "x"
}

// takeField returns the decoded value of a field of a form, the first of its name, in memory of its
// own, and overwrites the field's values in raw. What cannot be decoded stays undecodable there.
func takeField(raw []byte, name string) (value []byte) {
	found := false
	for rest := raw; len(rest) > 0; {
		pair := rest
		if end := bytes.IndexByte(rest, '&'); end >= 0 {
			pair, rest = rest[:end], rest[end+1:]
		} else {
			rest = nil
		}
		encoded, in, _ := bytes.Cut(pair, []byte("="))
		if key, err := url.QueryUnescape(string(encoded)); err != nil || key != name || len(in) == 0 {
			found = found || err == nil && key == name
			continue
		}
		decoded, ok := unescape(in)
		for i := range in {
			in[i] = 'x'
		}
		if !ok {
			in[0] = '%'
		}
		if found {
			clear(decoded)
			continue
		}
		found, value = true, decoded
	}
	return value
}

// unescape decodes a value of a form. ok is false where url.ParseQuery refuses it.
func unescape(in []byte) (out []byte, ok bool) {
	out = make([]byte, 0, len(in))
	for i := 0; i < len(in); i++ {
		switch c := in[i]; c {
		case ';':
			return out, false
		case '+':
			out = append(out, ' ')
		case '%':
			if i+2 >= len(in) {
				return out, false
			}
			var b [1]byte
			if _, err := hex.Decode(b[:], in[i+1:i+3]); err != nil {
				return out, false
			}
			out = append(out, b[0])
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out, true
}

// isDash reports hyphens, dashes and the minus sign, and the long vowel mark that a
// Japanese keyboard has in the place of the hyphen.
func isDash(c rune) bool { return unicode.Is(unicode.Pd, c) || c == '−' || c == 'ー' || c == 'ｰ' }

// isDot reports what keyboards have in the place of the full stop.
func isDot(c rune) bool { return strings.ContainsRune("·․。｡", c) }

// How people write an expiry date: month first, or a four-digit year first.
var (
	expiryPattern    = regexp.MustCompile(`^(\d{1,2})[/.\-]?(\d{4}|\d{2})$`)
	yearFirstPattern = regexp.MustCompile(`^(20\d{2})(?:[/.\-](\d{1,2})|(\d{2}))$`)
)

// parseExpiry reads a month and a year as people type and paste them: 04/28, 4 / 2028,
// 0428, 428, 04-28, 2028/04, and 2028-04 as browsers fill it in. The page's script must
// not change the meaning of any of them; testdata/typed.json tests both.
func parseExpiry(s string) (month, year int, ok bool) {
	s = strings.Map(func(c rune) rune {
		switch {
		case strings.ContainsRune(`∕⁄⧸\年月`, c):
			return '/'
		case isDash(c):
			return '-'
		case isDot(c):
			return '.'
		}
		return c
	}, spelling.Typed(s))
	s = strings.TrimSuffix(s, "/") // 2028年4月
	var m, y string
	if g := yearFirstPattern.FindStringSubmatch(s); g != nil { // there is no month 20
		m, y = g[2]+g[3], g[1]
	} else if g := expiryPattern.FindStringSubmatch(s); g != nil {
		m, y = g[1], g[2]
	} else {
		return 0, 0, false
	}

	month, errMonth := strconv.Atoi(m)
	year, errYear := strconv.Atoi(y)
	return month, year, errMonth == nil && errYear == nil && month >= 1 && month <= 12
}

// checkName checks the name of a payer as spelling.Name returns it. The fault is too_long,
// text_invalid or card_number_in_text.
func checkName(param, s string) *fault.Error {
	if utf8.RuneCountInString(s) > issuer.MaxNameChars {
		return fault.Invalid(param, "too_long", "%s must be at most %d characters.", param, issuer.MaxNameChars)
	}
	if spelling.Deceives(s, "") {
		return fault.Invalid(
			param,
			"text_invalid",
			"%s must be plain UTF-8 text on one line, without characters that change its direction.",
			param,
		)
	}
	return noNumber(param, s)
}

// noNumber is issuer.NoNumber as a fault.
func noNumber(param, s string) *fault.Error {
	if err := issuer.NoNumber(param, s); err != nil {
		return fault.From(err)
	}
	return nil
}

// readEmail returns the address in the form in which email is sent to it, or "" for an
// empty one. The fault is too_long, email_invalid or card_number_in_text.
func readEmail(param, s string) (string, *fault.Error) {
	if err := noNumber(param, s); err != nil {
		return "", err
	}
	switch n := len(spelling.Pasted(s)); {
	case n == 0:
		return "", nil
	case n > spelling.MaxEmailBytes:
		return "", fault.Invalid(param, "too_long", "%s must be at most %d bytes.", param, spelling.MaxEmailBytes)
	}
	e, err := spelling.Email(s)
	if err != nil {
		return "", fault.Invalid(param, "email_invalid", "Enter an email address such as name@example.com.")
	}
	return e, nil
}

// jsonAmount reads the amount to pay, chosen by the payer or fixed by the link, from the
// page's JSON. It accepts a plain decimal number with digits of any script and with
// invisible characters, and nothing else, because programs do not type. An empty text means
// the link's amount.
func jsonAmount(s string, l link.Link) (money.Amount, *fault.Error) {
	s = spelling.Pasted(s)
	if s == "" {
		return amountFor(l, nil)
	}
	if !strings.ContainsFunc(s, unicode.IsSpace) {
		s = spelling.Typed(s)
	}

	c := l.Amount.Currency
	a, err := money.Parse(s, c)
	switch {
	case errors.Is(err, money.ErrPrecision):
		return money.Amount{}, fault.Invalid(
			"amount",
			"amount_too_many_decimals",
			"An amount in %s can have at most %d decimals.",
			c,
			c.Exponent(),
		)
	case errors.Is(err, money.ErrOverflow):
		return money.Amount{}, fault.Invalid(
			"amount",
			"amount_too_large",
			"The amount must be at most %s.",
			money.Of(money.MaxMinor, c).Decimal(),
		)
	case err != nil:
		return money.Amount{}, fault.Invalid(
			"amount",
			"amount_invalid",
			"Enter the amount in digits with a decimal point, such as %s.",
			money.Of(1250, c).Decimal(),
		)
	}

	return amountFor(l, &a)
}

// formAmount reads the amount to pay as a person typed it. An empty field means the link's
// amount.
func formAmount(s string, l link.Link) (money.Amount, *fault.Error) {
	if spelling.Typed(s) == "" {
		return amountFor(l, nil)
	}
	a, err := typedAmount(s, l.Amount.Currency)
	if err != nil {
		return money.Amount{}, err
	}
	return amountFor(l, &a)
}

// typedAmount reads an amount as people write it. The cause of its fault has the text for
// the reader (i18n.AmountFault).
func typedAmount(s string, c money.Currency) (money.Amount, *fault.Error) {
	a, err := i18n.ReadAmount(s, c)
	if err == nil {
		return a, nil
	}

	words := i18n.For("en").AmountFault(err)
	var f *fault.Error
	switch {
	case errors.Is(err, i18n.ErrAmbiguous):
		f = fault.Invalid("amount", "amount_ambiguous", "%s", words)
	case errors.Is(err, i18n.ErrOtherCurrency):
		f = fault.Invalid("amount", "amount_currency_other", "%s", words)
	case errors.Is(err, money.ErrPrecision):
		f = fault.Invalid("amount", "amount_too_many_decimals", "%s", words)
	case errors.Is(err, money.ErrOverflow):
		f = fault.Invalid("amount", "amount_too_large", "%s", words)
	default:
		f = fault.Invalid("amount", "amount_invalid", "%s", words)
	}

	f.Cause = err
	return money.Amount{}, f
}

// amountFor checks an amount, nil for none, against the link's amount or bounds. A link
// with a fixed amount refuses another one instead of ignoring it, because the payer means
// it.
func amountFor(l link.Link, asked *money.Amount) (money.Amount, *fault.Error) {
	c := l.Amount.Currency
	if asked == nil {
		if l.PayerChooses() {
			return money.Amount{}, fault.Invalid("amount", "parameter_missing", "Enter the amount to pay.")
		}
		return l.Amount, nil
	}

	switch a := *asked; {
	case !l.PayerChooses() && a != l.Amount:
		return money.Amount{}, fault.Invalid("amount", "amount_mismatch", "The amount must be %s %s, as set by the link.", c, l.Amount.Decimal())
	case a.Minor <= 0:
		return money.Amount{}, fault.Invalid("amount", "amount_too_small", "The amount must be greater than zero.")
	case l.PayerChooses() && l.MinMinor > 0 && a.Minor < l.MinMinor:
		return money.Amount{}, fault.Invalid(
			"amount",
			"amount_too_small",
			"The amount must be at least %s %s.",
			c,
			money.Of(l.MinMinor, c).Decimal(),
		)
	case l.PayerChooses() && l.MaxMinor > 0 && a.Minor > l.MaxMinor:
		return money.Amount{}, fault.Invalid(
			"amount",
			"amount_too_large",
			"The amount must be at most %s %s.",
			c,
			money.Of(l.MaxMinor, c).Decimal(),
		)
	default:
		return a, nil
	}
}
