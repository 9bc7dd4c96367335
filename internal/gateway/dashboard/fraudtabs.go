package dashboard

import (
	"slices"
	"strconv"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/payment"
)

// fraudTabs are the pages of the room.
func fraudTabs(v *visit, current string) []tab {
	at := func(key, words string) tab {
		path := v.path("fraud")
		if key != "" {
			path = v.path("fraud", key)
		}
		return tab{Text: words, Href: path, Current: key == current}
	}
	p := v.print
	return []tab{at("", p.T("fraud.tab.figures")), at("rules", p.T("fraud.tab.rules")), at("lists", p.T("fraud.tab.lists")), at("policy", p.T("fraud.tab.policy")), at("models", p.T("fraud.tab.models"))}
}

// noFraud is the answer of a process that has no way to a part of the box.
func noFraud() error {
	return fault.Unavailable("fraud_unavailable", time.Minute, nil, "The box that knows the risk of payments is not available now.")
}

// usualFraudDays is the period that is shown first.
const usualFraudDays = 30

type fraudSpan struct {
	days  int
	label string
}

// fraudSpans are the periods to choose from, in days up to now.
var fraudSpans = []fraudSpan{{7, "overview.span.week"}, {30, "overview.span.month"}, {90, "overview.span.quarter"}, {365, "overview.span.year"}}

// fraudPeriod takes the chosen one from the query, in whole days of UTC, today included:
// the figures are kept by those, and the page says so.
func fraudPeriod(v *visit, r *reading) (days int, from, to time.Time, err error) {
	days = usualFraudDays
	if s := r.choice("days", isFraudSpan); isFraudSpan(s) {
		days, _ = strconv.Atoi(s) // one of the numbers of the table
	}
	from, to, err = lastFraudDays(v, days)
	return days, from, to, err
}

// lastFraudDays are whole days of UTC up to the end of today.
func lastFraudDays(v *visit, days int) (from, to time.Time, err error) {
	now, err := v.now()
	to = calendar.DayOf(now, time.UTC).End(time.UTC)
	return to.AddDate(0, 0, -days), to, err
}

func isFraudSpan(s string) bool {
	return slices.ContainsFunc(fraudSpans, func(span fraudSpan) bool { return strconv.Itoa(span.days) == s })
}

func fraudSpanOptions(v *visit) []option {
	var out []option
	for _, s := range fraudSpans {
		out = append(out, option{Value: strconv.Itoa(s.days), Text: v.print.T(s.label)})
	}
	return out
}

func actionBadge(v *visit, a payment.Action) badge {
	switch a {
	case payment.Challenge:
		return badge{v.print.T("fraud.action.challenge"), "accent"}
	case payment.Allow:
		return badge{v.print.T("fraud.action.allow"), "good"}
	case payment.Block:
		return badge{v.print.T("fraud.action.block"), "bad"}
	case payment.Hold:
		return badge{v.print.T("fraud.action.review"), "wait"}
	}
	return badge{string(a), "quiet"}
}

func actionOptions(v *visit, actions ...payment.Action) []option {
	var out []option
	for _, a := range actions {
		out = append(out, option{Value: string(a), Text: actionBadge(v, a).Text})
	}
	return out
}
