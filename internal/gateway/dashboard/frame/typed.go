package frame

import (
	"errors"

	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/spelling"
)

// TypedAmount reads an amount of c as people write it into the field param, and returns
// it as the services take it: a plain decimal number, or "" for an empty field. The
// fault's cause has the words for the reader (i18n.AmountFault).
func TypedAmount(param, s string, c money.Currency) (string, error) {
	if spelling.Typed(s) == "" {
		return "", nil
	}

	a, err := i18n.ReadAmount(s, c)
	if err == nil {
		return a.Decimal(), nil
	}

	words := i18n.For("en").AmountFault(err)
	f := fault.Invalid(param, "amount_invalid", "%s", words)
	if errors.Is(err, i18n.ErrAmbiguous) {
		f = fault.Invalid(param, "amount_ambiguous", "%s", words)
	}
	f.Cause = err
	return "", f
}

// AmountIn reads an amount like TypedAmount, for a form that names its currency. An
// amount that cannot be read is added to wrong, and returned as it was typed.
func (v *Visit) AmountIn(currency, param, s string, wrong *parts.Problems) string {
	c, err := money.ParseCurrency(currency)
	if err != nil {
		return s // the service refuses the currency first
	}
	plain, err := TypedAmount(param, s, c)
	if err != nil {
		*wrong = append(*wrong, v.Problems(err)...)
		return s
	}
	return plain
}
