// Package calendar turns days into instants. A day begins and ends in a time zone: it has 23,
// 24 or 25 hours, or as many as the zone's rules say.
//
// The zones are those of the IANA database, which is embedded, because an image or a host may
// have none. It adds about 450 KB to the binary.
package calendar

import (
	"strings"
	"time"
	_ "time/tzdata" // a host or an image may have no zones

	"github.com/paylink/paylink/internal/fault"
)

// UTC is the zone of an account that has not chosen one.
const UTC = "UTC"

// maxZoneBytes bounds a zone's name; the longest has 32.
const maxZoneBytes = 64

// Years that stores can hold.
const (
	minYear = 1970
	maxYear = 9999
)

// Zone returns a time zone by its IANA name, such as Europe/Berlin; "" is UTC. The fault names
// param. It refuses a zone that depends on the host (Local).
func Zone(param, name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	if len(name) <= maxZoneBytes && name != "Local" {
		if zone, err := time.LoadLocation(name); err == nil {
			return zone, nil
		}
	}
	return nil, fault.Invalid(param, "time_zone_unknown", "%s must be an IANA time zone such as Europe/Berlin or UTC.", param)
}

// Day is a date, without a time or a zone.
type Day struct {
	Year  int
	Month time.Month
	Day   int
}

// DayOf returns the day of an instant in a zone.
func DayOf(t time.Time, zone *time.Location) Day {
	y, m, d := t.In(zone).Date()
	return Day{y, m, d}
}

// ParseDay reads YYYY-MM-DD. It refuses a day that does not exist, such as 2027-02-29, and a
// year outside 1970 to 9999.
func ParseDay(s string) (Day, bool) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil || t.Year() < minYear || t.Year() > maxYear {
		return Day{}, false
	}
	return DayOf(t, time.UTC), true
}

// String returns the day as YYYY-MM-DD.
func (d Day) String() string { return d.noon().Format(time.DateOnly) }

func (d Day) noon() time.Time { return time.Date(d.Year, d.Month, d.Day, 12, 0, 0, 0, time.UTC) }

// Add returns the day so many days later; a negative number is earlier.
func (d Day) Add(days int) Day { return DayOf(d.noon().AddDate(0, 0, days), time.UTC) }

// Since returns how many days d is after o; a negative number is before.
func (d Day) Since(o Day) int { return int(d.noon().Sub(o.noon()) / (24 * time.Hour)) }

// Before reports whether d is before o.
func (d Day) Before(o Day) bool { return d.noon().Before(o.noon()) }

// Start returns the first instant of the day in a zone. If clocks skip midnight, the day begins
// with the skip; if midnight comes twice, with the first one.
func (d Day) Start(zone *time.Location) time.Time {
	t := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, zone)
	if DayOf(t, zone).Before(d) { // midnight does not exist: the skip follows
		_, end := t.ZoneBounds()
		return end
	}
	start, _ := t.ZoneBounds()
	if start.IsZero() {
		return t
	}
	_, offset := start.Add(-time.Second).In(zone).Zone()
	first := time.Date(d.Year, d.Month, d.Day, 0, 0, 0, 0, time.UTC).Add(-time.Duration(offset) * time.Second)
	if t.Hour() != 0 || t.Minute() != 0 { // midnight does not exist, and t is after it
		return start
	}
	if first.Before(start) && first.Before(t) {
		return first.In(zone)
	}
	return t
}

// End returns the first instant after the day.
func (d Day) End(zone *time.Location) time.Time { return d.Add(1).Start(zone) }

// Period is [From, To); a zero end is open.
type Period struct{ From, To time.Time }

// ParsePeriod reads the ends of a period. A date means its whole day in the zone, both as first
// and as last day; a time in RFC 3339 is an instant, and as the end it is not included. An end
// of "" is open. The fault names the parameter from or to: for what is not a time, and for a
// period that ends before it begins or is empty.
func ParsePeriod(from, to string, zone *time.Location) (Period, error) {
	first, start, err := parseEnd("from", from, zone)
	if err != nil {
		return Period{}, err
	}
	last, end, err := parseEnd("to", to, zone)
	if err != nil {
		return Period{}, err
	}
	if last != (Day{}) {
		end = last.End(zone)
	}
	switch {
	case start.IsZero() || end.IsZero():
	case first != (Day{}) && last != (Day{}):
		if last.Before(first) {
			return Period{}, fault.Invalid("to", "range_invalid", "to must not be before from.")
		}
	case !start.Before(end):
		return Period{}, fault.Invalid("to", "range_invalid", "to must be later than from; a time given as to is excluded.")
	}
	return Period{From: start.UTC(), To: end.UTC()}, nil
}

// parseEnd returns a day with its first instant, or an instant without a day.
func parseEnd(param, s string, zone *time.Location) (Day, time.Time, error) {
	if s == "" {
		return Day{}, time.Time{}, nil
	}
	if d, ok := ParseDay(s); ok {
		return d, d.Start(zone), nil
	}
	t, err := ParseInstant(param, s)
	return Day{}, t, err
}

// ParseInstant reads a time in RFC 3339, whose T and Z may be in lower case.
func ParseInstant(param, s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339Nano, strings.ToUpper(s))
	if t = t.UTC(); err == nil && t.Year() >= minYear && t.Year() <= maxYear {
		return t, nil
	}
	if strings.Contains(s, " ") {
		if _, err := time.Parse(time.RFC3339Nano, strings.ToUpper(strings.Replace(s, " ", "+", 1))); err == nil {
			return time.Time{}, fault.Invalid(param, "parameter_invalid",
				"Encode the plus sign of the offset as %%2B: a plain + in a query means a space.")
		}
	}
	return time.Time{}, fault.Invalid(param, "parameter_invalid",
		"%s must be an RFC 3339 time such as 2026-03-01T12:00:00Z, or an existing date such as 2026-03-01.", param)
}
