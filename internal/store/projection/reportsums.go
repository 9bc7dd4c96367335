package projection

import (
	"context"
	"strings"
	"time"

	"github.com/paylink/paylink/internal/money"
	"github.com/paylink/paylink/internal/payment"
	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// reportHourly is how many days of a period are read by the hour. A longer one is read by the
// days of UTC wherever no point begins within.
const reportHourly = 62

// stretch is a part of a period that is read in one way: by sums of so many hours or, with unit
// 0, from the rows themselves.
type stretch struct {
	unit     int64
	from, to time.Time
	at       time.Time // the time to which its figures are assigned
}

// stretchesOf divides a period, and the one before it, so that no sum spans two points: an hour
// within which a point begins is read from the rows, and such a day of UTC by the hour. now is in
// order, with a stretch or more for each point; before needs no points, so it is one figure.
func stretchesOf(p report.Period, zone *time.Location) (now, before []stretch) {
	// A long period has too many hours to read them all.
	unit := int64(1)
	if p.To.Sub(p.From) > reportHourly*hoursOfDay*time.Hour {
		unit = hoursOfDay
	}
	cuts := p.Points(zone)

	for i, from := range cuts {
		to := p.To
		if i+1 < len(cuts) {
			to = cuts[i+1]
		}
		now = divide(now, unit, later(from, p.From), to)
	}

	before = divide(nil, unit, p.Start(), p.From)
	for i := range before {
		before[i].at = p.Start()
	}

	return now, before
}

// later returns the later of two times.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// divide appends the stretches of [from, to) in order, with the largest unit in the middle and
// smaller ones at both ends. A stretch that continues the last one with the same unit extends it.
// The units go from days over hours to rows, so the recursion ends.
func divide(all []stretch, unit int64, from, to time.Time) []stretch {
	if !from.Before(to) {
		return all
	}
	smaller := int64(1)
	if unit == 1 {
		smaller = 0
	}
	if unit == 0 {
		return append(all, stretch{from: from, to: to, at: from})
	}

	long := time.Duration(unit) * time.Hour
	// The whole units inside the stretch. Without any, it is read by the smaller unit.
	first, last := from.Truncate(long), to.Truncate(long) // from year 1 on, which began with a day of UTC
	if first.Before(from) {
		first = first.Add(long)
	}
	if !first.Before(last) {
		return divide(all, smaller, from, to)
	}

	all = divide(all, smaller, from, first)
	if n := len(all) - 1; n >= 0 && all[n].unit == unit && all[n].to.Equal(first) {
		all[n].to = last
	} else {
		all = append(all, stretch{unit: unit, from: first, to: last, at: first})
	}
	return divide(all, smaller, last, to)
}

// sums reads the sums of the period and of the period before. Those of the period keep their hours;
// the period before is one sum for each currency and stretch.
func (r *Reports) sums(ctx context.Context, owner int64, now, before []stretch) ([]report.Hour, error) {
	var columns []string
	for _, c := range sumColumns {
		columns = append(columns, "SUM("+c+")")
	}
	of := " FROM report_sums WHERE owner = $1 AND unit = $2 AND hour >= $3 AND hour < $4"
	each, whole := "SELECT hour, currency, "+strings.Join(
		sumColumns,
		", ",
	)+of, "SELECT MIN(hour), currency, "+strings.Join(
		columns,
		", ",
	)+of+" GROUP BY currency"

	var all []report.Hour
	read := func(query string, s stretch) error {
		if s.unit == 0 {
			found, err := r.countRows(ctx, owner, s)
			all = append(all, found...)
			return err
		}
		found, err := r.readSums(ctx, query, owner, s.unit, hourOf(s.from), hourOf(s.to))
		for i := range found {
			if query == whole {
				found[i].From = s.at
			}
		}
		all = append(all, found...)
		return err
	}

	// The period before needs only its total.
	for _, s := range before {
		if err := read(whole, s); err != nil {
			return nil, err
		}
	}

	for _, s := range now {
		if err := read(each, s); err != nil {
			return nil, err
		}
	}

	return all, nil
}

// countRows counts the payments and links made in a part of an hour. Only hours within which a
// point begins are read this way.
func (r *Reports) countRows(ctx context.Context, owner int64, s stretch) ([]report.Hour, error) {
	var all []report.Hour
	err := r.own.Each(ctx, func(row sqldb.Scanner) error {
		h := report.Hour{From: s.at}
		var status payment.Status
		var n int64
		err := row.Scan(&h.Currency, &status, &n, &h.Volume, &h.Refunded)
		h.ByStatus = map[payment.Status]int64{status: n}
		all = append(all, h)
		return err
	}, `SELECT currency, status, COUNT(*), SUM(captured), SUM(refunded) FROM report_payments
		WHERE owner = $1 AND number >= $2 AND number < $3 GROUP BY currency, status`, owner, numberAt(s.from), numberAt(s.to))
	if err != nil {
		return nil, err
	}

	err = r.own.Each(ctx, func(row sqldb.Scanner) error {
		l, n := report.Link{CreatedAt: s.from}, int64(0)
		if err := row.Scan(&l.Currency, &l.Steps, &l.Seen, &n); err != nil {
			return err
		}
		h := report.Hour{From: s.at, Currency: l.Currency, Figures: report.FiguresOfLink(l)}
		for i := range h.Links {
			h.Links[i] *= n
		}
		all = append(all, h)
		return nil
	}, "SELECT currency, steps, seen, COUNT(*) FROM report_links WHERE owner = $1 AND created_at >= $2 AND created_at < $3 GROUP BY currency, steps, seen", owner, s.from.UnixMilli(), s.to.UnixMilli())
	return all, err
}

// reasons returns the reasons of the period's declines by currency, in no particular order.
func (r *Reports) reasons(ctx context.Context, owner int64, stretches []stretch) (map[money.Currency][]report.Reason, error) {
	type key struct {
		currency money.Currency
		code     string
	}
	sums := map[key]int64{}
	for _, s := range stretches {
		// As for the figures: from the sums, or from the rows of a part of an hour.
		query, args := "SELECT currency, code, SUM(n) FROM report_declines WHERE owner = $1 AND unit = $2 AND hour >= $3 AND hour < $4 GROUP BY currency, code",
			[]any{
				owner,
				s.unit,
				hourOf(s.from),
				hourOf(s.to),
			}
		if s.unit == 0 {
			query, args = "SELECT currency, decline, COUNT(*) FROM report_payments WHERE owner = $1 AND number >= $2 AND number < $3 AND status = $4 AND decline <> '' GROUP BY currency, decline",
				[]any{
					owner,
					numberAt(s.from),
					numberAt(s.to),
					string(payment.Declined),
				}
		}
		err := r.own.Each(ctx, func(row sqldb.Scanner) error {
			var k key
			var n int64
			err := row.Scan(&k.currency, &k.code, &n)
			sums[k] += n
			return err
		}, query, args...)
		if err != nil {
			return nil, err
		}
	}

	// Counts that have returned to zero are left out.
	all := map[money.Currency][]report.Reason{}
	for k, n := range sums {
		if n != 0 {
			all[k.currency] = append(all[k.currency], report.Reason{Code: k.code, Count: n})
		}
	}

	return all, nil
}
