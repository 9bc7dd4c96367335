package review

import (
	"math"
	"strconv"
	"strings"

	"github.com/paylink/paylink/internal/i18n"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// A reason is a feature of package score by its name, such as card.attempted.1h: who, what,
// and in which time. Each part has its own text, so a new window or entity needs one text
// and not one for every combination.

// reasonWho has the texts of who a feature is about.
var reasonWho = map[string]string{
	"card": "review.who.card", "address": "review.who.address", "email": "review.who.email",
	"link": "review.who.link", "account": "review.who.account", "bin": "review.who.bin",
}

// reasonWindow has the texts of the windows.
var reasonWindow = map[string]string{
	"1h": "review.window.hour", "1d": "review.window.day", "7d": "review.window.week", "30d": "review.window.month",
}

// reasonCounts has the texts of what a feature counts.
var reasonCounts = map[string]string{
	"attempted": "review.feature.attempted", "authorised": "review.feature.authorised",
	"declined": "review.feature.declined", "disputed": "review.feature.disputed",
}

// ReasonText returns a reason in words for a merchant. For a feature that the catalog
// does not know, it returns its name.
func ReasonText(p *i18n.Printer, r payment.RiskReason, c money.Currency) string {
	if math.IsNaN(r.Value) || math.IsInf(r.Value, 0) || math.Abs(r.Value) > 1e15 {
		return r.Feature
	}
	if s := singleReason(p, r, c); s != "" {
		return s
	}

	who, rest, _ := strings.Cut(r.Feature, ".")
	what, window, _ := strings.Cut(rest, ".")
	subject, known := reasonWho[who]
	words := ""
	if window == "" {
		words = entityReason(p, what, r.Value)
	} else if in, ok := reasonWindow[window]; ok {
		words = windowReason(p, what, p.T(in), r.Value, c)
	}
	if !known || words == "" {
		return r.Feature
	}

	return p.T("review.reasonOf", "Who", p.T(subject), "What", words)
}

// singleReason returns a reason that is not made of parts, or "".
func singleReason(p *i18n.Printer, r payment.RiskReason, c money.Currency) string {
	switch r.Feature {
	case "amount":
		return p.T("review.feature.amount", "Amount", money.Of(int64(r.Value), c))
	case "hour":
		return p.T("review.feature.hour", "Hour", p.Number(int64(r.Value)))
	case "weekend":
		if r.Value > 0 {
			return p.T("review.feature.weekend")
		}
		return p.T("review.feature.weekday")
	case "night":
		if r.Value > 0 {
			return p.T("review.feature.night")
		}
		return p.T("review.feature.daytime")
	case "address.cards.1d":
		return p.N("review.feature.addressCards", int(r.Value))
	case "link.cards.1d":
		return p.N("review.feature.linkCards", int(r.Value))
	}

	return ""
}

// windowReason returns what was counted in a window, or "". in is the window in words. A
// negative value means that there was nothing to compute it from.
func windowReason(p *i18n.Printer, what, in string, value float64, c money.Currency) string {
	if key, ok := reasonCounts[what]; ok {
		return p.N(key, int(value), "Window", in)
	}

	switch what {
	case "mean":
		if value < 0 {
			return p.T("review.feature.nothing", "Window", in)
		}
		return p.T("review.feature.mean", "Amount", money.Of(int64(value), c), "Window", in)
	case "dispute_rate":
		if value < 0 {
			return p.T("review.feature.unknown")
		}
		return p.T("review.feature.fraudShare", "Share", shareText(p, value), "Window", in)
	}

	return ""
}

// entityReason returns what is known of an entity without a window, or "". A negative value
// means that the entity was never seen, except for deviations, which may be negative.
func entityReason(p *i18n.Printer, what string, value float64) string {
	if value < 0 && what != "amount_deviation" && what != "unrest" {
		if what == "recent_disputes" {
			return p.T("review.feature.unknown")
		}
		return p.T("review.feature.never")
	}

	switch what {
	case "age_days":
		if value < 1 {
			return p.T("review.feature.firstToday")
		}
		return p.N("review.feature.firstDays", int(value))
	case "hours_since":
		if value < 1 {
			return p.T("review.feature.sinceNow")
		}
		return p.N("review.feature.sinceHours", int(value))
	case "amount_ratio":
		return p.T("review.feature.usual", "Share", shareText(p, value))
	case "amount_deviation":
		return deviationText(p, value)
	case "amount_peak":
		return p.T("review.feature.peak", "Share", shareText(p, value))
	case "unrest":
		if value > 0 {
			return p.T("review.feature.unrest")
		}
		return p.T("review.feature.calm")
	case "recent_disputes":
		return p.T("review.feature.lastShare", "Share", shareText(p, value))
	}

	return ""
}

// deviationText compares an amount with the usual ones. Within half a standard deviation it
// is ordinary.
func deviationText(p *i18n.Printer, value float64) string {
	switch {
	case value > 0.5:
		return p.T("review.feature.large")
	case value < -0.5:
		return p.T("review.feature.small")
	}
	return p.T("review.feature.ordinary")
}

// shareText returns a ratio as a whole percentage.
func shareText(p *i18n.Printer, ratio float64) string {
	return p.Percent(int64(math.Round(min(ratio, 1e9)*100)), 100)
}

// scoreText returns a score, or "" if no model made one.
func scoreText(p *i18n.Printer, r payment.Risk) string {
	if r.Model == "" && r.Basis != "known" && r.Basis != "no_history" {
		return ""
	}
	return p.Number(int64(r.Score))
}

// scoreTone returns the color of a score: from 50 on a person should assess it, and from 80
// on fraud is likely.
func scoreTone(r payment.Risk) string {
	switch {
	case r.Score >= 80:
		return "bad"
	case r.Score >= 50:
		return "wait"
	}
	return "quiet"
}

// versionText returns the version of a rule.
func versionText(version int) string { return strconv.Itoa(version) }
