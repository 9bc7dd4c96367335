package sqlstore

import (
	"context"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/paylink/paylink/internal/report"
)

// OpenReportsSnapshot opens the projection of a store for reading only, as it is at
// this moment. One that was never made is fs.ErrNotExist.
func OpenReportsSnapshot(ctx context.Context, storeURL, path string) (*Reports, error) {
	d, err := dialectOf(storeURL)
	if err != nil {
		return nil, err
	}
	if _, embedded := d.(sqliteFile); embedded {
		if _, err := os.Stat(path); err != nil {
			return nil, fmt.Errorf("%s: %w", path, fs.ErrNotExist)
		}
		d = sqliteFile{path: path, projection: "reports"}
	}
	own, err := snapshot(ctx, d)
	if err != nil {
		return nil, err
	}
	return &Reports{own: own, log: slog.New(slog.DiscardHandler)}, nil
}

// Position is how far the projection has followed the feed.
func (r *Reports) Position(ctx context.Context) (int64, error) {
	return r.own.checkpoint(ctx, r.own.read, report.Consumer)
}

// Audit visits every row, and names the sums that are not those of the rows.
func (r *Reports) Audit(ctx context.Context, visit func(report.Payment) error) ([]string, error) {
	p := &projector{sums: map[hourKey]report.Figures{}, declines: map[declineKey]int64{}}
	err := eachReport(ctx, r.own, "SELECT o.account, o.mode, p."+strings.ReplaceAll(reportColumns, ", ", ", p.")+
		" FROM report_payments p JOIN report_owners o ON o.id = p.owner", func(row rowScanner) error {
		one, err := scanReport(row, true)
		if err != nil {
			return err
		}
		p.count(report.Payment{}, one)
		return visit(one.Payment)
	})
	if err != nil {
		return nil, err
	}
	err = eachReport(ctx, r.own, "SELECT id, owner, currency, created_at, steps, seen FROM report_links", func(row rowScanner) error {
		one, err := scanReportLink(row)
		if err == nil {
			p.countLink(report.Link{}, one)
		}
		return err
	})
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

func eachReport(ctx context.Context, s *Store, query string, visit func(rowScanner) error, args ...any) error {
	rows, err := s.query(ctx, s.read, query, args...)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := visit(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

func (r *Reports) compareSums(ctx context.Context, p *projector, unit int64) (wrong []string, err error) {
	sums, declines := p.by(unit)
	err = eachReport(ctx, r.own, "SELECT owner, hour, currency, "+strings.Join(sumColumns, ", ")+" FROM report_sums WHERE unit = $1", func(row rowScanner) error {
		var key hourKey
		h, err := scanHour(owned{row, &key})
		if err != nil {
			return err
		}
		key.hour, key.currency = hourOf(h.From), h.Currency
		if rest := h.Minus(sums[key]); rest.Volume != 0 || rest.Refunded != 0 || len(rest.ByStatus) > 0 || rest.Links != (report.Figures{}).Links {
			wrong = append(wrong, fmt.Sprintf("I8 reports: the sums of %s from %s on (%d h) are not those of the rows", key.currency, h.From.Format("2006-01-02T15Z"), unit))
		}
		delete(sums, key)
		return nil
	}, unit)
	if err != nil {
		return nil, err
	}
	for key, f := range sums {
		if !f.Empty() {
			wrong = append(wrong, fmt.Sprintf("I8 reports: hour %d of %s (%d h) has rows and no sums", key.hour, key.currency, unit))
		}
	}
	err = eachReport(ctx, r.own, "SELECT owner, hour, currency, code, n FROM report_declines WHERE unit = $1", func(row rowScanner) error {
		var key declineKey
		var n int64
		if err := row.Scan(&key.owner, &key.hour, &key.currency, &key.code, &n); err != nil {
			return err
		}
		declines[key] -= n
		return nil
	}, unit)
	for key, n := range declines {
		if n != 0 {
			wrong = append(wrong, fmt.Sprintf("I8 reports: declines %q of hour %d (%d h) differ by %d from the rows", key.code, key.hour, unit, n))
		}
	}
	return wrong, err
}

// owned scans a row whose first column is an owner.
type owned struct {
	row rowScanner
	key *hourKey
}

func (o owned) Scan(to ...any) error { return o.row.Scan(append([]any{&o.key.owner}, to...)...) }
