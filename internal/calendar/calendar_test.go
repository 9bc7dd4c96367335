package calendar_test

import (
	"testing"
	"time"

	"github.com/paylink/paylink/internal/calendar"
	"github.com/paylink/paylink/internal/fault"
)

func zone(t *testing.T, name string) *time.Location {
	t.Helper()
	z, err := calendar.Zone("zone", name)
	if err != nil {
		t.Fatal(err)
	}
	return z
}

// TestDays checks the instants of days, including those where clocks change and where midnight
// is skipped or comes twice.
func TestDays(t *testing.T) {
	for _, c := range []struct {
		zone, day, start string
		hours            float64
	}{
		{"UTC", "2027-03-28", "2027-03-28T00:00:00Z", 24},
		{"Europe/Berlin", "2027-03-28", "2027-03-27T23:00:00Z", 23},
		{"Europe/Berlin", "2027-10-31", "2027-10-30T22:00:00Z", 25},
		{"Europe/Berlin", "2028-02-29", "2028-02-28T23:00:00Z", 24},
		{"Asia/Kathmandu", "2028-02-29", "2028-02-28T18:15:00Z", 24},
		{"Asia/Kathmandu", "2027-03-28", "2027-03-27T18:15:00Z", 24},
		{"Pacific/Auckland", "2027-04-04", "2027-04-03T11:00:00Z", 25},
		{"Pacific/Auckland", "2027-09-26", "2027-09-25T12:00:00Z", 23},
		{"Pacific/Auckland", "2028-02-29", "2028-02-28T11:00:00Z", 24},
		{"Australia/Lord_Howe", "2027-04-04", "2027-04-03T13:00:00Z", 24.5},
		{"Africa/Cairo", "2027-04-30", "2027-04-29T22:00:00Z", 23},      // midnight is skipped
		{"Africa/Cairo", "2027-10-28", "2027-10-27T21:00:00Z", 25},      // 24:00 is 23:00 again
		{"Africa/Cairo", "2027-10-29", "2027-10-28T22:00:00Z", 24},      // the day after
		{"America/Havana", "2027-03-14", "2027-03-14T05:00:00Z", 23},    // midnight is skipped
		{"America/Havana", "2027-11-07", "2027-11-07T04:00:00Z", 25},    // midnight comes twice
		{"America/Havana", "2027-11-06", "2027-11-06T04:00:00Z", 24},    // the day before
		{"Pacific/Apia", "2011-12-30", "2011-12-30T10:00:00Z", 0},       // no such day
		{"Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00Z", 24},      // the next one
		{"America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00Z", 23}, // midnight is skipped
	} {
		z := zone(t, c.zone)
		d, ok := calendar.ParseDay(c.day)
		if !ok || d.String() != c.day {
			t.Fatalf("%s is read as %v, %v", c.day, d, ok)
		}
		if got := d.Start(z).UTC().Format(time.RFC3339); got != c.start {
			t.Errorf("%s in %s begins at %s, want %s", c.day, c.zone, got, c.start)
		}
		if got := d.End(z).Sub(d.Start(z)).Hours(); got != c.hours {
			t.Errorf("%s in %s has %v hours, want %v", c.day, c.zone, got, c.hours)
		}
	}
}

// TestDaysMeet: in every zone of the table each day ends where the next begins, and its first
// instant is on it while the one before is not.
func TestDaysMeet(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "Asia/Kathmandu", "Pacific/Auckland", "Africa/Cairo", "America/Havana",
		"America/New_York", "Australia/Lord_Howe", "Asia/Beirut"} {
		z := zone(t, name)
		for d := (calendar.Day{Year: 2027, Month: time.January, Day: 1}); d.Year < 2029; d = d.Add(1) {
			start := d.Start(z)
			if calendar.DayOf(start, z) != d || !calendar.DayOf(start.Add(-time.Nanosecond), z).Before(d) {
				t.Errorf("%s in %s begins at %s", d, name, start)
			}
			if h := d.End(z).Sub(start).Hours(); h < 23 || h > 25 {
				t.Errorf("%s in %s has %v hours", d, name, h)
			}
		}
	}
}

func TestPeriods(t *testing.T) {
	for _, c := range []struct{ zone, from, to, start, end, code, param string }{
		{zone: "Europe/Berlin", from: "2027-03-28", to: "2027-03-28", start: "2027-03-27T23:00:00Z", end: "2027-03-28T22:00:00Z"},
		{zone: "Asia/Kathmandu", from: "2028-02-29", to: "2028-02-29", start: "2028-02-28T18:15:00Z", end: "2028-02-29T18:15:00Z"},
		{zone: "", from: "2026-11-30", to: "2026-11-30", start: "2026-11-30T00:00:00Z", end: "2026-12-01T00:00:00Z"},
		{zone: "UTC", from: "2026-11-30T10:00:00+14:00", to: "2026-11-30", start: "2026-11-29T20:00:00Z", end: "2026-12-01T00:00:00Z"},
		{zone: "Europe/Berlin", from: "2026-11-30", to: "2026-11-30t12:00:00z", start: "2026-11-29T23:00:00Z", end: "2026-11-30T12:00:00Z"},
		{zone: "UTC", from: "", to: "2026-11-30", end: "2026-12-01T00:00:00Z"},
		{zone: "UTC", from: "2026-11-30", to: "", start: "2026-11-30T00:00:00Z"},
		{zone: "UTC"},
		{zone: "UTC", to: "9999-12-31", end: "10000-01-01T00:00:00Z"},
		{zone: "UTC", from: "2026-11-30", to: "2026-11-29", code: "range_invalid", param: "to"},
		{zone: "UTC", from: "2026-11-30T00:00:00Z", to: "2026-11-30T00:00:00Z", code: "range_invalid", param: "to"},
		{zone: "UTC", from: "2026-11-30", to: "2026-11-30T00:00:00Z", code: "range_invalid", param: "to"},
		{zone: "UTC", from: "2026-12-01T00:00:00Z", to: "2026-11-30", code: "range_invalid", param: "to"},
		{zone: "UTC", from: "2027-02-29", code: "parameter_invalid", param: "from"},
		{zone: "UTC", to: "30.11.2026", code: "parameter_invalid", param: "to"},
		{zone: "UTC", from: "1969-12-31", code: "parameter_invalid", param: "from"},
		{zone: "UTC", from: "10000-01-01", code: "parameter_invalid", param: "from"},
		{zone: "UTC", from: "2026-11-30T00:00:00 14:00", code: "parameter_invalid", param: "from"},
		{zone: "UTC", from: "2026-11-30 ", code: "parameter_invalid", param: "from"},
	} {
		p, err := calendar.ParsePeriod(c.from, c.to, zone(t, c.zone))
		if c.code != "" {
			if f := fault.From(err); err == nil || f.Code != c.code || f.Param != c.param {
				t.Errorf("%q to %q in %s: %v, want %s of %s", c.from, c.to, c.zone, err, c.code, c.param)
			}
			continue
		}
		text := func(at time.Time) string {
			if at.IsZero() {
				return ""
			}
			return at.Format(time.RFC3339)
		}
		if err != nil || text(p.From) != c.start || text(p.To) != c.end {
			t.Errorf("%q to %q in %s: [%s, %s), %v; want [%s, %s)", c.from, c.to, c.zone, text(p.From), text(p.To), err, c.start, c.end)
		}
	}
}

func TestZones(t *testing.T) {
	for _, name := range []string{"Local", "Mars/Phobos", "../etc/passwd", "Europe/Berlin ", "CET+1", "/usr/share/zoneinfo/UTC"} {
		if _, err := calendar.Zone("timeZone", name); fault.Code(err) != "time_zone_unknown" || fault.From(err).Param != "timeZone" {
			t.Errorf("%q: %v", name, err)
		}
	}
	if z := zone(t, ""); z != time.UTC {
		t.Errorf("no zone is %s", z)
	}
}
