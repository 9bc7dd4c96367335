package i18n

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"

	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/spelling"
)

// maxTypedBytes bounds a typed amount: the longest one that a language writes, with its
// currency in words, has less than half of that.
const maxTypedBytes = 200

// Errors of ReadAmount, in addition to those of money.Parse. They come in an *AmountError.
var (
	ErrAmbiguous     = errors.New("the separator can be that of thousands or of decimals")
	ErrOtherCurrency = errors.New("the sign of another currency")
)

// AmountError says why a typed amount was not read: ErrAmbiguous, ErrOtherCurrency, or
// ErrSyntax, ErrPrecision or ErrOverflow of package money.
type AmountError struct {
	Why      error
	Currency money.Currency
	Sign     string // of ErrOtherCurrency, as it was typed

	whole, frac string // of ErrAmbiguous: the digits before and after the separator
}

func (e *AmountError) Error() string { return fmt.Sprintf("amount in %s: %v", e.Currency, e.Why) }

func (e *AmountError) Unwrap() error { return e.Why }

// ReadAmount reads an amount of c as people write it, in the writing of every language: digits
// of any script, groups of thousands or of India, a point or a comma before the decimals,
// spaces, the currency's sign or code before or after it, and invisible characters. A spelling
// that has one meaning is read, whatever the reader's language is, because people type as they
// learned to, not as the page is set.
//
// It never guesses at a spelling that has two meanings: one point or comma with exactly three
// digits after it ("1.500") is 1500 to one reader and one and a half to another, so it is
// ErrAmbiguous unless c has no decimals. The error is an *AmountError.
func ReadAmount(s string, c money.Currency) (money.Amount, error) {
	refused := func(why error) (money.Amount, error) { return money.Amount{}, &AmountError{Why: why, Currency: c} }
	if len(s) > maxTypedBytes {
		return refused(money.ErrSyntax)
	}
	body, foreign, ok := unsigned(plainSigns(s), c)
	switch {
	case foreign != "":
		return money.Amount{}, &AmountError{Why: ErrOtherCurrency, Currency: c, Sign: foreign}
	case !ok:
		return refused(money.ErrSyntax)
	}
	whole, frac, decimal, ok := cutFigures(body)
	if !ok {
		return refused(money.ErrSyntax)
	}
	exp := c.Exponent()
	if decimal == lone && len(frac) == 3 && whole != "" && len(whole) <= 3 && whole[0] != '0' {
		if exp > 0 {
			return money.Amount{}, &AmountError{Why: ErrAmbiguous, Currency: c, whole: whole, frac: frac}
		}
		whole, frac = whole+frac, ""
	}
	for len(frac) > exp && strings.HasSuffix(frac, "0") {
		frac = frac[:len(frac)-1] // accepts any number of trailing zeros
	}
	if whole == "" {
		whole = "0"
	}
	if frac != "" {
		whole += "." + frac
	}
	a, err := money.Parse(whole, c)
	if err != nil {
		return refused(err)
	}
	return a, nil
}

// Signs after plainSigns: point and comma may be either separator, the others are only one of
// the two.
const (
	onlyDecimal = '٫'
	onlyGroup   = '\''
)

// plainSigns writes digits, separators and spaces in one way each.
func plainSigns(s string) string {
	var parts []string
	for _, part := range strings.FieldsFunc(s, unicode.IsSpace) {
		if part = spelling.Typed(part); part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Map(func(c rune) rune {
		switch c {
		case '’', '‘', 'ʼ', '`', '´', '′', '٬':
			return onlyGroup
		case '،', '、', '､', '‚':
			return ','
		case '。', '｡', '․', '·':
			return '.'
		case '￥':
			return '¥'
		case '￦':
			return '₩'
		case '￡':
			return '£'
		}
		return c
	}, strings.Join(parts, " "))
}

// unsigned removes the currency's sign or code from both ends, and ",-" for no decimals.
// foreign is a sign of another currency. ok is false for anything else.
func unsigned(s string, c money.Currency) (body, foreign string, ok bool) {
	isDigit := func(r rune) bool { return r >= '0' && r <= '9' }
	first, last := strings.IndexFunc(s, isDigit), strings.LastIndexFunc(s, isDigit)
	if first < 0 {
		return "", "", false
	}
	head, tail := strings.TrimSpace(s[:first]), strings.TrimSpace(s[last+1:])
	before, after := "", ""
	if !ours(head, c) {
		for _, sep := range []string{".", ",", string(onlyDecimal)} {
			if rest, cut := strings.CutSuffix(head, sep); cut {
				head, before = strings.TrimSpace(rest), sep
				break
			}
		}
	}
	if !ours(tail, c) {
		if rest, cut := strings.CutPrefix(tail, "."); cut {
			tail, after = rest, "."
		} else if rest, cut := strings.CutPrefix(tail, ","); cut {
			tail, after = rest, ","
		}
		if after != "" {
			tail = strings.TrimSpace(strings.TrimLeft(tail, "-–—"))
		}
	}
	for _, each := range []string{head, tail} {
		if !ours(each, c) {
			if len(currenciesOf(each)) > 0 {
				return "", each, false
			}
			return "", "", false
		}
	}
	return before + s[first:last+1] + after, "", true
}

func ours(sign string, c money.Currency) bool {
	if sign == "" {
		return true
	}
	for _, each := range currenciesOf(sign) {
		if each == c {
			return true
		}
	}
	return false
}

// How the decimals were found.
const (
	none  = iota
	lone  // by the only separator, a point or a comma
	plain // by a separator that can be nothing else
)

// cutFigures splits figures at their decimal separator, and joins their groups.
func cutFigures(s string) (whole, frac string, decimal int, ok bool) {
	runs, seps, ok := runsOf(s)
	if !ok {
		return "", "", none, false
	}
	n := len(seps)
	if n == 0 {
		return runs[0], "", none, true
	}
	switch last := seps[n-1]; {
	case last == onlyDecimal:
		decimal = plain
	case last != '.' && last != ',':
	case n == 1:
		decimal = lone
	case count(seps, last) == 1:
		decimal = plain
	}
	groups := runs
	if decimal != none {
		groups, frac, seps = runs[:n], runs[n], seps[:n-1]
	}
	for _, sep := range seps {
		if sep != seps[0] || sep == onlyDecimal {
			return "", "", none, false
		}
	}
	whole = strings.Join(groups, "")
	return whole, frac, decimal, whole+frac != "" && grouped(groups)
}

// runsOf returns the runs of digits, of which the first and the last may be empty, and the
// separators between them. It ignores a space beside a separator.
func runsOf(s string) (runs []string, seps []rune, ok bool) {
	run, space := "", false
	for _, c := range s {
		switch {
		case c == ' ':
			space = true
		case c >= '0' && c <= '9':
			if space && run != "" {
				runs, seps, run = append(runs, run), append(seps, ' '), ""
			}
			run, space = run+string(c), false
		case c == '.' || c == ',' || c == onlyDecimal || c == onlyGroup:
			if run == "" && len(runs) > 0 {
				return nil, nil, false // two separators in a row
			}
			runs, seps, run, space = append(runs, run), append(seps, c), "", false
		default:
			return nil, nil, false
		}
	}
	return append(runs, run), seps, true
}

func count(seps []rune, sep rune) (n int) {
	for _, each := range seps {
		if each == sep {
			n++
		}
	}
	return n
}

// grouped reports whether groups are of three digits, or, as in India, of two before the last
// three.
func grouped(groups []string) bool {
	first, last := groups[0], len(groups)-1
	if last == 0 {
		return true
	}
	if first == "" || first[0] == '0' || len(first) > 3 || len(groups[last]) != 3 {
		return false
	}
	middle := 3
	if last > 1 && len(groups[1]) == 2 {
		middle = 2
	}
	if len(first) > middle {
		return false
	}
	for _, g := range groups[1:last] {
		if len(g) != middle {
			return false
		}
	}
	return true
}

// Typed formats an amount as a reader of this language types it: without groups and sign.
// ReadAmount returns the same amount: an ambiguous spelling gets one zero more or less at its
// end.
func (p *Printer) Typed(a money.Amount) string {
	whole, frac, point := strings.Cut(a.Decimal(), ".")
	if !point {
		return p.digits(whole)
	}
	if len(frac) == 3 && len(whole) <= 3 && whole[0] != '0' {
		if short, cut := strings.CutSuffix(frac, "0"); cut {
			frac = short
		} else {
			frac += "0"
		}
	}
	return p.digits(whole) + p.format.decimal + p.digits(frac)
}

// Example returns an amount of c as an example for somebody who is to type one.
func (p *Printer) Example(c money.Currency) string {
	switch c.Exponent() {
	case 0:
		return p.Typed(money.Of(1250, c))
	case 3:
		return p.Typed(money.Of(1250500, c)) // longer, because 1.250 is ambiguous
	}
	return p.Typed(money.Of(1250, c))
}

// AmountFault returns the explanation that helps to correct an amount that ReadAmount refused.
func (p *Printer) AmountFault(err error) string {
	var e *AmountError
	if !errors.As(err, &e) {
		return ""
	}
	switch {
	case errors.Is(e.Why, ErrAmbiguous):
		grouped, decimal := p.readings(e)
		first, second := p.digits(e.whole+e.frac), decimal+p.digits("0")
		if exp := e.Currency.Exponent(); exp < len(e.frac) { // the second reading has too many decimals
			second = p.digits(e.whole) + p.format.decimal + p.digits(e.frac[:exp])
		}
		return p.T("common.amount.ambiguous", "Grouped", grouped, "Decimal", decimal, "First", first, "Second", second)
	case errors.Is(e.Why, ErrOtherCurrency):
		return p.T("common.amount.sign", "Sign", e.Sign, "Currency", string(e.Currency))
	case errors.Is(e.Why, money.ErrPrecision):
		return p.N("common.amount.decimals", e.Currency.Exponent(), "Currency", string(e.Currency))
	case errors.Is(e.Why, money.ErrOverflow):
		return p.T("common.amount.large", "Max", money.Of(money.MaxMinor, e.Currency))
	}
	return p.T("common.amount.invalid", "Example", p.Example(e.Currency))
}

// readings returns the two sums that an ambiguous spelling may mean, as figures.
func (p *Printer) readings(e *AmountError) (grouped, decimal string) {
	n, _ := strconv.ParseInt(e.whole+e.frac, 10, 64) // at most six digits
	return p.Number(n) + p.format.decimal + p.digits(strings.Repeat("0", e.Currency.Exponent())),
		p.digits(e.whole) + p.format.decimal + p.digits(e.frac)
}
