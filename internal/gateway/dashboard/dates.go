package dashboard

import (
	"context"
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/merchant"
)

// zones to choose from: some for each part of the world that our languages are spoken
// in. An account may have any other.
var zones = []string{"UTC", "Europe/London", "Europe/Lisbon", "Europe/Berlin", "Europe/Paris", "Europe/Madrid", "Europe/Athens", "Africa/Cairo", "Africa/Johannesburg",
	"Africa/Lagos", "Asia/Riyadh", "Asia/Dubai", "Asia/Karachi", "Asia/Kolkata", "Asia/Kathmandu", "Asia/Dhaka", "Asia/Bangkok", "Asia/Singapore", "Asia/Tokyo",
	"Australia/Perth", "Australia/Adelaide", "Australia/Sydney", "Pacific/Auckland", "America/New_York", "America/Chicago", "America/Denver", "America/Los_Angeles",
	"America/Mexico_City", "America/Bogota", "America/Sao_Paulo", "America/Argentina/Buenos_Aires"}

// dates are a period as a form and an address say it: first and last day, both
// included, in a zone. A preset is a way to fill the days in; there is no second
// choice beside them.
type dates struct {
	From, To string // as written
	Zone     string // as asked for; "" is the account's
	Preset   string // what the days are; ownDays when they are no preset's
	zone     *time.Location
	period   calendar.Period
	now      time.Time // by the clock of the mode's data
	today    calendar.Day
}

// ownDays is the choice of other days than a preset's.
const ownDays = "dates"

// preset is a period by its name, from today's point of view.
type preset struct {
	key, label string
	days       func(today calendar.Day) (first, last calendar.Day)
}

func lastDays(n int) func(calendar.Day) (calendar.Day, calendar.Day) {
	return func(today calendar.Day) (calendar.Day, calendar.Day) { return today.Add(1 - n), today }
}

var (
	presetToday = preset{"today", "overview.span.day", lastDays(1)}
	presetYear  = preset{"365", "overview.span.year", lastDays(365)}

	presets = []preset{
		presetToday,
		{"yesterday", "overview.span.yesterday", func(t calendar.Day) (calendar.Day, calendar.Day) { return t.Add(-1), t.Add(-1) }},
		{"7", "overview.span.week", lastDays(7)},
		{"30", "overview.span.month", lastDays(30)},
		{"thisMonth", "overview.span.thisMonth", func(t calendar.Day) (calendar.Day, calendar.Day) { return t.Add(1 - t.Day), t }},
		{"lastMonth", "overview.span.lastMonth", func(t calendar.Day) (calendar.Day, calendar.Day) {
			last := t.Add(-t.Day)
			return last.Add(1 - last.Day), last
		}},
		{"90", "overview.span.quarter", lastDays(90)},
		presetYear,
	}
)

func presetOf(key string) (preset, bool) {
	if key == "1" { // as it was called before
		return presetToday, true
	}
	i := slices.IndexFunc(presets, func(p preset) bool { return p.key == key })
	if i < 0 {
		return preset{}, false
	}
	return presets[i], true
}

// now is the time by which the mode's data lives: in test mode that of the account's
// clock.
func (v *visit) now() (time.Time, error) {
	now := v.d.Now()
	if v.mode != merchant.Test {
		return now, nil
	}
	c, err := v.d.Merchants.Clock(v.Context(), v.account.ID)
	return now.Add(c.Ahead), err
}

// dates takes from, to, zone and span. usual is the preset where no days are given;
// "" is all time. The times of the page are shown in the zone.
func (r *reading) dates(usual string) (dates, error) {
	a := dates{From: r.text("from"), To: r.text("to"), Zone: r.text("zone"), zone: r.v.account.Zone()}
	if a.Zone != "" {
		zone, err := calendar.Zone("zone", a.Zone)
		if err != nil {
			r.wrong("zone", "common.query.zone", "Value", a.Zone)
			zone = a.zone
		}
		a.zone = zone
		r.v.Request = r.v.WithContext(inZone(r.v.Context(), zone))
	}
	var err error
	if a.now, err = r.v.now(); err != nil {
		return a, err
	}
	a.today = calendar.DayOf(a.now, a.zone)
	a.preset(r, usual)
	if a.period, err = calendar.ParsePeriod(a.From, a.To, a.zone); err != nil {
		r.problems = append(r.problems, r.v.dayProblem(err, a.From, a.To))
	}
	for _, p := range presets {
		if first, last := p.days(a.today); a.From == first.String() && a.To == last.String() {
			a.Preset = p.key
			break
		}
	}
	return a, nil
}

// dayProblem is what is wrong with the ends of a period.
func (v *visit) dayProblem(err error, from, to string) fieldError {
	f := fault.From(err)
	switch {
	case f.Code == "range_invalid":
		return fieldError{"to", v.print.T("common.query.order")}
	case f.Param == "from":
		return fieldError{"from", v.print.T("common.query.day", "Value", clip(from))}
	}
	return fieldError{"to", v.print.T("common.query.day", "Value", clip(to))}
}

// preset fills in the days where the address names a preset, or the usual one.
func (a *dates) preset(r *reading, usual string) {
	name, own := r.text("span"), a.From != "" || a.To != ""
	if name == "" && !own {
		name = usual
	}
	a.Preset = ownDays
	p, known := presetOf(name)
	switch {
	case name == "" || name == ownDays:
	case !known:
		r.wrong("", "common.query.choice", "Value", name)
	case own:
		r.wrong("from", "common.query.both")
	default:
		first, last := p.days(a.today)
		a.From, a.To = first.String(), last.String()
	}
}

// set reports whether the dates narrow a list.
func (a dates) set() bool { return a.From != "" || a.To != "" }

// values are the dates as an address says them.
func (a dates) values(q url.Values) {
	for name, value := range map[string]string{"from": a.From, "to": a.To, "zone": a.Zone} {
		if value != "" {
			q.Set(name, value)
		}
	}
}

// datesView is the control for a period: presets, and the days that they fill in.
type datesView struct {
	Presets  []tab
	From, To field
	Zone     field
}

// datesView makes the control of a page at path, whose other filters are rest.
func (v *visit) datesView(a dates, path string, rest url.Values, p problems, offered ...preset) datesView {
	view := datesView{From: v.dayField("from", "payments.from", a.From, p), To: v.dayField("to", "payments.to", a.To, p),
		Zone: field{ID: "zone", Label: v.print.T("overview.zone"), Value: a.zone.String(), Error: p.of("zone"), Options: v.zoneOptions(a.zone.String())}}
	at := func(change func(url.Values)) string {
		q := maps.Clone(rest)
		if q == nil {
			q = url.Values{}
		}
		if a.Zone != "" {
			q.Set("zone", a.Zone)
		}
		change(q)
		return path + asQuery(q)
	}
	for _, o := range offered {
		view.Presets = append(view.Presets, tab{Text: v.print.T(o.label), Href: at(func(q url.Values) { q.Set("span", o.key) }), Current: a.Preset == o.key})
	}
	own := a.set() && !slices.ContainsFunc(offered, func(o preset) bool { return o.key == a.Preset })
	view.Presets = append(view.Presets, tab{Text: v.print.T("overview.span.dates"), Href: "#from", Current: own})
	return view
}

// dayField is a field for a day; what is none is shown as it was written.
func (v *visit) dayField(name, label, value string, p problems) field {
	f := field{ID: name, Label: v.print.T(label), Value: value, Type: "date", Error: p.of(name)}
	if _, ok := calendar.ParseDay(value); value != "" && !ok {
		f.Type, f.Hint = "", v.print.T("common.dayHint")
	}
	return f
}

// zoneOptions are the account's zone, the one that is looked in, and some others.
func (v *visit) zoneOptions(current string) []option {
	var out []option
	for _, z := range slices.Concat([]string{v.account.Zone().String(), current}, zones) {
		if !slices.Contains(out, option{z, z}) {
			out = append(out, option{z, z})
		}
	}
	return out
}

type zoneKey struct{}

// inZone keeps the zone that a page's times are shown in.
func inZone(ctx context.Context, zone *time.Location) context.Context {
	return context.WithValue(ctx, zoneKey{}, zone)
}

// zoneOf is the zone of a page; UTC where nobody is signed in.
func zoneOf(ctx context.Context) *time.Location {
	if zone, ok := ctx.Value(zoneKey{}).(*time.Location); ok {
		return zone
	}
	return time.UTC
}
