// Package risk has what the pages about fraud share: their tabs, the words of an action,
// the periods to choose from, and the fault of a process that cannot reach the fraud
// service.
package risk

import (
	"slices"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/frame"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/payment"
)

// Tabs returns the tabs of the pages about fraud. current is the last part of the path of
// the one that is shown.
func Tabs(v *frame.Visit, current string) []parts.Tab {
	at := func(key, words string) parts.Tab {
		path := v.Path("fraud")
		if key != "" {
			path = v.Path("fraud", key)
		}
		return parts.Tab{Text: words, Href: path, Current: key == current}
	}
	p := v.Print
	return []parts.Tab{
		at("", p.T("fraud.tab.figures")),
		at("rules", p.T("fraud.tab.rules")),
		at("lists", p.T("fraud.tab.lists")),
		at("policy", p.T("fraud.tab.policy")),
		at("models", p.T("fraud.tab.models")),
	}
}

// Unavailable returns the fault of a process that cannot reach a part of the fraud service.
func Unavailable() error {
	return fault.Unavailable("fraud_unavailable", time.Minute, nil, "The fraud service is temporarily unavailable; retry.")
}

// UsualDays is the period that is shown first, in days.
const UsualDays = 30

// fraudSpan is a period to choose, with its text in the catalog.
type fraudSpan struct {
	Days  int
	label string
}

// Spans are the periods to choose from, in days up to now.
var Spans = []fraudSpan{{7, "overview.span.week"}, {30, "overview.span.month"}, {90, "overview.span.quarter"}, {365, "overview.span.year"}}

// Period returns the period that the query names, in whole days of UTC up to the end of
// today. The figures are kept by these days, and the page says so. An error is a failed
// read of the test clock.
func Period(v *frame.Visit, r *frame.Reading) (days int, from, to time.Time, err error) {
	days = UsualDays
	if s := r.Choice("days", IsSpan); IsSpan(s) {
		days, _ = strconv.Atoi(s) // one of the numbers of the table
	}
	from, to, err = LastDays(v, days)
	return days, from, to, err
}

// LastDays returns whole days of UTC up to the end of today, by the clock of the mode's
// data.
func LastDays(v *frame.Visit, days int) (from, to time.Time, err error) {
	now, err := v.ModeNow()
	to = calendar.DayOf(now, time.UTC).End(time.UTC)
	return to.AddDate(0, 0, -days), to, err
}

// IsSpan reports whether s is the number of days of one of Spans.
func IsSpan(s string) bool {
	return slices.ContainsFunc(Spans, func(span fraudSpan) bool { return strconv.Itoa(span.Days) == s })
}

// SpanOptions returns Spans as the options of a field.
func SpanOptions(v *frame.Visit) []parts.Option {
	var out []parts.Option
	for _, s := range Spans {
		out = append(out, parts.Option{Value: strconv.Itoa(s.Days), Text: v.Print.T(s.label)})
	}
	return out
}

// Action returns an action as a badge; an unknown one is shown by its name.
func Action(v *frame.Visit, a payment.Action) parts.Badge {
	switch a {
	case payment.Challenge:
		return parts.Badge{Text: v.Print.T("fraud.action.challenge"), Tone: "accent"}
	case payment.Allow:
		return parts.Badge{Text: v.Print.T("fraud.action.allow"), Tone: "good"}
	case payment.Block:
		return parts.Badge{Text: v.Print.T("fraud.action.block"), Tone: "bad"}
	case payment.Hold:
		return parts.Badge{Text: v.Print.T("fraud.action.review"), Tone: "wait"}
	default:
		return parts.Badge{Text: string(a), Tone: "quiet"}
	}
}

// Actions returns actions as the options of a field.
func Actions(v *frame.Visit, actions ...payment.Action) []parts.Option {
	var out []parts.Option
	for _, a := range actions {
		out = append(out, parts.Option{Value: string(a), Text: Action(v, a).Text})
	}
	return out
}
