package report

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
)

// Unit is the length of a point of a series.
type Unit string

// The units.
const (
	ByHour  Unit = "hour"
	ByDay   Unit = "day"
	ByWeek  Unit = "week"
	ByMonth Unit = "month"
)

// Limits of a series: at most this many days are shown by the unit.
const (
	hourlyDays = 2
	dailyDays  = 62
	weeklyDays = 200
)

// day is a day of 24 hours, for limits; days of a time zone are package calendar's.
const day = 24 * time.Hour

// Period is the period of an overview, [From, To). The period before it ends where it begins and
// is as long, in days if it consists of whole days.
type Period struct {
	Account, Mode string
	From, To      time.Time
	Zone          string // IANA name of the zone in which days begin; empty means UTC
}

// Statuses are those under which a payment counts.
var Statuses = [...]payment.Status{payment.Created, payment.RequiresAction, payment.Processing, payment.Unknown, payment.Authorized,
	payment.Succeeded, payment.PartiallyRefunded, payment.Refunded, payment.Declined, payment.Canceled, payment.Late, payment.Review}

// Figures are sums over payments and links of one currency that were created in one period. They
// can be added.
type Figures struct {
	Volume, Refunded int64 // captured, and refunded of that; minor units
	ByStatus         map[payment.Status]int64
	Links            [len(Steps) + 1]int64 // created, and then those that reached each step
}

// Add adds other figures.
func (f *Figures) Add(o Figures) {
	f.Volume += o.Volume
	f.Refunded += o.Refunded
	for s, n := range o.ByStatus {
		if f.ByStatus == nil {
			f.ByStatus = map[payment.Status]int64{}
		}
		f.ByStatus[s] += n
	}
	for i, n := range o.Links {
		f.Links[i] += n
	}
}

// Payments returns the number of payments.
func (f Figures) Payments() (n int64) {
	for _, of := range f.ByStatus {
		n += of
	}
	return n
}

// Approved returns how many payments the issuer approved. The success rate is its share of
// Approved and Declined together; payments still in progress count for neither.
func (f Figures) Approved() (n int64) {
	for s, of := range f.ByStatus {
		if Approved(s) {
			n += of
		}
	}
	return n
}

// Declined returns how many payments the issuer declined.
func (f Figures) Declined() int64 { return f.ByStatus[payment.Declined] }

// Empty reports whether nothing was counted.
func (f Figures) Empty() bool { return f.Payments() == 0 && f.Links[0] == 0 }

// Point is a point of a series.
type Point struct {
	From time.Time
	Figures
}

// Reason is a reason for declines, with its count.
type Reason struct {
	Code  string
	Count int64
}

// Part is the part of an overview in one currency.
type Part struct {
	Currency      money.Currency
	Total, Before Figures
	Series        []Point  // every point of the period, also empty ones
	Declines      []Reason // most frequent first
}

// Overview is the overview of a period.
type Overview struct {
	From, To time.Time
	Unit     Unit
	Parts    []Part // the currency with the most payments first
	// Behind means that some changes are not counted yet.
	Behind bool
}

// Hour is what a store holds for a stretch of time that begins at From.
type Hour struct {
	From     time.Time
	Currency money.Currency
	Figures
}

// Check rounds the period to milliseconds and returns its zone. It returns an error if the
// zone is unknown, or if the period does not end after its beginning or is too long.
func (p *Period) Check() (*time.Location, error) {
	zone, err := calendar.Zone("zone", p.Zone)
	if err != nil {
		return nil, err
	}
	p.From, p.To = p.From.UTC().Truncate(time.Millisecond), p.To.UTC().Truncate(time.Millisecond)
	if !p.From.Before(p.To) {
		return nil, fault.Invalid("to", "date_invalid", "to must be later than from.")
	}
	if p.To.Sub(p.From) > MaxPeriodDays*day+time.Hour { // allows for an hour by which a clock was put back
		return nil, fault.Invalid("from", "date_invalid", "A period can have at most %d days.", MaxPeriodDays)
	}
	return zone, nil
}

// Unit returns the unit that suits the period's length.
func (p Period) Unit() Unit {
	switch days := p.To.Sub(p.From) / day; {
	case days <= hourlyDays:
		return ByHour
	case days <= dailyDays:
		return ByDay
	case days <= weeklyDays:
		return ByWeek
	}
	return ByMonth
}

// Start returns where the period before this one begins: the same number of days before, if
// it consists of whole days of its zone, and otherwise the same time before.
func (p Period) Start() time.Time {
	if zone, err := calendar.Zone("zone", p.Zone); err == nil {
		first, end := calendar.DayOf(p.From, zone), calendar.DayOf(p.To, zone)
		if first.Start(zone).Equal(p.From) && end.Start(zone).Equal(p.To) {
			return first.Add(first.Since(end)).Start(zone)
		}
	}
	return p.From.Add(p.From.Sub(p.To))
}

// Points returns where the points of the series begin. The first may begin before the period.
func (p Period) Points(zone *time.Location) (all []time.Time) {
	u := p.Unit()
	for at := u.begin(p.From, zone); at.Before(p.To); at = u.after(at, zone) {
		all = append(all, at)
	}
	return all
}

// begin returns the start of the unit that contains t.
func (u Unit) begin(t time.Time, zone *time.Location) time.Time {
	l := t.In(zone)
	if u == ByHour { // of the zone: some zones are offset from UTC by quarters of an hour
		return l.Truncate(time.Minute).Add(-time.Duration(l.Minute()) * time.Minute)
	}
	d := calendar.DayOf(t, zone)
	switch u {
	case ByWeek: // from Monday on, by ISO 8601
		d = d.Add(-(int(l.Weekday()) + 6) % 7) // days of a week
	case ByMonth:
		d = d.Add(1 - d.Day)
	default: // ByDay
	}
	return d.Start(zone)
}

// after returns the start of the next unit.
func (u Unit) after(t time.Time, zone *time.Location) time.Time {
	d := calendar.DayOf(t, zone)
	switch u {
	case ByHour:
		return t.Add(time.Hour)
	case ByWeek:
		return d.Add(7).Start(zone) // days of a week
	case ByMonth:
		next := d.Add(32 - d.Day) // more than a month has
		return next.Add(1 - next.Day).Start(zone)
	default: // ByDay
		return d.End(zone)
	}
}

// Fold builds the overview of a checked period from what the store holds, which may include
// the period before. Declines are by currency. A stretch counts in the point that contains
// its beginning.
func Fold(p Period, zone *time.Location, hours []Hour, declines map[money.Currency][]Reason) Overview {
	o := Overview{From: p.From.In(zone), To: p.To.In(zone), Unit: p.Unit()}
	parts := map[money.Currency]*Part{}
	for _, h := range hours {
		part := parts[h.Currency]
		if part == nil {
			part = &Part{Currency: h.Currency, Series: series(p, zone), Declines: declines[h.Currency]}
			parts[h.Currency] = part
		}
		if h.From.Before(p.From) {
			part.Before.Add(h.Figures)
			continue
		}
		part.Total.Add(h.Figures)
		at, found := slices.BinarySearchFunc(part.Series, h.From, func(a Point, t time.Time) int { return a.From.Compare(t) })
		if !found {
			at--
		}
		part.Series[max(at, 0)].Add(h.Figures)
	}

	for _, part := range parts {
		slices.SortFunc(part.Declines, func(a, b Reason) int { return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Code, b.Code)) })
		o.Parts = append(o.Parts, *part)
	}

	slices.SortFunc(o.Parts, func(a, b Part) int {
		return cmp.Or(
			cmp.Compare(b.Total.Payments(), a.Total.Payments()),
			cmp.Compare(b.Total.Links[0], a.Total.Links[0]),
			cmp.Compare(a.Currency, b.Currency),
		)
	})
	return o
}

// series returns an empty point for each unit of the period.
func series(p Period, zone *time.Location) (all []Point) {
	for _, at := range p.Points(zone) {
		all = append(all, Point{From: at})
	}
	return all
}

// FiguresOf returns what a payment's row counts for, and the code of its decline.
func FiguresOf(p Payment) (f Figures, decline string) {
	if p.ID == "" {
		return f, ""
	}
	f = Figures{Volume: p.Captured, Refunded: p.Refunded, ByStatus: map[payment.Status]int64{p.Status: 1}}
	if p.Status == payment.Declined {
		decline = p.Decline
	}
	return f, decline
}

// FiguresOfLink returns what a link's row counts for.
func FiguresOfLink(l Link) (f Figures) {
	if l.CreatedAt.IsZero() {
		return f
	}
	f.Links[0] = 1
	for i, s := range Steps {
		if l.Reached()&s != 0 {
			f.Links[i+1] = 1
		}
	}
	return f
}

// Minus returns the difference to other figures. Statuses without a payment are left out.
func (f Figures) Minus(o Figures) Figures {
	out := Figures{Volume: f.Volume - o.Volume, Refunded: f.Refunded - o.Refunded, ByStatus: maps.Clone(f.ByStatus)}
	if out.ByStatus == nil {
		out.ByStatus = map[payment.Status]int64{}
	}
	for s, n := range o.ByStatus {
		if out.ByStatus[s] -= n; out.ByStatus[s] == 0 {
			delete(out.ByStatus, s)
		}
	}
	for i := range f.Links {
		out.Links[i] = f.Links[i] - o.Links[i]
	}
	return out
}
