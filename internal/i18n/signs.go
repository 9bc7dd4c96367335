package i18n

import (
	"slices"
	"strings"
	"sync"

	"github.com/bojanz/currency"

	"github.com/paylink/paylink/internal/money"
)

// commonSigns are what people write for a currency besides its code and CLDR's signs in our
// languages.
var commonSigns = map[string]string{
	"$":   "ARS AUD BBD BMD BND BSD BZD CAD CLP COP CUP DOP FJD GYD HKD JMD KYD LRD MXN NAD NZD SBD SGD SRD TTD TWD USD UYU XCD",
	"us$": "USD", "ca$": "CAD", "c$": "CAD NIO", "a$": "AUD", "au$": "AUD", "nz$": "NZD", "hk$": "HKD", "nt$": "TWD", "s$": "SGD",
	"mx$": "MXN", "r$": "BRL",
	"£": "EGP FKP GBP GIP LBP SHP SSP SYP", "€": "EUR", "euro": "EUR", "euros": "EUR", "¥": "CNY JPY", "円": "JPY", "圓": "JPY",
	"yen": "JPY", "元": "CNY HKD TWD",
	"kr": "DKK ISK NOK SEK", "kr.": "DKK ISK NOK SEK", "₩": "KPW KRW", "원": "KRW", "₹": "INR", "rs": "INR LKR MUR NPR PKR SCR",
	"rs.": "INR LKR MUR NPR PKR SCR",
	"fr":  "CHF", "fr.": "CHF", "sfr.": "CHF", "zł": "PLN", "kč": "CZK", "ft": "HUF", "₺": "TRY", "tl": "TRY", "₪": "ILS",
	"₽": "RUB", "₴": "UAH", "₫": "VND", "đ": "VND",
	"฿": "THB", "₱": "PHP", "r": "ZAR", "rm": "MYR", "rp": "IDR", "s/": "PEN", "s/.": "PEN", "lei": "RON", "лв": "BGN",
	"лв.": "BGN", "₦": "NGN", "₵": "GHS",
	"kd": "KWD", "د.ك": "KWD", "bd": "BHD", "د.ب": "BHD", "jd": "JOD", "د.أ": "JOD", "dt": "TND", "د.ت": "TND",
	"ر.ع": "OMR", "د.ع": "IQD", "د.ل": "LYD",
	"dh": "AED MAD", "dhs": "AED MAD", "د.إ": "AED", "د.م": "MAD", "sr": "SAR", "ر.س": "SAR", "﷼": "IRR OMR QAR SAR YER",
	"qr": "QAR", "ر.ق": "QAR", "ج.م": "EGP",
}

// signs maps a sign, a code or a short word, in lower case and without invisible characters, to
// all currencies that it stands for.
var signs = sync.OnceValue(func() map[string][]money.Currency {
	all := map[string][]money.Currency{}
	add := func(sign string, c money.Currency) {
		sign = strings.ToLower(plainSigns(sign))
		for _, each := range []string{sign, strings.TrimSuffix(sign, ".")} {
			if each != "" && !slices.Contains(all[each], c) {
				all[each] = append(all[each], c)
			}
		}
	}
	var locales []currency.Locale
	for _, l := range languages {
		for locale := range formats(l.Tag) {
			locales = append(locales, currency.NewLocale(locale))
		}
	}
	for _, code := range currency.GetCurrencyCodes() {
		add(code, money.Currency(code))
		for _, l := range locales {
			if symbol, ok := currency.GetSymbol(code, l); ok {
				add(symbol, money.Currency(code))
			}
		}
	}
	for sign, codes := range commonSigns {
		for code := range strings.FieldsSeq(codes) {
			add(sign, money.Currency(code))
		}
	}
	return all
})

// currenciesOf returns the currencies that a sign stands for: none, one, or several, as for
// "$".
func currenciesOf(sign string) []money.Currency {
	return signs()[strings.ToLower(strings.Join(strings.Fields(sign), " "))]
}
