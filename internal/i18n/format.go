package i18n

import (
	"strconv"
	"strings"
	"time"

	"github.com/bojanz/currency"
	"github.com/go-playground/locales"
	"github.com/go-playground/locales/ar"
	"github.com/go-playground/locales/ar_EG"
	"github.com/go-playground/locales/de"
	"github.com/go-playground/locales/de_AT"
	"github.com/go-playground/locales/de_CH"
	"github.com/go-playground/locales/en"
	"github.com/go-playground/locales/en_CA"
	"github.com/go-playground/locales/en_GB"
	"github.com/go-playground/locales/en_IE"
	"github.com/go-playground/locales/en_IN"
	"github.com/go-playground/locales/en_NZ"
	"github.com/go-playground/locales/en_ZA"
	"github.com/go-playground/locales/es"
	"github.com/go-playground/locales/es_AR"
	"github.com/go-playground/locales/es_CL"
	"github.com/go-playground/locales/es_CO"
	"github.com/go-playground/locales/es_MX"
	"github.com/go-playground/locales/es_US"
	"github.com/go-playground/locales/fr"
	"github.com/go-playground/locales/fr_BE"
	"github.com/go-playground/locales/fr_CA"
	"github.com/go-playground/locales/fr_CH"
	"github.com/go-playground/locales/ja"
	"github.com/go-playground/locales/pt"
	"github.com/go-playground/locales/pt_PT"

	"github.com/paylink/paylink/internal/money"
)

// format is how a locale writes numbers, amounts and moments.
type format struct {
	amounts  *currency.Formatter
	dates    locales.Translator
	join     string // between a date and its time
	group    string // between thousands
	minGroup int    // digits before the first group for grouping to begin
	decimal  string
	percent  string // with the text between it and the number
	lakhs    bool   // groups of two before the last three
	arabic   bool   // digits are ٠ to ٩
}

// formats returns the format of a language, and of the regions that write differently.
func formats(lang string) map[string]format {
	all := map[string]format{}
	add := func(locale, join string, f format, dates locales.Translator) {
		f.dates, f.join = dates, join
		f.amounts = currency.NewFormatter(currency.NewLocale(locale))
		all[locale] = f
	}
	points := format{group: ",", decimal: ".", percent: "%"}
	commas := format{group: ".", decimal: ",", percent: "\u00a0%"}
	switch lang {
	case "en":
		add("en", ", ", points, en.New())
		add("en-US", ", ", points, en.New())
		add("en-GB", ", ", points, en_GB.New())
		add("en-AU", ", ", points, en_NZ.New()) // the library lacks Australia's am and pm
		add("en-CA", ", ", points, en_CA.New())
		add("en-IE", ", ", points, en_IE.New())
		add("en-IN", ", ", format{group: ",", decimal: ".", percent: "%", lakhs: true}, en_IN.New())
		add("en-NZ", ", ", points, en_NZ.New())
		add("en-ZA", ", ", format{group: "\u00a0", decimal: ",", percent: "%"}, en_ZA.New())
	case "de":
		add("de", ", ", commas, de.New())
		add("de-DE", ", ", commas, de.New())
		add("de-AT", ", ", format{group: "\u00a0", decimal: ",", percent: "\u00a0%"}, de_AT.New())
		add("de-CH", ", ", format{group: "’", decimal: ".", percent: "%"}, de_CH.New())
	case "fr":
		narrow := format{group: "\u202f", decimal: ",", percent: "\u202f%"}
		add("fr", ", ", narrow, fr.New())
		add("fr-FR", ", ", narrow, fr.New())
		add("fr-BE", ", ", narrow, fr_BE.New())
		add("fr-CA", ", ", format{group: "\u00a0", decimal: ",", percent: "\u00a0%"}, fr_CA.New())
		add("fr-CH", ", ", narrow, fr_CH.New())
	case "es":
		spain := commas
		spain.minGroup = 2
		add("es", ", ", spain, es.New())
		add("es-ES", ", ", spain, es.New())
		add("es-AR", ", ", commas, es_AR.New())
		add("es-CL", ", ", commas, es_CL.New())
		add("es-CO", ", ", commas, es_CO.New())
		add("es-MX", ", ", points, es_MX.New())
		add("es-US", ", ", points, es_US.New())
	case "pt":
		brazil := format{group: ".", decimal: ",", percent: "%"}
		add("pt", ", ", brazil, pt.New())
		add("pt-BR", ", ", brazil, pt.New())
		add("pt-PT", ", ", format{group: "\u00a0", decimal: ",", percent: "%", minGroup: 2}, pt_PT.New())
	case "ar":
		// Arabic without a region is written with the digits 0 to 9; Egypt and Saudi Arabia use
		// ٠ to ٩.
		indic := format{group: "٬", decimal: "٫", percent: "٪\u061c", arabic: true}
		add("ar", "، ", format{group: ",", decimal: ".", percent: "\u200e%\u200e"}, ar.New())
		add("ar-EG", "، ", indic, ar_EG.New())
		add("ar-SA", "، ", indic, ar_EG.New())
	case "ja":
		add("ja", " ", points, ja.New())
		add("ja-JP", " ", points, ja.New())
	}
	return all
}

// Amount formats a sum of money.
func (p *Printer) Amount(a money.Amount) string {
	v, err := currency.NewAmount(a.Decimal(), string(a.Currency))
	if err != nil {
		return a.String()
	}
	return p.format.amounts.Format(v)
}

// Number formats a whole number, with separated thousands.
func (p *Printer) Number(n int64) string {
	s := strconv.FormatInt(n, 10)
	sign := ""
	if n < 0 {
		s, sign = s[1:], "-"
	}
	if len(s) >= 3+max(p.format.minGroup, 1) {
		var b strings.Builder
		for i := range len(s) {
			if left := len(s) - i; i > 0 && (left%3 == 0 && !p.format.lakhs || p.format.lakhs && left >= 3 && left%2 == 1) {
				b.WriteString(p.format.group)
			}
			b.WriteByte(s[i])
		}
		s = b.String()
	}
	if sign != "" && p.lang.Dir == "rtl" {
		sign = "\u200e-"
	}
	return p.digits(sign + s)
}

// Percent formats part of whole in percent, to one decimal, rounded half up, without a decimal
// of zero. A whole of zero gives zero percent.
func (p *Printer) Percent(part, whole int64) string {
	tenths := int64(0)
	if whole != 0 {
		// This halves both until the products below fit: only a thousandth is shown.
		for part > 1<<51 || part < -(1<<51) || whole > 1<<61 || whole < -(1<<61) {
			part, whole = part/2, whole/2
		}
		if whole < 0 {
			part, whole = -part, -whole
		}
		if tenths = (part*2000 + whole) / (2 * whole); part < 0 {
			tenths = -((-part*2000 + whole) / (2 * whole))
		}
	}
	s := p.Number(tenths / 10)
	if tenths < 0 && tenths > -10 {
		s = "-" + s // a rounded zero has no sign of its own
	}
	if d := max(tenths%10, -tenths%10); d != 0 {
		s += p.format.decimal + p.digits(strconv.FormatInt(d, 10))
	}
	return s + p.format.percent
}

// Date formats a day, in the time's own zone.
func (p *Printer) Date(t time.Time) string { return p.digits(p.format.dates.FmtDateLong(t)) }

// DateTime formats a time to the minute, in the time's own zone, which it names.
func (p *Printer) DateTime(t time.Time) string {
	zone := t.Format("MST")
	if strings.ContainsAny(zone, "+-") { // a zone without a short name
		zone = "UTC" + t.Format("-07:00")
	}
	return p.Date(t) + p.format.join + p.digits(p.format.dates.FmtTimeShort(t)) + " " + zone
}

// digits replaces the digits by those of the language.
func (p *Printer) digits(s string) string {
	if !p.format.arabic {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return r - '0' + '٠'
		}
		return r
	}, s)
}
