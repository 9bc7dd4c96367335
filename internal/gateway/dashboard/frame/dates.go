package frame

import (
	"maps"
	"net/url"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/gateway/dashboard/parts"
	"github.com/paylink/paylink/internal/merchant"
)

// Zones to choose from: some for each part of the world in which our languages are
// spoken. An account may have any other zone.
var Zones = []string{
	"UTC",
	"Europe/London",
	"Europe/Lisbon",
	"Europe/Berlin",
	"Europe/Paris",
	"Europe/Madrid",
	"Europe/Athens",
	"Africa/Cairo",
	"Africa/Johannesburg",
	"Africa/Lagos",
	"Asia/Riyadh",
	"Asia/Dubai",
	"Asia/Karachi",
	"Asia/Kolkata",
	"Asia/Kathmandu",
	"Asia/Dhaka",
	"Asia/Bangkok",
	"Asia/Singapore",
	"Asia/Tokyo",
	"Australia/Perth",
	"Australia/Adelaide",
	"Australia/Sydney",
	"Pacific/Auckland",
	"America/New_York",
	"America/Chicago",
	"America/Denver",
	"America/Los_Angeles",
	"America/Mexico_City",
	"America/Bogota",
	"America/Sao_Paulo",
	"America/Argentina/Buenos_Aires",
}

// Dates is a period as a form and a URL express it: first and last day, both included, in
// a zone. A preset only fills in the days; it is not a separate filter.
type Dates struct {
	From, To string // as written
	Zone     string // as requested; "" is the account's
	Preset   string // what the days are; ownDays when they are no preset's
	Location *time.Location
	Period   calendar.Period
	Now      time.Time // by the clock of the mode's data
	today    calendar.Day
}

// ownDays is the choice of days that match no preset.
const ownDays = "dates"

// preset returns a period by its name, relative to today.
type preset struct {
	Key, Label string
	days       func(today calendar.Day) (first, last calendar.Day)
}

// lastDays returns the period of n days that ends today.
func lastDays(n int) func(calendar.Day) (calendar.Day, calendar.Day) {
	return func(today calendar.Day) (calendar.Day, calendar.Day) { return today.Add(1 - n), today }
}

// The periods to choose from. Their keys are in addresses that people keep.
var (
	presetToday = preset{"today", "overview.span.day", lastDays(1)}
	// PresetYear is the last 365 days.
	PresetYear = preset{"365", "overview.span.year", lastDays(365)}

	// Presets are the periods that a page offers.
	Presets = []preset{
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
		PresetYear,
	}
)

// presetOf returns the preset of a key.
func presetOf(key string) (preset, bool) {
	if key == "1" { // its former name
		return presetToday, true
	}
	i := slices.IndexFunc(Presets, func(p preset) bool { return p.Key == key })
	if i < 0 {
		return preset{}, false
	}
	return Presets[i], true
}

// ModeNow returns the time of the mode's data: in test mode the time of the account's test
// clock, and otherwise the present. In test mode it is a read, which may fail.
func (v *Visit) ModeNow() (time.Time, error) {
	now := v.d.Now()
	if v.Mode != merchant.Test {
		return now, nil
	}
	c, err := v.d.config.Merchants.Clock(v.Context(), v.Account.ID)
	return now.Add(c.Ahead), err
}

// Dates reads from, to, zone and span. usual is the preset if no days are given; "" is all
// time. The page shows its times in the zone.
func (r *Reading) Dates(usual string) (Dates, error) {
	a := Dates{From: r.Text("from"), To: r.Text("to"), Zone: r.Text("zone"), Location: r.v.Account.Zone()}
	if a.Zone != "" {
		zone, err := calendar.Zone("zone", a.Zone)
		if err != nil {
			r.Wrong("zone", "common.query.zone", "Value", a.Zone)
			zone = a.Location
		}
		a.Location = zone
		r.v.Request = r.v.WithContext(parts.InZone(r.v.Context(), zone))
	}

	var err error

	if a.Now, err = r.v.ModeNow(); err != nil {
		return a, err
	}

	a.today = calendar.DayOf(a.Now, a.Location)
	a.preset(r, usual)

	if a.Period, err = calendar.ParsePeriod(a.From, a.To, a.Location); err != nil {
		r.Problems = append(r.Problems, r.v.DayProblem(err, a.From, a.To))
	}
	for _, p := range Presets {
		if first, last := p.days(a.today); a.From == first.String() && a.To == last.String() {
			a.Preset = p.Key
			break
		}
	}

	return a, nil
}

// DayProblem returns what is wrong with the ends of a period.
func (v *Visit) DayProblem(err error, from, to string) parts.FieldError {
	f := fault.From(err)
	switch {
	case f.Code == "range_invalid":
		return parts.FieldError{Field: "to", Text: v.Print.T("common.query.order")}
	case f.Param == "from":
		return parts.FieldError{Field: "from", Text: v.Print.T("common.query.day", "Value", Clip(from))}
	}
	return parts.FieldError{Field: "to", Text: v.Print.T("common.query.day", "Value", Clip(to))}
}

// preset fills in the days if the URL names a preset, or else the usual one.
func (a *Dates) preset(r *Reading, usual string) {
	name, own := r.Text("span"), a.From != "" || a.To != ""
	if name == "" && !own {
		name = usual
	}
	a.Preset = ownDays
	p, known := presetOf(name)
	switch {
	case name == "" || name == ownDays:
	case !known:
		r.Wrong("", "common.query.choice", "Value", name)
	case own:
		r.Wrong("from", "common.query.both")
	default:
		first, last := p.days(a.today)
		a.From, a.To = first.String(), last.String()
	}
}

// Set reports whether the dates narrow a list.
func (a Dates) Set() bool { return a.From != "" || a.To != "" }

// Values returns the dates as query parameters.
func (a Dates) Values(q url.Values) {
	for name, value := range map[string]string{"from": a.From, "to": a.To, "zone": a.Zone} {
		if value != "" {
			q.Set(name, value)
		}
	}
}

// DatesView is the control for a period: presets and the days that they fill in.
type DatesView struct {
	Presets  []parts.Tab
	From, To parts.Field
	Zone     parts.Field
}

// DatesView returns the control of a page at path, with the presets that the page offers.
// rest are the page's other filters, which its links keep.
func (v *Visit) DatesView(a Dates, path string, rest url.Values, p parts.Problems, offered ...preset) DatesView {
	view := DatesView{From: v.dayField("from", "payments.from", a.From, p), To: v.dayField("to", "payments.to", a.To, p),
		Zone: parts.Field{
			ID:      "zone",
			Label:   v.Print.T("overview.zone"),
			Value:   a.Location.String(),
			Error:   p.Of("zone"),
			Options: v.zoneOptions(a.Location.String()),
		}}
	at := func(change func(url.Values)) string {
		q := maps.Clone(rest)
		if q == nil {
			q = url.Values{}
		}
		if a.Zone != "" {
			q.Set("zone", a.Zone)
		}
		change(q)
		return path + AsQuery(q)
	}

	for _, o := range offered {
		view.Presets = append(
			view.Presets,
			parts.Tab{Text: v.Print.T(o.Label), Href: at(func(q url.Values) { q.Set("span", o.Key) }), Current: a.Preset == o.Key},
		)
	}
	own := a.Set() && !slices.ContainsFunc(offered, func(o preset) bool { return o.Key == a.Preset })
	view.Presets = append(view.Presets, parts.Tab{Text: v.Print.T("overview.span.dates"), Href: "#from", Current: own})
	return view
}

// dayField returns a field for a day. An invalid day is shown as it was written.
func (v *Visit) dayField(name, label, value string, p parts.Problems) parts.Field {
	f := parts.Field{ID: name, Label: v.Print.T(label), Value: value, Type: "date", Error: p.Of(name)}
	if _, ok := calendar.ParseDay(value); value != "" && !ok {
		f.Type, f.Hint = "", v.Print.T("common.dayHint")
	}
	return f
}

// zoneOptions returns the account's zone, the current one, and some others.
func (v *Visit) zoneOptions(current string) []parts.Option {
	var out []parts.Option
	for _, z := range slices.Concat([]string{v.Account.Zone().String(), current}, Zones) {
		if !slices.Contains(out, parts.Option{Value: z, Text: z}) {
			out = append(out, parts.Option{Value: z, Text: z})
		}
	}
	return out
}
