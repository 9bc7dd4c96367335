package projection

import (
	"context"
	"fmt"
	"strings"

	"github.com/paylink/paylink/internal/report"
	"github.com/paylink/paylink/internal/store/feed"
	"github.com/paylink/paylink/internal/store/sqldb"
	"github.com/paylink/paylink/internal/stream"
)

// Project writes the events as one batch, from the checkpoint.
func (r *Reports) Project(ctx context.Context, events []stream.Event) error {
	from, err := r.Position(ctx)
	if err != nil {
		return err
	}
	return r.ProjectFrom(ctx, from, events)
}

// ProjectFrom is Project of a process that believes the checkpoint to be at a given place.
func (r *Reports) ProjectFrom(ctx context.Context, from int64, events []stream.Event) error {
	g := newGathered()
	for _, e := range events {
		g.add(e)
	}
	last := events[len(events)-1]
	return r.commit(ctx, r.feed.Reader(), g, feed.Place{Position: from}, feed.Place{Position: last.Position, Event: last.ID})
}

// Checkpoint returns the stored checkpoint.
func (r *Reports) Checkpoint(ctx context.Context) (int64, error) {
	return r.Position(ctx)
}

// Start returns the place from which a process would continue.
func (r *Reports) Start(ctx context.Context) (int64, error) {
	at, err := r.start(ctx, r.feed.Reader())
	return at.Position, err
}

// Load writes rows as the projection does, without the events behind them.
func (r *Reports) Load(ctx context.Context, all []report.Payment) error {
	owner, err := r.ensureOwner(ctx, ownerKey{all[0].Account, all[0].Mode})
	if err != nil {
		return err
	}
	return r.write(ctx, func(t *sqldb.Tx) error {
		p := newProjector(t, nil)
		rows := make([]reportRow, len(all))
		for i, one := range all {
			rows[i] = reportRow{spot{owner, numberOf(one.ID, one.CreatedAt), true}, one}
			p.count(report.Payment{}, rows[i])
		}
		if err := putReports(t, rows); err != nil {
			return err
		}
		if err := p.index(rows, nil); err != nil {
			return err
		}
		return p.add()
	})
}

// Dump returns everything in the projection except the owners' numbers.
func (r *Reports) Dump(ctx context.Context) (string, error) {
	var b strings.Builder
	for _, table := range []string{"report_payments", "report_terms", "report_links", "report_sums", "report_declines", "report_anchor"} {
		columns := "t.*"
		rows, err := r.own.Query(ctx, "SELECT "+columns+" FROM "+table+" t ORDER BY 1, 2, 3")
		if err != nil {
			return "", err
		}
		names, err := rows.Columns()
		if err != nil {
			return "", err
		}
		for rows.Next() {
			row := make([]any, len(names))
			for i := range row {
				row[i] = new(any)
			}
			if err := rows.Scan(row...); err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%s:", table)
			for i, v := range row {
				fmt.Fprintf(&b, " %s=%v", names[i], *v.(*any))
			}
			b.WriteByte('\n')
		}
		if err := rows.Err(); err != nil {
			return "", err
		}
		_ = rows.Close()
	}
	return b.String(), nil
}
