// Package money holds amounts: 64-bit counts of a currency's minor unit, never
// a float. The number of decimals is the currency's own, by ISO 4217. Every
// operation that could overflow or mix currencies returns an error.
package money

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/bojanz/currency"
)

// MaxMinor bounds an amount, so that the sum of a million amounts still fits.
const MaxMinor = 999_999_999_999

// Errors that a caller may branch on.
var (
	ErrCurrency  = errors.New("not an ISO 4217 currency code in upper case")
	ErrMixed     = errors.New("amounts of different currencies")
	ErrOverflow  = errors.New("amount out of range")
	ErrSyntax    = errors.New("not a decimal number")
	ErrPrecision = errors.New("too many decimals for the currency")
)

// Currency is an ISO 4217 alphabetic code.
type Currency string

// ParseCurrency returns the currency of an active ISO 4217 code in upper case. The error is
// ErrCurrency.
func ParseCurrency(s string) (Currency, error) {
	if len(s) != 3 || s != strings.ToUpper(s) || !currency.IsValid(s) {
		return "", ErrCurrency
	}
	return Currency(s), nil
}

// Exponent returns the number of decimals of the currency's minor unit.
func (c Currency) Exponent() int {
	digits, ok := currency.GetDigits(string(c))
	if !ok {
		return 2
	}
	return int(digits)
}

// Amount is a sum of money. The zero value has no currency and is not money.
type Amount struct {
	Minor    int64    `json:"minor"`
	Currency Currency `json:"currency"`
}

// Of returns an amount of minor units.
func Of(minor int64, c Currency) Amount { return Amount{Minor: minor, Currency: c} }

// Parse reads a plain decimal number ("12.50", "1200", "0.005") as an amount of c: digits, at
// most one point, no sign, no exponent, no spaces.
func Parse(s string, c Currency) (Amount, error) {
	whole, frac, point := strings.Cut(s, ".")
	if whole == "" || (point && frac == "") || !digits(whole) || !digits(frac) {
		return Amount{}, ErrSyntax
	}
	if len(whole) > 1 && whole[0] == '0' {
		return Amount{}, ErrSyntax
	}
	exp := c.Exponent()
	if len(frac) > exp {
		return Amount{}, ErrPrecision
	}
	if len(whole) > 13 {
		return Amount{}, ErrOverflow
	}
	minor, err := strconv.ParseInt(whole+frac+strings.Repeat("0", exp-len(frac)), 10, 64)
	if err != nil || minor > MaxMinor {
		return Amount{}, ErrOverflow
	}
	return Amount{Minor: minor, Currency: c}, nil
}

func digits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// Add returns a+b.
func (a Amount) Add(b Amount) (Amount, error) {
	if a.Currency != b.Currency {
		return Amount{}, ErrMixed
	}
	if (b.Minor > 0 && a.Minor > math.MaxInt64-b.Minor) || (b.Minor < 0 && a.Minor < math.MinInt64-b.Minor) {
		return Amount{}, ErrOverflow
	}
	return Amount{Minor: a.Minor + b.Minor, Currency: a.Currency}, nil
}

// Sub returns a-b.
func (a Amount) Sub(b Amount) (Amount, error) {
	if b.Minor == math.MinInt64 {
		return Amount{}, ErrOverflow
	}
	return a.Add(Amount{Minor: -b.Minor, Currency: b.Currency})
}

// Zero reports whether the amount is zero (in any currency or none).
func (a Amount) Zero() bool { return a.Minor == 0 }

// Decimal returns the plain decimal form with all of the currency's decimals.
func (a Amount) Decimal() string {
	exp := a.Currency.Exponent()
	n, sign := a.Minor, ""
	u := uint64(n) // two's complement is wanted: the magnitude of MinInt64 fits a uint64
	if n < 0 {
		sign, u = "-", -u
	}
	s := strconv.FormatUint(u, 10)
	if exp == 0 {
		return sign + s
	}
	if len(s) <= exp {
		s = strings.Repeat("0", exp+1-len(s)) + s
	}
	return sign + s[:len(s)-exp] + "." + s[len(s)-exp:]
}

// String formats the amount for people and logs: "EUR 12.50".
func (a Amount) String() string { return fmt.Sprintf("%s %s", a.Currency, a.Decimal()) }

// Localized formats the amount by CLDR for a BCP 47 locale, or for "en" if the locale is
// unknown.
func (a Amount) Localized(locale string) string {
	v, err := currency.NewAmount(a.Decimal(), string(a.Currency))
	if err != nil {
		return a.String()
	}
	return currency.NewFormatter(currency.NewLocale(locale)).Format(v)
}
