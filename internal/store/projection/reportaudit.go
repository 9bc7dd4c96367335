package projection

import (
	"context"
	"fmt"
	"strings"

	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
)

// OpenReportsSnapshot opens the projection beside a store read-only, as it is at this moment. If
// it was never created, it returns fs.ErrNotExist.
func OpenReportsSnapshot(ctx context.Context, store sqldb.Source, path string) (*Reports, error) {
	own, err := snapshot(ctx, reports, store, path)
	if err != nil {
		return nil, err
	}
	return &Reports{own}, nil
}

// Position returns how far the projection has followed the feed.
func (r *Reports) Position(ctx context.Context) (int64, error) {
	return feed.ReadCheckpoint(ctx, r.own.Reader, report.Consumer)
}

// Audit visits every row, and reports the sums that do not match the rows, one line each. It must
// be called on a snapshot.
func (r *Reports) Audit(ctx context.Context, visit func(report.Payment) error) ([]string, error) {
	// Count every row into empty sums, as if all of them were new.
	p := newProjector(nil, nil)
	err := r.own.Each(ctx, func(row sqldb.Scanner) error {
		one, err := scanReport(row, true)
		if err != nil {
			return err
		}
		p.count(report.Payment{}, one)
		return visit(one.Payment)
	}, "SELECT o.account, o.mode, p."+strings.ReplaceAll(reportColumns, ", ", ", p.")+
		" FROM report_payments p JOIN report_owners o ON o.id = p.owner")
	if err != nil {
		return nil, err
	}

	err = r.own.Each(ctx, func(row sqldb.Scanner) error {
		one, err := scanReportLink(row)
		if err == nil {
			p.countLink(report.Link{}, one)
		}
		return err
	}, "SELECT id, owner, currency, created_at, steps, seen FROM report_links")
	if err != nil {
		return nil, err
	}

	var wrong []string
	for _, unit := range units {
		more, err := r.compareSums(ctx, p, unit)
		if err != nil {
			return nil, err
		}
		wrong = append(wrong, more...)
	}

	return wrong, nil
}

// compareSums compares the stored sums of one unit (hours or days) with those that the rows add up
// to.
func (r *Reports) compareSums(ctx context.Context, p *projector, unit int64) (wrong []string, err error) {
	// What the stored sums should be, and then what differs.
	sums, declines := p.by(unit)
	err = r.own.Each(ctx, func(row sqldb.Scanner) error {
		var key hourKey
		h, err := scanHour(owned{row, &key})
		if err != nil {
			return err
		}

		key.hour, key.currency = hourOf(h.From), h.Currency
		if rest := h.Minus(sums[key]); rest.Volume != 0 || rest.Refunded != 0 || len(rest.ByStatus) > 0 ||
			rest.Links != (report.Figures{}).Links {
			wrong = append(
				wrong,
				fmt.Sprintf(
					"I8 reports: the sums of %s from %s on (%d h) are not those of the rows",
					key.currency,
					h.From.Format("2006-01-02T15Z"),
					unit,
				),
			)
		}
		delete(sums, key)
		return nil
	}, "SELECT owner, hour, currency, "+strings.Join(sumColumns, ", ")+" FROM report_sums WHERE unit = $1", unit)
	if err != nil {
		return nil, err
	}

	// What is left has no stored sum.
	for key, f := range sums {
		if !f.Empty() {
			wrong = append(wrong, fmt.Sprintf("I8 reports: hour %d of %s (%d h) has rows and no sums", key.hour, key.currency, unit))
		}
	}

	err = r.own.Each(ctx, func(row sqldb.Scanner) error {
		var key declineKey
		var n int64
		if err := row.Scan(&key.owner, &key.hour, &key.currency, &key.code, &n); err != nil {
			return err
		}
		declines[key] -= n
		return nil
	}, "SELECT owner, hour, currency, code, n FROM report_declines WHERE unit = $1", unit)

	for key, n := range declines {
		if n != 0 {
			wrong = append(wrong, fmt.Sprintf("I8 reports: declines %q of hour %d (%d h) differ by %d from the rows", key.code, key.hour, unit, n))
		}
	}

	return wrong, err
}

// owned scans a row whose first column is an owner.
type owned struct {
	row sqldb.Scanner
	key *hourKey
}

// Scan reads the owner, then the other columns into to.
func (o owned) Scan(to ...any) error { return o.row.Scan(append([]any{&o.key.owner}, to...)...) }
